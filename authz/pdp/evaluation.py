"""An evaluation that stops where it needs an answer from outside, and is begun again with it.

Asks nobody and waits for nothing: answers are handed in. Knows neither requests of Envoy nor snapshots.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from authz.rego.pending import HttpRequest, Memory, Pending
from authz.rego.values import Object, Value


class Reads(Protocol):
    """What an entry point can touch: prefixes below `input`, and the built-ins that do not depend on it alone."""

    @property
    def input(self) -> Sequence[tuple[str, ...]]: ...
    @property
    def nondeterministic(self) -> Sequence[str]: ...


class Table(Protocol):
    """How large an entry point's decision table is."""

    @property
    def rows(self) -> int: ...
    @property
    def columns(self) -> int: ...


class EntryPoint(Protocol):
    """A rule that decides. `evaluate` returns None for undefined and raises EvalError."""

    @property
    def reads(self) -> Reads: ...
    @property
    def table(self) -> Table: ...
    def evaluate(self, document: Value, now_ns: int, /) -> Value | None: ...


class CompiledEntryPoint(EntryPoint, Protocol):
    """A rule of a compiled policy. `evaluate_with` also raises Pending, where the memory lacks an answer."""

    def evaluate_with(self, memory: Memory, document: Value, now_ns: int, /) -> Value | None: ...


class Responses(Protocol):
    """Answers to requests that need not be waited for: what a cache holds that is good at a time."""

    def at_hand(self, request: HttpRequest, now_ns: int, /) -> Object | None: ...


class Evaluation:
    """One evaluation over all its beginnings: the same document, time and random values in each.

    `request` is what it stopped at, once `run` has raised Unanswered.
    """

    __slots__ = ("_document", "_entry", "_memory", "now_ns", "request")

    request: HttpRequest

    def __init__(self, entry: CompiledEntryPoint, document: Value, now_ns: int, responses: Responses) -> None:
        self._entry = entry
        self._document = document
        self._memory = Memory(lambda request: responses.at_hand(request, now_ns))
        self.now_ns = now_ns

    def run(self) -> Value | None:
        """Evaluate from the beginning. Raises EvalError, Unanswered."""
        try:
            return self._entry.evaluate_with(self._memory, self._document, self.now_ns)
        except Pending as pending:
            self.request = pending.request
            raise Unanswered(self) from None

    def answer(self, value: Object) -> None:
        """Hand in the answer to `request`."""
        self._memory.answer(self.request, value)

    def release(self) -> None:
        """Let go of the policy and the document; nothing can be asked of the evaluation afterwards."""
        del self._entry, self._document, self._memory


class Unanswered(Exception):  # noqa: N818 - no error: the evaluation goes on once it has its answer
    """An evaluation stopped at a request."""

    def __init__(self, evaluation: Evaluation) -> None:
        super().__init__(evaluation.request.method)
        self.evaluation = evaluation


class AskingEntryPoint:
    """An entry point that stops for the answers that are not at hand, instead of failing. Raises Unanswered."""

    __slots__ = ("_entry", "_responses")

    def __init__(self, entry: CompiledEntryPoint, responses: Responses) -> None:
        self._entry = entry
        self._responses = responses

    @property
    def reads(self) -> Reads:
        return self._entry.reads

    @property
    def table(self) -> Table:
        return self._entry.table

    def evaluate(self, document: Value, now_ns: int, /) -> Value | None:
        return Evaluation(self._entry, document, now_ns, self._responses).run()
