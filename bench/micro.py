"""The check without a wire: each stage alone, then bytes in to bytes out.

Two policies: three rules that answer `true`, and roles in data that answer with an object.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from time import time_ns
from typing import Any, Final

from authz.extauthz import decode
from authz.server.rpc import Call
from bench import subject
from bench.measure import Take, by_turns, last_core, pinned, summary, timed
from bench.record import Figures
from bench.subject import THREE_RULES, Subject

WHOLE: Final = "check allowed: bytes → bytes"
OBJECT_WHOLE: Final = "check allowed with an object: bytes → bytes"

Work = Callable[[Any], object]


@dataclass(frozen=True, slots=True)
class Stage:
    """A function of one argument and the arguments it is called with, by turns."""

    name: str
    work: Work
    arguments: Sequence[Any]

    def take(self) -> Take:
        arguments = cycle([(argument,) for argument in self.arguments])
        return lambda calls: timed(self.work, islice(arguments, calls))


def stages() -> list[Stage]:
    """Return every stage of an allowed check, then whole checks of each kind."""
    payloads = subject.requests(subject.allowed())
    denied = subject.requests(subject.denied())
    certified = subject.requests(subject.certified(subject.allowed()))
    return [
        *_parts(THREE_RULES, payloads),
        Stage(WHOLE, _check(THREE_RULES), payloads),
        Stage("check allowed, with certificate", _check(THREE_RULES), certified),
        Stage("check denied, from the cache", _check(THREE_RULES), denied),
        Stage("check denied, evaluated", _check(THREE_RULES, is_cached=False), denied),
    ]


def object_stages() -> list[Stage]:
    """Return the stages of a check that a role allows and that is answered with an object, then the whole of it."""
    payloads = subject.requests(subject.allowed())
    rbac = subject.rbac()
    return [
        *_parts(rbac, payloads),
        Stage(OBJECT_WHOLE, _check(rbac), payloads),
        Stage("check denied with an object, evaluated", _check(rbac, is_cached=False), subject.requests(subject.denied())),
    ]


def _parts(policy: Subject, payloads: list[bytes]) -> list[Stage]:
    snapshot = subject.snapshot(policy)
    decoded = [decode(payload) for payload in payloads]
    leaves = [snapshot.projection.leaves(request) for request in decoded]
    documents = [snapshot.projection.document(values) for values in leaves]
    now_ns = time_ns()
    evaluate = snapshot.entry.evaluate
    decisions = [evaluate(document, now_ns) for document in documents]
    return [
        Stage("decode CheckRequest", decode, payloads),
        Stage("identity and projection", snapshot.projection.leaves, decoded),
        Stage("input document", snapshot.projection.document, leaves),
        Stage("decision table", lambda document: evaluate(document, now_ns), documents),
        Stage("encode CheckResponse", snapshot.answers.encode, decisions),
    ]


def _check(policy: Subject, *, is_cached: bool = True) -> Work:
    service, call = subject.check_service(policy, is_cached=is_cached), Call(None, "ipv4:127.0.0.1:1")
    return lambda payload: service.check(payload, call)


def run(*, is_quick: bool = False) -> Figures:
    """Measure every stage of both; return medians and percentiles in microseconds a call."""
    sets = {"stages": stages(), "object": object_stages()}
    takes = {(part, stage.name): stage.take() for part, measured in sets.items() for stage in measured}
    with pinned(last_core()):
        samples = by_turns(takes, rounds=40 if is_quick else 300)
    figures: Figures = {"request_bytes": len(subject.requests(subject.allowed())[0])}
    for (part, name), values in samples.items():
        figures.setdefault(part, {})[name] = summary(values)
    return figures
