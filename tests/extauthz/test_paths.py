"""The path and query of a request, as opa-envoy-plugin shows them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.extauthz.errors import BadRequestError, quote
from authz.extauthz.paths import MAX_QUERY_PARAMETERS, is_malformed, split_path
from authz.rego.values import Object


@pytest.mark.parametrize(
    ("path", "segments"),
    [
        ("", ("",)),
        ("/", ("",)),
        ("*", ("*",)),
        ("/a/", ("a", "")),
        ("/a//b", ("a", "", "b")),
        ("//x/people", ("x", "people")),
        ("///", ("",)),
        ("%2Fmy%2Ftest", ("my", "test")),
        ("/a%2fb", ("a", "b")),
        ("/a/../b", ("a", "..", "b")),
        ("/a#b", ("a#b",)),
        ("/a+b", ("a+b",)),
        ("/a%3Fb?c", ("a?b",)),
        ("/admin;x=1", ("admin;x=1",)),
        ("/%e2%82%ac/%C3", ("€", "\ufffd")),
        ("/%00", ("\x00",)),
        ("/é%41", ("éA",)),
    ],
)
def test_path_is_decoded_stripped_of_leading_slashes_and_split(path: str, segments: tuple[str, ...]) -> None:
    assert split_path(path)[0] == segments


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        ("", {}),
        ("a=1&a=2&k&=v&c=d+e&n=%0a", {"a": ("1", "2"), "k": ("",), "": ("v",), "c": ("d e",), "n": ("\n",)}),
        ("&&a&", {"a": ("",)}),
        ("a=b=c", {"a": ("b=c",)}),
        ("a=?b", {"a": ("?b",)}),
        ("%61+b=%2B", {"a b": ("+",)}),
        ("a=%ff", {"a": ("\ufffd",)}),
    ],
)
def test_query_is_read_as_go_reads_it(query: str, parameters: dict[str, tuple[str, ...]]) -> None:
    assert split_path("/p?" + query)[1] == Object(parameters)


@pytest.mark.parametrize(
    ("path", "cause"),
    [
        ("/a%zz", 'invalid URL escape "%zz"'),
        ("/a%", 'invalid URL escape "%"'),
        ("/a%4", 'invalid URL escape "%4"'),
        ("/a?b=%zz", 'invalid URL escape "%zz"'),
        ("/a?%zz=%yy", 'invalid URL escape "%zz"'),
        ("/a%é", 'invalid URL escape "%é"'),
        ("/a%4é", 'invalid URL escape "%4\\xc3"'),
        ('/a%"\n', 'invalid URL escape "%\\"\\n"'),
        ("/a?b=%+a", 'invalid URL escape "%+a"'),
        ("/a?b=1;c=2", "invalid semicolon separator in query"),
        ("/a?b=%zz&c;d", "invalid semicolon separator in query"),
        ("/a%zz?b;c", 'invalid URL escape "%zz"'),
        ("/a?" + "&" * MAX_QUERY_PARAMETERS, "number of URL query parameters exceeded limit"),
    ],
)
def test_malformed_path_is_refused_in_opas_words(path: str, cause: str) -> None:
    assert is_malformed(path)
    with pytest.raises(BadRequestError) as caught:
        split_path(path)
    assert str(caught.value) == f"request_parse_error: {cause}"


def test_as_many_parameters_as_go_takes_are_taken() -> None:
    path = "/a&b?" + "&" * (MAX_QUERY_PARAMETERS - 1)
    assert split_path(path)[1] == Object()
    assert not is_malformed(path)


@given(st.text(st.sampled_from("/?&=;%+af1 é\n"), max_size=30))
def test_any_path_is_read_or_refused_as_foretold(path: str) -> None:
    try:
        segments, parameters = split_path(path)
    except BadRequestError:
        assert is_malformed(path)
        return
    assert not is_malformed(path)
    assert segments
    assert all(isinstance(values, tuple) and values for values in parameters.values())


@pytest.mark.parametrize(
    ("raw", "quoted"),
    [(b"\x00\x7f", '"\\x00\\x7f"'), ("\u200b\U000e0001".encode(), '"\\u200b\\U000e0001"'), (b"a b", '"a b"'), (b"\\", '"\\\\"')],
)
def test_quotes_as_go_does(raw: bytes, quoted: str) -> None:
    assert quote(raw) == quoted
