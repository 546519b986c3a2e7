"""Who we are to a service: what is added to a request before it is sent. Sends nothing itself."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from typing import Final, Protocol

from authz.regular_files import open_regular
from authz.services.errors import Failure, ServiceError
from authz.services.settings import BearerSettings
from authz.services.transport import Answer, Request

MAX_TOKEN_BYTES: Final = 2**16


class Credentials(Protocol):
    """What proves who sends a request."""

    async def authorize(self, request: Request) -> Request:
        """Return the request with the proof. Raises ServiceError if there is none to be had."""

    async def refused(self, request: Request, answer: Answer) -> bool:
        """Be told that the last proof was not believed: what was remembered is not worth it.

        Return whether there is another one now, so that it is worth asking again. Raises ServiceError.
        """


class Anonymous:
    """No proof; also where a TLS certificate is shown."""

    async def authorize(self, request: Request) -> Request:
        """Return the request as it is."""
        return request

    async def refused(self, request: Request, answer: Answer) -> bool:  # noqa: ARG002 - there is no other proof
        """Remember nothing."""
        return False


class Bearer:
    """A token in the Authorization header; one in a file is read for every request, so it may be rotated.

    `is_encoded`: it is sent in base64, as OPA does to registries, for which it may be `user:password`.
    """

    def __init__(self, settings: BearerSettings, *, is_encoded: bool = False) -> None:
        self._settings = settings
        self._is_encoded = is_encoded

    async def authorize(self, request: Request) -> Request:
        """Return the request with the token."""
        path = self._settings.token_path
        token = await read_secret(path) if path else self._settings.token
        sent = base64.b64encode(token.encode()).decode() if self._is_encoded else token
        return with_headers(request, Authorization=f"{self._settings.scheme} {sent}")

    async def refused(self, request: Request, answer: Answer) -> bool:  # noqa: ARG002 - there is no other proof
        """Remember nothing."""
        return False


def with_headers(request: Request, /, **headers: str) -> Request:
    """Return the request with headers in place of those of the same names."""
    replaced = {name.lower() for name in headers}
    kept = {name: value for name, value in request.headers.items() if name.lower() not in replaced}
    return replace(request, headers={**kept, **headers})


async def read_secret(path: str) -> str:
    """Return the text of a file without the blanks around it. Raises ServiceError."""
    try:
        content = await asyncio.to_thread(_read, path)
        text = content.decode("ascii").strip()
    except OSError as error:
        raise ServiceError(Failure.CREDENTIALS, f"{path}: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError:
        raise ServiceError(Failure.CREDENTIALS, f"{path}: is not a token: not ASCII") from None
    if not text or len(content) > MAX_TOKEN_BYTES or not text.isprintable():
        raise ServiceError(Failure.CREDENTIALS, f"{path}: is not a token: empty, of several lines or longer than {MAX_TOKEN_BYTES} bytes")
    return text


def _read(path: str) -> bytes:
    with open_regular(path) as file:
        return file.read(MAX_TOKEN_BYTES + 1)
