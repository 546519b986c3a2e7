"""Multipart bodies, cut where Go cuts them."""

from contextlib import suppress
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.extauthz.errors import BadRequestError
from authz.extauthz.multipart import MAX_HEADER_LINES, MAX_PARTS, Part, media_type, parse_multipart

NAMED = b'Content-Disposition: form-data; name="n"\r\n\r\n'


def contents(payload: bytes, boundary: bytes = b"b") -> list[bytes]:
    return [part.content for part in parse_multipart(payload, boundary)]


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"--b\r\n" + NAMED + b"x\r\n--b--\r\n", [b"x"]),
        (b"--b\r\n" + NAMED + b"x\r\n--b--", [b"x"]),
        (b"--b\r\n" + NAMED + b"x\r\n--b-- \t\r\nepilogue", [b"x"]),
        (b"preamble\r\n--b \t\r\n" + NAMED + b"x\r\n--b--", [b"x"]),
        (b"--b\r\n" + NAMED + b"x\r\n--b\r\n\r\ny\r\n--b--", [b"x", b"y"]),
        (b"--b\r\n" + NAMED + b"\r\n--b--", [b""]),
        (b"--b\r\n" + NAMED + b"--b--", [b""]),
        (b"--b\r\n" + NAMED + b"x\r\n--bar\r\n--b--", [b"x\r\n--bar"]),
        (b"--b\r\n" + NAMED + b"x\n--b\r\n--b-y\r\n--b--", [b"x\n--b\r\n--b-y"]),
        (b"--b\n" + NAMED.replace(b"\r\n", b"\n") + b"x\r\n--b--\n", [b"x\r"]),
        (b"--b \n\nx\n--b--", [b"x"]),
        (b"--b--", []),
        (b"nothing\r\n--b--\r\n", []),
    ],
)
def test_parts_end_at_boundary_lines(payload: bytes, expected: list[bytes]) -> None:
    assert contents(payload) == expected


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"no boundary",
        b"--b",
        b"--b\r\n",
        b"--b\r\nContent-Disposition: form-data",
        b"--b\r\n" + NAMED + b"x",
        b"--b\r\n" + NAMED + b"x\r\n--b",
        b"--b\r\n" + NAMED + b"x\r\n--b y\r\n--b--",
        b"--b\r\n" + NAMED + b"x\r\n--b--y",
        b"--b\r\n" + NAMED + b"x\r\n--b--\n",
        b"--b\r\nno colon\r\n\r\nx\r\n--b--",
        b"--b\r\n folded first\r\n\r\nx\r\n--b--",
        b"--b\r\nbad name: x\r\n\r\nx\r\n--b--",
        b"--b\r\na: \x00\r\n\r\nx\r\n--b--",
        b"--b--\n",
    ],
)
def test_what_does_not_end_in_order_is_refused(payload: bytes) -> None:
    with pytest.raises(BadRequestError):
        contents(payload)


def test_empty_boundary_is_refused() -> None:
    with pytest.raises(BadRequestError, match="boundary is empty"):
        contents(b"--\r\n\r\n----", b"")


def test_headers_are_folded_and_the_first_of_a_name_counts() -> None:
    headers = b"Content-Disposition: form-data;\r\n\tname=n\r\nContent-Disposition: form-data; name=m\r\nContent-Type: text/x\r\n\r\n"
    payload = b"--b\r\n" + headers + b"v\r\n--b--"
    assert list(parse_multipart(payload, b"b")) == [Part("n", "text/x", b"v")]


def quoted_printable(content: bytes) -> bytes:
    return contents(b"--b\r\nContent-Transfer-Encoding: Quoted-Printable\r\n" + NAMED + content + b"\r\n--b--")[0]


@pytest.mark.parametrize(
    ("encoded", "decoded"),
    [
        (b"a=3D=\r\nb \t\r\n=e2=82=ac", "a=b\r\n€".encode()),
        (b"a=zz = b=4", b"a=zz = b=4"),
        (b"a=\nb\n\xff", b"ab\n\xff"),
        (b"a= \r\nb", b"ab"),
        (b"a=", b"a"),
        (b"", b""),
    ],
)
def test_quoted_printable_is_decoded(encoded: bytes, decoded: bytes) -> None:
    assert quoted_printable(encoded) == decoded


@pytest.mark.parametrize("encoded", [b"=", b"a==", b"a==\r\nb", b"a=\r", b"a=\rb", b"a\x00"])
def test_bad_quoted_printable_is_refused(encoded: bytes) -> None:
    with pytest.raises(BadRequestError, match="quotedprintable"):
        quoted_printable(encoded)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("multipart/form-data; boundary=b", ("multipart/form-data", {"boundary": "b"})),
        (' Multipart/Form-Data ;BOUNDARY="a b" ; ', ("multipart/form-data", {"boundary": "a b"})),
        (r'form-data; name="a\"b"; filename="C:\dev\x"', ("form-data", {"name": 'a"b', "filename": r"C:\dev\x"})),
        ("a/b; c=1; c=1", ("a/b", {"c": "1"})),
        ("form-data", ("form-data", {})),
    ],
)
def test_media_types_are_read(text: str, expected: tuple[str, dict[str, str]]) -> None:
    assert media_type(text) == expected


@pytest.mark.parametrize(
    "text", ["", "/", "a/", "a b", "a/b; c", "a/b; c=", "a/b; c=1; c=2", 'a/b; c="1', "a/b; c*0=1", "a/b c=1", "a/b;;"]
)
def test_malformed_media_types_are_refused(text: str) -> None:
    with pytest.raises(BadRequestError):
        media_type(text)


@given(st.lists(st.binary(max_size=12).filter(lambda content: b"--b" not in content), max_size=4))
def test_what_was_joined_is_cut_apart_again(parts: list[bytes]) -> None:
    payload = b"".join(b"--b\r\n\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"
    assert contents(payload) == parts


LONG = 256 * 1024
SPACES = b" " * LONG


@pytest.mark.parametrize(
    "payload",
    [
        b"--b\r\na:" + SPACES + b"\x01\r\n\r\n\r\n--b--",
        b"--b\r\nContent-Disposition: form-data; a=b" + SPACES + b"x\r\n\r\n\r\n--b--",
        b"--b\r\nContent-Disposition: form-data;" + SPACES + b"a" + SPACES + b"x\r\n\r\n\r\n--b--",
        b'--b\r\nContent-Disposition: form-data; name="' + b"\\a" * LONG + b"\r\n\r\n\r\n--b--",
        b"--b" + SPACES + b"x\r\n" + b"--b--",
        b"--b\r\na: b\r\n" + b" c\r\n" * (LONG // 4) + b"\r\n\r\n--b--",
        b"--b\r\n\r\n\r\n" * (LONG // 9) + b"--b--",
        b"\n" * LONG + b"--b--",
        b"--b\r\n\r\n" + b"\r\n--bb" * (LONG // 8) + b"\r\n--b--",
    ],
)
def test_no_body_costs_more_than_its_length(payload: bytes) -> None:
    began = process_time()
    with suppress(BadRequestError):  # either answer will do
        list(parse_multipart(payload, b"b"))
    assert process_time() - began < 0.5


@pytest.mark.parametrize("tail", [" " * 60_000 + "y", ";" + " " * 60_000 + "y", '; a="' + "\\a" * 30_000])
def test_no_content_type_costs_more_than_its_length(tail: str) -> None:
    began = process_time()
    with pytest.raises(BadRequestError):
        media_type("multipart/form-data; boundary=b" + tail)
    assert process_time() - began < 0.5


def test_a_form_has_a_bounded_number_of_parts() -> None:
    part = b"--b\r\n\r\n\r\n"
    assert len(contents(part * MAX_PARTS + b"--b--")) == MAX_PARTS
    with pytest.raises(BadRequestError, match="too large"):
        contents(part * (MAX_PARTS + 1) + b"--b--")


def test_a_form_has_a_bounded_number_of_header_lines() -> None:
    half = b"--b\r\n" + b"a: b\r\n" * (MAX_HEADER_LINES // 2) + b"\r\n\r\n"
    assert len(contents(half * 2 + b"--b--")) == 2
    with pytest.raises(BadRequestError, match="too large"):
        contents(half * 2 + b"--b\r\na: b\r\n\r\n\r\n--b--")


def test_folded_lines_are_joined_by_one_space_each() -> None:
    (part,) = parse_multipart(b"--b\r\nContent-Type: a \r\n  b\t\r\n\tc\r\n\r\nx\r\n--b--", b"b")
    assert part.content_type == "a b c"
