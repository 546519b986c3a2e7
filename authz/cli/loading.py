"""What the commands about policies read and compile: files, data and input, with every finding shown beside its source line.

Knows nothing of what a command prints or with which code it ends.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from authz import rego
from authz.bundle.checking import explained
from authz.bundle.directory import MODULE_SUFFIX, PolicySource, SourceError
from authz.bundle.json_text import DocumentError, parse_json
from authz.bundle.yaml_text import parse_yaml
from authz.refresh.files import MAX_FILE_BYTES, read_file
from authz.refresh.sources import read_source
from authz.rego.errors import CompileError
from authz.rego.values import Value, from_json

_YAML: Final = (".yaml", ".yml")


def load(paths: Iterable[Path], *, with_tests: bool = True) -> PolicySource:
    """Read the modules and data at `paths`; raises SourceError, also if there is no module, and BundleError."""
    roots = tuple(paths)
    source = load_any(roots, with_tests=with_tests)
    if not source.modules:
        raise SourceError(f"{', '.join(map(str, roots))}: no `{MODULE_SUFFIX}` file")
    return source


def load_any(paths: Iterable[Path], *, with_tests: bool = True) -> PolicySource:
    """Read the modules and data at `paths`, directories, files or bundles, perhaps none; raises SourceError and BundleError."""
    return read_source(paths, with_tests=with_tests)


def load_schemas(path: Path | None) -> rego.Schemas:
    """Read the JSON schemas at a path, a file or a directory of files of any names; raises SourceError.

    A single file is the input's schema. Without a path, only the schemas that annotations hold themselves count.
    """
    if path is None:
        return rego.Schemas()
    if path.is_dir():
        files = {each.relative_to(path): each for each in sorted(path.rglob("*")) if each.is_file()}
        return rego.Schemas({name.with_suffix("").parts: read_input(file) for name, file in files.items()})
    return rego.Schemas({(): read_input(path)})


def compile_source(
    source: PolicySource, rego_version: int, *, strict: bool = False, prints: bool = False, schemas: rego.Schemas | None = None
) -> rego.Policy:
    """Compile; options as for `rego.compile`, `rego_version` that of modules that do not say theirs.

    Raises CompileError with the parse errors of every file, each beside its source line.
    """
    try:
        versions = source.versions(rego_version)
        return rego.compile(source.modules, source.data, rego_version=versions, strict=strict, prints=prints, schemas=schemas)
    except CompileError as error:
        raise explained(error, source, rego_version) from None


def read_input(path: Path) -> Value:
    """Read an input document: YAML if the name says so, else JSON. Raises SourceError."""
    return _parsed(str(path), read_file(path), is_yaml=path.suffix in _YAML)


def read_stdin_input() -> Value:
    """Read the input document from standard input, JSON. Raises SourceError."""
    content = sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise SourceError(f"standard input: larger than {MAX_FILE_BYTES} bytes")
    return _parsed("standard input", content, is_yaml=False)


def _parsed(name: str, content: bytes, *, is_yaml: bool) -> Value:
    try:
        text = content.decode("utf-8")
        return from_json(parse_yaml(text) if is_yaml else parse_json(text))
    except UnicodeDecodeError as error:
        raise SourceError(f"{name}: not valid UTF-8") from error
    except DocumentError as error:
        where = f":{error.row}:{error.col}" if error.row else ""
        raise SourceError(f"{name}{where}: {error.message}") from error
    except ValueError as error:
        raise SourceError(f"{name}: {error}") from error
