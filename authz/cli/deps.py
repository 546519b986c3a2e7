"""`authz deps`: what an entry point can read, and which rules it is made of. Evaluates nothing."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import click

from authz.bundle.checking import explained
from authz.cli.loading import load
from authz.cli.output import location_json, print_json
from authz.rego import compiler, errors
from authz.rego.artifact import ReadSet
from authz.rego.emit import shown
from authz.rego.errors import CompileError
from authz.rego.nodes import NOWHERE
from authz.rego.planner import Planned
from authz.rego.reads import read_sets
from authz.rego.render import quote

Steps = tuple[str, ...]

_NAME: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_SHOWN_RULES: Final = 8


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="PATH...")
@click.argument("entrypoint")
@click.option("--data", "-d", multiple=True, type=click.Path(path_type=Path), metavar="PATH", help="Further policies and data; repeatable.")
@click.option("--v0-compatible", is_flag=True, help="Read policies as Rego v0.")
@click.option("--format", "-f", "format_", type=click.Choice(["pretty", "json"]), default="pretty", show_default=True)
def deps(paths: tuple[Path, ...], entrypoint: str, data: tuple[Path, ...], v0_compatible: bool, format_: str) -> None:
    """Say what ENTRYPOINT (envoy/authz/allow or data.envoy.authz.allow) of the policies at PATH depends on.

    What is listed of input and data is the most that can be read: a path stands for all that is below it.
    """
    if not paths and not data:
        raise click.UsageError("give the policies, as in `authz deps policies/ envoy/authz/allow`")
    version = 0 if v0_compatible else 1
    source = load((*paths, *data), with_tests=False)
    try:
        planned = compiler.plan_source(compiler.make_source(source.modules, source.data, source.versions(version), optimize=False))
    except CompileError as error:
        raise explained(error, source, version) from None
    path = _rule(planned, entrypoint)
    reads = read_sets(planned)[path]
    rules = sorted(used for used in shown(planned, (path,)) if used != path)
    if format_ == "json":
        print_json(_json(planned, path, reads, rules))
    else:
        click.echo("\n".join(_lines(planned, path, reads, rules)))


def _rule(planned: Planned, entrypoint: str) -> Steps:
    """Return the path of a rule. Raises CompileError if there is none."""
    steps = entrypoint.split("/" if "/" in entrypoint else ".")
    path = ("data", *(step for step in (steps[1:] if steps[0] == "data" else steps) if step))
    if path in planned.plans:
        return path
    name = "/".join(path[1:])
    raise errors.compile_error(errors.COMPILE, f"entry point `{name}` is not a rule of the policy", NOWHERE, help=_help(planned, path))


def _help(planned: Planned, path: Steps) -> str:
    known = ["/".join(rule[1:]) for rule in sorted(planned.plans)]
    below = [name for name in known if name.startswith("/".join((*path[1:], "")))]
    if below:
        return "it is a package; its rules: " + ", ".join(below[:_SHOWN_RULES]) + (" …" if len(below) > _SHOWN_RULES else "")
    close = difflib.get_close_matches("/".join(path[1:]), known, n=1)
    if close:
        return f"did you mean `{close[0]}`?"
    return "rules of the policy: " + ", ".join(known[:_SHOWN_RULES]) + (" …" if len(known) > _SHOWN_RULES else "")


def _json(planned: Planned, path: Steps, reads: ReadSet, rules: list[Steps]) -> dict[str, Any]:
    """Return the dependencies; `base` and `virtual` are what `opa deps` prints."""
    base = [("data", *step) for step in reads.data] + [("input", *step) for step in reads.input]
    return {
        "entrypoint": "/".join(path[1:]),
        "location": location_json(planned.plans[path].location),
        "input": list(_texts("input", reads.input)),
        "data": list(_texts("data", reads.data)),
        "nondeterministic": list(reads.nondeterministic),
        "rules": [{"path": "/".join(rule[1:]), "location": location_json(planned.plans[rule].location)} for rule in rules],
        "base": [_ref_json(steps) for steps in base],
        "virtual": [_ref_json(steps) for steps in sorted([path, *rules])],
    }


def _ref_json(steps: Steps) -> list[dict[str, str]]:
    return [{"type": "string" if index else "var", "value": step} for index, step in enumerate(steps)]


def _lines(planned: Planned, path: Steps, reads: ReadSet, rules: list[Steps]) -> Iterator[str]:
    yield _placed(planned, path)
    yield from _section("input", _texts("input", reads.input))
    yield from _section("data", _texts("data", reads.data))
    yield from _section("non-deterministic built-ins", reads.nondeterministic)
    yield from _section("rules", (_placed(planned, rule) for rule in rules))


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield ""
    yield click.style(f"{title}:", bold=True)
    yield from [f"  {line}" for line in lines] or ["  none"]


def _placed(planned: Planned, path: Steps) -> str:
    location = planned.plans[path].location
    return f"{next(_texts('data', (path[1:],)))}  {location.file}:{location.row}"


def _texts(root: str, paths: Iterable[Steps]) -> Iterator[str]:
    """Yield the references that paths are: `input.headers["x-user"]`."""
    for path in paths:
        yield root + "".join(f".{step}" if _NAME.fullmatch(step) else f"[{quote(step)}]" for step in path)
