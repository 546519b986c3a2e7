"""What came of a test: its outcome, the outcomes of its cases, and where an evaluation stopped.

Plain values; knows neither how they were found nor how they are shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from authz.rego.errors import EvalError
from authz.rego.nodes import Location
from authz.rego.values import Value
from authz.testing.discovery import RegoTest


class Outcome(StrEnum):
    """One word a test, as OPA prints it."""

    PASS = "PASS"  # noqa: S105 - no password
    FAIL = "FAIL"
    ERROR = "ERROR"
    SKIPPED = "SKIPPED"


@dataclass(frozen=True, slots=True)
class Case:
    """One case of a parametrised test, or a group of cases: `below` is empty for a case."""

    name: str
    has_passed: bool
    below: tuple[Case, ...] = ()

    def leaves(self, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Case]]:
        """Yield every case at or below this one with the names that lead to it."""
        here = (*path, self.name)
        if not self.below:
            yield here, self
        for case in self.below:
            yield from case.leaves(here)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one test. `detail` says in words why a failing test without cases failed; `output` is what it printed."""

    test: RegoTest
    outcome: Outcome
    cases: tuple[Case, ...] = ()
    error: EvalError | None = None
    detail: str | None = None
    output: str = ""

    def leaves(self) -> Iterator[tuple[tuple[str, ...], Case]]:
        """Yield every case with the names that lead to it."""
        for case in self.cases:
            yield from case.leaves()


@dataclass(frozen=True, slots=True)
class Stop:
    """The first literal of a test's body that did not hold, and what its variables were before it."""

    location: Location
    variables: tuple[tuple[str, Value], ...]
