"""Terms: literals, variables, references, calls, infix operators, template strings.

Arrays, objects, sets and comprehensions are in `parse_collections`, bodies in
`parse_body`. Knows neither rules nor which names exist.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Final, cast

from authz.rego import nodes
from authz.rego.cursor import MAX_HEIGHT, Cursor, Failure
from authz.rego.errors import COMPILE, TYPE, Stage
from authz.rego.nodes import Term
from authz.rego.tokens import KEYWORD_KINDS, NO_GAP, Kind, Token
from authz.rego.values import FALSE, NULL, TRUE, Number, Scalar, spelled, type_name

# Binding strength of the infix operators; `in` is weaker than all of them, `=` and `:=` join expressions, not terms.
LEVELS: Final[dict[Kind, int]] = {
    Kind.EQUAL: 1, Kind.NEQ: 1, Kind.LT: 1, Kind.LTE: 1, Kind.GT: 1, Kind.GTE: 1,
    Kind.OR: 2,
    Kind.AND: 3,
    Kind.PLUS: 4, Kind.MINUS: 4,
    Kind.MUL: 5, Kind.DIV: 5, Kind.REM: 5,
}  # fmt: skip
INFIX_KINDS: Final = frozenset(LEVELS)

MEMBER_2: Final = ("internal", "member_2")
MEMBER_3: Final = ("internal", "member_3")

_REFERENCE_KINDS: Final = frozenset((Kind.DOT, Kind.LBRACK, Kind.LPAREN))
ROOTS: Final = frozenset(("input", "data"))
_CONSTANTS: Final[dict[Kind, Scalar]] = {Kind.NULL: NULL, Kind.TRUE: TRUE, Kind.FALSE: FALSE}


class TermParser(Cursor):
    """The grammar of terms."""

    @abstractmethod
    def body(self, end: Kind) -> nodes.Body:
        """Parse literals up to `end` and step over it."""

    @abstractmethod
    def literal(self) -> nodes.Literal:
        """Parse one literal of a body."""

    @abstractmethod
    def array(self) -> Term:
        """Parse an array or an array comprehension."""

    @abstractmethod
    def braces(self) -> Term:
        """Parse an object, a set or a comprehension of either."""

    def infix(self, first: Term | None = None) -> Term:
        """Parse a term with its infix operators, or the operators after `first`; `k, v in xs` is one of them here."""
        left = self.operators(self.term() if first is None else first)
        if self.token.kind is Kind.COMMA:
            left = self._member_with_key(left)
        return self.membership(left)

    def infix_in_list(self) -> Term:
        """Parse a list's element, where a comma ends the term."""
        return self.membership(self.operators(self.term()))

    def continue_infix(self, first: Term) -> Term:
        """Parse what follows the first operand of a list's element."""
        return self.membership(self.operators(first))

    def membership(self, left: Term) -> Term:
        """Parse any `in xs` after `left`; it groups to the left."""
        start = self.infix_count
        while self.is_keyword(Kind.IN):
            operator = self._operator_token(start)
            left = nodes.Call(MEMBER_2, (left, self.operators(self.term())), self.location(operator))
        return left

    def _member_with_key(self, key: Term) -> Term:
        """Parse `, value in xs` after `key`; without an `in` the comma is not ours and stays."""
        mark = self.mark()
        self.advance()
        try:
            value = self.operators(self.term())
        except Failure:
            self.rewind(mark)
            return key
        if self.token.kind is not Kind.IN:
            self.rewind(mark)
            return key
        operator = self.advance()
        return nodes.Call(MEMBER_3, (key, value, self.operators(self.term())), self.location(operator))

    def operators(self, first: Term) -> Term:
        """Parse the infix operators after `first` and their operands; `in` is weaker and stays.

        Two stacks, not recursion: five levels of binding would cost as many frames a bracket.
        """
        if self.token.kind not in LEVELS:
            return first
        operands, operators = [first], list[Token]()
        start = self.infix_count
        while (level := LEVELS.get(self.token.kind, 0)) > 0:
            while operators and LEVELS[operators[-1].kind] >= level:
                self._apply(operands, operators.pop())
            operators.append(self._operator_token(start))
            operands.append(self.term())
        while operators:
            self._apply(operands, operators.pop())
        return operands[0]

    def _apply(self, operands: list[Term], operator: Token) -> None:
        right = operands.pop()
        operands[-1] = nodes.Call((operator.kind.value,), (operands[-1], right), self.location(operator))

    def _operator_token(self, start: int) -> Token:
        """Step over an operator of a chain that began when `infix_count` was `start`."""
        if self.infix_count - start >= MAX_HEIGHT:
            self.give_up(f"more than {MAX_HEIGHT} operators in a row", "write a long list of alternatives as a set: `x in {…}`")
        self.infix_count += 1
        return self.advance()

    def term(self) -> Term:
        """Parse a term without infix operators."""
        self.enter()
        token = self.token
        handler = _HANDLERS.get(token.kind)
        if handler is None:
            self.unexpected()
        term = self.steps_after(handler(self), token)
        self.depth -= 1
        return term

    def steps_after(self, term: Term, start: Token) -> Term:
        """Parse the steps of a reference that follow `term` without white space, if any."""
        following = self.token
        if following.gap == NO_GAP and following.kind in _REFERENCE_KINDS:
            term = self.reference(term, start)
        if self.token.kind is Kind.NUMBER and self.token.gap == NO_GAP and self.token.text[0] == ".":
            self.fail("unexpected . token: expected identifier", help=_STEP_HELP)
        return term

    def reference(self, head: Term, start: Token, *, is_head_of_rule: bool = False) -> Term:
        """Parse the steps after `head`: `.name`, `[key]`, and arguments that make it a call.

        A step follows without white space, except the first one in the head of a rule.
        """
        self._check_reference_head(head, start)
        args: list[Term] = []
        may_be_apart = is_head_of_rule
        while self.token.gap == NO_GAP or may_be_apart:
            may_be_apart = False
            kind = self.token.kind
            if kind is Kind.DOT:
                args.append(self._dot_step())
            elif kind is Kind.LBRACK:
                self.advance()
                args.append(self.infix())
                self.expect(Kind.RBRACK, "expected ]")
            elif kind is Kind.LPAREN and not (isinstance(head, nodes.Call | nodes.SetTerm) and not args):
                head, args = self._call(head, args, start), []
                if is_head_of_rule:
                    break
            else:
                break
        return nodes.Ref(head, tuple(args), self.span(start)) if args else head

    def _dot_step(self) -> Term:
        self.advance()
        name = self.token
        if name.gap != NO_GAP or (name.kind is not Kind.IDENT and name.kind not in KEYWORD_KINDS):
            self.unexpected("expected identifier", help=_STEP_HELP)
        self.advance()
        return nodes.Scalar(name.text, self.location(name))

    def _check_reference_head(self, head: Term, start: Token) -> None:
        if isinstance(head, nodes.Scalar):
            what = type_name(head.value)
        elif isinstance(head, nodes.TemplateString):
            what = "templatestring"
        elif isinstance(head, nodes.Ref) or (start.kind is Kind.LPAREN and isinstance(head, nodes.Var) and head.name in ROOTS):
            what = "ref"
        else:
            return
        self.fail(f"illegal ref (head cannot be {what})", start)

    def _call(self, head: Term, args: list[Term], start: Token) -> Term:
        """Parse the arguments of a call of the function that `head` and `args` name."""
        operator = self._operator(head, args, start)
        location = self.span(start)
        self.advance()
        arguments = self.terms(Kind.RPAREN)
        if operator == ("set",) and not arguments:
            return nodes.SetTerm((), location)
        return nodes.Call(operator, arguments, location)

    def _operator(self, head: Term, args: list[Term], start: Token) -> tuple[str, ...]:
        names = [arg.value for arg in args if isinstance(arg, nodes.Scalar) and isinstance(arg.value, str)]
        if not isinstance(head, nodes.Var) or len(names) != len(args):
            message, help = f"undefined function {self.text_from(start)}", "a function is called by its name, `f(x)` or `a.b.f(x)`"
            self.faults.report(TYPE, message, self.location(start), help=help, check=Stage.FUNCTIONS)
            return ("undefined",)
        return (head.name, *names)

    def terms(self, end: Kind, first: tuple[Term, ...] = ()) -> tuple[Term, ...]:
        """Parse a list up to `end`, which it steps over; a last comma is allowed."""
        items = list(first)
        while self.token.kind is not end:
            items.append(self.infix_in_list())
            if self.token.kind is Kind.COMMA:
                self.advance()
            elif self.token.kind is not end:
                self.unexpected(f'expected "," or "{end.value}"')
        self.advance()
        return tuple(items)

    def _constant(self) -> Term:
        token = self.advance()
        return nodes.Scalar(_CONSTANTS[token.kind], self.location(token))

    def _scalar(self) -> Term:
        token = self.advance()
        return nodes.Scalar(cast("str | Number", token.value), self.location(token))

    def _logical_function(self) -> Term:
        """Parse the name of the set functions `and` and `or`, which are called even where these are keywords."""
        following = self.next_token()
        if following.kind is not Kind.LPAREN or following.gap != NO_GAP:
            self.unexpected(help=LOGICAL_HELP.format(self.token.text))
        return self.variable()

    def variable(self) -> Term:
        token = self.advance()
        return self.wildcard(token) if token.text == "_" else nodes.Var(token.text, self.location(token))

    def _negative(self) -> Term:
        """Parse `-1`, a literal, or `-x`, which is `0 - x` as in OPA."""
        sign = self.advance()
        token = self.token
        if token.kind is Kind.NUMBER:
            self.advance()
            number = cast(Number, token.value)
            negative = -number if isinstance(number, int) else number.copy_negate()  # `-` would round a Decimal
            return nodes.Scalar(spelled(negative, f"-{token.text}"), self.location(sign))
        if token.kind not in (Kind.IDENT, Kind.CONTAINS):
            self.unexpected("expected number")
        return nodes.Call(("minus",), (nodes.Scalar(0, self.location(sign)), self.term()), self.location(sign))

    def _parenthesised(self) -> Term:
        start = self.advance()
        term = self.infix()
        if self.token.kind is not Kind.RPAREN:
            if self.token.kind in (Kind.UNIFY, Kind.ASSIGN):
                self.unexpected(help="`=` and `:=` join whole expressions; compare with `==` inside parentheses")
            self.fail("non-terminated expression", help=f"the bracket that needs to be closed is `(` at {self.location(start)}")
        self.advance()
        return term

    def _template(self) -> Term:
        start = self.token
        if self.rego_version == 0:
            self.fail("template strings are not supported by current capabilities", help="they are Rego v1; Rego v0 has `sprintf`")
        parts: list[str | Term] = []
        while True:
            token = self.advance()
            if token.value:
                parts.append(cast(str, token.value))
            if token.kind is Kind.TEMPLATE_END:
                return nodes.TemplateString(tuple(parts), self.location(start))
            parts.append(self._template_expression())
            if self.token.kind is not Kind.RBRACE:
                self.fail("expected } to end template string expression")
            self.advance()

    def _template_expression(self) -> Term:
        """Parse what stands in the braces of a template string: a term, with modifiers if any."""
        start = self.token
        literal = self.literal()
        expression = literal.expr
        if literal.negated:
            self.fail("unexpected negation ('not') in template-string expression", start)
        if isinstance(expression, nodes.Not | nodes.Logical):
            name = expression.operator if isinstance(expression, nodes.Logical) else "not"
            message = f"unexpected template-string expression type: {name}"
            self.faults.report(COMPILE, message, self.location(start), help=_NO_VALUE_HELP, check=Stage.EXPRESSIONS)
            return nodes.Scalar("", self.location(start))
        if not isinstance(expression, nodes.TermExpr):
            self.fail(f"unexpected {_EXPRESSION_NAMES[type(expression)]} in template-string expression", start)
        if literal.withs:
            return self._with_modifiers(literal, start)
        return expression.term

    def _with_modifiers(self, literal: nodes.Literal, start: Token) -> Term:
        """Return the first item of `[x | x := term with …]`, which is undefined where the term is."""
        location = self.location(start)
        value = self.wildcard(start)
        assign = nodes.Literal(nodes.Assign(value, cast(nodes.TermExpr, literal.expr).term), False, literal.withs, location)
        values = nodes.ArrayComprehension(value, (assign,), location)
        return nodes.Ref(values, (nodes.Scalar(0, location),), location)


_STEP_HELP: Final = 'a key that is not a name is written in brackets: `x["a-b"]`, `x[0]`'

LOGICAL_HELP: Final = "`{}` stands between two expressions of a body; it has no value"

_NO_VALUE_HELP: Final = "`and`, `or` and `not` give no value; make a rule of the expression"

_EXPRESSION_NAMES: Final[dict[type, str]] = {
    nodes.Unify: "unification ('=')",
    nodes.Assign: "assignment (':=')",
    nodes.Every: "'every'",
    nodes.SomeDecl: "'some'",
    nodes.SomeIn: "'some'",
}

_HANDLERS: Final[dict[Kind, Callable[[TermParser], Term]]] = {
    Kind.IDENT: TermParser.variable,
    Kind.CONTAINS: TermParser.variable,  # special in the heads of rules only
    Kind.LOGICAL_AND: TermParser._logical_function,
    Kind.LOGICAL_OR: TermParser._logical_function,
    Kind.STRING: TermParser._scalar,
    Kind.NUMBER: TermParser._scalar,
    Kind.NULL: TermParser._constant,
    Kind.TRUE: TermParser._constant,
    Kind.FALSE: TermParser._constant,
    Kind.MINUS: TermParser._negative,
    Kind.LPAREN: TermParser._parenthesised,
    Kind.LBRACK: lambda parser: parser.array(),
    Kind.LBRACE: lambda parser: parser.braces(),
    Kind.TEMPLATE_PART: TermParser._template,
    Kind.TEMPLATE_END: TermParser._template,
}
