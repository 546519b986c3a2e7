"""What an unknown name was probably meant to be, also across modules and in large policies."""

from __future__ import annotations

import time

import pytest

from authz import rego

OTHERS = {
    "roles.rego": "package auth.roles\nis_admin if input.user.admin\nof(user) := user.roles",
    "net.rego": "package net\nhas_port(x) if x.port",
}


def helps(text: str) -> list[str | None]:
    with pytest.raises(rego.CompileError) as caught:
        rego.compile({"p.rego": f"package auth.main\n{text}", **OTHERS})
    return [diagnostic.help for diagnostic in caught.value.diagnostics]


@pytest.mark.parametrize(
    ("text", "help"),
    [
        ("p if roles.is_admin", "the package is `data.auth.roles`: write that, or import it"),
        ("p if auth.roles.is_admin", "the package is `data.auth`: write that, or import it"),
        ("p if is_admin", "`is_admin` is a rule of another package: `data.auth.roles.is_admin`"),
        ("import data.auth.roles\np if roles.off(1)", "did you mean `data.auth.roles.of`?"),
        ("import data.auth.roles\np if roles.all_of_them(1)", "the functions of `data.auth.roles` are `of`"),
        ("p if data.auth.role.of(1)", "no function is defined in `data.auth.role`"),
        ("p if time.now", "`time` begins the names of built-in functions, as in `time.now_ns(…)`"),
        ("p if count > 1", "`count` is a function: it is called, `count(…)`"),
        ("users := {}\np if user[input.x]", "did you mean `users`?"),
        ("p if { user := input.user; every role in user.roles { role > 1; rol == 1 } }", "did you mean `role`?"),
        ("p := input.headers.x-forwarded-for", 'a key with a dash is written in brackets: `["x-forwarded-for"]`'),
        ("p if input.headers.x-a == 1", 'a key with a dash is written in brackets: `["x-a"]`'),
        ("p := input.a - total", 'nothing binds the variable `total`; a text is written `"total"`'),
        ("p := {allow: true}", 'nothing binds the variable `allow`; a text is written `"allow"`'),
        ("and.x := 1\np if and({1}, {2}) == set()", "a rule or an import hides the built-in: rename it"),
    ],
)
def test_a_name_is_compared_with_those_there_are(text: str, help: str) -> None:
    assert set(helps(text)) == {help}


def test_two_names_that_mean_nothing_do_not_suggest_each_other() -> None:
    assert not any("did you mean" in (help or "") for help in helps("p if { usera == userb }"))


def test_many_unknown_functions_among_many_known_ones_are_refused_quickly() -> None:
    known = "\n".join(f"function_{index}(x) := x" for index in range(3_000))
    unknown = "\n".join(f"p if funktion_{index}(1)" for index in range(3_000))
    began = time.perf_counter()
    assert len(helps(f"{known}\n{unknown}")) == 10
    assert time.perf_counter() - began < 20
