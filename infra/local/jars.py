"""Where Apache Kafka's jars come from: ``KAFKA_HOME``, the project's cache, or Maven."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from infra.local import children

PROJECT = Path(__file__).resolve().parents[2]
POM = Path(__file__).parent / "kafka" / "pom.xml"
JAVA_AT_LEAST = 17
FETCH_COMMAND = (sys.executable, "-m", "infra.local.jars")


class KafkaUnavailable(RuntimeError):
    """This machine can't run a broker; the message says what is missing."""


def kafka_version() -> str:
    """The one version that local stack and containers run, as the pom names it."""
    found = re.search(r"<kafka\.version>([\d.]+)</kafka\.version>", POM.read_text())
    if found is None:
        raise RuntimeError(f"{POM} names no kafka.version")
    return found.group(1)


def cache_dir() -> Path:
    """``MICROTURN_CACHE``, or ``.cache`` in the project."""
    return Path(os.environ.get("MICROTURN_CACHE") or PROJECT / ".cache").resolve()


def find_java() -> str:
    """The ``java`` of ``JAVA_HOME`` or of PATH.

    Raises:
        KafkaUnavailable: none there, or older than 17.
    """
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin") if home else None
    java = java or shutil.which("java")
    if java is None:
        raise KafkaUnavailable(f"no java on this machine (Java {JAVA_AT_LEAST} or newer is needed)")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False).stderr
    version = re.search(r'version "(\d+)', said)
    if version is None or int(version.group(1)) < JAVA_AT_LEAST:
        raise KafkaUnavailable(f"{java} is not Java {JAVA_AT_LEAST} or newer: {said.splitlines()[:1]}")
    return java


def find_jars(say: Callable[[str], None] = lambda _line: None) -> Path:
    """The folder with the broker's jars, fetched by Maven where it isn't there yet.

    Raises:
        KafkaUnavailable: no ``KAFKA_HOME``, nothing cached, and Maven is missing or failed.
    """
    home = os.environ.get("KAFKA_HOME")
    if home:
        libs = Path(home) / "libs"
        if not any(libs.glob("kafka_2.1*.jar")):
            raise KafkaUnavailable(f"KAFKA_HOME={home} has no libs/kafka_2.1*.jar")
        return libs
    libs = cache_dir() / "kafka" / kafka_version() / "libs"
    return libs if libs.is_dir() else _fetch(libs, say)


def _fetch(libs: Path, say: Callable[[str], None]) -> Path:
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaUnavailable("no Kafka in KAFKA_HOME or the cache, and no Maven to fetch it")
    libs.parent.mkdir(parents=True, exist_ok=True)
    with (libs.parent / "fetch.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if libs.is_dir():  # another process was faster
            return libs
        say(f"fetching Apache Kafka {kafka_version()} by Maven (once, 52 MB) …")
        for abandoned in libs.parent.glob("draft-*"):
            shutil.rmtree(abandoned, ignore_errors=True)
        # Beside its final place, so that the rename is atomic and half a fetch is never taken for one.
        with tempfile.TemporaryDirectory(dir=libs.parent, prefix="draft-") as draft:
            command = [maven, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies"]
            command += ["-DincludeScope=runtime", f"-DoutputDirectory={draft}/libs"]
            try:
                done = subprocess.run(
                    command, capture_output=True, text=True, timeout=900, check=False, preexec_fn=children.leash()
                )
            except subprocess.TimeoutExpired:
                raise KafkaUnavailable("Maven took longer than 15 minutes to fetch Apache Kafka") from None
            if done.returncode:
                last = "\n".join((done.stdout + done.stderr).splitlines()[-8:])
                raise KafkaUnavailable(f"Maven could not fetch Apache Kafka:\n{last}")
            (Path(draft) / "libs").rename(libs)
    return libs


def main() -> int:
    """Check Java and fetch what is missing; exit status 1, with one line on why, where no broker can run."""
    try:
        find_java()
        find_jars(lambda line: print(line, flush=True))
    except KafkaUnavailable as reason:
        print(reason, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
