"""Reads the layout cases: files of sections, each a name, a source and the text it becomes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "cases"


@dataclass(frozen=True)
class Case:
    topic: str
    name: str
    source: str
    formatted: str


def cases(*topics: str) -> Iterator[Case]:
    """Yield the cases of topics. A section is `=== name`, the source, a line `--->` and the formatted text."""
    for topic in topics:
        for section in (FOLDER / f"{topic}.txt").read_text().removeprefix("=== ").split("\n=== "):
            name, _, texts = section.partition("\n")
            source, _, formatted = texts.partition("--->\n")
            yield Case(topic, name, source, formatted.rstrip("\n") + "\n")
