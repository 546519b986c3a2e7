"""What a bundle is put together from: paths → inputs → the files of one bundle. Compiles and signs nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from authz.bundle.archive import ArchiveFile
from authz.bundle.bundle import Bundle, bundle_of
from authz.bundle.directory import REVISION_DIGITS, DataTree, PolicySource, SourceError, digest_of, policy_source
from authz.bundle.file_patterns import any_matches
from authz.bundle.manifest import ALL, Manifest
from authz.bundle.signatures import Verification
from authz.bundle.sources import refuse_overlaps
from authz.bundle.write import snapshot_files, with_manifest
from authz.refresh.files import ARCHIVE_SUFFIXES, is_archive, read_bundle_directory, read_policy_files
from authz.refresh.sources import read_bundle
from authz.rego.values import Document

Ignored = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Module:
    """A module: `name` as messages call it, `path` in its input; `version` is None where the input does not say."""

    name: str
    path: str
    text: str
    version: int | None


@dataclass(frozen=True, slots=True)
class Input:
    """What one path brings. `manifest` is None where there is none."""

    name: str
    modules: tuple[Module, ...]
    data: Document
    manifest: Manifest | None = None


def ignored(patterns: Iterable[str]) -> Ignored:
    """Return what says whether a path is ignored: it, or one of its parts, matches a pattern."""
    matches = any_matches(patterns)
    return lambda path: matches(path) or any(map(matches, path.split("/")))


def read_input(path: Path, is_bundle: bool, is_ignored: Ignored, verification: Verification) -> Input:
    """Read what is at a path; raises SourceError and BundleError, also for a signature that does not verify."""
    if is_archive(path):
        return input_of(read_bundle(path, verification), is_ignored)
    if is_bundle:
        return input_of(read_bundle_at(path, verification, is_ignored), is_ignored)
    files = [file for file in read_policy_files([path], with_tests=True) if not is_ignored(str(file.path))]
    source = policy_source(files)
    paths = {file.name: str(file.path) for file in files}
    modules = tuple(Module(name, paths[name], text, None) for name, text in source.modules.items())
    return Input(str(path), modules, source.data)


def read_bundle_at(path: Path, verification: Verification | None = None, is_ignored: Ignored = lambda _: False) -> Bundle:
    """Read a bundle, an archive or its directory; raises SourceError and BundleError."""
    if path.is_dir():
        return bundle_of(str(path), read_bundle_directory(path, is_ignored), verification=verification)
    return read_bundle(path, verification)


def input_of(bundle: Bundle, is_ignored: Ignored = lambda _: False) -> Input:
    """Return what a bundle brings; raises SourceError for a delta."""
    if bundle.is_delta:
        raise SourceError(f"{bundle.name}: is a delta, which needs a snapshot to change")
    modules = tuple(
        Module(f"{bundle.name}/{path}", path, text, bundle.version_of(path))
        for path, text in {**bundle.modules, **bundle.tests}.items()
        if not is_ignored(path)
    )
    return Input(bundle.name, modules, dict(bundle.data), bundle.manifest)


@dataclass(frozen=True, slots=True)
class Package:
    """Inputs as one bundle: what is compiled, and what is written."""

    source: PolicySource
    manifest: Manifest
    files: tuple[ArchiveFile, ...]

    def revised(self) -> Package:
        """Return the package with the beginning of its digest as the revision, unless it has one."""
        if self.manifest.revision:
            return self
        ordered = sorted(self.files, key=lambda file: file.path)
        revision = digest_of((file.path.encode(), file.content) for file in ordered)[:REVISION_DIGITS]
        manifest = replace(self.manifest, revision=revision)
        return Package(replace(self.source, revision=revision), manifest, with_manifest(self.files, manifest))


def package(inputs: list[Input], revision: str | None, default_version: int, *, is_bundle: bool) -> Package:
    """Return the inputs as one; raises BundleError for roots that overlap, SourceError for data or files that both bring."""
    if is_bundle and len(inputs) > 1:
        refuse_overlaps({each.name: each.manifest or Manifest() for each in inputs})
    tree = DataTree()
    for each in inputs:
        tree.insert(each.data, (), each.name)
    placed = _placed(inputs)
    versions = {path: default_version if module.version is None else module.version for path, module in placed.items()}
    manifest = _manifest(inputs, revision, default_version, versions)
    source = PolicySource(
        {module.name: module.text for module in placed.values()},
        tree.document,
        manifest.revision,
        rego_versions={module.name: versions[path] for path, module in placed.items()},
    )
    return Package(source, manifest, snapshot_files(manifest, {path: module.text for path, module in placed.items()}, tree.document))


def _placed(inputs: list[Input]) -> dict[str, Module]:
    """Return the modules by their paths in the bundle: those of their inputs, below an input's name if two would be one."""
    paths = [module.path for each in inputs for module in each.modules]
    is_ambiguous = len(set(paths)) != len(paths)
    placed: dict[str, Module] = {}
    for each in inputs:
        prefix = _stem(each.name) if is_ambiguous else ""
        for module in each.modules:
            path = f"{prefix}/{module.path}" if prefix else module.path
            if path in placed:
                raise SourceError(f"{module.name}: would be `{path}` in the bundle, as would {placed[path].name}", help=_RENAME)
            placed[path] = module
    return placed


_RENAME: Final = "give the directories different names"


def _stem(name: str) -> str:
    stem = Path(name).resolve().name
    for suffix in ARCHIVE_SUFFIXES:
        stem = stem.removesuffix(suffix)
    return stem


def _manifest(inputs: list[Input], revision: str | None, default_version: int, versions: dict[str, int]) -> Manifest:
    known = [each.manifest or Manifest() for each in inputs]
    roots = tuple(dict.fromkeys(root for manifest in known for root in manifest.roots))
    metadata: dict[str, Document] = {}
    for manifest in known:
        metadata.update(manifest.metadata)
    only = known[0] if len(known) == 1 else Manifest()
    version = default_version if only.rego_version is None else only.rego_version
    others = tuple(sorted((f"/{path}", each) for path, each in versions.items() if each != version))
    merged = Manifest(only.revision, ALL if "" in roots else roots, version, others, metadata)
    return merged if revision is None else replace(merged, revision=revision)
