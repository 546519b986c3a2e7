"""TLS towards real servers: who is believed, who we show ourselves as, and what a policy may not have."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization

from authz.outbound.allowlist import AllowList
from authz.outbound.sender import Sender
from authz.outbound.settings import SendSettings
from bench.lab.pki import Authority, Credential
from tests.outbound.upstream import answer, error, run, upstream


class Scene:
    """A server with a certificate for 127.0.0.1, and requests to it."""

    def __init__(self, directory: Path, *, dns: tuple[str, ...] = (), asks_client: bool = False, is_local: bool = True) -> None:
        self.authority = Authority(directory / "ca", "root")
        server = self.authority.issue("server", None, dns=dns or ("api.test",), is_server=is_local)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(server.certificate, server.key)
        if asks_client:
            self.tls.verify_mode = ssl.CERT_REQUIRED
            self.tls.load_verify_locations(self.authority.certificate)
        self.ca = self.authority.certificate.read_text()

    def ask(self, *, bounds: dict[str, Any] | None = None, fails: bool = False, **parameters: Any) -> Any:
        """Return the answer's text, or code and message of the error if it `fails`."""
        found: list[Any] = []

        async def test() -> None:
            settings = SendSettings(AllowList(["127.0.0.1:*"]), **(bounds or {}))
            async with upstream(subject, tls=self.tls) as server, Sender(settings) as sender:
                if fails:
                    kind, message = await error(sender, server.url, **parameters)
                    found.append((kind, message.replace(server.url, "URL")))
                else:
                    found.append((await answer(sender, server.url, **parameters))["raw_body"])

        run(test())
        return found[0]


async def subject(request: web.Request) -> web.Response:
    """Answer the name on the client's certificate, if it showed one."""
    assert request.transport is not None
    certificate = request.transport.get_extra_info("peercert") or {}
    names = dict(pair for entry in certificate.get("subject", ()) for pair in entry)
    return web.Response(text=names.get("commonName", "nobody"))


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


UNKNOWN = "tls: failed to verify certificate: x509: unable to get local issuer certificate"


def test_a_server_is_believed_by_the_policys_certificate_authority(scene: Scene) -> None:
    assert scene.ask(tls_ca_cert=scene.ca) == "nobody"
    assert scene.ask(tls_ca_cert=scene.ca.replace("\n", "\\n")) == "nobody"
    assert scene.ask(tls_ca_cert=scene.ca, tls_use_system_certs=True) == "nobody"


def test_a_server_of_an_unknown_authority_is_not_believed(scene: Scene, tmp_path: Path) -> None:
    assert scene.ask(fails=True) == ("network_error", f'Get "URL": {UNKNOWN}')
    other = Authority(tmp_path / "other", "other").certificate.read_text()
    kind, message = scene.ask(fails=True, tls_ca_cert=other)
    assert (kind, message.startswith('Get "URL": tls: failed to verify certificate: x509: ')) == ("network_error", True)


def test_a_server_of_another_name_is_not_believed(tmp_path: Path) -> None:
    scene = Scene(tmp_path, is_local=False)
    kind, message = scene.ask(fails=True, tls_ca_cert=scene.ca)
    assert kind == "network_error"
    assert "IP address mismatch" in message


@pytest.mark.parametrize(
    ("parameters", "is_believed"),
    [
        ({"tls_server_name": "api.test"}, True),
        ({"headers": {"host": "api.test"}}, True),
        ({"headers": {"host": "api.test:8443"}}, True),
        ({"headers": {"host": "other.test"}, "tls_server_name": "api.test"}, True),
        ({"tls_server_name": "other.test"}, False),
        ({"headers": {"host": "other.test"}}, False),
    ],
)
def test_the_policy_may_say_which_name_the_server_has(tmp_path: Path, parameters: dict[str, Any], is_believed: bool) -> None:
    scene = Scene(tmp_path, is_local=False)
    found = scene.ask(fails=not is_believed, tls_ca_cert=scene.ca, **parameters)
    assert found == "nobody" if is_believed else "Hostname mismatch" in found[1]


def test_a_name_that_was_believed_says_nothing_of_another_on_the_same_connection(tmp_path: Path) -> None:
    scene = Scene(tmp_path, is_local=False)

    async def test() -> None:
        async with upstream(subject, tls=scene.tls) as server, Sender(SendSettings(AllowList(["127.0.0.1:*"]))) as sender:
            assert (await answer(sender, server.url, tls_ca_cert=scene.ca, tls_server_name="api.test"))["status_code"] == 200
            assert "Hostname mismatch" in (await error(sender, server.url, tls_ca_cert=scene.ca, tls_server_name="other.test"))[1]

    run(test())


def test_a_server_is_believed_blindly_only_if_the_configuration_lets_policies_do_that(scene: Scene) -> None:
    refused = "eval_builtin_error: http.send: tls_insecure_skip_verify is not allowed: see http_send.allow_insecure_tls"
    assert scene.ask(fails=True, tls_insecure_skip_verify=True) == ("internal_error", refused)
    assert scene.ask(bounds={"allow_insecure_tls": True}, tls_insecure_skip_verify=True) == "nobody"


def test_the_client_shows_itself_with_the_policys_certificate(tmp_path: Path) -> None:
    scene = Scene(tmp_path, asks_client=True)
    client = scene.authority.issue("client", None)
    texts: dict[str, Any] = {"tls_client_cert": client.certificate.read_text(), "tls_client_key": client.key.read_text()}
    assert scene.ask(tls_ca_cert=scene.ca, **texts) == "client"
    assert scene.ask(fails=True, tls_ca_cert=scene.ca)[0] in ("network_error", "internal_error")
    assert scene.ask(fails=True, tls_ca_cert=scene.ca, tls_client_cert=texts["tls_client_cert"])[0] in ("network_error", "internal_error")


def files_of(scene: Scene, client: Credential) -> dict[str, Any]:
    return {
        "tls_ca_cert_file": str(scene.authority.certificate),
        "tls_client_cert_file": str(client.certificate),
        "tls_client_key_file": str(client.key),
    }


def test_files_are_read_only_if_the_configuration_names_them(tmp_path: Path) -> None:
    scene = Scene(tmp_path, asks_client=True)
    files = files_of(scene, scene.authority.issue("client", None))
    assert scene.ask(bounds={"tls_files": tuple(files.values())}, **files) == "client"
    refused = f"eval_builtin_error: http.send: open {files['tls_ca_cert_file']}: not in http_send.tls_files"
    assert scene.ask(fails=True, **files) == ("internal_error", refused)
    around = files["tls_ca_cert_file"].replace("/ca/", "/ca/../ca/")
    assert scene.ask(fails=True, bounds={"tls_files": tuple(files.values())}, tls_ca_cert_file=around)[0] == "internal_error"


def test_a_certificate_that_was_rotated_is_the_one_shown(tmp_path: Path) -> None:
    scene = Scene(tmp_path, asks_client=True)
    files = files_of(scene, scene.authority.issue("client", None))

    async def test() -> None:
        settings = SendSettings(AllowList(["127.0.0.1:*"]), tls_files=tuple(files.values()))
        async with upstream(subject, tls=scene.tls) as server, Sender(settings) as sender:
            assert (await answer(sender, server.url, **files))["raw_body"] == "client"
            newer = scene.authority.issue("newer", None)
            newer.key.replace(files["tls_client_key_file"])
            newer.certificate.replace(files["tls_client_cert_file"])
            assert (await answer(sender, server.url, **files))["raw_body"] == "newer"

    run(test())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"tls_ca_cert": "no certificate"}, "could not append certificates"),
        ({"tls_ca_cert": "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"}, "could not append certificates"),
        ({"tls_ca_cert_file": "{missing}"}, "open {missing}: no such file or directory"),
        ({"tls_client_cert": "x", "tls_client_key": "y"}, "tls: the client certificate or its key cannot be used: "),
    ],
)
def test_what_is_no_certificate_is_no_request(scene: Scene, tmp_path: Path, parameters: dict[str, str], message: str) -> None:
    missing = str(tmp_path / "missing.pem")
    given = {name: value.format(missing=missing) for name, value in parameters.items()}
    kind, said = scene.ask(fails=True, bounds={"tls_files": (missing,)}, **given)
    assert kind == "internal_error"
    assert said.startswith(f"eval_builtin_error: http.send: {message.format(missing=missing)}")


def test_nobody_is_asked_for_the_password_of_a_key(scene: Scene) -> None:
    client = scene.authority.issue("client", None)
    key = serialization.load_pem_private_key(client.key.read_bytes(), None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    ).decode()
    kind, message = scene.ask(fails=True, tls_client_cert=client.certificate.read_text(), tls_client_key=encrypted)
    assert (kind, "the key is encrypted" in message) == ("internal_error", True)


def test_a_server_without_tls_is_a_network_error() -> None:
    async def test() -> None:
        async with upstream(subject) as server, Sender(SendSettings(AllowList(["127.0.0.1:*"]))) as sender:
            kind, message = await error(sender, server.url.replace("http:", "https:"))
            assert (kind, ": tls: " in message) == ("network_error", True)

    run(test())
