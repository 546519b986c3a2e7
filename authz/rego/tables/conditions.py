"""Conditions as cells: which tests of known values an index can answer.

A condition becomes options, of which one must hold; each is a conjunction of cells. Looks into no rule and no nested block.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Final

from authz.rego import plan as p
from authz.rego.builtins import BUILTINS, glob, net, regex
from authz.rego.builtins.regex_syntax import PatternError
from authz.rego.errors import BuiltinError
from authz.rego.lower import ROOT_CONTEXT
from authz.rego.purity import CHEAP
from authz.rego.tables.cells import (
    Between,
    Cell,
    Contains,
    HasMember,
    InNetwork,
    Matches,
    OneOf,
    Prefix,
    Suffix,
    equals,
    is_defined,
    is_true,
)
from authz.rego.tables.columns import COLUMNS, CallColumn, Column, SizeColumn
from authz.rego.tables.expressions import World, apply, are_operands, constants
from authz.rego.tables.reading import Items, Known, Member, Option, Reading
from authz.rego.values import FALSE, TRUE, Null, Object, Set, Value

MAX_OPTIONS: Final = 1_024
"""Options that one condition may become (arrays compared with a list of arrays)."""


Options = list[Option]

HOLDS: Final[Options] = [Option()]
NEVER: Final[Options] = []


def options_of(cond: p.Cond, reading: Reading, world: World) -> Options | None:
    """Return the options of a condition; none if it never holds, None if it is left to code."""
    match cond:
        case p.Truthy(atom):
            return truth(reading.atom(atom), world)
        case p.Equal(left, right):
            return equality(reading.atom(left), reading.atom(right))
        case p.Holds(call):
            if call.ctx != ROOT_CONTEXT or call.name in world.mocked:
                return None
            return holding(call.name, [reading.atom(arg) for arg in call.args])
        case p.IsArray(atom, size):
            return _shape(reading.atom(atom), "array", size)
        case p.IsObject(atom, size):
            return _shape(reading.atom(atom), "object", size)
        case p.Never():
            return NEVER
    return None


def truth(known: Known | None, world: World) -> Options | None:
    """Return the options of something being defined and not false."""
    if known is None or isinstance(known, Member):
        return None
    if isinstance(known, p.Const):
        return NEVER if known.value is FALSE else HOLDS
    if isinstance(known, CallColumn) and BUILTINS[known.name].returns_bool and known.name not in world.mocked:
        return holding(known.name, list(known.args))
    return [Option((is_true(known),))] if isinstance(known, COLUMNS) else HOLDS


def equality(left: Known | None, right: Known | None) -> Options | None:
    """Return the options of two known values being equal."""
    if left is None or right is None:
        return None
    if isinstance(left, p.Const):
        left, right = right, left
    if isinstance(right, p.Const):
        return _equals_constant(left, right.value)
    if isinstance(left, Items) and isinstance(right, Items):
        return _all_equal(left.items, right.items)
    if isinstance(left, Member) or isinstance(right, Member):
        return _member_equals(left, right)
    if isinstance(left, COLUMNS) and isinstance(right, COLUMNS):
        same = is_defined(left) if left == right else equals(CallColumn("equal", (left, right)), TRUE)
        return [Option((same,))]
    return None


def _equals_constant(known: Known, value: Value) -> Options | None:
    if isinstance(known, p.Const):
        return HOLDS if known.value == value else NEVER
    if isinstance(known, Member):
        return [Option((HasMember(known.column, (value,)),), ((known, value),))]
    if isinstance(known, Items):
        return _all_equal(known.items, tuple(map(p.Const, value))) if value.__class__ is tuple else NEVER
    return [Option((equals(known, value),))] if isinstance(known, COLUMNS) else None


def _member_equals(left: Known, right: Known) -> Options | None:
    """Return the options of a member being equal to a column: the column is among the members."""
    member, other = (left, right) if isinstance(left, Member) else (right, left)
    if not isinstance(member, Member) or not isinstance(other, COLUMNS):
        return None
    among = CallColumn("internal.member_2", (other, member.column))
    return [Option((equals(among, TRUE),), tested=member)]


def _all_equal(left: tuple[Known, ...], right: tuple[Known, ...]) -> Options | None:
    if len(left) != len(right):
        return NEVER
    parts = [equality(one, other) for one, other in zip(left, right, strict=True)]
    return together([part for part in parts if part is not None]) if None not in parts else None


def together(parts: list[Options]) -> Options | None:
    """Return the options of all parts holding at once."""
    found: Options = []
    for chosen in product(*parts):
        if len({option.tested for option in chosen if option.tested}) > 1 or len(found) >= MAX_OPTIONS:
            return None  # an option tells of one tested member; more is left to code
        found.append(
            Option(
                tuple(cell for option in chosen for cell in option.cells),
                tuple(pair for option in chosen for pair in option.settled),
                next((option.tested for option in chosen if option.tested), None),
            )
        )
    return found


def _shape(known: Known | None, kind: str, size: int) -> Options | None:
    if isinstance(known, p.Const):
        fits = known.value.__class__ is (tuple if kind == "array" else Object) and len(known.value) == size
        return HOLDS if fits else NEVER
    if isinstance(known, Items):
        return HOLDS if kind == "array" and len(known.items) == size else NEVER
    return [Option((equals(SizeColumn(known, kind), size),))] if isinstance(known, COLUMNS) else None


# Built-ins


def holding(name: str, args: list[Known | None]) -> Options | None:
    """Return the options of a built-in that is declared boolean giving true."""
    if any(arg is None for arg in args):
        return None
    values = constants(args)
    if values is not None:
        if name not in CHEAP:
            return None
        return HOLDS if apply(name, values) is TRUE else NEVER
    if name == "internal.member_2":
        return membership(args[0], args[1])
    family = _FAMILIES.get(name)
    found = family(args) if family is not None else None
    if found is None and name in CHEAP and are_operands(args):
        return [Option((equals(CallColumn(name, tuple(args)), TRUE),))]
    return found


def membership(item: Known | None, collection: Known | None) -> Options | None:
    """Return the options of `item in collection`."""
    if isinstance(collection, p.Const):
        return _among(item, members(collection.value))
    if isinstance(collection, Items):
        parts = [equality(item, member) for member in collection.items]
        return None if None in parts else [option for part in parts if part for option in part]
    if not isinstance(collection, COLUMNS):
        return None
    if isinstance(item, p.Const):
        return [Option((HasMember(collection, (item.value,)),))]
    if isinstance(item, COLUMNS):
        return [Option((equals(CallColumn("internal.member_2", (item, collection)), TRUE),))]
    return None


def _among(item: Known | None, values: tuple[Value, ...]) -> Options | None:
    if item is None or not values:
        return None if values else NEVER
    if isinstance(item, Member):
        return [Option((HasMember(item.column, values),), tested=item)]
    if isinstance(item, Items):
        parts = [_equals_constant(item, value) for value in values[: MAX_OPTIONS + 1]]
        return None if None in parts or len(parts) > MAX_OPTIONS else [option for part in parts if part for option in part]
    return [Option((equals(item, *values),))] if isinstance(item, COLUMNS) else None


def members(collection: Value) -> tuple[Value, ...]:
    """Return the values among which `in` looks; none for a scalar."""
    if isinstance(collection, Object):
        return tuple(collection[key] for key in collection.ordered())
    if isinstance(collection, Set):
        return collection.ordered()
    return collection if isinstance(collection, tuple) else ()


def _one(cell: Cell) -> Options:
    return [Option((cell,))]


def _sides(args: list[Known | None]) -> tuple[Column, Value, bool] | None:
    """Return the column and the constant of two operands, and whether the constant is on the left."""
    left, right = args
    if isinstance(left, COLUMNS) and isinstance(right, p.Const):
        return left, right.value, False
    if isinstance(right, COLUMNS) and isinstance(left, p.Const):
        return right, left.value, True
    return None


def _equal(args: list[Known | None]) -> Options | None:
    return equality(*args)


def _unequal(args: list[Known | None]) -> Options | None:
    sides = _sides(args)
    return None if sides is None else _one(OneOf(sides[0], (sides[1],), others=True, absent=False))


def _text_test(make: Callable[[Column, str], Cell]) -> Callable[[list[Known | None]], Options | None]:
    """Return the reader of a test of a string column against a constant string in second place."""

    def read(args: list[Known | None]) -> Options | None:
        column, constant = args
        if not isinstance(column, COLUMNS) or not isinstance(constant, p.Const):
            return None
        return _one(make(column, constant.value)) if isinstance(constant.value, str) else NEVER

    return read


def _any_test(make: Callable[[Column, tuple[str, ...]], Cell]) -> Callable[[list[Known | None]], Options | None]:
    """Return the reader of a test against one string or several."""

    def read(args: list[Known | None]) -> Options | None:
        column, constant = args
        if not isinstance(column, COLUMNS) or not isinstance(constant, p.Const):
            return None
        value = constant.value
        texts = (value,) if isinstance(value, str) else members(value) if isinstance(value, Set | tuple) else None
        strings = tuple(text for text in texts or () if isinstance(text, str))
        return _one(make(column, strings)) if strings and len(strings) == len(texts or ()) else NEVER

    return read


def _glob(args: list[Known | None]) -> Options | None:
    pattern, delimiters, column = args
    if not isinstance(column, COLUMNS) or not isinstance(pattern, p.Const) or not isinstance(delimiters, p.Const):
        return None
    if not isinstance(pattern.value, str) or not isinstance(delimiters.value, tuple | Null):
        return NEVER
    try:
        cut = glob.delimiters_of(delimiters.value)
    except BuiltinError:
        return NEVER
    return _one(Matches(column, pattern.value, cut)) if glob.is_valid(pattern.value, cut) else NEVER


def _regex(args: list[Known | None]) -> Options | None:
    pattern, column = args
    if not isinstance(column, COLUMNS) or not isinstance(pattern, p.Const):
        return None
    if not isinstance(pattern.value, str):
        return NEVER
    try:
        regex.Regex(pattern.value)
    except PatternError:
        return NEVER
    return _one(Matches(column, pattern.value, None))


def _network(args: list[Known | None]) -> Options | None:
    network, column = args
    if not isinstance(column, COLUMNS) or not isinstance(network, p.Const):
        return None
    if not isinstance(network.value, str):
        return NEVER
    try:
        net.parse_cidr(network.value)
    except net.NetworkError:
        return NEVER
    return _one(InNetwork(column, network.value))


def _comparison(name: str) -> Callable[[list[Known | None]], Options | None]:
    """Return the reader of an order test with a constant on either side."""
    is_greater, is_closed = name.startswith("g"), name.endswith("e")

    def read(args: list[Known | None]) -> Options | None:
        sides = _sides(args)
        if sides is None:
            return None
        column, bound, is_flipped = sides
        if is_greater is not is_flipped:
            return _one(Between(column, bound, None, (is_closed, False)))
        return _one(Between(column, None, bound, (False, is_closed)))

    return read


_FAMILIES: Final[dict[str, Callable[[list[Known | None]], Options | None]]] = {
    "equal": _equal,
    "neq": _unequal,
    "startswith": _text_test(lambda column, text: Prefix(column, (text,))),
    "endswith": _text_test(lambda column, text: Suffix(column, (text,))),
    "contains": _text_test(Contains),
    "strings.any_prefix_match": _any_test(lambda column, texts: Prefix(column, texts, many=True)),
    "strings.any_suffix_match": _any_test(lambda column, texts: Suffix(column, texts, many=True)),
    "glob.match": _glob,
    "regex.match": _regex,
    "re_match": _regex,
    "net.cidr_contains": _network,
    "gt": _comparison("gt"),
    "gte": _comparison("gte"),
    "lt": _comparison("lt"),
    "lte": _comparison("lte"),
}
