"""A policy edit takes effect while requests flow; an edit that cannot be used changes nothing and is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.lab import Lab
from bench.lab.client import Request, get_json
from bench.lab.load import BackgroundLoad
from tests.e2e.conftest import GATE
from tests.e2e.names import ALLOWED, WHOAMI

EDITED = Request(path="/edited")

Edit = Callable[[str | bytes], None]

UNUSABLE: dict[str, str | bytes] = {
    "garbage": "allow everything please",
    "empty": "",
    "half of a file": GATE[: len(GATE) // 2],
    "another package": "package elsewhere\n\nallow := true\n",
    "unsafe variable": GATE + "\nallow if x > 1\n",
    "not UTF-8": GATE.encode() + b"\n# \xff\xfe\n",
}


def test_an_edit_takes_effect_without_a_failed_request(lab: Lab, edit: Edit) -> None:
    with BackgroundLoad(lab.port(), ALLOWED, lab.context("frontend")) as load:
        revision = lab.authz.revision()
        for number in range(4):
            who = "intruder" if number % 2 == 0 else "frontend"
            edit(
                GATE + f'\n# edit {number}\nallow if {{\n\tinput.parsed_path == ["edited"]\n\tendswith(input.identity.path, "/{who}")\n}}\n'
            )
            revision = lab.authz.wait_for_other_revision(revision)
            answers = {caller: lab.send(caller, EDITED).status for caller in ("frontend", "intruder")}
            assert answers == {"frontend": 403, "intruder": 403, who: 200}
    assert load.result.failures == []
    assert set(load.result.statuses) == {200}
    assert load.result.requests > 100


@pytest.mark.parametrize("source", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_an_unusable_edit_keeps_the_old_policy(lab: Lab, edit: Edit, source: str | bytes) -> None:
    before = lab.authz.revision()
    edit(source)
    error = lab.authz.wait_for_refresh_error()
    assert "gate.rego" in error or "envoy/authz/allow" in error
    assert lab.authz.revision() == before
    assert lab.send("frontend", ALLOWED).status == 200
    assert lab.send("intruder", ALLOWED).status == 403
    assert lab.send("intruder", WHOAMI).status == 200


def test_an_unusable_edit_shows_in_health_and_metrics_until_it_is_repaired(lab: Lab, edit: Edit) -> None:
    refused = lab.authz.metric("authz_policy_refreshes_total", outcome="policy_compile")
    assert get_json(lab.authz.admin_port, "/health?bundles")[0] == 200
    edit("garbage")
    lab.authz.wait_for_refresh_error()
    assert get_json(lab.authz.admin_port, "/health?bundles")[0] == 500
    assert get_json(lab.authz.admin_port, "/health")[0] == 200
    assert get_json(lab.authz.admin_port, "/ready")[0] == 200
    assert lab.authz.metric("authz_policy_refreshes_total", outcome="policy_compile") > refused
    assert lab.authz.metric("authz_policy_last_refresh_ok") == 0
    edit(GATE)
    lab.authz.wait_until_healthy()
    assert get_json(lab.authz.admin_port, "/health?bundles")[0] == 200
    assert lab.authz.metric("authz_policy_last_refresh_ok") == 1


def test_a_policy_file_that_disappears_keeps_the_old_policy(lab: Lab, edit: Edit) -> None:
    (lab.policies / "gate.rego").unlink()
    lab.authz.wait_for_refresh_error()
    assert lab.send("frontend", ALLOWED).status == 200
    assert lab.send("intruder", ALLOWED).status == 403
    edit(GATE)
    lab.authz.wait_until_healthy()
