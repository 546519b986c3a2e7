from __future__ import annotations

from authz.rego import parser
from authz.testing import RegoTest, discover


def found(**sources: str) -> list[RegoTest]:
    return list(discover(parser.parse_module(f"{name}.rego", text) for name, text in sources.items())[1])


def test_tests_are_found_by_their_names_in_any_package() -> None:
    tests = found(a="package a\n\ntest_x if true\n\nhelper if true\n\ntesting := 1\n", b="package b.c\n\ntest_y if true\n")
    assert [test.full_name for test in tests] == ["data.a.test_x", "data.b.c.test_y"]


def test_a_test_may_stand_below_a_name() -> None:
    (test,) = found(a="package a\n\nroles.test_admin if true\n")
    assert (test.full_name, test.keys) == ("data.a.roles.test_admin", ())


def test_what_begins_with_todo_is_skipped() -> None:
    tests = found(a="package a\n\ntodo_test_x if true\n\ntodo_x if true\n")
    assert [(test.name, test.is_skipped) for test in tests] == [("todo_test_x", True)]


def test_rules_of_one_name_are_tests_each_across_files() -> None:
    tests = found(
        a="package a\n\ntest_x if true\n\ntest_x if false\n", b="package a\n\ntest_x if true\n", c="package c\n\ntest_x if true\n"
    )
    assert [test.full_name for test in tests] == ["data.a.test_x", "data.a.test_x#01", "data.a.test_x#02", "data.c.test_x"]


def test_the_keys_of_a_parametrised_test_are_not_part_of_its_name() -> None:
    (test,) = found(a='package a\n\ntest_x[note]["fixed"] if some note in ["n"]\n')
    assert test.full_name == "data.a.test_x"
    assert len(test.keys) == 2


def test_a_function_keeps_all_of_its_rules_under_one_name() -> None:
    modules, tests = discover([parser.parse_module("a.rego", "package a\n\ntest_f(1) := true\n\ntest_f(2) := true\n")])
    assert [(test.name, test.is_function) for test in tests] == [("test_f", True)]
    assert [rule.head.ref for rule in modules[0].rules] == [tests[0].rule.head.ref] * 2
