"""What becomes of downloads: together or not at all, in whatever order they come, and whatever goes wrong on the way."""

from __future__ import annotations

import asyncio

import pytest

from authz.control_plane.activator import VersionError
from authz.control_plane.contents import MAX_DELTAS
from authz.errors import ErrorCode
from authz.refresh.messages import Failed
from authz.services.downloads import Activated, Outcome, Rejected
from authz.telemetry.counters import ACTIVATED, UNCHANGED
from tests.control_plane.words import Bench, bench, wanted
from tests.outbound.upstream import run, until


def message(outcome: Outcome) -> str:
    assert isinstance(outcome, Rejected)
    return outcome.message


def is_activated(outcome: Outcome, revision: str) -> bool:
    return isinstance(outcome, Activated) and outcome.revision == revision


# The first policy


def test_the_first_policy_waits_for_all_of_its_bundles() -> None:
    async def test() -> None:
        async with bench("a", "b") as made:
            first = made.send("a", "1")
            await until(lambda: made.is_pending("a", "1"))
            assert not made.compiles
            assert is_activated(await made.deliver("b", "1"), "1")
            assert is_activated(await first, "1")
            assert made.decided == ["a=1 b=1"]

    run(test())


def test_a_bundle_that_is_wrong_at_the_start_is_refused_and_the_others_wait_for_a_better_one() -> None:
    async def test() -> None:
        async with bench("a", "b") as made:
            waiting = made.send("a", "1")
            assert message(await made.deliver("b", "1 wrong")) == "b is wrong"
            assert (waiting.done(), made.decided) == (False, [])
            await made.deliver("b", "2")
            assert is_activated(await waiting, "1")
            assert made.decided == ["a=1 b=2"]

    run(test())


def test_bundles_that_do_not_fit_together_at_the_start_are_told_why_and_taken_once_they_do() -> None:
    async def test() -> None:
        async with bench("a", "b") as made:
            outcomes = await made.both(a="1 clash:b=1", b="1")
            assert [message(outcome) for outcome in outcomes] == ["a: clash:b=1"] * 2
            assert [outcome.is_final for outcome in outcomes if isinstance(outcome, Rejected)] == [True, True]
            assert is_activated(await made.deliver("b", "2"), "2")
            assert (made.decided, made.adopted) == (["a=1 b=2"], [("a", "1")])

    run(test())


def test_bundles_that_still_do_not_fit_together_are_told_why() -> None:
    async def test() -> None:
        async with bench("a", "b") as made:
            await made.both(a="1 needs:b=3", b="1")
            assert message(await made.deliver("b", "2")) == "a: needs:b=3"
            assert made.decided == []
            await made.deliver("b", "3")
            assert made.decided == ["a=1 b=3"]

    run(test())


# Several at once


def test_what_comes_at_once_is_activated_at_once() -> None:
    async def test() -> None:
        async with bench("a", "b") as made:
            await made.both(a="1", b="1")
            await made.both(a="2 needs:b=2", b="2 needs:a=2")
            assert made.decided == ["a=1 b=1", "a=2 b=2"]

    run(test())


def test_what_comes_during_a_compile_is_activated_after_it_together() -> None:
    async def test() -> None:
        async with bench("a", "b", "c") as made:
            await made.both(a="1", b="1", c="1")
            made.gate.shut()
            first = made.send("a", "2")
            await made.gate.begun.wait()
            others = [made.send("b", "2 needs:c=2"), made.send("c", "2 needs:b=2")]
            await until(lambda: made.is_pending("b", "2 needs:c=2") and made.is_pending("c", "2 needs:b=2"))
            made.gate.open()
            for outcome in await asyncio.gather(first, *others):
                assert is_activated(outcome, "2")
            assert made.decided[-1] == "a=2 b=2 c=2"
            assert not any("b=2" in revision and "c=1" in revision for revision in made.decided)

    run(test())


@pytest.mark.parametrize("fault", ["wrong", "ill"])
def test_one_bad_bundle_does_not_hold_up_a_good_one(fault: str) -> None:
    async def test() -> None:
        async with bench("a", "b") as made:
            await made.both(a="1", b="1")
            bad, good = await made.both(a=f"2 {fault}", b="2")
            assert isinstance(bad, Rejected)
            assert is_activated(good, "2")
            assert made.revisions == {"a": "1", "b": "2"}

    run(test())


def test_all_bundles_that_are_wrong_are_named_each_with_its_own_fault() -> None:
    async def test() -> None:
        async with bench("a", "b", "c") as made:
            await made.both(a="1", b="1", c="1")
            one, other, good = await made.both(a="2 wrong", b="2 wrong", c="2")
            assert [message(one), message(other)] == ["a is wrong", "b is wrong"]
            assert is_activated(good, "2")

    run(test())


# Bundles that need one another


def test_a_bundle_that_needs_a_newer_version_of_another_is_taken_with_it() -> None:
    async def test() -> None:
        async with bench("a", "b") as made:
            await made.both(a="1", b="1")
            assert message(await made.deliver("a", "2 needs:b=2")) == "a: needs:b=2"
            assert made.deciding == "a=1 b=1"
            assert is_activated(await made.deliver("b", "2 needs:a=2"), "2")
            assert (made.deciding, made.adopted) == ("a=2 b=2", [("a", "2")])

    run(test())


def test_a_refused_bundle_is_taken_once_another_makes_room_for_it() -> None:
    async def test() -> None:
        async with bench("a", "b") as made:
            await made.both(a="1", b="1")
            await made.deliver("a", "2 needs:b=2")
            assert is_activated(await made.deliver("b", "2"), "2")
            await until(lambda: made.revisions == {"a": "2", "b": "2"})
            assert made.adopted == [("a", "2")]

    run(test())


@pytest.mark.parametrize("needed", ["2", "2 needs:a=2"])
def test_a_refused_bundle_does_not_keep_others_from_being_taken(needed: str) -> None:
    """`c` stays refused; `a` and `b` fit together nevertheless."""

    async def test() -> None:
        async with bench("a", "b", "c") as made:
            await made.both(a="1", b="1", c="1")
            assert isinstance(await made.deliver("c", "2 ill"), Rejected)
            assert isinstance(await made.deliver("a", "2 needs:b=2"), Rejected)
            assert is_activated(await made.deliver("b", needed), "2")
            await until(lambda: made.revisions == {"a": "2", "b": "2", "c": "1"})

    run(test())


def test_a_refused_bundle_that_its_service_withdrew_is_not_taken_later() -> None:
    async def test() -> None:
        async with bench("a", "b") as made:
            await made.both(a="1", b="1")
            await made.deliver("a", "2 needs:b=2")
            made.activator.withdraw("a")
            await made.deliver("b", "2")
            await made.deliver("b", "3")
            assert made.decided == ["a=1 b=1", "a=1 b=2", "a=1 b=3"]

    run(test())


def test_a_download_that_is_waited_for_is_not_withdrawn() -> None:
    async def test() -> None:
        async with bench("a", "b") as made:
            waiting = made.send("a", "1")
            await until(lambda: made.is_pending("a", "1"))
            made.activator.withdraw("a")
            await made.deliver("b", "1")
            assert is_activated(await waiting, "1")

    run(test())


# Deltas


def test_a_delta_follows_what_is_active() -> None:
    async def test() -> None:
        async with bench("a") as made:
            await made.deliver("a", "1")
            outcome = await made.deliver("a", "+2 on:1", base="1")
            assert outcome == Activated("2", "delta")
            await made.deliver("a", "+3 on:2", base="+2 on:1")
            assert made.decided == ["a=1", "a=2", "a=3"]
            assert [archive.content for archive in made.activator.active["a"].archives] == [b"1", b"+2 on:1", b"+3 on:2"]

    run(test())


def test_a_snapshot_ends_the_deltas_before_it() -> None:
    async def test() -> None:
        async with bench("a") as made:
            await made.deliver("a", "1")
            await made.deliver("a", "+2 on:1", base="1")
            assert await made.deliver("a", "3", base="+2 on:1") == Activated("3", "snapshot")
            assert [archive.content for archive in made.activator.active["a"].archives] == [b"3"]

    run(test())


def test_a_delta_on_a_wrong_base_is_refused_and_what_was_active_stays() -> None:
    async def test() -> None:
        async with bench("a") as made:
            await made.deliver("a", "1")
            assert message(await made.deliver("a", "+3 on:2", base="1")) == "a delta on:2, but 1 is active"
            assert (made.deciding, made.revisions) == ("a=1", {"a": "1"})
            assert is_activated(await made.deliver("a", "3"), "3")

    run(test())


@pytest.mark.parametrize("first", [[], ["1"]])
def test_a_delta_that_was_not_asked_for_needs_a_snapshot(first: list[str]) -> None:
    async def test() -> None:
        async with bench("a") as made:
            for text in first:
                await made.deliver("a", text)
            assert message(await made.deliver("a", "+2 on:1")) == "a delta without a snapshot"

    run(test())


def test_a_delta_of_what_was_active_when_it_was_asked_for_is_not_put_on_top_of_something_else() -> None:
    """Somebody goes back to another version while a long poll is under way: its answer is for what was active before."""

    async def test() -> None:
        async with bench("a") as made:
            await made.deliver("a", "1")
            await made.deliver("a", "2")
            await made.activator.go_back(None)
            await made.activator.history.pin(None)
            outcome = await made.deliver("a", "+3 on:1", base="2")  # would apply, did nobody know of its base
            assert message(outcome) == "a delta without a snapshot"
            assert made.deciding == "a=1"

    run(test())


def test_after_many_deltas_a_snapshot_is_asked_for() -> None:
    async def test() -> None:
        async with bench("a") as made:
            await made.deliver("a", "0")
            last = "0"
            for number in range(1, MAX_DELTAS + 1):
                text = f"+{number} on:{number - 1}"
                outcome = await made.deliver("a", text, base=last)
                last = text
                assert outcome == Activated(str(number), "delta", wants_snapshot=number == MAX_DELTAS)
            assert await made.deliver("a", "99", base=last) == Activated("99", "snapshot")

    run(test())


# What goes wrong


def test_the_same_policy_again_is_no_activation() -> None:
    async def test() -> None:
        async with bench("a") as made:
            await made.deliver("a", "1")
            assert is_activated(await made.deliver("a", "1 "), "1")
            assert (made.decided, made.counters.by_outcome[ACTIVATED], made.counters.by_outcome[UNCHANGED]) == (["a=1"], 1, 1)
            assert made.activator.active["a"].etag == '"1 "'

    run(test())


def test_what_speaks_against_a_policy_refuses_it_but_not_the_first_one() -> None:
    async def test() -> None:
        async with bench("a") as made:
            made.speaks_against = Failed(ErrorCode.CANARY, "too many flips", is_final=True)
            assert is_activated(await made.deliver("a", "1"), "1")
            assert message(await made.deliver("a", "2")) == "too many flips"
            assert (made.deciding, made.counters.by_outcome[ErrorCode.CANARY]) == ("a=1", 1)

    run(test())


def test_a_policy_that_cannot_decide_changes_nothing() -> None:
    async def test() -> None:
        async with bench("a") as made:
            await made.deliver("a", "1")
            version, made.cannot_decide = made.activator.version, "no such entry point"
            outcome = await made.deliver("a", "2")
            assert message(outcome) == "no such entry point"
            assert (made.activator.version, made.revisions) == (version, {"a": "1"})
            made.cannot_decide = None
            assert is_activated(await made.deliver("a", "3"), "3")

    run(test())


def test_a_compiler_that_breaks_ends_nothing_and_everybody_is_answered() -> None:
    async def test() -> None:
        async with bench("a", "b") as made:
            await made.both(a="1", b="1")
            for outcome in await made.both(a="2 boom", b="2"):
                assert isinstance(outcome, Rejected)
                assert (outcome.message, outcome.is_final) == ("RuntimeError: boom", False)
            assert made.counters.by_outcome[ErrorCode.ACTIVATION] == 1
            await made.both(a="3", b="3")
            assert made.deciding == "a=3 b=3"

    run(test())


def test_failures_are_counted_by_their_code() -> None:
    async def test() -> None:
        async with bench("a") as made:
            await made.deliver("a", "1")
            await made.deliver("a", "2 wrong")
            await made.deliver("a", "3 ill")
            await made.deliver("a", "+4 on:2", base="1")
            counts = made.counters.by_outcome
            assert [counts[code] for code in (ErrorCode.BUNDLE_SIGNATURE, ErrorCode.POLICY_COMPILE, ErrorCode.BUNDLE)] == [1, 1, 1]

    run(test())


def test_a_delivery_that_nobody_waits_for_any_more_is_forgotten() -> None:
    """Its downloader was replaced: what it had is of a service that is not asked any more."""

    async def test() -> None:
        async with bench("a", "b") as made:
            leaving = made.send("a", "1")
            await until(lambda: made.is_pending("a", "1"))
            leaving.cancel()
            await until(leaving.cancelled)
            waiting = made.send("b", "1")
            await until(lambda: made.is_pending("b", "1"))
            assert not made.decided
            await made.deliver("a", "2")
            assert is_activated(await waiting, "1")
            assert made.decided == ["a=2 b=1"]

    run(test())


def test_what_is_activated_though_its_downloader_was_replaced_is_told_to_the_new_one() -> None:
    async def test() -> None:
        async with bench("a") as made:
            await made.deliver("a", "1")
            made.gate.shut()
            leaving = made.send("a", "2")
            await made.gate.begun.wait()
            leaving.cancel()
            await until(leaving.cancelled)
            made.gate.open()
            await until(lambda: made.deciding == "a=2")
            await until(lambda: made.adopted == [("a", "2")])

    run(test())


def test_a_newer_delivery_during_a_compile_that_fails_is_not_refused_in_its_place() -> None:
    async def test() -> None:
        async with bench("a") as made:
            await made.deliver("a", "1")
            made.gate.shut()
            leaving = made.send("a", "2 wrong")
            await made.gate.begun.wait()
            leaving.cancel()
            await until(leaving.cancelled)
            newer = made.send("a", "3")
            await until(lambda: made.is_pending("a", "3"))
            made.gate.open()
            assert is_activated(await newer, "3")

    run(test())


# What is wanted


def test_a_bundle_that_is_not_wanted_any_more_leaves_the_policy() -> None:
    async def test() -> None:
        async with bench("a", "b") as made:
            await made.both(a="1", b="1")
            made.activator.want(wanted("a"))
            await until(lambda: made.deciding == "a=1")
            assert made.revisions == {"a": "1"}

    run(test())


def test_who_waits_for_a_bundle_that_is_not_wanted_any_more_waits_no_longer() -> None:
    async def test() -> None:
        async with bench("a", "b") as made:
            waiting = made.send("a", "1")
            await until(lambda: made.is_pending("a", "1"))
            made.activator.want(wanted("a"))
            assert is_activated(await waiting, "1")

    run(test())


def test_a_download_of_a_bundle_that_is_not_wanted_any_more_is_answered() -> None:
    async def test() -> None:
        async with bench("a", "b") as made:
            waiting = made.send("b", "1")
            await until(lambda: made.is_pending("b", "1"))
            made.activator.want(wanted("a"))
            assert message(await waiting) == "the bundle is not wanted any more"
            assert message(await made.deliver("b", "2")) == "the bundle is not wanted any more"
            await made.deliver("a", "1")
            assert made.decided == ["a=1"]

    run(test())


@pytest.mark.parametrize("texts", [{"a": "1", "b": "1"}, {"a": "1", "b": "1 ill"}, {"a": "1", "b": "1 wrong"}])
def test_a_bundle_that_is_dropped_during_a_compile_leaves_the_policy_after_it(texts: dict[str, str]) -> None:
    async def test() -> None:
        async with bench("a", "b") as made:
            made.gate.shut()
            tasks = [made.send(name, text) for name, text in texts.items()]
            await made.gate.begun.wait()
            made.activator.want(wanted("a"))
            made.gate.open()
            one, other = await asyncio.gather(*tasks)
            assert is_activated(one, "1")
            assert message(other) == "the bundle is not wanted any more"
            await until(lambda: made.deciding == "a=1" and made.revisions == {"a": "1"})

    run(test())


def test_a_new_bundle_joins_when_it_comes() -> None:
    async def test() -> None:
        async with bench("a") as made:
            await made.deliver("a", "1")
            made.activator.want(wanted("a", "b"))
            waiting = made.send("a", "2")
            await until(lambda: made.is_pending("a", "2"))
            await made.deliver("b", "1")
            assert is_activated(await waiting, "2")
            assert made.decided == ["a=1", "a=2 b=1"]

    run(test())


# Versions: a person asks, so nobody waits for a compile that is under way


async def has_two_versions(made: Bench) -> list[str]:
    """Activate two versions of two bundles; return their ids, the older first."""
    await made.both(a="1", b="1")
    await made.both(a="2", b="2")
    return [held.version.id for held in reversed(made.activator.history.held)]


def test_going_back_is_one_swap_without_a_compile() -> None:
    async def test() -> None:
        async with bench("a", "b") as made:
            older, _ = await has_two_versions(made)
            compiles = len(made.compiles)
            await made.activator.go_back(None)
            assert (made.deciding, len(made.compiles)) == ("a=1 b=1", compiles)
            assert (made.activator.version, made.activator.history.pinned) == (older, older)
            assert made.adopted == [("a", "1"), ("b", "1")]

    run(test())


@pytest.mark.parametrize("fault", ["", " ill"])
def test_going_back_does_not_wait_for_a_compile_that_is_under_way(fault: str) -> None:
    async def test() -> None:
        async with bench("a", "b") as made:
            older, _ = await has_two_versions(made)
            made.gate.shut()
            sent = [made.send("a", f"3{fault}"), made.send("b", "3")]
            await made.gate.begun.wait()
            await made.activator.go_back(older)  # the gate stays shut: any compile would be waited for without end
            assert made.deciding == "a=1 b=1"
            for outcome in await asyncio.gather(*sent):
                assert message(outcome) == f"version {older} is pinned"
            made.gate.open()
            assert (made.deciding, made.counters.by_outcome[ErrorCode.ACTIVATION]) == ("a=1 b=1", 0)

    run(test())


def test_pinning_keeps_what_decides_at_that_moment() -> None:
    async def test() -> None:
        async with bench("a", "b") as made:
            _, newer = await has_two_versions(made)
            made.gate.shut()
            sent = made.send("a", "3")
            await made.gate.begun.wait()
            await made.activator.pin()
            assert message(await sent) == f"version {newer} is pinned"
            assert (made.deciding, made.activator.history.pinned) == ("a=2 b=2", newer)

    run(test())


def test_a_version_that_is_not_there_costs_the_compile_that_is_under_way_nothing_but_time() -> None:
    async def test() -> None:
        async with bench("a", "b") as made:
            await has_two_versions(made)
            made.gate.shut()
            sent = made.send("a", "3")
            await made.gate.begun.wait()
            with pytest.raises(VersionError, match="no version `f00`"):
                await made.activator.go_back("f00")
            made.gate.open()
            assert is_activated(await sent, "3")

    run(test())


def test_several_persons_ask_at_once() -> None:
    async def test() -> None:
        async with bench("a", "b") as made:
            older, newer = await has_two_versions(made)
            made.gate.shut()
            sent = made.send("a", "3")
            await made.gate.begun.wait()
            await asyncio.gather(made.activator.go_back(older), made.activator.pin(), made.activator.go_back(newer))
            assert message(await sent) == f"version {newer} is pinned"
            assert made.activator.version == newer

    run(test())


def test_nothing_is_activated_while_a_version_is_pinned_and_then_again() -> None:
    async def test() -> None:
        async with bench("a", "b") as made:
            older, _ = await has_two_versions(made)
            await made.activator.go_back(older)
            assert isinstance(await made.deliver("a", "3"), Rejected)
            assert made.deciding == "a=1 b=1"
            await made.activator.history.pin(None)
            assert is_activated(await made.deliver("b", "3"), "3")
            await until(lambda: made.revisions == {"a": "3", "b": "3"})

    run(test())


def test_a_version_of_other_bundles_than_are_wanted_is_not_gone_back_to() -> None:
    async def test() -> None:
        async with bench("a", "b") as made:
            await made.both(a="1", b="1")
            made.activator.want(wanted("a"))
            await until(lambda: made.deciding == "a=1")
            with pytest.raises(VersionError, match="other bundles"):
                await made.activator.go_back(None)
            assert made.deciding == "a=1"

    run(test())


def test_there_is_nothing_to_pin_or_to_go_back_to_at_first() -> None:
    async def test() -> None:
        async with bench("a") as made:
            with pytest.raises(VersionError, match="no version is active"):
                await made.activator.pin()
            with pytest.raises(VersionError, match="no older version"):
                await made.activator.go_back(None)
            await made.deliver("a", "1")
            with pytest.raises(VersionError, match="no older version"):
                await made.activator.go_back(None)

    run(test())
