"""Projections: reading a path in the projected document is reading it in the full one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from hypothesis import given, settings
from hypothesis import strategies as st

from authz.extauthz import BadRequestError, IdentitySource, InputConfig, Projection, decode, full_document
from authz.extauthz.identity_input import REMEMBERED_IDENTITIES, IdentityObjects, identity_object
from authz.extauthz.projection import minimal
from authz.identity import Identity, IdentityConfig, IdentityResolver, SpiffeId
from authz.rego.values import FALSE, NULL, TRUE, Object, Value
from tests.extauthz.requests import CALLER, SERVER, check_request, check_requests, mesh_request

Path = tuple[str, ...]

SOURCE = IdentitySource(IdentityResolver(IdentityConfig()))
HEADERS: Path = ("attributes", "request", "http", "headers")

# Every kind of field that the schema has, some that it has not, and steps into what has no steps.
DOTTED = """
attributes attributes.nope attributes.nope.deeper attributes.tlsSession attributes.tlsSession.sni attributes.routeMetadataContext
attributes.request attributes.request.time attributes.request.time.seconds attributes.request.http
attributes.request.http.id attributes.request.http.method attributes.request.http.path attributes.request.http.host
attributes.request.http.scheme attributes.request.http.size attributes.request.http.protocol attributes.request.http.query
attributes.request.http.body attributes.request.http.rawBody attributes.request.http.headerMap
attributes.request.http.headerMap.headers attributes.request.http.headerMap.headers.key
attributes.request.http.headers attributes.request.http.headers.a attributes.request.http.headers.x-tenant
attributes.request.http.headers.content-type attributes.request.http.headers.missing attributes.request.http.headers.a.b
attributes.source attributes.source.principal attributes.source.labels attributes.source.labels.a attributes.source.service
attributes.destination attributes.destination.principal attributes.destination.labels.a
attributes.source.address attributes.source.address.pipe.mode attributes.source.address.envoyInternalAddress.serverListenerName
attributes.source.address.socketAddress attributes.source.address.socketAddress.address
attributes.source.address.socketAddress.portValue attributes.source.address.socketAddress.namedPort
attributes.source.address.socketAddress.protocol attributes.source.address.socketAddress.ipv4Compat
attributes.contextExtensions attributes.contextExtensions.a attributes.contextExtensions.a.b
attributes.metadataContext.filterMetadata attributes.metadataContext.filterMetadata.a attributes.metadataContext.filterMetadata.a.b
attributes.metadataContext.filterMetadata.a.b.x-tenant attributes.metadataContext.filterMetadata.a.b.a.b
attributes.metadataContext.typedFilterMetadata attributes.metadataContext.typedFilterMetadata.a
attributes.metadataContext.typedFilterMetadata.a.typeUrl attributes.metadataContext.typedFilterMetadata.a.value.x
version version.ext_authz parsed_path parsed_path.0 parsed_query parsed_query.x parsed_query.a parsed_body parsed_body.a parsed_body.a.b
truncated_body source_principal source_principal.x unknown
identity identity.spiffe_id identity.trust_domain identity.path identity.namespace identity.service_account identity.source
identity.reason identity.origin
request request.method request.path request.host request.scheme request.destination request.nope request.method.x
"""
PATHS: list[Path] = [(), (*HEADERS, ""), (*HEADERS, "\ud800"), *(tuple(dotted.split(".")) for dotted in DOTTED.split())]


JSON = {"content-type": "application/json"}


def projection(reads: Sequence[Path], config: InputConfig | None = None) -> Projection:
    return Projection(reads, SOURCE, config or InputConfig())


def project(request: CheckRequest, *reads: Path, config: InputConfig | None = None) -> Object:
    chosen = projection(reads, config)
    return chosen.document(chosen.leaves(request))


def read(document: Value | None, path: Path) -> Value | None:
    for step in path:
        if not isinstance(document, Object):
            return None
        document = document.get(step)
    return document


def outcome(build: Callable[[], Object]) -> Object | str:
    """Return the document, or the text with which the request is refused."""
    try:
        return build()
    except BadRequestError as error:
        return error.message


@settings(max_examples=300)
@given(check_requests, st.lists(st.sampled_from(PATHS), max_size=6), st.booleans())
def test_every_read_sees_what_it_sees_in_the_full_document(request: CheckRequest, paths: list[Path], skip_body: bool) -> None:
    config = InputConfig(skip_request_body_parse=skip_body)
    full, projected = outcome(lambda: full_document(request, SOURCE, config)), outcome(lambda: project(request, *paths, config=config))
    if isinstance(full, str):
        assert projected == full
        return
    assert isinstance(projected, Object)
    for path in paths:
        assert read(projected, path) == read(full, path), path


@given(check_requests)
def test_all_paths_at_once_see_the_full_document(request: CheckRequest) -> None:
    paths = [path for path in PATHS if path]
    config = InputConfig()
    try:
        full = full_document(request, SOURCE, config)
    except BadRequestError:
        return
    projected = project(request, *paths)
    assert {path: read(projected, path) for path in paths} == {path: read(full, path) for path in paths}
    assert project(request, ()) == full


@given(check_requests, check_requests, st.lists(st.sampled_from(PATHS), max_size=4))
def test_equal_leaves_mean_equal_documents(first: CheckRequest, second: CheckRequest, paths: list[Path]) -> None:
    chosen = projection(paths)
    try:
        leaves = chosen.leaves(first), chosen.leaves(second)
    except BadRequestError:
        return
    assert (leaves[0] == leaves[1]) == (chosen.document(leaves[0]) == chosen.document(leaves[1]))
    assert leaves[0] != leaves[1] or hash(leaves[0]) == hash(leaves[1])


def test_document_of_a_mesh_request() -> None:
    document = full_document(mesh_request("POST", "/v1/a%2Fb?x=1"), SOURCE, InputConfig())
    del document["attributes"]
    assert document == Object(
        {
            "version": Object({"ext_authz": "v3", "encoding": "protojson"}),
            "parsed_path": ("v1", "a", "b"),
            "parsed_query": Object({"x": ("1",)}),
            "parsed_body": NULL,
            "truncated_body": FALSE,
            "source_principal": CALLER,
            "identity": Object(
                {
                    "spiffe_id": CALLER,
                    "trust_domain": "prod.example",
                    "path": "/ns/payments/sa/checkout",
                    "namespace": "payments",
                    "service_account": "checkout",
                    "source": "xfcc",
                }
            ),
            "request": Object(
                {"method": "POST", "path": "/v1/a%2Fb", "host": "ledger.prod.example", "scheme": "https", "destination": SERVER}
            ),
        }
    )


def test_nobody_has_a_source_and_a_refused_caller_a_reason() -> None:
    assert project(check_request(), ("identity",)) == Object({"identity": Object({"source": "none"})})
    forged = mesh_request()
    forged.attributes.source.principal = "spiffe://prod.example/ns/payments/sa/other"
    identity = project(forged, ("identity",))["identity"]
    assert identity == Object({"source": "none", "reason": "principal_mismatch"})
    assert all(type(text) is str for text in identity.values())  # type: ignore[union-attr]


def test_certificate_that_contradicts_the_principal_leaves_nobody() -> None:
    request = mesh_request()
    request.attributes.source.certificate = "no certificate"
    assert project(request, ("identity",)) == Object({"identity": Object({"source": "none", "reason": "bad_certificate"})})


def test_identities_are_not_confused_when_addresses_are_used_again() -> None:
    objects = IdentityObjects()
    for number in range(2 * REMEMBERED_IDENTITIES):
        identity = Identity(SpiffeId.parse(f"spiffe://td/{number}"), None, "principal", None)
        assert objects.of(identity)["path"] == f"/{number}"
        assert len(objects) <= REMEMBERED_IDENTITIES


def test_origin_is_a_spiffe_id_beside_the_peer() -> None:
    peer, origin = SpiffeId.parse("spiffe://td/gateway"), SpiffeId.parse("spiffe://td/client")
    value = identity_object(Identity(peer, origin, "xfcc", None))
    assert value == Object({"source": "xfcc", "spiffe_id": peer.text, "trust_domain": "td", "path": "/gateway", "origin": origin.text})


def test_destination_that_is_no_spiffe_id_is_absent() -> None:
    assert project(check_request(destination={"principal": "ledger.example"}), ("request",)) == Object({"request": Object()})


def test_truncated_body_is_seen_without_a_body() -> None:
    request = check_request({"headers": {"x-envoy-auth-partial-body": "true"}})
    assert project(request, ("truncated_body",)) == Object({"truncated_body": TRUE})


def test_skipped_bodies_are_absent_and_never_refused() -> None:
    request = check_request({"headers": {"content-type": "application/json"}, "body": "{"})
    config = InputConfig(skip_request_body_parse=True)
    assert project(request, ("parsed_body",), ("truncated_body",), config=config) == Object()
    assert "parsed_body" not in full_document(request, SOURCE, config)


@pytest.mark.parametrize(
    "http", [{"path": "/%zz"}, {"path": "/?a;b"}, {"headers": JSON, "body": "{"}, {"headers": JSON, "rawBody": "ew=="}]
)
def test_malformed_request_is_refused_even_where_nothing_is_read_unless_told_otherwise(http: dict[str, object]) -> None:
    request = check_request(http)
    with pytest.raises(BadRequestError):
        project(request)
    relaxed = InputConfig(check_unread=False)
    assert project(request, ("request", "method"), config=relaxed) == Object({"request": Object()})
    with pytest.raises(BadRequestError):
        project(request, ("parsed_path",), ("parsed_body",), config=relaxed)


def test_raw_headers_are_seen_and_carry_identity() -> None:
    request = mesh_request()
    http = request.attributes.request.http
    for name, value in http.headers.items():
        http.header_map.headers.add(key=name, raw_value=value.encode())
    http.headers.clear()
    decoded = decode(request.SerializeToString())
    assert project(decoded, ("identity", "spiffe_id")) == Object({"identity": Object({"spiffe_id": CALLER})})


def test_read_sets_are_minimal_and_in_order() -> None:
    assert minimal([("b", "c"), ("a",), ("a", "x"), ("b", "c", "d"), ("bc",), ("a",)]) == (("a",), ("b", "c"), ("bc",))
    assert minimal([("a",), ()]) == ((),)


@pytest.mark.parametrize(
    ("path", "repeats"),
    [
        ((), False),
        (("attributes",), False),
        (("attributes", "request"), False),
        (("attributes", "request", "time", "seconds"), False),
        (("attributes", "request", "http"), False),
        (("attributes", "request", "http", "id"), False),
        (("attributes", "request", "http", "method"), True),
        (("attributes", "source"), True),
        (("parsed_body",), True),
    ],
)
def test_reads_that_are_never_the_same_twice_are_known(path: Path, repeats: bool) -> None:
    assert projection([path, ("request", "method")]).repeats is repeats
