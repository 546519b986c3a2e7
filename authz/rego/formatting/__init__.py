"""Rego source text laid out as OPA lays it out (`opa fmt`).

The face of the formatter: text in, text out. Works on the compiler's syntax tree and on the
places of its parts in the source; knows no files and no output.
"""

from __future__ import annotations

from typing import Final

from authz.rego.cursor import Failure
from authz.rego.formatting.style import Target, imports_of, style_of
from authz.rego.formatting.write_module import ModuleWriter
from authz.rego.formatting.written import Written, WrittenParser
from authz.rego.parser import module_of

MAX_PASSES: Final = 8
"""How often a text is laid out until it stays as it is. One pass and one to see that mostly do; comments in odd places need more."""


def format_source(file: str, source: str, rego_version: int = 1, target: Target | None = None, *, drop_v0_imports: bool = False) -> str:
    """Return the text of a module as it should be laid out.

    `rego_version` is what it is read as, `target` what it is written as: the same by default. Raises CompileError.
    """
    if target is None:
        target = Target.V1 if rego_version == 1 else Target.V0
    for _ in range(MAX_PASSES):
        formatted = _laid_out(file, source, rego_version, target, drop_v0_imports=drop_v0_imports)
        if formatted == source:
            break
        source = formatted
    return source


def _laid_out(file: str, source: str, rego_version: int, target: Target, *, drop_v0_imports: bool) -> str:
    parser = WrittenParser(file, source, rego_version)
    try:
        module = module_of(parser)
    except Failure as failure:
        raise parser.error([failure]) from None
    writer = ModuleWriter(Written(parser, module), style_of(module, target))
    return writer.module(imports_of(module, target, drop_v0=drop_v0_imports))


__all__ = ["Target", "format_source"]
