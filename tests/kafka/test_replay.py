"""The replay's command line as a process against Apache Kafka: import, list, run, export."""

from __future__ import annotations

import asyncio
import sys
import uuid
from pathlib import Path

import pytest

from infra.local.plan import StackOptions
from infra.replay import file
from infra.replay.__main__ import parse, run_command
from infra.topics import create_topics
from services.interaction.echo import EchoModel
from shared.log.kafka import KafkaLog
from shared.log.kafka_settings import KafkaSettings
from shared.settings import ServiceSettings
from tests.replay.conversations import echoed

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


async def command(bootstrap: str, folder: Path, *arguments: str) -> tuple[int, str]:
    """Exit status and all that was printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "infra.replay", *arguments, "--kafka", bootstrap),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": "/usr/bin:/bin", "HOME": str(folder)},
        cwd=folder,
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def test_the_road_of_a_bug_report(
    kafka_bootstrap: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file from another log is replayed, imported, listed, replayed from the log and exported again."""
    recorded = await echoed(model=EchoModel())
    ticks = len(recorded.turns)
    file.write(recorded, tmp_path / "s.mts", release="test")
    await create_topics(kafka_bootstrap, partitions=StackOptions().partitions)
    name, imported = uuid.uuid4().hex, ("--prefix", "imported.")

    log = KafkaLog(KafkaSettings(kafka_bootstrap))

    async def run(*arguments: object) -> str:
        options = parse([str(one) for one in arguments], ServiceSettings())
        assert await run_command(options, log) == 0
        return capsys.readouterr().out

    assert f"session {name}: {len(recorded.records)} records" in await run("import", tmp_path / "s.mts", "--as", name)
    assert name in await run("list", *imported)
    assert name not in await run("list")
    await run("export", name, tmp_path / "copy.mts", *imported)
    copy = file.read(tmp_path / "copy.mts")[1]
    assert [turn.tokens for turn in copy.turns.values()] == [turn.tokens for turn in recorded.turns.values()]
    await log.close()
    status, out = await command(kafka_bootstrap, tmp_path, name, *imported)
    assert status == 0, out
    assert out.startswith(f"identical: {ticks} turns"), out
    status, out = await command(kafka_bootstrap, tmp_path, name)
    assert (status, f"no turn of session {name}" in out) == (2, True), out
