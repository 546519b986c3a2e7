"""What is remembered about callers, and what is not."""

from hypothesis import given
from hypothesis import strategies as st

from authz.identity import Identity, IdentityConfig, IdentityResolver, Refusal, XfccMode, identify
from authz.identity.resolver import MAX_CACHED_CHARS
from tests.identity.certificates import certificate, encoded

USER = "spiffe://td.test/user"
ADMIN = "spiffe://td.test/admin"


def test_the_same_connection_gets_the_same_object() -> None:
    resolver = IdentityResolver(IdentityConfig())
    first = resolver.resolve(f"Hash=h;URI={USER}", USER)
    assert resolver.resolve("".join(["Hash=h;", f"URI={USER}"]), USER) is first


def test_every_input_is_part_of_the_key() -> None:
    resolver = IdentityResolver(IdentityConfig())
    text = encoded(certificate(USER))
    seen = [
        resolver.resolve(None, USER),
        resolver.resolve(None, ADMIN),
        resolver.resolve("", USER),
        resolver.resolve(f"URI={USER}", USER),
        resolver.resolve(f"URI={USER}", ADMIN),
        resolver.resolve(None, ADMIN, text),
    ]
    assert [identity.spiffe_id for identity in seen] == [USER, ADMIN, None, USER, None, None]
    assert [identity.reason for identity in seen[2:]] == [
        Refusal.EMPTY,
        None,
        Refusal.PRINCIPAL_MISMATCH,
        Refusal.CERTIFICATE_MISMATCH,
    ]


def test_two_configurations_share_nothing() -> None:
    strict, trusting = IdentityResolver(IdentityConfig(XfccMode.SANITIZE_SET)), IdentityResolver(IdentityConfig())
    header = f"URI={ADMIN},URI={USER}"
    assert strict.resolve(header, USER).reason is Refusal.TOO_MANY_ELEMENTS_FOR_MODE
    assert trusting.resolve(header, USER).spiffe_id == USER


def test_what_was_forgotten_is_answered_again() -> None:
    resolver = IdentityResolver(IdentityConfig(), cache_entries=2)
    first = resolver.resolve(None, USER)
    for number in range(3):
        resolver.resolve(None, f"spiffe://td.test/{number}")
    again = resolver.resolve(None, USER)
    assert again == first
    assert again is not first


def test_a_long_header_is_answered_but_not_kept() -> None:
    resolver = IdentityResolver(IdentityConfig())
    header = f'Subject="CN={"a" * MAX_CACHED_CHARS}";URI={USER}'
    first = resolver.resolve(header, USER)
    assert first.spiffe_id == USER
    assert resolver.resolve(header, USER) is not first


@given(st.sampled_from(list(XfccMode)), st.none() | st.text(), st.text(), st.text())
def test_any_input_ends_in_an_identity(mode: XfccMode, header: str | None, principal: str, text: str) -> None:
    resolver = IdentityResolver(IdentityConfig(mode))
    identity = resolver.resolve(header, principal, text)
    assert isinstance(identity, Identity)
    assert identity == identify(IdentityConfig(mode), header, principal, text)
