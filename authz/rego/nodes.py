"""The syntax tree of Rego modules, as the parser makes it.

Plain frozen values with spans; names are as written (imports, locals and rules
are resolved later). Knows no tokens, no scoping and no evaluation.

Forms: infix operators are `Call`s of the built-in they stand for (`+` is `plus`,
`==` is `equal`, `|` is `or`, `x in xs` is `internal.member_2`, `k, v in xs` is
`internal.member_3`); `_` becomes a fresh `Var` named `$0`, `$1`, … within a module;
`.name` and `["name"]` are the same `Scalar` argument of a `Ref`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias, Union

from authz.rego import values


@dataclass(frozen=True, slots=True)
class Location:
    """Where a construct stands: 1-based row and column (in code points), length of its first line's part."""

    file: str
    row: int
    col: int
    length: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.row}:{self.col}"


NOWHERE = Location("", 0, 0)


@dataclass(frozen=True, slots=True)
class Scalar:
    value: values.Scalar
    location: Location = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Var:
    name: str
    location: Location = field(default=NOWHERE, compare=False)

    @property
    def is_wildcard(self) -> bool:
        return self.name.startswith("$")


@dataclass(frozen=True, slots=True)
class Ref:
    """`head[args[0]][args[1]]…`; the head is a variable, or a call or composite that is looked into."""

    head: Term
    args: tuple[Term, ...]
    location: Location = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """`operator(args…)`; the operator is a dotted name as written, e.g. `("io", "jwt", "decode")`."""

    operator: tuple[str, ...]
    args: tuple[Term, ...]
    location: Location = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Array:
    items: tuple[Term, ...]
    location: Location = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class ObjectTerm:
    pairs: tuple[tuple[Term, Term], ...]
    location: Location = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class SetTerm:
    items: tuple[Term, ...]
    location: Location = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class ArrayComprehension:
    term: Term
    body: Body
    location: Location = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class SetComprehension:
    term: Term
    body: Body
    location: Location = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class ObjectComprehension:
    key: Term
    value: Term
    body: Body
    location: Location = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class TemplateString:
    """`$"…{term}…"`: text parts as `str`, expressions as terms, in order."""

    parts: tuple[str | Term, ...]
    location: Location = field(default=NOWHERE, compare=False)


Term: TypeAlias = Union[
    Scalar, Var, Ref, Call, Array, ObjectTerm, SetTerm,
    ArrayComprehension, SetComprehension, ObjectComprehension, TemplateString,
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class TermExpr:
    """A term that must hold: `input.x`, `f(y)`, `x > 1`, `"a" in xs`."""

    term: Term


@dataclass(frozen=True, slots=True)
class Unify:
    """`left = right`."""

    left: Term
    right: Term


@dataclass(frozen=True, slots=True)
class Assign:
    """`left := right`; `left` is a variable or a pattern of variables."""

    left: Term
    right: Term


@dataclass(frozen=True, slots=True)
class SomeDecl:
    """`some x, y`."""

    names: tuple[Var, ...]


@dataclass(frozen=True, slots=True)
class SomeIn:
    """`some value in domain` or `some key, value in domain`; both may be patterns."""

    key: Term | None
    value: Term
    domain: Term


@dataclass(frozen=True, slots=True)
class Every:
    """`every value in domain { body }` or `every key, value in domain { body }`."""

    key: Var | None
    value: Var
    domain: Term
    body: Body


@dataclass(frozen=True, slots=True)
class Operand:
    """What `and`, `or` and `not` apply to: one expression or, if it is explicit, a body in braces with variables of its own."""

    body: Body
    is_explicit: bool = False


@dataclass(frozen=True, slots=True)
class Not:
    """`not x` or `not { body }` where `future.keywords.not` is imported; else `not` is a property of its `Literal`."""

    operand: Operand


@dataclass(frozen=True, slots=True)
class Logical:
    """`a or b or c`, `a and b`: operands joined by one operator, which is `and` or `or`. Has no value and binds nothing."""

    operator: str
    operands: tuple[Operand, ...]


Expr: TypeAlias = Union[TermExpr, Unify, Assign, SomeDecl, SomeIn, Every, Not, Logical]


@dataclass(frozen=True, slots=True)
class With:
    """`with target as value`; the target is a `Ref` or `Var` as written (`input.x`, `data.y`, `f`, `time.now_ns`)."""

    target: Term
    value: Term
    location: Location = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Literal:
    """One expression of a body, possibly negated, with its `with` modifiers."""

    expr: Expr
    negated: bool = False
    withs: tuple[With, ...] = ()
    location: Location = field(default=NOWHERE, compare=False)


Body: TypeAlias = tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a rule.

    | source                        | ref    | args  | key  | value  |
    |-------------------------------|--------|-------|------|--------|
    | `p`, `p := v`, `p = v`        | p      | None  | None | true/v |
    | `p.a[x] := v` (v1)            | p.a[x] | None  | None | v      |
    | `p contains k`, v0 `p[k] {…}` | p      | None  | k    | None   |
    | `p[k] = v` (v0, v1)           | p[k]   | None  | None | v      |
    | `f(a, b) := v`                | f      | (a,b) | None | v      |
    """

    ref: Ref
    args: tuple[Term, ...] | None
    key: Term | None
    value: Term | None
    location: Location = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; `body` is empty for a rule without one, `orelse` is its `else` chain."""

    head: Head
    body: Body
    orelse: Rule | None = None
    is_default: bool = False
    location: Location = field(default=NOWHERE, compare=False)
    annotations: tuple[Annotation, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Import:
    """`import path as alias`; path[0] is `input`, `data`, `future` or `rego`."""

    path: tuple[str, ...]
    alias: str | None
    location: Location = field(default=NOWHERE, compare=False)

    @property
    def name(self) -> str:
        """The name that the import brings into scope."""
        return self.alias or self.path[-1]


@dataclass(frozen=True, slots=True)
class Annotation:
    """A METADATA block: its parsed YAML, as JSON, and where it stands."""

    scope: str
    document: values.Document
    location: Location


@dataclass(frozen=True, slots=True)
class Module:
    """One parsed file. `package` is the path below `data`; `rego_version` is 0 or 1 after `import rego.v1` is honoured."""

    file: str
    package: tuple[str, ...]
    imports: tuple[Import, ...]
    rules: tuple[Rule, ...]
    rego_version: int
    annotations: tuple[Annotation, ...] = ()
    package_location: Location = NOWHERE
