"""One check request as the input document sees it: every part by its name, built when it is first asked for.

Owns what each top-level key of `input` is. Which of them a policy reads is the projection's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest

from authz.extauthz.attributes import message_value
from authz.extauthz.body import NOT_PARSED, PARTIAL_BODY, TRUNCATED, Body, Headers, parse_body
from authz.extauthz.identity_input import IdentityObjects, destination
from authz.extauthz.paths import is_malformed, split_path
from authz.identity import IdentityResolver
from authz.rego.values import Object, Value

XFCC: Final = "x-forwarded-client-cert"
VERSION: Final = Object({"ext_authz": "v3", "encoding": "protojson"})


@dataclass(frozen=True, slots=True)
class InputConfig:
    """How input documents are built.

    `skip_request_body_parse` is opa-envoy-plugin's option: no `parsed_body`, no `truncated_body`, no 400 for a malformed body.
    `check_unread` answers 400 to a malformed path, query or body even where the policy reads none of them, as the plugin does;
    without it a request is only refused for what the policy reads. Requests without a body cost nothing either way.
    """

    skip_request_body_parse: bool = False
    check_unread: bool = True


class IdentitySource:
    """Resolves who is calling and remembers how a policy sees it."""

    __slots__ = ("_objects", "_resolver")

    def __init__(self, resolver: IdentityResolver) -> None:
        self._resolver = resolver
        self._objects = IdentityObjects()

    def read(self, attributes: AttributeContext, headers: Headers) -> Object:
        """Return `input.identity`."""
        source = attributes.source
        return self._objects.of(self._resolver.resolve(headers.get(XFCC), source.principal, source.certificate))


class RequestView:
    """A decoded check request and what was derived from it so far. One per check."""

    __slots__ = ("_body", "_identities", "_identity", "_split", "attributes", "headers", "http", "message")

    def __init__(self, request: CheckRequest, identities: IdentitySource) -> None:
        self.message = request
        self.attributes = attributes = request.attributes
        self.http = http = attributes.request.http
        self.headers: Headers = http.headers
        self._identities = identities
        self._split: tuple[tuple[Value, ...], Object] | None = None
        self._body: Body | None = None
        self._identity: Object | None = None

    def check_path(self) -> None:
        """Raise BadRequestError if the path or the query is malformed."""
        if is_malformed(self.http.path):
            self.split()

    def check_body(self) -> None:
        """Raise BadRequestError if the body is malformed; cheaper than reading it."""
        body, raw_body = self.http.body, self.http.raw_body
        if body or raw_body:
            parse_body(self.headers, body, raw_body, only_check=True)

    def split(self) -> tuple[tuple[Value, ...], Object]:
        """Return `parsed_path` and `parsed_query`."""
        if self._split is None:
            self._split = split_path(self.http.path)
        return self._split

    def body(self) -> Body:
        """Return `parsed_body` and `truncated_body`."""
        if self._body is None:
            body, raw_body = self.http.body, self.http.raw_body
            if body or raw_body:
                self._body = parse_body(self.headers, body, raw_body)
            else:
                self._body = TRUNCATED if self.headers.get(PARTIAL_BODY) == "true" else NOT_PARSED
        return self._body

    def identity(self) -> Object:
        """Return `input.identity`."""
        if self._identity is None:
            self._identity = self._identities.read(self.attributes, self.headers)
        return self._identity

    def path(self) -> Value | None:
        """Return `input.request.path`: the path as it was sent, without the query, neither decoded nor normalised."""
        path: str = self.http.path
        return path.partition("?")[0] or None

    def destination(self) -> Value | None:
        """Return `input.request.destination`: our side's SPIFFE ID."""
        return destination(self.attributes.destination.principal)

    def source_principal(self) -> Value | None:
        """Return `input.source_principal`, absent if empty."""
        principal: str = self.attributes.source.principal
        return principal or None

    def request(self) -> Object:
        """Return `input.request`; parts that are empty are absent."""
        http = self.http
        parts = {"method": http.method, "path": self.path(), "host": http.host, "scheme": http.scheme, "destination": self.destination()}
        return Object((name, part) for name, part in parts.items() if part)

    def document(self, config: InputConfig) -> Object:
        """Return the whole input document."""
        document = message_value(self.message)
        document["version"] = VERSION
        document["parsed_path"], document["parsed_query"] = self.split()
        if not config.skip_request_body_parse:
            document["parsed_body"], document["truncated_body"] = self.body()
        principal = self.source_principal()
        if principal is not None:
            document["source_principal"] = principal
        document["identity"] = self.identity()
        document["request"] = self.request()
        return document


def full_document(request: CheckRequest, identities: IdentitySource, config: InputConfig) -> Object:
    """Build the whole input document: the slow twin of a projection, for decision logs, explanations and tests."""
    return RequestView(request, identities).document(config)
