"""Generated code: deterministic, free of what an author wrote, confined to what it may touch, and traceable to its source."""

from __future__ import annotations

import ast
import hashlib
import pickle
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authz import rego
from authz.rego.artifact import Artifact
from authz.rego.runtime import EXPORTED, Context
from tests.rego.oracle_policies import make_case

EVERYTHING = """package t

import data.grants

names := {"a", "b", "c", {"x", "y"}, {"k": {"v", "w"}}}

default allow := false

allow if { input.method in {"GET", "POST", "PUT"}; input.path == "/a" }
allow if { input.method in {"GET", "DELETE", "PATCH"}; startswith(input.path, "/b/") }
allow if { "admin" in input.roles; not input.method in {"TRACE", "CONNECT"} }
allow if { some g in grants; g.path == input.path; g.methods[_] == input.method }

h := {x | some x in names}
f(x) := x if x in {"GET", "POST", "PUT"}
f(x) := y if { y := upper(x); every z in [1, 2] { z < 3 } } else := 7
p[k] := {1, 2, 3, "a", "b"} if some k in data.words
n[a].b contains c if { [a, c] = input.pair }
w if { count(names) > 2 with data.words as {"n1", "n2"} with input as {"z", "y"} with f as 1 }
w if { time.now_ns() > 1; walk(input, [path, value]); not path == value }
q := data.u
"""
OTHER = 'package u\nx := {"one", "two", "three"}\n'
DATA = {"words": ["a", "b"], "grants": [{"path": "/c", "methods": ["GET"]}]}


def everything(*, optimize: bool = True) -> rego.Policy:
    return rego.compile({"b.rego": OTHER, "a.rego": EVERYTHING}, DATA, optimize=optimize)


# Determinism

DIGEST = """
import hashlib, sys
from authz import rego
from tests.rego.test_codegen import everything
for optimize in (True, False):
    policy = everything(optimize=optimize)
    print(hashlib.sha256(policy.artifact.text.encode()).hexdigest(), hashlib.sha256(policy.to_bytes()).hexdigest())
"""


def digests(hash_seed: str) -> str:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", DIGEST], capture_output=True, text=True, check=True, cwd=root, env={"PYTHONHASHSEED": hash_seed, "PATH": ""}
    )
    return done.stdout


def test_the_same_source_gives_the_same_bytes_whatever_the_hash_seed_of_the_process() -> None:
    found = {digests(seed) for seed in ("0", "1", "2", "77")}
    assert len(found) == 1
    assert len(found.pop().split()) == 4


def test_the_order_of_the_modules_does_not_matter() -> None:
    one = rego.compile({"a.rego": EVERYTHING, "b.rego": OTHER}, DATA)
    two = rego.compile({"b.rego": OTHER, "a.rego": EVERYTHING}, DATA)
    assert one.artifact.text == two.artifact.text
    assert one.to_bytes() == two.to_bytes()


# What generated text consists of

ATTRIBUTES = {
    "get",
    "input",
    "memo",
    "data",
    "select",
    "failed",
    "append",
    "add",
    "bit_length",
    "__class__",
    "steps",
    "startswith",
    "endswith",
}


def foreign(artifact: Artifact) -> set[str]:
    """Return what the text names beyond the runtime's exports, its pool and its own functions and variables."""
    tree = ast.parse(artifact.text)
    supplied = set(EXPORTED) | {"True", "False"}
    for prefix, items in (("K", artifact.constants), ("L", artifact.locations), ("T", artifact.tables), ("P", artifact.places)):
        supplied |= {f"{prefix}{index}" for index in range(len(items))}
    for index in range(len(artifact.builtins)):
        supplied |= {f"B{index}", f"B{index}_lifted"}
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    own |= {target.id for node in tree.body if isinstance(node, ast.Assign) for target in node.targets if isinstance(target, ast.Name)}
    found: set[str] = set()
    for node in tree.body:
        found |= read_names(node) - assigned_names(node)
    return found - own - supplied


def read_names(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def assigned_names(tree: ast.AST) -> set[str]:
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    names |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return names | {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.name}


def check_confined(artifact: Artifact) -> None:
    tree = ast.parse(artifact.text)
    assert foreign(artifact) == set()
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Import | ast.ImportFrom | ast.Global | ast.Nonlocal | ast.Lambda | ast.ClassDef | ast.Delete)
        if isinstance(node, ast.Attribute):
            assert node.attr in ATTRIBUTES
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert node.value in {"complete", "function", "input", "data", "value", "call", "rule"}


@pytest.mark.parametrize("optimize", [True, False])
def test_generated_code_names_only_what_it_is_given(optimize: bool) -> None:
    check_confined(everything(optimize=optimize).artifact)


def test_generated_code_of_random_policies_names_only_what_it_is_given() -> None:
    checked = 0
    for seed in range(500, 560):
        case = make_case(seed)
        try:
            check_confined(rego.compile({"p.rego": case.source}, case.data).artifact)
        except rego.CompileError:
            continue
        checked += 1
    assert checked > 30


def test_generated_code_runs_without_pythons_built_ins() -> None:
    assert EXPORTED["__builtins__"] == {}
    assert not {"eval", "exec", "open", "getattr", "type", "print", "__import__"} & set(EXPORTED)


# Nothing an author wrote becomes code

MARK = "h0stile"
TEXTS = (
    f"{MARK}' + __import__('os').system('x') + '",
    f'{MARK}" + c.data + "',
    f"{MARK}\\n    raise SystemExit\\n",
    f"{{{MARK}}} %({MARK})s {{0.__class__}}",
    f"{MARK}\\u2028\\u0000\\ud83d\\ude00",
    f"#{MARK}",
    f"'''{MARK}",
)


HOSTILE = """package t
# h0stile __import__("os")
allow if input[TEXT] == TEXT
allow if startswith(input.x, TEXT)
allow if input.y in {TEXT, 1}
o[TEXT] := {TEXT: [TEXT]} if not input.z == TEXT
h0stile_rule(h0stile_arg) := h0stile_local if { h0stile_local := [h0stile_arg, TEXT] }
w if h0stile_rule(1)[0] == 1 with input.h0stile as TEXT with data.h0stile as TEXT
"""


@pytest.mark.parametrize("text", TEXTS)
def test_hostile_strings_never_appear_in_generated_text(text: str) -> None:
    quoted = '"' + text.replace('"', '\\"') + '"'
    policy = rego.compile({f"{MARK}.rego": HOSTILE.replace("TEXT", quoted)}, {MARK: {text: 1}})
    assert MARK not in policy.artifact.text
    check_confined(policy.artifact)
    (value,) = policy.query(f"x = {quoted}", input={})
    assert policy.entrypoint("t/allow").decide({value["x"]: value["x"]}) is True
    assert policy.entrypoint("t/o").decide({"z": 1}) == {value["x"]: {value["x"]: [value["x"]]}}


def test_hostile_names_never_appear_in_generated_text() -> None:
    source = """package __class__.__init__

__import__ := __builtins__ if __builtins__ := input.__globals__
c := exec if exec := input.memo
self(eval, open) := [eval, open]
v contains m if some m in input.None
ok if { self(1, 2) == [1, 2]; not c; __import__ }
"""
    policy = rego.compile({"__main__": source})
    for name in ("__import__", "__builtins__", "__globals__", "exec", "eval", "open", "self", "None :"):
        assert name not in policy.artifact.text
    check_confined(policy.artifact)
    assert policy.entrypoint("__class__/__init__/ok").decide({"__globals__": 1}) is True


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=40))
def test_any_string_is_a_constant_and_stays_one(text: str) -> None:
    raw = text.replace("`", "").replace("\r", "")
    try:
        policy = rego.compile({"p.rego": f"package t\np := `{raw}`\nq if input.x == `{raw}`\n"})
    except rego.CompileError:
        assert any(0xD800 <= ord(char) < 0xE000 or char in "\x00\ufeff" for char in raw)
        return
    check_confined(policy.artifact)
    assert policy.entrypoint("t/p").decide({}) == raw
    assert policy.entrypoint("t/q").decide({"x": raw}) is True


# Locations

CONFLICT = """package t

v := 1 if input.a

v := 2 if {
	input.b
	some x in input.xs
	lower(x) == "q"
}
"""


@pytest.mark.parametrize("optimize", [True, False])
def test_lines_of_generated_code_map_to_lines_of_rego(optimize: bool) -> None:
    artifact = rego.compile({"p.rego": CONFLICT}, optimize=optimize).artifact
    lines = artifact.text.split("\n")
    assert len(lines) == len(artifact.line_map)
    mapped = {location.row for location in artifact.line_map if location is not None}
    assert ({7, 8} if optimize else {6, 7, 8}) <= mapped  # what a row's cells say is in no code
    assert all(location is None or location.file == "p.rego" for location in artifact.line_map)


def test_a_traceback_shows_the_generated_line_and_its_map_names_the_rego_line() -> None:
    policy = rego.compile({"p.rego": CONFLICT}, optimize=False)
    # A value of a type that Rego does not have, so that the built-in `lower` fails in a way that nothing handles.
    alien: Any = object()
    context = Context(rego.Object({"b": rego.TRUE, "xs": (alien,)}), rego.Object(), policy.artifact.memo_size, 0)
    with pytest.raises(KeyError) as caught:
        policy._namespace[policy.artifact.functions[("data", "t", "v")]](context)
    frames = [frame for frame in traceback.extract_tb(caught.value.__traceback__) if frame.filename == "<rego policy>"]
    assert frames[-1].line is not None
    assert frames[-1].lineno is not None
    location = policy.artifact.line_map[frames[-1].lineno - 1]
    assert location is not None
    assert (location.file, location.row) == ("p.rego", 8)


@pytest.mark.parametrize("optimize", [True, False])
def test_a_conflict_names_file_and_line_of_the_rule_that_disagrees(optimize: bool) -> None:
    policy = rego.compile({"p.rego": CONFLICT}, optimize=optimize)
    with pytest.raises(rego.EvalError) as caught:
        policy.entrypoint("t/v").decide({"a": 1, "b": 1, "xs": ["Q"]})
    assert str(caught.value) == "p.rego:5: eval_conflict_error: complete rules must not produce multiple outputs"


def test_a_strict_built_in_error_names_file_and_line_of_the_call() -> None:
    policy = rego.compile({"p.rego": "package t\n\np if {\n\tinput.x\n\tto_number(input.x) == 1\n}\n"})
    with pytest.raises(rego.EvalError) as caught:
        policy.query("data.t.p", input={"x": "no"}, strict_builtin_errors=True)
    assert caught.value.code == "eval_builtin_error"
    assert (caught.value.location.file, caught.value.location.row) == ("p.rego", 5)


# Another process

REQUESTS: tuple[Any, ...] = (
    {}, {"method": "GET", "path": "/a"}, {"method": "PATCH", "path": "/b/x"}, {"roles": ["admin"], "method": "TRACE"},
    {"roles": ["x", "admin"]}, {"method": "GET", "path": "/c"}, {"method": 1, "path": None}, {"pair": [1, {"x": 2}]},
)  # fmt: skip


@pytest.mark.parametrize("optimize", [True, False])
def test_a_policy_handed_over_as_bytes_decides_alike(optimize: bool) -> None:
    policy = everything(optimize=optimize)
    copy = rego.Policy.from_bytes(policy.to_bytes())
    assert copy.entrypoints == policy.entrypoints
    for path in policy.entrypoints:
        before, after = policy.entrypoint(path), copy.entrypoint(path)
        assert (before.reads, before.table) == (after.reads, after.table)
        for request in REQUESTS:
            assert before.decide(request, now_ns=5) == after.decide(request, now_ns=5)
    assert copy.query("data.t.f(x) = y; x = 1", input={}) == policy.query("data.t.f(x) = y; x = 1", input={})


def test_a_policy_handed_over_twice_gives_the_same_bytes() -> None:
    first = everything().to_bytes()
    second = rego.Policy.from_bytes(first).to_bytes()
    assert rego.Policy.from_bytes(second).artifact.text == rego.Policy.from_bytes(first).artifact.text
    assert hashlib.sha256(second).digest() == hashlib.sha256(rego.Policy.from_bytes(second).to_bytes()).digest()


def test_compile_errors_survive_the_way_between_processes() -> None:
    with pytest.raises(rego.CompileError) as caught:
        rego.compile({"p.rego": "package t\np if x"})
    copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert str(copy) == str(caught.value)
    assert (copy.code, copy.location) == (caught.value.code, caught.value.location)
