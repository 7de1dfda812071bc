"""``python -m infra.local up``: the whole pipeline on this machine, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from infra.local import oneprocess
from infra.local.events import Events, JsonLines, Terminal
from infra.local.jars import PROJECT, KafkaUnavailable
from infra.local.plan import START_ORDER, StackOptions
from infra.local.stack import LocalStack, StackFailed

DATA = PROJECT / "build" / "local"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line; exits with status 2 and the usage on a wrong one."""
    parser = argparse.ArgumentParser(prog="python -m infra.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start everything, keep it running, stop it on Ctrl-C")
    up.add_argument("--model", choices=("nano", "echo"), default="nano", help="what answers; echo is for tests only")
    up.add_argument("--agent", default="", metavar="NAME", help="a model of the behaviour report in nano's place")
    up.add_argument("--captures", type=_count, default=1, metavar="N", help="capture processes, on ports in a row")
    up.add_argument("--encoder", type=_count, default=1, metavar="N", help="encoder processes")
    up.add_argument("--interaction", type=_count, default=1, metavar="N", help="interaction processes")
    up.add_argument("--standby", type=int, choices=range(9), default=0, metavar="N", help="warm spares of either")
    up.add_argument("--kafka-nodes", type=int, choices=(1, 3), default=1, help="brokers of the local cluster")
    up.add_argument("--host", default="127.0.0.1", help="address that capture listens on")
    up.add_argument("--port", type=int, default=8080, help="port that capture listens on; 0 picks a free one")
    up.add_argument("--partitions", type=_count, default=StackOptions().partitions, help="partitions of each topic")
    up.add_argument("--data", type=Path, default=DATA, metavar="DIR", help="where Kafka and Redis keep their data")
    up.add_argument(
        "--services", type=_names, default=START_ORDER, metavar="A,B", help="only these (default: all five)"
    )
    up.add_argument("--ephemeral", action="store_true", help="data in a temporary directory that goes at the end")
    up.add_argument("--in-memory", action="store_true", help="one process and no Kafka, as on a machine without Java")
    up.add_argument("--json", action="store_true", help="status as one JSON object a line on stdout, logs on stderr")
    up.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    return parser.parse_args(arguments)


def options_from(arguments: argparse.Namespace, environment: dict[str, str]) -> StackOptions:
    """What the command line and KAFKA_BOOTSTRAP_SERVERS, REDIS_URL ask for."""
    return StackOptions(
        model=arguments.model,
        captures=arguments.captures,
        encoders=arguments.encoder,
        interactions=arguments.interaction,
        standbys=arguments.standby,
        kafka_nodes=arguments.kafka_nodes,
        host=arguments.host,
        port=arguments.port,
        partitions=arguments.partitions,
        data_dir=None if arguments.ephemeral else arguments.data,
        kafka_bootstrap_servers=environment.get("KAFKA_BOOTSTRAP_SERVERS") or None,
        redis_url=environment.get("REDIS_URL") or None,
        services=arguments.services,
        log_level=arguments.log_level,
        agent=arguments.agent,
    )


async def up(options: StackOptions, events: Events, *, in_memory: bool) -> int:
    """Run until SIGINT or SIGTERM; exit status 0 then, 1 when the stack could not be brought up."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if not in_memory:
        stack = LocalStack(options, events)
        try:
            return await _run_stack(stack, events, stop)
        except KafkaUnavailable as reason:
            events.say("stack", "in_memory", f"{reason}: all services in one process, the log in memory")
    try:
        await oneprocess.run(options, events, stop)
    except StackFailed as error:
        events.say("stack", "failed", str(error))
        return 1
    return 0


async def _run_stack(stack: LocalStack, events: Events, stop: asyncio.Event) -> int:
    starting = asyncio.create_task(stack.start())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            page = stack.addresses.page
            events.say("stack", "up", f"ready: {page}   (Ctrl-C stops everything)", page=page, **_facts(stack))
            await stop.wait()
    except StackFailed as error:
        events.say("stack", "failed", str(error))
        return 1
    finally:
        stopping.cancel()
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        events.say("stack", "stopping", "stopping …")
        await stack.stop()
        events.say("stack", "stopped", "stopped, nothing left running")
    return 0


def _facts(stack: LocalStack) -> dict[str, object]:
    addresses = stack.addresses
    return {
        "stream": addresses.stream,
        "streams": addresses.streams,
        "kafka_bootstrap_servers": addresses.kafka_bootstrap_servers,
        "redis_url": addresses.redis_url,
        "pids": {name: stack.pid(name) for name in stack.instances},
        "metrics": {name: stack.metrics_url(name) for name in stack.instances},
    }


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if not set(names) <= set(START_ORDER):
        raise argparse.ArgumentTypeError(f"{text!r}: there are {', '.join(START_ORDER)}")
    return names


def main() -> int:
    arguments = parse(sys.argv[1:])
    events: Events = JsonLines() if arguments.json else Terminal()
    return asyncio.run(up(options_from(arguments, dict(os.environ)), events, in_memory=arguments.in_memory))


if __name__ == "__main__":
    sys.exit(main())
