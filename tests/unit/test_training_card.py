"""What a card keeps of behaviour reports."""

from __future__ import annotations

import json

from training.card_tables import BEHAVIOUR, keep_behaviour


def rows(model: str, value: float) -> list[dict[str, object]]:
    return [{"metric": name, "model": model, "value": value, "n": 20} for name in ("tor", "of no interest")]


def test_each_models_rows_are_the_first_reports_that_has_it(tmp_path):
    report, before = tmp_path / "report.json", tmp_path / "before"
    before.mkdir()
    report.write_text(json.dumps({"made": "then", "command": "a b", "rows": rows("nano", 0.1) + rows("harness", 0.2)}))
    keep_behaviour([report], before)
    kept = json.loads((before / BEHAVIOUR).read_text())
    assert kept["made"] == "Made then by `a b`; 95 % intervals and all else are in the report."
    assert {row["metric"] for row in kept["rows"]} == {"tor"}
    report.write_text(json.dumps({"made": "now", "command": "c", "rows": rows("nano", 0.9)}))
    keep_behaviour([report, before / BEHAVIOUR], tmp_path)
    joined = json.loads((tmp_path / BEHAVIOUR).read_text())
    assert [(row["model"], row["value"]) for row in joined["rows"]] == [("nano", 0.9), ("harness", 0.2)]
    assert joined["made"] == (
        "nano: Made now by `c`; harness: Made then by `a b`; 95 % intervals and all else are in the report."
    )
