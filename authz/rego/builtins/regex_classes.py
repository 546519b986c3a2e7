"""The named classes of characters of Go's regular expressions, as RE2 writes them.

Owns which names there are; what is in a class is RE2's to say. Reads no patterns.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import re2  # type: ignore[import-not-found]  # pyre2 ships no types

PERL_CLASSES: Final = {
    "d": "[:digit:]", "D": "[:^digit:]", "w": "[:word:]", "W": "[:^word:]", "s": "\\t\\n\\f\\r ", "S": "[:^space:]\\v",
}  # fmt: skip

_POSIX_NAMES: Final = (
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word", "xdigit",
)  # fmt: skip
POSIX_CLASSES: Final = frozenset(f"[:{sign}{name}:]" for name in _POSIX_NAMES for sign in ("", "^"))

_CATEGORIES: Final = {
    "Closepunctuation": "Pe", "Combiningmark": "M", "Connectorpunctuation": "Pc", "Control": "Cc", "Currencysymbol": "Sc",
    "Dashpunctuation": "Pd", "Decimalnumber": "Nd", "Enclosingmark": "Me", "Finalpunctuation": "Pf", "Format": "Cf",
    "Initialpunctuation": "Pi", "Letter": "L", "Letternumber": "Nl", "Lineseparator": "Zl", "Lowercaseletter": "Ll", "Mark": "M",
    "Mathsymbol": "Sm", "Modifierletter": "Lm", "Modifiersymbol": "Sk", "Nonspacingmark": "Mn", "Number": "N",
    "Openpunctuation": "Ps", "Other": "C", "Otherletter": "Lo", "Othernumber": "No", "Otherpunctuation": "Po", "Othersymbol": "So",
    "Paragraphseparator": "Zp", "Privateuse": "Co", "Punctuation": "P", "Separator": "Z", "Spaceseparator": "Zs",
    "Spacingmark": "Mc", "Surrogate": "Cs", "Symbol": "S", "Titlecaseletter": "Lt", "Uppercaseletter": "Lu", "Cntrl": "Cc",
    "Digit": "Nd", "Punct": "P",
}  # fmt: skip
_SEPARATORS: Final = str.maketrans("", "", "_- ")
_LONGEST: Final = 64


def unicode_class(name: str, *, negated: bool) -> str | None:
    """Return the members of `\\p{name}` as they stand within brackets; None if there is no such class."""
    if name.startswith("^"):
        name, negated = name[1:], not negated
    plain = name.translate(_SEPARATORS)
    canonical = plain[:1].upper() + plain[1:].lower() if plain.isascii() else ""
    if canonical == "Ascii":
        return "[:^ascii:]" if negated else "[:ascii:]"
    canonical = _CATEGORIES.get(canonical, canonical)
    if not canonical.isalpha() or len(canonical) > _LONGEST or not _is_known(canonical):
        return None
    return f"\\{'P' if negated else 'p'}{{{canonical}}}"


@lru_cache(256)
def _is_known(name: str) -> bool:
    try:
        re2.compile(f"\\p{{{name}}}", re2.ASCII)
    except re2.error:
        return False
    return True
