"""Bundles → a compiled policy, or what one of them says, in another process. Decides nothing about what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from authz.control_plane.contents import Parts
from authz.refresh.compilers import Compilers
from authz.refresh.messages import (
    ArchivePart,
    BundleKey,
    BundleParts,
    Bundles,
    CompileRequest,
    CompileResponse,
    EvaluateRequest,
    EvaluateResponse,
    Span,
)
from authz.refresh.spool import spans
from authz.services.resolution import DownloadSettings
from authz.services.settings import KeySettings


@dataclass(frozen=True, slots=True)
class CompileSettings:
    """How bundles become a policy; fixed for the life of the process. `must_be_signed`: a bundle without a signature is refused."""

    entrypoint: str
    rego_version: int = 1
    timeout_s: float = 60.0
    must_be_signed: bool = True
    must_pass_tests: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """The bundles that the policy is made of, and the keys that they may be signed with."""

    bundles: Mapping[str, DownloadSettings] = field(default_factory=dict)
    keys: Mapping[str, KeySettings] = field(default_factory=dict)


class BundleCompiler:
    """Compiles and evaluates bundles."""

    def __init__(self, settings: CompileSettings, compilers: Compilers) -> None:
        self._settings = settings
        self._compilers = compilers

    async def compile(self, contents: Mapping[str, Parts], wanted: Wanted, known_digest: str | None) -> CompileResponse:
        """Return the policy that the bundles are together, unless they are what `known_digest` is of. Raises SpoolError."""
        settings = self._settings
        ordered = [contents[name] for name in sorted(contents)]
        archives = [archive.content for parts in ordered for archive in parts.archives]
        places = iter(spans(archives))
        source = Bundles(tuple(self._parts(each, places, wanted) for each in ordered), _keys(wanted), settings.must_pass_tests)
        request = CompileRequest(source, settings.entrypoint, settings.rego_version, settings.timeout_s, known_digest)
        return await self._compilers.compile(request, archives)

    async def evaluate(self, parts: Parts, wanted: Wanted, path: tuple[str, ...], runtime: str) -> EvaluateResponse:
        """Return the document at a path of a bundle by itself. Raises SpoolError."""
        archives: Sequence[bytes] = [archive.content for archive in parts.archives]
        source = Bundles((self._parts(parts, iter(spans(archives)), wanted),), _keys(wanted))
        request = EvaluateRequest(source, path, runtime, self._settings.rego_version, self._settings.timeout_s)
        return await self._compilers.evaluate(request, archives)

    def prepare(self) -> None:
        """Be quicker with the first bundle."""
        self._compilers.prepare()

    async def close(self) -> None:
        """End the process that waits for the next bundle."""
        await self._compilers.close()

    def _parts(self, parts: Parts, places: Iterator[Span], wanted: Wanted) -> BundleParts:
        """Return a bundle as the compiler is told of it; takes the places of its archives."""
        download = wanted.bundles[parts.name]
        signing = download.signing
        return BundleParts(
            parts.name,
            tuple(ArchivePart(next(places), archive.verified_s) for archive in parts.archives),
            parts.etag,
            None if signing is None else signing.keyid or None,
            None if signing is None else signing.scope or None,
            () if signing is None else signing.exclude_files,
            self._settings.must_be_signed,
            download.size_limit_bytes,
        )


def _keys(wanted: Wanted) -> tuple[BundleKey, ...]:
    return tuple(BundleKey(name, key.key, key.algorithm, key.scope) for name, key in wanted.keys.items() if key.key)
