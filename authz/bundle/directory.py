"""Files of policy directories → the source of one policy: modules, data document, revision.

Pure: it is given contents and names. Who reads a disk, and when, is not its business.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from authz.bundle.json_text import DocumentError, parse_json
from authz.bundle.yaml_text import parse_yaml
from authz.errors import AuthzError, ErrorCode
from authz.rego.values import MAX_DEPTH, Document

MODULE_SUFFIX: Final = ".rego"
TEST_SUFFIX: Final = "_test.rego"
DATA_NAMES: Final = frozenset({"data.json", "data.yaml", "data.yml"})
REVISION_DIGITS: Final = 16
"""Hex digits of a revision: 64 bits tell any two edits apart and still fit into a log line."""


class SourceError(AuthzError):
    """The files do not make a policy source; the message starts with the file's name."""

    code = ErrorCode.POLICY_SOURCE


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file: `name` as a person would open it, `path` below the root it was found in."""

    name: str
    path: PurePosixPath
    content: bytes


@dataclass(frozen=True, slots=True)
class PolicySource:
    """What a compiler is given. `revision` names the contents; for bundles it is what they say of themselves.

    `digest` is the SHA-256 (hex) of the contents. `rego_versions` are those of modules that say theirs, by name.
    """

    modules: dict[str, str]
    data: Document
    revision: str
    digest: str = ""
    rego_versions: Mapping[str, int] = field(default_factory=dict)

    def versions(self, default: int) -> dict[str, int]:
        """Return the Rego version of every module."""
        return {name: self.rego_versions.get(name, default) for name in self.modules}


def is_module(name: str) -> bool:
    """Say whether a file of this name is a policy module that serves (tests do not)."""
    return name.endswith(MODULE_SUFFIX) and not name.endswith(TEST_SUFFIX)


def is_data(name: str) -> bool:
    """Say whether a file of this name holds base data."""
    return name in DATA_NAMES


def policy_source(files: Iterable[SourceFile]) -> PolicySource:
    """Build the source of one policy; raises SourceError.

    Data files are rooted by their folder as in an OPA bundle; objects merge, anything else twice is a conflict.
    """
    ordered = sorted(files, key=lambda file: (file.path.as_posix(), file.name))
    modules: dict[str, str] = {}
    data = DataTree()
    for file in ordered:
        if is_data(file.path.name):
            data.insert(document_of(file), file.path.parent.parts, file.name)
        else:
            modules[file.name] = text_of(file)
    digest = digest_of((file.path.as_posix().encode("utf-8", "surrogateescape"), file.content) for file in ordered)
    return PolicySource(modules, data.document, digest[:REVISION_DIGITS], digest)


def digest_of(parts: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the SHA-256 (hex) of names and contents in their order."""
    digest = hashlib.sha256()
    for name, content in parts:
        digest.update(b"%d:%s%d:" % (len(name), name, len(content)))
        digest.update(content)
    return digest.hexdigest()


def text_of(file: SourceFile) -> str:
    """Return what a file says; raises SourceError."""
    try:
        return file.content.decode("utf-8")
    except UnicodeDecodeError as error:
        row = file.content.count(b"\n", 0, error.start) + 1
        col = error.start - file.content.rfind(b"\n", 0, error.start)
        raise SourceError(f"{file.name}:{row}:{col}: not valid UTF-8") from error


def document_of(file: SourceFile) -> Document:
    """Return the document in a data file; raises SourceError."""
    parse = parse_json if file.path.suffix == ".json" else parse_yaml
    try:
        document = parse(text_of(file))
    except DocumentError as error:
        where = f":{error.row}:{error.col}" if error.row else ""
        raise SourceError(f"{file.name}{where}: {error.message}") from error
    if is_deeper(document, MAX_DEPTH - len(file.path.parts)):
        raise SourceError(f"{file.name}: nested deeper than {MAX_DEPTH} levels")
    return document


def is_deeper(document: Document, levels: int) -> bool:
    """Say whether a document nests deeper than so many levels."""
    layer = [document]
    for _ in range(levels):
        layer = [item for value in layer for item in _items(value)]
        if not layer:
            return False
    return True


def _items(document: Document) -> Iterable[Document]:
    if isinstance(document, dict):
        return document.values()
    return document if isinstance(document, list) else ()


class DataTree:
    """The base document as it grows, and which file brought each path."""

    def __init__(self) -> None:
        self.document: dict[str, Document] = {}
        self._owners: dict[tuple[str, ...], str] = {}

    def insert(self, value: Document, path: Sequence[str], name: str) -> None:
        """Put a value at a path; `name` says where it is from. Raises SourceError."""
        if not path and not isinstance(value, dict):
            raise SourceError(f"{name}: the data document at the root must be an object")
        for step in reversed(path):
            value = {step: value}
        self._merge(self.document, value, (), name)

    def _merge(self, into: dict[str, Document], new: dict[str, Document], path: tuple[str, ...], name: str) -> None:
        for key, value in new.items():
            here = (*path, key)
            if key not in into:
                into[key] = value
                self._owners[here] = name
            elif isinstance(into[key], dict) and isinstance(value, dict):
                self._merge(into[key], value, here, name)
            else:
                raise SourceError(
                    f"{name}: `data.{'.'.join(here)}` is already set by {self._owner(here)}",
                    help="only objects merge; give the path one value in one file",
                )

    def _owner(self, path: tuple[str, ...]) -> str:
        """Return the file that brought the value at `path`, perhaps within a larger value."""
        return next(self._owners[path[:length]] for length in range(len(path), 0, -1) if path[:length] in self._owners)
