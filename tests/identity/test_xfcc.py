"""The header's two grammars, the way Envoy writes them and the way an attacker does."""

import json
import timeit
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.errors import ErrorCode
from authz.identity import Refusal, XfccElement, XfccError, parse_xfcc
from tests.identity.vectors import Vector, each

VISIBLE = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
BARE_SAN = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='",;\\'), min_size=1, max_size=20)
TEXT = st.text(VISIBLE, min_size=1, max_size=20)
DISTINGUISHED_NAME = st.lists(
    st.sampled_from(["CN=a", ",O=b", r"\,", r"\"", r"\\", r"\;", r"\ ", r"\C3\A9", ";URI=x", ",By=y", "=", "#0C04"]), max_size=6
).map("".join)
HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
ENCODED_PEM = st.text("abcXYZ019-%+/=", min_size=1, max_size=20)

ELEMENT = st.builds(
    XfccElement,
    by=st.lists(BARE_SAN, max_size=3).map(tuple),
    hash=HEX,
    cert=st.none() | ENCODED_PEM,
    chain=st.lists(ENCODED_PEM, max_size=1).map(tuple),
    subject=st.none() | DISTINGUISHED_NAME,
    issuer=st.none() | DISTINGUISHED_NAME,
    uri=st.lists(BARE_SAN, max_size=3).map(tuple),
    dns=st.lists(BARE_SAN, max_size=3).map(tuple),
)


def render(elements: list[XfccElement]) -> str:
    """Write elements as Envoy 1.40 does: SANs bare, names and certificates quoted, an empty `URI=` where there is none."""
    return ",".join(";".join(_pairs(element)) for element in elements)


def _pairs(element: XfccElement) -> list[str]:
    pairs = [f"By={name}" for name in element.by] + [f"Hash={element.hash}"]
    pairs += [f'Cert="{element.cert}"'] if element.cert else []
    pairs += [f'Chain="{text}"' for text in element.chain]
    pairs += [f'Subject="{element.subject}"'] if element.subject is not None else []
    pairs += [f"URI={name}" for name in element.uri] or ["URI="]
    pairs += [f"DNS={name}" for name in element.dns]
    return pairs + ([f'Issuer="{element.issuer}"'] if element.issuer is not None else [])


def as_vector(element: XfccElement) -> dict[str, Any]:
    """Show what a vector's element shows, so that a key it leaves out must be absent."""
    shown: dict[str, Any] = {name: list(getattr(element, name.lower())) for name in ("By", "URI", "DNS")}
    shown |= {name: getattr(element, name.lower()) for name in ("Hash", "Subject")}
    shown |= {name: getattr(element, name.lower()) for name in ("Cert", "Issuer") if getattr(element, name.lower()) is not None}
    return shown | ({"Chain": list(element.chain)} if element.chain else {})


@each("xfcc")
def test_a_header_is_read_as_the_rules_say(vector: Vector) -> None:
    if "error" in vector:
        with pytest.raises(XfccError) as caught:
            parse_xfcc(vector["header"])
        assert caught.value.reason == vector["error"]
        return
    expected = [
        {name: [value] if name == "Chain" and isinstance(value, str) else value for name, value in element.items()}
        for element in vector["expect"]
    ]
    assert [as_vector(element) for element in parse_xfcc(vector["header"])] == expected


@given(st.lists(ELEMENT, min_size=1, max_size=4))
def test_what_a_proxy_can_write_is_read_back(elements: list[XfccElement]) -> None:
    assert parse_xfcc(render(elements)) == elements


@given(st.lists(ELEMENT, min_size=1, max_size=4))
def test_white_space_around_pairs_changes_nothing(elements: list[XfccElement]) -> None:
    # Not behind an empty bare value: that would be white space after the equals sign.
    loose = ", \t".join(";".join(pair if pair == "URI=" else f" {pair} " for pair in _pairs(element)) for element in elements)
    assert parse_xfcc(f"\t{loose} ") == elements


@given(st.lists(TEXT, min_size=1, max_size=3))
def test_any_visible_text_survives_in_quotes(values: list[str]) -> None:
    quoted = ['"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values]
    assert parse_xfcc(";".join(f"DNS={value}" for value in quoted))[0].dns == tuple(values)


@given(st.lists(st.tuples(st.lists(TEXT, max_size=2), TEXT, st.none() | TEXT), min_size=1, max_size=4))
def test_the_json_form_is_read_back(parts: list[tuple[list[str], str, str | None]]) -> None:
    objects = [{"uri": uris, "hash": digest} | ({} if name is None else {"subject": name}) for uris, digest, name in parts]
    elements = parse_xfcc(json.dumps(objects))
    assert [(list(element.uri), element.hash, element.subject) for element in elements] == parts


_FRAGMENTS = st.lists(
    st.sampled_from(
        [
            *"=;,\"\\ \t[]{}:'",
            "By",
            "Hash",
            "Cert",
            "Subject",
            "URI",
            "dns",
            "Chain",
            "Issuer",
            "null",
            "NaN",
            "-1e9",
            '"uri":["a"]',
            "\r\n",
        ]
    )
    | st.text(max_size=4),
    max_size=40,
).map("".join)


@given(st.text() | _FRAGMENTS | _FRAGMENTS.map(lambda text: f"[{text}]") | _FRAGMENTS.map(lambda text: f"Hash=h;{text}"))
def test_any_text_is_a_list_of_elements_or_the_typed_error(header: str) -> None:
    try:
        elements = parse_xfcc(header)
    except XfccError:
        return
    assert elements
    assert all(isinstance(element, XfccElement) for element in elements)


def test_a_refusal_carries_its_codes_and_quotes_nothing() -> None:
    with pytest.raises(XfccError) as caught:
        parse_xfcc("URI=secret;")
    assert (caught.value.reason, caught.value.code) == (Refusal.EMPTY_ELEMENT, ErrorCode.IDENTITY)
    assert str(caught.value) == "x-forwarded-client-cert refused: empty_element"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("Hash=" + "a" * 65532, Refusal.TOO_LONG),
        ("URI=a\x7f", Refusal.BAD_CHAR),
        ("URI=a\ud800", Refusal.BAD_CHAR),
        ("URI=a\tb", Refusal.BAD_CHAR),
        ("URI= ;Hash=h", Refusal.SPACE_AFTER_EQUALS),
        ("\u017fubject=CN;Hash=h", Refusal.BAD_CHAR),
        ('URI="a\\', Refusal.UNTERMINATED_QUOTE),
        ("[" * 60000, Refusal.JSON_FORMAT),
        ('[{"a":' * 8000, Refusal.JSON_FORMAT),
        ("[" + "9" * 60000 + "]", Refusal.JSON_FORMAT),
        ('[{"hash":1.5e400}]', Refusal.JSON_FORMAT),
        ('[{"hash":null}]', Refusal.JSON_FORMAT),
        ('[{"uri":["a",true]}]', Refusal.JSON_FORMAT),
        ('[{"cert":"a\\u0000"}]', Refusal.BAD_CHAR),
        ('[{"cert":"a\\r\\n"}]', Refusal.BAD_CHAR),
        ('[{"subject":"a\\nb"}]', Refusal.BAD_CHAR),
        ('[{"hash":"\\ud800"}]', Refusal.BAD_CHAR),
        ("[" + ",".join(['{"hash":"h"}'] * 33) + "]", Refusal.TOO_MANY_ELEMENTS),
        ('[{"dns":[' + ",".join(['"d"'] * 257) + "]}]", Refusal.TOO_MANY_PAIRS),
    ],
)
def test_what_no_proxy_writes_is_refused_with_its_reason(header: str, reason: Refusal) -> None:
    with pytest.raises(XfccError) as caught:
        parse_xfcc(header)
    assert caught.value.reason is reason


def test_a_header_of_exactly_64_kib_is_read() -> None:
    assert parse_xfcc("Hash=" + "a" * 65531)[0].hash == "a" * 65531


def test_the_json_form_takes_32_elements_of_256_values() -> None:
    header = json.dumps([{"hash": "h", "dns": ["d"] * 255}] * 32, separators=(",", ":"))
    assert [len(element.dns) for element in parse_xfcc(header)] == [255] * 32


def _fill(pair: str) -> str:
    return ",".join([";".join([pair] * 256)] * 32)[:65536].rpartition(";")[0]


@pytest.mark.parametrize(
    "header",
    [
        _fill("URI=x"),
        _fill("URI="),
        _fill('DNS="\\""'),
        'URI="' + '\\"' * 32000 + '"',
        'Subject="' + '\\"' * 32000,
        'Subject="' + "a" * 65000,
        'URI="' + "\\\\" * 32000 + "\\",
        "URI=" + "a" * 65000 + '"',
        "URI=a" + " " * 65000 + '"',
        "URI=a;" + " " * 65000 + "x",
        "a" * 65000,
        "=" * 65000,
        "URI=a,URI=b" + " \t" * 32000 + "\\",
        "[" * 65000,
        "[" + '{"dns":["a"' * 5000,
    ],
    ids=lambda header: header[:12],
)
def test_the_largest_header_takes_linear_time(header: str) -> None:
    """A quiet machine needs up to 7 ms; anything quadratic needs seconds. The bound leaves room for a busy machine and a tracer."""

    def read() -> None:
        try:
            parse_xfcc(header)
        except XfccError:
            return

    assert min(timeit.repeat(read, number=1, repeat=3)) < 0.25
