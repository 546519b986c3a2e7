"""The built-in functions: importing this package declares them all. It says where each family is, nothing of what one does."""

from authz.rego.builtins import (
    aggregates,
    arithmetic,
    arrays,
    comparison,
    objects,
    sets,
    strings,
    types,
)
from authz.rego.builtins.registry import BUILTINS, Builtin, EvalContext

__all__ = [
    "BUILTINS",
    "Builtin",
    "EvalContext",
    "aggregates",
    "arithmetic",
    "arrays",
    "comparison",
    "objects",
    "sets",
    "strings",
    "types",
]
