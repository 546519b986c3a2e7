"""Downloads that are not active: which wait for an answer, which were refused and may still fit together with what comes later.

Knows what to try; tries nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from authz.control_plane.contents import Parts
from authz.refresh.messages import Failed
from authz.services.downloads import Activated, Outcome, Rejected


@dataclass(slots=True)
class Candidate:
    """A download that is not active. `answer` is None once it was refused: it may still fit together with what comes later."""

    parts: Parts
    answer: asyncio.Future[Outcome] | None

    @property
    def is_waited_for(self) -> bool:
        """Whether somebody is there who hears the answer."""
        return self.answer is not None and not self.answer.cancelled()

    def settle(self, outcome: Outcome) -> None:
        """Answer, if nobody has."""
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(outcome)
        self.answer = None


Chosen = Mapping[str, Candidate]
"""Candidates by the names of their bundles."""


class Candidates:
    """The newest download of each bundle, unless it is active."""

    def __init__(self) -> None:
        self._by_name: dict[str, Candidate] = {}

    def __len__(self) -> int:
        return len(self._by_name)

    @property
    def names(self) -> Collection[str]:
        return self._by_name.keys()

    def add(self, parts: Parts, answer: asyncio.Future[Outcome] | None) -> Candidate:
        """Have another one in the place of what there was of its bundle."""
        candidate = self._by_name[parts.name] = Candidate(parts, answer)
        return candidate

    def remove(self, candidate: Candidate) -> None:
        """Forget one, unless another has come in its place."""
        if self._by_name.get(candidate.parts.name) is candidate:
            del self._by_name[candidate.parts.name]

    def withdraw(self, name: str) -> None:
        """Forget what was refused of a bundle."""
        candidate = self._by_name.get(name)
        if candidate is not None and candidate.answer is None:
            del self._by_name[name]

    def keep(self, names: Collection[str], outcome: Outcome) -> None:
        """Answer and forget those of other bundles."""
        for name in [name for name in self._by_name if name not in names]:
            self._by_name.pop(name).settle(outcome)

    def settle_all(self, outcome: Outcome) -> None:
        """Answer all, and forget none."""
        for candidate in self._by_name.values():
            candidate.settle(outcome)

    def fresh(self) -> Chosen:
        """Return those that were not tried yet."""
        return {name: candidate for name, candidate in self._by_name.items() if candidate.answer is not None}

    def refused(self) -> list[Chosen]:
        """Return what of the refused to try: nothing, all, and each alone, for one that is ill must not hold up the others."""
        refused = {name: candidate for name, candidate in self._by_name.items() if candidate.answer is None}
        singles = [{name: candidate} for name, candidate in refused.items()] if len(refused) > 1 else []
        return [{}, refused, *singles] if refused else [{}]

    def among(self, chosen: Chosen) -> Chosen:
        """Return those of the chosen that are still there."""
        return {name: candidate for name, candidate in chosen.items() if self._by_name.get(name) is candidate}

    def refuse(self, candidate: Candidate, failed: Failed) -> None:
        """Answer one with its failure; if it is wrong by itself, whatever else may come, forget it."""
        candidate.settle(Rejected(failed.message, failed.errors, failed.is_final, failed.help, failed.code))
        if failed.bundle == candidate.parts.name:
            self.remove(candidate)

    def accept(self, candidate: Candidate, activated: Activated) -> None:
        """Answer and forget one that is active."""
        candidate.settle(activated)
        self.remove(candidate)
