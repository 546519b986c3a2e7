"""Amazon ECR: a registry whose password is handed out to who can sign for it, for half a day at a time. Knows nothing of artifacts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Final, TypeAlias

import msgspec
from yarl import URL

from authz.services.aws import AwsSigning, sign
from authz.services.credentials import MAX_TOKEN_BYTES, with_headers
from authz.services.errors import Failure, ServiceError
from authz.services.transport import Answer, Request, Send

SERVICE: Final = "ecr"
RENEWED_BEFORE_S: Final = 300.0
"""A password with less to live is not used, as in OPA."""

_HEADERS: Final = {
    "Content-Type": "application/x-amz-json-1.1",
    "X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
}
_BODY: Final = b"{}"

Endpoint: TypeAlias = Callable[[str], URL]
"""Return where the passwords of a region come from."""


class _Authorization(msgspec.Struct, frozen=True, rename="camel"):
    authorization_token: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TOKEN_BYTES, pattern="^[A-Za-z0-9+/=]+$")]
    expires_at: float


class _Answer(msgspec.Struct, frozen=True, rename="camel"):
    """What GetAuthorizationToken answers (Amazon ECR API reference)."""

    authorization_data: Annotated[tuple[_Authorization, ...], msgspec.Meta(min_length=1)]


@dataclass(frozen=True, slots=True)
class _Password:
    encoded: str = field(repr=False)
    expires_s: float


def endpoint_of(registry: URL) -> Endpoint:
    """Return where passwords for a registry come from: China's regions have a domain of their own."""
    domain = "amazonaws.com.cn" if (registry.host or "").endswith(".cn") else "amazonaws.com"
    return lambda region: URL(f"https://ecr.{region}.{domain}/")


class EcrPasswords:
    """The password of one registry; several requests that need a new one wait for the same."""

    def __init__(
        self, signing: AwsSigning, send: Send, endpoint: Endpoint, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._signing = signing
        self._send = send
        self._endpoint = endpoint
        self._now = now
        self._password: _Password | None = None
        self._lock = asyncio.Lock()

    async def authorize(self, request: Request) -> Request:
        """Return the request with a password that is good for a while. Raises ServiceError."""
        async with self._lock:
            if self._password is None or self._password.expires_s - self._now().timestamp() < RENEWED_BEFORE_S:
                self._password = await self._obtain()
            password = self._password
        return with_headers(request, Authorization=f"Basic {password.encoded}")

    async def refused(self, request: Request, answer: Answer) -> bool:
        """Have the password forgotten, and keys that were remembered too."""
        self._password = None
        return await self._signing.refused(request, answer)

    async def _obtain(self) -> _Password:
        signer = await self._signing.signer()
        url = self._endpoint(signer.region)
        request = sign(Request("POST", url, _HEADERS, _BODY), signer, SERVICE, self._now())
        try:
            answer = await self._send(request)
        except ServiceError as error:
            raise ServiceError(error.failure, f"{url.host}: {error.message}") from None
        if answer.status != 200:
            await self._signing.refused(request, answer)
            text = f"{url.host}: server replied with {answer.reason or answer.status}"
            help = "the keys need the permission ecr:GetAuthorizationToken"
            raise ServiceError(Failure.CREDENTIALS, text, http_code=answer.status, help=help)
        try:
            found = msgspec.json.decode(answer.body, type=_Answer).authorization_data[0]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ServiceError(Failure.CREDENTIALS, f"{url.host}: the answer is no password: {str(error).lower()}") from None
        return _Password(found.authorization_token, found.expires_at)
