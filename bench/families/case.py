"""What a family of policies is: rules of one kind in any number, what they are asked, and the same decision by hand.

Builds nothing itself and measures nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from authz.rego import Document

ENTRYPOINT: Final = "envoy/authz/allow"
FIRST, LAST, SPREAD, MISS = "first", "last", "spread", "miss"
KINDS: Final = (FIRST, LAST, SPREAD, MISS)
"""Requests that the first rule allows, the last one, rules all over the policy by turns, and none."""

VARIETY: Final = 64
"""Requests of a kind; they differ in whatever the rules leave open."""

METHODS: Final = ("GET", "POST", "PUT", "DELETE")

HEADER: Final = """package envoy.authz

import input.attributes.request.http as http

default allow := false

"""

Floor: TypeAlias = Callable[[Any], bool]
"""The decision as a careful Python programmer would write it: dictionaries filled beforehand, loops where there is no other way."""


@dataclass(frozen=True, slots=True)
class Case:
    """A policy of one size. Its `requests`, by kind, hold what the policy reads and no more, as the projection of a check does."""

    source: str
    requests: Mapping[str, Sequence[Document]]
    data: Document = None
    floor: Callable[[], Floor] | None = None
    """Makes the floor; what it takes to fill its dictionaries is not measured."""


@dataclass(frozen=True, slots=True)
class Family:
    """Policies of one kind; `build` takes the number of rules, or of rows in base data."""

    name: str
    build: Callable[[int], Case]
    is_indexed: bool = True
    """Whether every test can be looked up. Otherwise some are code that runs for the rows that are left."""


def asked(rules: int, hit: Callable[[int, int], Document], miss: Callable[[int], Document]) -> dict[str, list[Document]]:
    """Return the requests of every kind: `hit` makes one that a rule allows, `miss` one that none does; both know whose turn it is."""
    turns = range(VARIETY)
    return {
        FIRST: [hit(0, turn) for turn in turns],
        LAST: [hit(rules - 1, turn) for turn in turns],
        SPREAD: [hit(turn * rules // VARIETY, turn) for turn in turns],
        MISS: [miss(turn) for turn in turns],
    }


def http_input(method: str, path: str, **more: Document) -> dict[str, Document]:
    """Return an input document with a method, a path and whatever else stands beside them."""
    return {"attributes": {"request": {"http": {"method": method, "path": path, **more}}}}
