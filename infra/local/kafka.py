"""Apache Kafka as plain Java processes: one KRaft node, or three that form a cluster on this machine."""

from __future__ import annotations

import contextlib
import signal
import socket
import struct
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.local import children, jars

_LOG4J = Path(__file__).parent / "kafka" / "log4j2.properties"


@dataclass(slots=True)
class Node:
    """One broker that is its own controller. ``process`` is None while it is down on purpose."""

    number: int
    port: int
    controller_port: int
    directory: Path
    process: children.Popen | None = None

    @property
    def properties(self) -> Path:
        return self.directory / "server.properties"

    @property
    def log_path(self) -> Path:
        return self.directory / "broker.log"


def new_cluster_id() -> str:
    """A random id as Kafka makes them; none that begins with a dash, which its own tool takes for an option."""
    while (cluster_id := urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return cluster_id


class LocalKafka:
    """A cluster under ``directory``: ``start`` it, use ``bootstrap_servers``, ``stop`` it, start it again.

    Blocking on purpose, so that a test fixture and an event loop can both use it. From an event loop: ``prepare``
    and ``wait_ready`` in a thread, but ``spawn`` in the loop's own thread (see ``children.spawn``).
    """

    def __init__(
        self,
        directory: Path,
        *,
        nodes: int = 1,
        heap_mb: int = 384,
        port: int = 0,
        config: Mapping[str, str] | None = None,
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        """``port`` is the first node's (a free one by default); ``config`` adds to or replaces broker settings.

        Raises:
            ValueError: ``nodes`` is neither 1 nor 3.
        """
        if nodes not in (1, 3):
            raise ValueError(f"a local cluster has 1 node or 3, not {nodes}")
        self.directory = directory.resolve()
        self.nodes = [
            Node(
                number=n,
                port=port if port and n == 1 else children.free_port(),
                controller_port=children.free_port(),
                directory=self.directory / f"node-{n}",
            )
            for n in range(1, nodes + 1)
        ]
        self._heap_mb = heap_mb
        self._config = dict(config or {})
        self._say = say
        self._java = ""
        self._libs = Path()

    @property
    def bootstrap_servers(self) -> str:
        return ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Prepare, spawn and wait.

        Raises:
            jars.KafkaUnavailable: no Java or no jars.
            RuntimeError: a broker ended or did not answer in time.
        """
        self.prepare()
        self.spawn()
        try:
            self.wait_ready()
        except BaseException:
            self.stop()
            raise

    def prepare(self) -> None:
        """Find Java and the jars, write the configuration, format what was never formatted."""
        self._java = jars.find_java()
        self._libs = jars.find_jars(self._say)
        self.directory.mkdir(parents=True, exist_ok=True)
        for node in self.nodes:
            node.directory.mkdir(exist_ok=True)
            settings = self.settings(node)
            node.properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
            if not (node.directory / "data" / "meta.properties").exists():
                self._format(node)

    def spawn(self, number: int | None = None) -> None:
        """Start all nodes that are down, or the one with this number; returns at once."""
        for node in self.nodes:
            if number in (None, node.number) and (node.process is None or node.process.poll() is not None):
                with node.log_path.open("ab") as log:
                    node.process = children.spawn(self._command(node), log=log)

    def wait_ready(self, *, timeout_s: float = 60.0) -> None:
        """Return once every node that is up knows all nodes that are up, as its answer to a Metadata request."""
        running = [node for node in self.nodes if node.process is not None]
        for node in running:
            assert node.process is not None
            children.wait_until(
                lambda port=node.port: count_brokers("127.0.0.1", port) == len(running),  # type: ignore[misc]
                process=node.process,
                what=f"Kafka node {node.number}",
                log_path=node.log_path,
                timeout_s=timeout_s,
            )

    def crashed(self) -> list[int]:
        """Numbers of the nodes that ended without having been stopped."""
        return [n.number for n in self.nodes if n.process is not None and n.process.poll() is not None]

    def pid(self, number: int = 1) -> int:
        """Process id of a node. Raises ``RuntimeError`` when it is down."""
        process = self.nodes[number - 1].process
        if process is None:
            raise RuntimeError(f"Kafka node {number} is not running")
        return process.pid

    def kill(self, number: int, signal_number: int) -> None:
        """Signal one node; one that dies of it counts as crashed until it is spawned again."""
        process = self.nodes[number - 1].process
        if process is not None:
            children.signal_group(process.pid, signal_number)

    def stop(self, *, grace_s: float = 10.0) -> None:
        """Shut all nodes down; those that are not done after ``grace_s`` are killed (their log survives that)."""
        for node in self.nodes:  # all at once, so that they don't wait for each other's leadership
            if node.process is not None:
                children.signal_group(node.process.pid, signal.SIGTERM)
        for node in self.nodes:
            if node.process is not None:
                children.stop(node.process, grace_s=grace_s)
                node.process = None

    def _command(self, node: Node) -> list[str]:
        # C1 alone makes the first second fast, which is what one node on a small machine is about; a cluster under
        # load needs full compilation.
        tuning = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"] if len(self.nodes) == 1 else ["-XX:+UseG1GC"]
        heap = [f"-Xms{min(self._heap_mb, 256)}m", f"-Xmx{self._heap_mb}m"]
        logging = [f"-Dlog4j2.configurationFile={_LOG4J.as_uri()}"]
        return [self._java, *heap, *tuning, *logging, "-cp", f"{self._libs}/*", "kafka.Kafka", str(node.properties)]

    def _format(self, node: Node) -> None:
        id_file = self.directory / "cluster.id"
        if not id_file.exists():
            id_file.write_text(new_cluster_id())
        command = [self._java, "-XX:TieredStopAtLevel=1", "-cp", f"{self._libs}/*", "kafka.tools.StorageTool"]
        command += ["format", "-t", id_file.read_text(), "-c", str(node.properties), "--ignore-formatted"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise RuntimeError(f"formatting {node.directory} failed:\n{(done.stdout + done.stderr)[-2000:]}")

    def settings(self, node: Node) -> dict[str, str]:
        """The broker's configuration, as in a ``server.properties``."""
        voters = ",".join(f"{n.number}@127.0.0.1:{n.controller_port}" for n in self.nodes)
        replicas = str(len(self.nodes))
        listeners = f"PLAINTEXT://127.0.0.1:{node.port}"
        return {
            "node.id": str(node.number),
            "process.roles": "broker,controller",
            "listeners": f"{listeners},CONTROLLER://127.0.0.1:{node.controller_port}",
            "advertised.listeners": listeners,
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.voters": voters,
            "log.dirs": str(node.directory / "data"),
            "auto.create.topics.enable": "false",
            "default.replication.factor": replicas,
            "min.insync.replicas": str(len(self.nodes) // 2 + 1),
            "offsets.topic.replication.factor": replicas,
            "offsets.topic.num.partitions": "8",
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": str(len(self.nodes) // 2 + 1),
            "transaction.state.log.num.partitions": "8",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            "log.segment.bytes": str(64 * 2**20),  # retention removes whole segments only
            "log.index.size.max.bytes": str(2**20),
            "num.network.threads": "2",
            "num.io.threads": "4",
            **self._config,
        }


def count_brokers(host: str, port: int) -> int:
    """How many live brokers this one names in its answer to a Metadata request; 0 when it doesn't answer."""
    with contextlib.suppress(OSError, struct.error), socket.create_connection((host, port), timeout=2) as link:
        client = b"readiness"
        request = struct.pack(">hhih", 3, 1, 1, len(client)) + client + struct.pack(">i", 0)  # Metadata v1, no topics
        link.sendall(struct.pack(">i", len(request)) + request)
        with link.makefile("rb") as answer:
            (size,) = struct.unpack(">i", answer.read(4))
            _correlation, brokers = struct.unpack_from(">ii", answer.read(size))
            return int(brokers)
    return 0
