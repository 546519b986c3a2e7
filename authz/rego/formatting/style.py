"""In which syntax a module is written: Rego v0, v1, or what both versions read.

Knows modules and their imports; lays nothing out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from authz.rego import nodes
from authz.rego.planner import walk
from authz.rego.tokens import FUTURE_KEYWORDS, HARD_KEYWORDS, KEYWORDS, V1_KEYWORDS
from authz.rego.values import TRUE

REGO_V1: Final = ("rego", "v1")
TRUE_BODY: Final = (nodes.Literal(nodes.TermExpr(nodes.Scalar(TRUE))),)
"""The body that is written as none at all."""

_FUTURE: Final = ("future", "keywords")


class Target(Enum):
    """The version of Rego to write; `BOTH` is v1 with the import that makes v0 read it."""

    V0 = "v0"
    V1 = "v1"
    BOTH = "v0 and v1"


@dataclass(frozen=True, slots=True)
class Style:
    """`keywords` are the words that stay quoted in a reference if they are quoted in the source; what a module `has` may be imported."""

    is_v1: bool
    has_if: bool
    has_contains: bool
    has_in: bool
    has_long_heads: bool
    keywords: frozenset[str]


def style_of(module: nodes.Module, target: Target) -> Style:
    is_v1 = target is not Target.V0
    imported = {each.path for each in module.imports}
    words = frozenset(word for word in FUTURE_KEYWORDS if (*_FUTURE, word) in imported)
    has_all = is_v1 or module.rego_version == 1 or _FUTURE in imported
    effective = frozenset(V1_KEYWORDS) if has_all else words
    keywords = words | frozenset(KEYWORDS if is_v1 else HARD_KEYWORDS)
    return Style(is_v1, "if" in effective, "contains" in effective, "in" in effective, any(map(_has_long_head, module.rules)), keywords)


def _has_long_head(rule: nodes.Rule) -> bool:
    steps = len(rule.head.ref.args)
    return steps > 1 or (steps == 1 and rule.head.key is not None)


def imports_of(module: nodes.Module, target: Target, *, drop_v0: bool = False) -> list[nodes.Import]:
    """Return the imports to write: all, or without those that are of no use in the target."""
    has_v1 = any(each.path == REGO_V1 for each in module.imports)
    drops_v1 = drop_v0 and target is Target.V1
    if not (has_v1 or drops_v1 or target is Target.BOTH):
        return list(module.imports)
    used = _logical_words(module)
    kept = [each for each in module.imports if each.path[0] != "future" or each.path[2:] in used]
    if any(each.path == _FUTURE for each in module.imports):
        missing = sorted(used - {each.path[2:] for each in kept})
        kept = [*(nodes.Import((*_FUTURE, *word), None, nodes.Location(module.file, 1, 1)) for word in missing), *kept]
    return [each for each in kept if each.path != REGO_V1] if drops_v1 else kept


def _logical_words(module: nodes.Module) -> set[tuple[str, ...]]:
    """Return what Rego v1 has by import only and a module uses: `and`, `or`, `not`."""
    used = {(node.operator,) for node in walk(module.rules) if isinstance(node, nodes.Logical)}
    return used | {("not",) for node in walk(module.rules) if isinstance(node, nodes.Not)}


def v1_import(module: nodes.Module, target: Target) -> nodes.Import | None:
    """Return the `import rego.v1` that a module for both versions lacks, on the row below the last import it stands for."""
    if target is not Target.BOTH or any(each.path == REGO_V1 for each in module.imports):
        return None
    replaced = [each.location.row for each in module.imports if each.path[:2] == _FUTURE]
    return nodes.Import(REGO_V1, None, nodes.Location(module.file, replaced[-1] + 1 if replaced else 1, 1))
