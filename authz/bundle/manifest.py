"""The `.manifest` of a policy bundle: revision, roots, language versions, metadata; and what its roots permit.

Messages are OPA's (its documentation, bundle file format). Knows paths, no archives and no policies.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from authz.bundle.archive import BundleError
from authz.bundle.json_text import DocumentError, parse_json

NAME: Final = ".manifest"
EVERYTHING: Final = ("",)
_FIELDS: Final = {"revision": str, "roots": list, "rego_version": int, "file_rego_versions": dict, "wasm": list, "metadata": dict}


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle says of itself. `roots` are the paths below `data` that are its own; one without any says nothing of `data`."""

    revision: str = ""
    roots: tuple[str, ...] = EVERYTHING
    rego_version: int | None = None
    file_rego_versions: Mapping[str, int] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def version_of(self, path: str, default: int) -> int:
        """Return the language version of a module at a path of the archive."""
        for pattern, version in self.file_rego_versions.items():
            if _glob(pattern).fullmatch(f"/{path}") or _glob(pattern).fullmatch(path):
                return version
        return default if self.rego_version is None else self.rego_version

    def permits(self, path: Iterable[str]) -> bool:
        """Tell whether a path below `data` is inside of a root."""
        joined = "/".join(path)
        return any(_contains(root, joined) for root in self.roots)


def parse_manifest(name: str, text: str) -> Manifest:
    """Return the manifest in a file. Fields that are not known are ignored, as OPA does. Raises BundleError."""
    try:
        document = parse_json(text)
    except DocumentError as error:
        raise BundleError(f"{name}:{error.row}:{error.col}: {error.message}" if error.row else f"{name}: {error.message}") from error
    if not isinstance(document, dict):
        raise BundleError(f"{name}: must be an object")
    fields = {key: _checked(name, key, document[key]) for key in _FIELDS if document.get(key) is not None}
    if fields.pop("wasm", None):
        raise BundleError(f"{name}: `wasm` modules are not supported", help="build the bundle without `--target wasm`")
    for version in (*fields.get("file_rego_versions", {}).values(), fields.get("rego_version", 1)):
        if version not in (0, 1) or isinstance(version, bool):
            raise BundleError(f"{name}: unknown bundle rego-version {version}", help="it is 0 or 1")
    if "roots" in fields:
        fields["roots"] = _roots(name, fields["roots"])
    return Manifest(**fields)


def _checked(name: str, key: str, value: Any) -> Any:
    kind = _FIELDS[key]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise BundleError(f"{name}: `{key}` must be {_NAMES[kind]}")
    return value


_NAMES: Final = {str: "a string", list: "an array", int: "an integer", dict: "an object"}


def _roots(name: str, given: list[Any]) -> tuple[str, ...]:
    if not all(isinstance(root, str) for root in given):
        raise BundleError(f"{name}: `roots` must be an array of strings")
    roots = tuple(root.strip("/") for root in given)
    for index, root in enumerate(roots):
        for other in roots[index + 1 :]:
            if _contains(root, other) or _contains(other, root):
                raise BundleError(f"manifest has overlapped roots: '{root}' and '{other}'")
    return roots


def _contains(root: str, path: str) -> bool:
    return not root or path == root or path.startswith(f"{root}/")


def _glob(pattern: str) -> re.Pattern[str]:
    """Return a pattern of `file_rego_versions`, in which `*` also stands for `/`."""
    return re.compile(fnmatch.translate(pattern))


def refuse_foreign_package(manifest: Manifest, path: str, package: tuple[str, ...]) -> None:
    """Raise BundleError for a module outside of the roots."""
    if not manifest.permits(quote(name, safe="") for name in package):
        raise BundleError(f"manifest roots {_shown(manifest.roots)} do not permit 'package {'.'.join(package)}' in module '{path}'")


def refuse_foreign_data(manifest: Manifest, document: Any, above: tuple[str, ...] = ()) -> None:
    """Raise BundleError for data outside of the roots. Objects that lead to a root are no data."""
    if manifest.permits(above):
        return
    leads_on = any(_contains("/".join(above), root) for root in manifest.roots)
    if not isinstance(document, dict) or not leads_on:
        if not above and document == {}:
            return
        shown = "/".join(above)
        message = f"manifest roots {_shown(manifest.roots)} do not permit data at path '/{shown}'"
        raise BundleError(f"{message} (hint: check bundle directory structure)")
    for key, value in document.items():
        refuse_foreign_data(manifest, value, (*above, key))


def refuse_overlaps(manifests: Mapping[str, Manifest]) -> None:
    """Raise BundleError for bundles (by name) that own the same paths: neither would know what the other one makes of them."""
    names = sorted(manifests)
    empty = [name for name in names if "" in manifests[name].roots]
    if empty and len(names) > 1:
        raise BundleError(
            f"bundles [{', '.join(names)}] have overlapping roots and cannot be activated simultaneously because bundle(s) "
            f"[{', '.join(empty)}] specify empty root paths ('') which overlap with any other bundle root",
            help="give every bundle `roots` in its `.manifest`",
        )
    found: list[str] = []
    involved: set[str] = set()
    for index, name in enumerate(names):
        for other in names[index + 1 :]:
            for root, rival in ((a, b) for a in manifests[name].roots for b in manifests[other].roots):
                if _contains(root, rival) or _contains(rival, root):
                    found.append(f"root {root} is in multiple bundles" if root == rival else f"{root} overlaps {rival}")
                    involved |= {name, other}
    if found:
        shown = ", ".join(sorted(set(found)))
        raise BundleError(f"detected overlapping roots in manifests for these bundles: [{', '.join(sorted(involved))}] ({shown})")


def _shown(roots: tuple[str, ...]) -> str:
    return f"[{' '.join(roots)}]"
