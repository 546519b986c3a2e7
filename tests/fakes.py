"""Entry points written by hand: what a test wants a policy to read and to answer, without the compiler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from authz.rego.pending import Memory
from authz.rego.values import Value

Path = tuple[str, ...]
WHOLE: Path = ()


@dataclass(frozen=True, slots=True)
class FakeReads:
    input: tuple[Path, ...] = ()
    data: tuple[Path, ...] = ()
    nondeterministic: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FakeTable:
    rows: int = 1
    columns: int = 1


class FakeEntryPoint:
    """Answers what `rule` answers to the input document, and keeps the documents that it was asked about."""

    def __init__(
        self, rule: Callable[[Value], Value | None], reads: Sequence[Path] = (WHOLE,), nondeterministic: Sequence[str] = ()
    ) -> None:
        self.rule = rule
        self.reads = FakeReads(tuple(reads), (), tuple(nondeterministic))
        self.table = FakeTable()
        self.seen: list[Value] = []
        self.times: list[int] = []

    def evaluate(self, document: Value, now_ns: int) -> Value | None:
        self.seen.append(document)
        self.times.append(now_ns)
        return self.rule(document)

    def evaluate_with(self, memory: Memory, document: Value, now_ns: int) -> Value | None:
        raise AssertionError("it asks nobody")


@dataclass(slots=True)
class FakePolicy:
    """A policy with one entry point under every path; it keeps the paths that it was asked for."""

    entry: FakeEntryPoint
    asked: list[str] = field(default_factory=list)

    def entrypoint(self, path: str) -> FakeEntryPoint:
        self.asked.append(path)
        return self.entry


def answering(value: Value | None, reads: Sequence[Path] = (WHOLE,), nondeterministic: Sequence[str] = ()) -> FakePolicy:
    """Return a policy that always answers the same."""
    return FakePolicy(FakeEntryPoint(lambda _: value, reads, nondeterministic))
