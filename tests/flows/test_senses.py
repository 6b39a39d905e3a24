"""Readings of every hazard weigh its futures: on epidemics, fires and releases whose truth is known, and on a pack that declares nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import msgspec
import numpy as np
import pytest
from scipy import stats

from tocsin.decision.compare import compare
from tocsin.decision.futures import Foreseen, foresee
from tocsin.decision.observe import Looked, Sighting, expected, look, refit
from tocsin.edge.latest import Latest, microseconds
from tocsin.flows import at_rest
from tocsin.flows.following import Followed, Following, assessed, resumed
from tocsin.flows.observe import Heard, Places, ground_gauges, heard_since, kept_of, verification_of
from tocsin.flows.verify import score_ledger
from tocsin.pack import (
    Action,
    Analogue,
    Duration,
    Future,
    Model,
    Pack,
    Plan,
    ReadingError,
    Scenario,
    Sense,
    Spread,
    find_pack,
    senses_of,
)
from tocsin.pack.sense import Trust, trusted, usual_error
from tocsin.packs.epidemic.quantities import CASES
from tocsin.platform.twin import Gauge
from tocsin.science.score import crps
from tocsin.security.actor import Actor
from tocsin.testing.memory import START, OneByOne, TestHost
from tocsin.testing.tiny import Thing, TinyWorld
from tocsin.vocabulary import (
    Comparison,
    Evidence,
    Forecast,
    InputError,
    Member,
    Observations,
    PackFault,
    Quantity,
    Series,
)

DAY_S, HOUR_S = 86_400.0, 3_600.0
NAN = float("nan")
PLATFORM = Actor("platform", frozenset({"system"}))
Told = Mapping[tuple[str, str], Sequence[tuple[float, float]]]  # by quantity and site: seconds after the start, and the reading


def gauge(site: str, quantity: str, place: int = -1, *, water: str = "", sd: float = NAN, share: float = NAN) -> Gauge:
    return Gauge(site, site, quantity, 0.0, 0.0, 0.0, 0.0, place, NAN, None, "", water, sd, share)


def heard(
    pack: Pack,
    foreseen: Foreseen,
    told: Told,
    *,
    world: TinyWorld,
    gauges: Sequence[Gauge] = (),
    until_s: float,
    model: Model | None = None,
    trust: Sequence[Trust] = (),
) -> tuple[Foreseen, Heard]:
    """What readings come to against the futures, as the running platform hears them."""
    model = model or pack.models[0]
    quantities = {q.name: q for q in (*pack.observes, model.makes)}
    latest, senses = Latest(), trusted(senses_of(pack, model), trust)
    for (quantity, site), rows in told.items():
        times = [microseconds(START + timedelta(seconds=time_s)) for time_s, _ in rows]
        latest.take(Observations.of(quantities[quantity], (site,), [0] * len(rows), times, [value for _, value in rows]))
    ground = ground_gauges(senses, gauges)
    kept = kept_of(foreseen, model, ground, senses, world.grid)
    came = heard_since(
        latest, senses, model, kept, gauges, ground,
        began=START, now=START + timedelta(seconds=until_s), standing=Places(model, gauges, world.waters(), world),
    )  # fmt: skip
    return kept, came


def weighed(pack: Pack, kept: Foreseen, came: Heard, model: Model | None = None) -> Looked:
    return look(model or pack.models[0], kept, came.sightings)


# -- an epidemic: reported cases ---------------------------------------------------------------------------------------

EPIDEMIC = find_pack("epidemic")
AGENTS, COMPARTMENTS = EPIDEMIC.models
DAYS = 49


class Town(TinyWorld):
    """The tiny world with 1,000 people in each cell of its one street."""

    def people(self, hour: float) -> np.ndarray:
        return super().people(hour) * 100.0


WAVE = Scenario(
    DAYS * DAY_S,
    64,
    1,
    {"transmission_factor": Spread(0.5, 1.0, 2.5, "uniform"), "people_per_agent": Spread(1.0, 1.0, 1.0)},
    {"seeds": Series.constant(60.0)},
)


@pytest.fixture(scope="module")
def waves() -> Foreseen:
    return foresee(Town(), AGENTS, WAVE, OneByOne())


def true_wave(factor: float, seed: int, **others: float) -> Member:
    """An epidemic that is none of the futures: its own people meet by their own lots."""
    knobs = {name: knob.usual for name, knob in AGENTS.knobs.items()} | {"transmission_factor": factor, "people_per_agent": 1.0}
    knobs |= others
    return AGENTS.play(Town(), Future(0, seed, WAVE.duration_s, knobs, WAVE.series))


def cases(member: Member, days: int, shares: Mapping[str, float]) -> Told:
    """What each site reports of each day, at its end; shares of all cases by lot."""
    rng = np.random.default_rng(5)
    series = member.courses["new_cases_per_d"]
    by_site: dict[tuple[str, str], list[tuple[float, float]]] = {("cases_per_d", site): [] for site in shares}
    for day in range(1, days + 1):
        split = rng.multinomial(round(series.at(day * DAY_S)), list(shares.values()))
        for site, count in zip(shares, split, strict=True):
            by_site["cases_per_d", site].append((day * DAY_S, float(count)))
    return by_site


SITES = {"north clinic": 0.6, "south clinic": 0.4}


@pytest.mark.parametrize("factor", [0.8, 1.3, 2.0])
def test_daily_cases_find_the_transmission_of_the_true_epidemic(waves: Foreseen, factor: float) -> None:
    kept, came = heard(EPIDEMIC, waves, cases(true_wave(factor, 9_001), 30, SITES), world=Town(), until_s=30 * DAY_S)
    assert {(s.site, s.what, s.kind) for s in came.sightings} == {("2 sites", "new_cases_per_d", "course")}
    assert [(s.time_s / DAY_S, s.readings) for s in came.sightings] == [(7, 7), (14, 7), (21, 7), (28, 7)]
    learned = weighed(EPIDEMIC, kept, came).knobs["transmission_factor"]
    assert abs(learned.mean - factor) < 3.0 * learned.sd
    assert learned.sd < 0.5 * learned.sd_before
    assert refit(WAVE, AGENTS, weighed(EPIDEMIC, kept, came)).knobs["transmission_factor"].usual == pytest.approx(learned.mean)


def test_the_days_to_come_are_told_better_by_futures_that_cases_have_weighed(waves: Foreseen) -> None:
    before = after = 0.0
    for number, factor in enumerate((0.7, 1.0, 1.4, 1.8, 2.3)):
        truth = true_wave(factor, 9_100 + number)
        kept, came = heard(EPIDEMIC, waves, cases(truth, 28, SITES), world=Town(), until_s=28 * DAY_S)
        weight = weighed(EPIDEMIC, kept, came).weight
        told = np.array([[one["new_cases_per_d"].at(day * DAY_S) for day in range(29, 50)] for one in kept.footprint.courses])
        coming = np.array([truth.courses["new_cases_per_d"].at(day * DAY_S) for day in range(29, 50)])
        before += crps(told, coming).mean()
        after += crps(told, coming, weight).mean()
    assert after < 0.5 * before


def test_where_each_future_was_true_once_its_cases_fall_alike_among_the_others(waves: Foreseen) -> None:
    total = np.zeros(10)
    for row in range(0, 64, 2):
        others = np.array([k for k in range(64) if k != row])
        left = msgspec.structs.replace(
            waves, futures=tuple(waves.futures[k] for k in others), footprint=waves.footprint.futures(others)
        )
        kept, came = heard(EPIDEMIC, left, cases(waves.footprint.member(row), DAYS, SITES), world=Town(), until_s=DAYS * DAY_S)
        (one,) = verification_of(weighed(EPIDEMIC, kept, came), "f", "town", {}, START, ("f",)).gauges
        assert (one.site, one.what) == ("2 sites", "new_cases_per_d")
        total += np.array(one.ranks) / one.readings
    # 32 truths, spread evenly: 3.2 in each tenth; days of one epidemic are one case, so chance moves a tenth by 1.7 (binomial), here three times that at most
    assert np.abs(total - 3.2).max() < 5.1
    assert total[[0, -1]].sum() < 0.5 * total.sum()  # no U


ROOMY = msgspec.structs.replace(
    WAVE, knobs=WAVE.knobs | {"beds_per_1000": Spread(20.0, 20.0, 20.0)}
)  # nobody is turned away: full beds tell nothing


@pytest.fixture(scope="module")
def roomy() -> Foreseen:
    return foresee(Town(), AGENTS, ROOMY, OneByOne())


def patients(member: Member, days: int, shares: Mapping[str, float]) -> Told:
    """How many lie in each hospital at the end of each day; shares of all by lot."""
    rng = np.random.default_rng(6)
    told: dict[tuple[str, str], list[tuple[float, float]]] = {("hospital_patients", site): [] for site in shares}
    for day in range(1, days + 1):
        split = rng.multinomial(round(member.courses["beds_taken"].at(day * DAY_S)), list(shares.values()))
        for site, count in zip(shares, split, strict=True):
            told["hospital_patients", site].append((day * DAY_S, float(count)))
    return told


@pytest.mark.parametrize("factor", [0.8, 1.3, 2.0])
def test_patients_in_hospital_find_the_transmission_of_the_true_epidemic(roomy: Foreseen, factor: float) -> None:
    truth = true_wave(factor, 9_001, beds_per_1000=20.0)
    kept, came = heard(EPIDEMIC, roomy, patients(truth, 42, SITES), world=Town(), until_s=42 * DAY_S)
    assert {(s.site, s.what, s.kind) for s in came.sightings} == {("2 sites", "beds_taken", "course")}
    assert [(s.time_s / DAY_S, s.readings) for s in came.sightings] == [
        (day, 1) for day in range(7, 43, 7)
    ]  # the same people all week
    learned = weighed(EPIDEMIC, kept, came).knobs["transmission_factor"]
    assert abs(learned.mean - factor) < 3.0 * learned.sd
    assert learned.sd < 0.5 * learned.sd_before


def test_where_each_future_was_true_once_its_patients_fall_alike_among_the_others(roomy: Foreseen) -> None:
    total = np.zeros(10)
    for row in range(0, 64, 2):
        others = np.array([k for k in range(64) if k != row])
        left = msgspec.structs.replace(
            roomy, futures=tuple(roomy.futures[k] for k in others), footprint=roomy.footprint.futures(others)
        )
        kept, came = heard(EPIDEMIC, left, patients(roomy.footprint.member(row), DAYS, SITES), world=Town(), until_s=DAYS * DAY_S)
        (one,) = verification_of(weighed(EPIDEMIC, kept, came), "f", "town", {}, START, ("f",)).gauges
        total += np.array(one.ranks) / one.readings
    assert np.abs(total - 3.2).max() < 5.1  # as for cases, above


def test_patients_tell_the_beds_to_come_better_than_no_readings_alone_and_beside_cases(roomy: Foreseen) -> None:
    off = dict.fromkeys(("nothing", "patients", "both"), 0.0)
    for number, factor in enumerate((0.7, 1.0, 1.4, 1.8, 2.3)):
        truth = true_wave(factor, 9_100 + number, beds_per_1000=20.0)
        coming = np.array([truth.courses["beds_taken"].at(day * DAY_S) for day in range(29, 50)])
        told = patients(truth, 28, SITES)
        expected = np.array([[one["beds_taken"].at(day * DAY_S) for day in range(29, 50)] for one in roomy.footprint.courses])
        for name, rows in {"patients": told, "both": dict(told) | dict(cases(truth, 28, SITES))}.items():
            kept, came = heard(EPIDEMIC, roomy, rows, world=Town(), until_s=28 * DAY_S)
            off[name] += crps(expected, coming, weighed(EPIDEMIC, kept, came).weight).mean()
        off["nothing"] += crps(expected, coming).mean()
    assert off["patients"] < off["nothing"]
    assert off["both"] < 0.5 * off["nothing"]  # as of cases to come, above


def test_a_share_of_staffed_beds_weighs_no_future(roomy: Foreseen) -> None:
    told = {("bed_occupancy", "hospital"): [(day * DAY_S, 0.9) for day in range(1, 29)]}
    assert not heard(EPIDEMIC, roomy, told, world=Town(), until_s=28 * DAY_S)[1].sightings


def test_a_week_that_one_clinic_did_not_report_is_left_out_and_not_a_fall() -> None:
    waves = foresee(Town(), COMPARTMENTS, msgspec.structs.replace(WAVE, members=4, knobs={}), OneByOne())
    told = dict(cases(waves.footprint.member(0), 28, SITES))
    silent = [row for row in told["cases_per_d", "south clinic"] if not 7.5 * DAY_S < row[0] < 14.5 * DAY_S]
    _, whole = heard(EPIDEMIC, waves, told, world=Town(), until_s=28 * DAY_S, model=COMPARTMENTS)
    told["cases_per_d", "south clinic"] = [row for row in silent if row[0] != 18 * DAY_S]  # and a single day later on
    _, came = heard(EPIDEMIC, waves, told, world=Town(), until_s=28 * DAY_S, model=COMPARTMENTS)
    assert [s.time_s / DAY_S for s in came.sightings] == [7, 21, 28]
    assert came.sightings[0] == whole.sightings[0]
    assert came.sightings[2] == whole.sightings[3]
    assert came.sightings[1].value == pytest.approx(whole.sightings[2].value, rel=0.2)  # six days of seven of a part
    assert {e.subject for e in came.evidence} == set(SITES)  # who was added up is what it rests on


# -- a fire: wind, and when it was seen --------------------------------------------------------------------------------

WILDFIRE = find_pack("wildfire")
FIRE = WILDFIRE.models[0]


class Grass(TinyWorld):
    """The tiny world on cells of 100 m, all grass."""

    def __init__(self) -> None:
        super().__init__(cell_m=400.0, fields={"fuel_model": 1.0})


BLAZE = Scenario(
    4 * HOUR_S,
    64,
    1,
    {"wind_factor": Spread(0.5, 1.0, 2.0, "uniform"), "wind_turn_deg": Spread(-40.0, 0.0, 40.0, "uniform")},
    {
        "wind_speed": Series.constant(3.0),
        "wind_from": Series.constant(355.0),
        f"ignition@{Grass().point(2)}": Series.constant(1.0),
    },
)


@pytest.fixture(scope="module")
def fires() -> Foreseen:
    return foresee(Grass(), FIRE, BLAZE, OneByOne(), frame_s=tuple(np.arange(0.0, 4 * HOUR_S + 1, 1800.0)))


def steady(value: float, hours: float = 3.0, every_s: float = 600.0) -> list[tuple[float, float]]:
    return [(time_s, value) for time_s in np.arange(every_s, hours * HOUR_S + 1, every_s).tolist()]


def test_wind_weighs_fires_and_a_direction_turns_through_north(fires: Foreseen) -> None:
    wind: Told = {("wind_speed", "mast"): steady(4.5), ("wind_from", "mast"): steady(8.0)}
    kept, came = heard(WILDFIRE, fires, wind, world=Grass(), until_s=3 * HOUR_S)
    assert {(s.what, s.kind) for s in came.sightings} == {("wind_speed", "forcing"), ("wind_from", "forcing")}
    assert len(came.sightings) == 2 * 6  # once in half an hour
    looked = weighed(WILDFIRE, kept, came)
    assert looked.knobs["wind_factor"].mean == pytest.approx(1.5, abs=3 * looked.knobs["wind_factor"].sd)
    assert looked.knobs["wind_turn_deg"].mean == pytest.approx(13.0, abs=3 * looked.knobs["wind_turn_deg"].sd)  # 355 + 13 = 8
    assert looked.knobs["wind_turn_deg"].sd < 0.6 * looked.knobs["wind_turn_deg"].sd_before
    assert "none of them" not in looked.again
    turned = [s for s in looked.seen if s.what == "wind_from"]
    assert all(s.crps < 25.0 and -60.0 < s.low <= s.high < 60.0 for s in turned)  # not 340 degrees away


def test_when_a_fire_comes_to_a_sensor_weighs_how_fast_it_spreads(fires: Foreseen) -> None:
    gauges = (
        gauge("tower", "smoke_probability", 14),
        gauge("hut", "smoke_probability", 20),
    )  # 800 m and 1,200 m south of the start
    arrival = fires.footprint.arrival_s[:, [14, 20]]
    truth = int(np.argsort(arrival[:, 0])[16])  # a fast one
    told: Told = {
        ("smoke_probability", g.site): [(t, 0.9 if t >= arrival[truth, k] else 0.05) for t, _ in steady(0.0, 3.0, 300.0)]
        for k, g in enumerate(gauges)
    }
    kept, came = heard(WILDFIRE, fires, told, world=Grass(), gauges=gauges, until_s=3 * HOUR_S)
    assert {(s.site, s.kind) for s in came.sightings} == {
        ("tower", "arrival"),
        ("hut", "arrival"),
    }  # once each, however often they speak
    looked = weighed(WILDFIRE, kept, came)
    hours = np.minimum(arrival, 3 * HOUR_S) / HOUR_S
    before, after = crps(hours, hours[truth]).sum(), crps(hours, hours[truth], looked.weight).sum()
    assert after < before
    assert looked.effective < 48.0
    # a quarter of an hour of silence more is what the last reading says, and no more
    none = {key: [(t, 0.05) for t, _ in rows] for key, rows in told.items()}
    late = weighed(WILDFIRE, *heard(WILDFIRE, fires, none, world=Grass(), gauges=gauges, until_s=3 * HOUR_S))
    never = np.isinf(arrival[:, 0])
    assert late.weight[never].sum() >= looked.weight[never].sum()


def test_a_sensor_tells_of_the_first_and_the_strongest_within_its_reach(fires: Foreseen) -> None:
    here = gauge("tower", "fireline_intensity", 14)
    sense = Sense(FIRE.makes, ReadingError(1.0), reach_m=450.0)  # its own cell and the four beside it
    kept = kept_of(fires, FIRE, (here,), (sense,), Grass().grid)
    around = [8, 13, 14, 15, 20]
    np.testing.assert_array_equal(kept.footprint.arrival_s[:, 0], fires.footprint.arrival_s[:, around].min(axis=1))
    assert fires.frames is not None
    assert kept.frames is not None
    np.testing.assert_array_equal(kept.frames[:, :, 0], fires.frames[:, :, around].max(axis=2))


# -- a release: gas at sensors, and which tank it comes from -----------------------------------------------------------

CHEMICAL = find_pack("chemical")
GAS = CHEMICAL.models[0]


class Works(TinyWorld):
    """The tiny world with cells of 100 m and two tanks at its western edge."""

    def __init__(self) -> None:
        super().__init__(cell_m=100.0, things={"tanks": [Thing("north", 0, 50.0), Thing("south", 18, 50.0)]})


def leaks(tank: str, members: int = 24) -> Scenario:
    series = {f"release@{tank}": Series.constant(0.5), "wind_speed": Series.constant(3.0), "wind_from": Series.constant(270.0)}
    knobs = {"release_factor": Spread(0.1, 1.0, 3.0, "uniform"), "wind_turn_deg": Spread(-10.0, 0.0, 10.0)}
    return Scenario(HOUR_S, members, 3, knobs, series)


FRAMES = (0.0, 600.0, 1200.0, 1800.0, 2400.0, 3000.0, 3600.0)


def ppm(world: TinyWorld, factor: float, place: int, tank: str = "north") -> list[float]:
    """What a sensor shows in the truth, at each frame."""
    knobs = {name: knob.usual for name, knob in GAS.knobs.items()} | {"release_factor": factor}
    member = GAS.play(world, Future(0, 1, HOUR_S, knobs, leaks(tank).series), (), FRAMES)
    return [float(v) for v in member.shown["chlorine"][:, place]]


def sniffed(gauges: Sequence[Gauge], factor: float, tank: str) -> Told:
    rng = np.random.default_rng(2)
    return {
        ("chlorine", g.site): [
            (t, v * float(rng.lognormal(0.0, 0.2)))
            for t, v in zip(FRAMES[1:], ppm(Works(), factor, g.place, tank)[1:], strict=True)
        ]
        for g in gauges
    }


SNIFFERS = tuple(gauge(f"at {place}", "chlorine", place) for place in (2, 8, 14, 20))


def test_gas_at_sensors_weighs_how_much_is_let_go() -> None:
    foreseen = foresee(Works(), GAS, leaks("north", 48), OneByOne(), frame_s=FRAMES)
    for factor in (0.3, 2.2):  # within a factor of two, as of the sensors' own error, and the wind turns too
        kept, came = heard(CHEMICAL, foreseen, sniffed(SNIFFERS, factor, "north"), world=Works(), gauges=SNIFFERS, until_s=HOUR_S)
        assert {(s.what, s.kind) for s in came.sightings} == {("chlorine", "hazard")}
        looked = weighed(CHEMICAL, kept, came)
        learned = looked.knobs["release_factor"]
        assert abs(learned.mean - factor) < 3.0 * learned.sd
        assert learned.sd < 0.6 * learned.sd_before


def test_gas_at_sensors_tells_from_which_of_two_tanks_it_comes() -> None:
    rates = {"north": (0.5, 0.0), "south": (0.0, 0.5)}
    tanks = tuple(
        Analogue(tank, {"release@north": Series.constant(north), "release@south": Series.constant(south)})
        for tank, (north, south) in rates.items()
    )
    one = leaks("north")
    wind = {name: series for name, series in one.series.items() if not name.startswith("release")}
    both = msgspec.structs.replace(one, series=wind, analogues=tanks)
    foreseen = foresee(Works(), GAS, both, OneByOne(), frame_s=FRAMES)
    kept, came = heard(CHEMICAL, foreseen, sniffed(SNIFFERS, 1.0, "south"), world=Works(), gauges=SNIFFERS, until_s=HOUR_S)
    weight = weighed(CHEMICAL, kept, came).weight
    south = np.array([future.analogue == "south" for future in foreseen.futures])
    assert 0.3 < south.mean() < 0.7
    assert weight[south].sum() > 0.99


def test_a_sensor_of_a_gas_that_no_future_lets_go_weighs_nothing() -> None:
    foreseen = foresee(Works(), GAS, leaks("north", 4), OneByOne(), frame_s=FRAMES)
    gauges = (gauge("nose", "ammonia", 8),)
    _, came = heard(CHEMICAL, foreseen, {("ammonia", "nose"): [(600.0, 3.0)]}, world=Works(), gauges=gauges, until_s=HOUR_S)
    assert came == Heard((), ())


# -- the whole way: ledger, score, rest --------------------------------------------------------------------------------


def followed(told_days: int, *, rested: bool = False) -> tuple[TestHost, list[Followed]]:
    """A platform's assessment of an epidemic, followed day by day by the cases of a severe truth; put to rest half way and taken up again if asked."""
    host, latest = TestHost(), Latest()
    small = msgspec.structs.replace(WAVE, members=32)
    senses, gauges = senses_of(EPIDEMIC, AGENTS), ()
    wait = Plan("wait", "epidemic", "", (Action("watch", "watch", "operator", Duration(60.0, 60.0, 60.0)),))
    foreseen = foresee(Town(), AGENTS, small, OneByOne(), frame_s=(0.0, small.duration_s))
    compared = compare(Town(), AGENTS, EPIDEMIC.harm, foreseen, [wait], OneByOne(), hour=3.0)
    forecast = Forecast(
        time=START, subject="town", hazard="epidemic", model=AGENTS.name, source="", members=32, seed=1,
        duration_s=small.duration_s, scenario={}, impact={},
    )  # fmt: skip
    (forecast_id,) = host.ledger.append(PLATFORM, [forecast])
    first = Comparison(
        time=START, subject="epidemic", cause=(forecast_id,), forecast=forecast_id, futures=32, scores=compared.scores,
        recommended=compared.recommended, reason=compared.reason, doubt=compared.doubt, choice=compared.choice,
    )  # fmt: skip
    (first_id,) = host.ledger.append(PLATFORM, [first])
    at = assessed(forecast_id, first, START, "town", small, AGENTS, compared, gauges, senses, Town().grid)
    following = Following(host.ledger, PLATFORM, latest, gauges, (), decided_on=lambda _: False, world=Town())
    following.begin(at)
    reports, looks = cases(true_wave(2.2, 9_300), told_days, SITES), []
    for day in range(1, told_days + 1):
        now = START + timedelta(days=day)
        host.clock._now = now
        for (_, site), rows in reports.items():
            latest.take(Observations.of(CASES, (site,), [0], [microseconds(now)], [rows[day - 1][1]]))
        if rested and day == told_days // 2:
            kept = at_rest.rest(
                began=START, subject="town", scenario=small, model=AGENTS.name, foreseen=at.foreseen, ground=[], compared=at.compared
            )  # fmt: skip
            loaded = msgspec.msgpack.decode(kept, type=at_rest.Rested, dec_hook=at_rest._array)
            again = resumed(loaded, forecast_id, first_id, first, AGENTS, gauges, senses)
            rows_now = {e.id: e.record for e in host.ledger.read() if isinstance(e.record, Comparison)}
            following = Following(host.ledger, PLATFORM, latest, gauges, (), decided_on=lambda _: False, world=Town())
            following.resume(again, rows_now, ())
        following.heard()
        if (one := following.step(now)) is not None:
            looks.append(one)
    return host, looks


def test_an_epidemics_ranking_follows_its_cases_and_its_forecast_is_scored_by_them() -> None:
    host, looks = followed(28)
    records = [entry.record for entry in host.ledger.read()]
    first, *_, last = (r for r in records if isinstance(r, Comparison))
    assert last.scores[0].harm.mean > first.scores[0].harm.mean  # the truth is worse than the mean of the futures
    assert "new_cases_per_d" not in last.reason
    assert {r.quantity for r in records if isinstance(r, Evidence)} == {"cases_per_d"}
    scores = score_ledger(host.ledger.read())
    (one,) = scores.quantities
    assert (one.what, one.unit, one.readings) == ("new_cases_per_d", "persons/d", 4)
    assert one.crps > 0
    assert "2 sites: expected" in scores.forecasts[0].words
    assert "persons/d" in scores.forecasts[0].words
    assert looks[-1].effective < 20.0


def test_an_epidemic_that_was_at_rest_is_followed_as_if_nothing_had_been() -> None:
    _, without = followed(28)
    _, looks = followed(28, rested=True)
    assert looks[-1].effective == without[-1].effective


# -- the contract ------------------------------------------------------------------------------------------------------


def test_a_pack_that_declares_nothing_is_weighed_by_its_facts_and_forcings() -> None:
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "tocsin-heat" / "src"))
    from tocsin_heat import PACK as HEAT

    assert HEAT.senses == ()
    found = {s.quantity.name: (s.drive, s.error) for s in senses_of(HEAT, HEAT.models[0])}
    assert found["air_temperature"] == ("temperature", ReadingError(1.5))
    assert found["relative_humidity"] == ("humidity", ReadingError(5.0))
    bare = msgspec.structs.replace(find_pack("flood"), senses=())
    (rain,) = (s for s in senses_of(bare, bare.models[0]) if s.quantity.name == "rain_amount")
    assert (rain.drive, rain.per_s, rain.error) == ("rain", HOUR_S, ReadingError(1.0, 0.3))  # by its fact, which sums an hour up
    (level,) = (s for s in senses_of(bare, bare.models[0]) if s.quantity.name == "river_level")
    assert (level.drive, level.error.sd) == ("level@", 0.1)
    (count,) = (s for s in senses_of(msgspec.structs.replace(EPIDEMIC, senses=()), AGENTS) if s.course)
    assert (count.course, count.error.how) == ("new_cases_per_d", "counts")


def test_a_quantity_of_which_nobody_knows_how_far_it_errs_has_to_say_it() -> None:
    assert usual_error(Quantity("sludge", "kg", 0.0, 500.0)) == ReadingError(5.0, 0.2)
    with pytest.raises(PackFault, match=r"sludge \[kg\].*declare a Sense"):
        usual_error(Quantity("sludge", "kg"))


def test_what_a_place_says_of_its_gauges_goes_before_the_pack_and_a_gauge_before_both(fires: Foreseen) -> None:
    def error(trust: Sequence[Trust] = (), *gauges: Gauge, value: float = 4.0) -> float:
        told: Told = {("wind_speed", "mast"): [(1800.0, value)]}
        _, came = heard(WILDFIRE, fires, told, world=Grass(), gauges=gauges, until_s=HOUR_S, trust=trust)
        return came.sightings[0].error_sd

    assert error() == 1.0
    assert error(value=20.0) == 4.0  # a fifth
    assert error([Trust("wind_speed", 0.5)]) == pytest.approx(0.8)  # the share stays
    assert error([Trust("wind_speed", 0.5, 0.05)]) == 0.5
    assert error([Trust("wind_speed", 0.5)], gauge("mast", "wind_speed", sd=2.5)) == 2.5
    assert error((), gauge("mast", "wind_speed", share=0.5)) == 2.0
    with pytest.raises(InputError, match="readings of 'tide' weigh no future; those that do: air_temperature"):
        error([Trust("tide", 1.0)])
    with pytest.raises(InputError, match="neither sd nor share"):
        Trust("tide")


def test_a_sensor_tells_of_the_forcing_of_its_own_place_by_name_by_where_it_stands_or_by_what_is_near() -> None:
    world, rate = Works(), Quantity("valve_rate", "kg/s", 0.0, 100.0)
    sense = Sense(rate, ReadingError(0.1), drive="release@", reach_m=250.0)
    gauges = (gauge("north", rate.name), gauge("in", rate.name, 18), gauge("by", rate.name, 2), gauge("far", rate.name, 11))
    places = Places(GAS, gauges, (), world)
    forcings = ["release@north", "release@south", "wind_speed"]
    told = {g.site: places(g.site, rate, sense, forcings) for g in gauges}
    assert told == {"north": "release@north", "in": "release@south", "by": "release@north", "far": ""}
    assert Places(GAS, gauges, ())("in", rate, sense, forcings) == ""  # without a world names alone say it


def test_counts_weigh_as_a_negative_binomial_and_one_odd_day_does_not_decide() -> None:
    from tocsin.science.assimilate import ODD_SHARE, count_log_likelihood

    counted, seen = np.array([[20.0, 40.0], [60.0, 120.0]]), np.array([22.0, 45.0])
    mean = counted + 0.5
    odd = ODD_SHARE / (1.0 + 2.0 * np.maximum(seen, mean.max(axis=0)))
    # chance alone: a Poisson count whose mean has a gamma distribution with shape n + 1/2, by numerical integration
    rates = np.linspace(1e-3, 400.0, 400_001)
    plain = np.array(
        [
            [
                np.trapezoid(stats.poisson.pmf(y, rates) * stats.gamma.pdf(rates, n + 0.5), rates)
                for n, y in zip(row, seen, strict=True)
            ]
            for row in counted
        ]
    )
    by_hand = np.log((1 - ODD_SHARE) * plain + odd).sum(axis=1)
    np.testing.assert_allclose(count_log_likelihood(counted, seen, np.zeros(2)), by_hand, rtol=1e-6)
    # and with a share: the variance of the negative binomial is that of both chances and of the share
    k = mean / (1.0 + 0.3**2 * mean)
    np.testing.assert_allclose(stats.nbinom.var(k, k / (k + mean)), 2.0 * mean + (0.3 * mean) ** 2)
    wide = np.log((1 - ODD_SHARE) * stats.nbinom.pmf(seen, k, k / (k + mean)) + odd).sum(axis=1)
    np.testing.assert_allclose(count_log_likelihood(counted, seen, np.full(2, 0.3)), wide)
    days = np.array([[20.0] * 11, [60.0] * 11])
    typed_wrongly = np.array([20.0] * 10 + [600.0])
    right, wrong = count_log_likelihood(days, typed_wrongly, np.full(11, 0.3))
    assert right > wrong + 5.0
    with pytest.raises(InputError, match="below 0"):
        count_log_likelihood(counted, -seen, np.zeros(2))


def test_a_course_that_no_run_tells_cannot_be_compared(fires: Foreseen) -> None:
    asked = [Sighting("clinic", "new_cases_per_d", 60.0, 3.0, 1.0, of="course")]
    with pytest.raises(InputError, match="not every run tells 'new_cases_per_d'; they tell: burnt_ha"):
        expected(FIRE, fires, asked)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ReadingError(0.0), "no gauge is exact"),
        (lambda: ReadingError(-1.0), "wanted numbers from 0 on"),
        (lambda: ReadingError(0.1, 0.0, "factor"), "share above 0"),
        (lambda: Sense(FIRE.makes, ReadingError(1.0), drive="a", course="b"), "wanted one of them"),
        (lambda: Sense(FIRE.makes, ReadingError(1.0), per_s=1.0), "amounts are of a forcing"),
        (lambda: Sense(FIRE.makes, ReadingError(1.0), course="a", sums_sites=True, is_stock=True), "a stock is of counts"),
        (lambda: Sense(FIRE.makes, ReadingError(0.0, 0.3, "counts"), course="a", is_stock=True), "a stock is of counts"),
        (lambda: Sense(FIRE.makes, ReadingError(1.0), every_s=0.0), "wanted none below 0"),
        (lambda: Sense(FIRE.makes, ReadingError(1.0, how="turn"), comes_from=1.0), "errs by hours"),
    ],
)
def test_a_sense_or_an_error_that_means_nothing_is_refused(make: object, words: str) -> None:
    with pytest.raises((InputError, PackFault), match=words):
        make()  # type: ignore[operator]
