"""Hashes and HMACs."""

import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st

from tests.rego.builtins.as_json import call

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


def test_digests_are_those_of_opa() -> None:
    assert call("crypto.md5", "lorem ipsum") == "80a751fde577028640c419000e33eba6"
    assert call("crypto.hmac.md5", "foo", "bar") == "31b6db9e5eb4addb42f1a6ca07367adc"


@given(TEXTS, TEXTS)
def test_digests_are_of_utf8(text: str, key: str) -> None:
    for name in ("md5", "sha1", "sha256"):
        assert call(f"crypto.{name}", text) == hashlib.new(name, text.encode()).hexdigest()
    for name in ("md5", "sha1", "sha256", "sha512"):
        assert call(f"crypto.hmac.{name}", text, key) == hmac.new(key.encode(), text.encode(), name).hexdigest()


def test_equal_compares_any_text() -> None:
    assert call("crypto.hmac.equal", "é", "é") is True
    assert call("crypto.hmac.equal", "a", "ab") is False
