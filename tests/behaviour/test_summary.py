"""The README's behaviour table is what the released model's report says."""

from __future__ import annotations

import json
from pathlib import Path

from infra.eval.summary import joined, main, table

ROOT = Path(__file__).parents[2]
RELEASED = (ROOT / "models/nano/behaviour.json",)


def test_the_readme_shows_the_released_models_report():
    readme = (ROOT / "README.md").read_text()
    rows = joined(json.loads(path.read_text())["rows"] for path in RELEASED)
    for line in table(rows).splitlines():
        assert line in readme, f"python -m infra.eval.summary {' '.join(str(p.relative_to(ROOT)) for p in RELEASED)}"


def test_hidden_rates_and_missing_models_are_dashes_or_left_out(capsys, tmp_path):
    rows = [
        {"metric": "tor", "model": "nano", "value": 0.5, "n": 20},
        {"metric": "tor", "model": "oracle", "value": None, "n": 4},
        {"metric": "R_Y", "model": "nano", "value": None, "n": 0},
    ]
    made = table(rows).splitlines()
    assert made[0] == "| | nano | oracle |"
    assert made[2].endswith("| 0.50 (n=20) | – (n=4) |") and len(made) == 3
    path = tmp_path / "report.json"
    assert main([str(path)]) == 2
    path.write_text(json.dumps({"rows": rows}))
    assert main([str(path)]) == 0
    assert capsys.readouterr().out.strip() == table(rows)
    other = [{"metric": "tor", "model": name, "value": 1.0, "n": 10} for name in ("nano", "harness")]
    both = table(joined([rows, other])).splitlines()
    assert both[0] == "| | nano | harness | oracle |"
    assert both[2].endswith("| 0.50 (n=20) | 1.00 (n=10) | – (n=4) |"), "a model's rows are of one report"
