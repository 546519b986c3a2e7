from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from authz.bundle.archive import read_archive
from authz.bundle.bundle import Bundle, parse_bundle
from authz.cli.main import main
from tests.bundle.archives import WRITTEN_BY_OPA, archive
from tests.serving import run_authz, write

POLICY = "package a\n\nallow if data.x.y == input.y\n"
TEST = 'package a_test\n\nimport data.a\n\ntest_allow if a.allow with input as {"y": 1}\n'
OLD = "package b\n\nallow { input.y }\n"
SIGNING = ("--signing-alg", "HS256", "--signing-key", "secret")
VERIFYING = ("--signing-alg", "HS256", "--verification-key", "secret")


@pytest.fixture(autouse=True)
def _in_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("policies"), {"allow.rego": POLICY, "allow_test.rego": TEST, "x/data.json": '{"y": 1.50}', "notes.json": "[1]"})


def authz(*args: str | Path) -> Result:
    return CliRunner().invoke(main, list(map(str, args)))


def built(*args: str | Path) -> Bundle:
    result = authz("build", *args)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    return parse_bundle("b", Path("bundle.tar.gz").read_bytes())


def refused(*args: str | Path) -> str:
    result = authz("build", *args)
    assert (result.exit_code, result.stdout) == (1, "")
    assert not Path("bundle.tar.gz").exists()
    return result.stderr


def test_a_bundle_has_modules_data_and_a_manifest() -> None:
    made = built("policies", "-r", "7")
    assert made.manifest.document() == {"revision": "7", "roots": [""], "rego_version": 1}
    assert (made.modules, made.tests) == ({"allow.rego": POLICY}, {"allow_test.rego": TEST})
    assert [(file.path, file.content) for file in made.files if file.path == "data.json"] == [("data.json", b'{"x":{"y":1.50}}')]


def test_the_same_input_is_the_same_bytes() -> None:
    built("policies")
    before = Path("bundle.tar.gz").read_bytes()
    write(Path("elsewhere/policies"), {"x/data.json": '{ "y":1.50 }', "allow_test.rego": TEST, "allow.rego": POLICY})
    built(Path("elsewhere/policies").resolve())
    assert Path("bundle.tar.gz").read_bytes() == before


def test_what_was_built_is_tested_checked_evaluated_and_served_as_it_is(tmp_path: Path) -> None:
    built("policies")
    assert authz("test", "bundle.tar.gz").exit_code == 2  # 1.50 is not 1
    write(Path("policies"), {"x/data.json": '{"y": 1}'})
    built("policies")
    for command in (("test", "-b"), ("check", "-b"), ("test",), ("check",)):
        assert authz(*command, "bundle.tar.gz").exit_code == 0
    for flag in ("-b", "-d"):
        assert authz("eval", flag, "bundle.tar.gz", "data.x.y", "-f", "raw").stdout == "1\n"
    assert run_authz("deps", tmp_path / "bundle.tar.gz", "a/allow").returncode == 0


def test_what_does_not_compile_is_not_built() -> None:
    write(Path("policies"), {"bad.rego": "package a\n\np if x\n"})
    assert "policies/bad.rego:3:6: rego_unsafe_var_error: var x is unsafe" in refused("policies")
    assert "no such file or directory" in refused("nothing")
    write(Path("policies"), {"bad.rego": "package x.y\n\np := 1\n"})
    assert "rego_compile_error" in refused("policies")


@pytest.mark.parametrize("entrypoint", ["a/allow", "a", "/a/allow/"])
def test_an_entry_point_that_is_there_is_accepted(entrypoint: str) -> None:
    built("policies", "-e", entrypoint)


@pytest.mark.parametrize("entrypoint", ["a/alow", "b", "a.allow", "al"])
def test_an_entry_point_that_is_not_there_is_refused(entrypoint: str) -> None:
    assert f"undefined entrypoint data.{entrypoint.replace('/', '.')}" in refused("policies", "-e", entrypoint)


def test_optimisation_changes_nothing_and_says_so() -> None:
    built("policies")
    before = Path("bundle.tar.gz").read_bytes()
    result = authz("build", "policies", "-O", "2", "-e", "a/allow")
    assert (result.exit_code, result.stderr) == (0, "note: -O changes nothing: policies are optimised where they are activated\n")
    assert Path("bundle.tar.gz").read_bytes() == before


def test_files_are_left_out_by_name() -> None:
    assert built("policies", "--ignore", "*_test.rego").tests == {}
    assert built("policies", "--ignore", "x", "--ignore", "*_test.rego").data == {}


def test_a_policy_of_rego_v0_says_so() -> None:
    write(Path("old"), {"b.rego": OLD})
    made = built("old", "--v0-compatible")
    assert (made.manifest.rego_version, made.version_of("b.rego")) == (0, 0)
    assert "rego_parse_error" in authz("build", "old", "-o", "other.tar.gz").stderr


def test_a_bundles_directory_brings_its_manifest() -> None:
    manifest = {"revision": "1", "roots": ["a", "a_test", "x"], "metadata": {"k": 1}, "file_rego_versions": {"/old*": 0}}
    write(Path("policies"), {".manifest": json.dumps(manifest), "old.rego": "package a.old\n\np { input }\n"})
    made = built("-b", "policies", "-r", "2")
    wanted: dict[str, Any] = {**manifest, "revision": "2", "rego_version": 1, "file_rego_versions": {"/old.rego": 0}}
    assert made.manifest.document() == wanted
    assert "rego_parse_error" in authz("build", "policies", "-o", "other.tar.gz").stderr  # without -b, a manifest is no part of it


def test_a_bundle_is_built_of_bundles() -> None:
    Path("one.tar.gz").write_bytes(archive({"p.rego": "package a", ".manifest": '{"revision": "1", "roots": ["a"]}'}))
    Path("two.tar.gz").write_bytes(archive({"p.rego": OLD, ".manifest": '{"roots": ["b"], "rego_version": 0}'}))
    made = built("-b", "one.tar.gz", "two.tar.gz")
    assert made.manifest.document() == {"revision": "", "roots": ["a", "b"], "rego_version": 1, "file_rego_versions": {"/two/p.rego": 0}}
    assert list(made.modules) == ["one/p.rego", "two/p.rego"]


def test_bundles_that_own_the_same_are_not_built_into_one() -> None:
    for name in ("one", "two"):
        Path(f"{name}.tar.gz").write_bytes(archive({"p.rego": "package a", ".manifest": '{"roots": ["a"]}'}))
    assert "detected overlapping roots in manifests for these bundles" in refused("-b", "one.tar.gz", "two.tar.gz")
    assert "`data.x.y` is already set by policies" in refused("policies", Path("policies").resolve())


def test_a_bundle_of_opa_is_built_anew() -> None:
    made = built("-b", WRITTEN_BY_OPA / "plain.tar.gz", "-r", "2")
    assert (made.revision, list(made.modules)) == ("2", ["policy.rego"])


def test_a_bundle_is_signed_and_verified() -> None:
    write(Path("."), {"claims.json": '{"scope": "write", "exp": 4000000000}'})
    built("policies", *SIGNING, "--claims-file", "claims.json")
    result = authz("verify", "bundle.tar.gz", *VERIFYING, "--scope", "write")
    assert (result.exit_code, result.stdout) == (0, "bundle.tar.gz: signed by key `default` (HS256) for scope `write`, 4 files\n")
    for args, message in (
        (VERIFYING, "scope mismatch: the bundle is signed for `write`, expected ``"),
        ((*VERIFYING[:3], "other", "--scope", "write"), "the signature is not that of key `default`"),
    ):
        result = authz("verify", "bundle.tar.gz", *args)
        assert (result.exit_code, result.stderr) == (1, f"error: bundle bundle.tar.gz: {message}\n")


def test_a_signed_bundle_is_only_built_upon_if_it_verifies() -> None:
    built("policies", *SIGNING)
    Path("bundle.tar.gz").rename("signed.tar.gz")
    assert "verification key not provided" in refused("-b", "signed.tar.gz")
    assert "the signature is not that of key `default`" in refused("-b", "signed.tar.gz", *VERIFYING[:3], "other")
    made = built("-b", "signed.tar.gz", *VERIFYING)
    assert made.signature is None


def test_an_unsigned_bundle_does_not_verify() -> None:
    built("policies")
    result = authz("verify", "bundle.tar.gz", *VERIFYING)
    assert (result.exit_code, result.stderr) == (1, "error: bundle bundle.tar.gz: bundle missing .signatures.json file\n")


def test_a_directory_is_signed_in_place() -> None:
    write(Path("policies"), {".manifest": '{"revision": "1"}'})
    assert authz("sign", "-b", "policies", *SIGNING, "-o", "policies").exit_code == 0
    assert authz("verify", "policies", *VERIFYING, "--verification-key-id", "default").exit_code == 0
    write(Path("policies"), {"more.rego": "package more"})
    assert "file more.rego not included in bundle signature" in authz("verify", "policies", *VERIFYING).stderr


def test_keys_are_read_from_files() -> None:
    public = WRITTEN_BY_OPA / "signed-rs256.pub.pem"
    result = authz("verify", WRITTEN_BY_OPA / "signed-rs256.tar.gz", "--verification-key", public, "--scope", "write")
    assert (result.exit_code, result.stderr) == (0, "")
    for args, message in (
        (("--signing-key", public), "key `` is not a PEM key for RS256"),
        (("--signing-key", "nothing.pem"), "nothing.pem: no such file or directory"),
        (("--signing-key", "secret", "--signing-alg", "none"), "unknown signature algorithm: none"),
    ):
        result = authz("sign", "-b", "policies", *args)
        assert (result.exit_code, message in result.stderr) == (1, True), result.stderr


def test_flags_that_lack_are_asked_for() -> None:
    for args in (("sign", "-b", "policies"), ("verify", "policies"), ("build",), ("build", "policies", "-t", "wasm")):
        assert authz(*args).exit_code == 2


def test_a_file_that_cannot_be_written_is_one_message() -> None:
    result = authz("build", "policies", "-o", "no/such/bundle.tar.gz")
    assert (result.exit_code, result.stderr) == (1, "error: no/such/bundle.tar.gz: No such file or directory\n")


def test_nothing_is_left_beside_the_file() -> None:
    built("policies")
    assert sorted(path.name for path in Path().iterdir()) == ["bundle.tar.gz", "policies"]
    assert [file.path for file in read_archive(Path("bundle.tar.gz").read_bytes())] == [
        ".manifest",
        "allow.rego",
        "allow_test.rego",
        "data.json",
    ]
