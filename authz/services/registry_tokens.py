"""Tokens of an OCI registry: obtained where the registry says, with the service's own credentials, for one repository each.

The protocol is the Docker registry's token authentication, which OCI registries share. Knows nothing of what is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec
from multidict import CIMultiDictProxy
from yarl import URL

from authz.outbound import urls
from authz.outbound.errors import SendError
from authz.services.credentials import MAX_TOKEN_BYTES, Credentials, with_headers
from authz.services.errors import Failure, ServiceError
from authz.services.transport import Answer, Request, Send

TIMEOUT_S: Final = 10.0
MAX_REPOSITORIES: Final = 256
"""Repositories whose tokens are remembered; all are forgotten when there are more."""

_UNAUTHORIZED: Final = 401
_BEARER: Final = re.compile(r"(?:^|,)\s*bearer\s+(?=[A-Za-z])", re.IGNORECASE)
_PARAMETER: Final = re.compile(r'\s*([A-Za-z_-]+)\s*=\s*(?:"([^"\\]*)"|([^\s",]+))\s*(?:,|$)')


class _TokenAnswer(msgspec.Struct, frozen=True):
    token: str = ""
    access_token: str = ""


class RegistryTokens:
    """The tokens of one registry; `own` is who we are to it, and to the server that its tokens come from."""

    def __init__(self, own: Credentials, send: Send) -> None:
        self._own = own
        self._send = send
        self._tokens: dict[str, str] = {}

    async def authorize(self, request: Request) -> Request:
        """Return the request with the token of its repository, before there is one with our own credentials."""
        token = self._tokens.get(_repository(request.url))
        return await self._own.authorize(request) if token is None else with_headers(request, Authorization=f"Bearer {token}")

    async def refused(self, request: Request, answer: Answer) -> bool:
        """Obtain a token, if that is what the registry wants. Raises ServiceError."""
        repository = _repository(request.url)
        self._tokens.pop(repository, None)
        challenge = bearer_challenge(answer.headers) if answer.status == _UNAUTHORIZED else None
        if challenge is None:
            return await self._own.refused(request, answer)
        if len(self._tokens) >= MAX_REPOSITORIES:
            self._tokens.clear()
        self._tokens[repository] = await self._obtain(request, challenge)
        return True

    async def _obtain(self, request: Request, challenge: Mapping[str, str]) -> str:
        url = _token_url(request.url, challenge)
        asked = Request("GET", url, _proof_in(request), header_timeout_s=TIMEOUT_S)
        try:
            answer = await self._send(await self._own.authorize(asked))
        except ServiceError as error:
            raise ServiceError(error.failure, f"token server {url.origin()}: {error.message}") from None
        if answer.status != 200:
            await self._own.refused(asked, answer)
            text = f"token server {url.origin()}: server replied with {answer.reason or answer.status}"
            raise ServiceError(Failure.CREDENTIALS, text, http_code=answer.status, help="see the service's `credentials`")
        return _token_of(answer.body, url)


def bearer_challenge(headers: CIMultiDictProxy[str]) -> dict[str, str] | None:
    """Return what an answer says of the tokens that are wanted (RFC 9110 §11.6.1, RFC 6750 §3), None if it wants none."""
    for header in headers.getall("WWW-Authenticate", ()):
        found = _BEARER.search(header)
        if found is None:
            continue
        parameters: dict[str, str] = {}
        position = found.end()
        while match := _PARAMETER.match(header, position):
            parameters.setdefault(match[1].lower(), match[2] if match[2] is not None else match[3])
            position = match.end()
        if parameters.get("realm"):
            return parameters
    return None


def _token_url(registry: URL, challenge: Mapping[str, str]) -> URL:
    """Return where a token comes from. Raises ServiceError for a server that must not see our credentials."""
    realm = challenge["realm"]
    try:
        url = urls.parse(realm, "GET")
    except SendError as error:
        raise ServiceError(Failure.CREDENTIALS, f"the registry names a token server that cannot be asked: {error.message}") from None
    if url.scheme != "https" and registry.scheme == "https":
        raise ServiceError(Failure.CREDENTIALS, f"the registry names a token server without TLS, {url.origin()}: not asked")
    wanted = {name: challenge[name] for name in ("service", "scope") if challenge.get(name)}
    return url.with_user(None).update_query(wanted)


def _repository(url: URL) -> str:
    """Return what tokens are for: the path without the kind and the version."""
    return url.raw_path.rsplit("/", 2)[0]


def _proof_in(request: Request) -> dict[str, str]:
    """Return what a request says of us by itself: the user and password of the service's URL."""
    return {name: value for name, value in request.headers.items() if name.lower() in ("authorization", "user-agent")}


def _token_of(body: bytes, url: URL) -> str:
    where = f"token server {url.origin()}"
    try:
        found = msgspec.json.decode(body, type=_TokenAnswer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ServiceError(Failure.CREDENTIALS, f"{where}: the answer is not a token: {str(error).lower()}") from None
    token = found.token or found.access_token
    if not token or len(token) > MAX_TOKEN_BYTES or not token.isascii() or not token.isprintable():
        raise ServiceError(Failure.CREDENTIALS, f"{where}: the token is missing, or cannot be sent in a header")
    return token
