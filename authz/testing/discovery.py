"""Which rules of a set of modules are tests, each under a name of its own.

Works on syntax trees; evaluates nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from authz.rego import nodes
from authz.rego.nodes import Location, Ref, Scalar, Term, Var

PREFIX: Final = "test_"
SKIPPED_PREFIX: Final = "todo_test_"

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RegoTest:
    """One rule that is a test. `keys` are the steps of its head after the name: the cases of a parametrised test."""

    package: Path
    steps: Path
    keys: tuple[Term, ...]
    rule: nodes.Rule
    is_skipped: bool

    @property
    def path(self) -> Path:
        """The path of the rule, from `data`."""
        return self.package + self.steps

    @property
    def name(self) -> str:
        """The name as OPA prints it, without the package."""
        return ".".join(self.steps)

    @property
    def full_name(self) -> str:
        """The name that a filter is matched against: `data.package.test_name`."""
        return ".".join(self.path)

    @property
    def location(self) -> Location:
        return self.rule.location

    @property
    def is_function(self) -> bool:
        return self.rule.head.args is not None


def discover(modules: Iterable[nodes.Module]) -> tuple[tuple[nodes.Module, ...], tuple[RegoTest, ...]]:
    """Return the modules with every test under a name of its own, and the tests in the order of files and lines.

    Rules that share a name are tests each: the second `test_x` of a package becomes `test_x#01`, as in OPA, so that one
    that holds cannot hide one that does not.
    """
    renamed: list[nodes.Module] = []
    tests: list[RegoTest] = []
    seen: dict[Path, int] = {}
    for module in modules:
        rules: list[nodes.Rule] = []
        for rule in module.rules:
            test = _test(("data", *module.package), rule)
            if test is None or (test.is_function and test.path in seen):
                rules.append(rule)
                continue
            tests.append(_numbered(test, seen))
            rules.append(tests[-1].rule)
        renamed.append(replace(module, rules=tuple(rules)))
    return tuple(renamed), tuple(tests)


def _test(package: Path, rule: nodes.Rule) -> RegoTest | None:
    ref = rule.head.ref
    assert isinstance(ref.head, Var)
    steps = [ref.head.name]
    for position, arg in enumerate((*ref.args, None)):
        if steps[-1].startswith((PREFIX, SKIPPED_PREFIX)):
            return RegoTest(package, tuple(steps), ref.args[position:], rule, steps[-1].startswith(SKIPPED_PREFIX))
        if not (isinstance(arg, Scalar) and isinstance(arg.value, str)):
            break
        steps.append(arg.value)
    return None


def _numbered(test: RegoTest, seen: dict[Path, int]) -> RegoTest:
    """Return the test under a name that no test before it has."""
    count = seen.get(test.path, 0)
    seen[test.path] = count + 1
    if count == 0 or test.is_skipped:
        return test
    steps = (*test.steps[:-1], f"{test.steps[-1]}#{count:02d}")
    head = test.rule.head
    ref = Ref(Var(steps[0], head.ref.location), tuple(Scalar(step) for step in steps[1:]) + test.keys, head.ref.location)
    return replace(test, steps=steps, rule=replace(test.rule, head=replace(head, ref=ref)))
