"""What the stack consists of: services in flow order, how many of each, and the environment that each is given.

docker-compose.yml says the same in its own words; tests/infra compares the two.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from infra.local.jars import PROJECT

FLOW_ORDER = ("capture", "encoder", "interaction", "background", "monitor")
"""How a frame travels."""
START_ORDER = ("interaction", "encoder", "background", "monitor", "capture")
"""Consumers first, and the door last: when a client can connect, its frames are being read."""
SCALABLE = ("encoder", "interaction")
"""May run in several processes, and with standbys."""
STANDBY = "standby"
AGENT = "agent"
"""A model of the behaviour report (``infra.eval.agents``) in place of encoder and interaction; never in a product."""

COMMON_SETTINGS = (
    "KAFKA_BOOTSTRAP_SERVERS",
    "REDIS_URL",
    "TOPIC_PARTITIONS",
    "INSTANCE_ID",
    "METRICS_HOST",
    "METRICS_PORT",
    "LOG_FORMAT",
    "LOG_LEVEL",
)
OWN_SETTINGS: dict[str, tuple[str, ...]] = {
    "capture": ("CAPTURE_HOST", "CAPTURE_PORT", "CAPTURE_TOKENS", "CAPTURE_STOP"),
    "encoder": ("MODEL_DIR", "STANDBY"),
    "interaction": ("MODEL", "MODEL_DIR", "SPEECH", "SPEECH_DIR", "STANDBY"),
    "background": ("BACKGROUND_LLM_URL", "BACKGROUND_LLM_MODEL", "BACKGROUND_LLM_KEY"),
    "monitor": (),
    AGENT: ("EVAL_AGENT", "BACKGROUND_LLM_URL", "BACKGROUND_LLM_MODEL", "BACKGROUND_LLM_KEY"),
}
"""What a service is told beyond ``COMMON_SETTINGS``, by environment variables of these names."""


@dataclass(frozen=True, slots=True)
class StackOptions:
    """What to run. ``data_dir`` None means a temporary directory that goes with the stack.

    ``captures``: how many processes clients can stream to, each on a port of its own: ``port`` and those after it.
    ``standbys``: how many warm spare processes stand beside the encoders, and as many beside the interaction workers.

    ``kafka_bootstrap_servers`` and ``redis_url`` name servers that run already; None starts our own. ``port`` and the
    others 0: a free one. ``env`` adds variables for one service (all its instances). ``agent`` names one of the
    behaviour report's models, which then stands in for encoder and interaction. ``packages`` runs another package as a
    service than its own: the same service with a model that is no product's.
    """

    model: Literal["nano", "echo"] = "nano"
    captures: int = 1
    encoders: int = 1
    interactions: int = 1
    standbys: int = 0
    kafka_nodes: int = 1
    port: int = 0
    kafka_port: int = 0
    redis_port: int = 0
    host: str = "127.0.0.1"
    partitions: int = 8
    data_dir: Path | None = None
    kafka_bootstrap_servers: str | None = None
    redis_url: str | None = None
    services: tuple[str, ...] = START_ORDER
    log_level: str = "info"
    agent: str = ""
    env: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = set(self.services) - set(START_ORDER)
        if unknown:
            raise ValueError(f"no such service: {', '.join(sorted(unknown))}; there are {', '.join(FLOW_ORDER)}")
        if self.captures < 1 or self.encoders < 1 or self.interactions < 1:
            raise ValueError("at least one capture, one encoder and one interaction worker are needed")
        if self.standbys < 0:
            raise ValueError("there can't be fewer than no standbys")

    @property
    def running(self) -> tuple[str, ...]:
        """The services to run, in the order of their start."""
        chosen = tuple(service for service in START_ORDER if service in self.services)
        if not self.agent:
            return chosen
        return (AGENT, *(service for service in chosen if service not in SCALABLE))

    @property
    def before_door(self) -> tuple[str, ...]:
        """Those of them that must read before capture lets anybody in."""
        return tuple(service for service in self.running if service in (*SCALABLE, AGENT))

    @property
    def replication_factor(self) -> int:
        return self.kafka_nodes

    def instances(self, service: str) -> list[str]:
        """Instance names of a service: ``interaction-0``, ``interaction-1``, …, ``interaction-standby-0``, ….

        Without the service's name they are its ``INSTANCE_ID``.
        """
        counts = {"capture": self.captures, "encoder": self.encoders, "interaction": self.interactions}
        count = counts.get(service, 1)
        spares = self.standbys if service in SCALABLE else 0
        return [f"{service}-{n}" for n in range(count)] + [f"{service}-{STANDBY}-{n}" for n in range(spares)]


def model_dir(options: StackOptions, service: str) -> Path:
    """Where a service of this stack looks for weights: ``MODEL_DIR``, or the released ones."""
    chosen = options.env.get(service, {}).get("MODEL_DIR") or os.environ.get("MODEL_DIR")
    return Path(chosen).resolve() if chosen else PROJECT / "models" / "nano"


def missing_weights(options: StackOptions) -> Path | None:
    """The folder in which a service of this stack would look for weights in vain; None when all are there."""
    for service in SCALABLE:
        needed = service in options.running and not (service == "interaction" and options.model == "echo")
        if needed and not any(model_dir(options, service).glob("*.safetensors")):
            return model_dir(options, service)
    return None


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the stack's parts are reached; ``ports`` are those of all capture processes, one after the other."""

    kafka_bootstrap_servers: str
    redis_url: str
    host: str
    ports: tuple[int, ...]

    @property
    def port(self) -> int:
        """The first capture process's."""
        return self.ports[0]

    @property
    def page(self) -> str:
        """The web page that capture serves."""
        return f"http://{self.host}:{self.port}/"

    @property
    def stream(self) -> str:
        """The WebSocket that clients stream to."""
        return self.streams[0]

    @property
    def streams(self) -> tuple[str, ...]:
        """The same of every capture process; a session can be resumed at any."""
        return tuple(f"ws://{self.host}:{port}/v1/stream" for port in self.ports)


def package(service: str) -> str:
    """The Python package whose ``__main__`` is this service."""
    return "infra.eval.agents" if service == AGENT else f"services.{service}"


def environment(
    service: str, instance: str, metrics_port: int, addresses: Addresses, options: StackOptions
) -> dict[str, str]:
    """The whole environment of one service process: this one's own, with what the stack decides on top.

    ``instance`` is its ``INSTANCE_ID``; a standby's begins with ``standby``.
    """
    decided = {
        "KAFKA_BOOTSTRAP_SERVERS": addresses.kafka_bootstrap_servers,
        "REDIS_URL": addresses.redis_url,
        "TOPIC_PARTITIONS": str(options.partitions),
        "INSTANCE_ID": instance,
        "METRICS_HOST": "127.0.0.1",
        "METRICS_PORT": str(metrics_port),
        "LOG_LEVEL": options.log_level,
        "CAPTURE_HOST": addresses.host,
        "CAPTURE_PORT": str(addresses.ports[int(instance)] if service == "capture" else addresses.port),
        "CAPTURE_STOP": "end" if options.captures == 1 else "hand_over",
        "MODEL": options.model,
        "STANDBY": "1" if instance.startswith(STANDBY) else "0",
        "EVAL_AGENT": options.agent,
        "MODEL_DIR": str(model_dir(options, service)),
        "SPEECH": os.environ.get("SPEECH", "auto"),
        "SPEECH_DIR": os.environ.get("SPEECH_DIR", str(PROJECT / "models" / "speech")),
    }
    defaults = {
        "PYTHONUNBUFFERED": "1",
        "OPENBLAS_NUM_THREADS": "1",  # products are small: threads would cost more than they give
    }
    wanted = COMMON_SETTINGS + OWN_SETTINGS[service]
    return {
        **defaults,
        **os.environ,
        **{name: value for name, value in decided.items() if name in wanted},
        **options.env.get(service, {}),
    }
