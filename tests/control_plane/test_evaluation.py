"""Discovery bundles evaluated by the compile worker, a real process: what comes back, and what is wrong with them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from authz.control_plane.compiling import BundleCompiler, CompileSettings, Wanted
from authz.control_plane.contents import Archive, Parts
from authz.errors import ErrorCode
from authz.refresh.compilers import Compilers
from authz.refresh.messages import Evaluated, EvaluateResponse, Failed
from authz.services.resolution import DownloadSettings
from tests.bundle.archives import archive

NAME = "discovery"


def evaluated(
    contents: Mapping[str, str | bytes], path: tuple[str, ...] = (), *more: bytes, timeout_s: float = 60.0, **runtime: Any
) -> EvaluateResponse:
    parts = Parts(NAME, tuple(map(Archive.of, (archive(contents), *more))))
    settings = CompileSettings("", timeout_s=timeout_s, must_be_signed=False)
    wanted = Wanted({NAME: DownloadSettings(NAME, None, "")})
    compiler = BundleCompiler(settings, Compilers(is_ahead=False))
    return asyncio.run(compiler.evaluate(parts, wanted, path, json.dumps(runtime)))


def document(*args: Any, **runtime: Any) -> Any:
    answer = evaluated(*args, **runtime)
    assert isinstance(answer, Evaluated), answer
    return json.loads(answer.document)


def failed(*args: Any, **options: Any) -> Failed:
    answer = evaluated(*args, **options)
    assert isinstance(answer, Failed)
    return answer


def test_without_a_decision_all_of_the_data_is_the_configuration_and_no_manifest() -> None:
    contents = {
        "data.json": '{"bundles": {"a": {}}}',
        "d.rego": "package labels\n\nteam := opa.runtime().env.TEAM\n",
        ".manifest": '{"revision": "r"}',
    }
    assert document(contents, env={"TEAM": 'a "b" \\ ${c} \u2028'}) == {"bundles": {"a": {}}, "labels": {"team": 'a "b" \\ ${c} \u2028'}}


def test_a_decision_may_have_any_name() -> None:
    assert document({"data.json": '{"a-b": {"c\\"d": {"x": 1.5, "y": 12345678901234567890}}}'}, ("a-b", 'c"d')) == {
        "x": 1.5,
        "y": 12345678901234567890,
    }


def test_roots_say_nothing_of_a_configuration() -> None:
    contents = {"d.rego": "package a\n\nb := 1\n", ".manifest": '{"roots": ["a"], "revision": "r7"}'}
    answer = evaluated(contents, ("a",))
    assert isinstance(answer, Evaluated)
    assert (json.loads(answer.document), answer.bundle.revision, answer.bundle.is_delta) == ({"b": 1}, "r7", False)


def test_a_module_has_the_version_that_its_manifest_says() -> None:
    assert document({"d.rego": "package a\n\nb { true }\n", ".manifest": '{"rego_version": 0}'}, ("a", "b")) is True


def test_a_delta_changes_what_came_before() -> None:
    delta = archive({"patch.json": '{"data": [{"op": "upsert", "path": "/a", "value": 2}]}'})
    assert document({"data.json": '{"a": 1}'}, ("a",), delta) == 2


@pytest.mark.parametrize("contents", [{"data.json": "{}"}, {"d.rego": "package config\n\nx if false\n"}])
def test_what_has_no_value_is_refused_in_opas_words(contents: dict[str, str]) -> None:
    answer = failed(contents, ("config", "x"))
    assert (answer.code, answer.message, answer.is_final) == (ErrorCode.BUNDLE, "undefined configuration", True)
    assert answer.help == "`data.config.x` has no value in the discovery bundle"


def test_what_does_not_compile_is_told_with_its_places() -> None:
    answer = failed({"d.rego": "package a\n\nb := x\n\nc := y\n"}, ("a",))
    assert answer.code == ErrorCode.POLICY_COMPILE
    assert [error["location"]["row"] for error in answer.errors] == [3, 5]
    assert {error["location"]["file"] for error in answer.errors} == {"discovery/d.rego"}


def test_what_conflicts_is_told() -> None:
    answer = failed({"d.rego": "package a\n\nb := 1 if opa.runtime().x\n\nb := 2 if opa.runtime().x\n"}, ("a", "b"), x=True)
    assert "eval_conflict_error" in answer.message


def test_what_never_ends_is_ended() -> None:
    endless = "package a\n\nb := count([1 | numbers.range(1, 5000)[_]; numbers.range(1, 5000)[_]; numbers.range(1, 5000)[_]])\n"
    answer = failed({"d.rego": endless}, ("a", "b"), timeout_s=2.0)
    assert answer.message
    assert not answer.is_final
