"""Typical mistakes: place, message, underlined text and help together, as an author reads them (`mistakes.txt`)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from authz import rego

FILE = Path(__file__).with_name("mistakes.txt")
CASE = re.compile(r"^=== v([01])\n(.*?)\n---\n(.*?)\n(?=\n===|\Z)", re.MULTILINE | re.DOTALL)

CASES = [(int(version), source, shown) for version, source, shown in CASE.findall(FILE.read_text(encoding="utf-8"))]


def test_there_are_many() -> None:
    assert len(CASES) > 140
    assert len({source for _, source, _ in CASES}) > 140


@pytest.mark.parametrize(("version", "source", "shown"), CASES, ids=[f"v{version}: {source}" for version, source, _ in CASES])
def test_an_author_reads_what_is_wrong_where_and_how_to_mend_it(version: int, source: str, shown: str) -> None:
    with pytest.raises(rego.CompileError) as caught:
        rego.compile({"p.rego": f"package t\n{source}"}, rego_version=version)
    assert "\n".join(str(caught.value).split("\n")[1:]) == shown


@pytest.mark.parametrize(("version", "source", "shown"), CASES, ids=[f"v{version}: {source}" for version, source, _ in CASES])
def test_every_typical_mistake_has_a_help_line(version: int, source: str, shown: str) -> None:
    assert shown.rsplit("\n", maxsplit=1)[-1].startswith("help: "), (version, source)
