"""Passwords of Amazon ECR, from a server that stands for AWS: signed for, kept, renewed, and every way in which there is none."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from authz.services.aws import AwsSigning, EnvironmentKeys, KeySource, sign
from authz.services.ecr import EcrPasswords, endpoint_of
from authz.services.errors import Failure, ServiceError
from authz.services.proxies import proxies_of
from authz.services.settings import ServiceSettings
from authz.services.tls import ServiceTls
from authz.services.transport import DEFAULT_LIMITS, Request, Transport
from tests.outbound.upstream import run, upstream

KEYS = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "S", "AWS_REGION": "eu-west-1"}
START = datetime(2026, 11, 25, tzinfo=UTC)
PASSWORD = base64.b64encode(b"AWS:secret").decode()
ASKED = Request("GET", URL("https://1.dkr.ecr.eu-west-1.amazonaws.com/v2/p/manifests/1"))


class Aws:
    """Hands out passwords that are good for twelve hours of a clock that a test sets."""

    def __init__(self) -> None:
        self.now = START
        self.answer: Any = None
        self.status = 200
        self.bodies: list[bytes] = []

    async def __call__(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        expires = (self.now + timedelta(hours=12)).timestamp()
        given = {"authorizationData": [{"authorizationToken": PASSWORD, "expiresAt": expires, "proxyEndpoint": "https://x"}]}
        return web.json_response(
            given if self.answer is None else self.answer, status=self.status, content_type="application/x-amz-json-1.1"
        )


async def authorized(aws: Aws, times: int = 1, environment: dict[str, str] = KEYS) -> tuple[list[str], list[web.BaseRequest]]:
    """Return the Authorization header of requests an hour after each other, and what AWS was asked."""
    sources: list[KeySource] = [EnvironmentKeys(environment)]
    tls = ServiceTls(ServiceSettings("http://a"))
    async with upstream(aws) as server, Transport(tls, proxies_of({}), DEFAULT_LIMITS) as transport:
        passwords = EcrPasswords(AwsSigning("s3", sources), transport.send, lambda _: URL(server.url), lambda: aws.now)
        found = []
        for _ in range(times):
            found.append((await passwords.authorize(ASKED)).headers["Authorization"])
            aws.now += timedelta(hours=1)
        return found, server.asked


def test_a_password_is_asked_for_with_a_signature_and_kept_until_shortly_before_it_expires() -> None:
    async def test() -> None:
        aws = Aws()
        found, asked = await authorized(aws, 14)
        assert found == [f"Basic {PASSWORD}"] * 14
        assert [request.headers["X-Amz-Date"] for request in asked] == ["20261125T000000Z", "20261125T120000Z"]
        assert asked[0].headers["X-Amz-Target"] == "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"
        assert asked[0].headers["Content-Type"] == "application/x-amz-json-1.1"
        assert aws.bodies[0] == b"{}"

    run(test())


def test_the_signature_is_for_ecr_in_the_region_of_the_keys_and_covers_the_body() -> None:
    async def test() -> None:
        _, (asked,) = await authorized(Aws())
        signer = await EnvironmentKeys(KEYS).signer()
        names = ("Content-Type", "X-Amz-Target")
        again = Request("POST", URL(str(asked.url)), {name: asked.headers[name] for name in names}, b"{}")
        expected = sign(again, signer, "ecr", START).headers["Authorization"]
        assert "Credential=A/20261125/eu-west-1/ecr/aws4_request" in expected
        assert asked.headers["Authorization"] == expected

    run(test())


@pytest.mark.parametrize(
    ("answer", "status", "message"),
    [
        ({"__type": "AccessDeniedException"}, 400, "server replied with Bad Request"),
        ({}, 200, "the answer is no password: object missing required field `authorizationdata`"),
        ({"authorizationData": []}, 200, "the answer is no password"),
        ({"authorizationData": [{"authorizationToken": "", "expiresAt": 1}]}, 200, "the answer is no password"),
        ({"authorizationData": [{"authorizationToken": "a\r\nb", "expiresAt": 1}]}, 200, "the answer is no password"),
        ({"authorizationData": [{"authorizationToken": "YTpi", "expiresAt": "soon"}]}, 200, "the answer is no password"),
    ],
)
def test_what_is_no_password_is_an_error_that_names_the_server(answer: Any, status: int, message: str) -> None:
    async def test() -> None:
        aws = Aws()
        aws.answer, aws.status = answer, status
        with pytest.raises(ServiceError) as caught:
            await authorized(aws)
        assert caught.value.failure is Failure.CREDENTIALS
        assert caught.value.message.startswith(f"127.0.0.1: {message}")

    run(test())


def test_without_keys_nobody_is_asked() -> None:
    async def test() -> None:
        aws = Aws()
        with pytest.raises(ServiceError, match="AWS credentials: no AWS_ACCESS_KEY_ID set in environment"):
            await authorized(aws, environment={})
        assert aws.bodies == []

    run(test())


def test_keys_that_are_refused_are_forgotten_by_who_remembers_them() -> None:
    class Lent(EnvironmentKeys):
        forgotten = 0

        def refused(self) -> None:
            self.forgotten += 1

    async def test() -> None:
        aws, lent = Aws(), Lent(KEYS)
        aws.answer, aws.status = {"__type": "ExpiredTokenException"}, 400
        async with upstream(aws) as server, Transport(ServiceTls(ServiceSettings("http://a")), proxies_of({}), DEFAULT_LIMITS) as transport:
            passwords = EcrPasswords(AwsSigning("s3", [lent]), transport.send, lambda _: URL(server.url))
            with pytest.raises(ServiceError, match="replied with Bad Request"):
                await passwords.authorize(ASKED)
        assert lent.forgotten == 1

    run(test())


@pytest.mark.parametrize(
    ("registry", "url"),
    [
        ("https://1.dkr.ecr.eu-west-1.amazonaws.com", "https://ecr.eu-west-1.amazonaws.com/"),
        ("https://1.dkr.ecr.cn-north-1.amazonaws.com.cn", "https://ecr.eu-west-1.amazonaws.com.cn/"),
    ],
)
def test_passwords_come_from_the_service_of_the_region(registry: str, url: str) -> None:
    assert str(endpoint_of(URL(registry))("eu-west-1")) == url
