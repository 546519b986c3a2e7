"""Deltas: a snapshot and what changed in its data → the next snapshot, and back. Changes neither; verifies nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from authz.bundle.bundle import Bundle
from authz.bundle.errors import BundleError
from authz.bundle.manifest import Manifest, Path, refuse_data_outside
from authz.bundle.patch import Op, Operation, apply_patch
from authz.bundle.write import delta_files, snapshot_files
from authz.rego.values import Document

BASE_REVISION: Final = "base_revision"
"""Name in a delta's metadata of the revision that it changes; a delta without it is applied to any, as by OPA."""


def apply_delta(base: Bundle, delta: Bundle) -> Bundle:
    """Return the snapshot that `base` becomes; raises BundleError if the delta is not for it."""
    if not delta.is_delta or base.is_delta:
        raise BundleError(f"bundle {delta.name}: a delta is applied to a snapshot")
    if base.name != delta.name or set(base.manifest.roots) != set(delta.manifest.roots):
        raise BundleError(f"delta bundle '{delta.name}' has wasm resolvers or manifest roots that are different from those in the store")
    wanted = delta.manifest.metadata.get(BASE_REVISION)
    if wanted is not None and wanted != base.revision:
        raise BundleError(f"delta bundle '{delta.name}' is for the revision `{wanted}`, but `{base.revision}` is active")
    try:
        data = apply_patch(base.data, delta.patch)
        refuse_data_outside(base.manifest, data)
    except BundleError as error:
        raise BundleError(f"delta bundle '{delta.name}': {error.message}", help=error.help) from error
    metadata = {name: value for name, value in delta.manifest.metadata.items() if name != BASE_REVISION}
    manifest = replace(base.manifest, revision=delta.revision, metadata=metadata)
    files = snapshot_files(manifest, {**base.modules, **base.tests}, data)
    return replace(base, manifest=manifest, data=data, files=files, signature=delta.signature)


def make_delta(old: Bundle, new: Bundle) -> Bundle | None:
    """Return the delta that makes the data of `new` of that of `old`; None if more differs than data, or no data does.

    None, too, if an empty key would begin or end a path: there is no way to write that.
    """
    if old.is_delta or new.is_delta or _fixed(old) != _fixed(new):
        return None
    operations = tuple(_changes(old.data, new.data, (), new.manifest))
    if not operations or any("" in (operation.path[0], operation.path[-1]) for operation in operations):
        return None
    metadata = dict(new.manifest.metadata) | ({BASE_REVISION: old.revision} if old.revision else {})
    manifest = Manifest(new.revision, new.manifest.roots, metadata=metadata)
    return Bundle(new.name, manifest, {}, {}, {}, delta_files(manifest, operations), operations)


def _fixed(bundle: Bundle) -> tuple[object, ...]:
    """Return what a delta cannot change."""
    versions = {path: bundle.version_of(path) for path in (*bundle.modules, *bundle.tests)}
    return bundle.name, frozenset(bundle.manifest.roots), bundle.modules, bundle.tests, versions


def _changes(old: Mapping[str, Document], new: Mapping[str, Document], path: Path, manifest: Manifest) -> Iterator[Operation]:
    """Yield the operations, each within the roots."""
    for key in sorted(old.keys() | new.keys()):
        here = (*path, key)
        is_owned = manifest.owns(here)
        before, after = old.get(key, None if is_owned else {}), new.get(key, None if is_owned else {})
        if isinstance(before, dict) and isinstance(after, dict) and (not is_owned or (key in old and key in new)):
            yield from _changes(before, after, here, manifest)
        elif key not in new:
            yield Operation(Op.REMOVE, here)
        elif key not in old or not _is_same(before, after):
            yield Operation(Op.UPSERT, here, after)


def _is_same(left: Document, right: Document) -> bool:
    if type(left) is not type(right):  # true is not 1
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_is_same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(_is_same, left, right))
    return bool(left == right)
