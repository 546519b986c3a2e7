"""Check requests for tests, as Envoy would send them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from google.protobuf import json_format
from hypothesis import strategies as st

XFCC = (
    "By=spiffe://prod.example/ns/ledger/sa/api;Hash=5f2b6c9e0f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4;"
    'Subject="O=prod,CN=checkout";URI=spiffe://prod.example/ns/payments/sa/checkout'
)
CALLER = "spiffe://prod.example/ns/payments/sa/checkout"
SERVER = "spiffe://prod.example/ns/ledger/sa/api"


def check_request(http: Mapping[str, Any] | None = None, source: Mapping[str, Any] | None = None, **attributes: Any) -> CheckRequest:
    """Return a request from protojson parts; `raw_body_b64` names the bytes field, dotted keys name nested attributes."""
    parts = dict(http or {})
    if "raw_body_b64" in parts:
        parts["rawBody"] = base64.b64encode(base64.b64decode(parts.pop("raw_body_b64"))).decode()
    document: dict[str, Any] = {"request": {"http": parts}}
    if source is not None:
        document["source"] = source
    for name, value in attributes.items():
        holder = document
        *parents, last = name.split(".")
        for parent in parents:
            holder = holder.setdefault(parent, {})
        holder[last] = value
    return json_format.ParseDict({"attributes": document}, CheckRequest())


def mesh_request(method: str = "GET", path: str = "/v1/transactions?limit=10", **headers: str) -> CheckRequest:
    """Return a request from one workload to another, over mTLS."""
    return check_request(
        {
            "id": "42",
            "method": method,
            "path": path,
            "host": "ledger.prod.example",
            "scheme": "https",
            "headers": {XFCC_NAME: XFCC, **headers},
        },
        {"principal": CALLER, "address": {"socketAddress": {"address": "10.0.0.7", "portValue": 4321}}},
        destination={"principal": SERVER},
        **{"request.time": "2020-11-20T09:47:47.722473Z"},
    )


XFCC_NAME = "x-forwarded-client-cert"

text = st.text(st.characters(codec="utf-8"), max_size=12)
names = st.sampled_from(["a", "b", "x-tenant", "content-type", "content-length", XFCC_NAME, "x-envoy-auth-partial-body", ""])
header_values = st.one_of(
    text, st.sampled_from([XFCC, "application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "true", "3"])
)
request_paths = st.one_of(text, st.sampled_from(["/", "", "//a/b?c=d", "/a%2Fb", "/a?x=1&x=2", "/%zz", "/a?b;c", "*", "/a?%61=%+"]))
principals = st.one_of(text, st.sampled_from([CALLER, SERVER, ""]))
json_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), text, st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**60), 2**60)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)),
    max_leaves=6,
)
addresses = st.sampled_from(
    [
        {},
        {"socketAddress": {"address": "10.0.0.1", "portValue": 0, "protocol": "UDP"}},
        {"socketAddress": {"address": "::1", "namedPort": "", "ipv4Compat": True}},
        {"pipe": {"path": "/run/x.sock", "mode": 420}},
        {"envoyInternalAddress": {"serverListenerName": "inner"}},
    ]
)
peers = st.fixed_dictionaries(
    {}, optional={"address": addresses, "principal": principals, "service": text, "labels": st.dictionaries(names, text, max_size=2)}
)
header_maps = st.fixed_dictionaries(
    {
        "headers": st.lists(
            st.fixed_dictionaries(
                {"key": names}, optional={"value": text, "rawValue": st.binary(max_size=6).map(lambda b: base64.b64encode(b).decode())}
            ),
            max_size=3,
        )
    }
)
https = st.fixed_dictionaries(
    {},
    optional={
        "id": text,
        "method": st.sampled_from(["GET", "POST", ""]),
        "headers": st.dictionaries(names, header_values, max_size=4),
        "headerMap": header_maps,
        "path": request_paths,
        "host": text,
        "scheme": text,
        "size": st.integers(-(2**63), 2**63 - 1).map(str),
        "protocol": text,
        "body": st.one_of(text, st.sampled_from(['{"a": 1}', "[1.5, null]", "a=b", "x"])),
        "rawBody": st.binary(max_size=8).map(lambda raw: base64.b64encode(raw).decode()),
    },
)
metadata = st.fixed_dictionaries(
    {},
    optional={
        "filterMetadata": st.dictionaries(names, st.dictionaries(names, json_values, max_size=3), max_size=2),
        "typedFilterMetadata": st.dictionaries(
            names, st.just({"@type": "type.googleapis.com/google.protobuf.Timestamp", "value": "2020-11-20T09:47:47.722473Z"}), max_size=1
        ),
    },
)
check_requests = st.fixed_dictionaries(
    {},
    optional={
        "attributes": st.fixed_dictionaries(
            {},
            optional={
                "source": peers,
                "destination": peers,
                "request": st.fixed_dictionaries(
                    {}, optional={"http": https, "time": st.sampled_from(["1970-01-01T00:00:00Z", "2020-11-20T09:47:47.7Z"])}
                ),
                "contextExtensions": st.dictionaries(names, text, max_size=2),
                "metadataContext": metadata,
                "routeMetadataContext": metadata,
                "tlsSession": st.fixed_dictionaries({}, optional={"sni": text}),
            },
        )
    },
).map(lambda document: json_format.ParseDict(document, CheckRequest()))
