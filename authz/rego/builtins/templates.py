"""Template strings (`$"..."`) and `strings.render_template`.

The parts of a template string arrive evaluated. How Go's template language is read and
executed is in `go_template` and `go_template_run`.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import Final

from authz.rego.builtins.go_template import parse
from authz.rego.builtins.go_template_nodes import Template, TemplateError
from authz.rego.builtins.go_template_run import NO_VALUE, GoValue, Number, Run
from authz.rego.builtins.registry import ARRAY, OBJECT, STRING, builtin
from authz.rego.errors import EVAL_CONFLICT, EVAL_INTERNAL, BuiltinError
from authz.rego.render import display_text
from authz.rego.values import Boolean, Null, Object, Set, Value, number_text, type_name

UNDEFINED_TEXT: Final = "<undefined>"
_MAX_CACHED: Final = 16_384


@builtin("internal.template_string", ARRAY, result=STRING)
def template_string(parts: tuple[Value, ...]) -> str:
    """Join the parts. A set stands for an expression's value: empty where that is undefined."""
    texts = [part if type(part) is str else _part_text(part) for part in parts]
    if any(type(part) is Set and len(part) > 1 for part in parts):
        raise BuiltinError("template-strings must not produce multiple outputs", EVAL_CONFLICT)
    return "".join(texts)


def _part_text(part: Value) -> str:
    if isinstance(part, Set):
        return display_text(next(iter(part), UNDEFINED_TEXT))
    if isinstance(part, tuple | Object):
        raise BuiltinError(f"illegal argument type: {type_name(part)}", EVAL_INTERNAL)
    return display_text(part)


@builtin("strings.render_template", STRING, OBJECT, result=STRING)
def render_template(text: str, variables: Object) -> str:
    """Execute a Go template; what has no value reads `<undefined>`."""
    try:
        template = _parsed(text) if len(text) <= _MAX_CACHED else parse(text)
        return Run(template, _go_value(variables)).text().replace(NO_VALUE, UNDEFINED_TEXT)
    except TemplateError as error:
        raise BuiltinError(f"strings.render_template: {error}") from error


@lru_cache(maxsize=256)
def _parsed(text: str) -> Template:
    return parse(text)


def _go_value(value: Value) -> GoValue:
    """Return the value as Go reads its JSON."""
    if isinstance(value, int | Decimal):
        return Number(number_text(value))
    if isinstance(value, Boolean):
        return value.truth
    if isinstance(value, Null):
        return None
    if isinstance(value, tuple):
        return [_go_value(item) for item in value]
    if isinstance(value, Object) and all(type(key) is str for key in value):
        return {key: _go_value(item) for key, item in value.items()}
    if isinstance(value, str):
        return value
    raise BuiltinError("strings.render_template: operand 2 is not JSON: it holds a set or a key that is no string")
