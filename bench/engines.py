"""Other implementations of Rego, each in a process of its own: it is native code that may crash, and has threads.

Run as a module this is that process: `python -m bench.engines NAME`, a policy as one line of JSON, then lines of `[KIND, CALLS]`.
It answers the first with the kinds of requests that it does not decide as it should, each other with the microseconds that a call
took. An engine that can compile beforehand and take the input separately is only timed while it evaluates; OPA's library cannot.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from time import process_time_ns
from typing import Any, Final, TypeAlias

from authz.rego import Document
from bench.families import ENTRYPOINT, MISS, Case
from bench.lab.upstream import REPOSITORY
from bench.measure import Take

REGO_CPP, REGORUS, OPA = "rego-cpp", "regorus", "OPA"

_RULE: Final = "data." + ENTRYPOINT.replace("/", ".")

_Prepare: TypeAlias = Callable[[Document], Callable[[], bool]]
"""Hand an input over; what is returned evaluates it."""


def available() -> list[str]:
    """Return the engines that are installed here."""
    return [name for name, is_there in _IS_THERE.items() if is_there()]


@contextmanager
def engine(name: str, case: Case, kinds: tuple[str, ...]) -> Iterator[dict[str, Take]]:
    """Run an engine with a policy; yield what measures each kind of request.

    Raises RuntimeError if it cannot be started or does not decide as it should.
    """
    command = [sys.executable, "-m", "bench.engines", name]
    process = subprocess.Popen(command, cwd=REPOSITORY, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        requests = {kind: case.requests[kind] for kind in kinds}
        wrong = _asked(process, name, [case.source, case.data, requests])
        if wrong:
            raise RuntimeError(f"{name} decides otherwise on a request of kind `{wrong[0]}`")
        yield {kind: _take(process, name, kind) for kind in kinds}
    finally:
        process.kill()
        process.communicate()


def _take(process: subprocess.Popen[str], name: str, kind: str) -> Take:
    return lambda calls: float(_asked(process, name, [kind, calls]))


def _asked(process: subprocess.Popen[str], name: str, question: list[Any]) -> Any:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(question) + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise RuntimeError(f"{name} ended with exit code {process.wait()}")
    return json.loads(answer)


# In the process of an engine


def _rego_cpp(source: str, data: Document) -> _Prepare:
    regopy: Any = importlib.import_module("regopy")
    interpreter = regopy.Interpreter()
    interpreter.add_module("policy", source)
    interpreter.add_data(data or {})
    bundle = interpreter.build(None, [ENTRYPOINT])

    def prepare(document: Document) -> Callable[[], bool]:
        interpreter.set_input(document)
        return lambda: str(interpreter.query_bundle_entrypoint(bundle, ENTRYPOINT)) == '{"expressions":[true]}'

    return prepare


def _regorus(source: str, data: Document) -> _Prepare:
    regorus: Any = importlib.import_module("regorus")
    interpreter = regorus.Engine()
    interpreter.add_policy("policy.rego", source)
    interpreter.add_data_json(json.dumps(data or {}))

    def prepare(document: Document) -> Callable[[], bool]:
        interpreter.set_input_json(json.dumps(document))
        return lambda: interpreter.eval_rule(_RULE) is True

    return prepare


def _opa(source: str, data: Document) -> _Prepare:
    """Ask through OPA's C interface, which parses query and input each time: some sixty microseconds a call."""
    oracle: Any = importlib.import_module("tests.rego.oracle")
    library = oracle.Oracle(oracle.oracle_tool(), {"policy.rego": source}, data)

    def prepare(document: Document) -> Callable[[], bool]:
        return lambda: library.query(f"x = {_RULE}", document) == [{"x": True}]

    return prepare


def _has_opa() -> bool:
    return importlib.util.find_spec("tests") is not None and importlib.import_module("tests.rego.oracle").oracle_tool() is not None


ENGINES: Final = {REGO_CPP: _rego_cpp, REGORUS: _regorus, OPA: _opa}
"""Every engine that is known here, installed or not, and what hands a policy over to it."""

_IS_THERE: Final[dict[str, Callable[[], bool]]] = {
    REGO_CPP: lambda: importlib.util.find_spec("regopy") is not None,
    REGORUS: lambda: importlib.util.find_spec("regorus") is not None,
    OPA: _has_opa,
}


def _timed_us(prepare: _Prepare, documents: Iterator[Document], calls: int) -> float:
    spent_ns = 0
    for _ in range(calls):
        evaluate = prepare(next(documents))
        started = process_time_ns()
        evaluate()
        spent_ns += process_time_ns() - started
    return spent_ns / calls / 1000


def main(name: str) -> None:
    """Answer the lines of standard input until there are no more."""
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what an engine itself prints
    source, data, requests = json.loads(sys.stdin.readline())
    prepare = ENGINES[name](source, data)
    wrong = [kind for kind, documents in requests.items() if prepare(documents[0])() != (kind != MISS)]
    print(json.dumps(wrong), file=output, flush=True)
    turns = {kind: cycle(documents) for kind, documents in requests.items()}
    for line in sys.stdin:
        kind, calls = json.loads(line)
        print(_timed_us(prepare, turns[kind], calls), file=output, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
