"""A group of commands: loads only the one that runs, and ends an error as one message on stderr and an exit code.

What is not an `AuthzError` is a defect of ours and keeps its traceback.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any, Final, cast

import click
from rich.console import Console
from rich.text import Text

from authz.errors import AuthzError, ErrorCode

EXIT_INPUT: Final = 1
"""What was handed in is wrong: a policy does not compile, a file cannot be read."""

EXIT_USAGE: Final = 2
"""How it was called is wrong: flags, configuration, addresses (click's own usage errors end so too)."""

_USAGE_CODES: Final = frozenset({ErrorCode.CONFIG, ErrorCode.ADDRESS})


class Group(click.Group):
    """A click group whose commands are named as `module:attribute`: `authz version` need not load the server."""

    def __init__(self, *args: Any, commands_by_name: Mapping[str, str], **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self._commands_by_name = commands_by_name

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the commands' names."""
        return sorted(self._commands_by_name)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Load a command; None if there is none of this name."""
        if cmd_name not in self._commands_by_name:
            return None
        module, _, attribute = self._commands_by_name[cmd_name].partition(":")
        return cast(click.Command, getattr(importlib.import_module(module), attribute))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand; end the process if it raises an AuthzError."""
        try:
            return super().invoke(ctx)
        except AuthzError as error:
            report(error)
            sys.exit(EXIT_USAGE if error.code in _USAGE_CODES else EXIT_INPUT)


def report(error: AuthzError) -> None:
    """Print the error and its help on stderr."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    text = str(error)
    console.print(Text.assemble(("error: ", "bold red"), text))
    if error.help and error.help not in text:
        console.print(Text.assemble(("help: ", "bold cyan"), error.help))
