"""Bundles of words and a compiler of them, so that a test of what is activated when needs no process.

An archive is text. `1` is a snapshot with that revision, `+2 on:1` a delta that makes revision 2 of revision 1. More words of a
snapshot: `needs:b=2` and `clash:b=2` compile only with, or without, that revision of another bundle; `wrong` is at fault by
itself; `ill` does not compile, and nobody can tell whose fault that is; `boom` breaks the compiler.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from itertools import count

from authz.control_plane.activator import Activator
from authz.control_plane.compiling import Wanted
from authz.control_plane.contents import Parts
from authz.control_plane.history import History
from authz.errors import AuthzError, ErrorCode
from authz.refresh.messages import Compiled, CompileResponse, Failed, ReadBundle, Unchanged
from authz.refresh.refresher import Decide
from authz.services.downloads import Activated, Download, Outcome
from authz.services.resolution import DownloadSettings
from authz.services.settings import KeySettings
from authz.telemetry.counters import ActivationCounters
from tests.outbound.upstream import until


def wanted(*names: str, keys: Mapping[str, KeySettings] | None = None) -> Wanted:
    return Wanted({name: DownloadSettings(name, "acme", name) for name in names}, keys or {})


def compiled(contents: Mapping[str, Parts], known_digest: str | None = None) -> CompileResponse:
    """Return what the words mean."""
    read, words = [], {}
    for name, parts in sorted(contents.items()):
        folded = _fold(parts)
        if isinstance(folded, Failed):
            return folded
        each, words[name] = folded
        read.append(each)
    revisions = {each.name: each.revision for each in read}
    for name, said in words.items():
        failed = _failed(name, said, revisions)
        if failed is not None:
            return failed
    revision = " ".join(f"{name}={each}" for name, each in revisions.items())
    if revision == known_digest:
        return Unchanged(revision, tuple(read))
    return Compiled(revision, revision.encode(), revision, tuple(read))


def _fold(parts: Parts) -> tuple[ReadBundle, list[str]] | Failed:
    texts = [archive.content.decode() for archive in parts.archives]
    snapshots = [position for position, text in enumerate(texts) if not text.startswith("+")]
    if not snapshots:
        return Failed(ErrorCode.BUNDLE, "a delta without a snapshot", is_final=True, bundle=parts.name)
    first = snapshots[-1]
    revision, *said = texts[first].split()
    for text in texts[first + 1 :]:
        follower, base = text.removeprefix("+").split()
        if base != f"on:{revision}":
            return Failed(ErrorCode.BUNDLE, f"a delta {base}, but {revision} is active", is_final=True, bundle=parts.name)
        revision = follower
    return ReadBundle(parts.name, revision, first, texts[-1].startswith("+")), said


def _failed(name: str, said: Sequence[str], revisions: Mapping[str, str]) -> Failed | None:
    for word in said:
        kind, _, rest = word.partition(":")
        other, _, revision = rest.partition("=")
        if kind == "boom":
            raise RuntimeError("boom")
        if kind == "wrong":
            return Failed(ErrorCode.BUNDLE_SIGNATURE, f"{name} is wrong", is_final=True, bundle=name)
        if kind == "ill" or (kind in ("needs", "clash") and (revisions.get(other) == revision) is (kind == "clash")):
            return Failed(ErrorCode.POLICY_COMPILE, f"{name}: {word}", is_final=True)
    return None


class Gate:
    """Holds every compile that begins while it is shut."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self._opened = asyncio.Event()
        self._opened.set()

    def shut(self) -> None:
        self.begun.clear()
        self._opened.clear()

    def open(self) -> None:
        self._opened.set()

    async def pass_through(self) -> None:
        self.begun.set()
        await self._opened.wait()


class Bench:
    """An activator, and all that it does to others."""

    def __init__(self, history: History) -> None:
        self.counters = ActivationCounters()
        self.gate = Gate()
        self.compiles: list[dict[str, str]] = []
        self.decided: list[str] = []
        self.adopted: list[tuple[str, str | None]] = []
        self.speaks_against: Failed | None = None
        self.cannot_decide: str | None = None
        self.deliveries: list[asyncio.Task[Outcome]] = []
        clock = count(1)
        self.activator = Activator(
            self.compile, Decide(self.activate, self.approve), history, self.counters, lambda: next(clock), self.adopt
        )

    @property
    def deciding(self) -> str | None:
        return self.decided[-1] if self.decided else None

    @property
    def revisions(self) -> dict[str, str]:
        return {name: parts.revision for name, parts in self.activator.active.items()}

    def send(self, name: str, text: str, *, base: str | None = None) -> asyncio.Task[Outcome]:
        """Begin a delivery. `base` is the text of the archive that a delta may be on top of."""
        base_etag = None if base is None else f'"{base}"'
        download = Download(name, text.encode(), sha256(text.encode()).hexdigest(), f'"{text}"', base_etag, len(text), 0)
        task = asyncio.create_task(self.activator.deliver(download))
        self.deliveries.append(task)
        return task

    async def deliver(self, name: str, text: str, *, base: str | None = None) -> Outcome:
        return await self.send(name, text, base=base)

    async def both(self, **texts: str) -> list[Outcome]:
        """Deliver to several bundles, so that all are there before the first compile begins."""
        await self.activator._changing.acquire()
        tasks = [self.send(name, text) for name, text in texts.items()]
        try:
            await until(lambda: all(self.is_pending(name, text) for name, text in texts.items()))
        finally:
            self.activator._changing.release()
        return list(await asyncio.gather(*tasks))

    def is_pending(self, name: str, text: str) -> bool:
        candidate = self.activator._candidates._by_name.get(name)
        return candidate is not None and candidate.parts.archives[-1].content == text.encode()

    async def compile(self, contents: Mapping[str, Parts], wanted: Wanted, known_digest: str | None) -> CompileResponse:
        assert contents.keys() == wanted.bundles.keys()
        self.compiles.append({name: parts.archives[-1].content.decode() for name, parts in contents.items()})
        await self.gate.pass_through()
        return compiled(contents, known_digest)

    async def activate(self, policy: Compiled) -> None:
        if self.cannot_decide is not None:
            raise AuthzError(self.cannot_decide)
        self.decided.append(policy.revision)

    async def approve(self, _policy: Compiled) -> Failed | None:
        return self.speaks_against

    def adopt(self, parts: Parts, activated: Activated) -> None:
        self.adopted.append((parts.name, activated.revision))


@asynccontextmanager
async def bench(*names: str, history: History | None = None, is_running: bool = True) -> AsyncIterator[Bench]:
    """Have an activator that wants these bundles."""
    made = Bench(history or History(None, 5))
    made.activator.want(wanted(*names))
    task = asyncio.create_task(made.activator.run()) if is_running else None
    try:
        yield made
        assert task is None or not task.done(), "the activator has ended"
    finally:
        tasks = [*made.deliveries, *([task] if task is not None else [])]
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
