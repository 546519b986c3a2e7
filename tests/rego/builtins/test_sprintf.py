"""sprintf, against what Go's fmt gave in OPA."""

from __future__ import annotations

from decimal import Decimal

import pytest

from authz.rego.builtins.sprintf import MAX_WIDTH, Formatter, operand_of
from authz.rego.numbers import parse
from authz.rego.values import from_json
from tests.rego.builtins.harness import call, failure

BIG = 123456789123456789123


@pytest.mark.parametrize(
    ("text", "operands", "expected"),
    [
        ("plain", [], "plain"),
        ("%s-%d%%", ["a", 1], "a-1%"),
        ("%d", [1.5], "%!d(float64=1.5)"),
        ("%s", [1], "%!s(int64=1)"),
        ("%s", [1.5], "%!s(float64=1.5)"),
        ("%d", ["a"], "%!d(string=a)"),
        ("%t", [True], "%!t(string=true)"),
        ("%5t|", [True], "%!t(string= true)|"),
        ("%v %v", [None, [1, "a", {"b": {1, 2}}]], 'null [1, "a", {"b": {1, 2}}]'),
        ("%s", [set()], "set()"),
        ("%v", [Decimal("1.0")], "1"),
        ("%v", [parse("1500.5e3")], "1.5005e+06"),
        ("%v", [parse("1e3")], "1e3"),
        ("%d", [parse("1e3")], "%!d(string=1e3)"),
        ("%v %v", [0.00001, 123456.7], "1e-05 123456.7"),
        ("%v", [0.0], "0"),
        ("%s %d %x", [BIG, BIG, BIG], f"{BIG} {BIG} 6b14e9f9b0df36a83"),
        ("%f %q", [BIG, BIG], f"%!f(big.Int={BIG}) %!q(big.Int={BIG})"),
        ("%T %T %T %T", [1, "a", 1.5, BIG], "int64 string float64 *big.Int"),
        ("%030d|%-30d|%30d|%.30d", [BIG] * 4, f"{BIG:030d}|{BIG:<30d}|{BIG:>30d}|{BIG:030d}"),
        ("%+v %+d %#x %O", [BIG, BIG, BIG, BIG], f"+{BIG} +{BIG} 0x6b14e9f9b0df36a83 0o{BIG:o}"),
        ("%6d|%-6d|%06d|%+d|% d", [42] * 5, "    42|42    |000042|+42| 42"),
        ("%8.3d|%-8.3d|%08.3d|%.0d|%5.0d|", [5, 5, 5, 0, 0], "     005|005     |     005||     |"),
        ("%b %o %O %#o %x %X %#x %#b", [5, 64, 64, 64, 255, -255, 255, 5], "101 100 0o100 0100 ff -FF 0xff 0b101"),
        ("%c|%5c|%q|%q|%q|%q", [65, 65, 65, 39, 34, 10], "A|    A|'A'|'\\''|'\"'|'\\n'"),
        ("%c %q %+q", [-1, -1, 8364], "\ufffd '\ufffd' '\\u20ac'"),
        ("%U %#U %08U", [8364, 8364, 65], "U+20AC U+20AC '€'   U+0041"),
        ("%5.1f|%-8.2f|%08.3f|%+.1f|% f", [3.14159, 3.14159, -3.14159, 3.14159, 1.5], "  3.1|3.14    |-003.142|+3.1| 1.500000"),
        ("%.0f %.0f %.0e", [2.5, 3.5, 2.5], "2 4 2e+00"),
        ("%e %E %g %.3g", [1.5, 12345.678, 1.5e-10, 1234.5], "1.500000e+00 1.234568E+04 1.5e-10 1.23e+03"),
        ("%#g %#v %#e %#.3g %#.0f", [1.5] * 5, "1.50000 1.5 1.500000e+00 1.50 2."),
        ("%x %X %.2x %b", [3.5, 1.1, 1.999, 1.5], "0x1.cp+01 0X1.199999999999AP+00 0x1.00p+01 6755399441055744p-52"),
        ("%6s|%-6s|%.2s|%06s", ["abc"] * 4, "   abc|abc   |ab|000abc"),
        ("%x|% x|%#x|%# X|%.2x|%10x", ["hello", "hi", "hi", "hi", "hello", "hi"], "68656c6c6f|68 69|0x6869|0X68 0X69|6865|      6869"),
        ("%q %+q %#q %#q %.2q", ['a"b', "é", "ab", "a`b", "hello"], '"a\\"b" "\\u00e9" `ab` "a`b" "he"'),
        ("%#v %+v", ["a", 1], '"a" 1'),
        ("%[2]v %[1]v", [1, 2], "2 1"),
        ("%[3]v", [1, 2], "%!v(BADINDEX)"),
        ("%[x]v", [1], "%!v(BADINDEX)"),
        ("%[2", [1, 2], "%!(NOVERB)"),
        ("%[1]2d", [1], "%!d(BADINDEX)"),
        ("%[1].2f", [1.5], "%!f(BADINDEX)"),
        ("%*d|%-*d|%.*f", [5, 42, 5, 42, 2, 3.14159], "   42|42   |3.14"),
        ("%*d|%.*d", ["a", 1, -1, 1], "%!(BADWIDTH)1|%!(BADPREC)1"),
        ("%-*d|%*d|", [5, 1, -5, 1], "1    |1    |"),
        ("%[2]*[1]d", [2, 3], "  2"),
        ("%d %d", [1], "1 %!d(MISSING)"),
        ("%d", [1, "a", None], "1%!(EXTRA string=a, string=null)"),
        ("%z %! %é", [1, 1, 1], "%!z(int64=1) %!!(int64=1) %!é(int64=1)"),
        ("%", [1], "%!(NOVERB)%!(EXTRA int64=1)"),
        ("%5", [], "%!(NOVERB)"),
        ("%.", [1], "%!.(int64=1)"),
        ("%p", [1], "%!p(int64=1)"),
        ("héllo %5s|", ["é"], "héllo     é|"),
        ("%v", [['a\x00\x7f\u2028é"\\\n']], '["a\\x00\\x7f\\u2028é\\"\\\\\\n"]'),
    ],
)
def test_sprintf_is_gos(text: str, operands: list[object], expected: str) -> None:
    assert call("sprintf", text, operands) == expected


@pytest.mark.parametrize("text", ["%s", "%d", "%v", "a%sb%vc%%", "%d%d"])
@pytest.mark.parametrize("operands", [["x"], [1], [1.5], [None], [[1]], [BIG], ["x", 1], [1, 2], []])
def test_bare_verbs_print_as_the_full_rules_do(text: str, operands: list[object]) -> None:
    full = Formatter(text, [operand_of(from_json(operand)) for operand in operands]).run()
    assert call("sprintf", text, operands) == full


def test_widths_are_bounded() -> None:
    assert call("sprintf", "%*d", [MAX_WIDTH + 1, 1]) == "%!(BADWIDTH)1"
    assert call("sprintf", f"%{MAX_WIDTH + 1}d", [1]) == "%!(NOVERB)%!(EXTRA int64=1)"
    assert call("sprintf", f"%{'9' * 6000}d", []) == "%!(NOVERB)"
    assert len(call("sprintf", f"%{MAX_WIDTH}d", [1])) == MAX_WIDTH


def test_results_are_bounded() -> None:
    assert "longer than" in failure("sprintf", f"%{MAX_WIDTH}d" * 2000, [1] * 2000)


def test_operands_are_an_array() -> None:
    assert failure("sprintf", "%d", 1) == "eval_type_error: sprintf: operand 2 must be array but got number"
