"""Bundles → a compiled policy, or what one of them says, in another process. Decides nothing about what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from authz.control_plane.contents import Parts
from authz.control_plane.spool import spooled
from authz.refresh.compiler_process import compile_in_process, evaluate_in_process
from authz.refresh.messages import BundleKey, BundleParts, Bundles, CompileRequest, CompileResponse, EvaluateRequest, EvaluateResponse
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


async def compile_bundles(
    contents: Mapping[str, Parts], wanted: Wanted, settings: CompileSettings, known_digest: str | None
) -> CompileResponse:
    """Return the policy that the bundles are together. Raises SpoolError."""
    ordered = [contents[name] for name in sorted(contents)]
    async with spooled([archive.content for parts in ordered for archive in parts.archives]) as descriptors:
        rest = list(descriptors)
        parts = tuple(_parts(each, rest, wanted.bundles[each.name], settings) for each in ordered)
        source = Bundles(parts, _keys(wanted), settings.must_pass_tests)
        request = CompileRequest(source, settings.entrypoint, settings.rego_version, settings.timeout_s, known_digest)
        return await compile_in_process(request, descriptors=descriptors)


async def evaluate_bundle(parts: Parts, wanted: Wanted, settings: CompileSettings, path: tuple[str, ...], runtime: str) -> EvaluateResponse:
    """Return the document at a path of a bundle by itself. Raises SpoolError."""
    async with spooled([archive.content for archive in parts.archives]) as descriptors:
        source = Bundles((_parts(parts, list(descriptors), wanted.bundles[parts.name], settings),), _keys(wanted))
        request = EvaluateRequest(source, path, runtime, settings.rego_version, settings.timeout_s)
        return await evaluate_in_process(request, descriptors=descriptors)


def _keys(wanted: Wanted) -> tuple[BundleKey, ...]:
    return tuple(BundleKey(name, key.key, key.algorithm, key.scope) for name, key in wanted.keys.items() if key.key)


def _parts(parts: Parts, descriptors: list[int], download: DownloadSettings, settings: CompileSettings) -> BundleParts:
    """Return a bundle as the compiler is told of it; takes its descriptors."""
    count = len(parts.archives)
    own, descriptors[:count] = tuple(descriptors[:count]), []
    signing = download.signing
    return BundleParts(
        parts.name,
        own,
        parts.etag,
        None if signing is None else signing.keyid or None,
        None if signing is None else signing.scope or None,
        () if signing is None else signing.exclude_files,
        settings.must_be_signed,
        download.size_limit_bytes,
    )
