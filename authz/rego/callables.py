"""What a body can call, and what a `with` can replace: the functions and documents that names mean.

Owns the errors of calling what is not there or with the wrong number of arguments. Resolves no
variable and looks into no argument.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from authz.rego import errors, nodes
from authz.rego.builtins import BUILTINS
from authz.rego.builtins.registry import Builtin
from authz.rego.errors import Findings, Stage
from authz.rego.names import Globals, dotted, ground_path, head_text, original_name, path_text
from authz.rego.nodes import Location, Ref, Scalar, Term, Var
from authz.rego.scopes import Scopes, Use
from authz.rego.types.calls import wrong_number

Names = tuple[str, ...]


class Callables:
    """The functions within reach of one module.

    `path_of` gives the full path of a global name, None if it is none here; `resolved` a term with its names resolved.
    """

    def __init__(
        self,
        scope: Globals,
        scopes: Scopes,
        path_of: Callable[[str], Names | None],
        resolved: Callable[[Term], Term],
        findings: Findings,
    ) -> None:
        self._globals = scope
        self._scopes = scopes
        self._path_of = path_of
        self._resolved = resolved
        self._findings = findings

    # Calls

    def operator(self, call: nodes.Call, *, is_operand: bool, spare: int) -> Names:
        """Return the full name of what is called; `spare` is how many arguments it may have beyond the declared ones."""
        path = self._path_of(call.operator[0])
        if path is not None:
            return self._function(path + call.operator[1:], call, is_operand, spare)
        name = ".".join(call.operator)
        if name in BUILTINS:
            self._scopes.use_function(Use(call.operator[0], name, call.location, is_operand))
            self._check_builtin(BUILTINS[name], call, spare)
        elif self._scopes.use_name(call.operator[0], call.location) is not None and is_operand:
            self.report_shadowed(Use(call.operator[0], name, call.location, is_operand))
        else:
            self._undefined(call.operator, call.location)
        return call.operator

    def _check_builtin(self, builtin: Builtin, call: nodes.Call, spare: int) -> None:
        if builtin.name == "print":
            if not spare:
                self._report("print(...) used as value", call.location, Stage.EXPRESSIONS, "`print` has no value; let it stand alone")
            return
        if builtin.deprecated and self._globals.rego_version == 1:
            message, help = f"deprecated built-in function calls in expression: {builtin.name}", _SUCCESSORS[builtin.name]
            self._report(message, call.location, Stage.DEPRECATION, f"write {help}")
        size = len(builtin.params)
        if not size <= len(call.args) <= size + spare:
            self._wrong_number(builtin, call, is_operand=not spare)

    def _wrong_number(self, builtin: Builtin, call: nodes.Call, *, is_operand: bool) -> None:
        size = len(builtin.params)
        params = ", ".join(param if isinstance(param, str) else "|".join(param) for param in builtin.params)
        help = f"`{builtin.name}({params})` takes {_arguments(size)}, not {len(call.args)}"
        details = wrong_number(builtin.name, tuple(map(self._resolved, call.args)), is_operand=is_operand)
        message = f"{builtin.name}: arity mismatch"
        self._findings.add(errors.Diagnostic(errors.TYPE, message, call.location, help=help, details=details, check=Stage.FUNCTIONS))

    def report_shadowed(self, use: Use) -> None:
        """Report the call of a built-in whose name a variable has, in OPA's words for each place."""
        help = f"`{use.head}` is a variable here, which hides the built-in `{use.function}`: rename the variable"
        if use.is_operand:
            self._findings.report(errors.COMPILE, f"called function {use.function} shadowed", use.location, help=help)
        else:
            self._report(f"undefined function {use.function}", use.location, Stage.FUNCTIONS, help)

    def _function(self, path: Names, call: nodes.Call, is_operand: bool, spare: int) -> Names:
        size = self._globals.functions.get(path)
        if size is None and path in self._globals.documents:
            self._rule_called(path, call, 0 if is_operand else 1)
        elif size is None:
            self._undefined(path, call.location, is_built_in=".".join(call.operator) in BUILTINS)
        elif not size <= len(call.args) <= size + spare:
            self._arity(path, size, call)
        return path

    def _rule_called(self, path: Names, call: nodes.Call, spare: int) -> None:
        """Report the call of a rule. For OPA it is a function of no arguments, until types are checked."""
        help = f"`{path_text(path)}` is a rule, not a function: write it without arguments"
        if len(call.args) > spare:
            self._arity(path, 0, call, help)
        else:
            self._report(f"undefined function {path_text(path)}", call.location, Stage.TYPES, help)

    def _arity(self, path: Names, size: int, call: nodes.Call, help: str | None = None) -> None:
        message = f"function {path_text(path)} has arity {size}, got {_arguments(len(call.args))}"
        head = self._globals.heads.get(path)
        if help is None and head is not None:
            help = f"it is defined as `{head_text(head)}` at {head.location}"
        self._report(message, call.location, Stage.FUNCTIONS, help)

    def _undefined(self, path: Names, location: Location, *, is_built_in: bool = False) -> None:
        name = path_text((original_name(path[0]), *path[1:]))
        help, unknown = ("a rule or an import hides the built-in: rename it", None) if is_built_in else (None, name)
        message = f"undefined function {name}"
        self._findings.add(errors.Diagnostic(errors.TYPE, message, location, help=help, check=Stage.FUNCTIONS, unknown=unknown))

    # `with`

    def target(self, target: Term) -> Ref | None:
        """Return what a `with` replaces: a path of `input` or `data`, or a built-in; None, and reported, if it can be neither."""
        names = dotted(target)
        if names is not None:
            names = (self._path_of(names[0]) or names[:1]) + names[1:]
            if names[0] in {"input", "data"}:
                return Ref(Var(names[0]), tuple(Scalar(part) for part in names[1:]), target.location)
            name = ".".join(names)
            if name in BUILTINS or name in _OPERATORS:
                return self._replaceable(name, target.location)
        message = "with keyword target must reference existing input, data, or a function"
        self._report(message, target.location, Stage.MODIFIERS, "`with` replaces `input`, `data`, parts of them, a function or a built-in")
        return None

    def replacement(self, target: Ref, item: nodes.With) -> Ref | None:
        """Return the function that replaces the one at `target`; None if the replacing term is a value."""
        path = ground_path(target)
        is_function = path[0] == "builtin" or path in self._globals.functions
        return self._replacing_function(item.value) if is_function else None

    def _replacing_function(self, value: Term) -> Ref | None:
        names = dotted(value)
        if names is None:
            return None
        path = self._path_of(names[0])
        names = names if path is None else path + names[1:]
        if names in self._globals.functions:
            return Ref(Var("function"), tuple(Scalar(part) for part in names), value.location)
        if path is None and ".".join(names) in BUILTINS:
            return self._replaceable(".".join(names), value.location)
        return None

    def _replaceable(self, name: str, location: Location) -> Ref | None:
        fault = _fault(name)
        if fault is not None:
            message = f"with keyword replacing built-in function: {fault}"
            self._findings.report(
                errors.COMPILE, message, location, help="make a function that calls it and replace that", check=Stage.MODIFIERS
            )
        return None if name in _OPERATORS else Ref(Var("builtin"), (Scalar(name),), location)

    def _report(self, message: str, location: Location, check: Stage, help: str | None = None) -> None:
        self._findings.report(errors.TYPE, message, location, help=help, check=check)


_SUCCESSORS: Final = {
    "all": "`every x in xs { x }`",
    "any": "`some x in xs; x`",
    "cast_array": "`[x | some x in xs]`",
    "cast_boolean": "`is_boolean`",
    "cast_null": "`is_null`",
    "cast_object": "`is_object`",
    "cast_set": "`{x | some x in xs}`",
    "cast_string": "`is_string`",
    "net.cidr_overlap": "`net.cidr_contains`",
    "re_match": "`regex.match`",
    "set_diff": "`a - b`",
}
"""What is written for deprecated built-ins."""

_OPERATORS: Final = frozenset({"assign", "eq", "rego.metadata.chain", "rego.metadata.rule"})
"""Built-ins that the compiler replaces by something else. Replacing `assign` has no effect, in OPA too."""


def _fault(name: str) -> str | None:
    """Return why a built-in cannot be replaced."""
    if name.startswith("internal."):
        return f'replacement of internal function "{name}" invalid'
    if name in _OPERATORS:
        return f'replacement of "{name}" invalid' if name != "assign" else None
    if name == "print":
        return "target must not be a void function"
    return "target must not be a relation" if BUILTINS[name].is_relation else None


def _arguments(size: int) -> str:
    return f"{size} argument" + ("" if size == 1 else "s")
