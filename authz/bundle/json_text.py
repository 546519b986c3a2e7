"""Text of a JSON file to a document, exactly: decimals stay decimals, a key twice is an error.

Knows neither where a file stood nor what its document means.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Final, NoReturn

from authz.errors import AuthzError, ErrorCode
from authz.rego.values import MAX_DEPTH, Document

MAX_EXPONENT: Final = 10_000
"""Digits a number may need when written out: `1e999999999` is 11 characters and would be a gigabyte."""


class DocumentError(AuthzError):
    """The text is not a document. `row` and `col` are 1-based; 0 where the parser cannot say."""

    code = ErrorCode.POLICY_SOURCE

    def __init__(self, message: str, row: int = 0, col: int = 0) -> None:
        super().__init__(message)
        self.row = row
        self.col = col


def parse_json(text: str, number: Callable[[str], Any] | None = None) -> Document:
    """Parse RFC 8259 JSON; raises DocumentError, also for what the RFC leaves open (a name twice, NaN).

    `number` makes something else of the text of a number than the number.
    """
    float_ = number or exact_number
    try:
        return json.loads(text, parse_int=number, parse_float=float_, parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise DocumentError(f"not valid JSON: {error.msg[:1].lower()}{error.msg[1:]}", error.lineno, error.colno) from error
    except RecursionError as error:
        raise DocumentError(f"nested deeper than {MAX_DEPTH} levels") from error
    except ValueError as error:  # int() refuses more digits than sys.get_int_max_str_digits()
        raise DocumentError("a number has too many digits") from error


def exact_number(text: str) -> Decimal:
    """Return the number that `text` writes; raises DocumentError if it is too large to write out."""
    number = Decimal(text)
    if not -MAX_EXPONENT < number.adjusted() < MAX_EXPONENT:
        raise DocumentError(f"number `{text[:40]}` is out of range")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise DocumentError(f"not valid JSON: `{name}` is not a JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise DocumentError(f"key `{_first_repeated(key for key, _ in pairs)}` appears twice in one object")
    return document


def _first_repeated(keys: Iterable[str]) -> str:
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            return key
        seen.add(key)
    raise AssertionError("no key is repeated")
