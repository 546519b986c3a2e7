"""Rego source text laid out as OPA lays it out (`opa fmt`).

The face of the formatter: text in, text out. Works on the compiler's syntax tree and on the
places of its parts in the source; knows no files and no output.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from authz.rego.compiler import collector_paused
from authz.rego.cursor import Failure
from authz.rego.errors import CompileError
from authz.rego.formatting.style import Target, imports_of, style_of, v1_import
from authz.rego.formatting.v1_checks import refuse_v0
from authz.rego.formatting.verify import unparsable, verify, verify_version
from authz.rego.formatting.write_module import ModuleWriter
from authz.rego.formatting.written import Written, WrittenParser
from authz.rego.parser import module_of

MAX_PASSES: Final = 8
"""How often a text is laid out until it stays as it is. Most do after the first pass; comments in odd places need more."""

_FRAMES: Final = 10_000
"""What the deepest tree that parses may take: 100 levels of brackets or 200 operators, at ten Python frames each."""


def format_source(  # noqa: PLR0913 - the options of one operation
    file: str,
    source: str,
    rego_version: int = 1,
    target: Target | None = None,
    *,
    drop_v0_imports: bool = False,
    check_result: bool = True,
) -> str:
    """Return the text of a module as it should be laid out.

    `rego_version` is what it is read as, `target` what it is written as: the same by default. Raises CompileError, also if the
    result would not say the same, which `check_result` looks after.
    """
    target = target or (Target.V1 if rego_version == 1 else Target.V0)
    with _deep_stack(), collector_paused():
        first = _laid_out(file, source, rego_version, target, drop_v0_imports)
        if target is not Target.V0:
            refuse_v0(first.written.module)
        last = _settled(first, source, rego_version, target, drop_v0_imports, check_result)
        if check_result and last is not first:
            verify(first.written.module, first.written.comments, last.written.module, last.written.comments)
            if target is Target.BOTH:
                verify_version(file, last.text, 1 - rego_version)
    return last.text


class _Pass(NamedTuple):
    """A module as it is read, and the text that is made of it."""

    written: Written
    text: str


def _settled(first: _Pass, source: str, rego_version: int, target: Target, drop_v0_imports: bool, check_result: bool) -> _Pass:  # noqa: PLR0913
    """Lay out again and again, until the text stays as it is; return the pass that changed nothing, if any."""
    last, before = first, source
    for _ in range(MAX_PASSES):
        if last.text == before:
            break
        before = last.text
        try:
            last = _laid_out(first.written.module.file, before, rego_version, target, drop_v0_imports)
        except CompileError as error:
            if check_result:
                raise unparsable(first.written.module.file, rego_version, error) from error
            break
    return last


def _laid_out(file: str, source: str, rego_version: int, target: Target, drop_v0_imports: bool) -> _Pass:
    parser = WrittenParser(file, source, rego_version)
    try:
        module = module_of(parser)
    except Failure as failure:
        raise parser.error([failure]) from None
    written = Written(parser, module)
    imports = imports_of(module, target, drop_v0=drop_v0_imports)
    return _Pass(written, ModuleWriter(written, style_of(module, target)).module(imports, v1_import(module, target)))


@contextmanager
def _deep_stack() -> Iterator[None]:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, _FRAMES))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


__all__ = ["Target", "format_source"]
