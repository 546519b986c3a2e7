"""Real OPA as the judge of differential tests, where its library is at hand.

Loads the shared oracle tool in place and never downloads anything: `oracle()` is None where the library is absent.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from typing import Any

from tests.shared import SHARED

_CODE = re.compile(r"\b(?:eval|rego)_\w+_error\b")


class RefusedError(Exception):
    """OPA answered with an error; `codes` are OPA's, in order."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.codes: tuple[str, ...] = tuple(_CODE.findall(text))


class Oracle:
    """A set of modules and data in OPA (Rego v1, strict built-in errors). Close it after use."""

    def __init__(self, tool: Any, modules: Mapping[str, str], data: Any) -> None:
        self._error = tool.OracleError
        try:
            self._oracle = tool.Oracle(dict(modules), data)
        except self._error as error:
            raise RefusedError(str(error)) from None

    def query(self, query: str, document: Any) -> list[dict[str, Any]]:
        """Return the bindings of every solution. Raises RefusedError."""
        try:
            found: list[dict[str, Any]] = self._oracle.query(query, document)
        except self._error as error:
            raise RefusedError(str(error)) from None
        return found

    def close(self) -> None:
        self._oracle.__exit__()


def oracle_tool() -> Any | None:
    """Return the oracle's module if it and its library are there, else None."""
    path = SHARED / "tools" / "opa_oracle.py"
    if not path.exists():
        return None
    spec = importlib.util.spec_from_file_location("opa_oracle", path)
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool if (tool.CACHE / "libopabridge.so").exists() else None
