"""Rules as they are laid out: heads, bodies and `else` chains.

Decides which rules stand together and which bodies fit on a line; the syntax is the style's.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import zip_longest
from typing import cast

from authz.rego import nodes
from authz.rego.formatting.flat import Flat, NotFlatError
from authz.rego.formatting.places import Place
from authz.rego.formatting.style import TRUE_BODY
from authz.rego.formatting.write_bodies import BodyWriter
from authz.rego.formatting.written import Extent
from authz.rego.nodes import Rule
from authz.rego.tokens import Kind
from authz.rego.values import TRUE


class RuleWriter(BodyWriter):
    """Writes rules."""

    def rules(self, rules: Sequence[Rule]) -> None:
        """Write rules with a line between them, except where one-liners stand together in the source."""
        for rule, following in zip_longest(rules, rules[1:]):
            self.comments_until(rule.location.row)
            self.attempt(partial(self._rule, rule))
            if following is None or not self._stand_together(rule, following):
                self.blank_line()

    def _stand_together(self, rule: Rule, following: Rule) -> bool:
        is_next = following.location.row == rule.location.row + 1
        return is_next and self._may_stand_together(rule) and self._may_stand_together(following)

    def _may_stand_together(self, rule: Rule) -> bool:
        is_alone = rule.is_default or rule.orelse is not None or any(map(_is_set, rule.body))
        return self._has_if(rule) and len(rule.body) <= 1 and not is_alone

    def _has_if(self, rule: Rule) -> bool:
        """Say whether a body of the rule has an `if` in front: a partial set only if it also has `contains`."""
        return self.style.has_if and (self.style.has_contains or rule.head.value is not None)

    def _rule(self, rule: Rule) -> None:
        self.start_line()
        if rule.is_default:
            self.write("default ")
        self._link(rule, is_else=False)

    def _link(self, rule: Rule, *, is_else: bool) -> None:
        """Write a rule or a link of its `else` chain."""
        kept = self.kept
        extent = self.written.head_extent(rule)
        place = Place(self.written.tokens[extent.start].row, self.written.text(extent))
        if is_else:
            self._else_head(rule, place)
        else:
            self._head(rule, place)
        if self._is_constant(rule):
            self.end_line()
            return
        if self._has_if(rule):
            self.write(" if")
            if self._is_one_liner(rule) and self._one_liner(rule.body[0], is_else=is_else):
                if rule.orelse is not None:
                    self._orelse(rule, rule.orelse)
                return
        self._braces(rule, is_else=is_else, is_head_kept=self.kept > kept)

    def _is_constant(self, rule: Rule) -> bool:
        """Say whether a rule is written without a body, because it has none or `true`."""
        return not rule.body or (rule.body == TRUE_BODY and rule.orelse is None)

    def _is_one_liner(self, rule: Rule) -> bool:
        if len(rule.body) > 1:
            return False
        literal = rule.body[0]
        written = self.written
        return not _is_set(literal) and written.row(literal) == written.end_row(written.head_extent(rule))

    def _one_liner(self, literal: nodes.Literal, *, is_else: bool) -> bool:
        """Write a literal behind an `if`; not, and say so, where an `else` would read its first brace as that of a body."""
        mark = self.mark()
        self.write(" ")
        self.literal(literal)
        if is_else and "".join(self.parts[mark.size :]).startswith(" {"):
            self.rewind(mark)
            return False
        self.end_line()
        return True

    def _braces(self, rule: Rule, *, is_else: bool, is_head_kept: bool) -> None:
        """Write a body in braces, and the `else` that follows."""
        if is_head_kept and self.next_comment_row < self.written.row(rule.body[0]):
            self.write(" { ")  # the comment behind the brace comes first in the body
        else:
            self.write(" {")
            self.end_line()
        self.level += 1
        self.leading = None if is_else or not self._has_if(rule) else self.leading_term(rule.body[0])
        self.body(rule.body)
        self.comments_until(self._closing_row(rule))
        self.level -= 1
        self.start_line()
        self.write("}")
        if rule.orelse is None:
            self.end_line()
        else:
            self._orelse(rule, rule.orelse, is_after_brace=True)

    def _closing_row(self, rule: Rule) -> int:
        head = rule.head
        skipped = "()" if head.args else "[]" if head.key is not None or self._has_one_key(head) else ""
        return Place(rule.location.row, self.written.text(self.written.rule_extent(rule))).closing_row("{}", skipped)

    def _has_one_key(self, head: nodes.Head) -> bool:
        """Say whether OPA's parser reads a head as `p[key]`; in v1 a constant key is a part of the name."""
        if head.args or len(head.ref.args) != 1:
            return False
        key = head.ref.args[0]
        return self.written.module.rego_version == 0 or isinstance(key, nodes.Ref) or not _is_ground(key)

    # Else

    def _orelse(self, rule: Rule, orelse: Rule, *, is_after_brace: bool = False) -> None:
        row = orelse.location.row
        comes_first = self._begins_line(rule, orelse)
        has_comment_above = self.next_comment_row < row or self.waiting is not None
        if has_comment_above or comes_first:
            if is_after_brace:
                self.end_line()
            self.blank_line()
            self.start_line()
        else:
            self.write(" ")
        self.comments_until(row)
        if not self.is_inline:
            self.start_line()
        self._link(orelse, is_else=True)

    def _begins_line(self, rule: Rule, orelse: Rule) -> bool:
        """Say whether `else` begins a line, or stands on the rule's own, where OPA does not look."""
        index = self.written.index(orelse.location)
        before = self.written.end_row(Extent(index - 1, index))
        return orelse.location.row == rule.location.row or before < orelse.location.row

    # Heads

    def _head(self, rule: Rule, place: Place) -> None:
        """Write the name, arguments or key, and the value of a rule."""
        head = rule.head
        if self._is_head_kept(head):
            self.as_written(self.written.head_extent(rule))
            self.kept -= 1  # OPA: the body begins on a line of its own
            return
        self._name(head)
        if head.args:
            self.write("(")
            self.terms(head.args, place, place.closing_row("()"), partial(self.argument, write=self.operand))
            self.write(")")
        if head.key is not None:
            self._set_key(head.key, self._is_constant(rule))
        self._value(rule, is_else=False)

    def _is_head_kept(self, head: nodes.Head) -> bool:
        """Say whether a comment on the row of a short key keeps a head as it stands in the source."""
        return self._has_short_key(head) and self.next_comment_row == self.written.row(head.ref.args[0]) and not self.may_break_lines

    def _else_head(self, rule: Rule, place: Place) -> None:
        """Write the value of an `else`, laid out as if it began at the `else`."""
        self.write("else")
        if rule.head.value is not None:
            self.move(rule.head.value, place)
        self._value(rule, is_else=True)

    def _has_short_key(self, head: nodes.Head) -> bool:
        return len(head.ref.args) == 1 and not self.style.has_long_heads

    def _name(self, head: nodes.Head) -> None:
        """Write the reference of a head; where none in the module is long, a single string stays in brackets."""
        index = self.written.index(head.ref.location)
        self.operand(head.ref.head)
        if not self._has_short_key(head):
            self._steps(head, index)
            return
        try:
            self.write(f"[{Flat(self.written, self.style.keywords).text(head.ref.args[0])}]")
        except NotFlatError:
            self.key_step(head.ref.args[0])

    def _steps(self, head: nodes.Head, index: int) -> None:
        """Write the steps of a head's reference; those of a function have no locations of their own."""
        tokens = self.written.tokens
        if not head.args:
            self.steps(head.ref.args)
            return
        for step in head.ref.args:
            self.name_step(str(cast(nodes.Scalar, step).value), tokens[index + 2])
            index += 2 if tokens[index + 1].kind is Kind.DOT else 3

    def _set_key(self, key: nodes.Term, is_constant: bool) -> None:
        if self.style.has_contains:
            self.write(" contains ")
            self._head_term(key, is_constant)
        else:
            self.write("[")
            self._head_term(key, is_constant)
            self.write("]")

    def _shows_value(self, rule: Rule, value: nodes.Term, *, is_else: bool) -> bool:
        """Say whether the value of a rule is written; `true` is what a rule with a body has without a word."""
        head = rule.head
        if rule.is_default or not (isinstance(value, nodes.Scalar) and value.value is TRUE):
            return True
        is_constant = self._is_constant(rule)
        if self.written.token(value).kind is Kind.TRUE:
            return is_constant or self._has_one_key(head)
        has_own_body = bool(rule.body) and rule.location == head.location
        is_name = not head.args and (self.style.is_v1 or not head.ref.args)
        return is_constant and (has_own_body or is_else or is_name)

    def _value(self, rule: Rule, *, is_else: bool) -> None:
        value, written = rule.head.value, self.written
        if value is None or not self._shows_value(rule, value, is_else=is_else):
            return
        is_implied = isinstance(value, nodes.Scalar) and value.value is TRUE and written.token(value).kind is not Kind.TRUE
        is_assigned = not is_implied and written.tokens[written.extent(value).start - 1].kind is Kind.ASSIGN
        self.write(" := " if self.style.is_v1 or is_assigned else " = ")
        if is_implied:
            self.write("true")
        else:
            self._head_term(value, self._is_constant(rule))

    def _head_term(self, term: nodes.Term, is_constant: bool) -> None:
        """Write a key or a value; a comment behind it, as it stands in the source, belongs to the body if there is one."""
        extent = self.written.extent(term)
        if self.or_as_written(partial(self.operand, term), extent) and is_constant:
            self.comments_until(self.written.end_row(extent))


def _is_set(literal: nodes.Literal) -> bool:
    """Say whether a literal behind an `if` would be read as a body in braces."""
    return not literal.negated and isinstance(literal.expr, nodes.TermExpr) and isinstance(literal.expr.term, nodes.SetTerm)


def _is_ground(term: nodes.Term) -> bool:
    """Say whether OPA takes a term for constant: references count by their steps."""
    match term:
        case nodes.Scalar():
            return True
        case nodes.Ref(_, terms) | nodes.Call(_, terms) | nodes.Array(terms) | nodes.SetTerm(terms):
            return all(map(_is_ground, terms))
        case nodes.ObjectTerm(pairs):
            return all(_is_ground(part) for pair in pairs for part in pair)
    return False
