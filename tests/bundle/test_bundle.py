from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final

import pytest

from authz import rego
from authz.bundle.archive import ArchiveFile, write_archive
from authz.bundle.bundle import Bundle, parse_bundle
from authz.bundle.directory import SourceError
from authz.bundle.errors import BundleError, SignatureError
from authz.bundle.keys import Key, Keys
from authz.bundle.limits import Limits
from authz.bundle.manifest import Manifest
from authz.bundle.signatures import SIGNATURES_NAME, Verification, sign
from authz.bundle.sources import combine, merge
from authz.errors import ErrorCode
from tests.bundle.archives import archive, bundle, files

NOW: Final = 1_700_000_000.0
KEY: Final = Key("k", "secret", "HS256")
MODULE: Final = "package a\n\nallow := true\n"
OPEN: Final = Verification(Keys(), NOW)
KNOWN: Final = Verification(Keys({"k": KEY}), NOW)
ASKED: Final = Verification(Keys({"k": KEY}), NOW, key_id="k")
STRICT: Final = Verification(Keys({"k": KEY}), NOW, is_strict=True)
ROOT_A: Final = '{"roots": ["a"]}'
DELTA: Final = {"patch.json": '{"data": [{"op": "upsert", "path": "/a", "value": 1}]}'}


def signed(contents: dict[str, str], key: Key = KEY) -> bytes:
    plain = files(contents)
    return write_archive([*plain, ArchiveFile(SIGNATURES_NAME, sign(plain, key))])


def refusal(contents: dict[str, str | bytes] | bytes, **options: Any) -> BundleError:
    with pytest.raises(BundleError) as caught:
        parse_bundle("main", contents if isinstance(contents, bytes) else archive(contents), **options)
    return caught.value


def test_a_bundle_has_modules_tests_data_and_a_manifest() -> None:
    read = bundle(
        {
            "a/policy.rego": MODULE,
            "a/policy_test.rego": "package a_test\n",
            "x/data.json": '{"n": 1.50}',
            "x/y/data.yml": "z: true",
            ".manifest": '{"revision": "7", "roots": ["a", "a_test", "x"]}',
            "README.md": "text",
        }
    )
    assert read.modules == {"a/policy.rego": MODULE}
    assert read.tests == {"a/policy_test.rego": "package a_test\n"}
    assert read.data == {"x": {"n": Decimal("1.50"), "y": {"z": True}}}
    assert read.manifest == Manifest("7", ("a", "a_test", "x"))
    assert len(read.files) == 6


def test_folders_lose_the_dots_that_they_begin_with() -> None:
    read = bundle({".hidden/data.json": '{"x": 1}', "a/.b/data.json": "1"})
    assert read.data == {"hidden": {"x": 1}, "a": {".b": 1}}


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({"data.json": "[1]"}, "bundle main: data.json: the data document at the root must be an object"),
        ({"a/data.json": '{"x": 1}', "data.json": '{"a": {"x": 1}}'}, "bundle main: data.json: `data.a.x` is already set by a/data.json"),
        ({"data.json": '{"a": 1, "a": 2}'}, "bundle main: data.json: key `a` appears twice in one object"),
        ({"data.json": "{"}, "bundle main: data.json:1:2: not valid JSON"),
        ({"data.json": b"\xff"}, "bundle main: data.json:1:1: not valid UTF-8"),
        ({"p.rego": b"\xff"}, "bundle main: p.rego:1:1: not valid UTF-8"),
        ({"a/data.json": "[" * 127 + "]" * 127}, "bundle main: a/data.json: nested deeper than 128 levels"),
        ({".manifest": "{}", "a/.manifest": "{}"}, "bundle main: more than one manifest: `.manifest`, `a/.manifest`"),
        ({".signatures.json": "{}", "signatures.json": "{}"}, "bundle main: more than one signature file"),
        ({"patch.json": "{}", "a/patch.json": "{}"}, "bundle main: more than one patch.json"),
        (
            {".manifest": '{"roots": ["a"]}', "p.rego": "package b"},
            "bundle main: manifest roots [a] do not permit 'package b' in module '/p.rego'",
        ),
        ({".manifest": '{"roots": ["a"]}', "p_test.rego": "package b"}, "do not permit 'package b' in module '/p_test.rego'"),
        ({".manifest": '{"roots": ["a"]}', "data.json": '{"\\ud800": 1}'}, "do not permit data at path '/\\ud800'"),
        (
            {".manifest": '{"roots": []}', "data.json": "{}"},
            "manifest roots [] do not permit data at path '/' (hint: ",
        ),
    ],
)
def test_a_bundle_that_is_wrong_is_refused(contents: dict[str, str | bytes], message: str) -> None:
    error = refusal(contents)
    assert message in error.message
    assert error.code == ErrorCode.BUNDLE


def test_a_package_that_only_the_other_version_can_read_is_not_let_through() -> None:
    """`if` is a name in Rego v0: to the compiler that reads v0, the package is outside of the roots."""
    contents: dict[str, str | bytes] = {".manifest": '{"roots": ["a"]}', "p.rego": "package b.if\n\np = 1"}
    for version in (0, None):
        assert "do not permit 'package b.if'" in refusal(contents, rego_version=version).message


def test_a_module_that_does_not_parse_is_the_compilers_to_refuse() -> None:
    read = bundle({".manifest": '{"roots": ["a"]}', "p.rego": "package", "q.rego": "package a\n\nallow if {"})
    with pytest.raises(rego.CompileError):
        rego.compile(combine([read]).modules)


def test_a_large_manifest_is_refused_before_it_is_read() -> None:
    assert (
        "bundle main: .manifest: larger than 10 bytes"
        in refusal({".manifest": '{"revision": "1"}'}, limits=Limits(manifest_bytes=10)).message
    )


def test_an_unsigned_bundle_is_accepted_unless_a_signature_is_asked_for() -> None:
    for verification in (None, OPEN, KNOWN):
        assert parse_bundle("main", archive({"p.rego": MODULE}), verification=verification).signature is None
    for verification in (ASKED, STRICT):
        error = refusal({"p.rego": MODULE}, verification=verification)
        assert (error.message, error.code) == ("bundle main: bundle missing .signatures.json file", ErrorCode.BUNDLE_SIGNATURE)


def test_a_signed_bundle_must_verify_wherever_anything_is_verified() -> None:
    content = signed({"p.rego": MODULE})
    for verification in (KNOWN, ASKED, STRICT):
        read = parse_bundle("main", content, verification=verification)
        assert read.signature is not None
        assert read.signature.is_verified
    assert refusal(content, verification=OPEN).message == "bundle main: verification key not provided"
    unverified = parse_bundle("main", content).signature
    assert unverified is not None
    assert (unverified.key_id, unverified.algorithm, unverified.is_verified) == ("k", "HS256", False)


def test_a_delta_must_be_signed_where_a_snapshot_must() -> None:
    for verification in (ASKED, STRICT):
        assert parse_bundle("main", signed(DELTA), verification=verification).is_delta
        assert "bundle missing .signatures.json file" in refusal(archive(dict(DELTA)), verification=verification).message
    other = signed(DELTA, Key("k", "another", "HS256"))
    assert isinstance(refusal(other, verification=KNOWN), SignatureError)


def test_the_signature_is_verified_before_anything_is_read() -> None:
    content = signed({"p.rego": MODULE, "x/patch.json": "{"}, Key("k", "another", "HS256"))
    assert "the signature is not that of key `k`" in refusal(content, verification=KNOWN).message


def test_a_file_that_is_named_like_a_signature_does_not_escape_one() -> None:
    plain = files({"p.rego": MODULE})
    content = write_archive([*plain, ArchiveFile(SIGNATURES_NAME, sign(plain, KEY)), ArchiveFile("x_signatures.json", b"{}")])
    assert "more than one signature file" in refusal(content, verification=STRICT).message


def test_the_digest_is_of_names_and_contents_and_not_of_signatures() -> None:
    plain = {"p.rego": MODULE, "data.json": "{}"}
    assert parse_bundle("a", archive(dict(plain))).digest == parse_bundle("b", signed(plain)).digest
    assert bundle({"p.rego": MODULE}).digest != bundle({"q.rego": MODULE}).digest


def with_roots(name: str, *roots: str, **contents: str) -> Bundle:
    return bundle({".manifest": json.dumps({"revision": f"r-{name}", "roots": roots}), **contents}, name)


def test_one_bundle_is_a_policy_of_its_revision() -> None:
    source = combine([bundle({"p.rego": MODULE, "p_test.rego": MODULE, ".manifest": '{"revision": "7"}'})], etags={"main": "e"})
    assert (source.modules, source.revision) == ({"main/p.rego": MODULE}, "7")
    assert source.data == {"system": {"bundles": {"main": {"manifest": {"revision": "7", "roots": [""]}, "etag": "e"}}}}
    assert len(source.digest) == 64


def test_tests_are_part_of_it_if_asked_for() -> None:
    assert list(combine([bundle({"p_test.rego": MODULE})], with_tests=True).modules) == ["main/p_test.rego"]


def test_several_bundles_are_one_policy() -> None:
    one = with_roots("one", "a", "x/y", **{"p.rego": MODULE, "data.json": '{"x": {"y": {"n": 1}}}'})
    two = with_roots("two", "x/z", **{"data.json": '{"x": {"z": 2}}'})
    source = combine([two, one])
    assert source.revision == "one=r-one,two=r-two"
    assert source.data["x"] == {"y": {"n": 1}, "z": 2}
    assert list(source.data["system"]["bundles"]) == ["one", "two"]
    assert combine([one, two]) == source
    assert one.data == {"x": {"y": {"n": 1}}}


def test_a_bundle_without_a_revision_has_that_of_its_contents() -> None:
    read = bundle({"p.rego": MODULE})
    assert combine([read]).revision == read.digest[:16]


def test_objects_that_only_lead_to_a_root_are_no_data() -> None:
    assert set(combine([with_roots("one", "c/d", **{"data.json": '{"c": {}}'})]).data) == {"system"}


@pytest.mark.parametrize(
    ("roots", "message"),
    [
        (
            {"h1": ["a/b", "c"], "h2": ["a", "c", "d"], "h4": ["d", "e"]},
            "detected overlapping roots in manifests for these bundles: [h1, h2, h4] "
            "(a overlaps a/b, root c is in multiple bundles, root d is in multiple bundles)",
        ),
        (
            {"g2": ["c/d"], "n": [""]},
            "bundles [g2, n] have overlapping roots and cannot be activated simultaneously because bundle(s) [n] specify empty "
            "root paths ('') which overlap with any other bundle root",
        ),
        ({"x": ["a"], "y": ["a"]}, "detected overlapping roots in manifests for these bundles: [x, y] (root a is in multiple bundles)"),
    ],
)
def test_roots_that_overlap_are_refused_in_opas_words(roots: dict[str, list[str]], message: str) -> None:
    with pytest.raises(BundleError) as caught:
        combine([with_roots(name, *owned) for name, owned in roots.items()])
    assert caught.value.message == message


def test_a_bundle_twice_and_a_delta_are_no_policy() -> None:
    with pytest.raises(BundleError, match="bundle main: is given twice"):
        combine([bundle({}), bundle({})])
    with pytest.raises(BundleError, match="bundle main: is a delta"):
        combine([bundle(dict(DELTA))])


def test_modules_of_both_versions_are_one_policy() -> None:
    source = combine(
        [
            bundle(
                {
                    "old.rego": "package old\n\nallow { input.x }\n",
                    "new.rego": "package new\n\nallow if data.old.allow\n",
                    ".manifest": '{"rego_version": 1, "file_rego_versions": {"/old*": 0}}',
                }
            )
        ]
    )
    policy = rego.compile(source.modules, source.data, rego_version=source.versions(1))
    assert source.versions(0) == {"main/old.rego": 0, "main/new.rego": 1}
    assert policy.entrypoint("new/allow")


def test_a_version_that_nobody_names_is_the_compilers() -> None:
    assert combine([bundle({"p.rego": MODULE})]).versions(0) == {"main/p.rego": 0}
    assert combine([parse_bundle("main", archive({"p.rego": MODULE}), rego_version=0)]).versions(1) == {"main/p.rego": 0}


def test_bundles_and_files_are_one_source_unless_both_bring_the_same() -> None:
    one = combine([bundle({"p.rego": MODULE, "data.json": '{"x": 1}'}, "one")])
    two = combine([bundle({"data.json": '{"y": 1}'}, "two")])
    both = merge(one, two)
    assert (both.data["x"], both.data["y"], list(both.modules)) == (1, 1, ["one/p.rego"])
    with pytest.raises(SourceError, match=r"`data\.x` is already set"):
        merge(one, combine([bundle({"data.json": '{"x": 1}'}, "two")]))
