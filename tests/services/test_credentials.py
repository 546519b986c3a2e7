"""Tokens and certificates towards real servers; files with them are rotated while they are used."""

from __future__ import annotations

import json
import os
import ssl
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from yarl import URL

from authz.services.errors import Failure, ServiceError
from authz.services.oauth2 import Oauth2
from authz.services.settings import KeySettings, Oauth2Settings
from authz.services.transport import Answer, Request
from tests.outbound.test_tls import subject
from tests.outbound.upstream import Upstream, run, upstream
from tests.services.control_plane import asked, client, got, refused
from tests.services.scene import Scene
from tests.serving import replace_atomically

SECRET = "a secret that is long enough for HS256"


def test_a_token_is_sent_with_its_scheme() -> None:
    async def test() -> None:
        async with upstream(asked) as server, client(server.url, credentials={"bearer": {"token": "YTpi", "scheme": "Basic"}}) as asker:
            assert json.loads((await got(asker)).body)["Authorization"] == "Basic YTpi"

    run(test())


def test_a_token_that_is_rotated_is_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")

    async def test() -> None:
        async with upstream(asked) as server, client(server.url, credentials={"bearer": {"token_path": str(file)}}) as asker:
            assert json.loads((await got(asker)).body)["Authorization"] == "Bearer first"
            file.write_text("  second \n")
            assert json.loads((await got(asker)).body)["Authorization"] == "Bearer second"

    run(test())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file or directory"),
        (b"", "is not a token"),
        (b"a\nb", "is not a token"),
        (b"\xff", "not ASCII"),
        (b"x" * 70_000, "longer"),
    ],
)
def test_a_token_that_cannot_be_sent_is_an_error_and_no_request(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)

    async def test() -> None:
        async with upstream(asked) as server:
            error = await refused(server.url, credentials={"bearer": {"token_path": str(file)}})
            assert (error.failure, server.asked) == (Failure.CREDENTIALS, [])
            assert message in error.message
            assert str(file) in error.message

    run(test())


def test_a_client_certificate_that_is_rotated_is_shown(scene: Scene) -> None:
    async def test() -> None:
        scene.show(scene.authority.issue("first", None))
        async with upstream(subject, tls=scene.tls) as server, client(server.url, **scene.fields) as asker:
            assert (await got(asker)).body == b"first"
            scene.show(scene.authority.issue("second", None))
            assert (await got(asker)).body == b"second"

    run(test())


def test_half_a_rotation_leaves_the_last_certificate_in_use(scene: Scene) -> None:
    async def test() -> None:
        scene.show(scene.authority.issue("first", None))
        async with upstream(subject, tls=scene.tls) as server, client(server.url, **scene.fields) as asker:
            assert (await got(asker)).body == b"first"
            second = scene.authority.issue("second", None)
            replace_atomically(scene.certificate, second.certificate.read_text())
            assert (await got(asker)).body == b"first"
            replace_atomically(scene.key, second.key.read_text())
            assert (await got(asker)).body == b"second"

    run(test())


def test_a_key_with_a_passphrase_is_opened(scene: Scene) -> None:
    async def test() -> None:
        scene.show(scene.authority.issue("first", None))
        key = serialization.load_pem_private_key(scene.key.read_bytes(), None)
        encryption = serialization.BestAvailableEncryption(b"sesame")
        scene.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))
        fields = scene.fields
        async with upstream(subject, tls=scene.tls) as server:
            assert "the key is encrypted" in (await refused(server.url, **fields)).message
            fields["credentials"]["client_tls"]["private_key_passphrase"] = "sesame"
            async with client(server.url, **fields) as asker:
                assert (await got(asker)).body == b"first"

    run(test())


def test_a_server_of_an_unknown_authority_is_refused_unless_that_is_wanted(scene: Scene, tmp_path: Path) -> None:
    scene.tls.verify_mode = ssl.CERT_NONE

    async def test() -> None:
        async with upstream(subject, tls=scene.tls) as server:
            error = await refused(server.url)
            assert error.failure is Failure.TLS
            assert "failed to verify certificate" in error.message
            async with client(server.url, allow_insecure_tls=True) as asker:
                assert (await got(asker)).body == b"nobody"
            missing = await refused(server.url, tls={"ca_cert": str(tmp_path / "none.pem")})
            assert (missing.failure, missing.message) == (Failure.TLS, f"open {tmp_path}/none.pem: no such file or directory")

    run(test())


class Tokens:
    """A server of tokens that also takes them: `/bundle` answers the header, `/token` what `grant` says, once."""

    def __init__(self, **grant: Any) -> None:
        self.grant: dict[str, Any] = {"token_type": "Bearer", "expires_in": 3600, **grant}
        self.forms: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.refused = 0

    async def __call__(self, request: web.Request) -> web.Response:
        if request.path == "/bundle":
            if self.refused:
                self.refused -= 1
                return web.Response(status=401)
            return web.Response(text=request.headers["Authorization"])
        self.forms.append({name: str(value) for name, value in (await request.post()).items()})
        self.headers.append(dict(request.headers))
        return web.json_response({"access_token": f"token-{len(self.forms)}", **self.grant})


def oauth2(server: Upstream, scene: Scene, **fields: Any) -> dict[str, Any]:
    """Return the fields of a service with this server's tokens."""
    settings = {"token_url": f"{server.url}/token", "client_id": "me", **fields}
    return {"tls": {"ca_cert": str(scene.authority.certificate)}, "credentials": {"oauth2": settings}}


def test_a_token_is_obtained_once_and_used_until_it_expires(scene: Scene, https: ssl.SSLContext) -> None:
    async def test() -> None:
        tokens = Tokens()
        async with upstream(tokens, tls=https) as server:
            more = {"additional_headers": {"X-Team": "a"}, "additional_parameters": {"audience": "opa"}, "scopes": ["read", "write"]}
            async with client(server.url, **oauth2(server, scene, client_secret="s:1", **more)) as asker:
                assert [(await got(asker)).body for _ in range(2)] == [b"Bearer token-1"] * 2
        assert tokens.forms == [{"grant_type": "client_credentials", "scope": "read write", "audience": "opa"}]
        assert (tokens.headers[0]["Authorization"], tokens.headers[0]["X-Team"]) == ("Basic bWU6czox", "a")

    run(test())


def test_a_token_that_lives_less_than_ten_seconds_is_used_once(scene: Scene, https: ssl.SSLContext) -> None:
    async def test() -> None:
        async with (
            upstream(Tokens(expires_in=9), tls=https) as server,
            client(server.url, **oauth2(server, scene, client_secret="s")) as asker,
        ):
            assert [(await got(asker)).body for _ in range(2)] == [b"Bearer token-1", b"Bearer token-2"]

    run(test())


def test_a_token_that_was_refused_is_not_used_again(scene: Scene, https: ssl.SSLContext) -> None:
    async def test() -> None:
        tokens = Tokens()
        async with upstream(tokens, tls=https) as server, client(server.url, **oauth2(server, scene, client_secret="s")) as asker:
            assert (await got(asker)).body == b"Bearer token-1"
            tokens.refused = 1
            with pytest.raises(ServiceError, match="Unauthorized"):
                await got(asker)
            assert (await got(asker)).body == b"Bearer token-2"

    run(test())


def test_an_assertion_is_signed_and_says_who_we_are(scene: Scene, https: ssl.SSLContext) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    keys = {"k": KeySettings(private_key=pem, algorithm="ES256")}
    fields = {"signing_key": "k", "additional_claims": {"aud": "idp"}, "include_jti_claim": True, "thumbprint": "8F", "scopes": ["a", "b"]}

    async def test() -> None:
        tokens = Tokens()
        async with upstream(tokens, tls=https) as server:
            for grant_type in ("client_credentials", "jwt_bearer"):
                async with client(server.url, keys=keys, **oauth2(server, scene, grant_type=grant_type, **fields)) as asker:
                    await got(asker)
        first, second = tokens.forms
        assert first["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        assert (first["client_id"], first["grant_type"]) == ("me", "client_credentials")
        assert second["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        for assertion in (first["client_assertion"], second["assertion"]):
            claims = jwt.decode(assertion, private.public_key(), algorithms=["ES256"], audience="idp")
            assert (claims["scope"], claims["exp"] - claims["iat"], len(claims["jti"])) == ("a b", 600, 36)
            assert jwt.get_unverified_header(assertion)["x5t"] == "jw=="

    run(test())


def test_an_assertion_in_a_file_is_read_for_every_token(scene: Scene, https: ssl.SSLContext, tmp_path: Path) -> None:
    file = tmp_path / "assertion"

    async def test() -> None:
        tokens = Tokens(expires_in=0)
        async with (
            upstream(tokens, tls=https) as server,
            client(server.url, **oauth2(server, scene, client_assertion_path=str(file))) as asker,
        ):
            for text in ("one", "two"):
                file.write_text(text + "\n")
                await got(asker)
        assert [form["client_assertion"] for form in tokens.forms] == ["one", "two"]

    run(test())


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((200, b'{"access_token": "t", "token_type": "mac"}'), "token_url: unknown token type `mac`"),
        ((200, b'{"token_type": "bearer"}'), "token_url: the answer is not a token: object missing required field `access_token`"),
        ((200, b"<html>"), "token_url: the answer is not a token: json is malformed"),
        ((200, b'{"access_token": "a\\r\\nX: y", "token_type": "bearer"}'), "token_url: the token cannot be sent in a header"),
        ((400, b'{"error":"invalid_client"}'), 'token_url: server replied with 400 Bad Request: {"error":"invalid_client"}'),
        ((302, b""), "token_url: server replied with 302 Found"),
    ],
)
def test_a_server_without_a_token_is_told_apart_from_the_service(
    scene: Scene, https: ssl.SSLContext, answer: tuple[int, bytes], message: str
) -> None:
    async def handle(_request: web.Request) -> web.Response:
        return web.Response(status=answer[0], body=answer[1])

    async def test() -> None:
        async with upstream(handle, tls=https) as server:
            error = await refused(server.url, **oauth2(server, scene, client_secret="s"))
            assert error.failure is Failure.CREDENTIALS
            assert error.message.startswith(message)

    run(test())


def test_a_clock_that_is_set_does_not_change_how_long_a_token_lives() -> None:
    """Tokens live by a clock that is never set; here it is wound by hand."""
    now_s = [1000.0]
    asked_for: list[Request] = []

    async def send(request: Request) -> Answer:
        asked_for.append(request)
        body = b'{"access_token": "t", "token_type": "bearer", "expires_in": 60}'
        return Answer(200, "OK", web.Response().headers, body)  # type: ignore[arg-type]

    async def test() -> None:
        settings = Oauth2Settings(token_url="https://t", client_id="a", client_secret=SECRET)
        credentials = Oauth2(settings, {}, send, lambda: now_s[0])
        for after_s in (0.0, 49.0, 1.1):
            now_s[0] += after_s
            await credentials.authorize(Request("GET", URL("http://x")))
        assert len(asked_for) == 2

    run(test())


def test_files_are_stamped_by_more_than_their_time(scene: Scene) -> None:
    """Two certificates of the same size, written within the resolution of a coarse clock."""

    async def test() -> None:
        scene.show(scene.authority.issue("first", None))
        was = os.stat(scene.certificate)
        async with upstream(subject, tls=scene.tls) as server, client(server.url, **scene.fields) as asker:
            await got(asker)
            scene.show(scene.authority.issue("other", None))
            for file in (scene.certificate, scene.key):
                os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))
            assert (await got(asker)).body == b"other"

    run(test())
