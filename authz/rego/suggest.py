"""What an author probably meant by a name that means nothing: the help lines of unknown functions and variables.

Owns how such a name is compared with those that there are. Resolves nothing, and is asked about findings that are shown only.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final, TypeGuard

from authz.rego import errors, nodes
from authz.rego.builtins import BUILTINS
from authz.rego.errors import CompileError, Diagnostic
from authz.rego.names import Globals, head_name, path_text
from authz.rego.nodes import Module, Ref, Rule, Scalar, Term, Var
from authz.rego.tokens import FUTURE_KEYWORDS, Kind
from authz.rego.treewalk import walk

_MAX_LISTED: Final = 5
_MIN_LENGTH: Final = 3
"""Letters of a name that can be told from others."""

_OPERATORS: Final = frozenset(kind.value for kind in Kind)
_CALLED: Final = tuple(
    sorted(name for name, item in BUILTINS.items() if not item.deprecated and name not in _OPERATORS and "internal" not in name)
)

_ELSEWHERE: Final = {
    **dict.fromkeys(("len", "length", "size", "strlen"), "`count`"),
    **dict.fromkeys(("str", "string", "to_string", "tostring"), "`sprintf`, or a template string `$\"{x}\"`"),
    **dict.fromkeys(("int", "float", "number", "parse_int", "parseint"), "`to_number`"),
    **dict.fromkeys(("match", "matches", "regex"), "`regex.match`"),
    **dict.fromkeys(("json.parse", "json.loads", "json.decode", "parse_json"), "`json.unmarshal`"),
    **dict.fromkeys(("json.stringify", "json.dumps", "json.encode", "to_json"), "`json.marshal`"),
    **dict.fromkeys(("includes", "has", "array.contains", "in_array"), "`x in xs`"),
    **dict.fromkeys(("map", "filter", "array.map", "array.filter"), "a comprehension, `[f(x) | some x in xs]`"),
    **dict.fromkeys(("keys", "has_key"), "`object.keys`"),
    **dict.fromkeys(("now", "time.now"), "`time.now_ns`"),
    "substr": "`substring`",
}  # fmt: skip
"""What other languages call it, and what does it here."""


def explained(error: CompileError, modules: Iterable[Module], scopes: Mapping[str, Globals]) -> CompileError:
    """Return the error, its findings about unknown names with the name that was probably meant."""
    files = {module.file: module for module in modules}
    unknown = {item.unknown for item in error.diagnostics if item.unknown is not None}
    if not unknown:
        return error
    return CompileError(tuple(_explained(item, files, scopes, unknown) for item in error.diagnostics))


def _explained(item: Diagnostic, files: dict[str, Module], scopes: Mapping[str, Globals], unknown: set[str]) -> Diagnostic:
    module = files.get(item.location.file)
    if item.unknown is None or item.unknown in FUTURE_KEYWORDS or module is None:
        return item
    scope = scopes[module.file]
    if item.code == errors.UNSAFE:
        help = _Variables(module, scope, files.values(), unknown).help(item.unknown, item.location)
    else:
        help = _function_help(item.unknown, scope)
    return item if help is None else replace(item, help=help)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like this one, if one is."""
    if len(name) < _MIN_LENGTH:
        return None
    others = sorted(set(known) - {name})
    longer = [other for other in others if other.startswith(name)]
    if longer:
        return min(longer, key=len)
    alike = [other for other in others if len(other) > 1 and abs(len(other) - len(name)) <= max(2, len(name) // 3)]
    found = difflib.get_close_matches(name, alike, n=1, cutoff=0.6)
    return found[0] if found else None


# Functions


def _function_help(name: str, scope: Globals) -> str | None:
    own = {path_text(path): path for path in scope.functions}
    if name.startswith("data."):
        return _in_package(name, own)
    if name.startswith("input."):
        return f"only functions can be called; a value at a place is `{name}[…]`"
    if name in _ELSEWHERE:
        return f"in Rego that is {_ELSEWHERE[name]}"
    last = name.rpartition(".")[2]
    if last != name and last in _CALLED:
        return f"did you mean `{last}`?"
    local = [path[-1] for path in scope.functions if path[1:-1] == scope.package]
    close = nearest(name, [*_CALLED, *local])
    return None if close is None else f"did you mean `{close}`?"


def _in_package(name: str, own: Iterable[str]) -> str:
    package, _, last = name.rpartition(".")
    siblings = sorted(other.rpartition(".")[2] for other in own if other.rpartition(".")[0] == package)
    close = nearest(last, siblings)
    if close is not None:
        return f"did you mean `{package}.{close}`?"
    if not siblings:
        return f"no function is defined in `{package}`"
    shown = ", ".join(f"`{other}`" for other in siblings[:_MAX_LISTED]) + (", …" if len(siblings) > _MAX_LISTED else "")
    return f"the functions of `{package}` are {shown}"


# Variables


class _Variables:
    """Guesses about the unknown variables of one module."""

    def __init__(self, module: Module, scope: Globals, modules: Iterable[Module], unknown: set[str]) -> None:
        self._module = module
        self._scope = scope
        self._modules = tuple(modules)
        self._unknown = unknown

    def help(self, name: str, location: nodes.Location) -> str | None:
        """Return the help for a variable that nothing binds; None if nothing is like it."""
        rule = self._rule_at(location)
        if rule is None:
            return None
        nodes_of_rule = tuple(walk(rule))
        written = {node.name for node in nodes_of_rule if isinstance(node, Var) and not node.is_wildcard} - self._unknown
        return (
            _dashed(name, nodes_of_rule)
            or self._elsewhere(name)
            or self._like(name, written)
            or _built_in(name, nodes_of_rule)
            or (_text(name, nodes_of_rule) if not rule.body else None)
        )

    def _rule_at(self, location: nodes.Location) -> Rule | None:
        place = location.row, location.col
        return max(
            (rule for rule in self._module.rules if (rule.location.row, rule.location.col) <= place),
            key=lambda rule: (rule.location.row, rule.location.col),
            default=None,
        )

    def _like(self, name: str, written: Iterable[str]) -> str | None:
        close = nearest(name, (*written, *self._scope.rules, *self._scope.imports, "input", "data"))
        return None if close is None else f"did you mean `{close}`?"

    def _elsewhere(self, name: str) -> str | None:
        """Name the package, or the rule of another package, that has the name."""
        for module in self._modules:
            if module.package and name in (module.package[0], module.package[-1]):
                path = module.package if name == module.package[-1] else module.package[:1]
                return f"the package is `{path_text(('data', *path))}`: write that, or import it"
        for module in self._modules:
            if module.package != self._module.package and any(head_name(rule.head) == name for rule in module.rules):
                return f"`{name}` is a rule of another package: `{path_text(('data', *module.package, name))}`"
        return None


def _text(name: str, terms: Iterable[object]) -> str | None:
    """A name that is written once, and not as the start of a reference: perhaps the quotes are missing."""
    count = sum(isinstance(term, Var) and term.name == name for term in terms)
    is_start = any(_begins(term, name) for term in terms)
    return f'nothing binds the variable `{name}`; a text is written `"{name}"`' if count == 1 and not is_start else None


def _built_in(name: str, terms: Iterable[object]) -> str | None:
    if name in _CALLED:
        return f"`{name}` is a function: it is called, `{name}(…)`"
    members = [other for other in _CALLED if other.startswith(f"{name}.")]
    if not members:
        return None
    written = (
        ".".join([name, *(str(step.value) for step in term.args[:1] if isinstance(step, Scalar))]) for term in terms if _begins(term, name)
    )
    close = next(filter(None, (nearest(other, members) for other in written)), members[0])
    return f"`{name}` begins the names of built-in functions, as in `{close}(…)`"


def _begins(term: object, name: str) -> TypeGuard[Ref]:
    return isinstance(term, Ref) and isinstance(term.head, Var) and term.head.name == name


def _dashed(name: str, terms: Iterable[object]) -> str | None:
    """A key with a dash behind a dot, `headers.x-id`, which is a subtraction."""
    chains = ["-".join(parts) for term in terms if (parts := _dash_chain(term)) is not None and name in parts[1:]]
    return f'a key with a dash is written in brackets: `["{max(chains, key=len)}"]`' if chains else None


def _dash_chain(term: object) -> list[str] | None:
    """Return the parts of a key that was written `….a-b-c`, without a space."""
    parts: list[str] = []
    while isinstance(term, nodes.Call) and term.operator == ("minus",):
        left, right = term.args
        name = right.head if isinstance(right, Ref) else right
        if not isinstance(name, Var) or not _are_adjacent(term, right):
            return None
        parts.append(name.name)
        term = left
    if not parts or not isinstance(term, Ref) or not isinstance(term.args[-1], Scalar) or not isinstance(term.args[-1].value, str):
        return None
    return [term.args[-1].value, *reversed(parts)]


def _are_adjacent(minus: nodes.Call, right: Term) -> bool:
    operator, left = minus.location, minus.args[0].location
    is_behind = isinstance(minus.args[0], nodes.Call) or left.col + left.length == operator.col
    return is_behind and operator.row == right.location.row and operator.col + 1 == right.location.col
