"""Package declarations and imports, and the keywords that imports bring.

Knows the import paths that mean something to the parser; resolves none of the others.
"""

from __future__ import annotations

from typing import Final

from authz.rego import nodes
from authz.rego.nodes import Term
from authz.rego.parse_rules import RuleParser
from authz.rego.parse_terms import ROOTS
from authz.rego.rule_checks import term_name
from authz.rego.tokens import FUTURE_KEYWORDS, HARD_KEYWORDS, KEYWORD_KINDS, KEYWORDS, V1_KEYWORDS, Kind, Token

_ROOTS: Final = ("data", "future", "input", "rego")
_ALL_FUTURE: Final = frozenset(FUTURE_KEYWORDS)
_ALL_V1: Final = frozenset(V1_KEYWORDS)


class HeaderParser(RuleParser):
    """The grammar of what stands above the rules."""

    def __init__(self, file: str, source: str, rego_version: int) -> None:
        super().__init__(file, source, rego_version)
        self.imports_rego_v1 = False

    def package(self) -> tuple[tuple[str, ...], nodes.Location]:
        """Parse `package path`; return the path and where it is declared."""
        start = self.token
        if start.kind is not Kind.PACKAGE or self.is_keyword_as_name():
            self.fail("package expected", help="a module begins with `package` and a name")
        self.advance()
        return self._path("package"), self.location(start)

    def _path(self, what: str) -> tuple[str, ...]:
        """Parse the path of a package or import: names, which may be keywords, and strings in brackets."""
        first = self.token
        if first.kind is not Kind.IDENT and first.kind not in KEYWORD_KINDS:
            self.unexpected(help=f"`{what}` is followed by a path, such as `a.b`")
        self.advance()
        head = nodes.Var(first.text, self.location(first))
        term = self.reference(head, first) if self.token.gap == 0 and self.token.kind in (Kind.DOT, Kind.LBRACK, Kind.LPAREN) else head
        if isinstance(term, nodes.Ref) and isinstance(term.head, nodes.Var):
            return (first.text, *(self._step(step, first) for step in term.args))
        if not isinstance(term, nodes.Var):
            self.fail("expected path", first)
        return (first.text,)

    def _step(self, step: Term, token: Token) -> str:
        if not isinstance(step, nodes.Scalar) or not isinstance(step.value, str):
            self.fail(f"unexpected {term_name(step)} token: expecting string", token)
        return step.value

    def import_(self) -> nodes.Import:
        """Parse one import and put it into force."""
        start = self.advance()
        path_start = self.token
        path = self._path("import")
        if path[0] not in _ROOTS:
            message = f"unexpected import path, must begin with one of: {{{', '.join(_ROOTS)}}}, got: {path[0]}"
            self.fail(message, path_start, help=f"packages are below `data`: `import data.{'.'.join(path)}`")
        alias = self._alias()
        if path[0] == "future":
            self._import_keywords(path, alias, path_start)
        elif path[0] == "rego":
            self._import_rego_v1(path, alias, path_start)
        elif alias is None and self._is_keyword(path[-1]):
            message = f"unexpected import path, must not end with a keyword, got: {path[-1]}"
            self.fail(message, path_start, help="import a different path or use an alias")
        return nodes.Import(path, alias, self.location(start))

    def _is_keyword(self, name: str) -> bool:
        return name in (KEYWORDS if self.rego_version == 1 else HARD_KEYWORDS)

    def _alias(self) -> str | None:
        if not self.at(Kind.AS):
            return None
        self.advance()
        if self.token.kind is not Kind.IDENT:
            self.unexpected("expected var")
        alias = self.advance()
        if alias.text in ROOTS:
            self.fail("unexpected identifier token: expected var", alias, help=f"`{alias.text}` always means the {alias.text} document")
        if self.token.gap == 0 and self.token.kind in (Kind.DOT, Kind.LBRACK, Kind.LPAREN):
            self.unexpected("expected var")
        return alias.text

    def _import_keywords(self, path: tuple[str, ...], alias: str | None, where: Token) -> None:
        if len(path) == 1 or path[1] != "keywords" or len(path) > 3:
            self.fail("invalid import, must be `future.keywords`", where)
        if alias is not None:
            self.fail("`future` imports cannot be aliased", where)
        words = _ALL_FUTURE
        if len(path) == 3:
            if path[2] not in FUTURE_KEYWORDS:
                self.fail(f"unexpected keyword, must be one of [{' '.join(sorted(FUTURE_KEYWORDS))}]", where)
            words = frozenset((path[2], "in")) if path[2] == "every" else frozenset((path[2],))
        self.import_keywords(words)

    def _import_rego_v1(self, path: tuple[str, ...], alias: str | None, where: Token) -> None:
        if path != ("rego", "v1"):
            self.fail(f"invalid import `{'.'.join(path)}`, must be `rego.v1`", where)
        if self.rego_version == 1:
            return
        if alias is not None:
            self.fail("`rego` imports cannot be aliased", where)
        self.imports_rego_v1 = True
        self.import_keywords(_ALL_V1)
