"""`authz bundle list|show|rollback|pin|unpin|refresh`: versions of the bundles of a running sidecar, over its admin address."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import click

from authz.cli.admin_client import AdminError, ask
from authz.cli.output import print_json
from authz.cli.tables import table
from authz.control_plane.versions import ROUTES

DEFAULT_ADDR: Final = "127.0.0.1:8181"


def _flags(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the flags that all of these have."""
    for option in (
        click.option("--format", "-f", "format_", type=click.Choice(["pretty", "json"]), default="pretty", show_default=True),
        click.option("--admin-addr", default=DEFAULT_ADDR, show_default=True, metavar="HOST:PORT|unix:///PATH", help="The sidecar's."),
    ):
        command = option(command)
    return command


@click.command("list")
@_flags
def list_command(admin_addr: str, format_: str) -> None:
    """List the bundles of a running sidecar and the versions that it can go back to, newest first."""
    _show(ask(admin_addr, "GET", ROUTES), format_)


@click.command()
@click.argument("version", required=False)
@_flags
def show(version: str | None, admin_addr: str, format_: str) -> None:
    """Show one VERSION (an id, or the beginning of one), the active one by default."""
    document = ask(admin_addr, "GET", ROUTES)
    found = [each for each in document["versions"] if (each["active"] if version is None else each["id"].startswith(version))]
    if len(found) != 1:
        what = "no version is active" if version is None else f"there is no version `{version}`, or more than one"
        raise AdminError(what, help="`authz bundle list` shows the versions")
    if format_ == "json":
        print_json(found[0])
    else:
        click.echo("".join(f"{line}\n" for line in _version_lines(found[0])), nl=False)


@click.command()
@click.argument("version", required=False)
@_flags
def rollback(version: str | None, admin_addr: str, format_: str) -> None:
    """Activate an older VERSION, the one before the active one by default, and pin it.

    Pinned, for else the next download would bring back what was left: `authz bundle unpin` lets newer versions in again.
    """
    _show(ask(admin_addr, "POST", f"{ROUTES}/rollback", {"version": version}), format_)


@click.command()
@click.argument("version", required=False)
@_flags
def pin(version: str | None, admin_addr: str, format_: str) -> None:
    """Keep VERSION active, the active one by default, whatever is downloaded."""
    _show(ask(admin_addr, "POST", f"{ROUTES}/pin", {"version": version}), format_)


@click.command()
@_flags
def unpin(admin_addr: str, format_: str) -> None:
    """Let newer versions be activated again, and ask for them now."""
    _show(ask(admin_addr, "POST", f"{ROUTES}/unpin", {}), format_)


@click.command()
@_flags
def refresh(admin_addr: str, format_: str) -> None:
    """Ask the services for every bundle now."""
    _show(ask(admin_addr, "POST", f"{ROUTES}/refresh", {}), format_)


def _show(document: dict[str, Any], format_: str) -> None:
    if format_ == "json":
        print_json(document)
        return
    text = table(["Bundle", "Revision", "Age", "State"], [_bundle_row(each) for each in document["bundles"]])
    text += table(["Version", "Revision", "Activated", "State"], [_version_row(each) for each in document["versions"]])
    if document["persistence_error"]:
        text += f"not persisted: {document['persistence_error']}\n"
    click.echo(text, nl=False)


def _bundle_row(bundle: dict[str, Any]) -> list[str]:
    error = bundle["error"]
    age = bundle.get("age_seconds")
    state = f"{error['code']}: {error['message'].splitlines()[0]}" if error else "stale" if bundle.get("stale") else "ok"
    return [bundle["name"], bundle["revision"] or "", "" if age is None else f"{age:.0f} s", state]


def _version_row(version: dict[str, Any]) -> list[str]:
    state = [word for word in ("active", "pinned", "stored") if version[word]]
    return [version["id"], version["revision"], version["activated_at"] or "", ", ".join(state)]


def _version_lines(version: dict[str, Any]) -> Iterator[str]:
    identity, revision, activated, state = _version_row(version)
    yield from (f"Version:   {identity}", f"Revision:  {revision}", f"Activated: {activated}", f"State:     {state}")
    for bundle in version["bundles"]:
        yield f"Bundle:    {bundle['name']} {bundle['revision']}, ETag {bundle['etag'] or 'none'}"
        for position, digest in enumerate(bundle["digests"]):
            yield f"  {'delta' if position else 'snapshot'} sha256:{digest}"
