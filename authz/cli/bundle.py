"""`authz bundle serve`: a directory of archives as a bundle server."""

from __future__ import annotations

import asyncio
import signal
import ssl
from pathlib import Path

import click
from aiohttp import web

from authz.cli import versions
from authz.config import ConfigError
from authz.server.address import bind, parse_address
from authz.services.bundle_server import BundleServer


@click.group()
def bundle() -> None:
    """Policy bundles."""


for command in versions.COMMANDS:
    bundle.add_command(command)


@bundle.command()
@click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--addr", default="127.0.0.1:8888", show_default=True, metavar="HOST:PORT", help="Serve here.")
@click.option("--token-file", type=click.Path(path_type=Path), metavar="FILE", help="Ask for this bearer token.")
@click.option("--tls-cert-file", type=click.Path(path_type=Path), metavar="FILE", help="Serve with TLS.")
@click.option("--tls-private-key-file", type=click.Path(path_type=Path), metavar="FILE", help="The certificate's key.")
def serve(directory: Path, addr: str, token_file: Path | None, tls_cert_file: Path | None, tls_private_key_file: Path | None) -> None:
    """Serve every NAME.tar.gz below DIRECTORY as /bundles/NAME: ETags, long polls, OPA's protocol."""
    try:
        token = token_file.read_text().strip() if token_file is not None else ""
        tls = _tls(tls_cert_file, tls_private_key_file)
    except (OSError, ssl.SSLError, UnicodeDecodeError) as error:
        raise ConfigError(f"a file of the bundle server cannot be used: {error}") from error
    if token_file is not None and not token:
        raise ConfigError(f"{token_file}: the token is empty")
    asyncio.run(_serve(directory, addr, token, tls))


def _tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise ConfigError("--tls-cert-file and --tls-private-key-file go together")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


async def _serve(directory: Path, addr: str, token: str, tls: ssl.SSLContext | None) -> None:
    server, stop = BundleServer(directory, token), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    bound = bind(parse_address(addr))
    runner = web.AppRunner(server.app(), access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    await web.SockSite(runner, bound.socket, ssl_context=tls).start()
    watching = asyncio.create_task(server.watch())
    click.echo(f"serving the bundles in {directory} at {bound.address}", err=True)
    try:
        await stop.wait()
    finally:
        watching.cancel()
        await runner.cleanup()
