"""A snapshot: everything that decides, built once and swapped whole.

Knows how the parts belong together; neither where policies come from nor when one is activated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from authz.extauthz import Answers, IdentitySource, InputConfig, Projection
from authz.identity import IdentityConfig, IdentityResolver
from authz.pdp.cache import CacheConfig, DecisionCache
from authz.rego.values import Value


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
    """A compiled rule that decides. `evaluate` returns None for undefined and raises EvalError."""

    @property
    def reads(self) -> Reads: ...
    @property
    def table(self) -> Table: ...
    def evaluate(self, document: Value, now_ns: int, /) -> Value | None: ...


class Policy(Protocol):
    """A compiled policy."""

    def entrypoint(self, path: str, /) -> EntryPoint: ...


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One activated policy with what it needs to decide. Immutable, but for what it remembers.

    The cache is the snapshot's own, so a swap empties it; None where decisions may not or need not be remembered.
    """

    revision: str
    entrypoint: str
    entry: EntryPoint
    projection: Projection
    answers: Answers
    cache: DecisionCache | None
    activated_ns: int

    @classmethod
    def build(  # noqa: PLR0913 - the parts of a snapshot are what it is made from
        cls,
        policy: Policy,
        *,
        entrypoint: str,
        revision: str,
        activated_ns: int,
        identity: IdentityConfig | None = None,
        cache: CacheConfig | None = None,
        input: InputConfig | None = None,
    ) -> Snapshot:
        """Prepare a compiled policy to decide with one of its entry points.

        Nothing is cached for a policy that reads the clock or calls any other non-deterministic built-in, nor for one whose reads
        are never the same twice.
        """
        entry = policy.entrypoint(entrypoint)
        identities = IdentitySource(IdentityResolver(identity or IdentityConfig()))
        projection = Projection(entry.reads.input, identities, input or InputConfig())
        limits = cache or CacheConfig()
        cacheable = projection.repeats and not entry.reads.nondeterministic and limits.remembers
        return cls(
            revision=revision,
            entrypoint=entrypoint,
            entry=entry,
            projection=projection,
            answers=Answers(),
            cache=DecisionCache(limits) if cacheable else None,
            activated_ns=activated_ns,
        )

    @property
    def table(self) -> Table:
        """Return the size of the decision table."""
        return self.entry.table
