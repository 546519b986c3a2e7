"""A client of one service: its URL, headers and credentials on every request, an error for every answer that is none.

Follows redirects on the same server only, unless whoever asks will verify what comes; credentials never reach another server.
Knows nothing of what is asked for.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Self

from yarl import URL

from authz import __version__
from authz.outbound import urls
from authz.outbound.errors import SendError
from authz.services.aws import S3, AwsSigning
from authz.services.aws_sources import key_sources
from authz.services.credentials import Anonymous, Bearer, Credentials, with_headers
from authz.services.ecr import EcrPasswords, endpoint_of
from authz.services.errors import Failure, ServiceError
from authz.services.oauth2 import Oauth2
from authz.services.proxies import proxies_of
from authz.services.registry_tokens import RegistryTokens
from authz.services.settings import KeySettings, ServiceSettings, TlsSettings
from authz.services.tls import ServiceTls
from authz.services.transport import DEFAULT_LIMITS, MAX_SMALL_BODY_BYTES, Answer, Limits, Request, Send, Transport

MAX_REDIRECTS: Final = 10
OPA_VERSION: Final = "1.20.2"
"""The OPA whose protocols these are: control planes read it in the User-Agent."""

_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
_MACHINE: Final = platform.machine()
USER_AGENT: Final = f"Open Policy Agent/{OPA_VERSION} ({sys.platform}, {_ARCHITECTURES.get(_MACHINE, _MACHINE)}) authz/{__version__}"

_NOT_MODIFIED: Final = 304
_UNAUTHORIZED: Final = frozenset({401, 403})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_KEEPS_METHOD: Final = frozenset({307, 308})


@dataclass(frozen=True, slots=True)
class Expected:
    """What may come back: at most so many bytes, whose head may take this long instead of the service's own time.

    `is_archive` is as in a request. `may_be_elsewhere`: redirects are followed to other servers, for whoever verifies what comes.
    """

    max_bytes: int = MAX_SMALL_BODY_BYTES
    header_timeout_s: float | None = None
    is_archive: bool = False
    may_be_elsewhere: bool = False


class ServiceClient:
    """Asks one service, while it is entered."""

    def __init__(
        self,
        settings: ServiceSettings,
        keys: Mapping[str, KeySettings],
        environment: Mapping[str, str],
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.settings = settings
        proxies = proxies_of(environment)
        self._transport = Transport(ServiceTls(settings), proxies, limits)
        # Others that are asked for proof are not the service: our certificate is not for them, and the system's authorities count.
        self._others = Transport(ServiceTls(_without_identity(settings)), proxies, limits)
        self._credentials = _credentials(settings, keys, environment, self._others)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._transport)
        await self._stack.enter_async_context(self._others)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def get(self, path: str, headers: Mapping[str, str], expected: Expected) -> Answer:
        """Return an answer of status 200 or 304. Raises ServiceError."""
        return await self._obtain("GET", path, headers, expected)

    async def head(self, path: str, headers: Mapping[str, str]) -> Answer:
        """Return the head of what `get` would return. Raises ServiceError."""
        return await self._obtain("HEAD", path, headers, Expected())

    async def _obtain(self, method: str, path: str, headers: Mapping[str, str], expected: Expected) -> Answer:
        timeout_s = expected.header_timeout_s or self.settings.response_header_timeout_seconds
        request = Request(method, self._url(path), headers, b"", expected.max_bytes, timeout_s, expected.is_archive)
        answer = await self._ask(request, may_be_elsewhere=expected.may_be_elsewhere)
        if answer.status not in (200, _NOT_MODIFIED):
            raise _failed(answer)
        return answer

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send a body, which an answer of status 2xx acknowledges. Raises ServiceError."""
        timeout_s = self.settings.response_header_timeout_seconds
        answer = await self._ask(Request("POST", self._url(path), headers, body, MAX_SMALL_BODY_BYTES, timeout_s))
        if not 200 <= answer.status < 300:
            raise _failed(answer)
        return answer

    def _url(self, path: str) -> URL:
        try:
            return urls.parse(f"{self.settings.url.rstrip('/')}/{path.strip('/')}", "GET")
        except SendError as error:
            raise ServiceError(Failure.PROTOCOL, error.message) from None

    async def _ask(self, request: Request, *, may_be_elsewhere: bool = False) -> Answer:
        """Ask, and ask again where redirects lead: on the same server, or as a stranger on others if that is allowed."""
        authorization = urls.credentials(request.url)
        headers = {"User-Agent": USER_AGENT, **({"Authorization": authorization} if authorization else {}), **request.headers}
        request = with_headers(replace(request, url=request.url.with_user(None), headers=headers), **self.settings.headers)
        send: Send = self._authorized
        for _ in range(MAX_REDIRECTS + 1):
            answer = await send(request)
            location = answer.headers.get("Location", "")
            if answer.status not in _REDIRECTS or not location:
                return answer
            url = _target(request, answer.status, location)
            if url.origin() != request.url.origin():
                request = _stranger(request, url, answer.status, may_be_elsewhere=may_be_elsewhere)
                send = self._others.send  # also if it leads back
            request = replace(request, url=url)
        raise ServiceError(Failure.REDIRECT, f"stopped after {MAX_REDIRECTS} redirects")

    async def _authorized(self, request: Request) -> Answer:
        """Ask with our credentials, and once more if there are better ones after a refusal."""
        answer = await self._transport.send(await self._credentials.authorize(request))
        if answer.status in _UNAUTHORIZED and await self._credentials.refused(request, answer):
            answer = await self._transport.send(await self._credentials.authorize(request))
        return answer


def _failed(answer: Answer) -> ServiceError:
    help = "see the service's `credentials`" if answer.status in _UNAUTHORIZED else None
    text = f"server replied with {answer.reason or answer.status}"
    return ServiceError(Failure.STATUS, text, http_code=answer.status, retry_after_s=_retry_after_s(answer), help=help)


def _target(request: Request, status: int, location: str) -> URL:
    """Return where a redirect leads. Raises ServiceError."""
    try:
        url = urls.parse(urls.joined(request.url, location), request.method)
    except SendError as error:
        raise ServiceError(Failure.REDIRECT, error.message, http_code=status) from None
    if request.method == "POST" and status not in _KEEPS_METHOD:
        raise ServiceError(Failure.REDIRECT, f"a {request.method} is redirected with {status}, which would make it a GET", http_code=status)
    return url.with_user(None)


def _stranger(request: Request, url: URL, status: int, *, may_be_elsewhere: bool) -> Request:
    """Return a request to another server, which must not learn who we are. Raises ServiceError unless it may be asked."""
    if not may_be_elsewhere:
        text = f"the server redirects to another one, {url.origin()}: not followed"
        raise ServiceError(Failure.REDIRECT, text, http_code=status, help="let the service's `url` be the one that answers")
    if request.url.scheme == "https" and url.scheme != "https":
        raise ServiceError(Failure.REDIRECT, f"the server redirects from https to {url.origin()}: not followed", http_code=status)
    return replace(request, headers={"User-Agent": USER_AGENT})


def _retry_after_s(answer: Answer) -> float | None:
    """Return the wait that a server asks for, in seconds or until a date."""
    text = answer.headers.get("Retry-After", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _without_identity(settings: ServiceSettings) -> ServiceSettings:
    tls = TlsSettings(settings.tls.ca_cert, system_ca_required=True)
    return ServiceSettings(url=settings.url, name=settings.name, allow_insecure_tls=settings.allow_insecure_tls, tls=tls)


def _credentials(
    settings: ServiceSettings, keys: Mapping[str, KeySettings], environment: Mapping[str, str], others: Transport
) -> Credentials:
    own = _own_credentials(settings, keys, environment, others)
    return RegistryTokens(own, others.send) if settings.is_registry else own


def _own_credentials(
    settings: ServiceSettings, keys: Mapping[str, KeySettings], environment: Mapping[str, str], others: Transport
) -> Credentials:
    given = settings.credentials
    if given.bearer is not None:
        return Bearer(given.bearer, is_encoded=settings.is_registry)
    if given.oauth2 is not None:
        return Oauth2(given.oauth2, keys, others.send)
    if given.s3_signing is not None:
        signing = AwsSigning(given.s3_signing.service or S3, key_sources(given.s3_signing, environment, others.send))
        return EcrPasswords(signing, others.send, endpoint_of(URL(settings.url))) if settings.is_registry else signing
    return Anonymous()
