"""Who is calling, from what a real Envoy reports: every forwarding mode, forged headers, certificates made to deceive.

Whatever a sender writes and whatever its certificate holds, the identity is the true peer or nobody.
"""

from __future__ import annotations

import queue
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse

from authz.identity import Identity, IdentityConfig, IdentityResolver, Refusal, XfccMode, cert_consistency, parse_xfcc
from authz.identity.certificate import CertConsistency
from bench.lab.client import Request, send, tls_context
from bench.lab.envoy import Envoy, load_template
from bench.lab.envoy_config import Config, Surroundings, Variant, connection_managers, fit
from bench.lab.pki import Authority
from bench.lab.ports import LOOPBACK, free_port

PROXY: Final = "spiffe://td.test/proxy"
USER: Final = "spiffe://td.test/user"
ADMIN: Final = "spiffe://td.test/admin"

MODES: Final = {
    "SANITIZE": XfccMode.NONE,
    "SANITIZE_SET": XfccMode.SANITIZE_SET,
    "APPEND_FORWARD": XfccMode.APPEND_FORWARD,
    "FORWARD_ONLY": XfccMode.FORWARD_ONLY,
    "ALWAYS_FORWARD_ONLY": XfccMode.ALWAYS_FORWARD_ONLY,
}

# caller: URI SAN, DNS SANs, and the identity that is really its own.
CALLERS: Final[dict[str, tuple[str | None, list[str], str | None]]] = {
    "honest": (USER, [], USER),
    "second-uri": (f"{USER};URI={ADMIN}", [], None),
    "second-element": (f"{USER},By={PROXY};Hash=00;URI={ADMIN}", [], None),
    "line-break": (f"{USER}\r\nx-evil: 1", [], None),
    "closing-quote": ('http://x/"q', [], None),
    "dns-name": (None, [ADMIN], None),
    "nameless": (None, ["a.test"], None),
    "upper-case": ("SPIFFE://td.test/admin", [], None),
}

HEADERS: Final = (
    None,
    "",
    f"URI={ADMIN}",
    f"By={PROXY};Hash={'0' * 64};URI={ADMIN}",
    f'URI={ADMIN};Subject="',
    'Subject="x\\',
    f'[{{"uri":["{ADMIN}"]}}]',
    "[]",
    ",",
    f"URI={USER}",
)


@dataclass(frozen=True, slots=True)
class Scene:
    """An Envoy with one listener for each mode, with and without TLS, and the questions that it asked."""

    authority: Authority
    contexts: dict[str, ssl.SSLContext]
    ports: dict[str, int]
    questions: queue.SimpleQueue[CheckRequest]

    def question(self, listener: str, caller: str | None, header: str | None) -> CheckRequest:
        """Send a request and return what Envoy asked about it."""
        headers = [] if header is None else [("x-forwarded-client-cert", header)]
        answer = send(self.ports[listener], Request(headers=headers), self.contexts[caller] if caller else None)
        assert answer.status == 403
        return self.questions.get(timeout=10)


def identity(config: IdentityConfig, question: CheckRequest, *, with_certificate: bool = True) -> Identity:
    attributes = question.attributes
    header = attributes.request.http.headers.get("x-forwarded-client-cert")
    source = attributes.source
    return IdentityResolver(config).resolve(header, source.principal, source.certificate if with_certificate else "")


def _check_server(questions: queue.SimpleQueue[CheckRequest]) -> tuple[grpc.Server, int]:
    def check(request: CheckRequest, context: grpc.ServicerContext) -> CheckResponse:
        questions.put(request)
        response = CheckResponse()
        response.status.code = grpc.StatusCode.PERMISSION_DENIED.value[0]
        return response

    method = grpc.unary_unary_rpc_method_handler(check, CheckRequest.FromString, CheckResponse.SerializeToString)
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("envoy.service.auth.v3.Authorization", {"Check": method})])
    port = server.add_insecure_port(f"{LOOPBACK}:0")
    server.start()
    return server, port


def _envoy_config(authority: Authority, check_port: int) -> Config:
    variants = [Variant(mode, forward_client_cert=mode, accepts_any_san=True) for mode in MODES]
    variants += [Variant(f"{mode} plain", forward_client_cert=mode, is_tls=False) for mode in MODES]
    server = authority.issue("proxy", PROXY, is_server=True)
    around = Surroundings(authority.certificate, server, authz_ports=[check_port], upstream_port=free_port(), variants=variants)
    config = fit(load_template(), around)
    for listener in config["static_resources"]["listeners"]:
        for manager in connection_managers(listener):
            manager["set_current_client_cert_details"] = {"uri": True, "dns": True, "subject": True, "cert": True, "chain": True}
    return config


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    directory: Path = tmp_path_factory.mktemp("identity")
    authority = Authority(directory / "pki", "root")
    contexts = {name: tls_context(authority.certificate, authority.issue(name, uri, dns=dns)) for name, (uri, dns, _) in CALLERS.items()}
    questions: queue.SimpleQueue[CheckRequest] = queue.SimpleQueue()
    server, port = _check_server(questions)
    envoy = Envoy(_envoy_config(authority, port), directory)
    try:
        yield Scene(authority, contexts, envoy.ports, questions)
    finally:
        envoy.stop()
        server.stop(None).wait()


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("listener", MODES)
def test_no_header_and_no_certificate_makes_somebody_else_of_a_caller(scene: Scene, listener: str, caller: str) -> None:
    own = CALLERS[caller][2]
    for header in HEADERS:
        question = scene.question(listener, caller, header)
        for config in (IdentityConfig(MODES[listener]), IdentityConfig(), IdentityConfig(XfccMode.SANITIZE_SET)):
            found = identity(config, question)
            assert found.spiffe_id in {None, own}, (header, config)
            assert found.origin is None, (header, config)


@pytest.mark.parametrize("caller", [caller for caller in CALLERS if caller != "dns-name"])
@pytest.mark.parametrize("listener", ["SANITIZE_SET", "APPEND_FORWARD"])
def test_nor_where_envoy_does_not_send_the_certificate(scene: Scene, listener: str, caller: str) -> None:
    for header in HEADERS:
        found = identity(IdentityConfig(), scene.question(listener, caller, header), with_certificate=False)
        assert found.spiffe_id in {None, CALLERS[caller][2]}, header


@pytest.mark.parametrize("listener", ["SANITIZE_SET", "APPEND_FORWARD"])
def test_a_dns_name_that_reads_like_an_id_is_seen_through_by_the_element_alone(scene: Scene, listener: str) -> None:
    question = scene.question(listener, "dns-name", None)
    assert question.attributes.source.principal == ADMIN
    assert identity(IdentityConfig(), question, with_certificate=False).reason is Refusal.PRINCIPAL_MISMATCH


@pytest.mark.parametrize("listener", MODES)
def test_an_honest_caller_is_known_in_every_mode(scene: Scene, listener: str) -> None:
    question = scene.question(listener, "honest", None)
    for mode in (MODES[listener], XfccMode.APPEND_FORWARD):
        assert identity(IdentityConfig(mode), question).spiffe_id == USER


@pytest.mark.parametrize("header", [f"URI={ADMIN}", f"By={PROXY};URI={ADMIN}", f'[{{"uri":["{ADMIN}"]}}]'])
@pytest.mark.parametrize("listener", ["SANITIZE", "SANITIZE_SET", "APPEND_FORWARD"])
def test_a_forged_element_does_not_cost_the_sender_its_own_identity(scene: Scene, listener: str, header: str) -> None:
    assert identity(IdentityConfig(), scene.question(listener, "honest", header)).spiffe_id == USER


@pytest.mark.parametrize("listener", MODES)
def test_without_tls_nobody_is_anybody(scene: Scene, listener: str) -> None:
    for header in HEADERS:
        question = scene.question(f"{listener} plain", None, header)
        for config in (IdentityConfig(MODES[listener]), IdentityConfig()):
            assert identity(config, question).peer is None, header


def test_a_trusted_sender_vouches_for_its_client(scene: Scene) -> None:
    question = scene.question("APPEND_FORWARD", "honest", f"By={USER};URI={ADMIN}")
    found = identity(IdentityConfig.parse("append_forward", [USER]), question)
    assert (found.spiffe_id, found.origin and found.origin.text) == (USER, ADMIN)


def test_what_envoy_writes_about_a_certificate_agrees_with_it(scene: Scene) -> None:
    question = scene.question("APPEND_FORWARD", "honest", f"URI={ADMIN}")
    elements = parse_xfcc(question.attributes.request.http.headers["x-forwarded-client-cert"])
    assert len(elements) == 2
    assert elements[-1].by == (PROXY,)
    assert elements[-1].subject == "CN=honest"
    assert cert_consistency(elements[-1]) is CertConsistency.CONSISTENT
