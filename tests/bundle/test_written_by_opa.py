"""Bundles that OPA 1.20.2 wrote are read, verified and decide as they do there."""

from __future__ import annotations

import pytest

from authz import rego
from authz.bundle.bundle import Bundle, parse_bundle
from authz.bundle.errors import SignatureError
from authz.bundle.keys import Keys
from authz.bundle.signatures import Verification
from authz.bundle.sources import combine
from tests.bundle.archives import WRITTEN_BY_OPA

BUNDLES = sorted(path.name for path in WRITTEN_BY_OPA.glob("*.tar.gz"))
HMAC = {"key": "secret", "algorithm": "HS256"}
SIGNED = {
    "signed-hs256.tar.gz": HMAC,
    "signed-directory.tar.gz": HMAC,
    "signed-rs256.tar.gz": {"key": (WRITTEN_BY_OPA / "signed-rs256.pub.pem").read_text(), "scope": "write"},
}


def read(name: str, **keys: dict[str, str]) -> Bundle:
    verification = Verification(Keys.from_config(keys), 0.0, key_id="default") if keys else None
    return parse_bundle("shop", (WRITTEN_BY_OPA / name).read_bytes(), verification=verification)


def decides(name: str, user: str) -> object:
    source = combine([read(name)])
    policy = rego.compile(source.modules, source.data, rego_version=source.versions(1))
    return policy.entrypoint("envoy/authz/allow").evaluate(rego.from_json({"user": user}), now_ns=0)


@pytest.mark.parametrize("name", BUNDLES)
def test_a_bundle_of_opa_decides(name: str) -> None:
    assert (decides(name, "ann"), decides(name, "bob")) == (rego.TRUE, rego.FALSE)


@pytest.mark.parametrize("name", SIGNED)
def test_a_signature_of_opa_verifies(name: str) -> None:
    signature = read(name, default=SIGNED[name]).signature
    assert signature is not None
    assert signature.is_verified


@pytest.mark.parametrize("name", SIGNED)
def test_a_signature_of_opa_by_another_key_does_not(name: str) -> None:
    with pytest.raises(SignatureError):
        read(name, default={"key": "another", "algorithm": "HS256"})


def test_the_scope_of_the_key_counts() -> None:
    with pytest.raises(SignatureError, match="scope mismatch"):
        read("signed-rs256.tar.gz", default=SIGNED["signed-rs256.tar.gz"] | {"scope": "read"})


def test_the_version_is_that_of_the_manifest() -> None:
    assert combine([read("v0.tar.gz")]).versions(1) == {"shop/policy.rego": 0}
