"""GraphQL schemas to trees: the grammar of type system documents.

Trees and errors are as in `graphql_parser`. Whether a schema means anything is not its question.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from authz.rego.builtins.graphql_lexer import Kind, Token
from authz.rego.builtins.graphql_parser import OPERATIONS, Parser, Tree, comment, tree

KINDS: Final = {
    "scalar": "SCALAR", "type": "OBJECT", "interface": "INTERFACE", "union": "UNION", "enum": "ENUM", "input": "INPUT_OBJECT",
}  # fmt: skip

_LOCATIONS: Final = frozenset(
    {
        "QUERY", "MUTATION", "SUBSCRIPTION", "FIELD", "FRAGMENT_DEFINITION", "FRAGMENT_SPREAD", "INLINE_FRAGMENT",
        "VARIABLE_DEFINITION", "SCHEMA", "SCALAR", "OBJECT", "FIELD_DEFINITION", "ARGUMENT_DEFINITION", "INTERFACE",
        "UNION", "ENUM", "ENUM_VALUE", "INPUT_OBJECT", "INPUT_FIELD_DEFINITION",
    }
)  # fmt: skip

_CONTENTS: Final = ("Interfaces", "Directives", "Fields", "Types", "EnumValues", "OperationTypes")


class SchemaParser(Parser):
    """The grammar of schemas."""

    def document(self) -> Tree:
        """Read a document of definitions and extensions."""
        found: dict[str, list[Tree]] = {name: [] for name in ("Schema", "SchemaExtension", "Directives", "Definitions", "Extensions")}
        place = self.token.place
        while self.token.kind is not Kind.EOF:
            description = self._description()
            if self.token.kind is not Kind.NAME:
                self.unexpected()
            word = self.token.value
            if word == "extend":
                if description is not None and description.value:
                    self.unexpected(description)
                self._extension(found)
            elif word in KINDS:
                found["Definitions"].append(self._definition(self.next(), description))
            elif word == "schema":
                found["Schema"].append(self._schema(self.next(), description))
            elif word == "directive":
                found["Directives"].append(self._directive(description))
            else:
                self.unexpected()
        return tree(place, **found, Comment=comment(self.token.comments))

    def _description(self) -> Token | None:
        return self.next() if self.token.kind in {Kind.STRING, Kind.BLOCK_STRING} else None

    def _extension(self, found: dict[str, list[Tree]]) -> None:
        extend = self.next()
        word = self.token.value
        if word in KINDS:
            made = self._definition(self.keyword(word), None, extend)
            found["Extensions"].append(made)
        elif word == "schema":
            made = self._schema(self.keyword(word), None, extend)
            found["SchemaExtension"].append(made)
        else:
            self.unexpected()
        if not any(made.get(part) for part in _CONTENTS):
            self.unexpected()

    def _schema(self, word: Token, description: Token | None, extend: Token | None = None) -> Tree:
        place = self.token.place
        return tree(
            place,
            **_described(description, extend or word),
            Directives=self.directives(True),
            **self._block("OperationTypes", self._operation_type),
        )

    def _block(self, name: str, parse: Callable[[], Tree]) -> dict[str, Any]:
        """Read what stands in braces, if they come, and the comment before the closing one."""
        has_block = self.token.kind is Kind.BRACE_L
        parts = self.some(Kind.BRACE_L, Kind.BRACE_R, parse)
        return {name: parts, "EndOfDefinitionComment": self.end_comment if has_block else None}

    def _operation_type(self) -> Tree:
        token = self.next()
        if token.value not in OPERATIONS:
            self.unexpected(token)
        self.expect(Kind.COLON)
        return tree(token.place, Operation=token.value, Type=self.name(), Comment=comment(token.comments))

    def _definition(self, word: Token, description: Token | None, extend: Token | None = None) -> Tree:
        place = self.token.place
        kind = KINDS[word.value]
        fields: dict[str, Any] = {"Kind": kind, "Name": self.name(), "BuiltIn": False}
        fields |= _described(description, extend or word)
        if kind == "OBJECT" or (kind == "INTERFACE" and extend is None):
            fields["Interfaces"] = self._interfaces()
        fields["Directives"] = self.directives(not (kind == "INPUT_OBJECT" and extend is not None))
        if kind == "UNION":
            fields["Types"] = self._names(Kind.PIPE) if self.skip(Kind.EQUALS) else []
        elif kind == "ENUM":
            fields |= self._block("EnumValues", self._enum_value)
        elif kind == "INPUT_OBJECT":
            fields |= self._block("Fields", self._input_value)
        elif kind != "SCALAR":
            fields |= self._block("Fields", self._field)
        return tree(place, **fields)

    def _interfaces(self) -> list[str]:
        if self.token.value != "implements":
            return []
        self.next()
        return self._names(Kind.AMP)

    def _names(self, separator: Kind) -> list[str]:
        """Read names with a separator between them, and perhaps before the first."""
        self.skip(separator)
        names = [self.name()]
        while self.skip(separator):
            names.append(self.name())
        return names

    def _field(self) -> Tree:
        place = self.token.place
        fields = self._named()
        arguments = self.some(Kind.PAREN_L, Kind.PAREN_R, self._input_value)
        self.expect(Kind.COLON)
        return tree(place, **fields, Arguments=arguments, Type=self.type_reference(), Directives=self.directives(True))

    def _input_value(self) -> Tree:
        place = self.token.place
        fields = self._named()
        self.expect(Kind.COLON)
        return tree(
            place,
            **fields,
            Type=self.type_reference(),
            DefaultValue=self.value(True) if self.skip(Kind.EQUALS) else None,
            Directives=self.directives(True),
        )

    def _enum_value(self) -> Tree:
        place = self.token.place
        return tree(place, **self._named(), Directives=self.directives(True))

    def _named(self) -> dict[str, Any]:
        """Read the description and the name of a field, an argument or an enum's value."""
        description = self._description()
        token = self.token
        return {**_described(description, token), "Name": self.name()}

    def _directive(self, description: Token | None) -> Tree:
        word = self.next()
        self.expect(Kind.AT)
        place = self.token.place
        name = self.name()
        arguments = self.some(Kind.PAREN_L, Kind.PAREN_R, self._input_value)
        is_repeatable = self.token.kind is Kind.NAME and self.token.value == "repeatable"
        if is_repeatable:
            self.next()
        self.keyword("on")
        return tree(
            place,
            **_described(description, word),
            Name=name,
            Arguments=arguments,
            IsRepeatable=is_repeatable,
            Locations=self._locations(),
        )

    def _locations(self) -> list[str]:
        self.skip(Kind.PIPE)
        locations = [self._location()]
        while self.skip(Kind.PIPE):
            locations.append(self._location())
        return locations

    def _location(self) -> str:
        token = self.expect(Kind.NAME)
        if token.value not in _LOCATIONS:
            self.unexpected(token)
        return token.value


def _described(description: Token | None, word: Token) -> dict[str, Any]:
    """Return the description of what `word` begins, and the comments before the one and the other."""
    return {
        "Description": description.value if description else "",
        "BeforeDescriptionComment": comment(description.comments) if description and description.value else None,
        "AfterDescriptionComment": comment(word.comments),
    }
