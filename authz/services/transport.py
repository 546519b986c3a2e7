"""One HTTP exchange with a bound for everything: time to the answer, time of its body, bytes.

Follows no redirect and knows no credentials: what is sent is what it is given.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Final, Protocol, Self, TypeAlias

import aiohttp
from aiohttp.resolver import ThreadedResolver
from multidict import CIMultiDictProxy
from yarl import URL

from authz.outbound import urls
from authz.outbound.failures import reason
from authz.outbound.gunzip import GunzipError, GunzipTooLargeError, gunzip, gunzip_head
from authz.services.errors import Failure, ServiceError
from authz.services.proxies import Proxies

MAX_CONNECTIONS: Final = 8
MAX_SMALL_BODY_BYTES: Final = 2**20

GZIP_MAGIC: Final = b"\x1f\x8b"
_NOT_ADDED: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a body may take, altogether and between two pieces of it: OPA waits for ever."""

    body_timeout_s: float = 300.0
    idle_timeout_s: float = 30.0


DEFAULT_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent. `is_archive`: the answer is wanted as gzip, whatever its Content-Encoding says of it."""

    method: str
    url: URL
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    max_bytes: int = MAX_SMALL_BODY_BYTES
    header_timeout_s: float = 10.0
    is_archive: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whole. Headers by name, whatever its case."""

    status: int
    reason: str
    headers: CIMultiDictProxy[str]
    body: bytes


Send: TypeAlias = Callable[[Request], Awaitable[Answer]]
"""One exchange."""


class TlsSource(Protocol):
    """Where contexts come from; asked for every exchange, so that certificates may change."""

    async def context(self) -> ssl.SSLContext:
        """Return the context as its files are now. Raises ServiceError."""


class Transport:
    """Exchanges with any server, over connections that it keeps while it is entered."""

    def __init__(self, tls: TlsSource, proxies: Proxies, limits: Limits) -> None:
        self._tls = tls
        self._proxies = proxies
        self._limits = limits
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, resolver=ThreadedResolver()),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),  # `send` bounds everything
            auto_decompress=False,
            skip_auto_headers=_NOT_ADDED,
            trust_env=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()

    async def send(self, request: Request) -> Answer:
        """Return the answer, whatever its status. Raises ServiceError."""
        async with self._answered(request) as response:
            if request.method == "HEAD":  # whose headers tell of a body that does not come
                return Answer(response.status, response.reason or "", response.headers, b"")
            body = await self._read(request, response)
            encoding = response.headers.get("Content-Encoding", "").lower()
            if encoding in ("gzip", "x-gzip"):
                body = await _unpacked(body, request)
            elif encoding not in ("", "identity"):
                raise ServiceError(Failure.ENCODING, f"the answer is encoded as `{encoding}`, which was not asked for")
            return Answer(response.status, response.reason or "", response.headers, body)

    @asynccontextmanager
    async def _answered(self, request: Request) -> AsyncIterator[aiohttp.ClientResponse]:
        """Have the head of the answer meanwhile; the connection is free, or closed, afterwards."""
        assert self._session is not None
        proxy = self._proxies.proxy_for(request.url)
        proof = None if proxy is None else urls.credentials(proxy)
        for_proxy = {} if proof is None else {"Proxy-Authorization": proof}
        is_tunnel = request.url.scheme == "https"
        context = await self._tls.context()
        try:
            async with asyncio.timeout(request.header_timeout_s):
                response = await self._session.request(
                    request.method,
                    request.url,
                    headers={"Accept-Encoding": "identity", **request.headers, **({} if is_tunnel else for_proxy)},
                    data=request.body or None,
                    allow_redirects=False,
                    ssl=context,
                    proxy=None if proxy is None else proxy.with_user(None),
                    proxy_headers=for_proxy if is_tunnel and for_proxy else None,
                )
        except TimeoutError:
            raise ServiceError(Failure.TIMEOUT, f"no answer within {request.header_timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _unanswered(error, request.url, proxy) from None
        try:
            yield response
        finally:
            response.close()

    async def _read(self, request: Request, response: aiohttp.ClientResponse) -> bytes:
        if (response.content_length or 0) > request.max_bytes:
            raise _too_large(request)
        body = BytesIO()  # gives its bytes away without copying them, which for a large body would hold up the loop
        try:
            async with asyncio.timeout(self._limits.body_timeout_s):
                while chunk := await self._piece(response):
                    body.write(chunk)
                    if body.tell() > request.max_bytes:
                        raise _too_large(request)
        except TimeoutError:
            what = f"after {body.tell()} bytes, the rest of the body did not come in time"
            raise ServiceError(Failure.TIMEOUT, what, http_code=response.status) from None
        except (aiohttp.ClientError, OSError):
            raise ServiceError(Failure.TRUNCATED, f"the body ends early, after {body.tell()} bytes", http_code=response.status) from None
        return body.getvalue()

    async def _piece(self, response: aiohttp.ClientResponse) -> bytes:
        async with asyncio.timeout(self._limits.idle_timeout_s):
            return await response.content.readany()


async def _unpacked(body: bytes, request: Request) -> bytes:
    """Return a body without its transport's packing; servers also label as packed what is an archive and nothing else."""
    if request.is_archive and not _holds_gzip(body):
        return body
    try:
        return await asyncio.to_thread(gunzip, body, request.max_bytes)
    except GunzipTooLargeError:
        raise _too_large(request) from None
    except GunzipError as error:
        raise ServiceError(Failure.ENCODING, f"the body does not unpack: {error}") from None


def _holds_gzip(body: bytes) -> bool:
    """Whether what is packed is gzip again."""
    try:
        return gunzip_head(body).startswith(GZIP_MAGIC)
    except GunzipError:
        return False


def _too_large(request: Request) -> ServiceError:
    return ServiceError(Failure.TOO_LARGE, f"the answer is larger than {request.max_bytes} bytes")


def _unanswered(error: Exception, url: URL, proxy: URL | None) -> ServiceError:
    """Return the failure for what ended an exchange before the answer's head was there."""
    text = reason(error, url)
    match error:
        case aiohttp.ClientProxyConnectionError():
            assert proxy is not None
            where = proxy.with_user(None)
            return ServiceError(Failure.PROXY, f"proxy {where}: {reason(error, where)}", help="see HTTPS_PROXY, HTTP_PROXY and NO_PROXY")
        case aiohttp.ClientHttpProxyError():
            return ServiceError(Failure.PROXY, f"the proxy replied with {error.status} {error.message}", http_code=error.status)
        case aiohttp.ClientConnectorDNSError():
            return ServiceError(Failure.DNS, text)
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return ServiceError(Failure.TLS, text)
        case aiohttp.ClientConnectorError():
            return ServiceError(Failure.UNREACHABLE, text)
        case aiohttp.ClientResponseError() | ValueError():
            return ServiceError(Failure.PROTOCOL, text)
    return ServiceError(Failure.UNREACHABLE, text)
