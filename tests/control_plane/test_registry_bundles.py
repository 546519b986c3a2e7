"""A sidecar whose bundle is an artifact of a registry: it decides, moves with its tag, and starts without the registry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.lab.waiting import wait_until
from tests.control_plane.plane import Plane, allowing, control_plane, sidecar, signed
from tests.services.registry import REPOSITORY, TokenRegistry
from tests.serving import Serving, serving

ALLOWED = 0
MAIN = "main"


@pytest.fixture
def plane() -> Iterator[Plane]:
    with control_plane() as made:
        yield made


def source(authz: Serving) -> dict[str, Any]:
    found: dict[str, Any] = authz.get("/v1/policy/active")[1]["sources"][0]
    return found


def test_an_artifact_decides_moves_with_its_tag_and_outlives_its_registry(plane: Plane, tmp_path: Path) -> None:
    registry = TokenRegistry(credentials="me:pass")
    plane.registry = registry
    registry.push("live", signed(allowing("GET", "first")))
    bearer = {"scheme": "Basic", "token": "me:pass"}
    services = {"acme": {"url": plane.url, "type": "oci", "credentials": {"bearer": bearer}}}
    bundle = {"resource": f"{plane.url.removeprefix('http://')}/{REPOSITORY}:live"}
    config = sidecar(tmp_path, plane, MAIN, bundle=bundle, services=services)
    with serving(tmp_path / "log", "--config", config) as authz:
        assert (authz.check("GET") == ALLOWED, authz.check("POST") == ALLOWED) == (True, False)
        registry.push("live", signed(allowing("POST", "second")))
        wait_until(lambda: source(authz)["revision"] == "second", "the tag has moved")
        assert (authz.check("GET") == ALLOWED, authz.check("POST") == ALLOWED) == (False, True)
        del registry.manifests[f"{REPOSITORY}/live"]
        error = wait_until(lambda: source(authz)["error"], "the tag is gone")
        assert (error["code"], error["message"]) == ("status", f"{REPOSITORY}:live: server replied with Not Found")
        assert authz.check("POST") == ALLOWED
    plane.down()
    with serving(tmp_path / "again", "--config", config) as authz:
        assert authz.check("POST") == ALLOWED
        assert source(authz)["revision"] == "second"
    plane.up()
