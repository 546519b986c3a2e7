"""`${NAME}` in a configuration's text, replaced as OPA does: before anything is parsed. The environment is an operand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_VARIABLE: Final = re.compile(r"\$\{(.*?)\}")


def substitute(text: str, environment: Mapping[str, str]) -> str:
    """Return the text with its variables' values; one that is not set is empty, as in OPA."""
    return _VARIABLE.sub(lambda found: environment.get(found[1], ""), text)
