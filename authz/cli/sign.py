"""`authz sign` and `authz verify`: the signature of a bundle, made and checked. Owns flags and output."""

from __future__ import annotations

from pathlib import Path

import click

from authz.bundle.signatures import SIGNATURES_NAME, signature_file
from authz.cli.build import write_file
from authz.cli.signing import algorithm_flag, read_claims, signing_flags, signing_key, verification, verification_flags
from authz.publish.packing import read_bundle_at


@click.command("sign")
@click.argument("path", type=click.Path(path_type=Path), metavar="PATH")
@click.option("--bundle", "-b", is_flag=True, expose_value=False, help="As OPA's; PATH is always a bundle.")
@click.option(
    "--output-file-path",
    "-o",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=".",
    show_default=True,
    metavar="DIR",
    help=f"Where {SIGNATURES_NAME} is written.",
)
@signing_flags
@algorithm_flag
def sign_command(path: Path, directory: Path, signing_key_: str | None, signing_alg: str, claims_file: Path | None) -> None:
    """Write the signature of the bundle at PATH, an archive or a directory."""
    if signing_key_ is None:
        raise click.UsageError("give the secret, or the file with the private key: --signing-key")
    key = signing_key(signing_key_, signing_alg)
    signature = signature_file(read_bundle_at(path).files, key, read_claims(claims_file))
    write_file(directory / SIGNATURES_NAME, signature.content)


@click.command()
@click.argument("path", type=click.Path(path_type=Path), metavar="PATH")
@verification_flags
@algorithm_flag
def verify(  # noqa: PLR0913 - flags
    path: Path,
    verification_key: str | None,
    verification_key_id: str,
    signing_alg: str,
    scope: str | None,
    exclude_files_verify: tuple[str, ...],
) -> None:
    """Verify the signature of the bundle at PATH, an archive or a directory; one without a signature is refused."""
    if verification_key is None:
        raise click.UsageError("give the secret, or the file with the public key: --verification-key")
    verifying = verification(verification_key, verification_key_id, signing_alg, scope, exclude_files_verify, is_strict=True)
    bundle = read_bundle_at(path, verifying)
    assert bundle.signature is not None
    signed = bundle.signature
    scoped = f" for scope `{signed.scope}`" if signed.scope else ""
    click.echo(f"{path}: signed by key `{signed.key_id}` ({signed.algorithm}){scoped}, {len(bundle.files) - 1} files")
