"""One policy bundle: an archive's bytes → what it holds, verified and within its roots; nothing of it is trusted before.

Knows what the files of a bundle mean; neither where it comes from nor what becomes of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

from authz.bundle.archive import ArchiveFile, BundleError, read_archive
from authz.bundle.delta import Operation, parse_patch
from authz.bundle.directory import MODULE_SUFFIX, TEST_SUFFIX, SourceError, SourceFile, policy_source
from authz.bundle.limits import DEFAULT_LIMITS, Limits
from authz.bundle.manifest import NAME, Manifest, parse_manifest, refuse_foreign_data, refuse_foreign_package
from authz.bundle.signatures import Verification, verify
from authz.rego.errors import CompileError
from authz.rego.parser import package_of
from authz.rego.values import Document

PATCH: Final = "patch.json"
_DATA: Final = frozenset({"data.json", "data.yaml", "data.yml"})


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle holds. `modules` and `tests` are texts by path, `versions` their language versions.

    `patch`, of a delta, changes the data of a bundle that is active; then there is nothing else in it. `digest` is the SHA-256 of
    the archive (hex), `key_id` the key by which it is signed.
    """

    name: str
    digest: str
    manifest: Manifest
    modules: Mapping[str, str] = field(default_factory=dict)
    tests: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)
    data: Document = field(default_factory=dict)
    patch: tuple[Operation, ...] = ()
    key_id: str | None = None

    @property
    def is_delta(self) -> bool:
        return bool(self.patch)


def parse_bundle(  # noqa: PLR0913 - whom to trust, how much to read, what to assume
    name: str,
    content: bytes,
    verification: Verification,
    now_s: float,
    *,
    limits: Limits = DEFAULT_LIMITS,
    rego_version: int = 1,
) -> Bundle:
    """Return the bundle in an archive. `now_s` is UNIX time, `rego_version` that of modules of which it says nothing.

    Raises BundleError, which names the bundle.
    """
    try:
        files = read_archive(content, limits)
        key_id = verify(files, verification, now_s)
        return _parsed(name, hashlib.sha256(content).hexdigest(), files, key_id, rego_version)
    except (BundleError, SourceError) as error:
        raise BundleError(f"bundle `{name}`: {error.message}", help=error.help) from error
    except CompileError as error:
        raise BundleError(f"bundle `{name}`: {error}") from error


def _parsed(name: str, digest: str, files: Sequence[ArchiveFile], key_id: str | None, rego_version: int) -> Bundle:
    manifest = _manifest(files)
    patches = [file for file in files if _base(file) == PATCH]
    if patches:
        operations = parse_patch(PATCH, _text(patches[0]), manifest)
        others = [file.path for file in files if _is_content(file) and _base(file) != PATCH]
        if operations and (others or len(patches) > 1):
            raise BundleError(f"delta bundle expected to contain only patch file but {', '.join(others) or PATCH} found")
        if operations:
            return Bundle(name, digest, manifest, patch=operations, key_id=key_id)
    modules = {file.path: _text(file) for file in files if file.path.endswith(MODULE_SUFFIX)}
    versions = {path: manifest.version_of(path, rego_version) for path in modules}
    for path, text in modules.items():
        refuse_foreign_package(manifest, path, package_of(path, text, versions[path]))
    data = _data(files)
    refuse_foreign_data(manifest, data)
    tests = {path: text for path, text in modules.items() if path.endswith(TEST_SUFFIX)}
    serving = {path: text for path, text in modules.items() if path not in tests}
    return Bundle(name, digest, manifest, serving, tests, versions, data, key_id=key_id)


def _manifest(files: Iterable[ArchiveFile]) -> Manifest:
    found = [file for file in files if file.path.endswith(NAME)]
    if len(found) > 1:
        raise BundleError(f"several manifests: {', '.join(file.path for file in found)}")
    return parse_manifest(found[0].path, _text(found[0])) if found else Manifest()


def _data(files: Iterable[ArchiveFile]) -> Document:
    sources = (SourceFile(file.path, _data_path(file.path), file.content) for file in files if _base(file) in _DATA)
    return policy_source(sources).data


def _data_path(path: str) -> PurePosixPath:
    """Return the path of a data file as OPA takes it: without the dots and slashes in front of it."""
    return PurePosixPath(path.lstrip("./"))


def _is_content(file: ArchiveFile) -> bool:
    return _base(file) in _DATA or file.path.endswith(MODULE_SUFFIX) or file.path.endswith(".wasm")


def _base(file: ArchiveFile) -> str:
    return file.path.rpartition("/")[2]


def _text(file: ArchiveFile) -> str:
    try:
        return file.content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BundleError(f"{file.path}: not valid UTF-8 at byte {error.start}") from error


def summary(bundle: Bundle) -> dict[str, Any]:
    """Return what policies may read of a bundle, at `data.system.bundles[name]` (OPA docs, bundles)."""
    manifest = bundle.manifest
    shown: dict[str, Any] = {"revision": manifest.revision, "roots": list(manifest.roots)}
    if manifest.rego_version is not None:
        shown["rego_version"] = manifest.rego_version
    if manifest.metadata:
        shown["metadata"] = dict(manifest.metadata)
    return {"manifest": shown}
