"""The HTTP client: one request, its redirects and retries, to an answer of bounded size.

Every hop is checked against the allow-list, and dials only addresses that were. It neither decodes nor remembers answers.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

import aiohttp

from authz.outbound import failures, urls
from authz.outbound.addresses import CheckedResolver
from authz.outbound.backoff import delay_s
from authz.outbound.errors import SendError
from authz.outbound.gunzip import GunzipError, GunzipTooLargeError, gunzip
from authz.outbound.hop import Hop
from authz.outbound.settings import DEFAULT_TIMEOUT_NS, SendSettings
from authz.outbound.tls import TlsContexts
from authz.rego.builtins.http_response import Fields, field
from authz.rego.builtins.octets import text_of
from authz.rego.errors import EVAL_CANCEL, EvalError
from authz.rego.pending import HTTP_SEND, HttpRequest, TlsOptions
from authz.rego.values import without_surrogates

MAX_REDIRECTS: Final = 10
MAX_CONNECTIONS: Final = 100
"""Open connections to all hosts together; requests beyond wait for one, within their time."""

LONGEST_DELAY_S: Final = 60.0
"""How long a retry waits at most: OPA's number."""

# The library adds these by itself where a request does not have them; OPA does not.
_NOT_ADDED: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_FRAMING: Final = frozenset({"transfer-encoding", "trailer"})


@dataclass(frozen=True, slots=True)
class Response:
    """An answer as it came, its body whole and unpacked."""

    status: str
    code: int
    headers: Fields
    body: bytes


class HttpClient:
    """Sends requests over connections that it keeps, between `open` and `close`."""

    def __init__(self, settings: SendSettings) -> None:
        self._settings = settings
        self._tls = TlsContexts(settings)
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Get ready to send on the running loop."""
        connector = aiohttp.TCPConnector(limit=MAX_CONNECTIONS, resolver=CheckedResolver(self._settings.allowed))
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),  # `_attempt` bounds everything together
            auto_decompress=False,
            skip_auto_headers=_NOT_ADDED,
        )
        if not self._settings.allow_http:
            await self._tls.context(TlsOptions())  # slow to make: not in the first check that needs it

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def fetch(self, request: HttpRequest, conditions: Fields = ()) -> Response:
        """Return the answer to a request, made conditional by some headers. Raises SendError; EvalError for an answer that is too large."""
        for attempt in range(request.retries + 1):
            if attempt:
                await asyncio.sleep(delay_s(attempt, LONGEST_DELAY_S))
            try:
                return await self._attempt(request, conditions)
            except SendError as error:
                is_passing = error.is_network and error.outcome in ("network", "timeout")
                if attempt == request.retries or not is_passing:
                    raise
        raise AssertionError("the last attempt neither answered nor failed")

    async def _attempt(self, request: HttpRequest, conditions: Fields) -> Response:
        progress = _Progress()
        try:
            async with asyncio.timeout(self._timeout_s(request)):
                return await self._follow(Hop.first(request, conditions), request, progress)
        except TimeoutError:
            raise failures.too_late(request.method, request.url, is_reading=progress.is_reading, raises=request.raises) from None

    def _timeout_s(self, request: HttpRequest) -> float:
        wanted_ns = DEFAULT_TIMEOUT_NS if request.timeout_ns is None else request.timeout_ns
        return min(wanted_ns / 1e9, self._settings.timeout_s) if wanted_ns else self._settings.timeout_s

    async def _follow(self, hop: Hop, request: HttpRequest, progress: _Progress) -> Response:
        """Ask, and ask again where redirects lead if the request follows them."""
        urls.check(hop.url, self._settings)
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._ask(hop, request.tls)
            try:
                following = _redirected(hop, response) if request.follows_redirects else None
                if following is None:
                    progress.is_reading = True
                    return await self._read(hop, response)
            finally:
                response.close()
            try:
                urls.check(following.url, self._settings)
            except SendError as error:
                raise failures.in_redirect(error, following) from None
            hop = following
        raise failures.too_many_redirects(MAX_REDIRECTS, hop)

    async def _ask(self, hop: Hop, tls: TlsOptions) -> aiohttp.ClientResponse:
        """Return an answer whose headers are there."""
        assert self._session is not None
        is_https = hop.url.scheme == "https"
        context = await self._tls.context(tls) if is_https or tls != TlsOptions() else True
        server_name = tls.server_name or hop.server_name if is_https else None
        try:
            return await self._session.request(
                hop.method,
                hop.url,
                headers=hop.headers,
                data=hop.body or None,
                allow_redirects=False,
                ssl=context,
                server_hostname=server_name,
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise failures.on_the_way(error, hop) from None

    async def _read(self, hop: Hop, response: aiohttp.ClientResponse) -> Response:
        """Return the whole answer; EvalError if it is too large."""
        body = bytearray()
        try:
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > self._settings.max_response_bytes:
                    raise self._too_large(hop)
        except (aiohttp.ClientError, OSError) as error:
            raise failures.while_reading(error) from None
        headers = _fields(response)
        status = f"{response.status} {without_surrogates(response.reason or '')}"
        if hop.asks_for_gzip and body and field(headers, "content-encoding").lower() == "gzip":
            packed = ("content-encoding", "content-length")
            headers = tuple((name, value) for name, value in headers if name not in packed)
            return Response(status, response.status, headers, self._unpacked(body, hop))
        return Response(status, response.status, headers, bytes(body))

    def _unpacked(self, data: bytearray, hop: Hop) -> bytes:
        try:
            return gunzip(data, self._settings.max_response_bytes)
        except GunzipTooLargeError:
            raise self._too_large(hop) from None
        except GunzipError as error:
            raise SendError("network", str(error)) from None

    def _too_large(self, hop: Hop) -> EvalError:
        """Return an error that no policy can take for an answer: OPA would have answered with the whole."""
        most = self._settings.max_response_bytes
        return EvalError(EVAL_CANCEL, f"{HTTP_SEND}: the answer of `{hop.url.raw_host}` is larger than {most} bytes")


@dataclass(slots=True)
class _Progress:
    """How far an attempt has come; its timeout is named after that."""

    is_reading: bool = False


def _redirected(hop: Hop, response: aiohttp.ClientResponse) -> Hop | None:
    location = next((value for name, value in response.raw_headers if name.lower() == b"location"), b"")
    return hop.redirected(response.status, without_surrogates(text_of(location)))


def _fields(response: aiohttp.ClientResponse) -> Fields:
    """Return the headers as Go has them: those of the connection left out, `Pragma: no-cache` in today's words."""
    fields = tuple((text_of(name).lower(), text_of(value)) for name, value in response.raw_headers)
    if field(fields, "pragma") == "no-cache" and not field(fields, "cache-control"):
        fields += (("cache-control", "no-cache"),)
    return tuple(item for item in fields if item[0] not in _FRAMING)
