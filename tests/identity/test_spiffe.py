"""SPIFFE IDs, byte for byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.errors import ErrorCode
from authz.identity import SpiffeId, SpiffeIdError, SpiffeIdFault
from tests.identity.vectors import Vector, each


@each("spiffe_ids")
def test_an_id_is_read_as_the_standard_says(vector: Vector) -> None:
    if not vector["valid"]:
        with pytest.raises(SpiffeIdError):
            SpiffeId.parse(vector["id"])
        return
    spiffe_id = SpiffeId.parse(vector["id"])
    assert (spiffe_id.trust_domain, spiffe_id.path, spiffe_id.text) == (vector["trust_domain"], vector["path"], vector["id"])


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("spiffe://td.test/caf\u00e9", SpiffeIdFault.NOT_ASCII),
        ("spiffe://td.test/\ud800", SpiffeIdFault.NOT_ASCII),
        ("spiffe://td.test/" + "p" * 2048, SpiffeIdFault.TOO_LONG),
        ("SPIFFE://td.test/a", SpiffeIdFault.SCHEME),
        ("spiffe://TD.test/a", SpiffeIdFault.TRUST_DOMAIN),
        ("spiffe://" + "t" * 256, SpiffeIdFault.TRUST_DOMAIN),
        ("spiffe://td.test/a/..", SpiffeIdFault.PATH),
        ("spiffe://td.test/a\n", SpiffeIdFault.PATH),
    ],
)
def test_a_refusal_says_which_part_is_wrong_and_quotes_nothing(text: str, fault: SpiffeIdFault) -> None:
    with pytest.raises(SpiffeIdError) as caught:
        SpiffeId.parse(text)
    assert caught.value.reason is fault
    assert caught.value.code == ErrorCode.IDENTITY
    assert text not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "namespace", "service_account"),
    [
        ("spiffe://td.test/ns/shop/sa/cart", "shop", "cart"),
        ("spiffe://td.test/ns/ns/sa/sa", "ns", "sa"),
        ("spiffe://td.test/ns/shop/sa/cart/x", None, None),
        ("spiffe://td.test/x/ns/shop/sa/cart", None, None),
        ("spiffe://td.test/ns/shop/sa", None, None),
        ("spiffe://td.test/NS/shop/SA/cart", None, None),
        ("spiffe://td.test", None, None),
    ],
)
def test_only_a_path_of_exactly_ns_and_sa_names_a_service_account(text: str, namespace: str | None, service_account: str | None) -> None:
    spiffe_id = SpiffeId.parse(text)
    assert (spiffe_id.namespace, spiffe_id.service_account) == (namespace, service_account)


def test_a_trust_domain_is_no_workload() -> None:
    assert not SpiffeId.parse("spiffe://td.test").is_workload
    assert SpiffeId.parse("spiffe://td.test/a").is_workload


_SEGMENT = st.text("abcXYZ019._-", min_size=1, max_size=12).filter(lambda segment: segment not in {".", ".."})


@given(st.text("abcz019._-", min_size=1, max_size=40), st.lists(_SEGMENT, max_size=8))
def test_every_id_made_by_the_rules_is_read_back(trust_domain: str, segments: list[str]) -> None:
    path = "".join("/" + segment for segment in segments)
    spiffe_id = SpiffeId.parse(f"spiffe://{trust_domain}{path}")
    assert (spiffe_id.trust_domain, spiffe_id.path) == (trust_domain, path)
    assert str(spiffe_id) == f"spiffe://{trust_domain}{path}"


@given(st.text(), st.sampled_from(["", "spiffe://", "spiffe://td.test", "spiffe://td.test/a/"]))
def test_any_text_is_an_id_or_the_typed_error(text: str, prefix: str) -> None:
    try:
        spiffe_id = SpiffeId.parse(prefix + text)
    except SpiffeIdError:
        return
    assert f"spiffe://{spiffe_id.trust_domain}{spiffe_id.path}" == prefix + text
