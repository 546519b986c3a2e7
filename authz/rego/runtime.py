"""What generated code may call: the contract between the compiler and its output.

`EXPORTED` is the whole list. Owns evaluation contexts, `with` scopes, document assembly
and conflict errors; knows nothing of syntax, plans or tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, cast

from authz.rego import errors
from authz.rego.errors import BuiltinError, EvalError
from authz.rego.nodes import Location
from authz.rego.numbers import as_index
from authz.rego.pending import HTTP_SEND, HttpRequest, Memory
from authz.rego.values import FALSE, TRUE, Boolean, Object, Set, Value

MISSING: Final[Any] = object()
"""A memo cell that was not computed yet; undefined is `None`."""

MAX_STEPS: Final = 1_000_000
"""Iterations and function calls of one decision, some tenths of a second: beyond, a policy has run away."""

MAX_QUERY_STEPS: Final = 100 * MAX_STEPS
"""The same for queries, which people and tests wait for, but no request does."""

_UNDEFINED_UNLESS_STRICT: Final = frozenset({errors.EVAL_BUILTIN, errors.EVAL_TYPE})
COLLECTIONS: Final = frozenset({tuple, Object, Set})
BOOL: Final[dict[bool | None, Boolean | None]] = {True: TRUE, False: FALSE, None: None}

Path = tuple[str, ...]


class Context:
    """One evaluation: its documents, its clock and what it has computed so far.

    A `with` makes a new context that shares only the clock, strictness, `once`, the output, the failures and the budget of steps.
    """

    __slots__ = ("_once", "budget", "data", "failures", "input", "memo", "mocks", "now_ns", "output", "overrides", "strict")

    def __init__(self, document: Value | None, data: Value, size: int, now_ns: int, strict: bool = False) -> None:
        self.input = document
        self.data = data
        self.memo: list[Any] = [MISSING] * size
        self.now_ns = now_ns
        self.strict = strict
        self.overrides: dict[Path, Value] | None = None
        self.mocks: dict[str, Any] | None = None
        self.budget = [MAX_STEPS]
        self.output: Callable[[str], None] | None = None
        self.failures: list[EvalError] | None = None
        self._once: dict[tuple[Value, ...], Value] | None = None

    def once(self, key: tuple[Value, ...], make: Callable[[], Value]) -> Value:
        """Return the value made first for `key` within this evaluation, `with` scopes included."""
        if self._once is None:
            self._once = {}
        if key not in self._once:
            self._once[key] = make()
        return self._once[key]

    def recall(self, memory: Memory | None) -> None:
        """Let the evaluation ask, and begin with what it was told before; without a memory it may not."""
        self._once = memory

    def answer_to(self, request: HttpRequest) -> Object:
        """Return the answer to a request. Raises Pending, or BuiltinError in an evaluation that may not ask."""
        memory = self._once
        if not isinstance(memory, Memory):
            raise BuiltinError(f"{HTTP_SEND}: not enabled")
        return memory.answer_to(request)

    def failed(self, error: BuiltinError, location: Location) -> None:
        """Make a built-in's failure undefined, or end the evaluation if it is strict. One that lists failures goes on.

        Other errors, such as conflicts, always end it.
        """
        if error.code not in _UNDEFINED_UNLESS_STRICT:
            raise EvalError(error.code, error.message, location) from error
        if self.failures is not None:
            self.failures.append(EvalError(error.code, error.message, location))
        elif self.strict:
            raise EvalError(error.code, error.message, location) from error

    def fork(self) -> Context:
        """Return a context for a `with` scope; nothing computed so far is carried over."""
        if self._once is None:
            self._once = {}
        inner = Context(self.input, self.data, len(self.memo), self.now_ns, self.strict)
        inner._once = self._once
        inner.budget = self.budget
        inner.output = self.output
        inner.failures = self.failures
        inner.overrides = self.overrides
        inner.mocks = self.mocks
        return inner


# Reading values


def get(base: Value | None, key: Value) -> Value | None:
    """Return `base[key]`, or None: arrays take integers, sets yield the member itself."""
    kind = base.__class__
    if kind is Object:
        return cast(Object, base).get(key)
    if kind is tuple:
        return _item(cast("tuple[Value, ...]", base), key)
    if kind is Set:
        return key if key in cast(Set, base) else None
    return None


def _item(items: tuple[Value, ...], key: Value) -> Value | None:
    if key.__class__ is int:
        return items[key] if 0 <= key < len(items) else None
    position = as_index(key) if isinstance(key, Decimal) else None
    return items[position] if position is not None and 0 <= position < len(items) else None


def get_data(base: Value | None, keys: Iterable[Value]) -> Value | None:
    """Return base data at a path; a number also finds the string key of the same text, as in OPA's store."""
    for key in keys:
        found = get(base, key)
        if found is None and key.__class__ is int and base.__class__ is Object:
            found = base.get(str(key))
        if found is None:
            return None
        base = found
    return base


def spend(c: Context, steps: int) -> None:
    """Charge steps to the evaluation's budget. Raises EvalError when it is used up.

    A loop is charged for its whole collection when it is entered, so its turns cost nothing extra.
    """
    budget = c.budget
    budget[0] -= steps
    if budget[0] < 0:
        raise EvalError(errors.EVAL_CANCEL, "evaluation takes too many steps")


def items(c: Context, collection: Value) -> Iterable[tuple[Value, Value]]:
    """Return the (key, value) pairs of a collection in Rego's order; none for a scalar."""
    kind = collection.__class__
    if kind is tuple:
        pairs = cast("tuple[Value, ...]", collection)
        spend(c, len(pairs))
        return enumerate(pairs)
    if kind is Object:
        obj = cast(Object, collection)
        spend(c, len(obj))
        return [(key, obj[key]) for key in obj.ordered()]
    if kind is Set:
        members = cast(Set, collection)
        spend(c, len(members))
        return [(member, member) for member in members.ordered()]
    return ()


def values_of(c: Context, collection: Value) -> Iterable[Value]:
    """Return the values of a collection in Rego's order of keys; none for a scalar."""
    kind = collection.__class__
    if kind is tuple:
        array = cast("tuple[Value, ...]", collection)
        spend(c, len(array))
        return array
    if kind is Object:
        obj = cast(Object, collection)
        spend(c, len(obj))
        return [obj[key] for key in obj.ordered()]
    if kind is Set:
        members = cast(Set, collection)
        spend(c, len(members))
        return members.ordered()
    return ()


def keys_of(c: Context, collection: Value) -> Iterable[Value]:
    """Return the keys of a collection in Rego's order; none for a scalar."""
    kind = collection.__class__
    if kind is tuple:
        size = len(cast("tuple[Value, ...]", collection))
        spend(c, size)
        return range(size)
    if kind is Object or kind is Set:
        members = cast("Object | Set", collection)
        spend(c, len(members))
        return members.ordered()
    return ()


# Building documents


def conflict(what: str, location: Location) -> EvalError:
    """Return the error for two values where there may be one; `what` is complete, function or object."""
    return EvalError(errors.EVAL_CONFLICT, _CONFLICTS[what], location)


_CONFLICTS: Final = {
    "complete": "complete rules must not produce multiple outputs",
    "function": "functions must not produce multiple outputs for same inputs",
    "object": "object keys must be unique",
}


def put(target: dict[Value, Value], key: Value, value: Value, location: Location) -> None:
    """Set a key of an object under construction; another value for it is a conflict."""
    if target.setdefault(key, value) != value:
        raise conflict("object", location)


class _Branch(dict[Value, Any]):
    """An object under construction by rules with several keys in their heads."""


def reserve(target: _Branch, keys: tuple[Value, ...], is_set: bool) -> None:
    """Make the empty object or set at a path that a head names in constants: it is there even where no rule holds."""
    for key in keys[:-1]:
        target = target.setdefault(key, _Branch())
    target.setdefault(keys[-1], set() if is_set else _Branch())


def plant(target: _Branch, keys: tuple[Value, ...], value: Value, is_member: bool, location: Location) -> None:
    """Set (or, for `contains`, add to the set at) a path of an object under construction."""
    for key in keys[:-1]:
        branch = target.setdefault(key, _Branch())
        if branch.__class__ is not _Branch:
            raise conflict("object", location)
        target = branch
    if is_member:
        members = target.setdefault(keys[-1], set())
        if members.__class__ is not set:
            raise conflict("object", location)
        members.add(value)
    elif target.setdefault(keys[-1], value) != value or target[keys[-1]].__class__ in (set, _Branch):
        raise conflict("object", location)


def grown(target: Any) -> Value:
    """Return the finished value of what `plant` has built."""
    if target.__class__ is _Branch:
        return Object((key, grown(item)) for key, item in target.items())
    return Set(target) if target.__class__ is set else target


@dataclass(slots=True)
class Place:
    """A place in the tree of virtual documents: its rule's function, or its children."""

    path: Path
    children: dict[str, Place]
    rule: Callable[[Context], Value | None] | None = None


def document(c: Context, place: Place) -> Value | None:
    """Return the document at a place: base data overlaid with what the rules there define."""
    if c.overrides is not None:
        found = overridden(c, place.path)
        if found is not MISSING:
            return found
    if place.rule is not None:
        return place.rule(c)
    base = get_data(c.data, place.path[1:])
    if base is not None and not place.children:
        return base
    result = dict(base) if base.__class__ is Object else {}
    for name, child in place.children.items():
        value = document(c, child)
        if value is not None:
            result[name] = _overlaid(value, result[name]) if name in result else value
    return Object(result)


def _overlaid(virtual: Value, base: Value) -> Value:
    """Return a whole document where rules and base data meet: objects merge, else base data shows.

    A reference that names the rule gets the rule; only the enclosing document is merged like this in OPA.
    """
    if virtual.__class__ is not Object or base.__class__ is not Object:
        return base
    result = dict(virtual)
    for key, value in base.items():
        result[key] = _overlaid(result[key], value) if key in result else value
    return Object(result)


# with


def scope(c: Context, modifiers: tuple[tuple[str, Any, Any], ...]) -> Context:
    """Return a context in which the modifiers hold; later ones override earlier ones."""
    inner = c.fork()
    for root, path, value in modifiers:
        if root == "input":
            inner.input = patched(inner.input, path, value)
        elif root == "data":
            inner.overrides = {**_outside(inner.overrides, path), path: value}
            inner.data = patched(inner.data, path[1:], value)
        else:
            inner.mocks = {**(inner.mocks or {}), path: (root, value)}
    return inner


def _outside(overrides: dict[Path, Value] | None, path: Path) -> dict[Path, Value]:
    """Return the overrides that a new one at `path` does not replace."""
    return {known: value for known, value in (overrides or {}).items() if known[: len(path)] != path}


def patched(base: Value | None, path: tuple[Value, ...], value: Value) -> Value:
    """Return `base` with the value at a path; what stands in the way of the path is replaced by objects."""
    if not path:
        return value
    result = Object(base) if base.__class__ is Object else Object()
    result[path[0]] = patched(result.get(path[0]), path[1:], value)
    return result


def overridden(c: Context, path: Path) -> Value | None:
    """Return what a `with` puts at a path of `data` (MISSING if none does)."""
    if c.overrides is not None:
        for size in range(len(path), 0, -1):
            if path[:size] in c.overrides:
                value: Value | None = c.overrides[path[:size]]
                for key in path[size:]:
                    value = get(value, key)
                return value
    return cast("Value | None", MISSING)


def replaced(c: Context, name: str, function: Callable[..., Value | None], args: tuple[Value, ...]) -> Value | None:
    """Call a function that some `with` may replace; inside a replacement no replacement holds."""
    mock = c.mocks.get(name) if c.mocks is not None else None
    if mock is None:
        return function(c, *args)
    kind, replacement = mock
    if kind == "value":
        return cast(Value, replacement)
    inner = c.fork()
    inner.mocks = None
    return cast("Value | None", replacement(inner) if kind == "rule" else replacement(inner, *args))


def lifted(function: Callable[..., Any], needs_context: bool, location: Location) -> Callable[..., Value | None]:
    """Return a built-in as a function of a context and values, its errors handled."""

    def call(c: Context, *args: Value) -> Value | None:
        try:
            result = function(c, *args) if needs_context else function(*args)
        except BuiltinError as error:
            c.failed(error, location)
            return None
        return BOOL[result] if result.__class__ is bool else result

    return call


EXPORTED: Final[dict[str, Any]] = {
    "BOOL": BOOL, "BuiltinError": BuiltinError, "Branch": _Branch, "COLLECTIONS": COLLECTIONS, "FALSE": FALSE, "MISSING": MISSING,
    "ONCE": (None,), "Object": Object, "Set": Set, "TRUE": TRUE, "conflict": conflict, "document": document, "get": get,
    "get_data": get_data, "grown": grown, "items": items, "key_text": str, "keys_of": keys_of, "overridden": overridden, "plant": plant,
    "put": put, "reserve": reserve, "replaced": replaced, "scope": scope, "spend": spend, "values_of": values_of,
    "dict": dict, "int": int, "len": len, "list": list, "set": set, "sorted": sorted, "str": str, "tuple": tuple, "__builtins__": {},
}  # fmt: skip
