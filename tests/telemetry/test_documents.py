"""JSON of documents whose strings come from anywhere."""

from __future__ import annotations

import json
from typing import Any

import pytest

from authz.telemetry.documents import json_bytes


@pytest.mark.parametrize(
    "document",
    [{"a": [1, 2.5, None, True, "é"]}, {"byte": "\udcff"}, {"\ud800": 1}, {"nested": [{"half": "x\ud83d"}]}, 2**70, [], "\U0001f600"],
)
def test_any_document_is_json(document: Any) -> None:
    assert json.loads(json_bytes(document)) == document


def test_what_is_no_json_is_made_some() -> None:
    assert json_bytes({"a": {1}}, default=sorted) == b'{"a":[1]}'
    assert json_bytes({"a": {"\udcff"}}, default=sorted) == b'{"a":["\\udcff"]}'
