"""Whether a formatted module still says what its author wrote: the same tree, the same comments.

The last look before anything is overwritten. Knows what a layout may change and lays nothing out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from authz.rego import errors, nodes
from authz.rego.cursor import Failure
from authz.rego.errors import CompileError
from authz.rego.formatting.style import REGO_V1, TRUE_BODY
from authz.rego.parse_imports import HeaderParser
from authz.rego.parser import module_of
from authz.rego.render import display_text
from authz.rego.tokens import Comment


def verify(source: nodes.Module, comments: Sequence[Comment], written: nodes.Module, written_comments: Sequence[Comment]) -> None:
    """Raise CompileError unless a module as it is written has the meaning and all the comments of its source."""
    if _meaning(source) != _meaning(written):
        raise refused(source.file, "formatting would change the meaning")
    if _texts(comments) != _texts(written_comments):
        raise refused(source.file, "formatting would lose a comment")


def verify_version(file: str, formatted: str, rego_version: int) -> None:
    """Raise CompileError unless a formatted text parses in a version of Rego."""
    parser = HeaderParser(file, formatted, rego_version)
    try:
        module_of(parser)
    except Failure as failure:
        raise unparsable(file, rego_version, parser.error([failure])) from None
    except CompileError as error:
        raise unparsable(file, rego_version, error) from error


def unparsable(file: str, rego_version: int, error: CompileError) -> CompileError:
    """Return the error of a formatted text that does not parse."""
    return refused(file, f"the formatted text is not Rego v{rego_version}: {error.message} (line {error.location.row} of it)")


def refused(file: str, message: str) -> CompileError:
    help = "nothing is written; simplify the layout, or see what comes out with --check-result=false"
    return errors.compile_error(errors.COMPILE, message, nodes.Location(file, 0, 0), help=help)


def _texts(comments: Sequence[Comment]) -> Counter[str]:
    return Counter(comment.text.strip() for comment in comments)


def _meaning(module: nodes.Module) -> tuple[object, ...]:
    """Return what of a module has to stay: the package, what is imported, and the rules."""
    imports = sorted((each.path, each.alias or "") for each in module.imports if each.path != REGO_V1 and each.path[0] != "future")
    return module.package, imports, tuple(_plain(rule, {}) for rule in module.rules)


def _plain(node: Any, wildcards: dict[str, str]) -> Any:
    """Return a node without what has no meaning and may be written otherwise; wildcards are numbered as they come."""
    if isinstance(node, tuple):
        return tuple(_plain(each, wildcards) for each in node)
    if type(node).__module__ != nodes.__name__ or isinstance(node, nodes.Location):
        return node
    if isinstance(node, nodes.Var) and node.is_wildcard:
        return nodes.Var(wildcards.setdefault(node.name, f"${len(wildcards)}"))
    node = replace(node, **{each.name: _plain(getattr(node, each.name), wildcards) for each in fields(node) if each.compare})
    if isinstance(node, nodes.Rule) and node.orelse is None and node.body == TRUE_BODY:
        return replace(node, body=())
    if isinstance(node, nodes.SetTerm | nodes.ObjectTerm):
        return type(node), frozenset(node.items if isinstance(node, nodes.SetTerm) else node.pairs)
    if isinstance(node, nodes.TemplateString):
        return replace(node, parts=_joined(node.parts))
    return node


def _joined(parts: Sequence[str | nodes.Term]) -> tuple[str | nodes.Term, ...]:
    """Return the parts of a template string, its constants as text."""
    joined: list[str | nodes.Term] = []
    for part in parts:
        text = display_text(part.value) if isinstance(part, nodes.Scalar) else part
        if isinstance(text, str) and joined and isinstance(joined[-1], str):
            joined[-1] += text
        elif text != "":
            joined.append(text)
    return tuple(joined)
