from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from authz.cli.main import main
from tests.serving import run_authz, write

BAD = "package  a\np:=1\n"
GOOD = "package a\n\np := 1\n"
BROKEN = "package a\n\np :=\n"


def fmt(*args: str | Path, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, ["fmt", *map(str, args)], input=stdin)


def files(folder: Path, **texts: str) -> Path:
    return write(folder, {f"{name}.rego": text for name, text in texts.items()})


def test_standard_input_is_formatted_to_standard_output() -> None:
    for args in ((), ("-",), ("--write",), ("-l",), ("-d", "--fail")):
        result = fmt(*args, stdin=BAD)
        assert (result.exit_code, result.stdout, result.stderr) == (0, GOOD, "")


def test_standard_input_that_does_not_parse_is_an_error() -> None:
    result = fmt(stdin=BROKEN)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("1 error occurred:\nstdin:4:1: rego_parse_error: unexpected eof token")


def test_files_are_printed_one_after_the_other(tmp_path: Path) -> None:
    files(tmp_path, a=BAD, b=GOOD, c="package c")
    result = fmt(tmp_path / "a.rego", tmp_path / "b.rego", tmp_path / "c.rego")
    assert (result.exit_code, result.stdout) == (0, GOOD + GOOD + "package c\n")


def test_directories_are_walked_by_name(tmp_path: Path) -> None:
    write(tmp_path, {"b/x.rego": BAD, "a.rego": BAD, "c.rego": GOOD, ".h/y.rego": BAD, "b/note.txt": BAD, "b/z_test.rego": BAD})
    (tmp_path / "link").symlink_to(tmp_path / "b")
    result = fmt("--list", tmp_path)
    assert result.stdout.splitlines() == [f"{tmp_path}/{name}" for name in (".h/y.rego", "a.rego", "b/x.rego", "b/z_test.rego")]


def test_what_is_no_policy_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, {"data.json": "{}"})
    result = fmt(tmp_path / "data.json")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


def test_write_overwrites_what_changes_and_nothing_else(tmp_path: Path) -> None:
    files(tmp_path, a=BAD, b=GOOD)
    (tmp_path / "a.rego").chmod(0o640)
    os.utime(tmp_path / "b.rego", (1, 1))
    result = fmt("--write", tmp_path)
    assert (result.exit_code, result.stdout) == (0, "")
    assert (tmp_path / "a.rego").read_text() == GOOD
    assert (tmp_path / "a.rego").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "b.rego").stat().st_mtime == 1


def test_diff_can_be_patched_in(tmp_path: Path) -> None:
    files(tmp_path, a="package  a\n\np := 1 # é", b=GOOD)
    result = fmt("--diff", tmp_path)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"--- {tmp_path}/a.rego",
        f"+++ {tmp_path}/a.rego (formatted)",
        "@@ -1,3 +1,3 @@",
        "-package  a",
        "+package a",
        " ",
        "-p := 1 # é",
        "\\ No newline at end of file",
        "+p := 1 # é",
    ]


@pytest.mark.parametrize(
    ("flags", "stdout", "code"),
    [
        (("--fail",), GOOD, 2),
        (("--fail", "--write"), "", 2),
        (("--fail", "--list"), "{folder}/a.rego\n{folder}/c.rego\n", 2),
        (("--list", "--write"), "{folder}/a.rego\n{folder}/c.rego\n", 0),
    ],
)
def test_fail_and_list_write_nothing(tmp_path: Path, flags: tuple[str, ...], stdout: str, code: int) -> None:
    files(tmp_path, a=BAD, b=GOOD, c=BAD)
    result = fmt(*flags, tmp_path)
    assert (result.exit_code, result.stdout) == (code, stdout.format(folder=tmp_path))
    assert (tmp_path / "a.rego").read_text() == BAD


def test_fail_is_content_with_what_is_laid_out(tmp_path: Path) -> None:
    files(tmp_path, a=GOOD)
    assert fmt("--fail", "--diff", tmp_path).exit_code == 0


def test_a_file_that_does_not_parse_does_not_keep_the_others(tmp_path: Path) -> None:
    files(tmp_path, a=BAD, b=BROKEN, c=BAD, d="")
    result = fmt("--write", tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{tmp_path}/b.rego:4:1: rego_parse_error: unexpected eof token" in result.stderr
    assert f"{tmp_path}/d.rego:1:1: rego_parse_error: empty module" in result.stderr
    assert (tmp_path / "c.rego").read_text() == GOOD


def test_a_path_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    files(tmp_path, a=BAD)
    result = fmt(tmp_path / "nope.rego", tmp_path / "a.rego")
    assert (result.exit_code, result.stdout) == (1, GOOD)
    assert f"{tmp_path}/nope.rego: no such file or directory" in result.stderr


def test_a_file_that_is_not_utf8_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.rego").write_bytes(b"package a # \xff\n")
    done = run_authz("fmt", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: {tmp_path}/a.rego: not valid UTF-8\n"


def test_rego_v0_is_read_and_written_with_the_flags_for_it() -> None:
    source = "package a\n\nimport future.keywords.in\n\np[x] { x = 1 }\n"
    assert fmt(stdin=source).exit_code == 1
    assert fmt("--v0-compatible", stdin=source).stdout == "package a\n\nimport future.keywords.in\n\np[x] {\n\tx = 1\n}\n"
    both = "package a\n\nimport rego.v1\n\np contains x if x = 1\n"
    assert fmt("--v0-v1", stdin=source).stdout == both
    assert fmt("--v0-v1", "--v1-compatible", stdin=both.replace("import rego.v1\n\n", "")).stdout == both
    assert fmt("--drop-v0-imports", stdin=both).stdout == both.replace("import rego.v1\n\n", "")


def test_a_result_that_is_no_rego_is_refused_unless_it_is_asked_for() -> None:
    source = "package a\n\np { if := 1; if }\n"
    result = fmt("--v0-v1", stdin=source)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "the formatted text is not Rego v0" in result.stderr
    assert "if := 1" in fmt("--v0-v1", "--check-result=false", stdin=source).stdout
