"""Ground terms in text, as values: `{1, "a", [true]}`.

Owns only the conversion of a parsed term; refuses everything that would need evaluation.
"""

from __future__ import annotations

from authz.rego import errors, nodes, parser
from authz.rego.values import Object, Set, Value


def parse_value(text: str) -> Value:
    """Return the value of a ground Rego term. Raises CompileError."""
    return ground(parser.parse_term(text))


def ground(term: nodes.Term) -> Value:
    """Return the value of a term without variables, references and calls. Raises CompileError."""
    match term:
        case nodes.Scalar(value):
            return value
        case nodes.Array(items):
            return tuple(ground(item) for item in items)
        case nodes.SetTerm(items):
            return Set(ground(item) for item in items)
        case nodes.ObjectTerm(pairs):
            return Object((ground(key), ground(value)) for key, value in pairs)
    raise errors.compile_error(
        errors.COMPILE, "a ground term is needed here", term.location, help="use scalars, arrays, objects and sets only"
    )
