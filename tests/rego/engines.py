"""Other implementations of Rego as judges of differential tests: rego-cpp (`regopy`) and regorus.

Each runs in a process of its own, for they are native code that may crash: then it gives no answer and starts anew.
Run as a module this is that process: requests and answers are lines of JSON.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

NAMES = ("regopy", "regorus")
Question = tuple[str, Any]
"""A document's path and an input."""


class Engine:
    """One implementation, asked about one set of modules at a time."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", __name__, self._name]
        root = Path(__file__).parents[2]
        return subprocess.Popen(
            command, cwd=root, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={"PATH": ""}
        )

    def answers(self, modules: dict[str, str], data: Any, questions: Sequence[Question]) -> list[list[Any] | None] | None:
        """Return for each question the values of the document, none if it is undefined; None for what it cannot answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps([modules, data, questions]) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self.close()
            self._process = self._start()
            return None
        found: list[list[Any] | None] | None = json.loads(line)
        return found

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def is_installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _regopy(modules: dict[str, str], data: Any, questions: list[Question]) -> Iterator[list[Any] | None]:
    regopy: Any = importlib.import_module("regopy")
    interpreter = regopy.Interpreter()
    for name, text in modules.items():
        interpreter.add_module(name, text)
    interpreter.add_data(data)
    for document, value in questions:
        interpreter.set_input(value)
        answer = json.loads(str(interpreter.query(f"x = {document}")) or "null")
        yield None if not isinstance(answer, dict) else _values([answer])


def _regorus(modules: dict[str, str], data: Any, questions: list[Question]) -> Iterator[list[Any] | None]:
    regorus: Any = importlib.import_module("regorus")
    engine = regorus.Engine()
    for name, text in modules.items():
        engine.add_policy(name, text)
    engine.add_data(data)
    for document, value in questions:
        engine.set_input_json(json.dumps(value))
        try:
            yield _values(json.loads(engine.eval_query_as_json(f"x = {document}")).get("result", []))
        except RuntimeError:
            yield None


def _values(results: list[dict[str, Any]]) -> list[Any]:
    return [result["bindings"]["x"] for result in results if "x" in result.get("bindings", {})]


def main(name: str) -> None:
    """Answer requests until there are no more."""
    ask = {"regopy": _regopy, "regorus": _regorus}[name]
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the engines themselves print
    for line in sys.stdin:
        answers: list[list[Any] | None] | None
        try:
            answers = list(ask(*json.loads(line)))
        except Exception:
            answers = None  # whatever it was, the engine has no answer
        print(json.dumps(answers), file=output, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
