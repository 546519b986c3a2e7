"""Whatever text and values come, these built-ins give a value or a BuiltinError, never another exception."""

from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authz.rego.builtins import BUILTINS, clock, crypto, documents, encoding, glob, globs, jwt, jwt_sign, net, regex, runtime, x509
from authz.rego.errors import BuiltinError
from authz.rego.values import from_json
from tests.rego.builtins.as_json import Context

MODULES: tuple[ModuleType, ...] = (clock, crypto, documents, encoding, glob, globs, jwt, jwt_sign, net, regex, runtime, x509)
HOMES = {module.__name__ for module in MODULES}
NAMES = sorted(name for name, one in BUILTINS.items() if getattr(one.function, "__module__", jwt.__name__) in HOMES)

PIECES = st.sampled_from(
    [
        *("{", "}", "[", "]", "(", ")", "*", "?", "\\", ".", "-", "$1", "%", "é", "\ud800", "\x00", "😀", "=", "e30", "/", "&"),
        *("2006", "Jan", "_2", "Z07:00", ".000", "10.0.0.0/8", "eyJhbGciOiJIUzI1NiJ9", "::1", "%zz"),
        *("-----BEGIN X-----", "&x ", "*x", ": "),
    ]
)
TEXTS = st.lists(PIECES, max_size=6).map("".join) | st.text(max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_every_call_ends_in_a_value_or_a_builtin_error(name: str, data: Any) -> None:
    builtin = BUILTINS[name]
    typed = {"string": TEXTS, "number": st.integers() | st.floats(allow_nan=False, allow_infinity=False)}
    operands = [from_json(data.draw(typed.get(str(param), VALUES) | VALUES)) for param in builtin.params]
    context = [Context()] if builtin.needs_context else []
    try:
        result = builtin.call(*context, *operands)
    except BuiltinError:
        return
    assert isinstance(result, bool) is builtin.returns_bool
