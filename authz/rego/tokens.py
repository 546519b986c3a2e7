"""The tokens of Rego: their kinds, which words are keywords, and how a token prints.

Knows no source text beyond a token's own and nothing of the grammar.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, TypeAlias, Union

from authz.rego.values import Number


class Kind(StrEnum):
    """What a token is. The text is OPA's word for it, as error messages show it."""

    EOF = "eof"
    IDENT = "identifier"
    NUMBER = "number"
    STRING = "string"
    TEMPLATE_PART = "template-string-part"  # text that ends at the `{` of an expression
    TEMPLATE_END = "template-string-end"  # text that ends at the closing quote

    PACKAGE = "package"
    IMPORT = "import"
    AS = "as"
    DEFAULT = "default"
    ELSE = "else"
    NOT = "not"
    SOME = "some"
    WITH = "with"
    NULL = "null"
    TRUE = "true"
    FALSE = "false"
    IF = "if"
    IN = "in"
    CONTAINS = "contains"
    EVERY = "every"
    LOGICAL_AND = "logical-and"
    LOGICAL_OR = "logical-or"

    LBRACK = "["
    RBRACK = "]"
    LBRACE = "{"
    RBRACE = "}"
    LPAREN = "("
    RPAREN = ")"
    COMMA = ","
    COLON = ":"
    SEMICOLON = ";"
    DOT = "."

    # The operators below are called by the name of the built-in that they stand for.
    ASSIGN = "assign"
    UNIFY = "eq"
    EQUAL = "equal"
    NEQ = "neq"
    LT = "lt"
    LTE = "lte"
    GT = "gt"
    GTE = "gte"
    PLUS = "plus"
    MINUS = "minus"
    MUL = "mul"
    DIV = "div"
    REM = "rem"
    AND = "and"
    OR = "or"


# Keywords of every version of Rego.
HARD_KEYWORDS: Final[dict[str, Kind]] = {
    kind.value: kind
    for kind in (
        Kind.PACKAGE, Kind.IMPORT, Kind.AS, Kind.DEFAULT, Kind.ELSE, Kind.NOT, Kind.SOME, Kind.WITH, Kind.NULL, Kind.TRUE, Kind.FALSE,
    )
}  # fmt: skip

# Keywords of Rego v1; in v0 names until `import future.keywords` says otherwise.
V1_KEYWORDS: Final[dict[str, Kind]] = {kind.value: kind for kind in (Kind.CONTAINS, Kind.EVERY, Kind.IF, Kind.IN)}

# Names in every version until `import future.keywords` says otherwise.
LOGICAL_KEYWORDS: Final[dict[str, Kind]] = {"and": Kind.LOGICAL_AND, "or": Kind.LOGICAL_OR}

# What `import future.keywords` brings. `not` is a keyword anyway; imported it means more.
FUTURE_KEYWORDS: Final[dict[str, Kind]] = V1_KEYWORDS | LOGICAL_KEYWORDS | {"not": Kind.NOT}

KEYWORDS: Final[dict[str, Kind]] = HARD_KEYWORDS | V1_KEYWORDS
LOGICAL_KINDS: Final = frozenset(LOGICAL_KEYWORDS.values())
KEYWORD_KINDS: Final = LOGICAL_KINDS | frozenset(KEYWORDS.values())

SYMBOLS: Final[dict[str, Kind]] = {
    "[": Kind.LBRACK, "]": Kind.RBRACK, "{": Kind.LBRACE, "}": Kind.RBRACE, "(": Kind.LPAREN, ")": Kind.RPAREN,
    ",": Kind.COMMA, ":": Kind.COLON, ";": Kind.SEMICOLON, ".": Kind.DOT,
    ":=": Kind.ASSIGN, "=": Kind.UNIFY, "==": Kind.EQUAL, "!=": Kind.NEQ, "<": Kind.LT, "<=": Kind.LTE, ">": Kind.GT, ">=": Kind.GTE,
    "+": Kind.PLUS, "-": Kind.MINUS, "*": Kind.MUL, "/": Kind.DIV, "%": Kind.REM, "&": Kind.AND, "|": Kind.OR,
}  # fmt: skip

# What stood between a token and the one before it.
NO_GAP: Final = 0
SPACE: Final = 1
NEWLINE: Final = 2

TokenValue: TypeAlias = Union[str, Number, None]


class Token:
    """One token. `value` is what a literal stands for; `gap` is NO_GAP, SPACE or NEWLINE."""

    __slots__ = ("col", "gap", "kind", "row", "text", "value")

    def __init__(  # noqa: PLR0913  # made once a token: a record in a record would double its cost
        self, kind: Kind, text: str, row: int, col: int, gap: int, value: TokenValue = None
    ) -> None:
        self.kind = kind
        self.text = text
        self.row = row
        self.col = col
        self.gap = gap
        self.value = value

    def __repr__(self) -> str:
        return f"Token({self})"

    def __str__(self) -> str:
        shown = f" {self.text}" if self.text and self.text != self.kind.value else ""
        return f"{self.row}:{self.col} {self.kind.value}{shown}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Token) and all(getattr(self, slot) == getattr(other, slot) for slot in self.__slots__)

    __hash__ = None  # type: ignore[assignment]  # the parser turns names into keywords in place


class Comment:
    """A comment: where it stands and its text without the `#`."""

    __slots__ = ("col", "row", "text")

    def __init__(self, row: int, col: int, text: str) -> None:
        self.row = row
        self.col = col
        self.text = text
