"""TLS as requests ask for it: which certificates are trusted, and with which the client shows itself.

Owns what a policy may not have: files that are not configured, servers that are not verified. Opens no connection.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict
from dataclasses import replace
from typing import Final, TypeAlias

from authz.outbound.contexts import Stamp, TlsFileError, build, files_of, stamp
from authz.outbound.errors import SendError
from authz.outbound.settings import SendSettings
from authz.rego.pending import TlsOptions

MAX_CONTEXTS: Final = 64
"""Different TLS settings that are kept ready; each holds the certificates it trusts, some hundred KiB."""

_Key: TypeAlias = tuple[TlsOptions, tuple[Stamp, ...]]


class TlsContexts:
    """TLS contexts by options. A file that changes makes a new context, so certificates may be rotated."""

    def __init__(self, settings: SendSettings) -> None:
        self._settings = settings
        self._contexts: OrderedDict[_Key, ssl.SSLContext] = OrderedDict()

    async def context(self, options: TlsOptions) -> ssl.SSLContext:
        """Return the context for a request's options. Raises SendError for what may not or cannot be used."""
        options = replace(options, server_name="")
        key = options, self._check(options)
        context = self._contexts.get(key)
        if context is None:
            try:
                context = await asyncio.to_thread(build, options)
            except TlsFileError as error:
                raise SendError("invalid", str(error)) from None
            self._contexts[key] = context
            if len(self._contexts) > MAX_CONTEXTS:
                self._contexts.popitem(last=False)
        self._contexts.move_to_end(key)
        return context

    def _check(self, options: TlsOptions) -> tuple[Stamp, ...]:
        if options.insecure_skip_verify and not self._settings.allow_insecure_tls:
            raise SendError("refused", "tls_insecure_skip_verify is not allowed: see http_send.allow_insecure_tls")
        files = files_of(options)
        for path in files:
            if path not in self._settings.tls_files:
                raise SendError("refused", f"open {path}: not in http_send.tls_files")
        try:
            return tuple(map(stamp, files))
        except TlsFileError as error:
            raise SendError("invalid", str(error)) from None
