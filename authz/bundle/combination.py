"""Several bundles → the source of one policy: no two own the same data, and each adds only what its roots permit.

Pure; the rules are OPA's (bundles, multiple sources of policy and data). Knows neither archives nor activation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from authz.bundle.archive import BundleError
from authz.bundle.bundle import Bundle, summary
from authz.bundle.delta import patched
from authz.bundle.directory import REVISION_DIGITS
from authz.bundle.manifest import refuse_foreign_data, refuse_overlaps
from authz.rego.values import Document


@dataclass(frozen=True, slots=True)
class Combined:
    """What a compiler is given: `versions` are the language versions of the modules and tests, by name.

    `revision` shows the revisions of the bundles where they have any; `digest` names the contents.
    """

    modules: Mapping[str, str]
    tests: Mapping[str, str]
    versions: Mapping[str, int]
    data: Document
    revision: str
    digest: str


def combine(bundles: Iterable[Bundle]) -> Combined:
    """Return all bundles as one source. Raises BundleError for roots that overlap."""
    ordered = sorted(bundles, key=lambda bundle: bundle.name)
    refuse_overlaps({bundle.name: bundle.manifest for bundle in ordered})
    modules: dict[str, str] = {}
    tests: dict[str, str] = {}
    versions: dict[str, int] = {}
    data: Document = {}
    for bundle in ordered:
        for into, given in ((modules, bundle.modules), (tests, bundle.tests)):
            into.update((f"{bundle.name}/{path}", text) for path, text in given.items())
        versions.update((f"{bundle.name}/{path}", version) for path, version in bundle.versions.items())
        data = _merged(data, bundle.data)
    system = {"system": {"bundles": {bundle.name: summary(bundle) for bundle in ordered}}}
    return Combined(modules, tests, versions, _merged(system, data), _revision(ordered), _digest(ordered))


def apply_delta(base: Bundle, delta: Bundle) -> Bundle:
    """Return a bundle with the data that a delta makes of its own; revision and metadata are the delta's. Raises BundleError."""
    if set(delta.manifest.roots) != set(base.manifest.roots):
        raise BundleError(
            f"delta bundle '{delta.name}' has wasm resolvers or manifest roots that are different from those in the store",
            help="the server has to send the whole bundle",
        )
    try:
        data = patched(base.data, delta.patch)
    except BundleError as error:
        raise BundleError(f"bundle `{delta.name}`: {error.message}", help=error.help) from error
    refuse_foreign_data(base.manifest, data)
    manifest = replace(base.manifest, revision=delta.manifest.revision, metadata=delta.manifest.metadata)
    digest = hashlib.sha256(f"{base.digest}{delta.digest}".encode()).hexdigest()
    return replace(base, manifest=manifest, data=data, digest=digest)


def _merged(first: Document, second: Document) -> Document:
    """Return both objects as one; roots that do not overlap see to it that only objects meet."""
    if not isinstance(first, dict) or not isinstance(second, dict):
        return second
    merged = dict(first)
    for key, value in second.items():
        merged[key] = _merged(merged[key], value) if key in merged else value
    return merged


def _revision(bundles: list[Bundle]) -> str:
    if len(bundles) == 1:
        return bundles[0].manifest.revision or bundles[0].digest[:REVISION_DIGITS]
    return ",".join(f"{bundle.name}={bundle.manifest.revision or bundle.digest[:REVISION_DIGITS]}" for bundle in bundles)


def _digest(bundles: list[Bundle]) -> str:
    text = "".join(f"{len(bundle.name)}:{bundle.name}{bundle.digest}" for bundle in bundles)
    return hashlib.sha256(text.encode()).hexdigest()
