"""Paths on disk, directories, files and bundle archives, → the source of one policy. Knows neither compilers nor when files change."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from authz.bundle.bundle import Bundle, parse_bundle
from authz.bundle.directory import PolicySource, policy_source
from authz.bundle.limits import DEFAULT_LIMITS
from authz.bundle.signatures import Verification
from authz.bundle.sources import combine, merge
from authz.refresh.files import is_archive, read_file, read_policy_files


def read_source(paths: Iterable[Path], *, with_tests: bool = False) -> PolicySource:
    """Read modules and data at the paths, perhaps none; raises SourceError and BundleError.

    An archive (`.tar.gz`, `.tgz`) is a bundle, whose signature is not verified here.
    """
    given = list(dict.fromkeys(paths))
    archives = [path for path in given if is_archive(path)]
    files = [path for path in given if not is_archive(path)]
    if not archives:
        return policy_source(read_policy_files(files, with_tests=with_tests))
    bundles = combine([read_bundle(path) for path in archives], with_tests=with_tests)
    return merge(bundles, policy_source(read_policy_files(files, with_tests=with_tests))) if files else bundles


def read_bundle(path: Path, verification: Verification | None = None) -> Bundle:
    """Read a bundle's archive; it is named as its file. Raises SourceError and BundleError."""
    return parse_bundle(str(path), read_file(path, DEFAULT_LIMITS.compressed_bytes), verification=verification)
