"""`${NAME}` in a configuration's text, replaced as OPA does: before anything is parsed. The environment is an operand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

_VARIABLE: Final = re.compile(r"\$\{(.*?)\}")


def substitute(text: str, environment: Mapping[str, str]) -> str:
    """Return the text with its variables' values; one that is not set is empty, as in OPA."""
    return _VARIABLE.sub(lambda found: environment.get(found[1], ""), text)


def substitute_all(document: Any, environment: Mapping[str, str]) -> Any:
    """Return a document in which that is done in every string. What a value says can then not become another field."""
    match document:
        case str():
            return substitute(document, environment)
        case dict():
            return {substitute(name, environment): substitute_all(value, environment) for name, value in document.items()}
        case list():
            return [substitute_all(value, environment) for value in document]
        case _:
            return document
