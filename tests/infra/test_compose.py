"""docker-compose.yml: valid by Compose's own parser and schema, and the same stack as the one without Docker."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from infra.local.jars import PROJECT, kafka_version
from infra.local.kafka import LocalKafka
from infra.local.plan import COMMON_SETTINGS, FLOW_ORDER, OWN_SETTINGS, SCALABLE, Addresses, StackOptions, environment
from infra.topics import TopicSettings
from shared.settings import ServiceSettings

COMPOSE = PROJECT / "docker-compose.yml"
SCHEMA = Path("/usr/lib/python3/dist-packages/compose/config/compose_spec.json")
PLUMBING = {"kafka", "redis", "topics"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return parsed


def resolve(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """``docker-compose config`` with these variables and without anybody's .env."""
    assert shutil.which("docker-compose"), "docker-compose is not installed: run infra/setup/apt.sh"
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **variables}
    with tempfile.NamedTemporaryFile() as no_variables:
        command = ["docker-compose", "--env-file", no_variables.name, "-f", str(COMPOSE), *arguments, "config"]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)


def default_of(value: str) -> str:
    """What ``${NAME:-default}`` says where nobody sets the variable."""
    found = re.fullmatch(r"\$\{\w+:-(.*)\}", value)
    return found.group(1) if found else value


def settings_of(service: str) -> type[ServiceSettings]:
    module = importlib.import_module(f"services.{service}.settings")
    (kind,) = {
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, ServiceSettings) and value is not ServiceSettings
    }
    return kind


def test_compose_accepts_the_file() -> None:
    done = resolve(CAPTURE_TOKENS="a-token")
    assert done.returncode == 0, done.stderr
    assert set(yaml.safe_load(done.stdout)["services"]) >= {*FLOW_ORDER, *PLUMBING}


def test_compose_publishes_several_captures_on_ports_in_a_row() -> None:
    done = resolve(CAPTURE_TOKENS="a-token", CAPTURE_PUBLISH="127.0.0.1:8080-8081")
    assert done.returncode == 0, done.stderr
    assert "8080-8081" in str(yaml.safe_load(done.stdout)["services"]["capture"]["ports"])


def test_compose_refuses_to_open_the_door_without_a_token() -> None:
    done = resolve()
    assert done.returncode != 0
    assert "CAPTURE_TOKENS" in done.stderr


def test_the_file_fits_the_compose_specification(compose: dict[str, Any]) -> None:
    assert SCHEMA.exists(), "Debian's docker-compose package carries the schema: run infra/setup/apt.sh"
    jsonschema.Draft7Validator(json.loads(SCHEMA.read_text())).validate(compose)


def test_compose_and_the_local_stack_run_the_same_services(compose: dict[str, Any]) -> None:
    always = {name for name, service in compose["services"].items() if "profiles" not in service}
    assert always == {*FLOW_ORDER, *PLUMBING}
    for service in SCALABLE:
        standby = compose["services"][f"{service}-standby"]
        assert standby["profiles"] == ["standby"]
        assert standby["image"] == compose["services"][service]["image"]
        assert standby["environment"] == compose["services"][service]["environment"] | {"STANDBY": "1"}
    gpu = compose["services"]["interaction-gpu"]
    assert gpu["profiles"] == ["gpu"]
    assert gpu["environment"] == compose["services"]["interaction"]["environment"]
    for service in FLOW_ORDER:
        assert compose["services"][service]["build"]["args"]["SERVICE"] == service
        assert (PROJECT / "services" / service / "__main__.py").exists()


@pytest.mark.parametrize("service", FLOW_ORDER)
def test_compose_and_the_local_stack_give_the_same_settings(compose: dict[str, Any], service: str) -> None:
    given = set(compose["services"][service]["environment"])
    # A container's host name is its INSTANCE_ID, so that replicas differ; a local process is told its own.
    assert given == {*COMMON_SETTINGS, *OWN_SETTINGS[service]} - {"INSTANCE_ID"}
    fields = set(settings_of(service).model_fields)
    assert {name.lower() for name in (*COMMON_SETTINGS, *OWN_SETTINGS[service])} <= fields


@pytest.mark.parametrize("service", FLOW_ORDER)
def test_both_ways_of_running_give_values_that_the_service_accepts(
    compose: dict[str, Any], service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(os.environ):
        monkeypatch.delenv(name)
    addresses = Addresses("127.0.0.1:9092", "redis://127.0.0.1/0", "127.0.0.1", (8080,))
    local = environment(service, "0", 9100, addresses, StackOptions())
    raw: dict[str, str] = compose["services"][service]["environment"]
    container = {name: default_of(value) for name, value in raw.items()}
    if service == "capture":
        container["CAPTURE_TOKENS"] = "a-token"
    for values in (local, container):
        with monkeypatch.context() as patch:
            for name, value in values.items():
                patch.setenv(name, value)
            settings_of(service)()


@pytest.mark.parametrize("service", SCALABLE)
def test_a_standby_is_told_so_in_both_ways_of_running(service: str) -> None:
    addresses = Addresses("127.0.0.1:9092", "redis://127.0.0.1/0", "127.0.0.1", (8080,))
    options = StackOptions(standbys=2)
    assert options.instances(service) == [f"{service}-0", f"{service}-standby-0", f"{service}-standby-1"]
    assert options.instances("capture") == ["capture-0"]
    for instance, told in (("0", "0"), ("standby-1", "1")):
        assert environment(service, instance, 9100, addresses, options)["STANDBY"] == told


def test_compose_and_the_local_stack_create_the_same_topics(compose: dict[str, Any]) -> None:
    topics = compose["services"]["topics"]
    assert topics["command"] == ["python", "-m", "infra.topics"]  # what LocalStack calls, too
    assert {name.lower() for name in topics["environment"]} <= set(TopicSettings.model_fields)
    partitions = {default_of(topics["environment"]["TOPIC_PARTITIONS"])}
    partitions |= {default_of(compose["services"][s]["environment"]["TOPIC_PARTITIONS"]) for s in FLOW_ORDER}
    partitions.add(str(ServiceSettings.model_fields["topic_partitions"].default))
    assert partitions == {str(StackOptions().partitions)}


def test_compose_and_the_local_stack_run_the_same_kafka(compose: dict[str, Any], tmp_path: Path) -> None:
    kafka = compose["services"]["kafka"]
    assert kafka["image"] == f"apache/kafka:{kafka_version()}"
    cluster = LocalKafka(tmp_path)
    local = cluster.settings(cluster.nodes[0])
    # Where it listens and stores differs, and a test wants faster take-overs than a production group may have.
    own = ("LISTENER", "ADVERTISED", "QUORUM_VOTERS", "LOG_DIRS", "HEAP", "SESSION_TIMEOUT")
    shared = 0
    for name, value in kafka["environment"].items():
        setting = name.removeprefix("KAFKA_").lower().replace("_", ".")
        if name.startswith("KAFKA_") and not any(word in name for word in own):
            assert local[setting] == value, name
            shared += 1
    assert shared >= 9


def test_scaled_services_have_nothing_that_only_one_container_can_have(compose: dict[str, Any]) -> None:
    for name in (*SCALABLE, *(f"{service}-standby" for service in SCALABLE), "interaction-gpu"):
        service = compose["services"][name]
        assert "container_name" not in service
        assert "ports" not in service
        assert "INSTANCE_ID" not in service["environment"]
    assert StackOptions().partitions >= 8  # workers beyond the partition count would idle


def test_data_lies_on_named_volumes(compose: dict[str, Any]) -> None:
    mounts = [mount for service in compose["services"].values() for mount in service.get("volumes", ())]
    assert {mount.partition(":")[0] for mount in mounts} == set(compose["volumes"])


def test_everything_starts_after_what_it_needs(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name in FLOW_ORDER:
        needs = {other: how["condition"] for other, how in services[name]["depends_on"].items()}
        assert needs["kafka"] == needs["redis"] == "service_healthy"
        assert needs["topics"] == "service_completed_successfully"
        assert "test" in services[name]["healthcheck"]
    assert {"encoder", "interaction"} <= set(services["capture"]["depends_on"])


def test_the_example_names_every_variable_of_the_file() -> None:
    example = (PROJECT / ".env.example").read_text()
    used = set(re.findall(r"\$\{(\w+)", COMPOSE.read_text()))
    assert used == set(re.findall(r"^(\w+)=", example, flags=re.MULTILINE))


def test_ports_are_published_on_the_loopback_interface_only() -> None:
    done = resolve(CAPTURE_TOKENS="a-token")
    services = yaml.safe_load(done.stdout)["services"].values()
    published = [port for service in services for port in service.get("ports", ())]
    assert len(published) == 2
    assert all(str(port).startswith("127.0.0.1:") for port in published)
