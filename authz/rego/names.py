"""Global names: what the bodies of a module can refer to besides their own variables.

Owns imports and the lists of rules and functions by package. Knows no scopes and resolves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from authz.rego import errors, nodes
from authz.rego.nodes import Ref, Scalar, Term, Var


def original_name(name: str) -> str:
    """Return the name as the author wrote it."""
    return "_" if name.startswith("$") else name.split("#", 1)[0]


@dataclass(frozen=True, slots=True)
class Globals:
    """What a module's bodies can name besides their own variables."""

    package: tuple[str, ...]
    imports: dict[str, tuple[str, ...]]
    rules: frozenset[str]
    functions: Mapping[tuple[str, ...], int]
    """The number of arguments of every function, by its path."""
    rego_version: int = 0


def global_names(modules: Iterable[nodes.Module]) -> dict[str, Globals]:
    """Return the global scope of every module, by file."""
    modules = tuple(modules)
    rules: dict[tuple[str, ...], set[str]] = {}
    functions: dict[tuple[str, ...], int] = {}
    for module in modules:
        for rule in module.rules:
            rules.setdefault(module.package, set()).add(head_name(rule.head))
            if rule.head.args is not None:
                functions.setdefault(("data", *module.package, *ground_path(rule.head.ref)), len(rule.head.args))
    return {
        module.file: Globals(module.package, imported(module), frozenset(rules.get(module.package, ())), functions, module.rego_version)
        for module in modules
    }


def head_name(head: nodes.Head) -> str:
    """Return the first name of a rule's head."""
    assert isinstance(head.ref.head, Var)
    return head.ref.head.name


def ground_path(ref: Ref) -> tuple[str, ...]:
    """Return the leading name and string steps of a head's reference."""
    assert isinstance(ref.head, Var)
    path = [ref.head.name]
    for arg in ref.args:
        if not (isinstance(arg, Scalar) and isinstance(arg.value, str)):
            break
        path.append(arg.value)
    return tuple(path)


def dotted(term: Term) -> tuple[str, ...] | None:
    """Return the names of a purely dotted term, else None."""
    if isinstance(term, Var):
        return (term.name,)
    if isinstance(term, Ref) and isinstance(term.head, Var):
        parts = [arg.value for arg in term.args if isinstance(arg, Scalar) and isinstance(arg.value, str)]
        if len(parts) == len(term.args):
            return (term.head.name, *parts)
    return None


def imported(module: nodes.Module) -> dict[str, tuple[str, ...]]:
    """Return the paths that a module's imports name. Raises CompileError."""
    found: dict[str, tuple[str, ...]] = {}
    for item in module.imports:
        if item.path[0] in {"input", "data"}:
            if item.name in found and module.rego_version == 1:
                raise errors.compile_error(errors.COMPILE, f"import must not shadow {_import_text(found[item.name])}", item.location)
            found[item.name] = item.path
    return found


def _import_text(path: tuple[str, ...]) -> str:
    return "import " + ".".join(path)
