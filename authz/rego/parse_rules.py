"""Rules: heads, bodies, `else` chains, defaults, and what Rego v1 demands of them.

Knows the differences between v0 and v1 rules; resolves no names.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple, NoReturn

from authz.rego import nodes
from authz.rego.cursor import MAX_HEIGHT, Failure
from authz.rego.nodes import Term
from authz.rego.parse_body import BodyParser
from authz.rego.parse_terms import INFIX_KINDS, LOGICAL_HELP
from authz.rego.rule_checks import V0_HELP, default_fault, is_constant, missing_import_help, term_name
from authz.rego.tokens import FUTURE_KEYWORDS, LOGICAL_KINDS, NO_GAP, V1_KEYWORDS, Kind, Token
from authz.rego.values import TRUE

_AFTER_BRACES = INFIX_KINDS | {Kind.ASSIGN, Kind.UNIFY, Kind.IN, Kind.COMMA}
_STEPS = frozenset((Kind.DOT, Kind.LBRACK, Kind.LPAREN))
_OPENERS = frozenset((Kind.LBRACE, Kind.LBRACK, Kind.LPAREN, Kind.TEMPLATE_PART))
_CLOSERS = frozenset((Kind.RBRACE, Kind.RBRACK, Kind.RPAREN))


class _Heading(NamedTuple):
    """A head as written, before it is known whether a body follows."""

    name: Token
    ref: nodes.Ref
    args: tuple[Term, ...] | None
    key: Term | None
    value: Term | None
    is_apart: bool  # white space between the name and its first bracket

    @property
    def kind(self) -> str:
        return "rule" if self.args is None else "function"


class _ElseLink(NamedTuple):
    start: Token
    value: Term
    body: nodes.Body


class RuleParser(BodyParser):
    """The grammar of rules."""

    def __init__(self, file: str, source: str, rego_version: int) -> None:
        super().__init__(file, source, rego_version)
        # What v1 forbids; an error if the module is v1, which an import further down may decide.
        self.v1_failures: list[Failure] = []

    def rules(self) -> list[nodes.Rule]:
        """Parse one statement; bodies in a row (`p { a } { b }`) make several rules of it."""
        start = self.token
        if self.is_keyword_as_name() or start.kind in LOGICAL_KINDS:
            start.kind = Kind.IDENT
        if start.kind is Kind.DEFAULT:
            return [self._default()]
        heading = self._heading()
        is_bare = heading.key is None and heading.value is None
        if self.is_keyword(Kind.IF) or (is_bare and self.at(Kind.IF) and self.next_token().kind is Kind.LBRACK):  # `p if[x]`
            return self._with_bodies(heading, start, has_if=True)
        if self.token.kind is Kind.LBRACE:
            return self._with_bodies(heading, start, has_if=False)
        return [self._without_body(heading, start)]

    def _forbid_in_v1(self, message: str, token: Token, help: str = V0_HELP) -> None:
        self.v1_failures.append(Failure(message, token, help))

    # Heads

    def _heading(self) -> _Heading:
        name = self.token
        if name.kind is Kind.CONTAINS and self.next_token().kind is not Kind.CONTAINS:
            self.fail("contains keyword cannot be used for rule name")
        if name.kind is not Kind.IDENT:
            self._not_a_rule()
        self.advance()
        head: Term = self.wildcard(name) if name.text == "_" else nodes.Var(name.text, self.location(name))
        is_apart = self.token.gap != NO_GAP and self.token.kind in _STEPS
        if self.token.kind in _STEPS:
            head = self.reference(head, name, is_head_of_rule=True)
        ref, args = self._ref_and_args(head, name)
        if name.text in V1_KEYWORDS and not ref.args:
            self._forbid_in_v1(f"{name.text} keyword cannot be used for rule name", name)
        if self.token.kind is Kind.CONTAINS:
            return self._partial_set(name, ref, args, is_apart)
        value: Term | None = None
        if self.token.kind is Kind.ASSIGN or self.token.kind is Kind.UNIFY:
            self.advance()
            value = self._head_value(ref, args)
        return _Heading(name, ref, args, None, value, is_apart)

    def _not_a_rule(self) -> NoReturn:
        """Fail at a statement that does not begin like a rule."""
        start = self.token
        expression = self.literal().expr
        what = "expression"
        if isinstance(expression, nodes.TermExpr):
            what = term_name(expression.term)
        elif isinstance(expression, nodes.Unify | nodes.Assign):
            what = term_name(expression.left)
        self.fail(f"{what} cannot be used for rule name", start)

    def _ref_and_args(self, head: Term, name: Token) -> tuple[nodes.Ref, tuple[Term, ...] | None]:
        location = self.location(name)
        if isinstance(head, nodes.Call):
            steps = tuple(nodes.Scalar(step, location) for step in head.operator[1:])
            # A function without arguments is a rule, as in OPA.
            return nodes.Ref(nodes.Var(head.operator[0], location), steps, location), head.args or None
        if isinstance(head, nodes.Ref) and isinstance(head.head, nodes.Var):
            return head, None
        if not isinstance(head, nodes.Var):
            self.fail(f"{term_name(head)} cannot be used for rule name", name)
        return nodes.Ref(head, (), location), None

    def _partial_set(self, name: Token, ref: nodes.Ref, args: tuple[Term, ...] | None, is_apart: bool) -> _Heading:
        if args is not None:
            self.unexpected(
                "the contains keyword can only be used with multi-value rule definitions "
                f"(e.g., {ref_text(ref)} contains <VALUE> {{ ... }})"
            )
        self.advance()
        return _Heading(name, ref, None, self.infix(), None, is_apart)

    def _head_value(self, ref: nodes.Ref, args: tuple[Term, ...] | None) -> Term:
        if self.token.kind is Kind.EOF:
            what, shown = ("function", "(...)") if args else ("rule", "")
            self.unexpected(f"expected {what} value term (e.g., {ref_text(ref)}{shown} := <VALUE> {{ ... }})")
        return self.infix()

    def _head(self, heading: _Heading, value: Term | None) -> nodes.Head:
        return nodes.Head(heading.ref, heading.args, heading.key, value, self.location(heading.name))

    def _true(self, token: Token) -> Term:
        return nodes.Scalar(TRUE, self.location(token))

    # Rules without a body

    def _default(self) -> nodes.Rule:
        start = self.advance()
        if self.is_keyword_as_name():
            self.token.kind = Kind.IDENT
        heading = self._heading()
        if heading.key is not None or (heading.value is None and len(heading.ref.args) == 1):
            self.fail("illegal default rule (must have a value)", start)
        value = heading.value or self._true(start)
        fault = default_fault(heading.args, value, self.rego_version)
        if fault is not None:
            self.fail(f"illegal default rule ({fault})", start)
        return nodes.Rule(self._head(heading, value), (), None, True, self.location(start))

    def _without_body(self, heading: _Heading, start: Token) -> nodes.Rule:
        self._check_end(heading)
        head = self._head(heading, heading.value)
        if heading.key is None and heading.value is None:
            head = self._bare_head(heading)
        return nodes.Rule(head, (), None, False, self.location(start))

    def _check_end(self, heading: _Heading) -> None:
        """Fail where a rule without a body goes on."""
        kind = self.token.kind
        if kind is Kind.SEMICOLON:
            self.fail("multiple expressions cannot be used for rule head", help="rules are not separated by `;`")
        if self.is_keyword(Kind.WITH):
            self.fail("expressions using with keyword cannot be used for rule head", help="put the modifier into the body of the rule")
        if self.is_keyword(Kind.ELSE):
            self.unexpected(help="`else` follows a rule body")
        if kind in LOGICAL_KINDS:
            self.unexpected(help=LOGICAL_HELP.format(self.token.text))
        if kind in INFIX_KINDS or kind in (Kind.ASSIGN, Kind.UNIFY, Kind.COMMA) or self.is_keyword(Kind.IN):
            self.unexpected(help="a rule gets its value by `:=`; a condition goes into a body, `p if x == 1`")
        if heading.is_apart:
            self.fail("var cannot be used for rule name", heading.name)

    def _bare_head(self, heading: _Heading) -> nodes.Head:
        """Return the head of a rule that has neither value nor body: `f(x)`, `p[k]`, `p.a.b`."""
        steps = len(heading.ref.args)
        if heading.args is not None:
            is_sign = not steps and heading.name.text in ("eq", "assign")
            return self._written_out(heading, heading.args) if is_sign else self._head(heading, self._true(heading.name))
        if steps == 0:
            self.fail("var cannot be used for rule name", heading.name, help=self._missing_body_help())
        if steps == 1:
            self._forbid_in_v1("`contains` keyword is required for partial set rules", heading.name)
            return self._set_head(heading)
        self._forbid_in_v1("rule must have value assignment and/or body declaration", heading.name)
        return self._head(heading, self._true(heading.name))

    def _written_out(self, heading: _Heading, args: tuple[Term, ...]) -> nodes.Head:
        """Return the head that `eq(p, 1)` or `assign(p, 1)` is, which are `=` and `:=` written out."""
        if len(args) != 2:
            self.fail("assignment requires two operands", heading.name)
        name, value = args
        if isinstance(name, nodes.Var):
            name = nodes.Ref(name, (), name.location)
        if not isinstance(name, nodes.Ref) or not isinstance(name.head, nodes.Var):
            self.fail(f"{term_name(name)} cannot be used for rule name", heading.name)
        return nodes.Head(name, None, None, value, self.location(heading.name))

    def _missing_body_help(self) -> str:
        word = self.token.text
        if self.token.kind is Kind.IDENT and word in FUTURE_KEYWORDS:
            return missing_import_help(word)
        return "a rule has a value, a body, or both: `p := 1`, `p if input.x`"

    def _set_head(self, heading: _Heading) -> nodes.Head:
        """Return `p[k]` as the head of a partial set `p`, which it is in v0."""
        ref = nodes.Ref(heading.ref.head, (), heading.ref.location)
        return nodes.Head(ref, None, heading.ref.args[0], None, self.location(heading.name))

    # Rules with bodies

    def _with_bodies(self, heading: _Heading, start: Token, *, has_if: bool) -> list[nodes.Rule]:
        head = self._head(heading, heading.value)
        if heading.key is None and heading.value is None:
            is_v0_set = not has_if and heading.args is None and len(heading.ref.args) == 1
            head = self._set_head(heading) if is_v0_set else self._head(heading, self._true(heading.name))
        if has_if:
            self.advance()
            body = self._body_after_if()
        else:
            self._forbid_in_v1(f"`if` keyword is required before {heading.kind} body", start)
            if head.key is not None and heading.key is None:
                self._forbid_in_v1("`contains` keyword is required for partial set rules", start)
            self.advance()
            body = self.body(Kind.RBRACE)
        orelse = self._else_chain(head, heading)
        first = nodes.Rule(head, body, orelse, False, self.location(start))
        return [first, *self._further_bodies(first)]

    def _further_bodies(self, first: nodes.Rule) -> list[nodes.Rule]:
        rules = []
        while self.token.kind is Kind.LBRACE:
            if first.orelse is not None:
                self.fail("expected else keyword")
            start = self.advance()
            rules.append(replace(first, body=self.body(Kind.RBRACE), location=self.location(start)))
        return rules

    def _body_after_if(self) -> nodes.Body:
        """Parse a body in braces or the one literal that stands for it.

        `{` may begin either. As in OPA a literal is tried first, and a set, which is
        always true, does not count as one. The attempt is only made where it can succeed.
        """
        if self.token.kind is not Kind.LBRACE or (self.logical and self.after_brackets().kind in LOGICAL_KINDS):
            return (self.literal(),)
        if self._may_be_literal():
            mark = self.mark()
            try:
                literal = self.literal()
            except Failure:
                literal = None
            if literal is not None and not (isinstance(literal.expr, nodes.TermExpr) and isinstance(literal.expr.term, nodes.SetTerm)):
                return (literal,)
            self.rewind(mark)
        self.advance()
        return self.body(Kind.RBRACE)

    def _may_be_literal(self) -> bool:
        """Look ahead: are these braces an object or comprehension, or an operand of something?"""
        if self.next_token().kind is Kind.RBRACE:
            return True
        depth = 0
        for index in range(self.index, len(self.tokens)):
            kind = self.tokens[index].kind
            if kind in _OPENERS:
                depth += 1
            elif kind in _CLOSERS:
                depth -= 1
                if depth == 0:
                    following = self.tokens[index + 1]
                    return following.kind in _AFTER_BRACES or (following.gap == NO_GAP and following.kind in _STEPS)
            elif depth == 1 and (kind is Kind.COLON or kind is Kind.OR):
                return True
            elif depth == 1 and (kind is Kind.SEMICOLON or kind is Kind.ASSIGN or kind is Kind.UNIFY):
                return False
        return False

    # Else

    def _else_chain(self, head: nodes.Head, heading: _Heading) -> nodes.Rule | None:
        """Parse `else`, if any, and those that follow it; a link without a body is the last."""
        start = self.token
        if not self.is_keyword(Kind.ELSE):
            return None
        if head.key is not None:
            self.fail("else keyword cannot be used on multi-value rules")
        if not all(map(is_constant, head.ref.args)):
            self.fail("else keyword cannot be used on rules with variables in head")
        links: list[_ElseLink] = []
        while self.is_keyword(Kind.ELSE) and (not links or links[-1].body):
            if len(links) == MAX_HEIGHT:
                self.fail(f"more than {MAX_HEIGHT} `else` in a row", start)
            links.append(self._else_link(heading))
        chain: nodes.Rule | None = None
        for link in reversed(links):
            location = self.location(link.start)
            chain = nodes.Rule(replace(head, value=link.value, location=location), link.body, chain, False, location)
        return chain

    def _else_link(self, heading: _Heading) -> _ElseLink:
        start = self.advance()
        value = self._true(start)
        if self.token.kind is Kind.ASSIGN or self.token.kind is Kind.UNIFY:
            self.advance()
            value = self.infix()
        elif self.token.kind is not Kind.IF and self.token.kind is not Kind.LBRACE:
            self.unexpected("expected else value term or rule body")
        return _ElseLink(start, value, self._else_body(start, heading))

    def _else_body(self, start: Token, heading: _Heading) -> nodes.Body:
        has_if = self.token.kind is Kind.IF
        if has_if:
            self.advance()
        if self.token.kind is Kind.LBRACE:
            if not has_if:
                self._forbid_in_v1(f"`if` keyword is required before {heading.kind} body", start)
            self.advance()
            body = self.body(Kind.RBRACE)
            if self.token.kind in LOGICAL_KINDS:
                self.unexpected(help="braces behind `else if` are its whole body: put the condition into a pair of its own")
            return body
        if not has_if:
            return ()
        if self.token.kind is Kind.EOF:
            self.unexpected("rule body expected")
        return (self.literal(),)


def ref_text(ref: nodes.Ref) -> str:
    """Return a reference for a message, its steps that are not names left out."""
    names = [str(step.value) for step in ref.args if isinstance(step, nodes.Scalar)]
    head = ref.head.name if isinstance(ref.head, nodes.Var) else "p"
    return ".".join([head, *names])
