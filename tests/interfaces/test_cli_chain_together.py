"""One chain through three packs on one twin: each hazard is run by itself, and their futures meet in the chains."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from chain_files import build_chained_place
from cli_place import run
from PIL import Image

import tocsin.pack
from tocsin.flows.chains import kept_together
from tocsin.interfaces.chain_picture import SHADES_PX
from tocsin.pack import Effect, Exposure, Future, Harm, Knob, Link, Model, Pack, Plan, Service, find_pack
from tocsin.platform.twin import open_twin
from tocsin.vocabulary import Curve, InputError, Member, Quantity, World

FIRE, GAS = Quantity("test_fire", "kW/m", 0.0, 1e5), Quantity("test_gas", "mg/m3", 0.0, 1e6)
HEAT = Quantity("test_radiation", "kW/m2", 0.0, 1e3)
AT_ONCE = "a test"


def curve(quantity: Quantity, certain_from: float) -> Curve:
    return Curve(quantity, ((0.0, 0.0), (certain_from, 1.0)), source=AT_ONCE, valid="tests")


def everywhere(quantity: Quantity, **companions: Quantity) -> Model:
    """A hazard that comes everywhere after a minute, before the water is over its shore, as strong as its knob says."""

    def come(world: World, future: Future, effects: Sequence[Effect], frame_s: Sequence[float]) -> Member:
        """As strong everywhere as the knob says."""
        strong = np.full(world.grid.cells, future.knobs["strength"], np.float32)
        came = strong > 0
        arrival_s = np.where(came, 60.0, np.inf).astype(np.float32)
        end_s = np.where(came, future.duration_s, np.inf).astype(np.float32)
        return Member(strong, arrival_s, end_s, {one.name: strong / 100 for one in companions.values()})

    knobs = {"strength": Knob(quantity.unit, 0.0, 0.0, 1e4, "everywhere")}
    return Model(f"comes_{quantity.name}", (), quantity, come, knobs, {}, {}, AT_ONCE, "tests")


def no_plans(world: World) -> tuple[Plan, ...]:
    return ()


def pack(hazard: str, model: Model, *chain: Exposure | Link | Service) -> Pack:
    harm = Harm(danger=model.makes, danger_from=1.0, danger_source=AT_ONCE)
    return Pack(hazard, (), (), (model,), harm, no_plans, chain=chain)


# Fire takes out masts by a companion of what its model makes; a pack that nothing drives here says that pumps are run over masts.
PACKS = {
    "flood": find_pack("flood"),
    "fire": pack("fire", everywhere(FIRE, heat=HEAT), Exposure("masts", curve(HEAT, 1.0))),
    "gas": pack("gas", everywhere(GAS), Exposure("hospitals", curve(GAS, 1_000.0))),
    "sickness": pack(
        "sickness",
        everywhere(Quantity("test_cases", "cases", 0.0, 1e6)),
        Link("pumps are run over masts", "masts", "pumping_stations", AT_ONCE),
        Service("people_without_pumps", "pumping_stations", "nobody pumps"),
    ),
}
FLOOD = 'hazard = "flood"\nduration = "4h"\nmembers = 6\nseed = 3\n[series]\n"level@lake" = { level = "2.6m", rise = "30min" }\n'
SPREAD = 'hazard = "%s"\nduration = "4h"\nmembers = %d\nseed = 3\n[knobs.strength]\nshape = "uniform"\nlow = %g\nhigh = %g\nusual = %g\n'


@pytest.fixture(autouse=True)
def packs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tocsin.pack, "find_packs", lambda: PACKS)


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_chained_place(tmp_path_factory.mktemp("place"))


@pytest.fixture(scope="module")
def folders(twin: Path) -> dict[str, Path]:
    """Futures of three hazards, each run by itself."""
    told = {
        "flood": FLOOD,
        "fire": SPREAD % ("fire", 8, 100.0, 200.0, 150.0),
        "gas": SPREAD % ("gas", 6, 0.0, 1_000.0, 500.0),
    }
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tocsin.pack, "find_packs", lambda: PACKS)
        for hazard, text in told.items():
            file, found[hazard] = twin.parent / f"{hazard}.toml", twin.parent / hazard
            file.write_text(text)
            code, _, err = run("futures", "run", twin, "--scenario", file, "--save", found[hazard])
            assert code == 0, err
    return found


def chained(twin: Path, *words: str | Path) -> dict[str, object]:
    code, out, err = run("chain", "run", twin, *words, "--json")
    assert code == 0, err
    return dict(json.loads(out))


def test_one_chain_runs_through_three_packs(twin: Path, folders: dict[str, Path]) -> None:
    both = ("--futures", folders["flood"], "--futures", folders["fire"], "--with", "sickness")
    told = chained(twin, *both)
    assert told["hazards"] == ["flood", "fire", "sickness"]
    ways = {tuple(way["points"]): way["share"] for way in told["ways"]}  # type: ignore[attr-defined]
    assert ways[("masts:m1", "pumping_stations:p1")] == 1.0  # fire takes the mast, and a third pack says what hangs on it
    figures = {name: figure["mean"] for name, figure in told["figures"].items()}  # type: ignore[attr-defined]
    assert figures["people_without_pumps"] > 0.0  # by fire and the third pack
    assert figures["people_without_power"] > 0.0  # by water
    assert told["members"] == 6  # 8 of fire, 6 of water
    assert any("put together by chance" in remark for remark in told["remarks"])  # type: ignore[attr-defined]
    assert any("6 of 8 futures of fire are used" in remark for remark in told["remarks"])  # type: ignore[attr-defined]
    without = chained(twin, "--futures", folders["flood"], "--with", "sickness")
    ways = {tuple(way["points"]) for way in without["ways"]}  # type: ignore[attr-defined]
    assert ("substations:shore", "pumping_stations:p1") in ways  # the same pump, without its power
    assert not any(points[0] == "masts:m1" for points in ways)
    assert "put together" not in json.dumps(without["remarks"])


def test_the_page_names_the_folders_and_the_picture_is_drawn(twin: Path, folders: dict[str, Path], tmp_path: Path) -> None:
    picture = tmp_path / "chains.png"
    code, out, err = run("chain", "run", twin, "--futures", folders["fire"], "--futures", folders["flood"], "--picture", picture)
    assert code == 0, err
    assert "risk chains of fire and flood over 4 h" in out
    assert str(folders["fire"]) in out
    assert picture.read_bytes()[:4] == b"\x89PNG"
    alone = tmp_path / "alone.png"
    assert run("chain", "run", twin, "--futures", folders["fire"], "--picture", alone)[0] == 0
    (width, high), (alike, less) = (Image.open(path).size for path in (picture, alone))
    assert (width, high - less) == (alike, SHADES_PX)  # each hazard has its line of shades


def test_by_chance_hazards_of_one_seed_are_not_bound_to_each_other_and_by_number_they_are(
    twin: Path, folders: dict[str, Path]
) -> None:
    place, pair = open_twin(twin), [folders["gas"], folders["fire"]]
    numbered = kept_together(place, pair, by_number=True).footprints
    gas, fire = ([float(one.peak[k, 0]) for k in range(one.members)] for one in numbered)
    assert np.corrcoef(gas, fire)[0, 1] == pytest.approx(1.0)  # Sobol's numbers of one seed: the same quantile in both
    first, again, other = (kept_together(place, pair, seed=seed).footprints for seed in (0, 0, 1))
    np.testing.assert_array_equal(first[1].peak, again[1].peak)
    assert not np.array_equal(first[1].peak, other[1].peak)
    assert [float(first[0].peak[k, 0]) for k in range(6)] == gas  # the first hazard's stay in their order
    assert set(first[1].peak[:, 0].tolist()) < {float(v) for v in kept_together(place, pair[1:]).footprints[0].peak[:, 0]}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--futures", "fire", "--futures", "fire"), "futures of fire, fire; wanted one folder of each hazard"),
        (("--futures", "fire", "--forecast", "x.zarr"), "give one of the two"),
        (("--futures", "fire", "--level", "2m@lake"), "the folders say what comes; leave the forcings out"),
        (("--futures", "nothing"), "nothing"),
    ],
)
def test_what_does_not_fit_together_is_refused(words: tuple[str, ...], says: str, twin: Path, folders: dict[str, Path]) -> None:
    code, _, err = run("chain", "run", twin, *(str(folders.get(word, word)) for word in words))
    assert code == 1
    assert says in err


def test_folders_without_a_number_in_common_are_refused(twin: Path, folders: dict[str, Path]) -> None:
    with pytest.raises(InputError, match="wanted one folder of each hazard"):
        kept_together(open_twin(twin), [])
