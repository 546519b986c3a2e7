"""The plan: what a rule does, step by step, with every variable's binding decided.

Plain values, printed by `authz compile --emit plan`. A block is a list of steps of which
each may fail (the block then has no further solution on that path) and a `Loop` opens an
iteration that the rest of the block runs in. `ctx` names the evaluation context in
which an expression reads `input`, `data` and rules: `c`, or a `with` scope's name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias, Union

from authz.rego.nodes import NOWHERE, Location
from authz.rego.program import Kind, Path
from authz.rego.values import Value

# Expressions. Each yields a value or is undefined; none iterates.


@dataclass(frozen=True, slots=True)
class Const:
    value: Value


@dataclass(frozen=True, slots=True)
class Local:
    name: str


Atom: TypeAlias = Union[Const, Local]


@dataclass(frozen=True, slots=True)
class Input:
    """`input` at a path."""

    ctx: str
    path: tuple[Atom, ...]


@dataclass(frozen=True, slots=True)
class BaseData:
    """Base data at a path below `data`; no rule stands at or above it."""

    ctx: str
    path: tuple[Atom, ...]


@dataclass(frozen=True, slots=True)
class RuleValue:
    """The document that a group of rules makes."""

    ctx: str
    path: Path


@dataclass(frozen=True, slots=True)
class Document:
    """The whole document at a place in the tree: rules and base data together."""

    ctx: str
    path: Path


@dataclass(frozen=True, slots=True)
class Lookup:
    """`base[key]`."""

    base: Atom
    key: Atom


@dataclass(frozen=True, slots=True)
class CallBuiltin:
    ctx: str
    name: str
    args: tuple[Atom, ...]
    location: Location = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class CallRule:
    ctx: str
    path: Path
    args: tuple[Atom, ...]
    location: Location = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class MakeArray:
    items: tuple[Atom, ...]


@dataclass(frozen=True, slots=True)
class MakeSet:
    items: tuple[Atom, ...]


@dataclass(frozen=True, slots=True)
class MakeObject:
    pairs: tuple[tuple[Atom, Atom], ...]


@dataclass(frozen=True, slots=True)
class Comprehension:
    """Collects `value` (under `key`) of every solution of `block`; kind is array, set or object."""

    ctx: str
    kind: str
    block: Block
    key: Atom | None
    value: Atom
    location: Location = field(default=NOWHERE, compare=False)


Expr: TypeAlias = Union[
    Const, Local, Input, BaseData, RuleValue, Document, Lookup, CallBuiltin, CallRule,
    MakeArray, MakeSet, MakeObject, Comprehension,
]  # fmt: skip

# Conditions.


@dataclass(frozen=True, slots=True)
class Truthy:
    """The value is defined and not false."""

    atom: Atom


@dataclass(frozen=True, slots=True)
class Equal:
    left: Atom
    right: Atom


@dataclass(frozen=True, slots=True)
class Holds:
    """A built-in that is declared boolean gives true."""

    call: CallBuiltin


@dataclass(frozen=True, slots=True)
class IsArray:
    atom: Atom
    size: int


@dataclass(frozen=True, slots=True)
class IsObject:
    atom: Atom
    size: int


@dataclass(frozen=True, slots=True)
class Never:
    """A condition that the compiler knows to fail."""


@dataclass(frozen=True, slots=True)
class NoSolution:
    """`not`: the block has no solution. A block of negations alone is `or`: one of what they deny has a solution."""

    block: Block

    @property
    def alternatives(self) -> tuple[Block, ...]:
        """The blocks one of which must have a solution; none if this is no `or`."""
        denied = [step.cond.block for step in self.block if isinstance(step, Check) and isinstance(step.cond, NoSolution)]
        return tuple(denied) if len(denied) == len(self.block) else ()


@dataclass(frozen=True, slots=True)
class Every:
    """The block has a solution for every (key, value) of the domain."""

    ctx: str
    domain: Atom
    key: str | None
    value: str
    block: Block


Cond: TypeAlias = Union[Truthy, Equal, Holds, IsArray, IsObject, Never, NoSolution, Every]

# Steps.


@dataclass(frozen=True, slots=True)
class Let:
    """Bind a local; fails if the expression is undefined."""

    name: str
    expr: Expr
    location: Location = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Check:
    cond: Cond
    location: Location = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Loop:
    """Run the rest of the block for every key and value of a collection (a set's members are both)."""

    collection: Atom
    key: str | None
    value: str | None
    location: Location = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class LoopRelation:
    """Run the rest of the block for every result of a relation (`walk`)."""

    call: CallBuiltin
    value: str
    location: Location = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Modifier:
    """One `with`: `root` is input, data or function; `path` what is replaced; `value` by what.

    `callable_path` names the function, built-in or (`is_rule`) rule that replaces a function, if it is not a value.
    """

    root: str
    path: Path
    value: Atom | None
    callable_path: Path | None = None
    is_rule: bool = False


@dataclass(frozen=True, slots=True)
class Scope:
    """Make a context named `name` from `base` with the modifiers."""

    name: str
    base: str
    modifiers: tuple[Modifier, ...]
    location: Location = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Bind:
    """Bind a local to the value at a place in what a table knows of the row (`e`): the row is one turn of an iteration."""

    name: str
    place: int
    location: Location = field(default=NOWHERE, compare=False)


Step: TypeAlias = Union[Let, Check, Loop, LoopRelation, Scope, Bind]
Block: TypeAlias = tuple[Step, ...]

# Rules.


@dataclass(frozen=True, slots=True)
class Definition:
    """One body with its head: `keys` below the group's path, `key` of a set, `value`; `orelse` follows if it has no solution."""

    block: Block
    keys: tuple[Atom, ...]
    key: Atom | None
    value: Atom
    params: tuple[str, ...]
    location: Location = field(default=NOWHERE, compare=False)
    orelse: Definition | None = None

    @property
    def heads(self) -> tuple[Atom, ...]:
        """Every atom of the head: the keys, the member of a set, the value."""
        return (*self.keys, self.value) if self.key is None else (*self.keys, self.key, self.value)

    def chain(self) -> Iterator[Definition]:
        """Yield this definition and those of its `else` branches, in order."""
        item: Definition | None = self
        while item is not None:
            yield item
            item = item.orelse


@dataclass(frozen=True, slots=True)
class RulePlan:
    """A group of rules, planned.

    `default` is a definition that cannot fail for want of input; `places` are the paths in the document of
    objects (or, if True, sets) that are there even without a solution.
    """

    path: Path
    kind: Kind
    number: int
    definitions: tuple[Definition, ...]
    default: Definition | None
    arity: int
    location: Location = field(default=NOWHERE, compare=False)
    places: tuple[tuple[tuple[Value, ...], bool], ...] = ()
