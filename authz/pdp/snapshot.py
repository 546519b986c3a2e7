"""A snapshot: everything that decides, built once and swapped whole.

Knows how the parts belong together; neither where policies come from nor when one is activated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from authz.extauthz import Answers, IdentitySource, InputConfig, Projection
from authz.identity import IdentityConfig, IdentityResolver
from authz.pdp.cache import CacheConfig, DecisionCache
from authz.pdp.evaluation import AskingEntryPoint, CompiledEntryPoint, EntryPoint, Responses, Table
from authz.rego.pending import HTTP_SEND


class Policy(Protocol):
    """A compiled policy."""

    def entrypoint(self, path: str, /) -> CompiledEntryPoint: ...


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Snapshot:
    """One activated policy with what it needs to decide. Immutable, but for what it remembers.

    The cache is the snapshot's own, so a swap empties it; None where decisions may not or need not be remembered. A check that
    waits holds on to its snapshot, so the policy may be freed when the snapshot is gone, and not before.
    """

    revision: str
    entrypoint: str
    entry: EntryPoint
    projection: Projection
    answers: Answers
    cache: DecisionCache | None

    @classmethod
    def build(  # noqa: PLR0913 - the parts of a snapshot are what it is made from
        cls,
        policy: Policy,
        *,
        entrypoint: str,
        revision: str,
        identity: IdentityConfig | None = None,
        cache: CacheConfig | None = None,
        input: InputConfig | None = None,
        responses: Responses | None = None,
    ) -> Snapshot:
        """Prepare a compiled policy to decide with one of its entry points.

        With `responses`, an entry point that can call `http.send` stops for those that are not at hand; without, the call fails.
        Nothing is cached for a policy that reads the clock or calls any other non-deterministic built-in, nor for one whose reads
        are never the same twice.
        """
        rule = policy.entrypoint(entrypoint)
        entry: EntryPoint = rule
        if responses is not None and HTTP_SEND in rule.reads.nondeterministic:
            entry = AskingEntryPoint(rule, responses)
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
        )

    @property
    def table(self) -> Table:
        """Return the size of the decision table."""
        return self.entry.table
