"""What makes a recording one of another version."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.eval import stacks


@pytest.mark.parametrize("name", ["weights.safetensors", "config.json", "lexicon.txt", "lexicon.tsv.xz"])
def test_what_a_model_decides_by_is_part_of_what_was_recorded(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rules of decision and lexicons as well as weights: a recording of other rules is not this model's."""
    (tmp_path / name).write_text("before")
    monkeypatch.setenv("SPEECH_DIR", str(tmp_path))

    def identity() -> str:
        stacks.identity.cache_clear()
        return stacks.identity("nano")

    before = identity()
    (tmp_path / "MODEL_CARD.md").write_text("figures")
    (tmp_path / "evaluation.json").write_text("{}")
    assert identity() == before, "cards and figures decide nothing"
    (tmp_path / name).write_text("after")
    assert identity() != before
    stacks.identity.cache_clear()
