"""OAuth2: obtains a token for a service and keeps it until shortly before it expires. Knows nothing of what the token opens."""

from __future__ import annotations

import asyncio
import base64
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic, time
from typing import Any, Final
from urllib.parse import urlencode

import jwt
import msgspec
from yarl import URL

from authz.services.credentials import read_secret, with_headers
from authz.services.errors import Failure, ServiceError
from authz.services.settings import KeySettings, Oauth2Settings
from authz.services.transport import Answer, Request, Send

MIN_LIFETIME_S: Final = 10.0
ASSERTION_LIFETIME_S: Final = 600
TIMEOUT_S: Final = 10.0
"""OPA's: a token with less to live is not used, how long an assertion is good, how long the token's server may take."""

DEFAULT_LIFETIME_S: Final = 0.0
"""A token of unknown life is used once, as OPA does."""

_JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class _TokenAnswer(msgspec.Struct, frozen=True):
    access_token: str
    token_type: str
    expires_in: float = DEFAULT_LIFETIME_S


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    expires_s: float


class Oauth2:
    """Tokens of one service; several requests that need a new one wait for the same."""

    def __init__(
        self, settings: Oauth2Settings, keys: Mapping[str, KeySettings], send: Send, now_s: Callable[[], float] = monotonic
    ) -> None:
        self._settings = settings
        self._key = keys.get(settings.signing_key)
        self._send = send
        self._now_s = now_s
        self._token: _Token | None = None
        self._lock = asyncio.Lock()

    async def authorize(self, request: Request) -> Request:
        """Return the request with a token that is good for a while."""
        async with self._lock:
            if self._token is None or self._token.expires_s - self._now_s() < MIN_LIFETIME_S:
                self._token = await self._obtain()
            token = self._token
        return with_headers(request, Authorization=f"Bearer {token.text}")

    async def refused(self, request: Request, answer: Answer) -> bool:  # noqa: ARG002 - whatever was refused and how
        """Obtain another token for the next attempt, which comes after its pause."""
        self._token = None
        return False

    async def _obtain(self) -> _Token:
        settings = self._settings
        asked_s = self._now_s()
        headers = {"Content-Type": "application/x-www-form-urlencoded", **settings.additional_headers}
        if settings.grant_type == "client_credentials" and settings.client_secret:
            pair = base64.b64encode(f"{settings.client_id}:{settings.client_secret}".encode()).decode()
            headers.setdefault("Authorization", f"Basic {pair}")
        body = urlencode(await self._form()).encode()
        try:
            answer = await self._send(Request("POST", URL(settings.token_url), headers, body, header_timeout_s=TIMEOUT_S))
        except ServiceError as error:
            raise ServiceError(error.failure, f"token_url: {error.message}") from None
        return self._read(answer, asked_s)

    def _read(self, answer: Answer, asked_s: float) -> _Token:
        if answer.status != 200:
            raise ServiceError(Failure.CREDENTIALS, f"token_url: server replied with {answer.status} {answer.reason}{_said(answer.body)}")
        try:
            found = msgspec.json.decode(answer.body, type=_TokenAnswer)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ServiceError(Failure.CREDENTIALS, f"token_url: the answer is not a token: {str(error).lower()}") from None
        if found.token_type.lower() != "bearer":
            raise ServiceError(Failure.CREDENTIALS, f"token_url: unknown token type `{found.token_type}`")
        text = found.access_token.strip()
        if not text or not text.isascii() or not text.isprintable():
            raise ServiceError(Failure.CREDENTIALS, "token_url: the token cannot be sent in a header")
        return _Token(text, asked_s + found.expires_in)

    async def _form(self) -> dict[str, str]:
        """Return what the token's server is sent (RFC 6749 §4.4, RFC 7523 §2)."""
        settings = self._settings
        form = {"scope": " ".join(settings.scopes)} if settings.scopes else {}
        form |= settings.additional_parameters
        if settings.grant_type == "jwt_bearer":
            return form | {"grant_type": _JWT_BEARER, "assertion": await self._assertion()}
        form["grant_type"] = "client_credentials"
        if settings.client_secret:
            return form
        if settings.client_id:
            form["client_id"] = settings.client_id
        if settings.signing_key:
            return form | {"client_assertion_type": _ASSERTION_TYPE, "client_assertion": await self._assertion()}
        form["client_assertion_type"] = settings.client_assertion_type
        path = settings.client_assertion_path
        form["client_assertion"] = await read_secret(path) if path else settings.client_assertion
        return form

    async def _assertion(self) -> str:
        assert self._key is not None, "resolution has looked for the key"
        return await asyncio.to_thread(signed_assertion, self._settings, self._key, int(time()))


def signed_assertion(settings: Oauth2Settings, key: KeySettings, now_s: int) -> str:
    """Return the JWT that stands for the client. Raises ServiceError for a key that cannot sign."""
    claims: dict[str, Any] = {"iat": now_s, "exp": now_s + ASSERTION_LIFETIME_S, **settings.additional_claims}
    if settings.scopes:
        claims["scope"] = " ".join(settings.scopes)
    if settings.include_jti_claim:
        claims["jti"] = str(uuid.uuid4())
    headers = {"x5t": base64.urlsafe_b64encode(bytes.fromhex(settings.thumbprint)).decode()} if settings.thumbprint else {}
    try:
        return jwt.encode(claims, key.private_key, algorithm=key.algorithm, headers=headers)
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise ServiceError(Failure.CREDENTIALS, f"key `{settings.signing_key}` cannot sign: {error}") from None


def _said(body: bytes) -> str:
    """Return what a server said of a failure, as far as a log line can bear it."""
    text = body[:200].decode("utf-8", "replace")
    return f": {text}" if text.isprintable() and text else ""
