"""Sessions out of the log.

    python -m infra.replay list                     sessions in the log
    python -m infra.replay SESSION|FILE             run one again and compare: 0 identical, 1 different, 2 impossible
    python -m infra.replay SESSION|FILE --model M   another model over the same input, both timelines in one picture
    python -m infra.replay export SESSION FILE      one session as one file
    python -m infra.replay import FILE              that file into imported.* topics of a running log
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from infra.replay import file, importing
from infra.replay.encode import NothingToEncode
from infra.replay.find import SessionNotFound, read_session, sessions
from infra.replay.models import WrongModel
from infra.replay.recorded import Recorded
from infra.replay.run import CannotReplay, Verdict, other, same, save
from schemas.topics import BACKGROUND_TASKS, INTERACTION_TURNS
from shared.log.api import Log, LogError
from shared.log.kafka import KafkaLog
from shared.log.kafka_settings import KafkaSettings
from shared.settings import ServiceSettings, load

OUT = Path("build") / "replay"
REPLAYED = "replayed."
_COMMANDS = ("run", "list", "export", "import")
IDENTICAL, DIFFERENT, IMPOSSIBLE = 0, 1, 2


def parse(arguments: Sequence[str], settings: ServiceSettings) -> argparse.Namespace:
    """The command line; exits with status 2 and the usage on a wrong one. Without a command, ``run`` is meant."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.replay", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    log = _log_options(settings, "", f"of the topics; imported sessions: {importing.PREFIX}")
    run = commands.add_parser("run", parents=[log], help="run a session again (default)")
    run.add_argument("session", metavar="SESSION|FILE")
    run.add_argument("--from", dest="source", choices=("encoder", "capture"), default="encoder", help="which frames")
    run.add_argument("--model", default="", metavar="echo|DIR", help="another model")
    run.add_argument("--model-dir", type=Path, default=settings.model_dir, help="where the session's own model lies")
    run.add_argument("--out", type=Path, default=OUT, metavar="DIR", help="report and picture go to DIR/SESSION")
    run.add_argument("--publish", action="store_true", help=f"the new turns into {REPLAYED}* topics as well")

    commands.add_parser("list", parents=[log], help="sessions in the log")
    export = commands.add_parser("export", parents=[log], help="one session as one file")
    export.add_argument("session", metavar="SESSION")
    export.add_argument("file", type=Path, metavar="FILE", help=f"e.g. session{file.SUFFIX}")
    log = _log_options(settings, importing.PREFIX, "of the topics")
    into = commands.add_parser("import", parents=[log], help="a file into the log")
    into.add_argument("file", type=Path, metavar="FILE")
    into.add_argument("--as", dest="new_id", default="", metavar="ID", help="under another session id")

    given = list(arguments)
    if given and given[0] not in (*_COMMANDS, "-h", "--help"):
        given.insert(0, "run")
    options = parser.parse_args(given)
    if options.command == "import" and not options.prefix:
        parser.error("an import needs a prefix: the live topics have live readers")
    return options


def _log_options(settings: ServiceSettings, prefix: str, meaning: str) -> argparse.ArgumentParser:
    log = argparse.ArgumentParser(add_help=False)
    log.add_argument("--kafka", default=settings.kafka_bootstrap_servers, metavar="HOST:PORT", help="the log")
    log.add_argument("--prefix", default=prefix, help=meaning)
    return log


async def run_command(options: argparse.Namespace, log: Log) -> int:
    """One command on a log; the exit status."""
    handlers: dict[str, Callable[[argparse.Namespace, Log], Awaitable[int]]] = {
        "run": _run,
        "list": _list,
        "export": _export,
        "import": _import,
    }
    return await handlers[options.command](options, log)


async def _run(options: argparse.Namespace, log: Log) -> int:
    recorded = _from_file(Path(options.session)) or await read_session(log, options.session, prefix=options.prefix)
    out = options.out / recorded.session_id
    if options.model:
        verdict = await other(recorded, options.model, options.model_dir, options.source, out)
    else:
        verdict = await same(recorded, options.model_dir, options.source)
    written = [save(verdict, out), *([out / "timeline.png"] if options.model else [])]
    print(*verdict.lines, *(f"  {path}" for path in written), sep="\n")
    if options.publish:
        print(f"  {await _publish(log, recorded, verdict)} turns in {REPLAYED}{INTERACTION_TURNS.name}")
    return DIFFERENT if verdict.identical is False else IDENTICAL


def _from_file(path: Path) -> Recorded | None:
    return file.read(path)[1] if path.is_file() else None


async def _publish(log: Log, recorded: Recorded, verdict: Verdict) -> int:
    await log.create_topics(await log.partitions(INTERACTION_TURNS.name), prefix=REPLAYED)
    turns = [turn for _, turn in sorted(verdict.rerun.turns.items())]
    await importing.append(log, INTERACTION_TURNS, turns, prefix=REPLAYED)
    sides = [side for _, made in sorted(verdict.rerun.sides.items()) for side in made]
    await importing.append(log, BACKGROUND_TASKS, sides, prefix=REPLAYED)
    return len(turns)


async def _list(options: argparse.Namespace, log: Log) -> int:
    found = await sessions(log, prefix=options.prefix)
    for one in found:
        began = datetime.fromtimestamp(one.start_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
        length = f"{one.ticks / 5:>8.1f} s  {one.reason}" if one.ticks is not None else "   not ended"
        print(f"{one.session_id}  {began}Z  partition {one.partition:>2}  {length}")
    print(f"{len(found)} sessions", file=sys.stderr)
    return IDENTICAL


async def _export(options: argparse.Namespace, log: Log) -> int:
    recorded = await read_session(log, options.session, prefix=options.prefix)
    file.write(recorded, options.file, release=version("microturn"))
    size = options.file.stat().st_size
    print(f"{options.file}: {len(recorded.records)} records, {len(recorded.turns)} turns, {size} bytes")
    return IDENTICAL


async def _import(options: argparse.Namespace, log: Log) -> int:
    _, recorded = file.read(options.file)
    moved = await importing.import_session(log, recorded, session_id=options.new_id, prefix=options.prefix)
    print(f"session {moved.session_id}: {len(moved.records)} records in {options.prefix}*; replay it with")
    print(f"  python -m infra.replay {moved.session_id} --prefix {options.prefix}")
    return IDENTICAL


async def _with_log(options: argparse.Namespace) -> int:
    log = KafkaLog(KafkaSettings(options.kafka))
    try:
        return await run_command(options, log)
    finally:
        await log.close()


def main() -> int:
    options = parse(sys.argv[1:], load(ServiceSettings))
    expected = (SessionNotFound, WrongModel, CannotReplay, NothingToEncode, file.BadFile, importing.AlreadyThere)
    try:
        return asyncio.run(_with_log(options))
    except (*expected, LogError, OSError) as error:
        print(f"replay: {str(error) or 'no answer in time'}", file=sys.stderr)
        return IMPOSSIBLE
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
