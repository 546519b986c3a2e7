"""An evaluation stops where an answer is missing, whatever stands around it, and goes on as if it had had the answer all along."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from authz import rego
from authz.rego.errors import EvalError
from authz.rego.pending import MAX_REQUESTS, HttpRequest, Memory, Pending, asking
from authz.rego.values import Object, Value, from_json, to_json

ANSWER = Object({"status_code": 200, "body": Object({"user": "ann"}), "raw_body": "", "status": "200 OK", "headers": Object()})
SEND = 'http.send({"method": "get", "url": "https://a.test/x"})'


def entry(rules: str, path: str = "p/r") -> rego.EntryPoint:
    return rego.compile({"p.rego": f"package p\n\n{rules}\n"}).entrypoint(path)


def evaluate(rules: str, *, strict: bool = False, document: Any = None) -> tuple[Any, list[str]]:
    """Return the value of `r` and the URLs that were asked for: by beginning again, and the same by asking in between."""
    asked: list[str] = []

    def send(request: HttpRequest) -> Object:
        asked.append(request.url)
        return ANSWER

    rule, memory = entry(rules), Memory()
    value = begun_again(lambda: rule.evaluate_with(memory, from_json(document), 7, strict), memory, send)
    urls, asked = asked, []
    inline = rule.evaluate_with(asking(send), from_json(document), 7, strict)
    if "uuid" not in rules:
        assert (inline, asked) == (value, urls)
    return (None if value is None else to_json(value)), urls


def begun_again(run: Callable[[], Value | None], memory: Memory, send: Callable[[HttpRequest], Object]) -> Value | None:
    """Evaluate until no answer is missing."""
    try:
        return run()
    except Pending as pending:
        memory.answer(pending.request, send(pending.request))
        return begun_again(run, memory, send)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (f"r := {SEND}.status_code", 200),
        (f"r if {SEND}.status_code == 200", True),
        (f"r if not {SEND}.status_code == 500", True),
        (f"r if not {SEND}.nothing", True),
        (f"r := [x | x := {SEND}.body[_]]", ["ann"]),
        (f"r := {{x | some x in [{SEND}.body.user]}}", ["ann"]),
        (f"r := {{k: v | some k, v in {SEND}.body}}", {"user": "ann"}),
        (f"r if every x in [1, 2] {{ {SEND}.status_code > x }}", True),
        (f"default r := 1\n\nr := 2 if {SEND}.status_code == 500", 1),
        (f"r := 1 if {SEND}.status_code == 500\n\nelse := 2", 2),
        (f"r contains {SEND}.status_code\n\nr contains 1", [1, 200]),
        (f"r.a := {SEND}.status_code\n\nr.b := 1", {"a": 200, "b": 1}),
        (f"f(x) := {SEND}.status_code + x\n\nr := f(1)", 201),
        (f"r := x if x := q with input as {SEND}.body\n\nq := input.user", "ann"),
        (f"r := x if {{\n\tx := {SEND}.status_code\n\tinput.a == 1\n}}", None),
        ('r := x if x := q with http.send as {"status_code": 1}\n\nq := ' + SEND, {"status_code": 1}),
        ('r := x if x := q with http.send as mock\n\nmock(_) := {"status_code": 2}\n\nq := ' + SEND, {"status_code": 2}),
    ],
)
def test_an_evaluation_with_answers_has_the_value_that_it_would_have(rules: str, expected: Any, strict: bool) -> None:
    assert evaluate(rules, strict=strict)[0] == expected


@pytest.mark.parametrize(
    "rules", [f"r if not {SEND}", f"r := [1 | {SEND}]", f"r if every _ in [1] {{ {SEND} }}", f"default r := 1\n\nr := {SEND}"]
)
@pytest.mark.parametrize("strict", [False, True])
def test_no_construct_takes_a_missing_answer_for_a_failure(rules: str, strict: bool) -> None:
    with pytest.raises(Pending) as caught:
        entry(rules).evaluate_with(Memory(), None, 7, strict)
    assert caught.value.request.url == "https://a.test/x"


def test_an_equal_request_is_asked_for_once() -> None:
    calls = ", ".join(
        [SEND, 'http.send({"url": "https://a.test/x", "method": "get"})', 'http.send({"method": "get", "url": "https://b.test/"})']
    )
    value, asked = evaluate(f"r := count([{calls}])")
    assert (value, asked) == (3, ["https://a.test/x", "https://b.test/"])


def test_headers_that_the_cache_ignores_do_not_make_another_request() -> None:
    one, other = (
        f'http.send({{"method": "get", "url": "https://a.test/", "headers": {{"a": "{value}"}}, "cache_ignored_headers": ["a"]}})'
        for value in (1, 2)
    )
    assert evaluate(f"r := count([{one}, {other}])")[1] == ["https://a.test/"]


def test_what_cannot_match_asks_nobody() -> None:
    value, asked = evaluate(f'r if {{\n\tx := {SEND}\n\tx.status_code == 200\n\tinput.method == "POST"\n}}', document={"method": "GET"})
    assert (value, asked) == (None, [])


def test_random_values_stay_the_same_however_often_the_evaluation_begins() -> None:
    rules = """r := [a, b, first.status_code, second.status_code] if {
        a := uuid.rfc4122("k")
        b := rand.intn("n", 1000000)
        first := http.send({"method": "get", "url": sprintf("https://a.test/%s", [a])})
        second := http.send({"method": "get", "url": sprintf("https://a.test/%s/%d", [uuid.rfc4122("k"), b])})
    }"""
    value, asked = evaluate(rules)
    assert asked == [f"https://a.test/{value[0]}", f"https://a.test/{value[0]}/{value[1]}"]


def test_an_answer_at_hand_does_not_stop_the_evaluation() -> None:
    memory = Memory(lambda request: ANSWER if request.url == "https://a.test/x" else None)
    assert entry(f"r := {SEND}.status_code").evaluate_with(memory, None, 7) == 200
    with pytest.raises(Pending):
        entry('r := http.send({"method": "get", "url": "https://b.test/"})').evaluate_with(memory, None, 7)


def test_asking_without_end_ends_in_an_error() -> None:
    send = 'http.send({"method": "get", "url": sprintf("https://a.test/%d", [i])})'
    rule = entry(f"r if every i in numbers.range(1, 100) {{ {send}.status_code == 200 }}")
    with pytest.raises(EvalError, match=rf"eval_cancel_error: http\.send: more than {MAX_REQUESTS} requests in one evaluation"):
        rule.evaluate_with(asking(lambda _: ANSWER), None, 7)


def test_as_many_requests_as_there_may_be_are_answered() -> None:
    rules = (
        f"r := count([1 | some i in numbers.range(1, {MAX_REQUESTS}); "
        + 'http.send({"method": "get", "url": sprintf("https://a.test/%d", [i])})])'
    )
    value, asked = evaluate(rules)
    assert (value, len(asked)) == (MAX_REQUESTS, MAX_REQUESTS)


@pytest.mark.parametrize(("rules", "expected"), [(f"r if not {SEND}", True), (f"r := {SEND}", None)])
def test_an_evaluation_that_may_not_ask_fails_the_call(rules: str, expected: Any) -> None:
    value: Value | None = entry(rules).evaluate(None, 7)
    assert (None if value is None else to_json(value)) == expected
    with pytest.raises(EvalError, match=r"eval_builtin_error: http\.send: not enabled"):
        entry(rules).evaluate(None, 7, strict_builtin_errors=True)


def test_a_query_stops_for_answers_too() -> None:
    policy = rego.compile({"p.rego": f"package p\n\nr := {SEND}.body.user\n"})
    query, memory = policy.prepare(policy.parse_query("x := data.p.r")), Memory()

    def solutions() -> list[dict[str, Value]]:
        context = query.context(None, 7)
        context.recall(memory)
        return query.solutions(context)

    with pytest.raises(Pending) as caught:
        solutions()
    memory.answer(caught.value.request, ANSWER)
    assert solutions() == [{"x": "ann"}]


def test_only_what_can_send_says_so() -> None:
    policy = rego.compile({"p.rego": f"package p\n\nr := {SEND}\n\nq if r\n\ns if input.x\n"})
    reads = {path: policy.entrypoint(f"p/{path}").reads.nondeterministic for path in "rqs"}
    assert reads == {"r": ("http.send",), "q": ("http.send",), "s": ()}
