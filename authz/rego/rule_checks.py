"""Checks of parsed heads and defaults that need a look into the tree, not at tokens.

Returns findings as texts; knows nothing of where or how they are shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from authz.rego import nodes
from authz.rego.nodes import Term
from authz.rego.tokens import V1_KEYWORDS
from authz.rego.values import type_name

V0_HELP: Final = "this is Rego v0 syntax: `p { … }` is now `p if { … }`, `p[x] { … }` is `p contains x if { … }`; or use --v0-compatible"


def missing_import_help(word: str) -> str:
    """Return how a word that is written like a keyword, but is none here, becomes one."""
    if word in V1_KEYWORDS:
        return f"in Rego v0 `{word}` needs `import future.keywords.{word}` or `import rego.v1`"
    return f"`{word}` needs `import future.keywords.{word}`"


_NAMES: Final[dict[type, str]] = {
    nodes.Var: "var",
    nodes.Ref: "ref",
    nodes.Call: "call",
    nodes.Array: "array",
    nodes.ObjectTerm: "object",
    nodes.SetTerm: "set",
    nodes.ArrayComprehension: "arraycomprehension",
    nodes.SetComprehension: "setcomprehension",
    nodes.ObjectComprehension: "objectcomprehension",
    nodes.TemplateString: "templatestring",
}


def term_name(term: Term) -> str:
    """Return OPA's name of the kind of `term`."""
    return type_name(term.value) if isinstance(term, nodes.Scalar) else _NAMES[type(term)]


def is_constant(term: Term) -> bool:
    """Tell whether a term is made of literals alone."""
    return all(isinstance(part, nodes.Scalar | nodes.Array | nodes.SetTerm | nodes.ObjectTerm) for part in _open_terms(term))


def default_fault(args: tuple[Term, ...] | None, value: Term, rego_version: int) -> str | None:
    """Return why a default rule may not have these arguments or this value; None if it may.

    OPA allowed constant arguments until 1.0 (`default f(10) := 1`), so v0 does.
    """
    seen: set[str] = set()
    for arg in args or ():
        if isinstance(arg, nodes.Scalar) and rego_version == 0:
            continue
        if not isinstance(arg, nodes.Var) or arg.name in ("input", "data"):
            return f"arguments cannot contain {'ref' if isinstance(arg, nodes.Var) else term_name(arg)}"
        if arg.name in seen:
            return f"arguments cannot be repeated {arg.name}"
        seen.add(arg.name)
    for term in _open_terms(value):
        if isinstance(term, nodes.Ref | nodes.Var | nodes.Call):
            return f"value cannot contain {term_name(term)}"
    return None


def _open_terms(value: Term) -> Iterator[Term]:
    """Yield `value` and the terms in it; comprehensions are closed, so their insides do not count."""
    waiting = [value]
    while waiting:
        term = waiting.pop()
        yield term
        if isinstance(term, nodes.Array | nodes.SetTerm):
            waiting.extend(term.items)
        elif isinstance(term, nodes.ObjectTerm):
            waiting.extend(part for pair in term.pairs for part in pair)
        elif isinstance(term, nodes.TemplateString):
            waiting.extend(part for part in term.parts if not isinstance(part, str))
