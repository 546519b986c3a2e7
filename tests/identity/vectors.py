"""The hand-written identity cases, one list a reader."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.shared import shared_path

Vector = dict[str, Any]


def each(section: str) -> Callable[[Callable[..., None]], pytest.MarkDecorator]:
    """Parametrise a test with every vector of a list, named as in the file."""
    vectors: list[Vector] = json.loads(shared_path("identity-vectors.json").read_text())[section]
    assert vectors, section
    return pytest.mark.parametrize("vector", vectors, ids=[vector["name"] for vector in vectors])
