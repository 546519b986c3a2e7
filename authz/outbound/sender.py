"""Answers to the requests of policies: from the cache, from an equal request that is under way, or from the server.

Owns what is remembered and shared, and the answer that a failure becomes. How a request is sent is the client's.
"""

from __future__ import annotations

import asyncio
import logging
from time import monotonic_ns
from typing import Final, Self

from authz.outbound import freshness, urls
from authz.outbound.cache import ResponseCache, Stored
from authz.outbound.client import HttpClient, Response
from authz.outbound.errors import SendError
from authz.outbound.settings import SendSettings
from authz.rego.builtins.http_response import Fields, failure, headers_value, response_value
from authz.rego.errors import EvalError
from authz.rego.pending import HttpRequest
from authz.rego.values import Object
from authz.telemetry.counters import SendCounters
from authz.telemetry.logs import log
from authz.telemetry.repeats import RepeatFilter

logger = logging.getLogger(__name__)

_NOT_MODIFIED: Final = 304
_OK: Final = 200


class _Flight:
    """A request under way, for all who want its answer; without them it is given up."""

    __slots__ = ("task", "waiting")

    def __init__(self, task: asyncio.Task[Object]) -> None:
        self.task = task
        self.waiting = 0


class Sender:
    """Answers requests for every evaluation of the process. Open it as a context; one event loop only."""

    def __init__(self, settings: SendSettings) -> None:
        self.settings = settings
        self.counters = SendCounters()
        self.cache = ResponseCache(settings.max_cache_bytes)
        self._client = HttpClient(settings)
        self._flights: dict[str, _Flight] = {}
        self._repeats = RepeatFilter()

    async def __aenter__(self) -> Self:
        await self._client.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        flights = [flight.task for flight in self._flights.values()]
        for task in flights:
            task.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        await self._client.close()

    def at_hand(self, request: HttpRequest, now_ns: int) -> Object | None:
        """Return the answer that need not be waited for: a stored one that is still good."""
        found = self.cache.fresh(request.key, now_ns) if request.caches else None
        if found is not None:
            self.counters.by_cache["hit"] += 1
        return found

    async def send(self, request: HttpRequest, now_ns: int) -> Object:
        """Return the answer to a request as its policy is given it, a failure too. Raises EvalError for one that is too large.

        `now_ns` is the time of the evaluation that asks: what is good or stored is so at that time.
        """
        if not request.caches:
            self.counters.by_cache["bypass"] += 1
            return await self._answer(request)
        return self.at_hand(request, now_ns) or await self._shared(request, now_ns)

    async def _shared(self, request: HttpRequest, now_ns: int) -> Object:
        """Return the answer to a request that equal ones share while it is under way."""
        flight = self._flights.get(request.key)
        if flight is None:
            flight = _Flight(asyncio.create_task(self._refreshed(request, now_ns)))
            self._flights[request.key] = flight
            flight.task.add_done_callback(lambda task: self._landed(request.key, flight, task))
        else:
            self.counters.by_cache["shared"] += 1
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                self._forget(request.key, flight)
                flight.task.cancel()

    def _landed(self, key: str, flight: _Flight, task: asyncio.Task[Object]) -> None:
        self._forget(key, flight)
        if not task.cancelled():
            task.exception()  # an error that nobody was left to be told is no defect

    def _forget(self, key: str, flight: _Flight) -> None:
        """Have nobody join a request any more."""
        if self._flights.get(key) is flight:
            del self._flights[key]

    async def _refreshed(self, request: HttpRequest, now_ns: int) -> Object:
        """Return the answer of the server, asking only whether a stored one is still right where there is one; store it."""
        stale = self.cache.take(request.key)
        conditions = freshness.conditions(stale.headers) if stale is not None else ()
        try:
            if stale is not None and conditions:
                response = await self._fetch(request, conditions)
                if response.code == _NOT_MODIFIED:
                    return self._renewed(request, stale, response.headers, now_ns)
                if response.code == _OK:
                    return await self._stored(request, response, now_ns)
            return await self._stored(request, await self._fetch(request, ()), now_ns)
        except SendError as error:
            return failure(error.code, _message(request, error))

    async def _answer(self, request: HttpRequest) -> Object:
        try:
            return await _decoded(request, await self._fetch(request, ()))
        except SendError as error:
            return failure(error.code, _message(request, error))

    async def _stored(self, request: HttpRequest, response: Response, now_ns: int) -> Object:
        self.counters.by_cache["miss"] += 1
        value = await _decoded(request, response)
        expires_ns = freshness.expiry_ns(request, response, now_ns)
        if expires_ns is not None:
            self.cache.put(request.key, Stored(value, response.headers, now_ns, expires_ns))
        return value

    def _renewed(self, request: HttpRequest, stale: Stored, newer: Fields, now_ns: int) -> Object:
        self.counters.by_cache["revalidated"] += 1
        headers = freshness.renewed(stale.headers, newer)
        value = Object({**stale.value, "headers": headers_value(headers)})
        expires_ns = freshness.renewed_ns(request, newer, now_ns)
        if expires_ns is not None:
            self.cache.put(request.key, Stored(value, headers, now_ns, expires_ns))
        return value

    async def _fetch(self, request: HttpRequest, conditions: Fields) -> Response:
        """Ask the server, and count and tell what becomes of it."""
        counters = self.counters
        counters.in_flight += 1
        started_ns = monotonic_ns()
        outcome = "cancelled"
        try:
            response = await self._client.fetch(request, conditions)
            outcome = "ok"
        except SendError as error:
            outcome = error.outcome
            self._tell(request, outcome)
            raise
        except EvalError:
            outcome = "too_large"
            raise
        finally:
            counters.in_flight -= 1
            counters.by_outcome[outcome] += 1
            counters.latency.observe(monotonic_ns() - started_ns)
        return response

    def _tell(self, request: HttpRequest, outcome: str) -> None:
        """Say which host does not answer, once a minute; nothing else of the request, which may hold secrets."""
        host = urls.host_of(request.url)
        held_back = self._repeats.admit(f"{host} {outcome}", monotonic_ns() / 1e9)
        if held_back is not None:
            log(logger, "warn", "http.send failed", host=host, outcome=outcome, repeated=held_back)


async def _decoded(request: HttpRequest, response: Response) -> Object:
    """Return an answer as a value. In a thread: a body may take long to read, and other checks are waiting."""
    return await asyncio.to_thread(response_value, response.status, response.code, response.headers, response.body, request)


def _message(request: HttpRequest, error: SendError) -> str:
    """Return a failure's text: OPA puts the code of what is no network error in front of it, where the policy wanted an answer."""
    return error.message if error.is_network or request.raises else f"eval_builtin_error: http.send: {error.message}"
