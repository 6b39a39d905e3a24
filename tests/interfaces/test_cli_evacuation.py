"""An evacuation from the command line: what is told, what is drawn, and what cannot be meant."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from cli_place import build_place, run
from PIL import Image

from tocsin.flows.evacuation import simulate_evacuation
from tocsin.flows.information import foresee
from tocsin.interfaces.cli.scenario import Asked, scenario_of
from tocsin.interfaces.evacuation_picture import SLOW, evacuation_picture
from tocsin.pack import find_pack
from tocsin.platform.twin import open_twin


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_place(tmp_path_factory.mktemp("place"))


def evacuate(twin: Path, *words: str | Path) -> tuple[int, str, str]:
    return run("evacuation", "simulate", twin, "--level", "2.1m@lake", "--rise", "30min", *words)


def zone(twin: Path) -> str:
    import datetime

    world = open_twin(twin).world(datetime.datetime.now(datetime.UTC))
    people = world.people(3.0)
    return max(world.zones.name, key=lambda name: float(people[world.zones.places(name)].sum()))


def test_everybody_who_leaves_is_told_of_once(twin: Path) -> None:
    code, out, err = evacuate(twin, "--zones", zone(twin), "--moved-within", "2h", "--hours", "6", "--json")
    assert code == 0, err
    facts = json.loads(out)
    assert facts["wanted"] > 0
    parts = facts["arrived"] + facts["caught_on_road"] + facts["waited"] + facts["stranded"]
    assert parts == pytest.approx(facts["wanted"], rel=1e-6)
    assert facts["arrived_by"] == sorted(facts["arrived_by"])
    assert facts["time_h"][-1] == pytest.approx(6.0)
    assert facts["wanted"] <= facts["people"] * (1 + 1e-9)


def test_the_command_tells_what_the_function_tells(twin: Path) -> None:
    import datetime

    chosen = zone(twin)
    code, out, err = evacuate(twin, "--zones", chosen, "--warned-after", "10min", "--hours", "3", "--json")
    assert code == 0, err
    opened, now = open_twin(twin), datetime.datetime.now(datetime.UTC)
    pack = find_pack("flood")
    asked = Asked(["2.1m@lake"], None, [], "30min", "", 3.0, 1, 0, [])
    result = foresee(opened, "flood", scenario_of(opened.world(now), pack.models[0], asked), time=now)
    report = simulate_evacuation(result, zones=[chosen], warned_s=600.0).report
    facts = json.loads(out)
    assert facts["arrived"] == report.arrived
    assert facts["people"] == report.people


def test_the_page_says_what_comes_of_it_and_what_is_assumed(twin: Path) -> None:
    code, out, err = evacuate(twin, "--zones", zone(twin), "--hours", "3")
    assert code == 0, err
    for words in ("leave;", "arrive", "caught on the road", "after h", "planning assumptions, not compared with a source"):
        assert words in out


def test_the_map_shows_what_holds_people_up(twin: Path) -> None:
    import datetime

    opened, now = open_twin(twin), datetime.datetime.now(datetime.UTC)
    pack = find_pack("flood")
    asked = Asked(["2.1m@lake"], None, [], "30min", "", 3.0, 1, 0, [])
    result = foresee(opened, "flood", scenario_of(opened.world(now), pack.models[0], asked), time=now)
    found = simulate_evacuation(result, zones=[zone(twin)], moved_s=1800.0)
    found.delay_h[0] = 100.0 + found.delay_h.max()  # a street that holds everybody up
    picture = np.asarray(Image.open(io.BytesIO(evacuation_picture(result, found))))
    height = picture.shape[0] - 34  # without the legend
    assert (picture[36:height].reshape(-1, 3) == SLOW).all(axis=1).sum() > 10


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--zones", "Atlantis"), "no zone 'Atlantis'; there are:"),
        (("--warned-after", "2h", "--moved-within", "1h"), "wanted the move to end after the warning"),
        (("--warned-after", "20"), "--warned-after"),
        (("--picture", "map.bmp"), "map.bmp"),
    ],
)
def test_what_cannot_be_meant_is_refused(twin: Path, words: tuple[str, ...], told: str) -> None:
    code, _, err = evacuate(twin, *words, "--hours", "1")
    assert code == 1
    assert told in err
