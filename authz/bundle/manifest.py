"""`.manifest`: what a bundle says of itself, and the rule that it keeps to its roots.

The messages about roots are OPA's: people search for them. Knows no archive and no signature.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from authz.bundle.errors import BundleError
from authz.bundle.json_text import DocumentError, parse_json
from authz.rego.builtins.glob import compiled
from authz.rego.builtins.regex_syntax import PatternError
from authz.rego.values import Document

MANIFEST_NAME: Final = ".manifest"
ALL: Final = ("",)
"""The roots of a bundle that names none: it owns everything."""

MAX_ROOTS: Final = 1_000
MAX_FILE_PATTERNS: Final = 10_000
_GLOB: Final = frozenset("*?[]{}\\")

Path: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest. `roots` have neither leading nor trailing `/`; `rego_version` is None where the reader's default holds.

    `file_rego_versions` are globs of the files' paths, which begin with `/`, and the version of those that match.
    """

    revision: str = ""
    roots: tuple[str, ...] = ALL
    rego_version: int | None = None
    file_rego_versions: tuple[tuple[str, int], ...] = ()
    metadata: Mapping[str, Document] = field(default_factory=dict)

    def document(self) -> dict[str, Document]:
        """Return the manifest as JSON, as OPA shows it to policies and writes it: no field that is not set."""
        document: dict[str, Document] = {"revision": self.revision, "roots": list(self.roots)}
        if self.rego_version is not None:
            document["rego_version"] = self.rego_version
        if self.file_rego_versions:
            document["file_rego_versions"] = dict(self.file_rego_versions)
        if self.metadata:
            document["metadata"] = dict(self.metadata)
        return document

    def version_of(self, path: str) -> int | None:
        """Return the Rego version of the file at `path` (no leading `/`): its own entry's, else that of the first glob that matches.

        None if the manifest says nothing of it.
        """
        own = dict(self.file_rego_versions).get(f"/{path}")
        if own is not None:
            return own
        for pattern, version in self.file_rego_versions:
            if not _GLOB.isdisjoint(pattern) and compiled(pattern, "").contains(f"/{path}"):
                return version
        return self.rego_version

    def owns(self, path: Path) -> bool:
        """Say whether the path of data or of a package is within the roots."""
        return any(is_prefix(split(root), path) for root in self.roots)

    def leads_to_root(self, path: Path) -> bool:
        """Say whether a root is at or below the path: an object may stand there."""
        return any(is_prefix(path, split(root)) for root in self.roots)

    @property
    def roots_text(self) -> str:
        """The roots as they stand in messages: `[a/b c]`."""
        return f"[{' '.join(self.roots)}]"


def parse_manifest(text: str) -> Manifest:
    """Read a manifest; raises BundleError. What it does not know it passes over, as OPA does."""
    try:
        document = parse_json(text)
    except DocumentError as error:
        where = f":{error.row}:{error.col}" if error.row else ""
        raise BundleError(f"{MANIFEST_NAME}{where}: {error.message}") from error
    if not isinstance(document, dict):
        raise BundleError(f"{MANIFEST_NAME}: must be an object, not {kind_of(document)}")
    if _member(document, "wasm", list):
        raise BundleError(f"{MANIFEST_NAME}: `wasm` entry points are not supported", help="build the bundle with the target `rego`")
    roots = _roots(document)
    version = _member(document, "rego_version", int)
    return Manifest(
        _member(document, "revision", str) or "",
        roots,
        version if version is None else _version(version, "rego_version"),
        _file_versions(document),
        _member(document, "metadata", dict) or {},
    )


def _roots(document: dict[str, Any]) -> tuple[str, ...]:
    roots = _member(document, "roots", list)
    if roots is None:
        return ALL
    if len(roots) > MAX_ROOTS:
        raise BundleError(f"{MANIFEST_NAME}: more than {MAX_ROOTS} roots")
    for root in roots:
        if not isinstance(root, str):
            raise BundleError(f"{MANIFEST_NAME}: `roots` must be strings, not {kind_of(root)}")
    trimmed = tuple(root.strip("/") for root in roots)
    for first, second in overlaps((index, root) for index, root in enumerate(trimmed)):
        raise BundleError(f"manifest has overlapped roots: '{first[1]}' and '{second[1]}'")
    return trimmed


def _file_versions(document: dict[str, Any]) -> tuple[tuple[str, int], ...]:
    found: list[tuple[str, int]] = []
    for pattern, version in (_member(document, "file_rego_versions", dict) or {}).items():
        if type(version) is not int:
            raise BundleError(f"{MANIFEST_NAME}: `file_rego_versions` of `{pattern}` must be 0 or 1, not {kind_of(version)}")
        try:
            compiled(pattern, "")
        except PatternError as error:
            raise BundleError(f"{MANIFEST_NAME}: `file_rego_versions`: failed to compile glob `{pattern}`: {error}") from error
        found.append((pattern, _version(version, pattern)))
    if len(found) > MAX_FILE_PATTERNS:
        raise BundleError(f"{MANIFEST_NAME}: more than {MAX_FILE_PATTERNS} `file_rego_versions`")
    return tuple(found)


def _version(version: int, what: str) -> int:
    if version not in (0, 1):
        raise BundleError(f"unknown bundle rego-version {version} for '{what}'", help="it is 0 or 1")
    return version


def _member(document: dict[str, Any], name: str, kind: type) -> Any:
    """Return a field; None if it is absent or null."""
    value = document.get(name)
    if value is not None and type(value) is not kind:
        raise BundleError(f"{MANIFEST_NAME}: `{name}` must be {_KINDS[kind]}, not {kind_of(value)}")
    if isinstance(value, str) and not value.isprintable():  # it becomes a metric's label and a log's field
        raise BundleError(f"{MANIFEST_NAME}: `{name}` has characters that cannot be shown")
    return value


_KINDS: Final = {str: "a string", list: "an array", dict: "an object", int: "a number", bool: "a boolean", type(None): "null"}


def kind_of(value: Document) -> str:
    """Return what a document is, as JSON calls it."""
    return _KINDS.get(type(value), "a number")


def split(path: str) -> Path:
    """Return the steps of a root; none for the root of everything."""
    return tuple(path.split("/")) if path else ()


def is_prefix(short: Path, long: Path) -> bool:
    """Say whether `long` is `short` or below it."""
    return long[: len(short)] == short


def overlaps(roots: Iterable[tuple[Any, str]]) -> Iterator[tuple[tuple[Any, str], tuple[Any, str]]]:
    """Yield every pair of (owner, root) of which one is within the other; among sorted paths only ancestors need a look.

    Each pair is (the one given first, the other), in the order in which the first ones are given.
    """
    given = list(roots)
    by_path: dict[Path, list[int]] = {}
    for index, (_, root) in enumerate(given):
        by_path.setdefault(split(root), []).append(index)
    pairs: set[tuple[int, int]] = set()
    for path, indices in by_path.items():
        same = [(first, second) for first in indices for second in indices if first < second]
        above = [index for size in range(len(path)) for index in by_path.get(path[:size], ())]
        pairs.update(same)
        pairs.update((min(first, second), max(first, second)) for first in above for second in indices)
    for first, second in sorted(pairs):
        yield given[first], given[second]


def refuse_package_outside(manifest: Manifest, package: Path, module: str) -> None:
    """Raise BundleError if a module's package is not within the roots."""
    if not manifest.owns(tuple(quote(step, safe="~:@$&+=-._", errors="replace") for step in package)):
        name = ".".join(package)
        raise BundleError(f"manifest roots {manifest.roots_text} do not permit 'package {name}' in module '/{module}'")


def refuse_data_outside(manifest: Manifest, data: Document, path: Path = ()) -> None:
    """Raise BundleError if base data stands outside of the roots; objects may lead to a root."""
    if manifest.owns(path):
        return
    if isinstance(data, dict) and manifest.leads_to_root(path):
        for key, value in data.items():
            refuse_data_outside(manifest, value, (*path, key))
        return
    raise BundleError(
        f"manifest roots {manifest.roots_text} do not permit data at path '/{'/'.join(path)}' (hint: check bundle directory structure)"
    )
