"""One bundle: what stands on disk → a version that can be served, signed if there is a key; two versions → a delta.

Blocks: for threads. Knows neither when files change nor who asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from authz.bundle.archive import ArchiveFile, write_archive
from authz.bundle.bundle import Bundle, parse_bundle
from authz.bundle.canonical import canonical
from authz.bundle.checking import Places, refuse_conflicts_with, refuse_unparsable, rule_places
from authz.bundle.delta import make_delta
from authz.bundle.directory import MODULE_SUFFIX, PolicySource, SourceError, digest_of
from authz.bundle.keys import Key
from authz.bundle.limits import DEFAULT_LIMITS
from authz.bundle.manifest import ALL
from authz.bundle.signatures import is_signature_file, signature_file
from authz.publish.packing import Ignored, Package, input_of, package, read_bundle_at
from authz.publish.scan import Origin, is_part, stamp_of
from authz.refresh.files import read_file
from authz.refresh.settling import settled


@dataclass(frozen=True, slots=True)
class Version:
    """One state of a bundle, packed. `etag` is without quotes; if `is_patchable`, deltas may lead from and to it."""

    etag: str
    revision: str
    snapshot: bytes = field(repr=False)
    is_patchable: bool


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs files with a key and claims (`scope`, `exp`, …)."""

    key: Key
    claims: Mapping[str, Any] = field(default_factory=dict)

    def signed(self, files: tuple[ArchiveFile, ...]) -> tuple[ArchiveFile, ...]:
        """Return the files with their signature. Raises SignatureError."""
        return (*files, signature_file(files, self.key, self.claims))

    @property
    def identity(self) -> bytes:
        """What distinguishes its signatures from those of another, as far as that is no secret."""
        return canonical({"id": self.key.id, "algorithm": self.key.algorithm, "claims": dict(self.claims)})


class Packer:
    """Packs bundles; remembers which modules it has seen compile."""

    def __init__(self, signer: Signer | None = None, rego_version: int = 1, is_ignored: Ignored = lambda _: False) -> None:
        self._signer = signer
        self._rego_version = rego_version
        self._is_ignored = is_ignored
        self._compiled: dict[str, tuple[str, Places]] = {}

    def pack(self, name: str, origin: Origin) -> Version:
        """Return the bundle as it stood at one moment. Raises SourceError, BundleError and CompileError: what is broken is not packed."""
        if len(origin.paths) != 1:
            advice = "remove one: which of them counts must not depend on chance"
            raise SourceError(f"{' and '.join(map(str, origin.paths))} both would be the bundle `{name}`", help=advice)
        (path,) = origin.paths
        return settled(lambda: self._packed(name, path), lambda: stamp_of(path), str(path))

    def delta(self, name: str, base: Version, new: Version) -> bytes | None:
        """Return what makes the new version of its base; None if more than data differs or a snapshot is no larger. Raises BundleError."""
        if not (base.is_patchable and new.is_patchable):
            return None
        made = make_delta(parse_bundle(name, base.snapshot), parse_bundle(name, new.snapshot))
        if made is None:
            return None
        content = write_archive(self._signed(made.files))
        return content if len(content) < len(new.snapshot) else None

    def _packed(self, name: str, path: Path) -> Version:
        if path.is_dir():
            return self._of_folder(name, path)
        content = read_file(path, DEFAULT_LIMITS.compressed_bytes)
        bundle = parse_bundle(str(path), content)
        self._check(name, self._package(bundle))
        is_signed = bundle.signature is not None
        if is_signed or self._signer is None:
            return self._version(bundle, content, is_patchable=not is_signed)
        return self._version(bundle, write_archive(self._signed(bundle.files)), is_patchable=True)

    def _of_folder(self, name: str, path: Path) -> Version:
        found = read_bundle_at(path, is_ignored=lambda file: not is_part(file.rpartition("/")[2]) or self._is_ignored(file))
        if found.signature is not None and self._signer is None:
            advice = "give the key to sign with, or serve an archive, which keeps the signature that it has"
            raise SourceError(f"{path}: is signed, and would be served without its signature", help=advice)
        made = self._package(found).revised()
        if not (made.source.modules or made.source.data):
            raise SourceError(f"{path}: neither a `{MODULE_SUFFIX}` file nor data in it", help="an empty bundle would erase what it owns")
        self._check(name, made)
        snapshot = write_archive(self._signed(made.files))
        return self._version(parse_bundle(name, snapshot), snapshot, is_patchable=True)  # what is served must be readable

    def _package(self, bundle: Bundle) -> Package:
        return package([input_of(bundle)], None, self._rego_version, is_bundle=True)

    def _check(self, name: str, made: Package) -> None:
        """Refuse what no client would activate. Modules of a bundle with roots may call those of other bundles, so they are only parsed."""
        if made.manifest.roots != ALL:
            refuse_unparsable(made.source, self._rego_version)
            return
        digest = _digest_of_modules(made.source)
        known = self._compiled.get(name)
        places = known[1] if known is not None and known[0] == digest else rule_places(made.source, self._rego_version)
        self._compiled[name] = digest, places
        refuse_conflicts_with(places, made.source)

    def _signed(self, files: tuple[ArchiveFile, ...]) -> tuple[ArchiveFile, ...]:
        return files if self._signer is None else self._signer.signed(files)

    def _version(self, bundle: Bundle, snapshot: bytes, *, is_patchable: bool) -> Version:
        """Return the version. Signatures of some algorithms differ each time, so the ETag is not that of the bytes."""
        ours = self._signer.identity if is_patchable and self._signer is not None else b""
        theirs = b"" if is_patchable else _signature_of(bundle.files)
        etag = digest_of(((b"content", bundle.digest.encode()), (b"signer", ours), (b"signature", theirs)))
        return Version(etag, bundle.revision, snapshot, is_patchable)


def _signature_of(files: Iterable[ArchiveFile]) -> bytes:
    return b"".join(file.content for file in files if is_signature_file(file))


def _digest_of_modules(source: PolicySource) -> str:
    parts = ((name, f"{source.rego_versions.get(name)}{text}") for name, text in sorted(source.modules.items()))
    return digest_of((name.encode(), text.encode()) for name, text in parts)
