"""TLS contexts for clients, built from files and texts. Knows what is trusted and shown, not who may ask for it; opens no connection."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

from authz.rego.pending import TlsOptions
from authz.regular_files import stat_regular

Stamp: TypeAlias = tuple[int, int, int]
"""What tells one state of a file from the next."""


class TlsFileError(Exception):
    """A certificate or key cannot be used."""


def stamp(path: str) -> Stamp:
    """Return a file's stamp. Raises TlsFileError if it cannot be read, also for what would have to be waited for."""
    try:
        found = stat_regular(path)
    except OSError as error:
        raise _unreadable(path, error) from None
    return found.st_ino, found.st_mtime_ns, found.st_size


def files_of(options: TlsOptions) -> list[str]:
    """Return the files that a context is built from."""
    return [path for path in (options.ca_cert_file, options.client_cert_file, options.client_key_file) if path]


def build(options: TlsOptions, passphrase: str = "") -> ssl.SSLContext:
    """Return a client's context; takes some 10 ms if the system's certificates are trusted. Raises TlsFileError."""
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
        raise TlsFileError("could not append certificates") from None
    except OSError as error:
        raise _unreadable(options.ca_cert_file, error) from None
    _load_client(context, options, passphrase)
    return context


def _unreadable(path: str, error: OSError) -> TlsFileError:
    return TlsFileError(f"open {path}: {(error.strerror or str(error)).lower()}")


def _load_client(context: ssl.SSLContext, options: TlsOptions, passphrase: str) -> None:
    """Load the client's certificate; as in OPA, half of a pair is none."""

    def password() -> str:
        """Return the key's password; without one, OpenSSL would ask for it on the terminal."""
        if not passphrase:
            raise ValueError("the key is encrypted")
        return passphrase

    try:
        if options.client_cert and options.client_key:
            with _as_file(options.client_cert) as certificate, _as_file(options.client_key) as key:
                context.load_cert_chain(certificate, key, password)
        if options.client_cert_file and options.client_key_file:
            context.load_cert_chain(options.client_cert_file, options.client_key_file, password)
    except ssl.SSLError as error:
        raise TlsFileError(f"tls: the client certificate or its key cannot be used: {error.reason or error}") from None
    except (OSError, ValueError) as error:
        raise TlsFileError(f"tls: the client certificate or its key cannot be read: {error}") from None


@contextmanager
def _as_file(text: str) -> Iterator[str]:
    """Have a text be readable under a path, which is all that OpenSSL's Python interface takes; it never reaches a disk."""
    if not hasattr(os, "memfd_create"):
        raise TlsFileError("tls: a client certificate that is no file needs Linux")
    descriptor = os.memfd_create("authz-tls")
    try:
        with open(descriptor, "w", closefd=False) as file:
            file.write(text)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
