"""What one x-forwarded-client-cert element says, and how a header that says it badly is refused.

Shared by the text and the JSON reader; knows neither grammar.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from authz.errors import AuthzError, ErrorCode
from authz.identity.refusal import Refusal

MAX_ELEMENTS: Final = 32
MAX_PAIRS: Final = 256
REPEATABLE: Final = ("by", "uri", "dns")
SINGLE: Final = frozenset({"hash", "cert", "chain", "subject", "issuer"})


class XfccError(AuthzError):
    """A header is refused. The message never quotes it: its text is the sender's."""

    code = ErrorCode.IDENTITY

    def __init__(self, reason: Refusal) -> None:
        super().__init__(f"x-forwarded-client-cert refused: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class XfccElement:
    """One proxy's word about the certificate of its client.

    `subject` and `issuer` keep their RFC 2253 escapes; `""` is present and empty. `cert` and `chain` are as the form has
    them: URL-encoded PEM in the text form, where `chain` is one text; plain PEM, one text each, in the JSON form.
    """

    by: tuple[str, ...] = ()
    hash: str | None = None
    cert: str | None = None
    chain: tuple[str, ...] = ()
    subject: str | None = None
    issuer: str | None = None
    uri: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()

    @classmethod
    def build(cls, lists: Mapping[str, Sequence[str]], singles: Mapping[str, str], chain: Sequence[str]) -> XfccElement:
        """Build from lower-case names; what both forms treat as absent when empty is left out."""
        return cls(
            by=tuple(filter(None, lists.get("by", ()))),
            hash=singles.get("hash") or None,
            cert=singles.get("cert") or None,
            chain=tuple(filter(None, chain)),
            subject=singles.get("subject"),
            issuer=singles.get("issuer"),
            uri=tuple(filter(None, lists.get("uri", ()))),
            dns=tuple(filter(None, lists.get("dns", ()))),
        )
