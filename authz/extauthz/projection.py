"""Projection: at activation, from what a policy reads, a function that takes only that out of a check request.

A projection yields leaves, a tuple of values with None for undefined, which is the key under which a decision may be cached:
a policy sees nothing else. From the leaves comes the input document. Knows no policy but its read set, and no cache.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Final, TypeAlias, Union, cast

from envoy.service.auth.v3.external_auth_pb2 import CheckRequest

from authz.extauthz.getters import Getter, Path, getter
from authz.extauthz.view import IdentitySource, InputConfig, RequestView, full_document
from authz.rego.values import Object, Value

Leaves: TypeAlias = tuple[Value | None, ...]
Branch: TypeAlias = tuple[tuple[str, Union[int, "Branch"]], ...]

# Values that are different in every request that Envoy sends.
_UNIQUE: Final[tuple[Path, ...]] = (("attributes", "request", "time"), ("attributes", "request", "http", "id"))


class Projection:
    """Takes out of check requests what one entry point reads. One per snapshot.

    `repeats` is false where a policy reads what no two requests share (the whole input, the time, Envoy's stream id): equal
    leaves are then not worth waiting for. `reads_body` is true where leaves may be large, or numbers as somebody spelled them.
    """

    __slots__ = ("_branch", "_checks_body", "_checks_path", "_config", "_getters", "_identities", "reads_body", "repeats")

    def __init__(self, reads: Iterable[Path], identities: IdentitySource, config: InputConfig) -> None:
        paths = minimal(reads)
        self.repeats = not any(starts_with(unique, path) or starts_with(path, unique) for unique in _UNIQUE for path in paths)
        self._identities = identities
        self._config = config
        # What is read is checked by being read.
        heads = {path[0] for path in paths if path}
        self._checks_path = config.check_unread and heads.isdisjoint(("parsed_path", "parsed_query"))
        self.reads_body = not heads.isdisjoint(("parsed_body", "truncated_body"))
        self._checks_body = config.check_unread and not config.skip_request_body_parse and not self.reads_body
        is_whole = paths == ((),)
        self._getters: tuple[Getter, ...] = () if is_whole else tuple(getter(path, config) for path in paths)
        self._branch = None if is_whole else _branch(paths)

    def leaves(self, request: CheckRequest) -> Leaves:
        """Return the values that the policy reads; raise BadRequestError for a request that opa-envoy-plugin answers with 400."""
        if self._branch is None:
            return (full_document(request, self._identities, self._config),)
        view = RequestView(request, self._identities)
        if self._checks_path:
            view.check_path()
        if self._checks_body:
            view.check_body()
        return tuple([get(view) for get in self._getters])

    def caller(self, request: CheckRequest) -> str:
        """Return who is calling, for people: the SPIFFE ID that a policy would be shown, else the peer's name; empty if unknown."""
        view = RequestView(request, self._identities)
        spiffe_id = view.identity().get("spiffe_id")
        return spiffe_id if isinstance(spiffe_id, str) else request.attributes.source.principal

    def document(self, leaves: Leaves) -> Object:
        """Return the input document: what was read, where it belongs. Objects on the way to a leaf are always there."""
        if self._branch is None:
            return cast(Object, leaves[0])
        return _assemble(self._branch, leaves)


def minimal(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Return the paths that are not below another one, sorted: equal read sets give equal projections."""
    kept: list[Path] = []
    for path in sorted(set(paths)):
        if not kept or not starts_with(path, kept[-1]):
            kept.append(path)
    return tuple(kept)


def starts_with(path: Path, prefix: Path) -> bool:
    """Tell whether a path is at or below another."""
    return path[: len(prefix)] == prefix


def _branch(paths: tuple[Path, ...], depth: int = 0, first: int = 0) -> Branch:
    """Return the tree of the paths below a common prefix of `depth` steps; leaves are positions, from `first` on."""
    branch: list[tuple[str, int | Branch]] = []
    for step, group in groupby(enumerate(paths, first), key=lambda item: item[1][depth]):
        members = list(group)
        position, path = members[0]
        is_leaf = len(path) == depth + 1
        branch.append((step, position if is_leaf else _branch(tuple(path for _, path in members), depth + 1, position)))
    return tuple(branch)


def _assemble(branch: Branch, leaves: Leaves) -> Object:
    document = Object()
    for name, child in branch:
        if isinstance(child, int):
            value = leaves[child]
            if value is not None:
                document[name] = value
        else:
            document[name] = _assemble(child, leaves)
    return document
