"""A flood drives people into a shelter, where an epidemic spreads that closes it, and with it the hospital: two packs that know nothing of each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_place import build_place, run

from tocsin.flows.futures import open_futures
from tocsin.platform.twin import open_twin

FLOOD = """
hazard = "flood"
duration = "12h"
members = 6
seed = 1
[series]
"level@lake" = { level = "3.4m", rise = "1h" }
"""
EPIDEMIC = """
hazard = "epidemic"
duration = "60d"
members = 6
seed = 1
[series]
seeds = { value = "20persons" }
[knobs.transmission_factor]
shape = "triangle"
low = 0.4
usual = 0.4
high = 0.4
[knobs.shelter_contacts]
shape = "triangle"
low = 90.0
usual = 90.0
high = 90.0
"""
# out of shelters a case infects fewer than one other; in one, 2.9 x 0.4 x 90 / 38 = 2.7
SHELTER = ("--shelter-share", "0.9", "--stay", "40d")


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_place(tmp_path_factory.mktemp("place"))


@pytest.fixture(scope="module")
def futures(twin: Path) -> dict[str, Path]:
    """The flood by itself, the epidemic by itself, and the epidemic among those whom the flood drives into the shelter."""
    asked: dict[str, tuple[str, tuple[str | Path, ...]]] = {
        "flood": (FLOOD, ()),
        "alone": (EPIDEMIC, ()),
        "crowded": (EPIDEMIC, ("--sheltered", twin.parent / "flood", *SHELTER)),
    }
    for name, (text, words) in asked.items():
        (twin.parent / f"{name}.toml").write_text(text)
        code, _, err = run(
            "futures", "run", twin, "--scenario", twin.parent / f"{name}.toml", "--save", twin.parent / name, *words
        )
        assert code == 0, err
    return {name: twin.parent / name for name in asked}


def chained(twin: Path, *words: str | Path) -> dict[str, Any]:
    code, out, err = run("chain", "run", twin, *words, "--by-number", "--json")
    assert code == 0, err
    return dict(json.loads(out))


def shelters_failing(told: dict[str, Any]) -> float:
    return next((p["share"] for p in told["points"] if p["id"] == "shelters:s1"), 0.0)


def test_a_flood_an_evacuation_and_an_outbreak_in_the_shelter_make_one_chain(twin: Path, futures: dict[str, Path]) -> None:
    told = chained(twin, "--futures", futures["flood"], "--futures", futures["crowded"])
    assert told["hazards"] == ["flood", "epidemic"]
    assert shelters_failing(told) > 0.5
    assert shelters_failing(chained(twin, "--futures", futures["flood"], "--futures", futures["alone"])) < 0.2
    assert shelters_failing(chained(twin, "--futures", futures["flood"])) == 0.0  # no water reaches it


def test_each_future_has_the_crowd_of_the_flood_of_its_number(twin: Path, futures: dict[str, Path]) -> None:
    place = open_twin(twin)
    flood, crowded = (open_futures(place, futures[name]) for name in ("flood", "crowded"))
    world, people = flood.world, flood.world.people(3.0)
    for row, future in enumerate(crowded.foreseen.futures):
        assert future.analogue == f"flood {row}"
        danger = flood.pack.harm.dangerous(flood.foreseen.footprint.peak[row])
        wanted = min(0.9 * float(people[danger].sum()), 900.0)  # as many as it has places
        assert future.series["sheltered@s1"].value.max() == pytest.approx(wanted)
    assert (
        int(np.argmax(crowded.foreseen.footprint.companions["infected_in_shelter_share"][0])) == world.assets("shelters").place[0]
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--members", "9"), "wanted number 0 to 8"),
        (("--shelter-share", "0"), "share 0.0"),
    ],
)
def test_what_cannot_drive_people_into_shelters_is_refused(
    words: tuple[str, ...], says: str, twin: Path, futures: dict[str, Path], tmp_path: Path
) -> None:
    scenario = twin.parent / "crowded.toml"
    code, _, err = run(
        "futures", "run", twin, "--scenario", scenario, "--save", tmp_path / "x", "--sheltered", futures["flood"], *words
    )
    assert code == 1
    assert says in err


def test_a_hazard_to_which_crowds_do_not_matter_takes_none(twin: Path, futures: dict[str, Path], tmp_path: Path) -> None:
    code, _, err = run(
        "futures",
        "run",
        twin,
        "--scenario",
        twin.parent / "flood.toml",
        "--save",
        tmp_path / "x",
        "--sheltered",
        futures["flood"],
    )
    assert code == 1
    assert "takes no people in shelters" in err
