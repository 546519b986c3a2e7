"""Whatever the bytes: a bundle, or one clear refusal, soon."""

from __future__ import annotations

import gzip
import time
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from authz.bundle.bundle import parse_bundle
from authz.bundle.errors import BundleError
from authz.bundle.keys import Key, Keys
from authz.bundle.signatures import Verification
from authz.bundle.sources import combine
from authz.errors import AuthzError
from tests.bundle.archives import WRITTEN_BY_OPA, archive

SIGNED = (WRITTEN_BY_OPA / "signed-hs256.tar.gz").read_bytes()
PLAIN = gzip.decompress(SIGNED)
HOW = Verification(Keys({"default": Key("default", "secret", "HS256")}), 0.0, key_id="default")
TEXT = st.text(alphabet='{}[]":,0123456789.eE-abtrufnlsop\\/~% \n\ud800é', max_size=60)
NAMES = ("data.json", "a/data.yaml", ".manifest", ".signatures.json", "patch.json", "p.rego", "x_test.rego")
MAX_S = 5.0


def read(content: bytes, verification: Verification | None = None) -> None:
    started = time.monotonic()
    try:
        parse_bundle("main", content, verification=verification)
        refusal = None
    except BundleError as error:
        refusal = error.message
    assert refusal is None or refusal.encode().startswith(b"bundle main: ")
    assert time.monotonic() - started < MAX_S


@given(st.binary(max_size=2000))
def test_random_bytes(content: bytes) -> None:
    read(content)
    read(gzip.compress(content))


@given(st.lists(st.tuples(st.integers(0, len(SIGNED) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_bundle_with_other_bytes(changes: list[tuple[int, int]]) -> None:
    content = bytearray(SIGNED)
    for at, byte in changes:
        content[at] = byte
    read(bytes(content), HOW)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, len(PLAIN) - 1), st.integers(0, 255)), min_size=1, max_size=4), st.booleans())
def test_an_archive_with_other_bytes(changes: list[tuple[int, int]], is_whole: bool) -> None:
    content = bytearray(PLAIN)
    for at, byte in changes:
        content[at] = byte
        header = at - at % 512
        if is_whole:
            content[header + 148 : header + 156] = b" " * 8
            content[header + 148 : header + 156] = b"%06o\0 " % sum(content[header : header + 512])
    read(gzip.compress(bytes(content), 1))


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from(NAMES), TEXT, min_size=1))
def test_files_of_any_text(contents: dict[str, str]) -> None:
    packed = archive({name: text.encode("utf-8", "surrogatepass") for name, text in contents.items()})
    read(packed)
    read(packed, HOW)


@given(st.integers(0, len(SIGNED) - 1))
def test_a_signed_bundle_that_was_changed_never_verifies_as_another(at: int) -> None:
    meant = parse_bundle("main", SIGNED, verification=HOW)
    content = bytearray(SIGNED)
    content[at] ^= 1 << at % 8
    try:
        changed = parse_bundle("main", bytes(content), verification=HOW)
    except BundleError:
        return
    assert (changed.modules, changed.data, changed.manifest) == (meant.modules, meant.data, meant.manifest)


def test_bundles_of_any_text_are_combined_or_refused() -> None:
    for name in NAMES:
        for text in ("", "{}", "null", "[]", '{"a": 1}', "package a", '"\\ud800"'):
            with suppress(AuthzError):
                assert combine([parse_bundle("main", archive({name: text}))]).digest
