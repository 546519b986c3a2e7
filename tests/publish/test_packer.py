from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from authz.bundle.archive import ArchiveFile
from authz.bundle.bundle import Bundle, parse_bundle
from authz.bundle.errors import BundleError
from authz.bundle.keys import Key
from authz.bundle.signatures import signature_file
from authz.errors import AuthzError
from authz.publish.packer import Packer, Signer, Version
from authz.publish.packing import ignored
from authz.publish.scan import scan
from authz.rego import compiler
from authz.rego.planner import Planned
from tests.bundle.archives import WRITTEN_BY_OPA, archive, files
from tests.publish.publishing import SECRET, SIGNER, app, put, users, verification
from tests.serving import run_authz


def packed(root: Path, packer: Packer | None = None, name: str = "app") -> Version:
    return (packer or Packer()).pack(name, dict(scan(root).origins)[name])


def bundle(version: Version, **options: Any) -> Bundle:
    return parse_bundle("app", version.snapshot, **options)


def refusal(root: Path, packer: Packer | None = None) -> AuthzError:
    with pytest.raises(AuthzError) as caught:
        packed(root, packer)
    return caught.value


def test_a_folder_is_packed_as_authz_build_packs_it(tmp_path: Path) -> None:
    put(
        tmp_path,
        {**app(), "app/x/data.yaml": "y: 1.50\n", "app/.manifest": '{"metadata": {"x": "a"}}', "app/a_test.rego": "package t"},
    )
    made = packed(tmp_path)
    output = tmp_path / "built.tar.gz"
    assert run_authz("build", "-b", tmp_path / "app", "-r", made.revision, "-o", output).returncode == 0
    assert output.read_bytes() == made.snapshot


def test_the_same_files_are_the_same_bytes_wherever_they_stand(tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        put(tmp_path / name, {**app(), "app/README.md": name})
        os.utime(tmp_path / name / "app/allow.rego", (1, 1))
        made.append(packed(tmp_path / name))
    assert made[0] == made[1]


def test_the_revision_is_the_manifests_else_that_of_the_contents(tmp_path: Path) -> None:
    put(tmp_path, app())
    first = packed(tmp_path)
    put(tmp_path, app("ann"))
    second = packed(tmp_path)
    put(tmp_path, {"app/.manifest": '{"revision": "v7"}'})
    third = packed(tmp_path)
    assert len({first.revision, second.revision}) == 2
    assert [bundle(made).revision for made in (first, second, third)] == [first.revision, second.revision, "v7"]
    assert len({first.etag, second.etag, third.etag}) == 3


def test_files_may_be_left_out_and_read_as_v0(tmp_path: Path) -> None:
    put(tmp_path, {"app/a.rego": "package a\n\nallow { input.x }\n", "app/a_test.rego": "package a\n\ntest_x { allow }\n"})
    assert "a.rego:3" in str(refusal(tmp_path))
    made = bundle(packed(tmp_path, Packer(rego_version=0, is_ignored=ignored(["*_test.rego"]))))
    assert (made.manifest.rego_version, set(made.modules), made.tests) == (0, {"a.rego"}, {})


@pytest.mark.parametrize("name", ["app.tar.gz", "app"])
def test_what_is_not_signed_is_signed_if_there_is_a_key(tmp_path: Path, name: str) -> None:
    put(tmp_path, {"app.tar.gz": archive({"a.rego": "package a", "other.txt": "kept"})} if name == "app.tar.gz" else app())
    made = packed(tmp_path, Packer(SIGNER))
    assert bundle(made, verification=verification()).files
    assert made.is_patchable
    assert made.etag != packed(tmp_path).etag


def test_a_signature_that_changes_each_time_changes_no_etag(tmp_path: Path) -> None:
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    signer = Signer(Key("k", algorithm="ES256", private_key=pem))
    put(tmp_path, app())
    first, second = packed(tmp_path, Packer(signer)), packed(tmp_path, Packer(signer))
    assert first.snapshot != second.snapshot
    assert first.etag == second.etag
    assert packed(tmp_path, Packer(Signer(signer.key, {"scope": "x"}))).etag != first.etag


def test_an_archive_that_is_signed_stays_as_it_is_and_has_no_deltas(tmp_path: Path) -> None:
    def signed(scope: str, x: int) -> bytes:
        contents = {"data.json": f'{{"x": {x}, "y": "{"unchanging " * 99}"}}'}
        return archive({**contents, ".signatures.json": signature_file(files(contents), SECRET, {"scope": scope}).content})

    made = []
    for content in (signed("a", 1), signed("b", 1), signed("b", 2)):
        put(tmp_path, {"app.tar.gz": content})
        made.append(packed(tmp_path, Packer(SIGNER)))
        assert made[-1].snapshot == content
    assert len({each.etag for each in made}) == 3
    assert Packer(SIGNER).delta("app", made[1], made[2]) is None


@pytest.mark.parametrize("path", sorted(WRITTEN_BY_OPA.glob("*.tar.gz")), ids=lambda path: path.stem)
def test_archives_of_opa_are_served(tmp_path: Path, path: Path) -> None:
    put(tmp_path, {"app.tar.gz": path.read_bytes()})
    version = 0 if "v0" in path.name else 1
    if parse_bundle("x", path.read_bytes()).is_delta:
        assert "is a delta" in str(refusal(tmp_path))
    else:
        assert packed(tmp_path, Packer(rego_version=version)).snapshot == path.read_bytes()


REFUSED: dict[str, tuple[dict[str, str | bytes], str]] = {
    "empty": ({"app/.manifest": "{}"}, "/app: neither a `.rego` file nor data in it"),
    "delta": ({"app/patch.json": '{"data": [{"op": "upsert", "path": "/a", "value": 1}]}'}, "/app: is a delta"),
    "delta archive": ({"app.tar.gz": archive({"patch.json": '{"data": [{"op": "remove", "path": "/a"}]}'})}, "/app.tar.gz: is a delta"),
    "no archive": ({"app.tar.gz": b"\x1f\x8b"}, "bundle {root}/app.tar.gz: archive read failed"),
    "two": ({"app/a.rego": "package a", "app.tar.gz": b""}, "{root}/app and {root}/app.tar.gz both would be the bundle `app`"),
    "rego": ({"app/a.rego": "package a\n\nx if"}, "{root}/app/a.rego:3:"),
    "rego in an archive": ({"app.tar.gz": archive({"a.rego": "package a\n\nx if"})}, "{root}/app.tar.gz/a.rego:3:"),
    "rego with roots": (
        {"app/a.rego": "package a\n\nx if", "app/b.rego": "package a\n\ny :=", "app/.manifest": '{"roots": ["a"]}'},
        "{root}/app/b.rego:3:",
    ),
    "nested": ({"app/data.json": "[" * 200 + "]" * 200}, "nested deeper"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_client_would_activate_is_refused_with_its_place(tmp_path: Path, name: str) -> None:
    contents, message = REFUSED[name]
    put(tmp_path, contents)
    assert message.format(root=tmp_path) in str(refusal(tmp_path))


def test_a_bundle_with_roots_may_call_functions_of_others(tmp_path: Path) -> None:
    put(tmp_path, {"app/a.rego": "package a\n\nx if data.library.f(1)\n"})
    assert "undefined function" in str(refusal(tmp_path))
    put(tmp_path, {"app/.manifest": '{"roots": ["a"]}'})
    assert bundle(packed(tmp_path)).manifest.roots == ("a",)


def test_modules_that_compiled_are_looked_at_again_only_for_new_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, planned = compiler.plan_source, []

    def plan_source(source: compiler.Source) -> Planned:
        planned.append(source.modules)
        return plan(source)

    monkeypatch.setattr(compiler, "plan_source", plan_source)
    packer = Packer()
    for data in (users(), users("ann")):
        put(tmp_path, {**app(), "app/data.json": data})
        packed(tmp_path, packer)
    assert len(planned) == 1
    put(tmp_path, {"app/data.json": '{"envoy": {"authz": {"allow": true}}}'})
    assert "conflicting rule for data path envoy/authz/allow" in str(refusal(tmp_path, packer))
    assert len(planned) == 1
    put(tmp_path, {"app/data.json": users(), "app/b.rego": "package b\n\nx if nobody(1)\n"})
    assert "undefined function nobody" in str(refusal(tmp_path, packer))


def test_a_folder_with_a_signature_is_signed_anew(tmp_path: Path) -> None:
    old = signature_file([ArchiveFile("data.json", b"{}")], SECRET)
    put(tmp_path, {**app(), "app/.signatures.json": old.content})
    assert "is signed, and would be served without its signature" in str(refusal(tmp_path))
    made = bundle(packed(tmp_path, Packer(SIGNER)), verification=verification())
    assert [file.path for file in made.files if file.path.endswith("signatures.json")] == [".signatures.json"]


def test_data_that_expands_beyond_what_clients_read_is_refused(tmp_path: Path) -> None:
    put(tmp_path, {"app/data.json": '{"x": "' + "0" * 2**25 + '"}'})
    with pytest.raises(BundleError, match="times its size"):
        packed(tmp_path)
