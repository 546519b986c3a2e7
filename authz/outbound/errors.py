"""How a request can fail, where the failure is its answer. Knows no texts."""

from __future__ import annotations

from typing import Literal, TypeAlias

from authz.rego.builtins.http_response import INTERNAL_ERROR, NETWORK_ERROR

Outcome: TypeAlias = Literal["ok", "refused", "timeout", "network", "invalid", "too_large"]
"""What became of a request: a closed set, for metrics."""


class SendError(Exception):
    """A request failed. `message` is for the policy that sent it, in OPA's words; no log holds it, since it names the URL.

    `is_network` tells the two codes apart that OPA has: what happened on the way to an answer's headers, and everything else.
    """

    def __init__(self, outcome: Outcome, message: str, *, is_network: bool = False) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.message = message
        self.is_network = is_network

    @property
    def code(self) -> str:
        """OPA's code."""
        return NETWORK_ERROR if self.is_network else INTERNAL_ERROR
