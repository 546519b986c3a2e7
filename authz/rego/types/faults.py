"""What the type checker finds wrong, in OPA's words: the message, and the lines below it that say what is there and what is wanted.

Knows how findings are worded, not how they are found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from authz.rego import errors
from authz.rego.errors import Diagnostic
from authz.rego.nodes import Location, Ref, Var
from authz.rego.render import to_text
from authz.rego.types.model import FunctionType, Type, is_unknown
from authz.rego.types.texts import Sources, ref_text, shortened, term_text, type_text, types_text
from authz.rego.values import Value

ANY_KEY: Final = "$k"
"""The variable for the keys of a collection of which `some x in` wants the values."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One finding. One `of_unknown` types is dropped where another finding of the same expression explains it."""

    message: str
    details: tuple[str, ...]
    location: Location
    of_unknown: bool = False
    help: str | None = None

    def diagnostic(self) -> Diagnostic:
        return Diagnostic(errors.TYPE, self.message, self.location, help=self.help, details=self.details)


def no_match(left: Type | None, right: Type | None, location: Location) -> Fault:
    """Two terms that are to be equal have types without a common value."""
    details = (f"left  : {type_text(left)}", f"right : {type_text(right)}")
    return Fault("match error", details, location, is_unknown(left) or is_unknown(right))


def bad_arguments(  # noqa: PLR0913 - a message says all of it
    name: str, problem: str, have: Sequence[Type | None], want: Sequence[Type | None], labels: Sequence[str], location: Location
) -> Fault:
    """A function takes other arguments than these."""
    return Fault(f"{name}: {problem}", argument_details(have, want, labels), location, any(map(is_unknown, have)))


def argument_details(have: Sequence[Type | None], want: Sequence[Type | None], labels: Sequence[str]) -> tuple[str, ...]:
    """Return the lines that say which arguments there are and which are wanted."""
    return (f"have: {types_text(have)}", f"want: {types_text(want, labels)}")


@dataclass(frozen=True, slots=True)
class Step:
    """The step of a reference at `index`, or what is behind its last one."""

    ref: Ref
    index: int
    sources: Sources

    @property
    def text(self) -> str:
        """The whole reference."""
        return ref_text(self.ref.head, self.ref.args, self.sources)

    @property
    def offset(self) -> int:
        """The width of what stands before the step."""
        return _width(ref_text(self.ref.head, self.ref.args[: self.index], self.sources))


def not_a_collection(step: Step, have: Type | None) -> Fault:
    """The step leads into a value that has nothing inside; or there is none, and the value is a function."""
    ref, have_text = step.ref, "<nil>" if have is None else type_text(have)
    details = (step.text, "^" * step.offset, f"have: {have_text}")
    if not isinstance(have, FunctionType):
        return Fault(f"undefined ref: {step.text}", details, ref.location)
    shown = ref.args[:-1] if ref.args and isinstance(ref.args[-1], Var) and ref.args[-1].name == ANY_KEY else ref.args
    name = ref_text(ref.head, shown, step.sources)
    help = f"call it: `{ref_text(ref.head, ref.args[: step.index], step.sources)}({', '.join('…' for _ in have.params)})`"
    return Fault(f"function {name} used as reference, not called", details, ref.location, help=help)


def not_a_member(step: Step, have: Type | None, want: Type | None, one_of: Sequence[Value]) -> Fault:
    """The step selects nothing: it is of a wrong type, or is a constant (no type given) that is none of the known keys."""
    pad = " " * (step.offset + 1)
    found = f"have (type): {type_text(have)}" if have is not None else f"have: {term_text(step.ref.args[step.index], step.sources)}"
    wanted = f"want (one of): [{shortened(map(to_text, one_of), ' ')}]" if one_of else f"want (type): {type_text(want)}"
    return Fault(f"undefined ref: {step.text}", (step.text, pad + "^", pad + found, pad + wanted), step.ref.location)


def _width(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
