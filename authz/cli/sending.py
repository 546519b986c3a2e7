"""Requests of policies that a command evaluates: sent while it waits, to the hosts that its flags allow.

Owns the flags and the event loop of the requests. Evaluates nothing itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import click

from authz.outbound.allowlist import AllowList, AllowListError
from authz.outbound.settings import SendSettings
from authz.rego.pending import HttpRequest
from authz.rego.values import Object

Send = Callable[[HttpRequest, int], Object]
"""Returns the answer to a request of an evaluation at a time (ns). Raises EvalError."""


def _allow_list(_: click.Context, __: click.Parameter, value: tuple[str, ...]) -> AllowList:
    try:
        return AllowList(value)
    except AllowListError as error:
        raise click.BadParameter(f"{error}: {error.help}") from None


def sending_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the flags `--allow-host` and `--allow-http`, and what they allow as its argument `send`."""

    @click.option(
        "--allow-host",
        "allowed",
        multiple=True,
        callback=_allow_list,
        metavar="HOST[:PORT]",
        help="Let http.send ask this host: a name, `*.example.org` or an address; `:*` for every port. Repeatable; none by default.",
    )
    @click.option("--allow-http", is_flag=True, help="Let http.send ask allowed hosts without TLS.")
    @wraps(command)
    def with_send(*args: Any, allowed: AllowList, allow_http: bool, **options: Any) -> Any:
        with _sending(SendSettings(allowed, allow_http=allow_http)) as send:
            return command(*args, send=send, **options)

    return with_send


@contextmanager
def _sending(settings: SendSettings) -> Iterator[Send | None]:
    """Provide what sends requests, None if no host is allowed: then `http.send` fails."""
    if not settings.allowed:
        yield None
        return
    from authz.outbound.sender import Sender  # noqa: PLC0415 - the HTTP library takes long to import, only for who asks for it

    with asyncio.Runner() as runner:
        sender = runner.run(Sender(settings).__aenter__())
        try:
            yield lambda request, now_ns: runner.run(sender.send(request, now_ns))
        finally:
            runner.run(sender.__aexit__())
