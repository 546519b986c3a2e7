"""A module as it is laid out: package, imports, rules, and the comments between them.

Knows the order of the statements; what they look like inside is the other writers'.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from authz.rego import nodes
from authz.rego.formatting.write_rules import RuleWriter
from authz.rego.formatting.writer import comment_text
from authz.rego.nodes import Import, Rule
from authz.rego.tokens import Comment


class ModuleWriter(RuleWriter):
    """Writes modules."""

    def module(self, imports: Sequence[Import], v1_import: Import | None) -> str:
        """Return the text of the module with `imports` and, if given, an `import rego.v1` that is not in the source."""
        module = self.written.module
        self._package(module)
        statements: list[Import | Rule] = [*imports, *module.rules]
        if v1_import is not None and module.rules and v1_import.location.row >= module.rules[0].location.row:
            self._imports([v1_import])
        elif v1_import is not None:
            statements.append(v1_import)
        statements.sort(key=lambda each: (each.location.row, each.location.col))
        for kind, group in groupby(statements, key=type):
            if kind is Import:
                self._imports([each for each in group if isinstance(each, Import)])
            else:
                self.rules([each for each in group if isinstance(each, Rule)])
        for comment in self.comments[self.written_comments :]:
            self.write_comments([comment])
        return "".join(self.parts).rstrip("\n") + "\n"

    def _package(self, module: nodes.Module) -> None:
        self.comments_until(module.package_location.row)
        self.start_line()
        self.write("package ")
        self.path(module.package, self.written.index(module.package_location) + 1)
        self.end_line()
        self.blank_line()

    def _imports(self, imports: Sequence[Import]) -> None:
        """Write imports, sorted within the groups that empty lines and comments make of them."""
        beside = self._comments_beside(imports)
        group: list[Import] = []
        for each in imports:
            if group and each.location.row - group[-1].location.row > 1:
                self._import_group(group, beside)
                group = []
            group.append(each)
        self._import_group(group, beside)

    def _comments_beside(self, imports: Sequence[Import]) -> dict[int, Comment]:
        """Take the comments behind imports away from the others: they go where their imports go."""
        rows = {each.location.row for each in imports}
        ahead = self.comments[self.written_comments :]
        beside = {comment.row: comment for comment in ahead if comment.row in rows}
        self.comments = [comment for comment in ahead if comment.row not in rows]
        self.written_comments = 0
        return beside

    def _import_group(self, group: list[Import], beside: dict[int, Comment]) -> None:
        self.comments_until(group[0].location.row)
        for each in sorted(group, key=lambda each: (each.path, each.alias or "")):
            self.start_line()
            self.write("import ")
            self._import_path(each)
            if each.alias is not None:
                self.write(f" as {each.alias}")
            comment = beside.pop(each.location.row, None)
            if comment is not None:
                self.write(f" {comment_text(comment)}")
            self.end_line()
        self.blank_line()

    def _import_path(self, each: Import) -> None:
        if each.path[0] in ("rego", "future"):  # it may be ours, without a place in the source
            self.write(".".join(each.path))
        else:
            self.path(each.path, self.written.index(each.location) + 1)
