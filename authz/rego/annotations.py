"""METADATA comment blocks: finding them, and attaching them to packages and rules.

What a block may hold is checked in `annotation_schema`. Knows no evaluation: what
`rego.metadata.*` returns is made from these by others.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from typing import Final

from authz.rego import nodes
from authz.rego.annotation_schema import AnnotationError, read_document
from authz.rego.cursor import Cursor, Failure
from authz.rego.tokens import NO_GAP, Comment, Kind, Token

_RULE_SCOPES: Final = ("rule", "document")
_PACKAGE_SCOPES: Final = ("package", "subpackages")


def read_annotations(cursor: Cursor) -> list[nodes.Annotation]:
    """Return the annotations of a source, whose scope is empty where it is not written. Raises CompileError."""
    failures: list[Failure] = []
    annotations = []
    for block in _blocks(cursor.comments):
        start = _token(block[0])
        try:
            document = read_document("\n".join(line.text.removeprefix(" ") for line in block[1:]))
        except AnnotationError as error:
            where = block[min(error.line, len(block) - 1)]
            failures.append(Failure(error.message, _token(where), "the lines below `# METADATA` are YAML"))
            continue
        annotations.append(nodes.Annotation(str(document.get("scope", "")), document, cursor.location(start)))
    if failures:
        raise cursor.error(failures)
    return annotations


def attach(module: nodes.Module, annotations: list[nodes.Annotation], cursor: Cursor) -> nodes.Module:
    """Return `module` with each annotation at the statement that follows it. Raises CompileError."""
    if not annotations:
        return module
    statements = _statements(module)
    rows = [row for row, _ in statements]
    failures: list[Failure] = []
    scoped: list[nodes.Annotation] = []
    by_rule: dict[int, list[nodes.Annotation]] = {}
    by_path: dict[tuple[object, ...], list[nodes.Annotation]] = {}
    for written in annotations:
        position = bisect_right(rows, written.location.row)
        target = statements[position][1] if position < len(statements) else None
        annotation = _with_scope(written, target)
        fault = _misplaced(annotation, target)
        if fault is not None:
            failures.append(Failure(fault, Token(Kind.EOF, "#", annotation.location.row, annotation.location.col, NO_GAP)))
        scoped.append(annotation)
        if isinstance(target, nodes.Rule):
            if annotation.scope == "document":
                by_path.setdefault(_path(target), []).append(annotation)
            else:
                by_rule.setdefault(id(target), []).append(annotation)
    if failures:
        raise cursor.error(failures)
    rules = tuple(replace(rule, annotations=(*by_path.get(_path(rule), ()), *by_rule.get(id(rule), ()))) for rule in module.rules)
    return replace(module, rules=rules, annotations=tuple(scoped))


def _blocks(comments: list[Comment]) -> list[list[Comment]]:
    """Return the METADATA blocks: a marker in the first column and the comments in that column of the rows that follow."""
    blocks: list[list[Comment]] = []
    is_open = False
    previous = 0
    for comment in comments:
        begins = comment.col == 1 and comment.text.strip().startswith("METADATA")
        if is_open and not begins and comment.row == previous + 1 and comment.col == 1:
            blocks[-1].append(comment)
        else:
            is_open = begins
            if is_open:
                blocks.append([comment])
        previous = comment.row
    return blocks


def _token(comment: Comment) -> Token:
    return Token(Kind.EOF, "#" + comment.text, comment.row, comment.col, NO_GAP)


_Statement = nodes.Rule | nodes.Import | str | None


def _statements(module: nodes.Module) -> list[tuple[int, _Statement]]:
    statements: list[tuple[int, _Statement]] = [(module.package_location.row, "package")]
    statements.extend((each.location.row, each) for each in module.imports)
    statements.extend((rule.location.row, rule) for rule in module.rules)
    return sorted(statements, key=lambda statement: statement[0])


def _with_scope(annotation: nodes.Annotation, target: _Statement) -> nodes.Annotation:
    """Fill in the scope that a block without one has by its place."""
    scope = annotation.scope
    if not scope:
        if isinstance(target, nodes.Rule):
            scope = "document" if annotation.document.get("entrypoint") else "rule"
        elif target == "package":
            scope = "package"
        elif target is not None:
            scope = "import"  # not a scope, so that it is reported
    return replace(annotation, scope=scope, document={**annotation.document, "scope": scope})


def _misplaced(annotation: nodes.Annotation, target: _Statement) -> str | None:
    scope = annotation.scope
    have = "rule" if isinstance(target, nodes.Rule) else "package" if target == "package" else "import" if target else None
    suffix = f" (have {have})" if have else ""
    if scope in _RULE_SCOPES and not isinstance(target, nodes.Rule):
        return f"annotation scope '{scope}' must be applied to rule{suffix}"
    if scope in _PACKAGE_SCOPES and target != "package":
        return f"annotation scope '{scope}' must be applied to package{suffix}"
    if scope not in (*_RULE_SCOPES, *_PACKAGE_SCOPES):
        return f"invalid annotation scope '{scope}'"
    if annotation.document.get("entrypoint") and scope not in ("document", "package"):
        return f"annotation entrypoint applied to non-document or package scope '{scope}'"
    return None


def _path(rule: nodes.Rule) -> tuple[object, ...]:
    """Return the ground beginning of a rule's reference, which is what `document` scope goes by."""
    ref = rule.head.ref
    path: list[object] = [ref.head]
    for step in ref.args:
        if not isinstance(step, nodes.Scalar):
            break
        path.append(step)
    return tuple(path)
