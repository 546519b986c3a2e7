"""Signatures that expire while their bundles decide: what decides goes on, others are not held up, and a start trusts none of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from bench.lab.waiting import wait_until
from tests.control_plane.clocks import TimeOfDay
from tests.control_plane.plane import Plane, allowing, control_plane, named, sidecar, signed
from tests.serving import AUTHZ, serving

ALLOWED: Final = 0
MAIN, EXTRA = "main", "extra"
HOUR_S: Final = 3600


@pytest.fixture
def plane() -> Iterator[Plane]:
    with control_plane() as made:
        extra = {"data.json": '{"extra": 1}', ".manifest": named("extra", ["extra"])}
        made.put(EXTRA, signed(extra, exp=round(time.time()) + HOUR_S))
        made.put(MAIN, signed(allowing("GET", "v1")))
        yield made


def test_a_bundle_whose_signature_has_expired_meanwhile_holds_up_no_other(tmp_path: Path, plane: Plane) -> None:
    day = TimeOfDay(tmp_path / "time")
    path = sidecar(tmp_path, plane, MAIN, EXTRA)
    with serving(tmp_path / "log-1", "--config", path, command=day.command([AUTHZ])) as authz:
        assert authz.check("GET") == ALLOWED
        day.shift(1)
        plane.put(MAIN, signed(allowing("POST", "v2")))
        wait_until(lambda: authz.check("POST") == ALLOWED, "the other bundle is activated")
        wait_until(lambda: authz.get("/v1/bundles")[1]["versions"][0]["stored"], "it is on disk")
    plane.down()
    with serving(tmp_path / "log-2", "--config", path, command=day.command([AUTHZ]), is_waiting=True) as authz:
        lines = authz.wait_for_line("a version on disk cannot be activated")
        assert "expired" in lines["error"]
        assert authz.get("/ready")[0] == 503
