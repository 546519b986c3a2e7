"""Built-ins that would reach outside the evaluation, and what they are while deciding.

A decision neither prints nor traces, nor tells of its process: what OPA does there has no effect.
`with` can replace each of them in tests. `print` writes only where an evaluation has an output, which a decision has not.
"""

from __future__ import annotations

import itertools
from typing import Final

from authz.rego.builtins.registry import ANY, ARRAY, BOOLEAN, OBJECT, STRING, EvalContext, builtin
from authz.rego.render import display_text
from authz.rego.values import EMPTY_OBJECT, Set, Value

_UNDEFINED: Final = "<undefined>"


@builtin("opa.runtime", result=OBJECT, deterministic=False)
def opa_runtime() -> Value:
    """Return nothing of the process: its environment is no policy's business."""
    return EMPTY_OBJECT


@builtin("print", ANY, result=BOOLEAN)
def opa_print(_value: Value) -> bool:
    return True


@builtin("internal.print", ARRAY, result=BOOLEAN, needs_context=True)
def internal_print(context: EvalContext, operands: tuple[Value, ...]) -> bool:
    """Write what `print` is compiled to: sets of the values of its operands; a line for each way to take one of every set."""
    if context.output is not None:
        shown = [[display_text(value) for value in operand.ordered()] or [_UNDEFINED] for operand in operands if isinstance(operand, Set)]
        for line in itertools.product(*shown):
            context.output(" ".join(line))
    return True


@builtin("trace", STRING, result=BOOLEAN)
def trace(_note: str) -> bool:
    return True
