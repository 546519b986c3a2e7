from __future__ import annotations

import asyncio
import gc
import weakref

import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse

from authz import rego
from authz.errors import AuthzError
from authz.identity import IdentityConfig
from authz.pdp import PDP, CacheConfig
from authz.refresh.activation import SnapshotBuilder, SnapshotSettings
from authz.refresh.messages import Compiled
from tests.serving import ALLOW_GET, ALLOW_POST, check_request

ALLOWED, DENIED = 0, 7


class Scene:
    def __init__(self, entrypoint: str = "envoy/authz/allow") -> None:
        self.pdp = PDP()
        self.builder = SnapshotBuilder(SnapshotSettings(entrypoint, IdentityConfig(), CacheConfig()))

    def activate(self, text: str, revision: str = "r") -> None:
        compiled = Compiled(revision, rego.compile({"a.rego": text}).to_bytes())
        self.pdp.activate(asyncio.run(self.builder.build(compiled)))

    def check(self, method: str) -> int:
        return int(CheckResponse.FromString(self.pdp.decide(check_request(method, "/"), 1).response).status.code)


def test_what_is_activated_decides() -> None:
    scene = Scene()
    scene.activate(ALLOW_GET, "r1")
    assert [scene.check("GET"), scene.check("POST")] == [ALLOWED, DENIED]
    scene.activate(ALLOW_POST, "r2")
    assert [scene.check("GET"), scene.check("POST")] == [DENIED, ALLOWED]
    assert scene.pdp.snapshot is not None
    assert scene.pdp.snapshot.revision == "r2"


def test_what_does_not_fit_changes_nothing() -> None:
    scene = Scene()
    scene.activate(ALLOW_GET)
    before = scene.pdp.snapshot
    with pytest.raises(AuthzError, match="is not a rule of the policy"):
        scene.activate("package other\n\np := 1\n")
    assert scene.pdp.snapshot is before
    assert (scene.check("GET"), gc.isenabled()) == (ALLOWED, True)


def test_a_replaced_policy_is_freed_without_a_collection() -> None:
    scene = Scene()
    scene.activate(ALLOW_GET)
    assert scene.pdp.snapshot is not None
    function = weakref.ref(scene.pdp.snapshot.entry._function)  # type: ignore[attr-defined]
    gc.disable()
    try:
        scene.activate(ALLOW_POST)
        assert function() is None
    finally:
        gc.enable()
        gc.unfreeze()
