"""Options: req/request-data/order, expand, select, orderby, top, skip, count, pagination and query-status-code."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest
from sta_place import ROOT, Sta, open_sta, place, stream, thing

from tocsin.platform.things import Limits


@pytest.fixture(scope="module")
def river(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Four things: a and b have two streams with five observations each, c has none, d is called as a is."""
    sta = open_sta(tmp_path_factory.mktemp("options"), Limits(page=4, page_most=10))
    for letter in "abc":
        one = sta.made(
            "Things", thing(letter, properties={"rank": ord("c") - ord(letter)}, Locations=[place(8, 51, f"at {letter}")])
        )
        for number in range(0 if letter == "c" else 2):
            rows = [{"result": 10 * number + n, "phenomenonTime": f"2026-01-0{n + 1}T00:00:00Z"} for n in (3, 1, 4, 2, 0)]
            sta.made(f"Things({one})/Datastreams", stream(f"{letter}{number}", Observations=rows))
    sta.made("Things", thing("a") | {"description": "second"})
    yield sta
    sta.things.close()


@pytest.mark.parametrize(
    ("orderby", "wanted"),
    [
        ("name", [1, 4, 2, 3]),
        ("name asc", [1, 4, 2, 3]),
        ("name desc", [3, 2, 4, 1]),
        ("name,description", [4, 1, 2, 3]),
        ("name desc,description desc", [3, 2, 1, 4]),
        ("id desc", [4, 3, 2, 1]),
        ("@iot.id desc", [4, 3, 2, 1]),
        ("properties/rank", [4, 3, 2, 1]),
        ("length(description),id desc", [3, 2, 1, 4]),
        ("name eq 'b' desc,id", [2, 1, 3, 4]),
    ],
)
def test_a_set_is_sorted_by_keys_one_after_the_other(river: Sta, orderby: str, wanted: list[int]) -> None:
    assert river.ids("Things", orderby=orderby) == wanted


def test_a_set_is_sorted_by_what_it_is_linked_to(river: Sta) -> None:
    shown = river.get("Observations", orderby="Datastream/Thing/name desc,Datastream/name desc,result desc", top=2)["value"]
    assert [one["result"] for one in shown] == [14, 13]
    assert [one["result"] for one in river.get("Observations", orderby="result,phenomenonTime", top=3)["value"]] == [0, 0, 1]


def test_the_name_of_an_option_may_be_written_in_any_case(river: Sta) -> None:
    assert river.ids("Things?$orderBy=id%20desc&$TOP=1") == [4]


def test_an_option_may_be_encoded_whole(river: Sta) -> None:
    shown = river.get("Things?%24filter%3Dname+ne+%27b%27&%24top%3D1")
    assert shown["value"][0]["name"] == "a"
    assert river.get(shown["@iot.nextLink"])["value"][0]["name"] == "c"


def test_options_are_taken_in_the_order_filter_count_orderby_skip_top_expand_select(river: Sta) -> None:
    shown = river.get(
        "Things", filter="name lt 'c'", count="true", orderby="id desc", skip=1, top=1, expand="Datastreams", select="name"
    )
    assert shown["@iot.count"] == 3
    assert [sorted(one) for one in shown["value"]] == [["Datastreams", "name"]]
    assert shown["value"][0]["name"] == "b"
    assert "$skip=2" in shown["@iot.nextLink"]


def test_a_count_is_told_only_where_it_is_asked(river: Sta) -> None:
    assert river.get("Things", count="true")["@iot.count"] == 4
    assert "@iot.count" not in river.get("Things", count="false")
    assert "@iot.count" not in river.get("Things")
    assert river.get("Observations", count="true", top=0) == {"@iot.count": 20, "value": []}
    assert river.get("Datastreams(1)/Observations", count="true", top=1)["@iot.count"] == 5
    assert river.get("Things(1)/Datastreams", count="true", filter="name eq 'a1'")["@iot.count"] == 1
    foi = river.get("Observations(1)/FeatureOfInterest")["@iot.id"]
    assert river.get(f"FeaturesOfInterest({foi})/Observations", count="true", top=1)["@iot.count"] == 10


def test_skip_beyond_the_end_gives_an_empty_page(river: Sta) -> None:
    assert river.get("Things", skip=100) == {"value": []}
    assert river.ids("Things", skip=3) == [4]


def test_a_choice_shows_what_was_chosen_and_nothing_else(river: Sta) -> None:
    assert river.get("Things(1)", select="name") == {"name": "a"}
    assert river.get("Things(1)", select="id,name") == {"@iot.id": 1, "name": "a"}
    assert river.get("Things", select="@iot.selfLink", top=1)["value"] == [{"@iot.selfLink": f"{ROOT}/Things(1)"}]
    assert river.get("Things(1)", select="name,Datastreams") == {
        "name": "a",
        "Datastreams@iot.navigationLink": f"{ROOT}/Things(1)/Datastreams",
    }
    assert river.get("Observations(1)", select="result,Datastream", expand="Datastream($select=name)") == {
        "result": 3,
        "Datastream@iot.navigationLink": f"{ROOT}/Observations(1)/Datastream",
        "Datastream": {"name": "a0"},
    }


def bare(entity: dict[str, Any]) -> dict[str, Any]:
    """An entity as it stands inside another one: without links."""
    return {name: value for name, value in entity.items() if not name.endswith("@iot.navigationLink")}


def test_an_expanded_relation_stands_beside_its_link_and_has_no_links_itself(river: Sta) -> None:
    shown = river.get("Datastreams(1)", expand="Thing,Observations")
    assert shown["Thing"] == bare(river.get("Things(1)"))
    assert shown["Thing@iot.navigationLink"] == f"{ROOT}/Datastreams(1)/Thing"
    assert shown["Observations"] == [bare(one) for one in river.get("Datastreams(1)/Observations")["value"]]
    assert shown["Observations@iot.nextLink"] == f"{ROOT}/Datastreams(1)/Observations?$skip=4"
    assert len(river.get(shown["Observations@iot.nextLink"])["value"]) == 1


def test_expansions_nest_and_take_options_of_their_own(river: Sta) -> None:
    inner = "Observations($filter=result mod 2 eq 0;$orderby=result desc;$top=1;$select=result;$count=true)"
    shown = river.get(
        "Things", expand=f"Datastreams($orderby=name desc;$expand={inner},Sensor($select=name);$select=name)", select="name"
    )
    streams = [[one["name"] for one in found["Datastreams"]] for found in shown["value"]]
    assert streams == [["a1", "a0"], ["b1", "b0"], [], []]
    first = shown["value"][0]["Datastreams"][0]
    assert first["Observations"] == [{"result": 14}]
    assert first["Observations@iot.count"] == 3
    assert first["Sensor"] == {"name": "radar"}
    link = unquote(first["Observations@iot.nextLink"])
    assert link.endswith("/Observations?$filter=result mod 2 eq 0&$orderby=result desc&$top=1&$select=result&$count=true&$skip=1")
    following = river.get(first["Observations@iot.nextLink"])
    assert (following["@iot.count"], following["value"]) == (3, [{"result": 12}])


def test_slashes_expand_all_on_the_way(river: Sta) -> None:
    shown = river.get("Things(1)", expand="Datastreams/Observations/FeatureOfInterest,Datastreams/Sensor,Locations")
    assert shown["Locations"][0]["name"] == "at a"
    assert shown["Datastreams"][1]["Observations"][0]["FeatureOfInterest"]["name"] == "at a"
    assert shown["Datastreams"][1]["Sensor"]["name"] == "radar"
    shown = river.get("Things(1)", expand="Datastreams($top=1;$select=name)/Observations($top=1;$select=result)", select="name")
    assert shown["Datastreams"] == [
        {
            "name": "a0",
            "Observations": [{"result": 0}],
            "Observations@iot.nextLink": shown["Datastreams"][0]["Observations@iot.nextLink"],
        }
    ]


def test_expansions_over_many_to_many_keep_each_to_its_own(river: Sta) -> None:
    shown = river.get(
        "Things", expand="Locations($expand=Things($select=name);$select=name),HistoricalLocations/Locations($select=name)"
    )
    assert [one["Locations"] for one in shown["value"]] == [
        *([{"name": f"at {letter}", "Things": [{"name": letter}]}] for letter in "abc"),
        [],
    ]
    assert shown["value"][2]["HistoricalLocations"][0]["Locations"] == [{"name": "at c"}]


def test_an_expansion_of_nothing_is_empty_or_absent(river: Sta) -> None:
    assert river.get("Things(4)", expand="Datastreams,Locations")["Datastreams"] == []
    assert "MultiDatastream" not in river.get("Observations(1)", expand="MultiDatastream")
    assert river.get("Things", filter="id gt 100", expand="Datastreams/Observations") == {"value": []}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("$top=-1", "$top: got '-1'; wanted a whole number from 0"),
        ("$top=x", "$top: got 'x'"),
        ("$top=1.5", "$top"),
        ("$top=", "$top: got ''"),
        ("$top=99999999999999999999", "$top"),
        ("$skip=-1", "$skip: got '-1'; wanted a whole number from 0"),
        ("$skip=%D9%A1", "$skip"),
        ("$count=yes", "$count: got 'yes'; wanted true or false"),
        ("$select=colour", "$select, line 1, column 1: 'colour' is no property of Thing"),
        ("$select=name,,id", "column 6"),
        ("$select=", "$select"),
        ("$orderby=colour", "$orderby, line 1, column 1: 'colour' is no property of Thing"),
        ("$orderby=name up", "column 6: got 'up'; wanted asc, desc, a comma or the end"),
        ("$orderby=name,", "wanted a property"),
        ("$orderby=Datastreams/name", "leads to many; wanted a way to one to sort by"),
        ("$expand=Sensor", "$expand, line 1, column 1: got 'Sensor'; wanted a relation of Thing: Locations"),
        ("$expand=Datastreams(", "is not closed"),
        ("$expand=Datastreams)", "wanted a comma, a slash, a bracket or the end"),
        ("$expand=Datastreams()", "has no value"),
        ("$expand=Datastreams($top)", "has no value"),
        ("$expand=Datastreams(jump=1)", "$expand, line 1, column 13: options: 'jump' is no option"),
        ("$expand=Datastreams($top=1;$top=2)", "column 20: $top is given twice"),
        ("$expand=Datastreams($filter=nam eq 'x')", "$expand($filter), line 1, column 21: 'nam' is no property of Datastream"),
        ("$expand=Datastreams($top=1),Datastreams($top=2)", "is expanded twice with other options"),
        ("$expand=Datastreams($resultFormat=dataArray)", "is no option"),
        ("$expand=" + "Datastreams/Thing/" * 5 + "Datastreams", "expanded more than 8 deep"),
        ("$expand=" + ",".join(["Datastreams"] * 61), "expands more than 60 relations"),
        ("$resultFormat=csv", "$resultFormat: got 'csv'; wanted dataArray"),
        ("$resultFormat=dataArray", "dataArray is there for Observations"),
        ("top=1", "'top' is no option"),
        ("$top=1&$top=2", "$top: is given twice"),
        ("$top", "'$top' has no value"),
        ("$filter=name%20eq%20'%ff'", "is not UTF-8"),
    ],
)
def test_an_option_that_is_wrong_is_refused_with_its_place(river: Sta, options: str, words: str) -> None:
    assert words in river.refused("GET", f"Things?{options}")


def test_a_system_query_option_that_we_do_not_have_is_501(river: Sta) -> None:
    for option in (
        "$search=x",
        "$apply=x",
        "$format=json",
        "$skiptoken=1",
        "$compute=x",
        "$jump=1",
        "$expand=Datastreams($jump=1)",
    ):
        assert "does not have" in river.refused("GET", f"Things?{option}", status=501)


def test_an_option_for_sets_is_refused_on_one_entity(river: Sta) -> None:
    for option in ("$filter=id eq 1", "$orderby=id", "$top=1"):
        assert "wants a set" in river.refused("GET", f"Things(1)?{option}")
    assert "takes none" in river.refused("GET", "Things(1)/name?$top=1")
