"""The images: a clean Dockerfile, and each service content with the packages of its own extra."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from infra.local.jars import PROJECT
from infra.local.plan import FLOW_ORDER

DOCKERFILE = PROJECT / "infra" / "images" / "Dockerfile"

# Runs in a process of its own: imports a service while every package outside its image is out of reach.
ONLY_THESE = """
import importlib, sys
from importlib import metadata
allowed, service = {"microturn", *sys.argv[1].split(",")}, sys.argv[2]
owners = metadata.packages_distributions()
normal = lambda name: name.lower().replace("_", "-").replace(".", "-")
outside = {
    module
    for module, distributions in owners.items()
    if not any(normal(d) in allowed for d in distributions) and module not in sys.stdlib_module_names
}
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in outside:
            raise ModuleNotFoundError(f"not in this image: {name}", name=name)
sys.meta_path.insert(0, Missing())
importlib.import_module(f"services.{service}.app")
importlib.import_module(f"services.{service}.settings")
print(",".join(sorted(m for m in sys.modules if "." not in m)))
"""


def packages_of(extra: str) -> set[str]:
    """Names of the distributions that ``microturn[extra]`` brings, by the metadata of what is installed."""
    found: set[str] = set()
    waiting = [Requirement(f"microturn[{extra}]")]
    while waiting:
        requirement = waiting.pop()
        for needed in metadata.requires(requirement.name) or ():
            child = Requirement(needed)
            extras = {"", *requirement.extras}
            if child.marker is None or any(child.marker.evaluate({"extra": name}) for name in extras):
                name = canonicalize_name(child.name)
                try:
                    metadata.distribution(name)
                except metadata.PackageNotFoundError:
                    continue  # excluded on purpose, see tool.uv in pyproject.toml
                if name not in found or child.extras:
                    found.add(name)
                    waiting.append(child)
    return found


def test_the_linter_has_no_complaint() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, DOCKERFILE], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("service", FLOW_ORDER)
def test_a_service_needs_only_its_own_extra(service: str) -> None:
    allowed = packages_of(service)
    assert {"aiokafka", "msgspec", "numpy"} <= allowed
    done = subprocess.run(
        [sys.executable, "-c", ONLY_THESE, ",".join(allowed), service],
        capture_output=True,
        text=True,
        cwd=PROJECT,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-1500:]
    loaded = set(done.stdout.strip().split(","))
    assert ("torch" in loaded) <= (service in ("encoder", "interaction"))


def test_capture_installs_without_torch() -> None:
    assert "torch" in packages_of("encoder")  # the walk does find it where it is
    assert not {"torch", "safetensors", "xllamacpp"} & packages_of("capture")


def test_the_image_takes_uv_in_the_version_of_the_makefile() -> None:
    (dockerfile,) = re.findall(r"uv==([\d.]+)", DOCKERFILE.read_text())
    (makefile,) = re.findall(r"^UV_VERSION := ([\d.]+)$", (PROJECT / "Makefile").read_text(), flags=re.MULTILINE)
    assert dockerfile == makefile


def test_the_build_context_holds_what_the_dockerfile_copies() -> None:
    let_in = re.findall(r"^!(\S+)$", (PROJECT / ".dockerignore").read_text(), flags=re.MULTILINE)
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE.read_text(), flags=re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert len(copied) >= 9
    for source in copied:
        assert any(source == known or source.startswith(f"{known}/") for known in let_in), source
        if "$" not in source:
            assert (PROJECT / source).exists(), source


def test_constraints_are_exact_versions_without_hosts() -> None:
    lines = (PROJECT / "constraints.txt").read_text().splitlines()
    assert len(lines) > 100
    wrong = [line for line in lines if not re.fullmatch(r"[a-zA-Z0-9._-]+==[\w.+!]+( ; .+)?", line)]
    assert wrong == []
