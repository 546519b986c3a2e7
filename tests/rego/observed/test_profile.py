from __future__ import annotations

from itertools import count

from authz.rego.observed.profile import Profile
from authz.rego.values import from_json
from tests.rego.observed.asking import ask, observed

POLICY = "package p\n\nfound := x if {\n\tsome x in input.xs\n\tx > 1; x < 5\n}\n"


def test_a_line_has_the_time_until_the_next_expression_is_evaluated() -> None:
    ticks = count(step=10)
    profile = Profile(lambda: next(ticks))
    ask(observed(POLICY), "data.p.found", profile, from_json({"xs": [1, 2]}))
    lines = {(line.location.file, line.location.row): line for line in profile.lines()}
    assert {place: (line.num_eval, line.num_redo, line.num_gen_expr) for place, line in lines.items()} == {
        ("", 1): (1, 1, 1),
        ("p.rego", 4): (1, 2, 1),
        ("p.rego", 5): (3, 2, 2),
    }
    assert {place: line.total_time_ns for place, line in lines.items()} == {("", 1): 20, ("p.rego", 4): 30, ("p.rego", 5): 50}
