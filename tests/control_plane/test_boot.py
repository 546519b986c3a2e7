"""What a discovery bundle is told of its process."""

from __future__ import annotations

import json
import uuid
from decimal import Decimal
from typing import Any

from authz.control_plane.boot import Boot
from authz.services.resolution import ControlPlane


def runtime(document: dict[str, Any], plane: ControlPlane | None = None) -> Any:
    return json.loads(Boot(document, plane or ControlPlane(), {"A": "b"}).runtime())


def test_credentials_and_keys_stay_here() -> None:
    service = {"url": "u", "credentials": {"bearer": {"token": "secret"}}}
    keys = {"k": {"key": "secret", "private_key": "secret", "algorithm": "HS256"}, "odd": None}
    found = runtime({"services": {"a": service}, "keys": keys, "drain_s": Decimal("1.5")})
    assert found["config"]["services"] == {"a": {"url": "u"}}
    assert found["config"]["keys"] == {"k": {"algorithm": "HS256"}, "odd": None}
    assert (found["config"]["drain_s"], found["env"], found["version"]) == (1.5, {"A": "b"}, "1.20.2")
    assert runtime({"services": [{"name": "a", **service}]})["config"]["services"] == [{"name": "a", "url": "u"}]
    assert service["credentials"]


def test_id_and_version_are_never_those_of_a_configuration() -> None:
    plane = ControlPlane(labels={"id": "mine", "version": "9", "team": "a"})
    boot = Boot({}, plane)
    labels = boot.labels(plane)
    assert (labels["team"], labels["version"], uuid.UUID(labels["id"]).version) == ("a", "1.20.2", 4)
    assert labels["id"] == boot.labels(ControlPlane())["id"] != Boot({}, plane).labels(plane)["id"]
    assert json.loads(boot.runtime())["config"]["labels"] == labels
