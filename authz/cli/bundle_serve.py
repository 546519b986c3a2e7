"""`authz bundle serve`: a directory of policies and archives as a bundle server. Owns flags, sockets and signals."""

from __future__ import annotations

import asyncio
import resource
import signal
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
import uvloop
from aiohttp import web

from authz.cli.signing import DEFAULT_KEY_ID, algorithm_flag, read_claims, signing_flags, signing_key
from authz.config import ConfigError
from authz.publish.catalogue import Catalogue
from authz.publish.packer import Packer, Signer
from authz.publish.packing import ignored
from authz.publish.server import MAX_WAITING, BundleServer
from authz.server.address import Address, bind, parse_address
from authz.telemetry.logs import LogFormat, configure_logs

OTHER_DESCRIPTORS: Final = 256
"""Descriptors for everything but requests that wait: files that are read, answers that are sent."""


@dataclass(frozen=True, slots=True)
class Flags:
    """The flags of `serve`, by the names that click gives them."""

    directory: Path
    addr: str
    token_file: Path | None
    tls_cert_file: Path | None
    tls_private_key_file: Path | None
    signing_key_: str | None
    signing_alg: str
    signing_key_id: str
    claims_file: Path | None
    scope: str | None
    ignore: tuple[str, ...]
    v0_compatible: bool
    max_waiting: int
    log_format: LogFormat

    def token(self) -> str:
        """Return the token to ask for, empty for none. Raises ConfigError."""
        if self.token_file is None:
            return ""
        try:
            token = self.token_file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"a file of the bundle server cannot be used: {error}") from error
        if not token:
            raise ConfigError(f"{self.token_file}: the token is empty")
        return token

    def tls(self) -> ssl.SSLContext | None:
        """Return how to serve with TLS, None for without. Raises ConfigError."""
        if self.tls_cert_file is None and self.tls_private_key_file is None:
            return None
        if self.tls_cert_file is None or self.tls_private_key_file is None:
            raise ConfigError("--tls-cert-file and --tls-private-key-file go together")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(self.tls_cert_file, self.tls_private_key_file)
        except OSError as error:  # ssl.SSLError is one
            raise ConfigError(f"a file of the bundle server cannot be used: {error}") from error
        return context

    def signer(self) -> Signer | None:
        """Return what signs, None if nothing is signed. Raises ConfigError, SignatureError and SourceError."""
        if self.signing_key_ is None:
            if self.claims_file is not None or self.scope is not None:
                raise ConfigError("--claims-file and --scope are of a signature: give --signing-key, too")
            return None
        claims = read_claims(self.claims_file)
        if self.scope is not None and claims.setdefault("scope", self.scope) != self.scope:
            raise ConfigError(f"--scope is `{self.scope}`, but {self.claims_file} has the scope `{claims['scope']}`")
        signer = Signer(signing_key(self.signing_key_, self.signing_alg, self.signing_key_id), claims)
        signer.signed(())  # claims that nothing can be signed with are told now
        return signer


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--addr", default="127.0.0.1:8888", show_default=True, metavar="HOST:PORT", help="Serve here.")
@click.option("--token-file", type=click.Path(path_type=Path), metavar="FILE", help="Ask for this bearer token.")
@click.option("--tls-cert-file", type=click.Path(path_type=Path), metavar="FILE", help="Serve with TLS.")
@click.option("--tls-private-key-file", type=click.Path(path_type=Path), metavar="FILE", help="The certificate's key.")
@signing_flags
@algorithm_flag
@click.option("--signing-key-id", default=DEFAULT_KEY_ID, show_default=True, metavar="ID", help="What the signing key is called.")
@click.option("--scope", metavar="SCOPE", help="What the signatures are for.")
@click.option("--ignore", multiple=True, metavar="PATTERN", help="Names of files and directories to leave out, as '*_test.rego'.")
@click.option("--v0-compatible", is_flag=True, help="Read policies as Rego v0, and say so in their manifests.")
@click.option("--max-waiting", type=click.IntRange(0), default=MAX_WAITING, show_default=True, metavar="N", help="Long polls at a time.")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Format of log lines.")
def serve(**values: Any) -> None:
    """Serve the policies below DIRECTORY, each folder and each NAME.tar.gz as /bundles/NAME, by OPA's protocol.

    ETags, long polls, deltas, signatures. An edit that does not compile leaves the last good version in service.
    """
    flags = Flags(**values)
    packer = Packer(flags.signer(), 0 if flags.v0_compatible else 1, ignored(flags.ignore))
    token, tls, address = flags.token(), flags.tls(), parse_address(flags.addr)
    logs = configure_logs(flags.log_format, "info")
    try:
        uvloop.run(_serve(flags, packer, address, token, tls))
    finally:
        logs.close()


def _raised_descriptors(waiting: int) -> int:
    """Let the process have a descriptor for each request that waits; return how many may wait with what the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = waiting + OTHER_DESCRIPTORS
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return min(waiting, max(allowed - OTHER_DESCRIPTORS, 0))


async def _serve(flags: Flags, packer: Packer, address: Address, token: str, tls: ssl.SSLContext | None) -> None:
    most = _raised_descriptors(flags.max_waiting)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    bound = bind(address)
    catalogue = Catalogue(flags.directory, packer)
    await catalogue.start()
    runner = BundleServer(catalogue, token, most).runner()
    await runner.setup()
    await web.SockSite(runner, bound.socket, ssl_context=tls).start()
    following, stopping = asyncio.create_task(catalogue.follow()), asyncio.create_task(stop.wait())
    click.echo(f"serving the bundles in {flags.directory} at {bound.address}", err=True)
    try:
        await asyncio.wait({following, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if following.done():
            await following  # nothing follows the directory any more: better to end, and be started again
    finally:
        following.cancel()
        stopping.cancel()
        await runner.cleanup()
