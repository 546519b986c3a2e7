"""Whom to believe: the algorithm's cases, and the forgeries that were seen on a real Envoy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.identity import Identity, IdentityConfig, Refusal, SpiffeIdError, XfccMode, identify
from tests.identity.certificates import certificate, encoded
from tests.identity.vectors import Vector, each

ADMIN = "spiffe://td.test/admin"
USER = "spiffe://td.test/user"
GATEWAY = "spiffe://td.test/gw"
MINE = "By=spiffe://td.test/p;Hash=h;"


def _refused(reason: Refusal) -> Identity:
    return Identity(None, None, "none", reason)


def _peer(identity: Identity) -> str | None:
    assert identity.reason is None
    return identity.spiffe_id


@each("peer")
def test_the_peer_and_the_origin_are_whom_the_rules_say(vector: Vector) -> None:
    config = IdentityConfig.parse(vector["mode"], vector["trusted_proxies"])
    identity = identify(config, vector["header"], vector["principal"] or "")
    if "error" in vector:
        assert identity == _refused(Refusal(vector["error"]))
        return
    found = {"peer": identity.spiffe_id, "origin": identity.origin.text if identity.origin else None}
    assert (found, identity.reason) == (vector["expect"], None)


def test_the_default_believes_what_sanitize_set_and_append_forward_write() -> None:
    one = f"{MINE}URI={USER}"
    two = f"URI={ADMIN},{one}"
    assert [_peer(identify(IdentityConfig(), header, USER)) for header in (one, two, None)] == [USER, USER, USER]


def test_the_source_says_where_the_identity_comes_from() -> None:
    config = IdentityConfig()
    assert identify(config, f"{MINE}URI={USER}", USER).source == "xfcc"
    assert identify(config, None, USER).source == "principal"
    assert identify(config, None, "").source == "none"
    assert identify(config, None, "CN=user").source == "none"


def test_the_identity_offers_the_parts_of_the_peer() -> None:
    identity = identify(IdentityConfig(), None, "spiffe://td.test/ns/shop/sa/cart")
    parts = (identity.trust_domain, identity.path, identity.namespace, identity.service_account)
    assert parts == ("td.test", "/ns/shop/sa/cart", "shop", "cart")
    nobody = identify(IdentityConfig(), None, "")
    assert (nobody.spiffe_id, nobody.trust_domain, nobody.path, nobody.namespace, nobody.service_account) == (None,) * 5


@pytest.mark.parametrize("mode", [mode for mode in XfccMode if mode is not XfccMode.NONE])
@pytest.mark.parametrize(
    ("header", "reason"),
    [("", Refusal.EMPTY), ("URI=a;b", Refusal.NO_EQUALS), ("[]", Refusal.EMPTY_ELEMENT), ('{"uri":["a"]}', Refusal.JSON_FORMAT)],
)
def test_a_malformed_header_leaves_no_identity_and_no_fall_back(mode: XfccMode, header: str, reason: Refusal) -> None:
    assert identify(IdentityConfig(mode), header, USER) == _refused(reason)


FORGERIES = {
    "a forged element in front": (f"URI={ADMIN},{MINE}URI={USER}", USER, USER),
    "a forged header without TLS": (f"URI={ADMIN}", "", Refusal.XFCC_WITHOUT_PRINCIPAL),
    "the proxy forwards although it is said to append": (f"URI={ADMIN}", USER, Refusal.PRINCIPAL_MISMATCH),
    "a URI SAN that adds a second URI": (f"{MINE}URI={USER};URI={ADMIN}", f"{USER};URI={ADMIN}", Refusal.MULTIPLE_URI),
    "a URI SAN that adds an element": (f"{MINE}URI={USER},{MINE}URI={ADMIN}", f"{USER},{MINE}URI={ADMIN}", Refusal.PRINCIPAL_MISMATCH),
    "a URI SAN with CR LF": (f"{MINE}URI={USER}\r\nX-Evil: 1", f"{USER}\r\nX-Evil: 1", Refusal.BAD_CHAR),
    "an open quote closed by the certificate": (
        f'URI={ADMIN};Subject=",{MINE}Subject="CN=i3";URI=http://x/"q',
        'http://x/"q',
        Refusal.TEXT_AFTER_QUOTE,
    ),
    "a common name that closes the quote": (rf'{MINE}Subject="CN=\",URI={ADMIN},X=\"";URI={USER}', USER, USER),
    "a common name that ends in a backslash": (rf'{MINE}Subject="CN=a\\";URI={USER}', USER, USER),
    "a quote inside a bare value": (f'{MINE}Subject=x";Cert=A;URI={ADMIN}";URI={USER}', USER, Refusal.QUOTE_IN_BARE),
    "two hashes": (f"{MINE}Hash=g;URI={USER}", USER, Refusal.DUPLICATE_KEY),
    "a DNS SAN that reads like a SPIFFE ID": (f"{MINE}URI=;DNS={ADMIN}", ADMIN, Refusal.PRINCIPAL_MISMATCH),
    "the JSON form with a forged element": (f'[{{"uri":["{ADMIN}"]}},{{"hash":"h","uri":["{USER}"]}}]', USER, USER),
    "the JSON form with two equal names": (f'[{{"hash":"h","uri":["{ADMIN}"],"uri":["{USER}"]}}]', USER, Refusal.DUPLICATE_KEY),
    "a lone comma": (f",,{MINE}URI={USER}", USER, Refusal.EMPTY_ELEMENT),
    "an empty array": (f'[,{{"hash":"h","uri":["{USER}"]}}]', USER, Refusal.JSON_FORMAT),
    "a key that no proxy writes": (f"{MINE}SAN={ADMIN};URI={USER}", USER, Refusal.UNKNOWN_KEY),
    "an upper-case scheme": (f"{MINE}URI=SPIFFE://td.test/admin", "SPIFFE://td.test/admin", Refusal.BAD_SPIFFE_ID),
    "a trust domain as a workload": (f"{MINE}URI=spiffe://td.test", "spiffe://td.test", Refusal.BAD_SPIFFE_ID),
    "a URI that is no SPIFFE ID": (f"{MINE}URI=https://a.test", "https://a.test", Refusal.BAD_SPIFFE_ID),
}


@pytest.mark.parametrize(("header", "principal", "expected"), FORGERIES.values(), ids=FORGERIES)
def test_a_forgery_yields_the_true_peer_or_nobody(header: str, principal: str, expected: str | Refusal) -> None:
    identity = identify(IdentityConfig(), header, principal)
    assert identity.origin is None
    assert identity.reason is expected if isinstance(expected, Refusal) else _peer(identity) == expected


def test_an_untrusted_peer_cannot_vouch_with_a_consistent_by_link() -> None:
    header = f"By={USER};URI={ADMIN},{MINE}URI={USER}"
    identity = identify(IdentityConfig(), header, USER)
    assert (_peer(identity), identity.origin) == (USER, None)


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        (f"By={GATEWAY};URI={USER}", USER),
        (f"By=https://edge.test;URI={USER}", USER),
        (f"By=https://edge.test;By={GATEWAY};URI={USER}", USER),
        (f"URI={USER}", USER),
        (f"By={GATEWAY};URI={GATEWAY}", GATEWAY),
        ("Hash=h;URI=", None),
        (f"By={ADMIN};URI={USER}", Refusal.BROKEN_LINK),
        (f"By={GATEWAY};URI={USER};URI={ADMIN}", Refusal.MULTIPLE_URI),
        (f"By={GATEWAY};URI=https://a.test", Refusal.BAD_SPIFFE_ID),
    ],
)
def test_a_trusted_gateway_vouches_for_the_element_before_it(element: str, expected: str | Refusal | None) -> None:
    config = IdentityConfig.parse("append_forward", [GATEWAY])
    identity = identify(config, f"{element},{MINE}URI={GATEWAY}", GATEWAY)
    if isinstance(expected, Refusal):
        assert identity == _refused(expected)
    else:
        assert (_peer(identity), identity.origin.text if identity.origin else None) == (GATEWAY, expected)


@pytest.mark.parametrize("mode", ["sanitize_set", "replaced"])
def test_an_origin_needs_a_mode_that_keeps_earlier_elements(mode: str) -> None:
    identity = identify(IdentityConfig.parse(mode, [GATEWAY]), f"{MINE}URI={GATEWAY}", GATEWAY)
    assert (_peer(identity), identity.origin) == (GATEWAY, None)


def test_a_waypoint_without_a_principal_is_believed_and_one_with_another_is_not() -> None:
    config = IdentityConfig(XfccMode.REPLACED)
    assert _peer(identify(config, f"By={GATEWAY};URI={USER}", "")) == USER
    assert identify(config, f"By={GATEWAY};URI={USER}", ADMIN) == _refused(Refusal.PRINCIPAL_MISMATCH)
    assert identify(config, f"By={GATEWAY};URI=", ADMIN) == _refused(Refusal.PRINCIPAL_MISMATCH)


CERTIFICATES = {
    "the peer's own": (encoded(certificate(USER)), USER, None),
    "with DNS names beside": (encoded(certificate(USER, dns=("a.test",))), USER, None),
    "another workload's": (encoded(certificate(ADMIN)), USER, Refusal.CERTIFICATE_MISMATCH),
    "with a second URI SAN": (encoded(certificate(USER, "https://a.test")), USER, Refusal.CERTIFICATE_MISMATCH),
    "with the ID as a DNS name": (encoded(certificate(dns=(USER,))), USER, Refusal.CERTIFICATE_MISMATCH),
    "two certificates": (encoded(certificate(USER), certificate(ADMIN)), USER, Refusal.BAD_CERTIFICATE),
    "unreadable": ("%zz", USER, Refusal.BAD_CERTIFICATE),
    "without a SPIFFE ID, and the principal has none": (encoded(certificate("https://a.test")), "CN=a", None),
    "with a SPIFFE ID, but the principal has none": (encoded(certificate("https://a.test", USER)), "CN=a", Refusal.CERTIFICATE_MISMATCH),
}


@pytest.mark.parametrize("mode", [XfccMode.NONE, XfccMode.APPEND_FORWARD, XfccMode.ALWAYS_FORWARD_ONLY])
@pytest.mark.parametrize(("text", "principal", "reason"), CERTIFICATES.values(), ids=CERTIFICATES)
def test_the_certificate_of_the_connection_must_name_exactly_the_peer(
    mode: XfccMode, text: str, principal: str, reason: Refusal | None
) -> None:
    identity = identify(IdentityConfig(mode), None, principal, text)
    if reason:
        assert identity == _refused(reason)
    else:
        assert _peer(identity) == (principal if principal.startswith("spiffe:") else None)


def test_a_certificate_beside_an_element_is_checked_too() -> None:
    header = f"{MINE}URI={USER}"
    assert _peer(identify(IdentityConfig(), header, USER, encoded(certificate(USER)))) == USER
    assert identify(IdentityConfig(), header, USER, encoded(certificate(ADMIN))) == _refused(Refusal.CERTIFICATE_MISMATCH)


def test_a_configuration_that_cannot_work_is_refused() -> None:
    with pytest.raises(ValueError, match="sanitise"):
        IdentityConfig.parse("sanitise")
    with pytest.raises(SpiffeIdError):
        IdentityConfig.parse("append_forward", ["spiffe://TD.test/gw"])


_URI = st.sampled_from([USER, ADMIN, GATEWAY, "", "-", "spiffe://td.test", "https://a.test"])
_ELEMENT = st.builds(lambda by, uris: ";".join([f"By={by}", *(f"URI={uri}" for uri in uris)]), _URI, st.lists(_URI, max_size=2))
_HEADER = st.none() | st.lists(_ELEMENT, min_size=1, max_size=4).map(",".join) | st.text(max_size=60)
_CONFIG = st.builds(IdentityConfig.parse, st.sampled_from(list(XfccMode)), st.lists(st.sampled_from([USER, GATEWAY]), max_size=2))


@given(_CONFIG, _HEADER, _URI | st.text(max_size=20))
def test_the_peer_is_never_anybody_but_the_principal(config: IdentityConfig, header: str | None, principal: str) -> None:
    identity = identify(config, header, principal)
    if identity.reason is not None:
        assert identity == _refused(identity.reason)
    elif identity.peer is None:
        assert (identity.origin, identity.source) == (None, "none")
    elif config.mode is not XfccMode.REPLACED:
        assert identity.peer.text == principal
    if identity.origin is not None:
        assert identity.peer in config.trusted_proxies
        assert config.mode not in {XfccMode.NONE, XfccMode.SANITIZE_SET, XfccMode.REPLACED}
