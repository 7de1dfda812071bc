"""Shell scripts and the Makefile: linted, and saying what they would do."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from infra.local.jars import PROJECT


def scripts() -> list[Path]:
    """Every committed file that a shell runs."""
    listed = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, timeout=30, check=True)
    files = [PROJECT / name for name in listed.stdout.splitlines()]
    return [f for f in files if f.is_file() and f.open("rb").read(40).startswith((b"#!/usr/bin/env bash", b"#!/bin/"))]


def test_there_are_scripts_to_check() -> None:
    assert {PROJECT / ".ci" / "run", PROJECT / "infra" / "setup" / "apt.sh"} <= set(scripts())


@pytest.mark.parametrize("script", scripts(), ids=lambda path: path.name)
def test_shellcheck_has_no_complaint(script: Path) -> None:
    assert shutil.which("shellcheck"), "shellcheck is not installed: run infra/setup/apt.sh"
    done = subprocess.run(["shellcheck", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


def test_the_make_file_lists_its_commands() -> None:
    done = subprocess.run(["make", "help"], cwd=PROJECT, capture_output=True, text=True, timeout=30, check=True)
    listed = {line.split()[0] for line in done.stdout.splitlines() if line.strip()}
    assert {"run", "demo", "test", "check", "bench", "train", "up", "venv", "schemas", "clean"} <= listed


def test_ci_passes_on_the_status_of_a_failing_step(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(PROJECT / ".ci" / "run", tmp_path / ".ci" / "run")
    (tmp_path / "Makefile").write_text("check:\n\t@echo checked\ntest:\n\t@echo '1 failed in 0.1s'; exit 1\n")
    done = subprocess.run(["bash", ".ci/run"], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode != 0
    assert "checked" in done.stdout
