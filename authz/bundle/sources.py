"""Several bundles → the source of one policy. Each keeps to its roots; which files there are on disk is not known here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from authz.bundle.bundle import Bundle
from authz.bundle.directory import REVISION_DIGITS, DataTree, PolicySource, digest_of
from authz.bundle.errors import BundleError
from authz.bundle.manifest import Manifest, overlaps, split
from authz.rego.values import Document

SYSTEM: Final = "system"
BUNDLES: Final = "bundles"

_ABSENT: Final = object()


def combine(bundles: Sequence[Bundle], *, etags: Mapping[str, str] | None = None, with_tests: bool = False) -> PolicySource:
    """Return the source of the policy that the bundles are together; raises BundleError.

    Modules are named `<bundle>/<path>`. Of data, only what is at the roots counts; the manifests and `etags` are at
    `data.system.bundles`, as in OPA. The revision is that of the only bundle, or `name=revision` of each; a bundle that names none
    has the beginning of its digest.
    """
    ordered = sorted(bundles, key=lambda bundle: bundle.name)
    _refuse(ordered)
    tree = DataTree()
    modules: dict[str, str] = {}
    versions: dict[str, int] = {}
    for bundle in ordered:
        for root in bundle.manifest.roots:
            value = _at(bundle.data, split(root))
            if value is not _ABSENT:
                tree.insert(_copied(value), split(root), bundle.name)
        for path, text in {**bundle.modules, **(bundle.tests if with_tests else {})}.items():
            modules[f"{bundle.name}/{path}"] = text
            version = bundle.version_of(path)
            if version is not None:
                versions[f"{bundle.name}/{path}"] = version
    digests = [bundle.digest for bundle in ordered]
    revisions = [bundle.revision or digest[:REVISION_DIGITS] for bundle, digest in zip(ordered, digests, strict=True)]
    if len(ordered) != 1:
        revisions = [f"{bundle.name}={revision}" for bundle, revision in zip(ordered, revisions, strict=True)]
    digest = digest_of(
        (bundle.name.encode(), f"{bundle.rego_version}{digest}".encode()) for bundle, digest in zip(ordered, digests, strict=True)
    )
    data = _with_manifests(tree.document, ordered, etags or {})
    return PolicySource(modules, data, ",".join(revisions), digest, versions)


def merge(first: PolicySource, second: PolicySource) -> PolicySource:
    """Return the source of the policy that two are together; raises SourceError if both bring the same data."""
    tree = DataTree()
    for source in (first, second):
        tree.insert(_copied(source.data), (), source.revision)
    digest = digest_of((b"", source.digest.encode()) for source in (first, second))
    modules, versions = {**first.modules, **second.modules}, {**first.rego_versions, **second.rego_versions}
    return PolicySource(modules, tree.document, digest[:REVISION_DIGITS], digest, versions)


def refuse_overlaps(manifests: Mapping[str, Manifest]) -> None:
    """Raise BundleError if two of the bundles, by name, own the same path."""
    empty = sorted(name for name, manifest in manifests.items() if "" in manifest.roots)
    names = f"[{', '.join(sorted(manifests))}]"
    if empty and len(manifests) > 1:
        raise BundleError(
            f"bundles {names} have overlapping roots and cannot be activated simultaneously because bundle(s) [{', '.join(empty)}] "
            "specify empty root paths ('') which overlap with any other bundle root",
            help="give each bundle its own `roots` in its .manifest",
        )
    given = [(name, root) for name, manifest in sorted(manifests.items()) for root in manifest.roots]
    found: set[str] = set()
    for (first, one), (second, other) in overlaps(given):
        if first != second:
            short, long = sorted((one, other), key=len)
            found.add(f"root {one} is in multiple bundles" if one == other else f"{short} overlaps {long}")
    if found:
        raise BundleError(f"detected overlapping roots in manifests for these bundles: {names} ({', '.join(sorted(found))})")


def _refuse(bundles: Iterable[Bundle]) -> None:
    manifests: dict[str, Manifest] = {}
    for bundle in bundles:
        if bundle.is_delta:
            raise BundleError(f"bundle {bundle.name}: is a delta, which needs a snapshot to change")
        if bundle.name in manifests:
            raise BundleError(f"bundle {bundle.name}: is given twice")
        manifests[bundle.name] = bundle.manifest
    refuse_overlaps(manifests)


def _at(data: Mapping[str, Document], path: tuple[str, ...]) -> Document:
    """Return the value at a path of the data; `_ABSENT` if there is none."""
    here: Document = data
    for step in path:
        if not isinstance(here, Mapping) or step not in here:
            return _ABSENT
        here = here[step]
    return here


def _copied(value: Document) -> Document:
    """Return the value, its objects copied: the tree merges into them, and a bundle's data is the bundle's."""
    return {key: _copied(item) for key, item in value.items()} if isinstance(value, dict) else value


def _with_manifests(data: dict[str, Document], bundles: Iterable[Bundle], etags: Mapping[str, str]) -> dict[str, Document]:
    about = {bundle.name: {"manifest": bundle.manifest.document(), "etag": etags.get(bundle.name, "")} for bundle in bundles}
    system = data.get(SYSTEM)
    return data | {SYSTEM: (system if isinstance(system, dict) else {}) | {BUNDLES: about}}
