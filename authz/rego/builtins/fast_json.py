"""The members of a JSON object as valyala/fastjson finds them: laxer than JSON, and with errors of its own.

OPA asks it for single members of JWT headers and of key sets, and for nothing else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from authz.rego.builtins.octets import text_of, units_of
from authz.rego.render import quote

MAX_DEPTH: Final = 300
_SHOWN: Final = 40
"""Bytes of an unread end that a message shows, from its beginning and from its end."""

_SPACE: Final = re.compile(r"[ \n\t\r]*")
_NUMBER: Final = re.compile(r"[0-9.\-eE+]*")
_STRING: Final = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_WORDS: Final = {"t": "true", "f": "false", "n": "null"}
_ESCAPE: Final = re.compile(r"\\(?:u([dD][89a-fA-F][0-9a-fA-F]{2})\\u([0-9a-fA-F]{4})|u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED: Final = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class FastJsonError(ValueError):
    """The text is no JSON; the message is fastjson's."""


@dataclass(frozen=True, slots=True)
class Member:
    """A value: what it is, and its text if it is a string."""

    kind: str
    text: str = ""


def members_of(text: str) -> dict[str, Member]:
    """Return the members of the object that a text is, the first where several have a name; none if it is no object."""
    scanner = _Scanner(units_of(text))
    try:
        scanner.value()
    except _Stopped as stop:
        tail = quote(text_of(_ends(scanner.rest()).encode("latin-1")))
        raise FastJsonError(f"cannot parse JSON: {scanner.context(is_inner=stop.is_inner)}{stop}; unparsed tail: {tail}") from None
    scanner.skip()
    if scanner.rest():
        raise FastJsonError(f"unexpected tail: {quote(text_of(_ends(scanner.rest()).encode('latin-1')))}")
    return scanner.escaped | scanner.members


def _ends(units: str) -> str:
    return units if len(units) <= 2 * _SHOWN else f"{units[:_SHOWN]}...{units[-_SHOWN:]}"


class _Stopped(Exception):  # noqa: N818 - turned into FastJsonError with its context
    """Scanning cannot go on. `is_inner` says whether it failed in a value of the innermost collection, not in the collection itself."""

    def __init__(self, message: str, *, is_inner: bool = False) -> None:
        super().__init__(message)
        self.is_inner = is_inner


class _Scanner:
    """Scans one value. INVARIANT: `at` is the next character to read, `open` the brackets around it."""

    def __init__(self, units: str) -> None:
        self.units = units
        self.at = 0
        self.open: list[str] = []
        self.key = ""
        self.members: dict[str, Member] = {}
        self.escaped: dict[str, Member] = {}
        """Members by what their keys mean; a key that is written as it is looked for comes before these."""

    def rest(self) -> str:
        return self.units[self.at :]

    def context(self, *, is_inner: bool) -> str:
        """Return what fastjson puts before the message: a phrase or two for each open bracket."""
        names = ["object" if bracket == "{" else "array" for bracket in self.open]
        phrases = [f"cannot parse {name}: cannot parse {name} value: " for name in names[:-1]]
        if names:
            phrases.append(f"cannot parse {names[-1]}: " + (f"cannot parse {names[-1]} value: " if is_inner else ""))
        return "".join(phrases)

    def skip(self) -> str:
        """Skip white space; return the character that comes then, "" at the end."""
        space = _SPACE.match(self.units, self.at)
        self.at = space.end() if space else self.at
        return self.units[self.at : self.at + 1]

    def value(self) -> None:
        is_opened = self.begin()
        while self.open:
            is_opened = self.member(is_first=is_opened)

    def begin(self) -> bool:
        """Scan a scalar, or the bracket that opens a collection; say whether it was one."""
        char = self.skip()
        if not char:
            raise _Stopped("cannot parse empty string", is_inner=True)
        if len(self.open) >= MAX_DEPTH:
            raise _Stopped(f"too big depth for the nested JSON; it exceeds {MAX_DEPTH}", is_inner=True)
        if char in "{[":
            self.note(Member("object" if char == "{" else "array"))
            self.open.append(char)
            self.at += 1
            return True
        if char == '"':
            try:
                self.note(Member("string", _unescaped(self.string())))
            except _Stopped as stop:
                raise _Stopped(f"cannot parse string: {stop}", is_inner=True) from None
        elif char in _WORDS and self.units[self.at : self.at + 3].lower() != "nan":
            self.word(_WORDS[char])
        else:
            self.number()
        return False

    def note(self, member: Member) -> None:
        """Keep a value if it is a member of the outermost object."""
        if self.open == ["{"]:
            self.members.setdefault(text_of(self.key.encode("latin-1")), member)
            self.escaped.setdefault(_unescaped(self.key), member)

    def member(self, *, is_first: bool) -> bool:
        """Scan the end of the innermost collection, or the beginning of its next member; say whether that opens another one."""
        name, end = ("object", "}") if self.open[-1] == "{" else ("array", "]")
        char = self.skip()
        if not char:
            raise _Stopped(f"missing '{end}'" if is_first else f"unexpected end of {name}")
        if char == end:
            self.at += 1
            self.open.pop()
            return False
        if not is_first:
            if char != ",":
                raise _Stopped(f"missing ',' after {name} value")
            self.at += 1
        if name == "object":
            self.object_key()
        return self.begin()

    def object_key(self) -> None:
        if self.skip() != '"':
            raise _Stopped('cannot find opening \'"" for object key')
        try:
            self.key = self.string()
        except _Stopped as stop:
            raise _Stopped(f"cannot parse object key: {stop}") from None
        if self.skip() != ":":
            raise _Stopped("missing ':' after object key")
        self.at += 1

    def string(self) -> str:
        found = _STRING.match(self.units, self.at)
        if found is None:
            self.at = len(self.units)
            raise _Stopped("missing closing '\"'")
        self.at = found.end()
        return found[1]

    def word(self, word: str) -> None:
        if not self.units.startswith(word, self.at):
            raise _Stopped(f"unexpected value found: {quote(text_of(self.rest().encode('latin-1')))}", is_inner=True)
        self.at += len(word)
        self.note(Member(word))

    def number(self) -> None:
        found = _NUMBER.match(self.units, self.at)
        end = found.end() if found else self.at
        is_sign = self.units[self.at : end] in ("", "-", "+")
        if is_sign and end < len(self.units):
            if self.units[end : end + 3].lower() not in ("inf", "nan"):
                char = quote(text_of(self.units[self.at].encode("latin-1")))
                raise _Stopped(f"cannot parse number: unexpected char: {char}", is_inner=True)
            end += 3
        self.at = end
        self.note(Member("number"))


def _unescaped(units: str) -> str:
    """Return the text of a string's characters; an escape that is none stands for itself."""
    return text_of(_ESCAPE.sub(_escape, units).encode("latin-1")) if "\\" in units else text_of(units.encode("latin-1"))


def _escape(found: re.Match[str]) -> str:
    high, low, code, char = found.groups()
    if char is not None:
        return _ESCAPED.get(char, found[0])
    if code is not None:
        point = int(code, 16)
        return found[0] if 0xD800 <= point < 0xE000 else units_of(chr(point))
    pair = bytes.fromhex(high + low).decode("utf-16-be", "replace")
    return units_of(pair if len(pair) == 1 else "\ufffd")
