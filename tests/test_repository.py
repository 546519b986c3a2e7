"""What a fresh clone relies on: pins for everything, targets that say what they do, an image without needless rights."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib

import pytest

from tests.test_layering import REPOSITORY

TARGETS = ("install", "demo", "test", "lint", "bench")


def pins() -> dict[str, str]:
    lines = [line for line in (REPOSITORY / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    return {normal(name): version for name, _, version in (line.partition("==") for line in lines)}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_everything_that_is_installed_is_pinned_exactly() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(name for extra in project["optional-dependencies"].values() for name in extra)]
    names = {normal(re.split(r"[<>=\[; ]", requirement)[0]) for requirement in wanted}
    assert names <= pins().keys()
    assert all(re.fullmatch(r"[0-9][\w.+]*", version) for version in pins().values())


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_says_what_it_would_do(target: str) -> None:
    done = subprocess.run(["make", "--dry-run", target], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "==>" in done.stdout


def test_make_alone_lists_the_targets() -> None:
    done = subprocess.run(["make"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert all(f"make {target} " in done.stdout for target in TARGETS)


def test_a_python_that_is_too_old_is_passed_over() -> None:
    found = subprocess.run(
        [REPOSITORY / ".ci/find-python"], env={**os.environ, "PYTHON": "/bin/false"}, capture_output=True, text=True, check=True
    )
    version = subprocess.run(
        [found.stdout.strip(), "-c", "import sys; print(sys.version_info >= (3, 11))"], capture_output=True, text=True, check=True
    )
    assert version.stdout == "True\n"


def test_without_a_python_there_is_one_message() -> None:
    done = subprocess.run(
        ["/bin/bash", REPOSITORY / ".ci/find-python"], env={"PATH": "/nonexistent"}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "no Python 3.11 or newer" in done.stderr


def test_the_image_runs_without_root_and_takes_only_what_it_needs() -> None:
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    assert re.findall(r"^USER (\S+)$", dockerfile, re.M) == ["65532:65532"]
    assert dockerfile.count("\nFROM ") + dockerfile.startswith("FROM ") == 2
    assert (REPOSITORY / ".dockerignore").read_text().startswith("*\n")
