"""Archives that another process hands over → the source of one policy: verified, deltas applied, ready to be combined.

Runs in the compile worker. Which archives are wanted, and what becomes of the policy, is not known here.
"""

from __future__ import annotations

import os
from dataclasses import replace
from time import perf_counter_ns

from authz.bundle.bundle import Bundle, parse_bundle
from authz.bundle.delta import apply_delta
from authz.bundle.errors import BundleError
from authz.bundle.keys import Key, Keys
from authz.bundle.limits import DEFAULT_LIMITS
from authz.bundle.signatures import Verification
from authz.errors import ErrorCode
from authz.refresh.messages import BundleKey, BundleParts, Bundles, Failed, ReadBundle


class RefusedError(Exception):
    """One of the bundles cannot be used, or all of them together."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.message)
        self.failed = failed


def read_bundles(source: Bundles, spool: int, now_s: float) -> tuple[list[Bundle], tuple[ReadBundle, ...]]:
    """Return the bundles as their archives in the file `spool` make them, and what is to be remembered of them. Raises RefusedError."""
    keys = Keys({key.id: _key(key) for key in source.keys})
    bundles: list[Bundle] = []
    read: list[ReadBundle] = []
    for parts in source.bundles:
        begun_ns = perf_counter_ns()
        try:
            bundle, first, is_delta = _fold(parts, spool, keys, now_s)
        except BundleError as error:
            raise RefusedError(failed(error, parts.name)) from error
        bundles.append(bundle)
        read.append(ReadBundle(parts.name, bundle.revision or bundle.digest, first, is_delta, now_s, perf_counter_ns() - begun_ns))
    return bundles, tuple(read)


def failed(error: BundleError, bundle: str | None = None) -> Failed:
    """Return a bundle's error as an answer. Time may mend a signature, so that it is worth another try."""
    return Failed(error.code, error.message, error.help, is_final=error.code != ErrorCode.BUNDLE_SIGNATURE, bundle=bundle)


def _fold(parts: BundleParts, spool: int, keys: Keys, now_s: float) -> tuple[Bundle, int, bool]:
    """Return the snapshot that the archives lead to, the position of the last one that is a snapshot, whether the last is a delta."""
    limits = DEFAULT_LIMITS if parts.file_bytes is None else replace(DEFAULT_LIMITS, file_bytes=parts.file_bytes)
    found: Bundle | None = None
    first, is_delta = 0, False
    for position, archive in enumerate(parts.archives):
        # What decides already does so until something newer comes, which must not have to wait for the renewal of another bundle.
        then_s = now_s if archive.verified_s is None else archive.verified_s
        verification = Verification(keys, then_s, parts.key_id, parts.scope, parts.exclude_files, is_strict=parts.must_be_signed)
        bundle = parse_bundle(parts.name, os.pread(spool, archive.span.size, archive.span.offset), verification=verification, limits=limits)
        is_delta = bundle.is_delta
        if not is_delta:
            found, first = bundle, position
        elif found is None:
            raise BundleError(f"bundle {parts.name}: is a delta, but there is no snapshot that it changes")
        else:
            found = apply_delta(found, bundle)
    assert found is not None
    return found, first, is_delta


def _key(key: BundleKey) -> Key:
    return Key(key.id, key.key, key.algorithm, key.scope)
