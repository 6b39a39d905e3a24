"""Heat: how hot it feels, when to warn, whom it makes ill, and what to do; a whole pack in one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tocsin.pack import Action, Drive, Duration, Effect, FactKind, Future, Harm, Knob, Limits, Model, Pack, Plan, Rule, Verdict
from tocsin.vocabulary import Curve, InputError, Level, Member, Quantity, Window, World

# Ranges are what is believable: Death Valley had 56.7 degC in 1913 (WMO archive of extremes); they leave room above records.
TEMPERATURE = Quantity("air_temperature", "degC", -90.0, 60.0)
HUMIDITY = Quantity("relative_humidity", "%", 0.0, 100.0)
HEAT_INDEX = Quantity("heat_index", "degC", -90.0, 60.0)
CHART = "National Weather Service (USA), heat index chart, srh.noaa.gov/tsa/?n=heatindex"
DANGER_C, EXTREME_C, CHART_MOST_C = (105 - 32) / 1.8, (130 - 32) / 1.8, (137 - 32) / 1.8

Floats = NDArray[np.float64]


def heat_index_c(temperature_c: Floats, humidity: Floats) -> Floats:
    """How hot it feels in the shade in light wind, degC, from air temperature, degC, and relative humidity, %; at most 58.3 degC.

    Beyond 58.3 degC (137 degF) the chart has no numbers and the regression is not valid.
    Source: Rothfusz 1990, NWS SR 90-23, with the adjustments at wpc.ncep.noaa.gov/html/heatindex_equation.shtml.
    """
    t, r = temperature_c * 1.8 + 32.0, humidity
    mild = (t + 0.5 * (t + 61.0 + (t - 68.0) * 1.2 + r * 0.094)) / 2.0
    full = -42.379 + 2.04901523 * t + 10.14333127 * r - 0.22475541 * t * r - 0.00683783 * t * t - 0.05481717 * r * r
    full = full + 0.00122874 * t * t * r + 0.00085282 * t * r * r - 0.00000199 * t * t * r * r
    dry = (13.0 - r) / 4.0 * np.sqrt(np.maximum(17.0 - np.abs(t - 95.0), 0.0) / 17.0)
    full = np.where((r < 13.0) & (t >= 80.0) & (t <= 112.0), full - dry, full)
    full = np.where((r > 85.0) & (t >= 80.0) & (t <= 87.0), full + (r - 85.0) / 10.0 * (87.0 - t) / 5.0, full)
    return np.asarray(np.minimum((np.where(mild >= 80.0, full, mild) - 32.0) / 1.8, CHART_MOST_C))


LIMITS = Limits({Level.ORANGE: DANGER_C, Level.RED: EXTREME_C}, "degC", f"{CHART}: danger from 105 F, extreme danger from 130 F")


def judge(windows: Mapping[str, Window], _before: NDArray[np.int8]) -> Verdict:
    """The level by the newest hour of both quantities at each site; blind where one of the two is silent."""
    warm, damp = windows[TEMPERATURE.name], windows[HUMIDITY.name]
    felt = np.full(len(warm.sites), np.nan)
    for row, site in enumerate(warm.sites):
        heard = [w.value[k][w.good[k]] for w in (warm, damp) if site in w.sites for k in (w.sites.index(site),)]
        if len(heard) == 2 and all(readings.size for readings in heard):
            felt[row] = heat_index_c(heard[0][-1:], heard[1][-1:])[0]
    level = np.where(np.isnan(felt), Level.BLIND, Level.NONE).astype(np.int8)
    for step, limit_c in LIMITS.at.items():
        level[felt >= limit_c] = step
    return Verdict(level, felt, tuple("no reading of both" if np.isnan(f) else f"it feels like {f:.1f} degC" for f in felt))


NOTHING = Window(HUMIDITY, (), *(np.zeros((0, 0)),) * 2, np.zeros((0, 0), bool))  # what is known of humidity by temperature alone
# An office of the service warns by criteria of its own, often lower; so these are for planners, and not for the public.
FEELS_HOT = Rule(
    "feels_dangerously_hot",
    TEMPERATURE,
    3_600.0,
    lambda window, before: judge({TEMPERATURE.name: window, HUMIDITY.name: NOTHING}, before),
    "heat that makes people ill who stay in it",
    f"{LIMITS.source} (unverified as a criterion for warnings)",
    verified=LIMITS.verified,
    also=(HUMIDITY,),
    judge_all=judge,
)


def built_share(world: World) -> Floats:
    """How much of each cell is built over, 0..1, (place,): its floor area on its ground, one storey taken for all."""
    houses = world.assets("buildings")
    on = houses.place >= 0
    floor_m2 = np.bincount(houses.place[on], houses.amount[on], world.grid.cells)
    return np.asarray(np.minimum(floor_m2 / world.grid.cell_m**2, 1.0))


def heat_lies_over_the_town(world: World, future: Future, _effects: Sequence[Effect], frame_s: Sequence[float]) -> Member:
    """The station's air, warmer where the ground is built over, with the vapour that it has; how it feels, cell by cell."""
    if missing := {"temperature", "humidity"} - set(future.series):
        raise InputError(f"heat: no {' and no '.join(sorted(missing))}; give --drive temperature=... and --drive humidity=...")
    # Few shares differ by more than a hundredth: what is computed is one town cell for each, and every cell takes its own.
    shares, cell = np.unique(np.round(built_share(world), 2), return_inverse=True)

    def felt_at(times_s: Sequence[float]) -> Floats:  # (moment, share)
        air_c, humidity = (np.array([[forcing(future, name, t)] for t in times_s]) for name in ("temperature", "humidity"))
        town_c = air_c + shares * future.knobs["built_over_degC"]
        return heat_index_c(town_c, humidity * _vapour_most_hpa(air_c) / _vapour_most_hpa(town_c))

    time_s = np.append(np.arange(0.0, future.duration_s, 600.0), future.duration_s)
    felt = felt_at(time_s.tolist())
    dangerous = felt >= DANGER_C
    came = dangerous.any(axis=0)
    arrival_s = np.where(came, time_s[np.argmax(dangerous, axis=0)], np.inf)
    end_s = np.where(came, time_s[-1 - np.argmax(dangerous[::-1], axis=0)], np.inf)
    peak, arrival, end = (column[cell].astype(np.float32) for column in (felt.max(axis=0), arrival_s, end_s))
    return Member(peak, arrival, end, frames=felt_at(frame_s)[:, cell].astype(np.float32) if len(frame_s) else None)


def _vapour_most_hpa(air_c: Floats) -> Floats:
    """What water vapour air can hold, hPa. Source: Bolton 1980, Mon. Wea. Rev. 108:1047, eq. 10; to 0.3 % from -35 to 35 degC."""
    return np.asarray(6.112 * np.exp(17.67 * air_c / (air_c + 243.5)))


def forcing(future: Future, name: str, time_s: float) -> float:
    """What the station shows: the temperature with this future's error of the forecast, and the humidity."""
    error_c = future.knobs["forecast_error_degC"] if name == "temperature" else 0.0
    return future.series[name].at(time_s) + error_c


MODEL = Model(
    name="heat_lies_over_the_town",
    reads=(),
    makes=HEAT_INDEX,
    run=heat_lies_over_the_town,
    knobs={
        "forecast_error_degC": Knob("degC", -5.0, 0.0, 5.0, "added to the temperature that is given"),
        "built_over_degC": Knob(
            "degC", 0.0, 2.0, 8.0, "how much warmer it is where all is built over: a planning assumption (unverified)"
        ),
    },
    series={
        "temperature": Drive(TEMPERATURE, "air temperature at a station in the open"),
        "humidity": Drive(HUMIDITY, "relative humidity there"),
    },
    acts_on={},
    source="heat index: Rothfusz 1990, NWS SR 90-23; vapour: Bolton 1980, eq. 10; that built ground is warmer in proportion is ours",
    limits="in the shade, in light wind; no night, no trees, no wind between houses; not beyond the chart (58.3 degC)",
    forcing=forcing,
)

HARM = Harm(
    danger=HEAT_INDEX,
    danger_from=None,
    danger_source="planning assumption (unverified): one in a thousand falls ill at the chart's 'danger', one in a hundred at 'extreme danger'",
    harmed=Curve(
        HEAT_INDEX,
        ((32.2, 0.0), (DANGER_C, 0.001), (EXTREME_C, 0.01)),
        source=f"classes: {CHART}; shares: planning assumption",
        valid="a mixed population that is not used to it; the old, the ill and those who work outside are harmed far more",
        unverified=True,
    ),
    words={"people_in_danger": "people ill from heat"},
)


def plans(world: World) -> tuple[Plan, ...]:
    """Wait, warn, or open cooled halls and bring those who cannot come by themselves, from where most people are."""
    basis = ("durations, shares and costs: planning assumptions (unverified)",)
    watch = Action("watch", "Look at the forecast again in an hour", "operator", Duration(60.0, 60.0, 60.0))
    warn = Action("warn", "Tell all to drink, to rest, to look after neighbours", "commander", Duration(10.0, 20.0, 40.0))
    halls, people = world.assets("shelters"), world.people(15.0)
    open_halls = tuple(
        Action(
            f"cool {name}",
            f"Open {name}, cooled, with water",
            "welfare",
            Duration(30.0, 60.0, 120.0),
            (Effect("open_shelter", name, room),),
        )
        for name, room in zip(halls.id, halls.amount.tolist(), strict=True)
    )
    bring = tuple(
        Action(
            f"bring {zone}",
            f"Bring those of {zone} who live alone",
            "welfare",
            Duration(60.0, 120.0, 240.0),
            (Effect("move_population", zone, 0.05),),
            cost=1_000.0,
        )
        for zone in sorted(world.zones.name, key=lambda zone: -people[world.zones.places(zone)].sum())[:20]
    )
    found = [
        Plan("wait and watch", "heat", "Do nothing but watch", (watch,), basis=basis),
        Plan("warn", "heat", "Warn the public and leave it to them", (warn,), basis=basis),
    ]
    if len(halls):
        found.append(Plan("open cooled halls", "heat", "Warn, and open cooled halls", (warn, *open_halls), basis=basis))
    if bring:
        found.append(Plan("bring people", "heat", "Warn, and bring people to the cool", (warn, *open_halls, *bring), basis=basis))
    return tuple(found)


PACK = Pack(
    hazard="heat",
    observes=(TEMPERATURE, HUMIDITY),
    rules=(FEELS_HOT,),
    models=(MODEL,),
    harm=HARM,
    plans=plans,
    facts=(
        FactKind("temperature_degC", "degC", "", -90.0, 60.0, "air temperature", drive="temperature", observed=TEMPERATURE.name),
    ),
    knowledge=("Ask who lives alone before the summer: a list that is begun in a heat wave comes too late.",),
)
