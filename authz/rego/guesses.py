"""What an author probably meant where the grammar ended: help lines for parse errors.

Owns the typical mistakes, as patterns of the tokens around the place. Parses nothing and knows no names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from authz.rego.rule_checks import missing_import_help
from authz.rego.tokens import FUTURE_KEYWORDS, KEYWORD_KINDS, LOGICAL_KEYWORDS, NEWLINE, NO_GAP, V1_KEYWORDS, Kind, Token

CLOSERS: Final = {Kind.LPAREN: Kind.RPAREN, Kind.LBRACK: Kind.RBRACK, Kind.LBRACE: Kind.RBRACE, Kind.TEMPLATE_PART: Kind.RBRACE}
CLOSING: Final = frozenset(CLOSERS.values())

_NEEDS_OPERAND: Final = frozenset(
    (Kind.ASSIGN, Kind.UNIFY, Kind.EQUAL, Kind.NEQ, Kind.LT, Kind.LTE, Kind.GT, Kind.GTE, Kind.PLUS, Kind.MINUS, Kind.MUL, Kind.DIV,
     Kind.REM, Kind.AND, Kind.OR, Kind.LOGICAL_AND, Kind.LOGICAL_OR, Kind.IN)
)  # fmt: skip
_ITEMS: Final = frozenset(
    (
        Kind.IDENT,
        Kind.NUMBER,
        Kind.STRING,
        Kind.TEMPLATE_PART,
        Kind.TEMPLATE_END,
        Kind.NULL,
        Kind.TRUE,
        Kind.FALSE,
        Kind.LBRACK,
        Kind.LBRACE,
    )
)
_STATEMENT_ENDS: Final = CLOSING | {Kind.EOF, Kind.SEMICOLON}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the grammar ended: at `tokens[index]`, with OPA's words for it."""

    tokens: Sequence[Token]
    index: int
    message: str

    @property
    def token(self) -> Token:
        return self.tokens[self.index]

    def before(self, count: int = 1) -> Token | None:
        """Return the token so many places before this one, if there is one."""
        return self.tokens[self.index - count] if self.index >= count else None

    def after(self, count: int = 1) -> Token:
        """Return the token so many places after this one, or the last."""
        return self.tokens[min(self.index + count, len(self.tokens) - 1)]

    def follows(self, *kinds: Kind) -> bool:
        """Tell whether the token before this one is of one of the kinds."""
        previous = self.before()
        return previous is not None and previous.kind in kinds

    def opened(self) -> list[Token]:
        """Return the brackets that are open here, innermost last."""
        opened: list[Token] = []
        for token in self.tokens[: self.index]:
            if token.kind in CLOSERS:
                opened.append(token)
            elif token.kind in CLOSING and opened:
                opened.pop()
        return opened

    def innermost(self) -> Token | None:
        """Return the innermost bracket that is open here."""
        opened = self.opened()
        return opened[-1] if opened else None

    def row(self) -> Iterator[Token]:
        """Yield the tokens before this one on the same line, nearest first."""
        for index in range(self.index, 0, -1):
            if self.tokens[index].gap == NEWLINE:
                return
            yield self.tokens[index - 1]


def likely_mistake(place: Place) -> str | None:
    """Return the help for a mistake that can be told from the tokens; it is better than what the grammar can say."""
    return _first(_LIKELY, place)


def possible_mistake(place: Place) -> str | None:
    """Return the help for a place of which the grammar itself knows nothing to say."""
    return _first(_POSSIBLE, place)


def _first(guesses: Sequence[Callable[[Place], str | None]], place: Place) -> str | None:
    for guess in guesses:
        help = guess(place)
        if help is not None:
            return help
    return None


# Other languages


_BEFORE: Final = {
    "return": "nothing is returned: the value of a rule or function stands in its head, `f(x) := value if { … }`",
    "for": "there are no loops: `some x in xs` finds members, `every x in xs { … }` tests all",
    "foreach": "there are no loops: `some x in xs` finds members, `every x in xs { … }` tests all",
    "let": "a variable is declared by `x := value`",
    "var": "a variable is declared by `x := value`",
    "const": "a variable is declared by `x := value`",
}
_INSTEAD: Final = {
    "elif": "it is written `else if { … }`, with a value `else := 1 if { … }`",
    "elseif": "it is written `else if { … }`, with a value `else := 1 if { … }`",
    "then": "the value stands in front: `p := 1 if { … }`",
    "unless": "it is written `if not`",
    "is": "equality is `==`",
}
_TOGETHER: Final = {
    "//": "a comment begins with `#`",
    "/*": "a comment begins with `#`",
    "++": "there is no increment: `x + 1`",
    "**": "there is no power operator",
    "<>": "inequality is `!=`",
    "=<": "less or equal is `<=`",
    "=>": "greater or equal is `>=`",
    "===": "equality is `==`",
    "!==": "inequality is `!=`",
    "&&": "expressions of one body all hold; separate them by `;` or a new line",
    "||": "alternatives are rules of the same name; a value that is one of several is `x in {1, 2}`",
}


def _other_language(place: Place) -> str | None:
    token, previous, following = place.token, place.before(), place.after()
    if previous is not None and token.gap != NEWLINE and previous.kind is Kind.IDENT and previous.text in _BEFORE:
        return _BEFORE[previous.text]
    if token.kind is Kind.IDENT and token.text in _INSTEAD:
        return _INSTEAD[token.text]
    if previous is not None and token.gap == NO_GAP and previous.text + token.text in _TOGETHER:
        return _TOGETHER[previous.text + token.text]
    if following.gap == NO_GAP and token.text + following.text in ("//", "/*"):
        return _TOGETHER["//"]
    return None


# Keywords


def _missing_import(place: Place) -> str | None:
    """`and` and `or` without their import; in v0 other keywords, where one of them was taken for a name."""
    token, previous = place.token, place.before()
    if token.kind is Kind.IDENT and token.text in LOGICAL_KEYWORDS and previous is not None:
        return missing_import_help(token.text)
    if previous is not None and previous.kind is Kind.IDENT and previous.text in V1_KEYWORDS and token.gap != NEWLINE:
        return missing_import_help(previous.text)
    return None


def _negation(place: Place) -> str | None:
    if place.token.kind is Kind.IN and place.follows(Kind.NOT):
        return "`not` stands in front: `not x in xs`"
    if (
        place.token.kind is Kind.NOT
        and not _names(place)
        and place.follows(*_NEEDS_OPERAND, Kind.LPAREN, Kind.LBRACK, Kind.COMMA, Kind.COLON)
    ):
        return "`not` has no value: it negates an expression of a body"
    return None


def _keyword_as_name(place: Place) -> str | None:
    token, previous = place.token, place.before()
    if previous is not None and previous.kind in KEYWORD_KINDS and token.kind in (Kind.ASSIGN, Kind.UNIFY):
        token = previous
    elif token.kind not in KEYWORD_KINDS or not place.message.startswith(f"unexpected {token.text} keyword"):
        return None
    elif token.kind in (Kind.SOME, Kind.EVERY):
        return f"`{token.text}` begins an expression of a body"
    elif token.kind in (Kind.ELSE, Kind.IF, Kind.AS, Kind.WITH) and place.message.endswith("keyword") and not _names(place):
        return None
    return f'`{token.text}` is a keyword and cannot be a name; as a key it is written `x["{token.text}"]`'


def _names(place: Place) -> bool:
    """Tell whether a keyword stands where a name would: something follows that gives it a value or begins with it."""
    return place.after().kind in (Kind.ASSIGN, Kind.UNIFY, Kind.EQUAL, Kind.NEQ, Kind.RPAREN, Kind.COMMA, Kind.DOT)


# Rules


def _expression_as_rule(place: Place) -> str | None:
    """An expression at the level of rules: the body of a rule without its braces."""
    first = next(iter([*place.row()][::-1]), place.token)
    if place.opened() or not (first.text in ("input", "data") or first.kind in (Kind.NOT, Kind.SOME, Kind.EVERY)):
        return None
    return "an expression stands where a rule begins; several expressions of a body go in braces, `p if { … }`"


def _bare_rule(place: Place) -> str | None:
    name, following = place.token, place.after()
    if place.message != "var cannot be used for rule name" or following.gap == NEWLINE or following.kind is Kind.EOF:
        return None
    if following.kind is Kind.IDENT and following.text not in FUTURE_KEYWORDS:
        then = place.after(2).kind
        if then in (Kind.ASSIGN, Kind.UNIFY):
            return f"arguments of a function stand in parentheses: `{name.text}({following.text}) := …`"
        if then in (Kind.IF, Kind.LBRACE):
            return f"what a rule adds to a set follows `contains`: `{name.text} contains {following.text} if {{ … }}`"
    if following.text in FUTURE_KEYWORDS:
        return None
    return f"behind the name of a rule stands `if`, `contains` or `:=`: `{name.text} if …`"


def _missing_if(place: Place) -> str | None:
    if not place.message.startswith("`if` keyword is required"):
        return None
    if place.token.kind is Kind.ELSE:
        return "an `else` has a value or a condition: `else := 1`, `else if { … }`; `else { … }` is Rego v0, read with --v0-compatible"
    for token in place.tokens[place.index :]:
        if token.kind is Kind.CONTAINS:
            return "`if` is missing before the body: `p contains x if { … }`; a body without it is Rego v0, read with --v0-compatible"
        if token.kind is Kind.LBRACE:
            break
    return None


def _dash_in_name(place: Place) -> str | None:
    if place.token.kind is Kind.MINUS and place.token.gap == NO_GAP and not place.opened() and place.follows(Kind.IDENT):
        return "a name has letters, digits and `_`: the `-` here is minus"
    return None


def _value_taken_from_next_line(place: Place) -> str | None:
    previous, sign = place.before(), place.before(2)
    if previous is None or sign is None or place.token.kind not in (Kind.ASSIGN, Kind.UNIFY):
        return None
    if sign.kind is place.token.kind and previous.gap == NEWLINE:
        return f"the `{sign.text}` at {sign.row}:{sign.col} has no value on its line, and takes `{previous.text}`"
    return None


def _operand_missing(place: Place) -> str | None:
    previous = place.before()
    if previous is None or not place.follows(*_NEEDS_OPERAND):
        return None
    return f"something is missing behind `{previous.text}`" if place.token.kind in _STATEMENT_ENDS else None


_MESSAGES: Final = (
    ("to be a variable", "`every` names keys and values: `every k, v in xs { … }`"),
    ("cannot be aliased", "leave the `as …` out"),
    ("must be one of [", "`import future.keywords` brings all of them"),
    ("must be `rego.v1`", "it is written `import rego.v1`"),
    ("unexpected negation ('not') in", "`not` has no value; make a rule of the expression"),
    ("can only be used with multi-value", "a function has one value, which may be a set: `f(x) := {y | … }`"),
    ("missing body", "it is written `every x in xs { … }`"),
    ("expected as keyword", "it is written `with input.x as value`"),
    ("else keyword cannot be used on multi-value", "the rules of one set add up: write another `contains` rule"),
    ("else keyword cannot be used on rules with var", "make a rule or function of the part that has alternatives"),
    ("illegal default rule (value", "the default is a constant: what is computed goes into a rule, `p := …`"),
    ("illegal default rule (must", "it is written `default p := false`"),
    ("unexpected else keyword", "`else` follows the body of a rule"),
    ("empty module", "a module begins with `package` and a name"),
    ("empty parenthesized group", "parentheses hold an expression"),
    ("cannot be used for rule name", "a rule begins with its name; what it tests stands in its body, `p if { … }`"),
)


def _by_message(place: Place) -> str | None:
    if place.message == "unexpected if keyword" and any(token.kind is Kind.DEFAULT for token in place.row()):
        return "a default rule has no body: `default p := 1`"
    if "cannot be used for rule name" in place.message and place.token.gap != NEWLINE and place.index > 0:
        return "the rule ends here; the next one begins on a new line"
    return next((help for part, help in _MESSAGES if part in place.message), None)


def _member_with_value(place: Place) -> str | None:
    is_set = any(token.kind is Kind.CONTAINS for token in place.row()) and not place.opened()
    if is_set and place.token.kind in (Kind.ASSIGN, Kind.UNIFY):
        return "the members of a set have no values; a key with a value is `p[x] := 1`"
    return None


# Collections and iterations


def _missing_comma(place: Place) -> str | None:
    if 'expected "," or' in place.message and place.token.kind in _ITEMS:
        return "a `,` is missing in front"
    return None


def _missing_key(place: Place) -> str | None:
    return "a key is missing: `p[x]`" if place.token.kind is Kind.RBRACK and place.follows(Kind.LBRACK) else None


def _collection(place: Place) -> str | None:
    token, innermost = place.token, place.innermost()
    if innermost is None:
        return None
    if innermost.kind is Kind.LBRACK and token.kind is Kind.COLON:
        return "a part of an array is `array.slice(xs, start, stop)`"
    if innermost.kind is not Kind.LBRACE:
        return None
    if 'expected ":"' in place.message:
        return 'every key of an object has a value: `{"a": 1}`'
    if "non-terminated set" in place.message:
        if token.kind is Kind.SEMICOLON:
            if place.tokens[max(place.tokens.index(innermost) - 1, 0)].kind is Kind.NOT:
                return missing_import_help("not")
            return "these braces hold a set, whose members are separated by `,`; no body can stand here"
        if place.follows(Kind.STRING):
            return 'a key and its value are joined by `:`: `{"a": 1}`'
    return None


def _iteration(place: Place) -> str | None:
    """`some` that goes on with something other than `in`."""
    token = place.token
    for earlier in place.row():
        if earlier.kind is Kind.SOME:
            if token.kind in (Kind.ASSIGN, Kind.UNIFY):
                return "`x := value` declares by itself; `some` is for `some x in xs`"
            return "it is written `some x in xs`" if token.text != "in" and "expected" in place.message else None
        if earlier.kind not in (Kind.IDENT, Kind.COMMA):
            return None
    return None


_LIKELY: Final = (
    _other_language, _missing_import, _negation, _missing_if, _expression_as_rule, _bare_rule, _dash_in_name, _value_taken_from_next_line,
    _member_with_value, _iteration, _collection,
)  # fmt: skip
_POSSIBLE: Final = (_by_message, _missing_comma, _missing_key, _operand_missing, _keyword_as_name)
