"""Bundles that are handed to the compile worker as file descriptors: what it makes of them, and what it refuses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from authz import rego
from authz.bundle.archive import ArchiveFile, write_archive
from authz.bundle.bundle import Bundle
from authz.bundle.delta import make_delta
from authz.bundle.keys import Key
from authz.bundle.signatures import SIGNATURES_NAME, sign
from authz.errors import ErrorCode
from authz.refresh.compilers import Compilers
from authz.refresh.messages import (
    ArchivePart,
    BundleKey,
    BundleParts,
    Bundles,
    Compiled,
    CompileRequest,
    CompileResponse,
    Failed,
    Unchanged,
)
from authz.refresh.spool import spans
from tests.bundle.archives import bundle

POLICY = "package envoy.authz\n\ndefault allow := false\n\nallow if data.envoy.open\n"
KEY = Key("k", "secret", "HS256")
KEYS = (BundleKey("k", "secret", "HS256", ""),)
PLACE = "data.system.bundles.main"


def manifest(revision: str) -> str:
    return json.dumps({"revision": revision, "roots": ["envoy"]})


def snapshot(revision: str, *, is_open: bool, **more: str) -> Bundle:
    data = json.dumps({"envoy": {"open": is_open}})
    files = {"policy.rego": POLICY, "data.json": data, ".manifest": manifest(revision)}
    return bundle({**files, **{name.replace("__", "."): text for name, text in more.items()}})


def packed(made: Bundle, key: Key | None = None, **claims: Any) -> bytes:
    files = list(made.files)
    return write_archive(files if key is None else [*files, ArchiveFile(SIGNATURES_NAME, sign(files, key, claims))])


def delta(old: Bundle, new: Bundle) -> Bundle:
    made = make_delta(old, new)
    assert made is not None
    return made


def compiled(
    archives: Mapping[str, Sequence[bytes]],
    *,
    verified_s: float | None = None,
    keys: tuple[BundleKey, ...] = (),
    known: str | None = None,
    tests: bool = False,
    **fields: Any,
) -> CompileResponse:
    every = [content for contents in archives.values() for content in contents]
    places = iter(spans(every))
    parts = [
        BundleParts(
            name,
            tuple(ArchivePart(next(places), verified_s) for _ in contents),
            etag=f"etag of {name}",
            **{"must_be_signed": bool(keys), **fields},
        )
        for name, contents in archives.items()
    ]
    request = CompileRequest(Bundles(tuple(parts), keys, tests), "envoy/authz/allow", 1, 60, known)
    return asyncio.run(Compilers(is_ahead=False).compile(request, every))


def read_of(response: Compiled | Unchanged) -> list[tuple[str, str, int, bool]]:
    return [(read.name, read.revision, read.first, read.is_delta) for read in response.bundles]


def allows(response: CompileResponse) -> bool:
    assert isinstance(response, Compiled), response
    return rego.Policy.from_bytes(response.policy).entrypoint("envoy/authz/allow").decide({}) is True


def refused(response: CompileResponse) -> Failed:
    assert isinstance(response, Failed), response
    return response


@pytest.mark.parametrize("is_open", [True, False])
def test_a_snapshot_becomes_a_policy(is_open: bool) -> None:
    response = compiled({"main": [packed(snapshot("r1", is_open=is_open))]})
    assert allows(response) is is_open
    assert isinstance(response, Compiled)
    assert (response.revision, read_of(response)) == ("r1", [("main", "r1", 0, False)])


def test_a_delta_is_applied_to_the_snapshot_before_it() -> None:
    old, new = snapshot("r1", is_open=False), snapshot("r2", is_open=True)
    response = compiled({"main": [packed(old), packed(delta(old, new))]})
    assert allows(response)
    assert isinstance(response, Compiled)
    assert (response.revision, read_of(response)) == ("r2", [("main", "r2", 0, True)])


def test_what_a_later_snapshot_replaces_is_of_no_use_any_more() -> None:
    first, second, third = (snapshot(f"r{number}", is_open=number != 2) for number in (1, 2, 3))
    response = compiled({"main": [packed(first), packed(delta(first, second)), packed(third)]})
    assert allows(response)
    assert isinstance(response, Compiled)
    assert read_of(response) == [("main", "r3", 2, False)]


def test_a_delta_for_another_revision_is_refused() -> None:
    first, second, third = (snapshot(f"r{number}", is_open=number != 2) for number in (1, 2, 3))
    failed = refused(compiled({"main": [packed(first), packed(delta(second, third))]}))
    assert (failed.code, failed.bundle, failed.is_final) == (ErrorCode.BUNDLE, "main", True)
    assert "is for the revision `r2`, but `r1` is active" in failed.message


def test_a_delta_without_a_snapshot_is_refused() -> None:
    old, new = snapshot("r1", is_open=False), snapshot("r2", is_open=True)
    assert "there is no snapshot that it changes" in refused(compiled({"main": [packed(delta(old, new))]})).message


def test_signed_bundles_and_deltas_are_verified() -> None:
    old, new = snapshot("r1", is_open=False), snapshot("r2", is_open=True)
    assert allows(compiled({"main": [packed(old, KEY), packed(delta(old, new), KEY)]}, keys=KEYS))


def test_a_delta_of_a_signed_bundle_must_be_signed_too() -> None:
    old, new = snapshot("r1", is_open=False), snapshot("r2", is_open=True)
    failed = refused(compiled({"main": [packed(old, KEY), packed(delta(old, new))]}, keys=KEYS))
    assert (failed.code, failed.bundle, failed.is_final) == (ErrorCode.BUNDLE_SIGNATURE, "main", False)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (packed(snapshot("r1", is_open=True)), "missing .signatures.json"),
        (packed(snapshot("r1", is_open=True), Key("k", "another secret", "HS256")), "the signature is not that of key `k`"),
        (packed(snapshot("r1", is_open=True), Key("z", "secret", "HS256")), "verification key corresponding to ID z not found"),
        (packed(snapshot("r1", is_open=True), KEY, exp=1), "the signature has expired"),
        (packed(snapshot("r1", is_open=True), KEY, scope="write"), "scope mismatch"),
    ],
)
def test_a_bundle_that_is_not_signed_as_it_must_be_is_refused(content: bytes, said: str) -> None:
    failed = refused(compiled({"main": [content]}, keys=KEYS))
    assert (failed.code, failed.bundle) == (ErrorCode.BUNDLE_SIGNATURE, "main")
    assert said in failed.message


def test_a_signature_that_nobody_asked_for_must_verify_all_the_same() -> None:
    content = packed(snapshot("r1", is_open=True), Key("k", "another secret", "HS256"))
    assert refused(compiled({"main": [content]}, keys=KEYS, must_be_signed=False)).code == ErrorCode.BUNDLE_SIGNATURE


def test_the_manifest_and_the_etag_are_there_for_policies() -> None:
    text = f'package envoy.authz\n\nallow if {{\n\t{PLACE}.etag == "etag of main"\n\t{PLACE}.manifest.revision == "r1"\n}}\n'
    assert allows(compiled({"main": [packed(bundle({"a.rego": text, ".manifest": manifest("r1")}))]}))


def test_what_is_active_already_is_not_compiled_again() -> None:
    content = packed(snapshot("r1", is_open=True))
    first = compiled({"main": [content]})
    assert isinstance(first, Compiled)
    again = compiled({"main": [content]}, known=first.digest)
    assert isinstance(again, Unchanged)
    assert (again.revision, read_of(again)) == ("r1", read_of(first))


def test_bundles_that_own_the_same_path_are_refused_together() -> None:
    content = packed(snapshot("r1", is_open=True))
    failed = refused(compiled({"main": [content], "other": [content]}))
    assert (failed.code, failed.bundle, failed.is_final) == (ErrorCode.BUNDLE, None, True)
    assert "root envoy is in multiple bundles" in failed.message


def test_a_bundle_that_does_not_compile_is_named_with_its_file() -> None:
    failed = refused(compiled({"main": [packed(bundle({"a.rego": "package envoy.authz\n\nallow if x\n"}))]}))
    assert (failed.code, failed.is_final) == (ErrorCode.POLICY_COMPILE, True)
    assert "main/a.rego:3" in failed.message


TESTED = "package envoy.authz_test\n\ntest_is_open if data.envoy.authz.allow\n"


@pytest.mark.parametrize("is_open", [True, False])
def test_a_bundle_whose_tests_fail_is_refused_if_they_are_asked_for(is_open: bool) -> None:
    response = compiled({"main": [packed(snapshot("r1", is_open=is_open, policy_test__rego=TESTED))]}, tests=True)
    if is_open:
        assert allows(response)
        return
    failed = refused(response)
    assert failed.code == ErrorCode.POLICY_TESTS
    assert "1 of 1 tests of the bundles failed" in failed.message
    assert "main/policy_test.rego:3: data.envoy.authz_test.test_is_open" in failed.message


def test_a_bundle_without_tests_is_refused_if_they_are_asked_for() -> None:
    failed = refused(compiled({"main": [packed(snapshot("r1", is_open=True))]}, tests=True))
    assert (failed.code, "have no tests" in failed.message) == (ErrorCode.POLICY_TESTS, True)


def test_tests_that_were_not_asked_for_do_not_decide() -> None:
    assert not allows(compiled({"main": [packed(snapshot("r1", is_open=False, policy_test__rego=TESTED))]}))


def test_a_signature_that_held_is_not_asked_again_whether_it_has_expired() -> None:
    archives = {"main": [packed(snapshot("r1", is_open=True), KEY, exp=100)]}
    assert "expired" in refused(compiled(archives, keys=KEYS)).message
    assert allows(compiled(archives, keys=KEYS, verified_s=99.0))
    assert "expired" in refused(compiled(archives, keys=KEYS, verified_s=101.0)).message
    assert (
        refused(compiled(archives, keys=(BundleKey("k", "another secret", "HS256", ""),), verified_s=99.0)).code
        == ErrorCode.BUNDLE_SIGNATURE
    )
