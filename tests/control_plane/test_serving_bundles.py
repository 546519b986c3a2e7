"""A sidecar whose control plane answers badly: the old policy decides on, and what is wrong is told once, where it is looked for."""

from __future__ import annotations

import asyncio
import gzip
import os
import signal
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web

from bench.lab.waiting import wait_until
from tests.bundle.archives import archive
from tests.control_plane.plane import STRANGER, Contents, Plane, allowing, control_plane, named, sidecar, signed
from tests.serving import Serving, children, serving

ALLOWED = 0
METHODS = ("GET", "POST")
MAIN, EXTRA = "main", "extra"
NOW_S = time.time()


class Scene:
    """A sidecar with two bundles: one decides, the other one has data that nobody asks for."""

    def __init__(self, authz: Serving, plane: Plane) -> None:
        self.authz = authz
        self.plane = plane
        self._count = self._begin = 0

    def allowed(self) -> list[str]:
        return [method for method in METHODS if self.authz.check(method) == ALLOWED]

    def source(self, name: str = MAIN) -> dict[str, Any]:
        found: dict[str, Any] = next(each for each in self.authz.get("/v1/policy/active")[1]["sources"] if each["name"] == name)
        return found

    def next_revision(self, prefix: str = "good") -> str:
        self._count += 1
        return f"{prefix}-{self._count}"

    def publish(self, method: str = "GET", more: Contents | None = None) -> str:
        """Publish a good bundle and wait until it decides; return its revision."""
        revision = self.next_revision()
        self.plane.put(MAIN, signed(allowing(method, revision, more)))
        self.poke()
        wait_until(lambda: (self.source()["revision"], self.source()["error"]) == (revision, None), f"{revision} decides")
        return revision

    def poke(self) -> None:
        """Do not wait for the end of a back-off."""
        self.post("/v1/bundles/refresh")

    def post(self, path: str) -> None:
        url, headers = f"http://{self.authz.admin}{path}", {"Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(url, b"{}", headers)) as response:
            assert response.status == 200

    def refused(self, code: str, text: str) -> str:
        """Return the message of the error once it is this one."""
        self.poke()

        def found() -> str | None:
            error = self.source()["error"] or {"code": "", "message": ""}
            return error["message"] if error["code"] == code and text in error["message"] else None

        return wait_until(found, f"the error is `{code}` and says `{text}`")

    def outcomes(self, code: str) -> float:
        return self.authz.metric(f'authz_policy_refreshes_total{{outcome="{code}"}}')

    def requests(self, failure: str) -> float:
        return self.authz.metric(f'authz_bundle_downloads_total{{outcome="{failure}"}}')

    def told(self, message: str) -> int:
        """Return how many lines of the log have told of an error with this message since the test began."""
        return sum(line.get("error") == message for line in self.authz.lines("Bundle")[self._begin :])

    def begin(self) -> None:
        self._begin = len(self.authz.lines("Bundle"))

    def asked_again(self, name: str = MAIN, times: int = 2) -> None:
        """Have the bundle asked for several more times, each after what the one before came to."""
        for _ in range(times):
            count = self.plane.asked.count(name)
            self.poke()
            wait_until(lambda count=count: self.plane.asked.count(name) > count, "it is asked for again")  # type: ignore[misc]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    directory = tmp_path_factory.mktemp("shared")
    with control_plane() as plane:
        plane.put(MAIN, signed(allowing("GET", "first")))
        plane.put(EXTRA, signed({"data.json": '{"extra": 1}', ".manifest": named("extra-first", ["extra"])}))
        with serving(directory / "log", "--config", sidecar(directory, plane, MAIN, EXTRA)) as authz:
            yield Scene(authz, plane)


@pytest.fixture
def scene(shared: Scene) -> Scene:
    """The sidecar with a good bundle that allows GET. A newer one that is bad may be left from another test: that saves a compile."""
    first = "extra-first"
    if (shared.source(EXTRA)["revision"], shared.allowed()) != (first, ["GET"]):
        shared.plane.put(EXTRA, signed({"data.json": '{"extra": 1}', ".manifest": named(first, ["extra"])}))
        shared.publish()
        wait_until(lambda: shared.source(EXTRA)["revision"] == first, "the other bundle is as it was")
    shared.begin()
    return shared


# What a service answers


def status_500(content: bytes) -> web.Response:
    return web.Response(status=500, text="out of order")


def of_another_kind(content: bytes) -> web.Response:
    return web.Response(text="<html>sign in</html>", content_type="text/html")


def in_another_encoding(content: bytes) -> web.Response:
    return web.Response(body=content, headers={"Content-Encoding": "br"})


def redirected(content: bytes) -> web.Response:
    raise web.HTTPFound("http://127.0.0.2:1/elsewhere")


@pytest.mark.parametrize(
    ("response", "code", "text"),
    [
        (status_500, "status", "Internal Server Error"),
        (of_another_kind, "not_an_archive", "text/html"),
        (in_another_encoding, "encoding", "`br`"),
        (redirected, "redirect", "127.0.0.2"),
    ],
)
def test_an_answer_that_is_no_bundle_changes_nothing(scene: Scene, response: Any, code: str, text: str) -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        made: web.Response = response(signed(allowing("POST", "never")))
        return made

    counted = scene.requests(code)
    scene.plane.answer(MAIN, answer)
    message = scene.refused(code, text)
    scene.asked_again()
    assert (scene.allowed(), scene.told(message)) == (["GET"], 1)
    assert scene.requests(code) >= counted + 2
    assert scene.authz.get("/health?bundles")[0] == 200  # the policy is as it should be, as far as anybody knows


def test_a_good_answer_after_bad_ones_decides(scene: Scene) -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=503)

    scene.plane.answer(MAIN, answer)
    scene.refused("status", "Service Unavailable")
    scene.publish("POST")
    assert (scene.allowed(), scene.source()["ok"]) == (["POST"], True)


def test_a_truncated_download_is_not_taken(scene: Scene) -> None:
    content = signed(allowing("POST", "never"))

    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(content))})
        await response.prepare(request)
        await response.write(content[:-20])
        assert request.transport is not None
        request.transport.close()
        return response

    scene.plane.answer(MAIN, cut)
    message = scene.refused("truncated", f"after {len(content) - 20} bytes")
    scene.asked_again()
    assert (scene.allowed(), scene.told(message)) == (["GET"], 1)


def test_an_archive_that_was_cut_off_before_it_was_sent_is_not_taken(scene: Scene) -> None:
    scene.plane.put(MAIN, signed(allowing("POST", "never"))[:-20])
    scene.refused("bundle", MAIN)
    assert scene.allowed() == ["GET"]


def test_a_service_that_never_begins_its_answer_is_given_up(scene: Scene) -> None:
    async def silent(_request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    scene.plane.answer(MAIN, silent)
    scene.refused("timeout", "no answer within 0.5 s")
    assert scene.allowed() == ["GET"]


def test_a_service_that_trickles_holds_up_neither_checks_nor_other_bundles(scene: Scene) -> None:
    content = signed(allowing("POST", "trickled"))
    sent = 0

    async def trickle(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={"Content-Length": str(len(content))})
        await response.prepare(request)
        for byte in content[:-1]:
            await response.write(bytes((byte,)))
            sent += 1
            await asyncio.sleep(0.02)
        return response

    scene.plane.answer(MAIN, trickle)
    scene.poke()
    wait_until(lambda: sent > 5, "bytes trickle")
    revision = scene.next_revision("extra")
    scene.plane.put(EXTRA, signed({"data.json": '{"extra": 2}', ".manifest": named(revision, ["extra"])}))
    wait_until(lambda: scene.source(EXTRA)["revision"] == revision, "the other bundle is newer")
    assert sent < len(content) - 1
    assert scene.allowed() == ["GET"]
    scene.plane.down()  # ends it
    wait_until(lambda: (scene.source()["error"] or {}).get("code") in ("truncated", "unreachable"), "the download has failed")
    assert scene.allowed() == ["GET"]
    scene.plane.up()


# ETags that are wrong


def test_the_same_etag_for_other_contents_is_noticed_if_they_are_sent(scene: Scene) -> None:
    content = signed(allowing("POST", revision := scene.next_revision()))
    before = signed(allowing("GET", scene.next_revision()))

    def always(body: bytes) -> Any:
        async def answer(_request: web.Request) -> web.Response:
            return web.Response(body=body, headers={"ETag": '"the same"'})

        return answer

    scene.plane.answer(MAIN, always(before))
    scene.asked_again()
    scene.plane.answer(MAIN, always(content))
    wait_until(lambda: scene.source()["revision"] == revision, "it is noticed")
    assert scene.allowed() == ["POST"]


def test_other_etags_for_the_same_contents_are_no_activation(scene: Scene) -> None:
    content = signed(allowing("GET", revision := scene.next_revision()))
    scene.plane.put(MAIN, content)
    wait_until(lambda: scene.source()["revision"] == revision, "it decides")
    activations, unchanged = scene.outcomes("activated"), scene.outcomes("unchanged")
    etags = iter(range(10**9))

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=content, headers={"ETag": f'"{next(etags)}"'})

    scene.plane.answer(MAIN, answer)
    scene.asked_again(times=4)
    assert (scene.outcomes("activated"), scene.outcomes("unchanged"), scene.source()["error"]) == (activations, unchanged, None)


def test_the_content_type_decides_nothing(scene: Scene) -> None:
    revision = scene.next_revision()
    scene.plane.put(MAIN, signed(allowing("POST", revision)), kind="text/plain; charset=utf-8")
    wait_until(lambda: scene.source()["revision"] == revision, "it decides")
    assert scene.allowed() == ["POST"]


# What is in an archive


def bomb() -> bytes:
    return gzip.compress(bytes(2**26), 9)


def tampered() -> bytes:
    """Return a bundle whose policy is not the one that was signed."""
    return gzip.compress(gzip.decompress(signed(allowing("GET", "tampered"))).replace(b'"GET"', b'"PUT"'))


REFUSED = {
    "bomb": (bomb(), "bundle", "times"),
    "no archive inside": (gzip.compress(b"no tar"), "bundle", "unexpected end"),
    "unsigned": (archive(allowing("POST", "r")), "bundle_signature", "missing"),
    "signature of other files": (tampered(), "bundle_signature", "policy.rego"),
    "key unknown": (signed(allowing("POST", "r"), STRANGER), "bundle_signature", "stranger"),
    "key of another": (signed(allowing("POST", "r"), STRANGER, keyid="team"), "bundle_signature", "not that of key `team`"),
    "expired": (signed(allowing("POST", "r"), exp=NOW_S - 1), "bundle_signature", "expired"),
    "not yet valid": (signed(allowing("POST", "r"), nbf=NOW_S + 86400), "bundle_signature", "not valid"),
    "other scope": (signed(allowing("POST", "r"), scope="staging"), "bundle_signature", "scope"),
    "roots overlap": (signed(allowing("POST", "r") | {".manifest": named("r", ["envoy", "extra"])}), "bundle", "overlapping roots"),
    "outside its roots": (signed(allowing("POST", "r", {"data.json": '{"extra": 2}'})), "bundle", "do not permit"),
    "does not parse": (
        signed(allowing("POST", "r", {"m.rego": "package envoy.authz\n\nallow if {\n"})),
        "policy_compile",
        "rego_parse_error",
    ),
    "does not compile": (
        signed(allowing("POST", "r", {"m.rego": "package envoy.authz\n\nx := y\n"})),
        "policy_compile",
        "var y is unsafe",
    ),
    "no module": (signed({"data.json": "{}", ".manifest": named("r", ["envoy"])}), "bundle", "no `.rego` file"),
    "no such rule": (
        signed({"policy.rego": "package envoy.other\n\nallow := true\n", ".manifest": named("r", ["envoy"])}),
        "policy_compile",
        "envoy/authz/allow",
    ),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_a_bad_bundle_is_refused_and_the_old_policy_decides_on(scene: Scene, fault: str) -> None:
    content, code, text = REFUSED[fault]
    counted, activations = scene.outcomes(code), scene.outcomes("activated")
    scene.plane.put(MAIN, content)
    message = scene.refused(code, text)
    scene.poke()
    wait_until(lambda: scene.outcomes(code) >= counted + 2, "it was tried again")
    assert (scene.allowed(), scene.told(message)) == (["GET"], 1)
    assert scene.outcomes("activated") == activations
    assert (scene.source()["ok"], scene.authz.get("/health?bundles")[0], scene.authz.get("/ready")[0]) == (False, 500, 200)


def test_a_bad_bundle_does_not_hold_up_another(scene: Scene) -> None:
    scene.plane.put(MAIN, signed(allowing("POST", "r"), STRANGER))
    scene.refused("bundle_signature", "stranger")
    revision = scene.next_revision("extra")
    scene.plane.put(EXTRA, signed({"data.json": '{"extra": 3}', ".manifest": named(revision, ["extra"])}))
    wait_until(lambda: scene.source(EXTRA)["revision"] == revision, "the other bundle is newer")
    assert (scene.source()["ok"], scene.source(EXTRA)["ok"], scene.allowed()) == (False, True, ["GET"])


def test_a_bundle_that_was_refused_is_taken_with_the_one_that_makes_room(scene: Scene) -> None:
    roots = signed(allowing("POST", wider := scene.next_revision()) | {".manifest": named(wider, ["envoy", "extra/more"])})
    scene.plane.put(MAIN, roots)
    scene.refused("bundle", "overlap")
    narrower = scene.next_revision("extra")
    scene.plane.put(EXTRA, signed({"data.json": '{"extra": {"less": 1}}', ".manifest": named(narrower, ["extra/less"])}))
    wait_until(lambda: scene.source(EXTRA)["revision"] == narrower, "both are active")
    wait_until(lambda: scene.source()["error"] is None, "the error is gone")
    assert (scene.source()["revision"], scene.allowed()) == (wider, ["POST"])


def test_a_bundle_that_was_taken_back_is_no_error_any_more(scene: Scene) -> None:
    good = signed(allowing("GET", revision := scene.next_revision()))
    scene.plane.put(MAIN, good)
    wait_until(lambda: scene.source()["revision"] == revision, "it decides")
    scene.plane.put(MAIN, signed(allowing("POST", "r"), STRANGER))
    scene.refused("bundle_signature", "stranger")
    scene.plane.put(MAIN, good)
    scene.poke()
    wait_until(lambda: scene.source()["error"] is None, "the error is gone")
    assert (scene.source()["revision"], scene.allowed()) == (revision, ["GET"])


# Deltas


def delta(base: str, revision: str, method: str, **options: Any) -> bytes:
    operation = f'{{"data": [{{"op": "upsert", "path": "/envoy/method", "value": "{method}"}}]}}'
    return signed({"patch.json": operation, ".manifest": named(revision, ["envoy"], base_revision=base)}, **options)


BY_DATA = "package envoy.authz\n\ndefault allow := false\n\nallow if input.attributes.request.http.method == data.envoy.method\n"


def by_data(revision: str, method: str) -> bytes:
    return signed({"policy.rego": BY_DATA, "data.json": f'{{"envoy": {{"method": "{method}"}}}}', ".manifest": named(revision, ["envoy"])})


class DeltaServer:
    """Answers with a delta whoever may have one, else with the snapshot."""

    def __init__(self, snapshot: bytes, delta: bytes) -> None:
        self.preferred: list[str] = []
        self._snapshot = snapshot
        self._delta = delta

    async def __call__(self, request: web.Request) -> web.Response:
        known, wanted = request.headers.get("If-None-Match"), request.headers["Prefer"]
        self.preferred.append(wanted)
        if known == '"newest"':
            return web.Response(status=304)
        takes_delta = known is not None and "delta" in wanted
        return web.Response(body=self._delta if takes_delta else self._snapshot, headers={"ETag": '"newest"'})


def test_a_compiler_that_is_killed_while_it_waits_for_the_next_bundle_is_not_missed(scene: Scene) -> None:
    for _ in range(3):
        scene.publish("GET")
        (waiting,) = wait_until(lambda: children(scene.authz), "one is started ahead")
        os.kill(waiting, signal.SIGKILL)
    scene.publish("POST")
    assert scene.allowed() == ["POST"]


def test_a_delta_changes_what_is_active(scene: Scene) -> None:
    base, revision = scene.next_revision(), scene.next_revision()
    scene.plane.put(MAIN, by_data(base, "GET"))
    wait_until(lambda: scene.source()["revision"] == base, "the base is active")
    server = DeltaServer(b"not asked for", delta(base, revision, "POST"))
    scene.plane.answer(MAIN, server)
    wait_until(lambda: scene.source()["revision"] == revision, "the delta is active")
    assert (scene.allowed(), scene.source()["error"], server.preferred[0]) == (["POST"], None, "modes=snapshot,delta")


@pytest.mark.parametrize(("base", "options"), [("another", {}), (None, {"key": STRANGER})])
def test_a_delta_that_is_refused_is_followed_by_a_snapshot(scene: Scene, base: str | None, options: dict[str, Any]) -> None:
    first, revision = scene.next_revision(), scene.next_revision()
    scene.plane.put(MAIN, by_data(first, "GET"))
    wait_until(lambda: scene.source()["revision"] == first, "the base is active")
    server = DeltaServer(by_data(revision, "POST"), delta(base or first, revision, "PUT", **options))
    scene.plane.answer(MAIN, server)
    wait_until(lambda: scene.source()["revision"] == revision, "the snapshot is active")
    assert (scene.allowed(), server.preferred[:2]) == (["POST"], ["modes=snapshot,delta", "modes=snapshot"])
    assert len(scene.authz.lines("Bundle activation failed")) > 0


def test_what_was_activated_with_deltas_can_be_gone_back_to(scene: Scene) -> None:
    base, revision = scene.next_revision(), scene.next_revision()
    scene.plane.put(MAIN, by_data(base, "GET"))
    wait_until(lambda: scene.source()["revision"] == base, "the base is active")
    scene.plane.answer(MAIN, DeltaServer(by_data(revision, "POST"), delta(base, revision, "POST")))
    wait_until(lambda: scene.source()["revision"] == revision, "the delta is active")
    scene.post("/v1/bundles/rollback")
    assert (scene.source()["revision"], scene.allowed()) == (base, ["GET"])
    scene.post("/v1/bundles/unpin")
    wait_until(lambda: scene.source()["revision"] == revision, "the delta is active again")
    assert scene.allowed() == ["POST"]
