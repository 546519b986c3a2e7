"""The one constructor of responses: to Envoy an empty CheckResponse is an allow."""

import ast
from itertools import product
from pathlib import Path

import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from google.protobuf.struct_pb2 import Struct

import authz
from authz.extauthz import Changes, Refusal, allow, deny

METADATA = Struct()
METADATA["k"] = "v"
CHANGES = [None, Changes(), Changes((("a", "b"),), ("c",), (("d", "e"),), ("f",), (("g", "h"),))]
REFUSALS = [None, Refusal(), Refusal(429, (("a", "b"),), "body")]


@pytest.mark.parametrize(("changes", "metadata"), list(product(CHANGES, [None, METADATA])))
def test_every_allow_has_its_status_set(changes: Changes | None, metadata: Struct | None) -> None:
    encoded = allow(changes, metadata)
    response = CheckResponse.FromString(encoded)
    assert encoded
    assert response.HasField("status")
    assert response.status.code == 0
    assert response.HasField("dynamic_metadata") == (metadata is not None)
    assert response.WhichOneof("http_response") == (None if changes is None else "ok_response")


@pytest.mark.parametrize(("refusal", "metadata"), list(product(REFUSALS, [None, METADATA])))
def test_every_deny_has_its_status_set(refusal: Refusal | None, metadata: Struct | None) -> None:
    response = CheckResponse.FromString(deny(refusal, metadata, "why"))
    assert response.status.code == 7
    assert response.status.message == "why"
    assert response.WhichOneof("http_response") == (None if refusal is None else "denied_response")
    assert refusal is None or response.denied_response.status.code == refusal.http_status


def test_no_other_module_makes_check_responses() -> None:
    """Bytes that stand for an empty message would allow, so only the constructor may name the type."""
    root = Path(authz.__file__).parent
    users = {path.relative_to(root).as_posix() for path in root.rglob("*.py") if "CheckResponse" in names_in(path)}
    assert users == {"extauthz/response.py"}


def names_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    return imported | {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
