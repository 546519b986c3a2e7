"""SPIFFE IDs, to the letter of the SPIFFE-ID standard, section 2.

Compares bytes and normalises nothing. This module does not know where an ID came from.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from authz.errors import AuthzError, ErrorCode

SCHEME: Final = "spiffe://"
MAX_ID_BYTES: Final = 2048  # SPIFFE-ID 2.3: support up to this; we refuse more
MAX_TRUST_DOMAIN_BYTES: Final = 255

_TRUST_DOMAIN: Final = re.compile(r"[a-z0-9._-]+")
_PATH: Final = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._-]++)*+")
_KUBERNETES_PATH: Final = re.compile(r"/ns/([^/]+)/sa/([^/]+)")


class SpiffeIdFault(StrEnum):
    """Which part of the standard a text breaks."""

    NOT_ASCII = "not_ascii"
    TOO_LONG = "too_long"
    SCHEME = "scheme"
    TRUST_DOMAIN = "trust_domain"
    PATH = "path"


class SpiffeIdError(AuthzError):
    """A text is not a SPIFFE ID; `reason` says which part is wrong. The message never quotes the text."""

    code = ErrorCode.IDENTITY

    def __init__(self, reason: SpiffeIdFault) -> None:
        super().__init__(f"not a SPIFFE ID: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class SpiffeId:
    """A valid SPIFFE ID; build it with `parse`.

    `path` is empty for an ID that names a trust domain: legal, but never a workload.
    """

    text: str
    trust_domain: str
    path: str

    @classmethod
    def parse(cls, text: str) -> SpiffeId:
        """Read an ID byte for byte; raise SpiffeIdError.

        The standard asks for a lower-case trust domain (2.1) and calls it case-insensitive (2.4).
        Upper case is refused here, so that a decision never depends on who normalised first.
        """
        if not text.isascii():
            raise SpiffeIdError(SpiffeIdFault.NOT_ASCII)
        if len(text) > MAX_ID_BYTES:
            raise SpiffeIdError(SpiffeIdFault.TOO_LONG)
        if not text.startswith(SCHEME):
            raise SpiffeIdError(SpiffeIdFault.SCHEME)
        slash = text.find("/", len(SCHEME))
        trust_domain, path = (text[len(SCHEME) :], "") if slash < 0 else (text[len(SCHEME) : slash], text[slash:])
        if len(trust_domain) > MAX_TRUST_DOMAIN_BYTES or not _TRUST_DOMAIN.fullmatch(trust_domain):
            raise SpiffeIdError(SpiffeIdFault.TRUST_DOMAIN)
        if not _PATH.fullmatch(path):
            raise SpiffeIdError(SpiffeIdFault.PATH)
        return cls(text, trust_domain, path)

    @property
    def is_workload(self) -> bool:
        """Tell whether the ID has a path; one without names the trust domain itself."""
        return bool(self.path)

    @property
    def namespace(self) -> str | None:
        """Return NS of a path that is exactly `/ns/NS/sa/SA`, as Kubernetes meshes write it."""
        match = _KUBERNETES_PATH.fullmatch(self.path)
        return match[1] if match else None

    @property
    def service_account(self) -> str | None:
        """Return SA of a path that is exactly `/ns/NS/sa/SA`."""
        match = _KUBERNETES_PATH.fullmatch(self.path)
        return match[2] if match else None

    def __str__(self) -> str:
        return self.text
