"""A TLS server and who may talk to it."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from bench.lab.pki import Authority, Credential
from tests.serving import replace_atomically


class Scene:
    """A TLS server that asks for certificates, and a client's certificate in files that may be swapped."""

    def __init__(self, directory: Path) -> None:
        self.authority = Authority(directory / "ca", "root")
        server = self.authority.issue("server", None, is_server=True)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(server.certificate, server.key)
        self.tls.verify_mode = ssl.CERT_REQUIRED
        self.tls.load_verify_locations(self.authority.certificate)
        self.certificate, self.key = directory / "client.pem", directory / "client.key"

    def show(self, credential: Credential) -> None:
        """Put a certificate and its key where the client has its own."""
        replace_atomically(self.key, credential.key.read_text())
        replace_atomically(self.certificate, credential.certificate.read_text())

    @property
    def fields(self) -> dict[str, Any]:
        pair = {"cert": str(self.certificate), "private_key": str(self.key)}
        return {"tls": {"ca_cert": str(self.authority.certificate)}, "credentials": {"client_tls": pair}}
