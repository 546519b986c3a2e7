"""The benches of decisions run, what they measure is what they say, and what is missed is seen."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import __main__ as bench_main
from bench import compare, compiling, joins, micro, plot, scale, shapes, small
from bench.families import ENTRYPOINT, EQUAL_GRANTS, EQUALITY, KINDS, LAST, MISS, SHAPES, Family
from bench.families.example_policies import examples
from bench.measure import BATCH, by_turns, last_core, pinned, ratio, summary, timed
from bench.memory import memory_of
from bench.record import Figures, Origin, Record
from bench.targets import targets

# Measuring


def test_batches_are_taken_by_turns_and_long_calls_seldom_and_one_by_one() -> None:
    calls: dict[str, list[int]] = {"short": [], "long": []}

    def take(name: str, cost_us: float) -> Callable[[int], float]:
        return lambda count: calls[name].append(count) or cost_us  # type: ignore[func-returns-value]

    samples = by_turns({"short": take("short", 1.0), "long": take("long", 1000.0)}, rounds=20)
    warm = [1] * 6
    assert calls == {"short": [*warm, *[BATCH] * 20], "long": [*warm, 1, 1]}
    assert samples["short"] == [1.0] * 20
    assert [number for number, sample in enumerate(samples["long"]) if sample is not None] == [0, 10]


def test_a_ratio_is_of_pairs_of_one_round() -> None:
    assert ratio([4.0, None, 9.0, 100.0], [2.0, 1.0, 3.0, None]) == 2.5
    assert summary([5.0, None, *map(float, range(10))]) == {"median_us": 5.0, "p10_us": 1.0, "p90_us": 8.0}


def test_every_call_is_made_and_the_first_of_a_batch_are_not_timed() -> None:
    seen: list[int] = []
    assert timed(seen.append, ((number,) for number in range(16))) > 0
    assert seen == list(range(16))
    assert timed(sum, [(range(100_000),), *[((1,),)] * 15]) < 100


def test_pinning_ends() -> None:
    before = os.sched_getaffinity(0)
    with pinned(last_core()):
        assert os.sched_getaffinity(0) == set(last_core())
    assert os.sched_getaffinity(0) == before


# The benches, in small


def test_a_scale_curve_has_every_contender_of_a_size_and_can_be_drawn(tmp_path: Path) -> None:
    figures = scale.measure((EQUALITY,), (10, 20), rounds=2)
    curves = figures["curves"][EQUALITY.name]
    assert {f"{name}, {kind}" for name in (scale.AUTHZ, scale.FLOOR) for kind in KINDS} <= curves.keys()
    assert all(point["ratio"] > 0 for curve in curves.values() for point in curve.values())
    assert {name for name, curve in curves.items() if curve.keys() != {"10", "20"}} == set()
    assert figures["compile"].keys() == figures["memory"].keys() == {"equality, 10", "equality, 20"}
    record = Record.of("scale", Origin(), figures).write(tmp_path)
    first = [path.read_bytes() for path in plot.draw(record)]
    assert [path.read_bytes() for path in plot.draw(record)] == first
    assert all(b"</svg>" in drawing for drawing in first)


def test_what_is_no_record_of_the_scale_bench_is_not_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = Record.of("micro", Origin(), {"stages": {}}).write(tmp_path)
    assert plot.main([str(other)]) == 2
    assert "is no record of the scale bench" in capsys.readouterr().err


def test_shapes_are_measured_with_few_rules_and_with_many() -> None:
    (row,) = shapes.measure(SHAPES[:1], few=5, many=10, rounds=2)["shapes"].values()
    assert {f"{kind}_{figure}" for kind in ("hit", "miss") for figure in ("few_us", "many_us", "ratio")} < row.keys()


def test_small_policies_are_measured_beside_the_same_by_hand() -> None:
    example = examples()[0]
    rows = small.measure([example], rounds=2)["policies"]
    assert rows.keys() == {f"{example.name}: {kind}" for kind in example.requests}
    assert all(row["decision_us"] > 0 and row["by_hand_us"] > 0 for row in rows.values())


def test_joins_are_compiled_and_their_policies_taken_over_and_freed(tmp_path: Path) -> None:
    row = joins.measure((EQUAL_GRANTS,), 50, (EQUALITY,), 20)
    assert row["joins"][EQUAL_GRANTS.name]["cpu_s"] > 0
    assert row["policies"][EQUALITY.name]["cpu_s"] > 0
    compiled = compiling.compile_apart(EQUALITY, 20, tmp_path)
    assert compiled.load().entrypoint(ENTRYPOINT).table.rows == 20
    assert memory_of(compiled.path).keys() == {"added_mb", "peak_added_mb", "left_mb"}


def test_a_compile_that_fails_says_what_went_wrong(tmp_path: Path) -> None:
    unknown = Family("no such family", EQUALITY.build)
    with pytest.raises(RuntimeError, match="compiling `no such family` with 20 rules failed"):
        compiling.compile_apart(unknown, 20, tmp_path)


def test_every_stage_of_a_check_can_be_measured() -> None:
    stages = [*micro.stages(), *micro.object_stages()]
    assert {micro.WHOLE, micro.OBJECT_WHOLE} <= {stage.name for stage in stages}
    assert all(stage.take()(16) > 0 for stage in stages)


# Comparing


def written(directory: Path, date: str, figures: Figures, name: str = "micro") -> str:
    return str(Record.of(name, Origin(date=date), {"stages": figures}).write(directory))


def test_two_records_are_compared_figure_by_figure_in_their_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"figure {number}" for number in range(20)]
    before = written(tmp_path, "2026-01-01", dict.fromkeys(names, 2.0))
    after = written(tmp_path, "2026-01-02", dict.fromkeys(names, 3.0))
    assert compare.main([before, after]) == 0
    output = capsys.readouterr().out
    assert output.count("1.50") == len(names)
    positions = [output.index(f"{name} ") for name in names]
    assert positions == sorted(positions)


def timing(low: float, median: float, high: float) -> dict[str, dict[str, float]]:
    return {"a": {"median_us": median, "p10_us": low, "p90_us": high}}


def test_a_ratio_within_its_spread_is_no_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = written(tmp_path, "2026-01-01", timing(1.8, 2.0, 2.4))
    slower, alike = (written(tmp_path, f"2026-01-0{day}", timing(*times)) for day, times in ((2, (3.6, 4.0, 4.2)), (3, (1.9, 2.2, 2.6))))
    assert compare.main([before, slower]) == 0
    first = capsys.readouterr().out
    assert "1.50 … 2.33" in first
    assert "no difference" not in first
    assert compare.main([before, alike]) == 0
    assert "no difference" in capsys.readouterr().out


def test_of_several_records_on_a_side_the_medians_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = [written(tmp_path, f"2026-01-0{day}", {"a": value}) for day, value in ((1, 1.0), (2, 2.0), (3, 4.0))]
    after = written(tmp_path, "2026-01-04", {"a": 6.0})
    assert compare.main([*before, "--", after]) == 0
    output = capsys.readouterr().out
    assert "3.00" in output
    assert "1.50 … 6.00" in output


def test_two_different_benches_are_not_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [written(tmp_path, "2026-01-01", {"a": 1.0}, name) for name in ("micro", "transport")]
    assert compare.main(paths) == 2
    assert "`micro` and `transport` are different benches" in capsys.readouterr().err


def test_a_comparison_of_what_is_no_record_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{}")
    assert compare.main([str(broken), str(tmp_path / "absent.json")]) == 2
    assert compare.main([]) == 2
    assert "bench.compare" in capsys.readouterr().err


# Targets


def judged(name: str, figures: Figures) -> list[bool]:
    return [is_met for _, is_met in targets(name, figures)]


def stages_of(three_rules: float, with_object: float) -> Figures:
    return {"stages": {micro.WHOLE: {"median_us": three_rules}}, "object": {micro.OBJECT_WHOLE: {"median_us": with_object}}}


def grown(cost: float, ratio: float, engine: float) -> Figures:
    ours = {size: {"median_us": cost, "ratio": ratio} for size in ("1000", "10000", "100000")}
    curves = {f"authz, {kind}": ours for kind in KINDS} | {f"rego-cpp, {kind}": {"1000": {"median_us": engine}} for kind in (LAST, MISS)}
    return {"curves": {EQUALITY.name: curves}, "memory": {"equality, 100000": {"added_mb": 100 * cost}}}


def shape(hit: float, miss: float) -> Figures:
    return {"shapes": {SHAPES[0].name: {"hit_ratio": hit, "miss_ratio": miss}}, "few": 10, "many": 4000}


def compiled_in(rows: float, rules: float) -> Figures:
    return {"rows": 1, "rules": 1, "joins": {"a": {"cpu_s": rows}}, "policies": {"b": {"cpu_s": rules}}}


def swapped(ratio: float, most_mb: float) -> Figures:
    memory = {"swaps": 100, "after_10_mb": 100.0, "most_of_second_half_mb": most_mb}
    return {"activation": {"swap": {"p99_ratio": ratio}}, "memory": memory}


def exchanged(count: int, ratio: float, took_ms: float, least: float, most: float) -> Figures:
    row = {"swaps": 1000, "least_ratio": least, "most_ratio": most}
    return {
        "failures": count,
        "mixed": count,
        "not_monotone": count,
        "answers": 10,
        "checks": {"swap": {"p99_ratio": ratio}},
        "decides": {"change": {"p99_ms": took_ms, "max_ms": 9999.0}, "rollback": {"max_ms": took_ms}},
        "memory": {"rollbacks": row, "bundles": row},
    }


@pytest.mark.parametrize(
    ("name", "figures", "expected"),
    [
        ("micro", stages_of(25.0, 12.0), [True, True]),
        ("micro", stages_of(25.1, 12.1), [False, False]),
        ("transport", {"ngh2_over_grpcio": {"rate_ratio": 5.0}}, [True]),
        ("transport", {"ngh2_over_grpcio": {"rate_ratio": 4.9}}, [False]),
        ("scale", grown(2.0, 3.0, 200.0), [True] * 4),
        ("scale", grown(10.1, 3.1, 200.0), [False] * 4),
        ("shapes", shape(3.0, 3.0), [True]),
        ("shapes", shape(1.0, 3.1), [False]),
        ("small", {"policies": {"a": {"by_hand_us": 1.0, "decision_us": 5.0}}}, [True]),
        ("small", {"policies": {"a": {"by_hand_us": 1.0, "decision_us": 5.1}}}, [False]),
        ("joins", compiled_in(5.0, 10.0), [True, True]),
        ("joins", compiled_in(5.1, 10.1), [False, False]),
        ("load", {"quiet": {"ngh2-3-rules, 2000/s": {"added_p95_ms": 1.0}, "ngh2-3-rules, 4000/s": {"added_p95_ms": 9.0}}}, [True]),
        ("load", {"quiet": {"ngh2-3-rules, 2000/s": {"added_p95_ms": 1.1}}}, [False]),
        ("activation", swapped(2.0, 110.0), [True, True]),
        ("activation", swapped(2.1, 111.0), [False, False]),
        ("swaps", exchanged(0, 2.0, 1000.0, 0.9, 1.1), [True] * 10),
        ("swaps", exchanged(1, 2.1, 1000.1, 0.89, 1.11), [False] * 10),
    ],
)
def test_a_missed_target_is_seen(name: str, figures: Figures, expected: list[bool]) -> None:
    assert judged(name, figures) == expected


def test_a_missed_target_fails_only_a_run_that_is_asked_to_check(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(bench_main.BENCHES, "transport", lambda *, is_quick: {"ngh2_over_grpcio": {"rate_ratio": 1.0 + is_quick}})
    assert bench_main.main(["--results", str(tmp_path), "transport"]) == 0
    assert bench_main.main(["--check", "--quick", "transport"]) == 1
    assert len(list(tmp_path.iterdir())) == 1
