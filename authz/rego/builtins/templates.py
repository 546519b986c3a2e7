"""Template strings (`$"..."`) and `strings.render_template`.

The parts of a template string arrive evaluated. How Go's template language reads is in
`go_template`.
"""

from __future__ import annotations

from authz.rego.builtins.registry import ARRAY, STRING, builtin
from authz.rego.errors import EVAL_CONFLICT, BuiltinError
from authz.rego.render import display_text
from authz.rego.values import Set, Value

UNDEFINED_TEXT = "<undefined>"


@builtin("internal.template_string", ARRAY, result=STRING)
def template_string(parts: tuple[Value, ...]) -> str:
    """Join the parts. A set stands for an expression's value: empty where that is undefined."""
    return "".join([part if type(part) is str else _part_text(part) for part in parts])


def _part_text(part: Value) -> str:
    if not isinstance(part, Set):
        return display_text(part)
    if len(part) > 1:
        raise BuiltinError("template-strings must not produce multiple outputs", EVAL_CONFLICT)
    return display_text(next(iter(part), UNDEFINED_TEXT))
