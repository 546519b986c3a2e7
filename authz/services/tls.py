"""A service's TLS: whom we believe, and the certificate that we show. Files that change are read again."""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import Final, TypeAlias

from authz.outbound.contexts import Stamp, TlsFileError, build, files_of, stamp
from authz.rego.pending import TlsOptions
from authz.services.errors import Failure, ServiceError
from authz.services.settings import ServiceSettings
from authz.telemetry.logs import log

logger = logging.getLogger(__name__)

_Stamps: TypeAlias = tuple[Stamp, ...]
_NO_FILES: Final[_Stamps] = ()


class ServiceTls:
    """The TLS context of one service. INVARIANT: `_stamps` are those of the files that `_context` was built from, or older."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._name = settings.name
        self._options, self._passphrase = _options(settings)
        self._context: ssl.SSLContext | None = None
        self._stamps = _NO_FILES

    async def context(self) -> ssl.SSLContext:
        """Return the context as its files are now. Files that do not fit each other leave the last one in use. Raises ServiceError."""
        try:
            stamps = tuple(map(stamp, files_of(self._options)))
            if self._context is None or stamps != self._stamps:
                self._context = await asyncio.to_thread(build, self._options, self._passphrase)
                self._stamps = stamps
        except TlsFileError as error:
            if self._context is None:
                raise ServiceError(Failure.TLS, str(error)) from None
            log(logger, "warn", "changed TLS files cannot be used, the last ones are", service=self._name, error=str(error))
        return self._context


def _options(settings: ServiceSettings) -> tuple[TlsOptions, str]:
    client = settings.credentials.client_tls
    authority = settings.tls.ca_cert or (client.ca_cert if client else "")
    with_system = settings.tls.system_ca_required or bool(client and client.system_ca_required)
    options = TlsOptions(
        ca_cert_file=authority,
        client_cert_file=client.cert if client else "",
        client_key_file=client.private_key if client else "",
        use_system_certs=with_system,
        insecure_skip_verify=settings.allow_insecure_tls,
    )
    return options, client.private_key_passphrase if client else ""
