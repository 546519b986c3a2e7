"""The text that is being written: lines, indentation, and the comments above and behind them.

A comment belongs to a row of the source: when a part is written, the comments above its row
come first, and one on its row waits for the end of the line. Knows no grammar.
"""

from __future__ import annotations

import sys
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import Final, NamedTuple

from authz.rego.tokens import Comment

INDENT: Final = "\t"

NO_ROW: Final = sys.maxsize
"""Where there is no further comment: below every row."""


class CommentClashError(Exception):
    """Two comments want the same place, or one has no place in the layout."""


class Mark(NamedTuple):
    """A state of the writer to go back to."""

    size: int
    level: int
    is_inline: bool
    written: int
    waiting: Comment | None
    is_delayed: bool
    may_keep: bool


class Writer:
    """INVARIANT: the first `written_comments` are in `parts`, except the one that is `waiting`.

    While `may_break_lines`, a line ends where two comments meet; otherwise that is a CommentClashError.
    """

    def __init__(self, comments: list[Comment]) -> None:
        self.comments = comments
        self.parts: list[str] = []
        self.level = 0
        self.is_inline = False
        self.written_comments = 0
        self.waiting: Comment | None = None
        self.is_delayed = False
        self.may_break_lines = False
        self.may_keep = True
        """Whether a term in which comments clash may stay as it is written; in a list, it is the list that stays."""

    # Lines

    def write(self, text: str) -> None:
        self.parts.append(text)

    def start_line(self) -> None:
        self.is_inline = True
        self.parts.append(INDENT * self.level)

    def end_line(self) -> None:
        """End the line, with the comment that waits for it unless that is delayed to the next end."""
        self.is_inline = False
        if self.waiting is not None and not self.is_delayed:
            self.parts.append(f" {comment_text(self.waiting)}")
            self.waiting = None
        self.is_delayed = False
        self.parts.append("\n")

    def blank_line(self) -> None:
        self.parts.append("\n")

    # Comments

    @property
    def next_comment_row(self) -> int:
        return self.comments[self.written_comments].row if self.written_comments < len(self.comments) else NO_ROW

    def comment_index(self, row: int, col: int) -> int:
        """Return how many comments stand before a place."""
        return bisect_left(self.comments, (row, col), key=lambda comment: (comment.row, comment.col))

    def has_comment_between(self, above: int, below: int) -> bool:
        """Say whether a comment that is not written yet stands between two rows."""
        position = bisect_right(self.comments, above, lo=self.written_comments, key=lambda comment: comment.row)
        return position < len(self.comments) and self.comments[position].row < below

    def comments_until(self, row: int) -> None:
        """Write the comments above `row`; let the one on it wait for the end of the line."""
        above = self.take_comments(row)
        self.write_comments(above)
        if above and row - above[-1].row > 1:
            self.blank_line()
        if self.next_comment_row == row:
            if self.waiting is not None:
                self._make_way()
                self.start_line()
            self.waiting = self.take_comment()

    def take_comment(self) -> Comment:
        self.written_comments += 1
        return self.comments[self.written_comments - 1]

    def take_comments(self, row: int) -> list[Comment]:
        """Return the comments above `row`; whoever takes them writes them."""
        taken = []
        while self.next_comment_row < row:
            taken.append(self.take_comment())
        return taken

    def write_comments(self, comments: list[Comment]) -> None:
        """Write comments on lines of their own, the first one on the current line, apart as they were."""
        previous = None
        if comments and self.waiting is not None:
            previous = self.waiting
            self._make_way()
        has_metadata = False
        for comment in comments:
            if previous is not None and (comment.row - previous.row > 1 or (has_metadata and is_metadata(comment))):
                self.blank_line()
                has_metadata = False
            has_metadata = has_metadata or is_metadata(comment)
            if not self.is_inline:
                self.start_line()
            self.write(comment_text(comment))
            self.end_line()
            previous = comment

    def _make_way(self) -> None:
        """End the line with the comment that waits, for another one comes."""
        assert self.waiting is not None
        if not self.may_break_lines:
            raise CommentClashError
        self.write(f"{comment_text(self.waiting)}\n")
        self.waiting = None
        self.is_inline = False

    # Attempts

    def attempt(self, write: Callable[[], None]) -> None:
        """Write something; where two comments meet in it, once more with a line break between them."""
        mark = self.mark()
        try:
            write()
        except CommentClashError:
            self.rewind(mark)
        else:
            return
        self.may_break_lines = True
        write()
        self.may_break_lines = False

    def nested(self, write: Callable[[], object]) -> None:
        """Write a part of what stays as it is written if comments clash in it."""
        may_keep = self.may_keep
        self.may_keep = False
        write()
        self.may_keep = may_keep

    def mark(self) -> Mark:
        return Mark(len(self.parts), self.level, self.is_inline, self.written_comments, self.waiting, self.is_delayed, self.may_keep)

    def rewind(self, mark: Mark) -> None:
        del self.parts[mark.size :]
        _, self.level, self.is_inline, self.written_comments, self.waiting, self.is_delayed, self.may_keep = mark


def is_metadata(comment: Comment) -> bool:
    """Say whether a comment begins a METADATA block; each block is apart from the one before."""
    return comment.text.strip().startswith("METADATA")


def comment_text(comment: Comment) -> str:
    return "#" + comment.text.rstrip()
