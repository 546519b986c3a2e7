"""The types of the built-in functions' arguments and results, with the labels that OPA's messages give them.

One place for what OPA declares; what the functions accept when they run is in their own declarations.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

from authz.rego.types import model
from authz.rego.types.model import Type

_ABBREVIATIONS: Final = {
    "Cidrs": "any<string, array[any<string, array[any]>], object[string: any<string, array[any]>], set[any<string, array[any]>]>",
    "Paths": "any<array[any<string, array[any]>], set[any<string, array[any]>]>",
    "Collection": "any<array[any], object[any: any], set[any]>",
    "Graph": "object[any: any<array[any], set[any]>]",
    "Document": "any<string, object[any: any]>",
    "Texts": "any<string, array[string], set[string]>",
    "Moment": "any<number, array<number, string>>",
    "List": "any<array[any], set[any]>",
    "Fault": "object<desc: string, error: string, field: string, type: string>",
    "Object": "object[any: any]",
    "Options": "object[string: any]",
}

# Functions that share a signature, then the signature.
_DECLARED: Final = """
abs ceil floor round (x: number) => y: number
all any (List) => boolean
and or (x: set[any], y: set[any]) => z: set[any]
array.concat (x: array[any], y: array[any]) => z: array[any]
array.flatten (arr: array[any]) => flattened: array[any]
array.reverse (arr: array[any]) => rev: array[any]
array.slice (arr: array[any], start: number, stop: number) => slice: array[any]
base64.decode base64.encode base64url.decode base64url.encode base64url.encode_no_pad crypto.md5 crypto.sha1 (x: string) => y: string
crypto.sha256 hex.decode hex.encode lower strings.reverse upper urlquery.decode urlquery.encode (x: string) => y: string
base64.is_valid json.is_valid yaml.is_valid (x: string) => result: boolean
bits.and bits.or bits.xor div mul plus rem (x: number, y: number) => z: number
bits.lsh bits.rsh (x: number, s: number) => z: number
bits.negate (x: number) => z: number
cast_array (any) => array[any]
cast_boolean (any) => boolean
cast_null (any) => null
cast_object (any) => Object
cast_set (any) => set[any]
cast_string (any) => string
concat (delimiter: string, collection: any<array[string], set[string]>) => output: string
contains (haystack: string, needle: string) => result: boolean
count (collection: any<string, array[any], Object, set[any]>) => n: number
crypto.hmac.equal (mac1: string, mac2: string) => result: boolean
crypto.hmac.md5 crypto.hmac.sha1 crypto.hmac.sha256 crypto.hmac.sha512 (x: string, key: string) => y: string
crypto.parse_private_keys (keys: string) => output: array[Options]
crypto.x509.parse_and_verify_certificates (certs: string) => output: array<boolean, array[Options]>
crypto.x509.parse_and_verify_certificates_with_options (certs: string, options: Options) => output: array<boolean, array[Options]>
crypto.x509.parse_certificate_request (csr: string) => output: Options
crypto.x509.parse_certificates (certs: string) => output: array[Options]
crypto.x509.parse_keypair (cert: string, pem: string) => output: Options
crypto.x509.parse_rsa_private_key (pem: string) => output: Options
endswith startswith (search: string, base: string) => result: boolean
equal gt gte lt lte neq (x: any, y: any) => result: boolean
format_int (number: number, base: number) => output: string
glob.match (pattern: string, delimiters: any<null, array[string]>, match: string) => result: boolean
glob.quote_meta (pattern: string) => output: string
graph.reachable (graph: Graph, initial: List) => output: set[any]
graph.reachable_paths (graph: Graph, initial: List) => output: set[array[any]]
graphql.is_valid (query: Document, schema: Document) => output: boolean
graphql.parse (query: Document, schema: Document) => output: array<Object, Object>
graphql.parse_and_verify (query: Document, schema: Document) => output: array<boolean, Object, Object>
graphql.parse_query (query: string) => output: Object
graphql.parse_schema (schema: string) => output: Object
graphql.schema_is_valid (schema: Document) => output: boolean
http.send (request: Options) => response: Object
indexof (haystack: string, needle: string) => output: number
indexof_n (haystack: string, needle: string) => output: array[number]
internal.member_2 (any, any) => boolean
internal.member_3 (any, any, any) => boolean
internal.print (array[set[any]]) => boolean
internal.template_string (array[any]) => string
intersection union (xs: set[set[any]]) => y: set[any]
io.jwt.decode (jwt: string) => output: array<Object, Object, string>
io.jwt.decode_verify (jwt: string, constraints: Options) => output: array<boolean, Object, Object>
io.jwt.encode_sign (headers: Options, payload: Options, key: Options) => output: string
io.jwt.encode_sign_raw (headers: string, payload: string, key: string) => output: string
io.jwt.verify_eddsa io.jwt.verify_es256 io.jwt.verify_es384 io.jwt.verify_es512 (jwt: string, certificate: string) => result: boolean
io.jwt.verify_ps256 io.jwt.verify_ps384 io.jwt.verify_ps512 (jwt: string, certificate: string) => result: boolean
io.jwt.verify_rs256 io.jwt.verify_rs384 io.jwt.verify_rs512 (jwt: string, certificate: string) => result: boolean
io.jwt.verify_hs256 io.jwt.verify_hs384 io.jwt.verify_hs512 (jwt: string, secret: string) => result: boolean
is_array is_boolean is_null is_number is_object is_set is_string (x: any) => result: boolean
json.filter (object: Object, paths: Paths) => filtered: Object
json.marshal yaml.marshal (x: any) => y: string
json.marshal_with_options (x: any, opts: object<indent: string, prefix: string, pretty: boolean>[string: any]) => y: string
json.match_schema (document: Document, schema: Document) => output: array<boolean, array[Fault]>
json.patch (target: any, patches: array[object<op: string, path: any>[any: any]]) => output: any
json.remove (object: Object, paths: Paths) => output: Object
json.unmarshal yaml.unmarshal (x: string) => y: any
json.verify_schema (schema: Document) => output: array<boolean, any<null, string>>
max min (collection: List) => n: any
minus (x: any<number, set[any]>, y: any<number, set[any]>) => z: any<number, set[any]>
net.cidr_contains (cidr: string, cidr_or_ip: string) => result: boolean
net.cidr_contains_matches (cidrs: Cidrs, cidrs_or_ips: Cidrs) => output: set[array<any, any>]
net.cidr_expand (cidr: string) => hosts: set[string]
net.cidr_intersects (cidr1: string, cidr2: string) => result: boolean
net.cidr_is_valid (cidr: string) => result: boolean
net.cidr_merge (addrs: any<array[any<string>], set[string]>) => output: set[string]
net.cidr_overlap re_match (string, string) => boolean
net.lookup_ip_addr (name: string) => addrs: set[string]
numbers.range (a: number, b: number) => range: array[number]
numbers.range_step (a: number, b: number, step: number) => range: array[number]
object.filter (object: Object, keys: Collection) => filtered: Object
object.get (object: Object, key: any, default: any) => value: any
object.keys (object: Object) => value: set[any]
object.remove (object: Object, keys: Collection) => output: Object
object.subset (super: Collection, sub: Collection) => result: boolean
object.union (a: Object, b: Object) => output: Object
object.union_n (objects: array[Object]) => output: Object
opa.runtime () => output: Options
product sum (collection: any<array[number], set[number]>) => n: number
providers.aws.sign_req (request: Options, aws_config: Options, time_ns: number) => signed_request: Object
rand.intn (str: string, n: number) => y: number
regex.find_all_string_submatch_n (pattern: string, value: string, number: number) => output: array[array[string]]
regex.find_n (pattern: string, value: string, number: number) => output: array[string]
regex.globs_match (glob1: string, glob2: string) => result: boolean
regex.is_valid (pattern: string) => result: boolean
regex.match (pattern: string, value: string) => result: boolean
regex.replace (s: string, pattern: string, value: string) => output: string
regex.split (pattern: string, value: string) => output: array[string]
regex.template_match (template: string, value: string, delimiter_start: string, delimiter_end: string) => result: boolean
rego.parse_module (filename: string, rego: string) => output: Options
replace (x: string, old: string, new: string) => y: string
semver.compare (a: string, b: string) => result: number
semver.is_valid (vsn: any) => result: boolean
set_diff (set[any], set[any]) => set[any]
sort (collection: List) => n: array[any]
split (x: string, delimiter: string) => ys: array[string]
sprintf (format: string, values: array[any]) => output: string
strings.any_prefix_match strings.any_suffix_match (search: Texts, base: Texts) => result: boolean
strings.count (search: string, substring: string) => output: number
strings.render_template (value: string, vars: Options) => result: string
strings.replace_n (patterns: object[string: string], value: string) => output: string
strings.split_n (x: string, delimiter: string, n: number) => ys: array[string]
substring (value: string, offset: number, length: number) => output: string
time.add_date (ns: number, years: number, months: number, days: number) => output: number
time.clock (x: Moment) => output: array<number, number, number>
time.date (x: Moment) => date: array<number, number, number>
time.diff (ns1: Moment, ns2: Moment) => output: array<number, number, number, number, number, number>
time.format (x: any<number, array<number, string>, array<number, string, string>>) => formatted timestamp: string
time.now_ns () => now: number
time.parse_duration_ns (duration: string) => ns: number
time.parse_ns (layout: string, value: string) => ns: number
time.parse_rfc3339_ns (value: string) => ns: number
time.weekday (x: Moment) => day: string
to_number (value: any<null, boolean, number, string>) => num: number
trace (note: string) => result: boolean
trim trim_left trim_right (value: string, cutset: string) => output: string
trim_prefix (value: string, prefix: string) => output: string
trim_space (value: string) => output: string
trim_suffix (value: string, suffix: string) => output: string
type_name (x: any) => type: string
units.parse units.parse_bytes (x: string) => y: number
uri.is_valid (uri: string) => result: boolean
uri.parse (uri: string) => output: object[string: string]
urlquery.decode_object (x: string) => object: object[string: array[string]]
urlquery.encode_object (object: object[string: Texts]) => y: string
uuid.parse (uuid: string) => result: Options
uuid.rfc4122 (k: string) => output: string
walk (x: any) => output: array<array[any], any>
"""

_SCALARS: Final = {"null": model.NULL, "boolean": model.BOOLEAN, "number": model.NUMBER, "string": model.STRING}
_TOKEN: Final = re.compile(r"\w+|[<>\[\]:]")


@dataclass(frozen=True, slots=True)
class Signature:
    """A function's arguments and result; `labels` are empty texts where OPA has none, the last one is the result's."""

    params: tuple[Type, ...]
    result: Type
    labels: tuple[str, ...]


def signature(name: str) -> Signature | None:
    """Return the signature of a built-in function; None for one that OPA does not have."""
    return _declared(name) if name in _texts() else None


@cache
def _declared(name: str) -> Signature:
    params, _, result = _texts()[name][1:].partition(") => ")
    labels, types = zip(*map(_labelled, [*_split(params), result]), strict=True)
    return Signature(types[:-1], types[-1], labels)


@cache
def _texts() -> dict[str, str]:
    texts: dict[str, str] = {}
    for line in _DECLARED.strip().splitlines():
        names, parenthesis, rest = line.partition("(")
        texts.update((name, parenthesis + rest) for name in names.split())
    return texts


def _split(params: str) -> list[str]:
    """Return the texts between the commas that stand outside every bracket."""
    parts, depth = [""], 0
    for char in params:
        depth += (char in "<[") - (char in ">]")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts if part]


def _labelled(text: str) -> tuple[str, Type]:
    label, colon, rest = text.partition(": ")
    is_labelled = bool(colon) and "<" not in label and "[" not in label
    return (label, _type(rest)) if is_labelled else ("", _type(text))


@cache
def _type(text: str) -> Type:
    tokens = _TOKEN.findall(text)
    tokens.reverse()
    found = _parsed(tokens)
    assert not tokens, text
    return found


def _parsed(tokens: list[str]) -> Type:
    """Return the type that the tokens, last one first, begin with; take its tokens away."""
    name = tokens.pop()
    if name in _ABBREVIATIONS:
        return _type(_ABBREVIATIONS[name])
    if name in _SCALARS:
        return _SCALARS[name]
    if name == "any":
        return model.union_type(part for _, part in _parts(tokens, "<", ">"))
    if name == "set":
        return model.set_(_parts(tokens, "[", "]")[0][1])
    static, dynamic = _parts(tokens, "<", ">"), _parts(tokens, "[", "]")
    if name == "array":
        return model.array(tuple(part for _, part in static), dynamic[0][1] if dynamic else None)
    assert name == "object", name
    pair = (_type(dynamic[0][0]), dynamic[0][1]) if dynamic else None
    return model.object_(dict(static), pair)


def _parts(tokens: list[str], start: str, end: str) -> list[tuple[str, Type]]:
    """Return what stands in brackets, if these come next: types, each with what stands before its colon."""
    parts = []
    if tokens and tokens[-1] == start:
        tokens.pop()
        while tokens[-1] != end:
            label = tokens.pop() if tokens[-2] == ":" else ""
            if label:
                tokens.pop()
            parts.append((label, _parsed(tokens)))
        tokens.pop()
    return parts
