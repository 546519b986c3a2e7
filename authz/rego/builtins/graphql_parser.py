"""GraphQL queries to trees, and the parts that schemas share with them: values, types, directives.

A tree is what gqlparser's is as JSON: dicts with its field names, where nothing that is
empty is written. Each has its place under `Position`, which no result shows. Errors have
gqlparser's words. Knows no types: whether a query fits a schema is not its question.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, NoReturn

from authz.rego.builtins import graphql_lexer
from authz.rego.builtins.graphql_lexer import Kind, Place, Token, tokenize

Tree = dict[str, Any]

MAX_NESTING: Final = 50
"""Levels of selections, values or types: with them, a tree still fits into a document (`values.MAX_DEPTH`)."""

MAX_QUERY: Final = 3_000
"""Tokens of a query's text, or trees in its tree: the time that some rules take grows with the square."""

OPERATIONS: Final = ("query", "mutation", "subscription")

VARIABLE, INT, FLOAT, STRING, BLOCK, BOOLEAN, NULL, ENUM, LIST, OBJECT = range(10)
"""gqlparser's kinds of values, by number."""

_VALUE_KINDS: Final = {Kind.INT: INT, Kind.FLOAT: FLOAT, Kind.STRING: STRING, Kind.BLOCK_STRING: BLOCK}


class SyntaxFailure(ValueError):  # noqa: N818 - what OPA calls an error is made of it
    """The text is no GraphQL: why, and where."""

    def __init__(self, message: str, place: Place) -> None:
        super().__init__(message)
        self.message = message
        self.place = place


def tree(place: Place, **fields: Any) -> Tree:
    """Return a tree without the fields that are None or an empty list."""
    made: Tree = {name: value for name, value in fields.items() if value is not None and value != []}
    made["Position"] = place
    return made


def comment(texts: tuple[str, ...]) -> Tree | None:
    """Return a group of comments, or None without any."""
    return {"List": [{"Value": text} for text in texts]} if texts else None


class Parser:
    """A position in the tokens of one text, with what every grammar needs."""

    MAX_TOKENS = graphql_lexer.MAX_TOKENS

    def __init__(self, text: str) -> None:
        self.tokens = tokenize(text, self.MAX_TOKENS)
        self.index = 0
        self.depth = 0
        self.end_comment: Tree | None = None

    @property
    def token(self) -> Token:
        """The token that comes next."""
        return self.tokens[self.index]

    def next(self) -> Token:
        """Take the next token; the last one stays."""
        token = self.tokens[self.index]
        if self.index + 1 < len(self.tokens):
            self.index += 1
        return token

    def fail(self, message: str, token: Token | None = None) -> NoReturn:
        raise SyntaxFailure(message, (token or self.token).place)

    def unexpected(self, token: Token | None = None) -> NoReturn:
        """Refuse a token, the next one if none is given."""
        self.fail(f"Unexpected {described(token or self.token)}", token)

    def skip(self, kind: Kind) -> bool:
        """Take the next token if it is of a kind."""
        if self.token.kind is not kind:
            return False
        self.next()
        return True

    def expect(self, kind: Kind) -> Token:
        """Take the next token, which has to be of a kind."""
        if self.token.kind is not kind:
            self.fail(f"Expected {kind}, found {self.token.kind}")
        return self.next()

    def keyword(self, word: str) -> Token:
        """Take the next token, which has to be a certain name."""
        if self.token.kind is not Kind.NAME or self.token.value != word:
            self.fail(f"Expected {_quoted(word)}, found {described(self.token)}")
        return self.next()

    def name(self) -> str:
        return self.expect(Kind.NAME).value

    def some(self, start: Kind, end: Kind, parse: Callable[[], Tree]) -> list[Tree]:
        """Return what stands between two brackets, at least one thing; nothing where the first bracket does not come."""
        if not self.skip(start):
            return []
        if self.token.kind is end:
            self.fail(f"expected at least one definition, found {end}")
        return self._until(end, parse)

    def many(self, start: Kind, end: Kind, parse: Callable[[], Tree]) -> list[Tree]:
        """Return what stands between two brackets, possibly nothing."""
        self.expect(start)
        return self._until(end, parse)

    def _until(self, end: Kind, parse: Callable[[], Tree]) -> list[Tree]:
        self.depth += 1
        if self.depth > MAX_NESTING:
            self.fail(f"document is nested deeper than {MAX_NESTING} levels")
        found = []
        while self.token.kind is not end:
            found.append(parse())
        self.end_comment = comment(self.next().comments)
        self.depth -= 1
        return found

    # Values, types and directives

    def value(self, is_const: bool) -> Tree:
        """Read a value; a constant one holds no variables."""
        token = self.token
        children = None
        raw = ""
        match token.kind:
            case Kind.BRACKET_L:
                kind, children = LIST, self.many(Kind.BRACKET_L, Kind.BRACKET_R, lambda: self._element(is_const))
            case Kind.BRACE_L:
                kind, children = OBJECT, self.many(Kind.BRACE_L, Kind.BRACE_R, lambda: self._member(is_const))
            case Kind.DOLLAR if not is_const:
                kind, raw = VARIABLE, self.variable()
            case Kind.INT | Kind.FLOAT | Kind.STRING | Kind.BLOCK_STRING:
                kind, raw = _VALUE_KINDS[token.kind], self.next().value
            case Kind.NAME:
                raw = self.next().value
                kind = BOOLEAN if raw in {"true", "false"} else NULL if raw == "null" else ENUM
            case _:
                self.unexpected()
        note = comment(token.comments) if kind in {LIST, OBJECT} else None
        return tree(token.place, Kind=kind, Raw=raw, Children=children, Comment=note, ExpectedTypeHasDefault=False)

    def _element(self, is_const: bool) -> Tree:
        place = self.token.place
        return tree(place, Name="", Value=self.value(is_const))

    def _member(self, is_const: bool) -> Tree:
        token = self.token
        name = self.name()
        self.expect(Kind.COLON)
        return tree(token.place, Name=name, Value=self.value(is_const), Comment=comment(token.comments))

    def variable(self) -> str:
        self.expect(Kind.DOLLAR)
        return self.name()

    def arguments(self, is_const: bool) -> list[Tree]:
        return self.some(Kind.PAREN_L, Kind.PAREN_R, lambda: self._argument(is_const))

    def _argument(self, is_const: bool) -> Tree:
        token = self.token
        name = self.name()
        self.expect(Kind.COLON)
        return tree(token.place, Name=name, Value=self.value(is_const), Comment=comment(token.comments))

    def directives(self, is_const: bool) -> list[Tree]:
        found = []
        while self.skip(Kind.AT):
            place = self.token.place
            found.append(tree(place, Name=self.name(), Arguments=self.arguments(is_const), Location=""))
        return found

    def type_reference(self) -> Tree:
        """Read a type: a name, or a list of a type, each perhaps with `!`."""
        if self.token.kind is Kind.BRACKET_L:
            inner = self._list_type()
            fields: Tree = {"NamedType": "", "Elem": inner}
            place = inner["Position"]
        else:
            place = self.token.place
            fields = {"NamedType": self.name()}
        return tree(place, NonNull=self.skip(Kind.BANG), **fields)

    def _list_type(self) -> Tree:
        self.expect(Kind.BRACKET_L)
        self.depth += 1
        if self.depth > MAX_NESTING:
            self.fail(f"document is nested deeper than {MAX_NESTING} levels")
        inner = self.type_reference()
        self.depth -= 1
        self.expect(Kind.BRACKET_R)
        return inner


def described(token: Token) -> str:
    """Return how a message names a token."""
    return f"{token.kind} {_quoted(token.value)}" if token.value else token.kind


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


class QueryParser(Parser):
    """The grammar of executable documents."""

    MAX_TOKENS = MAX_QUERY

    def document(self) -> Tree:
        """Read a document of operations and fragments."""
        operations: list[Tree] = []
        fragments: list[Tree] = []
        place = self.token.place
        while self.token.kind is not Kind.EOF:
            token = self.token
            if token.kind is Kind.BRACE_L or (token.kind is Kind.NAME and token.value in OPERATIONS):
                operations.append(self._operation())
            elif token.kind is Kind.NAME and token.value == "fragment":
                fragments.append(self._fragment_definition())
            else:
                self.unexpected()
        return tree(place, Operations=operations, Fragments=fragments)

    def _operation(self) -> Tree:
        token = self.token
        if token.kind is Kind.BRACE_L:
            return tree(token.place, Operation="query", Name="", SelectionSet=self._selections())
        self.next()
        return tree(
            token.place,
            Operation=token.value,
            Name=self.name() if self.token.kind is Kind.NAME else "",
            VariableDefinitions=self._variables(),
            Directives=self.directives(False),
            SelectionSet=self._selections(),
            Comment=comment(token.comments),
        )

    def _variables(self) -> list[Tree]:
        return self.some(Kind.PAREN_L, Kind.PAREN_R, self._variable_definition)

    def _variable_definition(self) -> Tree:
        token = self.token
        name = self.variable()
        self.expect(Kind.COLON)
        return tree(
            token.place,
            Variable=name,
            Type=self.type_reference(),
            DefaultValue=self.value(True) if self.skip(Kind.EQUALS) else None,
            Directives=self.directives(False),
            Used=False,
            Comment=comment(token.comments),
        )

    def _selections(self) -> list[Tree]:
        if self.token.kind is not Kind.BRACE_L:
            self.fail(f"Expected {Kind.BRACE_L}, found {self.token.kind}")
        return self.some(Kind.BRACE_L, Kind.BRACE_R, self._selection)

    def _selection(self) -> Tree:
        token = self.token
        if token.kind is Kind.SPREAD:
            return self._fragment()
        alias = self.name()
        return tree(
            token.place,
            Alias=alias,
            Name=self.name() if self.skip(Kind.COLON) else alias,
            Arguments=self.arguments(False),
            Directives=self.directives(False),
            SelectionSet=self._selections() if self.token.kind is Kind.BRACE_L else None,
            Comment=comment(token.comments),
        )

    def _fragment(self) -> Tree:
        note = comment(self.next().comments)
        token = self.token
        if token.kind is Kind.NAME and token.value != "on":
            return tree(token.place, Name=self.name(), Directives=self.directives(False), Comment=note)
        condition = ""
        if token.value == "on":
            self.next()
            condition = self.name()
        return tree(
            token.place,
            TypeCondition=condition,
            Directives=self.directives(False),
            SelectionSet=self._selections(),
            Comment=note,
        )

    def _fragment_definition(self) -> Tree:
        token = self.keyword("fragment")
        if self.token.value == "on":
            self.unexpected()
        name = self.name()
        variables = self._variables()
        self.keyword("on")
        return tree(
            token.place,
            Name=name,
            VariableDefinition=variables,
            TypeCondition=self.name(),
            Directives=self.directives(False),
            SelectionSet=self._selections(),
            Comment=comment(token.comments),
        )
