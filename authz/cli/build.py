"""`authz build`: policies and data → one bundle. Owns flags and the file; what is put together is `packing`'s."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from authz import rego
from authz.bundle.archive import ArchiveFile, write_archive
from authz.bundle.bundle import bundle_of
from authz.bundle.checking import refuse_data_conflicts
from authz.bundle.directory import SourceError
from authz.bundle.signatures import signature_file
from authz.cli.loading import compile_source
from authz.cli.signing import algorithm_flag, read_claims, signing_flags, signing_key, verification, verification_flags
from authz.publish import packing
from authz.rego import errors
from authz.rego.nodes import NOWHERE


@dataclass(frozen=True, slots=True)
class Flags:
    """The flags of the command, by the names that click gives them."""

    paths: tuple[Path, ...]
    bundle: bool
    output: Path
    revision: str | None
    entrypoints: tuple[str, ...]
    optimize: int
    target: str
    ignore: tuple[str, ...]
    v0_compatible: bool
    signing_key_: str | None
    signing_alg: str
    claims_file: Path | None
    verification_key: str | None
    verification_key_id: str
    scope: str | None
    exclude_files_verify: tuple[str, ...]

    @property
    def rego_version(self) -> int:
        return 0 if self.v0_compatible else 1

    def inputs(self) -> list[packing.Input]:
        """Read what the bundle is made of. Raises SourceError and BundleError."""
        verifying = verification(self.verification_key, self.verification_key_id, self.signing_alg, self.scope, self.exclude_files_verify)
        is_ignored = packing.ignored(self.ignore)
        return [packing.read_input(path, self.bundle, is_ignored, verifying) for path in self.paths]

    def signature(self, files: Iterable[ArchiveFile]) -> tuple[ArchiveFile, ...]:
        """Return the signature file, if the bundle is to be signed. Raises SignatureError and SourceError."""
        if self.signing_key_ is None:
            return ()
        key = signing_key(self.signing_key_, self.signing_alg, self.verification_key_id)
        return (signature_file(files, key, read_claims(self.claims_file)),)


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@click.option("--bundle", "-b", is_flag=True, help="The paths are bundles or their directories: manifests count, signatures must verify.")
@click.option("--output", "-o", type=click.Path(path_type=Path, dir_okay=False), default="bundle.tar.gz", show_default=True, metavar="FILE")
@click.option("--revision", "-r", metavar="TEXT", help="The bundle's revision.")
@click.option("--entrypoint", "-e", "entrypoints", multiple=True, metavar="PATH", help="A rule or package that must exist; repeatable.")
@click.option("--optimize", "-O", type=click.IntRange(0), default=0, metavar="N", help="As OPA's; changes nothing here (see the manual).")
@click.option(
    "--target", "-t", type=click.Choice(["rego"]), default="rego", show_default=True, help="As OPA's; Wasm and plans are not made."
)
@click.option("--ignore", multiple=True, metavar="PATTERN", help="Names of files and directories to leave out, as '*_test.rego'.")
@click.option("--v0-compatible", is_flag=True, help="Read policies as Rego v0, and say so in the manifest.")
@signing_flags
@algorithm_flag
@verification_flags
def build(**values: Any) -> None:
    """Build a bundle of the policies and data at PATH. What does not compile is not built; the same input gives the same bytes."""
    flags = Flags(**values)
    made = packing.package(flags.inputs(), flags.revision, flags.rego_version, is_bundle=flags.bundle)
    policy = compile_source(made.source, flags.rego_version, prints=True)
    refuse_data_conflicts(made.source, flags.rego_version)
    _check_entrypoints(policy, flags.entrypoints)
    bundle_of(str(flags.output), made.files)  # what is written must be readable
    files = (*made.files, *flags.signature(made.files))
    if flags.optimize:
        click.echo("note: -O changes nothing: policies are optimised where they are activated", err=True)
    write_file(flags.output, write_archive(files))


def _check_entrypoints(policy: rego.Policy, entrypoints: Iterable[str]) -> None:
    known = set(policy.entrypoints)
    for entrypoint in entrypoints:
        path = entrypoint.strip("/")
        if path not in known and not any(name.startswith(f"{path}/") for name in known):
            name = f"data.{path.replace('/', '.')}"
            message = f"undefined entrypoint {name}"
            raise errors.compile_error(errors.COMPILE, message, NOWHERE, help="an entry point is written as `envoy/authz/allow`")


def write_file(path: Path, content: bytes) -> None:
    """Write a file at once: who reads it meanwhile sees the old one or the new one. Raises SourceError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise SourceError(f"{path}: {error.strerror or error}") from error
