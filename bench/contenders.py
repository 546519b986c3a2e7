"""What can be asked for a decision in this process: a compiled policy, or the same decision by hand.

Both get the same input: what a check request is projected to, made anew for each call outside of the measured time, because the
texts of a request that has just come in have not been hashed yet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle, islice
from typing import Any

import orjson

from authz.rego import Document, Policy, from_json
from bench.families import ENTRYPOINT, Floor
from bench.measure import Take, timed


def policy_take(policy: Policy, requests: Sequence[Document], entrypoint: str = ENTRYPOINT) -> Take:
    """Return what measures the decision step of a policy."""
    return _take(policy.entrypoint(entrypoint).evaluate, requests, 0)


def floor_take(floor: Floor, requests: Sequence[Document]) -> Take:
    """Return what measures the decision by hand."""
    return _take(floor, requests)


def _take(work: Callable[..., object], requests: Sequence[Document], *more: Any) -> Take:
    texts = cycle([orjson.dumps(request) for request in requests])
    return lambda calls: timed(work, ((from_json(orjson.loads(text)), *more) for text in islice(texts, calls)))
