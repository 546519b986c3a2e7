from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from authz import __version__
from authz.cli.group import Group
from authz.cli.main import main
from authz.errors import AuthzError, ErrorCode
from tests.serving import run_authz


def failing_with(error: Exception) -> click.Command:
    class One(Group):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
            return command

    @click.command()
    def command() -> None:
        raise error

    return One(name="authz", commands_by_name={"fail": "unused:unused"})


class UsageFault(AuthzError):  # noqa: N818 - a name for a test
    code = ErrorCode.CONFIG


class InputFault(AuthzError):  # noqa: N818 - a name for a test
    code = ErrorCode.POLICY_COMPILE


@pytest.mark.parametrize(("error", "code"), [(UsageFault("wrong [flag]", help="use another"), 2), (InputFault("wrong [policy]"), 1)])
def test_an_error_of_the_users_is_one_message_and_an_exit_code(error: AuthzError, code: int) -> None:
    result = CliRunner().invoke(failing_with(error), ["fail"])
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.splitlines()[0] == f"error: {error.message}"
    assert ("help: use another" in result.stderr) == (error.help is not None)


def test_a_defect_of_ours_keeps_its_traceback() -> None:
    result = CliRunner().invoke(failing_with(ZeroDivisionError("oops")), ["fail"])
    assert isinstance(result.exception, ZeroDivisionError)


def test_a_long_message_is_not_wrapped() -> None:
    result = CliRunner().invoke(failing_with(InputFault("word " * 100)), ["fail"])
    assert len(result.stderr.splitlines()) == 1


def test_the_version_is_printed() -> None:
    done = run_authz("version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{__version__}\n", "")


@pytest.mark.parametrize("args", [["no-such-command"], ["--no-such-flag"], ["serve", "--addr"]])
def test_a_command_line_that_means_nothing_is_a_usage_error(args: list[str]) -> None:
    result = CliRunner().invoke(main, args)
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr


def test_help_lists_every_command() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    assert all(f"\n  {name} " in result.stdout for name in ("check", "compile", "deps", "eval", "serve", "test", "version"))


def test_a_command_loads_only_what_it_needs() -> None:
    program = "import sys; from authz.cli.main import main; main(['version'], standalone_mode=False); print('aiohttp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [__version__, "False"]
