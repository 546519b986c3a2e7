"""The syntax of Go's `text/template`: a template's text to a tree.

All of the language but method calls and complex numbers. This module evaluates nothing:
`go_template_run` does.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Final, NoReturn

from authz.rego.builtins.go_template_nodes import (
    Action,
    Branch,
    Chain,
    Command,
    Dot,
    Function,
    Invoke,
    Jump,
    Literal,
    Node,
    Operand,
    Pipe,
    Template,
    TemplateError,
    Text,
    Variable,
)
from authz.rego.builtins.go_template_run import FUNCTIONS

MAX_NESTING: Final = 32

# A quote begins a quoted text and nothing else, so there is one way to read an action: no backtracking.
_QUOTED: Final = r'"(?:\\.|[^"\\\n])*"|`[^`]*`' + r"|'(?:\\.|[^'\\\n])*'"
_ACTION: Final = re.compile(rf"\{{\{{(-(?=\s))?((?:{_QUOTED}|(?!-?\}}\}})[^\"`'])*)(?:(?<=\s)(-))?\}}\}}", re.DOTALL)
_COMMENT: Final = re.compile(r"\{\{(-\s+)?/\*.*?\*/(\s+-)?\}\}", re.DOTALL)
_TOKEN: Final = re.compile(
    r"""(?P<space>\s+)|(?P<string>"(?:\\.|[^"\\\n])*")|(?P<raw>`[^`]*`)|(?P<char>'(?:\\.|[^'\\\n])*')
    |(?P<number>[+-]?(?:0[xX][0-9a-fA-F]+|[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+))
    |(?P<field>\.[A-Za-z_]\w*)|(?P<variable>\$\w*)|(?P<word>[A-Za-z_]\w*)|(?P<mark>:=|[=|,().])""",
    re.VERBOSE,
)
_CONSTANTS: Final = {"true": True, "false": False, "nil": None}
_SPACE: Final = " \t\r\n"


@dataclass(slots=True)
class _Token:
    kind: str
    text: str
    is_apart: bool
    """White space stands before it."""


@dataclass(slots=True)
class _Piece:
    """A stretch of text, or what an action holds between its braces."""

    text: str
    line: int
    tokens: list[_Token] | None = None


def parse(text: str) -> Template:
    """Return the template; TemplateError if Go would not read it."""
    return _Parser(_pieces(text)).template()


def _pieces(text: str) -> list[_Piece]:
    pieces: list[_Piece] = []
    position, trims = 0, False
    while (start := text.find("{{", position)) >= 0:
        line = text.count("\n", 0, start) + 1
        matched = _COMMENT.match(text, start) or _ACTION.match(text, start)
        if matched is None:
            raise TemplateError(line, "unclosed action")
        before = text[position:start]
        before = before.lstrip(_SPACE) if trims else before
        pieces.append(_Piece(before.rstrip(_SPACE) if matched[1] else before, line))
        if matched.re is _ACTION:
            pieces.append(_Piece(matched[2], line, _tokens(matched[2], line)))
        trims, position = bool(matched[matched.re.groups]), matched.end()
    rest = text[position:]
    pieces.append(_Piece(rest.lstrip(_SPACE) if trims else rest, 0))
    return pieces


def _tokens(text: str, line: int) -> list[_Token]:
    tokens: list[_Token] = []
    position, is_apart = 0, True
    while position < len(text):
        matched = _TOKEN.match(text, position)
        if matched is None:
            raise TemplateError(line, f"unexpected {text[position]!r} in command")
        kind = matched.lastgroup or ""
        if kind != "space":
            tokens.append(_Token(kind, matched[0], is_apart))
        is_apart, position = kind == "space", matched.end()
    return tokens


@dataclass(slots=True)
class _Parser:
    pieces: list[_Piece]
    position: int = 0
    line: int = 1
    tokens: list[_Token] = field(default_factory=list)
    variables: list[str] = field(default_factory=lambda: ["$"])
    definitions: dict[str, tuple[Node, ...]] = field(default_factory=dict)
    loops: int = 0
    nesting: int = 0

    def fail(self, message: str) -> NoReturn:
        raise TemplateError(self.line, message)

    def template(self) -> Template:
        body, stop = self.nodes()
        if stop:
            self.fail(f"unexpected {{{{{stop}}}}}")
        return Template(body, self.definitions)

    def nodes(self) -> tuple[tuple[Node, ...], str]:
        """Parse up to `end` or `else`, and return which it was, or "" at the template's end."""
        found: list[Node] = []
        while self.position < len(self.pieces):
            piece = self.pieces[self.position]
            self.position += 1
            if piece.tokens is None:
                found.append(Text(piece.text))
                continue
            self.line, self.tokens = piece.line, piece.tokens
            word = self.tokens[0].text if self.tokens else ""
            if word in {"end", "else"}:
                del self.tokens[0]
                return tuple(found), word
            node = self.statement(word)
            if node is not None:
                found.append(node)
        return tuple(found), ""

    def statement(self, word: str) -> Node | None:
        if word in {"if", "with", "range"}:
            del self.tokens[0]
            return self.branch(word)
        if word in {"define", "template", "block"}:
            del self.tokens[0]
            return self.named(word)
        if word in {"break", "continue"}:
            if not self.loops:
                self.fail(f"{{{{{word}}}}} outside {{{{range}}}}")
            return Jump(word)
        return Action(self.pipe(), self.line)

    def branch(self, word: str) -> Branch:
        """Parse `if`, `with` or `range` to its `end`; `else if` is a branch in the other's place."""
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            self.fail(f"nested deeper than {MAX_NESTING} levels")
        line, depth = self.line, len(self.variables)
        pipe = self.pipe(is_range=word == "range")
        self.loops += word == "range"
        body, stop = self.nodes()
        self.loops -= word == "range"
        otherwise: tuple[Node, ...] = ()
        if stop == "else":
            chained = self.tokens[0].text if self.tokens else ""
            if chained in {"if", "with"} and word != "range":
                del self.tokens[0]
                otherwise, stop = (self.branch(chained),), "end"
            else:
                otherwise, stop = self.nodes()
        if stop != "end":
            self.fail("unexpected EOF" if not stop else "unexpected {{else}}")
        del self.variables[depth:]
        self.nesting -= 1
        return Branch(word, pipe, body, otherwise, line)

    def named(self, word: str) -> Node | None:
        """Parse a definition, the use of one, or both at once (`block`)."""
        line, name = self.line, self.name(word)
        if word == "template":
            return Invoke(name, self.pipe() if self.tokens else None, line)
        pipe = self.pipe() if word == "block" else None
        outer, self.variables = self.variables, ["$"]
        body, stop = self.nodes()
        self.variables = outer
        if stop != "end":
            self.fail(f"unexpected {'EOF' if not stop else '{{else}}'} in {word} clause")
        self.definitions[name] = body
        return Invoke(name, pipe, line) if word == "block" else None

    def name(self, word: str) -> str:
        token = self.tokens.pop(0) if self.tokens else _Token("", "", True)
        if token.kind not in {"string", "raw"}:
            self.fail(f"unexpected {token.text!r} in {word} clause")
        return str(self.constant(token))

    def pipe(self, *, is_range: bool = False, is_inner: bool = False) -> Pipe:
        """Parse declarations and commands up to the end of the action or, inside, up to `)`."""
        declared, is_assignment = self.declared(is_range)
        commands: list[Command] = [self.command()]
        while self.tokens and self.tokens[0].text == "|":
            del self.tokens[0]
            commands.append(self.command())
        if self.tokens and not is_inner:
            self.fail(f"unexpected {self.tokens[0].text!r} in operand")
        if not is_assignment:
            self.variables.extend(declared)
        return Pipe(declared, is_assignment, tuple(commands))

    def declared(self, is_range: bool) -> tuple[tuple[str, ...], bool]:
        texts = [token.text for token in self.tokens[:4]]
        kinds = [token.kind for token in self.tokens[:3]]
        count = 2 if is_range and texts[1:2] == [","] and kinds[2:3] == ["variable"] else 1
        sign = texts[2 * count - 1] if len(texts) > 2 * count - 1 else ""
        if kinds[:1] != ["variable"] or sign not in {":=", "="}:
            return (), False
        names = tuple(texts[0 : 2 * count - 1 : 2])
        del self.tokens[: 2 * count]
        if sign == "=":
            for name in names:
                self.known(name)
        return names, sign == "="

    def known(self, name: str) -> str:
        if name not in self.variables:
            self.fail(f"undefined variable {json.dumps(name)}")
        return name

    def command(self) -> Command:
        operands: list[Operand] = []
        while self.tokens and self.tokens[0].text not in {"|", ")"}:
            operands.append(self.operand())
        if not operands:
            self.fail("missing value for command")
        return Command(tuple(operands), self.line)

    def operand(self) -> Operand:
        operand = self.term(self.tokens.pop(0))
        names: list[str] = []
        while self.tokens and self.tokens[0].kind == "field" and not self.tokens[0].is_apart:
            names.append(self.tokens.pop(0).text[1:])
        if names and isinstance(operand, Literal | Function):
            self.fail(f"unexpected .{names[0]} after term")
        return Chain(operand, tuple(names)) if names else operand

    def term(self, token: _Token) -> Operand:
        if token.kind in {"string", "raw", "char", "number"}:
            return Literal(self.constant(token))
        if token.kind == "field":
            return Chain(Dot(), (token.text[1:],))
        if token.kind == "variable":
            return Variable(self.known(token.text))
        if token.kind == "word":
            return self.word(token.text)
        if token.text == ".":
            return Dot()
        if token.text != "(":
            self.fail(f"unexpected {token.text!r} in operand")
        return self.parenthesized()

    def word(self, text: str) -> Operand:
        if text in _CONSTANTS:
            return Literal(_CONSTANTS[text])
        if text not in FUNCTIONS:
            self.fail(f"function {json.dumps(text)} not defined")
        return Function(text)

    def parenthesized(self) -> Pipe:
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            self.fail(f"nested deeper than {MAX_NESTING} levels")
        inner = self.pipe(is_inner=True)
        if not self.tokens:
            self.fail("unclosed left paren")
        del self.tokens[0]
        self.nesting -= 1
        return inner

    def constant(self, token: _Token) -> str | int | float:
        if token.kind == "raw":
            return token.text[1:-1]
        try:
            if token.kind == "number":
                return int(token.text, 0) if re.fullmatch(r"[+-]?(0[xX][0-9a-fA-F]+|0|[1-9][0-9]*)", token.text) else float(token.text)
            text: str = json.loads('"' + token.text[1:-1].replace("\\'", "'").replace('"', '\\"').replace('\\\\"', '\\"') + '"')
        except ValueError:
            self.fail(f"bad constant: {token.text}")
        return ord(text) if token.kind == "char" and len(text) == 1 else text
