"""The declaration of built-in functions and the check of their operands.

Owns the table from OPA's names to Python functions. A function gets operands of
the declared types only and returns a value, or `None` for undefined, or raises
`BuiltinError`. One whose declared result is `boolean` returns Python's `bool`
(`returns_bool`): generated code tests it as it is, and converts it only where a value is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Protocol, TypeVar

from authz.rego.errors import EVAL_TYPE, BuiltinError
from authz.rego.numbers import NUMBERS, as_index, as_int
from authz.rego.pending import HttpRequest
from authz.rego.values import Boolean, Null, Object, Set, Value, Written, type_name

ANY: Final = "any"
NULL_T: Final = "null"
BOOLEAN: Final = "boolean"
NUMBER: Final = "number"
STRING: Final = "string"
ARRAY: Final = "array"
OBJECT: Final = "object"
SET: Final = "set"
INTEGER: Final = "integer"
"""A whole number of any size, given to the function as an int."""
INDEX: Final = "index"
"""A position, length or count: a whole number of 64 bits, given to the function as an int."""

_CLASSES: Final[dict[str, tuple[type, ...]]] = {
    NULL_T: (Null,), BOOLEAN: (Boolean,), NUMBER: (int, Decimal, Written), STRING: (str,), ARRAY: (tuple,), OBJECT: (Object,), SET: (Set,),
}  # fmt: skip

Param = str | tuple[str, ...]
"""One type name, or the several that an operand may have."""


class EvalContext(Protocol):
    """What a built-in may ask of the running evaluation (constant within one query)."""

    now_ns: int
    output: Callable[[str], None] | None
    """Where the lines of `print` go, None for nowhere."""

    def once(self, key: tuple[Value, ...], make: Callable[[], Value]) -> Value:
        """Return the value made first for `key` within this evaluation."""
        ...

    def answer_to(self, request: HttpRequest) -> Object:
        """Return the answer to a request. Raises Pending, or BuiltinError where none may be sent."""
        ...


@dataclass(frozen=True, slots=True)
class Builtin:
    """A declared built-in. `call` checks operand types, then runs `function`."""

    name: str
    params: tuple[Param, ...]
    result: str
    function: Callable[..., Any]
    call: Callable[..., Any]
    returns_bool: bool
    deterministic: bool
    needs_context: bool
    is_relation: bool
    deprecated: bool
    prepare: Callable[[], object] | None = None


BUILTINS: Final[dict[str, Builtin]] = {}

F = TypeVar("F", bound=Callable[..., Any])


def builtin(  # noqa: PLR0913 - a declaration lists all that is declared
    name: str,
    *params: Param,
    result: str = ANY,
    deterministic: bool = True,
    needs_context: bool = False,
    is_relation: bool = False,
    deprecated: bool = False,
    checks_itself: bool = False,
    prepare: Callable[[], object] | None = None,
) -> Callable[[F], F]:
    """Declare the decorated function as built-in `name`.

    `needs_context`: it takes an EvalContext before its operands. `is_relation`: it
    returns an iterable of values, each of which is a result (`walk`). `checks_itself`:
    it looks at its operands' types, which saves the most frequent ones a second call.
    `prepare` is called when a policy that uses it is linked: it imports what takes long to.
    """

    def declare(function: F) -> F:
        call = function if checks_itself else _checked(name, params, function, needs_context)
        BUILTINS[name] = Builtin(
            name, params, result, function, call,
            result == BOOLEAN, deterministic, needs_context, is_relation, deprecated, prepare,
        )  # fmt: skip
        return function

    return declare


def _checked(name: str, params: tuple[Param, ...], function: Callable[..., Any], needs_context: bool) -> Callable[..., Any]:
    """Return `function` with its operands' types checked first; unchecked where every type will do."""
    classes = [None if param in (ANY, INTEGER, INDEX) else _classes(param) for param in params]
    if {INTEGER, INDEX}.intersection(params):
        return _converted(name, params, classes, function)
    if not any(classes):
        return function
    first, second, *rest = [*classes, None, None]
    if needs_context or any(rest) or len(params) > 2:
        offset = 1 if needs_context else 0

        def check_all(*args: Any) -> Any:
            for index, allowed in enumerate(classes):
                if allowed is not None and type(args[index + offset]) not in allowed:
                    raise operand_error(name, index + 1, params[index], args[index + offset])
            return function(*args)

        return check_all
    if len(params) == 1:

        def check_one(operand: Any) -> Any:
            if first is not None and type(operand) not in first:
                raise operand_error(name, 1, params[0], operand)
            return function(operand)

        return check_one

    def check_two(left: Any, right: Any) -> Any:
        if first is not None and type(left) not in first:
            raise operand_error(name, 1, params[0], left)
        if second is not None and type(right) not in second:
            raise operand_error(name, 2, params[1], right)
        return function(left, right)

    return check_two


def _converted(
    name: str, params: tuple[Param, ...], classes: list[frozenset[type] | None], function: Callable[..., Any]
) -> Callable[..., Any]:
    """Return `function` with its operands checked and whole numbers made ints, one operand after the other as in OPA."""
    wholes: dict[Param, Callable[[str, int, Value], int]] = {INTEGER: integer, INDEX: index}
    convert = [wholes.get(param) for param in params]

    def check(*args: Any) -> Any:
        offset = len(args) - len(params)  # the context stands before the operands
        operands = list(args)
        for at, (param, allowed, whole) in enumerate(zip(params, classes, convert, strict=True)):
            operand = args[at + offset]
            if whole is not None:
                operands[at + offset] = whole(name, at + 1, operand)
            elif allowed is not None and type(operand) not in allowed:
                raise operand_error(name, at + 1, param, operand)
        return function(*operands)

    return check


def _classes(param: Param) -> frozenset[type]:
    names = (param,) if isinstance(param, str) else param
    return frozenset(cls for name in names for cls in _CLASSES[name])


def operand_error(name: str, position: int, wanted: Param, got: Value) -> BuiltinError:
    """Return the eval_type_error that OPA gives for an operand of a wrong type."""
    text = wanted if isinstance(wanted, str) else "one of {" + ", ".join(wanted) + "}"
    return BuiltinError(f"{name}: operand {position} must be {text} but got {type_name(got)}", EVAL_TYPE)


def element_error(name: str, position: int, wanted: str, composite: Value, got: Value) -> BuiltinError:
    """Return the eval_type_error that OPA gives for a member of a wrong type in a collection operand."""
    kind = type_name(composite)
    return BuiltinError(f"{name}: operand {position} must be {kind} of {wanted}s but got {kind} containing {type_name(got)}", EVAL_TYPE)


def integer(name: str, position: int, operand: Value) -> int:
    """Return an operand that is a whole number of any size; eval_type_error if it is not."""
    if not isinstance(operand, NUMBERS):
        raise operand_error(name, position, INTEGER, operand)
    return _whole(name, position, as_int(operand))


def index(name: str, position: int, operand: Value) -> int:
    """Return an operand that is a position, length or count; eval_type_error if its text is not one of 64 bits."""
    if not isinstance(operand, NUMBERS):
        raise operand_error(name, position, NUMBER, operand)
    return _whole(name, position, as_index(operand))


def _whole(name: str, position: int, number: int | None) -> int:
    if number is None:
        raise BuiltinError(f"{name}: operand {position} must be integer number but got floating-point number", EVAL_TYPE)
    return number
