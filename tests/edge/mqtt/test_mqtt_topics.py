"""Filters see the topics that the standard says, and the trie finds the same subscribers as looking at each filter."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.edge.mqtt.acl import Acl, Grant
from tocsin.edge.mqtt.topics import Trie, check_filter, check_topic, covers, matches, split_shared
from tocsin.security import Actor, RoleGate
from tocsin.vocabulary import InputError, Refused

LEVEL = st.sampled_from(["a", "b", "", "$x"])
TOPICS = st.lists(LEVEL, min_size=1, max_size=4).map("/".join).filter(bool)
FILTERS = (
    st.tuples(st.lists(LEVEL | st.just("+"), max_size=3), st.sampled_from([[], ["#"], ["a"]]))
    .map(lambda told: "/".join([*told[0], *told[1]]))
    .filter(bool)
)
DEVICE = Actor("gauge-7", frozenset({"sensor"}))


@pytest.mark.parametrize(
    ("asked", "topic", "is_seen"),
    [
        ("sport/tennis/player1/#", "sport/tennis/player1", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
        ("sport/#", "sport", True),
        ("sport/tennis/+", "sport/tennis/player1/ranking", False),
        ("sport/+", "sport", False),
        ("sport/+", "sport/", True),
        ("+/+", "/finance", True),
        ("/+", "/finance", True),
        ("+", "/finance", False),
        ("#", "$SYS/x", False),
        ("+/monitor/Clients", "$SYS/monitor/Clients", False),
        ("$SYS/#", "$SYS/x", True),
        ("$SYS/monitor/+", "$SYS/monitor/Clients", True),
        ("ACCOUNTS", "Accounts", False),
    ],
)
def test_the_examples_of_the_standard(asked: str, topic: str, is_seen: bool) -> None:
    assert matches(asked, topic) is is_seen


@settings(max_examples=300, deadline=None)
@given(st.lists(FILTERS, max_size=8), TOPICS)
def test_the_trie_finds_what_each_filter_by_itself_would_see(asked: list[str], topic: str) -> None:
    trie: Trie[int] = Trie()
    for number, one in enumerate(asked):
        trie.put(one, str(number), number)
    assert sorted(trie.match(topic)) == [number for number, one in enumerate(asked) if matches(one, topic)]
    for number, one in enumerate(asked):
        assert trie.drop(one, str(number))
    assert trie.match(topic) == ()


@settings(max_examples=300, deadline=None)
@given(FILTERS, FILTERS, TOPICS)
def test_a_grant_that_covers_a_filter_sees_all_that_the_filter_sees(granted: str, asked: str, topic: str) -> None:
    if covers(granted, asked) and matches(asked, topic):
        assert matches(granted, topic)


@pytest.mark.parametrize("wrong", ["", "a/#/b", "a#", "+a", "a/b+", "x" + "/x" * 64])
def test_a_wrong_filter_is_refused(wrong: str) -> None:
    with pytest.raises(InputError):
        check_filter(wrong)


@pytest.mark.parametrize("wrong", ["$share/", "$share/g", "$share//a", "$share/g+/a", "$share/g/a#"])
def test_a_wrong_shared_subscription_is_refused(wrong: str) -> None:
    with pytest.raises(InputError):
        split_shared(wrong)


def test_nothing_is_published_to_a_wildcard() -> None:
    with pytest.raises(InputError):
        check_topic("a/+")


def test_a_device_publishes_under_its_own_name_only() -> None:
    acl = Acl(RoleGate(), usual=Grant(publish=("readings/{name}/#",), own=("commands/{name}",)))
    acl.permit(DEVICE, "c", "publish", "readings/gauge-7/level")
    acl.permit(DEVICE, "c", "subscribe", "commands/gauge-7")
    for access, topic in (
        ("publish", "readings/gauge-8/level"),
        ("subscribe", "commands/gauge-8"),
        ("subscribe", "commands/#"),
        ("subscribe", "readings/gauge-7/level"),
    ):
        with pytest.raises(Refused):
            acl.permit(DEVICE, "c", access, topic)  # type: ignore[arg-type]


def test_a_name_that_is_a_wildcard_fills_no_pattern() -> None:
    acl = Acl(RoleGate(), usual=Grant(publish=("readings/{client}/#",)))
    with pytest.raises(Refused):
        acl.permit(DEVICE, "+", "publish", "readings/gauge-7/level")


def test_a_grant_does_not_stand_in_for_a_role() -> None:
    acl = Acl(RoleGate(), usual=Grant(subscribe=("warnings/#",)))
    acl.permit(Actor("anna", frozenset({"operator"})), "c", "subscribe", "warnings/#")
    with pytest.raises(Refused):
        acl.permit(DEVICE, "c", "subscribe", "warnings/#")
