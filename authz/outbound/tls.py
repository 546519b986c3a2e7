"""TLS as requests ask for it: which certificates are trusted, and with which the client shows itself.

Owns what a policy may not have: files that are not configured, servers that are not verified. Opens no connection.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, TypeAlias

from authz.outbound.errors import SendError
from authz.outbound.settings import SendSettings
from authz.rego.pending import TlsOptions

MAX_CONTEXTS: Final = 64
"""Different TLS settings that are kept ready; each holds the certificates it trusts, some hundred KiB."""

_Stamp: TypeAlias = tuple[int, int, int]
_Key: TypeAlias = tuple[TlsOptions, tuple[_Stamp, ...]]


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
            context = await asyncio.to_thread(_build, options)  # the system's certificates alone take 10 ms to read
            self._contexts[key] = context
            if len(self._contexts) > MAX_CONTEXTS:
                self._contexts.popitem(last=False)
        self._contexts.move_to_end(key)
        return context

    def _check(self, options: TlsOptions) -> tuple[_Stamp, ...]:
        if options.insecure_skip_verify and not self._settings.allow_insecure_tls:
            raise SendError("refused", "tls_insecure_skip_verify is not allowed: see http_send.allow_insecure_tls")
        files = [path for path in (options.ca_cert_file, options.client_cert_file, options.client_key_file) if path]
        for path in files:
            if path not in self._settings.tls_files:
                raise SendError("refused", f"open {path}: not in http_send.tls_files")
        return tuple(map(_stamp, files))


def _stamp(path: str) -> _Stamp:
    try:
        found = os.stat(path)
    except OSError as error:
        raise _unreadable(path, error) from None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _unreadable(path: str, error: OSError) -> SendError:
    return SendError("invalid", f"open {path}: {(error.strerror or str(error)).lower()}")


def _build(options: TlsOptions) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if options.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    has_own = bool(options.ca_cert or options.ca_cert_file)
    if options.use_system_certs or not has_own:
        context.load_default_certs()
    try:
        if options.ca_cert:
            context.load_verify_locations(cadata=options.ca_cert.replace("\\n", "\n"))
        if options.ca_cert_file:
            context.load_verify_locations(cafile=options.ca_cert_file)
    except (ssl.SSLError, ValueError):
        raise SendError("invalid", "could not append certificates") from None
    except OSError as error:
        raise _unreadable(options.ca_cert_file, error) from None
    _load_client(context, options)
    return context


def _load_client(context: ssl.SSLContext, options: TlsOptions) -> None:
    """Load the client's certificate; as in OPA, half of a pair is none."""
    try:
        if options.client_cert and options.client_key:
            with _as_file(options.client_cert) as certificate, _as_file(options.client_key) as key:
                context.load_cert_chain(certificate, key, _no_password)
        if options.client_cert_file and options.client_key_file:
            context.load_cert_chain(options.client_cert_file, options.client_key_file, _no_password)
    except ssl.SSLError as error:
        raise SendError("invalid", f"tls: the client certificate or its key cannot be used: {error.reason or error}") from None
    except (OSError, ValueError) as error:
        raise SendError("invalid", f"tls: the client certificate or its key cannot be read: {error}") from None


def _no_password() -> str:
    """Refuse an encrypted key: OpenSSL would ask for its password on the terminal."""
    raise ValueError("the key is encrypted")


@contextmanager
def _as_file(text: str) -> Iterator[str]:
    """Have a text be readable under a path, which is all that OpenSSL's Python interface takes; it never reaches a disk."""
    if not hasattr(os, "memfd_create"):
        raise SendError("invalid", "tls: a client certificate that is no file needs Linux")
    descriptor = os.memfd_create("authz-tls")
    try:
        with open(descriptor, "w", closefd=False) as file:
            file.write(text)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
