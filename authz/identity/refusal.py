"""The closed set of reasons for which an identity is refused.

They are metric labels and log fields. This module knows neither headers nor certificates.
"""

from enum import StrEnum


class Refusal(StrEnum):
    """Why a caller has no identity although it brought something that looks like one."""

    # The header breaks the grammar.
    EMPTY = "empty"
    TOO_LONG = "too_long"
    TOO_MANY_ELEMENTS = "too_many_elements"
    TOO_MANY_PAIRS = "too_many_pairs"
    EMPTY_ELEMENT = "empty_element"
    EMPTY_PAIR = "empty_pair"
    NO_EQUALS = "no_equals"
    BAD_KEY = "bad_key"
    UNKNOWN_KEY = "unknown_key"
    DUPLICATE_KEY = "duplicate_key"
    SPACE_AFTER_EQUALS = "space_after_equals"
    UNTERMINATED_QUOTE = "unterminated_quote"
    TEXT_AFTER_QUOTE = "text_after_quote"
    QUOTE_IN_BARE = "quote_in_bare"
    BACKSLASH_IN_BARE = "backslash_in_bare"
    BAD_ESCAPE = "bad_escape"
    BAD_CHAR = "bad_char"
    JSON_FORMAT = "json_format"

    # The header reads well but may not be believed.
    BAD_SPIFFE_ID = "bad_spiffe_id"
    MULTIPLE_URI = "multiple_uri"
    PRINCIPAL_MISMATCH = "principal_mismatch"
    XFCC_WITHOUT_PRINCIPAL = "xfcc_without_principal"
    TOO_MANY_ELEMENTS_FOR_MODE = "too_many_elements_for_mode"
    BROKEN_LINK = "broken_link"
    BAD_CERTIFICATE = "bad_certificate"
    CERTIFICATE_MISMATCH = "certificate_mismatch"
