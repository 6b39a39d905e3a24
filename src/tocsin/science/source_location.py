"""Where gas is let go and how much, from sensors that smell it or do not, with the doubt: Bayes over a grid of places, rates and errors of the wind.

For each place what 1 kg/s there would show at each sensor (a Gaussian plume in the winds of the time) is known once; a reading is that times the rate, off by
a factor (lognormal: the model's scatter) and by the sensor's noise. A sensor that shows nothing speaks too: its reading lay below what it can see. The wind's
direction may be off by the same angle all the time, and the rate is not known: both are summed over. What is left is the chance of each place.

Limits: one steady source, wind and release steady over the readings' time; flat open ground. A silent sensor that gas cannot have come to yet tells nothing, where it is
said how far gas has gone (`Sensors.gone_m`). Where the scatter is larger than `scatter` the region is too small. Sources: Keats, Yee & Lien 2007, Atmos. Environ. 41:465-479 (Bayes with adjoint responses); Chang & Hanna 2004,
Meteorol. Atmos. Phys. 87:167-196 (a good model scatters by about a factor of two).
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.science.dispersion import Ground, spread
from tocsin.science.sampling import choice
from tocsin.vocabulary.errors import InputError

Floats = NDArray[np.float64]

SCATTER = float(np.log(2.0))  # standard deviation of ln(observed / predicted): a factor of two
TURN_DEG = 10.0  # standard deviation of the wind's direction, one error for all the time: an assumption
TURNS = 13  # angles that the error of the direction is summed over, out to TURN_REACH deviations
TURN_REACH = 2.5
RATES = 61
FORGET = 14.0  # rates less likely than e^-14 of the likeliest are left out
RATE_SPAN = 1e8  # from the lowest to the highest rate that is tried, around the one that explains the largest reading
FALSE = 1e-3 / float(
    np.log(1e4)
)  # of a sensor that smells what is not there, anything between what it sees and 10,000 times that: a choice of ours (unverified)
LEAST = 1e-15  # kg/m3 per kg/s: what a place that a sensor is out of reach of shows there; only its logarithm has to be a number


class Sensors(msgspec.Struct, frozen=True):
    """Mean readings, kg/m3, at points; `sees_from` is what each can tell from nothing (a reading below it counts as "below it").

    `first` is the sensor that smelt it first, and `gone_m` how far gas has gone downwind since: a silent sensor farther off than that tells nothing.
    """

    x_m: Floats
    y_m: Floats
    reading: Floats
    sees_from: Floats
    first: int = 0
    gone_m: float = np.inf

    def __post_init__(self) -> None:
        n = self.x_m.size
        if n == 0 or not all(a.shape == (n,) for a in (self.y_m, self.reading, self.sees_from)):
            raise InputError("sensors: columns of different lengths, or none; wanted one row for each sensor")
        if not (np.isfinite(self.reading).all() and (self.sees_from > 0).all()):
            raise InputError("sensors: a reading that is not finite, or sees_from of 0 or less; leave such a sensor out")
        if not (0 <= self.first < n and self.gone_m >= 0.0):
            raise InputError(f"sensors: first {self.first} of {n}, gone {self.gone_m} m; wanted one of them, and 0 m or more")


class Drawn(msgspec.Struct, frozen=True):
    """Sources that are all equally likely, (draw,): where, m, how much, kg/s, and by how much the wind's direction is off, degrees clockwise.

    The three belong together: who stands farther off lets go more, and who stands aside has the wind off.
    """

    x_m: Floats
    y_m: Floats
    rate_kg_per_s: Floats
    turn_deg: Floats


class Found(msgspec.Struct, frozen=True):
    """Chance of each place, (place,), sum 1; the mean place, m; the rate, kg/s: median and 90 % span. `seen` is how many sensors saw gas."""

    chance: Floats
    x_m: float
    y_m: float
    rate_kg_per_s: float
    rate_low: float
    rate_high: float
    turn_deg: float
    seen: int
    drawn: Drawn | None = None

    def region(self, share: float) -> NDArray[np.bool_]:
        """The smallest set of places that holds the source with at least this chance."""
        order = np.argsort(-self.chance, kind="stable")
        needed = int(np.searchsorted(np.cumsum(self.chance[order]), share * (1.0 - 1e-12))) + 1
        inside = np.zeros(self.chance.size, bool)
        inside[order[:needed]] = True
        return inside


def find_source(
    sensors: Sensors,
    x_m: Floats,
    y_m: Floats,
    *,
    wind_east: Floats,
    wind_north: Floats,
    stability: int,
    ground: Ground = "rural",
    prior: Floats | None = None,
    cell_m: float = 0.0,
    height_m: float = 0.0,
    scatter: float = SCATTER,
    turn_deg: float = TURN_DEG,
    draws: Floats | None = None,
) -> Found:
    """The chance of each candidate place, from mean readings and the winds of the time (each as long as the others).

    Where no sensor saw anything, what remains is the prior less the places that would have been seen. The rate is taken as equally likely in its logarithm.
    `cell_m`: a candidate stands for a square of this side, not for a point. `draws`, (draw, 5) numbers from 0 to 1, asks for as many sources drawn from what is
    found: the first number tells place and turn, the second the rate, the third and fourth where within the square, the last where between two turns.
    """
    if not (scatter > 0 and turn_deg >= 0 and x_m.shape == y_m.shape and x_m.size > 0):
        raise InputError(
            f"find_source: scatter {scatter}, turn {turn_deg}, {x_m.size} places; wanted scatter above 0 and some places"
        )
    if wind_east.shape != wind_north.shape or not (np.hypot(wind_east, wind_north) > 0).any():
        raise InputError("find_source: no wind; a calm tells nothing of where gas came from")
    before = np.ones(x_m.size) / x_m.size if prior is None else prior / prior.sum()
    turns = np.linspace(-TURN_REACH, TURN_REACH, TURNS) if turn_deg > 0 else np.zeros(1)
    weight = np.exp(-0.5 * turns**2)
    weight /= weight.sum()
    all_unit = [
        responses(
            sensors,
            x_m,
            y_m,
            *_turned(wind_east, wind_north, turn * turn_deg),
            stability,
            ground,
            cell_m=cell_m,
            height_m=height_m,
        )
        for turn in turns
    ]
    seen = sensors.reading >= sensors.sees_from
    if np.isfinite(sensors.gone_m):
        for turn, unit in zip(turns, all_unit, strict=True):
            east, north = _turned(wind_east, wind_north, turn * turn_deg)
            unit[~_reached(sensors, x_m, y_m, float(east.mean()), float(north.mean())) & ~seen] = 0.0
    ln_rate = _rates(sensors, all_unit, seen)
    with np.errstate(divide="ignore"):
        ln_prior = np.log(before)[None, :] + np.log(weight)[:, None]
    chance, by_rate = _summed(sensors, all_unit, seen, ln_rate, ln_prior, scatter)
    kept = np.flatnonzero(by_rate > by_rate.max() - FORGET)  # the same once more, only over rates that count
    if kept.size < ln_rate.size // 2:
        ln_rate = np.linspace(ln_rate[max(kept[0] - 1, 0)], ln_rate[min(kept[-1] + 1, ln_rate.size - 1)], RATES)
        chance, by_rate = _summed(sensors, all_unit, seen, ln_rate, ln_prior, scatter)
    top = float(chance.max())
    place = np.exp(chance - top).sum(axis=0)
    turned = np.exp(chance - top).sum(axis=1)
    rate = np.exp(by_rate - by_rate.max())
    place, rate = place / place.sum(), rate / rate.sum()
    low, middle, high = np.exp(np.interp([0.05, 0.5, 0.95], np.cumsum(rate) - 0.5 * rate, ln_rate))
    return Found(
        place,
        float(place @ x_m),
        float(place @ y_m),
        float(middle),
        float(low),
        float(high),
        float((turned / turned.sum()) @ (turns * turn_deg)),
        int(seen.sum()),
        None
        if draws is None
        else _drawn(draws, sensors, all_unit, seen, ln_rate, chance - top, scatter, x_m, y_m, cell_m, turns * turn_deg),
    )


def responses(
    sensors: Sensors,
    x_m: Floats,
    y_m: Floats,
    east: Floats,
    north: Floats,
    stability: int,
    ground: Ground,
    *,
    cell_m: float = 0.0,
    height_m: float = 0.0,
) -> Floats:
    """What 1 kg/s at each place shows at each sensor, kg/m3, (place, sensor), as a mean over the winds."""
    from tocsin.science.plume_steps import unit_responses

    way = np.geomspace(0.1, 2e5, 300)
    sigma_y, sigma_z = spread(way, stability, ground)
    out = np.zeros((x_m.size, sensors.x_m.size))
    share = np.full(east.size, 1.0 / east.size)
    unit_responses(
        np.asarray(x_m, np.float64), np.asarray(y_m, np.float64), sensors.x_m, sensors.y_m, np.asarray(east, np.float64), np.asarray(north, np.float64), share,
        np.log(way[0]), np.log(way[1] / way[0]), np.log(sigma_y), np.log(sigma_z), cell_m / np.sqrt(12.0), height_m, out,
    )  # fmt: skip
    return out


def _ln_likelihood(sensors: Sensors, seen: NDArray[np.bool_], ln_unit: Floats, ln_rate: Floats, scatter: float) -> Floats:
    """(place, rate): seen readings are lognormal about the prediction, unseen ones lie somewhere below what the sensor sees.

    The sensor's noise is a third of `sees_from` (a reading of three deviations is told from nothing) and adds to the scatter of faint readings. A seen
    reading may also be noise alone, or false (FALSE): else one sensor of many that errs by its nature would turn the plume towards itself.
    """
    from tocsin.science.plume_steps import ln_likelihood

    total = np.zeros((ln_unit.shape[0], ln_rate.size))
    ln_likelihood(sensors.reading, sensors.sees_from, seen, ln_unit, ln_rate, scatter, FALSE, total)
    return total


def _summed(
    sensors: Sensors, all_unit: list[Floats], seen: NDArray[np.bool_], ln_rate: Floats, ln_prior: Floats, scatter: float
) -> tuple[Floats, Floats]:
    """Logarithms of chances: (turn, place), summed over rates, and (rate,), summed over turns and places."""
    chance = np.full(ln_prior.shape, -np.inf)
    by_rate = np.full(ln_rate.size, -np.inf)
    for t, unit in enumerate(all_unit):
        likely = _ln_likelihood(sensors, seen, np.log(unit + LEAST), ln_rate, scatter) + ln_prior[t][:, None]
        top = likely.max()
        if np.isfinite(top):
            shown = np.exp(likely - top)
            with np.errstate(divide="ignore"):
                chance[t] = np.log(shown.sum(axis=1)) + top
                by_rate = np.logaddexp(by_rate, np.log(shown.sum(axis=0)) + top)
    return chance, by_rate


def _reached(sensors: Sensors, x_m: Floats, y_m: Floats, east: float, north: float) -> NDArray[np.bool_]:
    """(place, sensor): True where gas from there may have come to the sensor by now, as it came to the first one and went on."""
    speed = max(float(np.hypot(east, north)), 1e-9)
    place, sensor = (x_m * east + y_m * north) / speed, (sensors.x_m * east + sensors.y_m * north) / speed
    along = sensor[None, :] - place[:, None]
    return np.asarray(along <= along[:, sensors.first : sensors.first + 1] + sensors.gone_m)


def _drawn(
    u: Floats,
    sensors: Sensors,
    all_unit: list[Floats],
    seen: NDArray[np.bool_],
    ln_rate: Floats,
    ln_chance: Floats,
    scatter: float,
    x_m: Floats,
    y_m: Floats,
    cell_m: float,
    turn_deg: Floats,
) -> Drawn:
    """Sources from the joint chance of turn, place and rate: turn and place by their chance, then the rate by its chance there."""
    if u.ndim != 2 or u.shape[1] != 5:
        raise InputError(f"find_source: draws {u.shape}; wanted (draw, 5)")
    turn, place = np.divmod(choice(u[:, 0], np.exp(ln_chance).reshape(-1)), x_m.size)
    unit = np.stack([all_unit[t][p] for t, p in zip(turn, place, strict=True)])
    likely = _ln_likelihood(sensors, seen, np.log(unit + LEAST), ln_rate, scatter)
    share = np.exp(likely - likely.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    middle = np.cumsum(share, axis=1) - 0.5 * share
    rate = np.exp([np.interp(at, one, ln_rate) for at, one in zip(u[:, 1], middle, strict=True)])
    between = (u[:, 4] - 0.5) * (turn_deg[1] - turn_deg[0] if turn_deg.size > 1 else 0.0)
    # who turns the wind about the sensors that smelt it, and the source with it, changes nothing of what they show
    about_x, about_y = (float(at[seen].mean()) if seen.any() else float(at.mean()) for at in (sensors.x_m, sensors.y_m))
    off_x, off_y = x_m[place] + cell_m * (u[:, 2] - 0.5) - about_x, y_m[place] + cell_m * (u[:, 3] - 0.5) - about_y
    angle = np.deg2rad(between)
    return Drawn(
        about_x + off_x * np.cos(angle) + off_y * np.sin(angle),
        about_y + off_y * np.cos(angle) - off_x * np.sin(angle),
        np.asarray(rate),
        turn_deg[turn] + between,
    )


def _rates(sensors: Sensors, all_unit: list[Floats], seen: NDArray[np.bool_]) -> Floats:
    """Logarithms of the rates to try, from a hundredth to a million times what explains the strongest reading (or the faintest) at its best place."""
    best = np.max([unit.max(axis=0) for unit in all_unit], axis=0)
    shown = np.where(seen, sensors.reading, sensors.sees_from)
    reached = best > 0
    if not reached.any():
        raise InputError(
            "find_source: no candidate place lies upwind of any sensor; widen the area, or check the wind's direction"
        )
    likely = (
        (shown[reached] / best[reached]).max()
        if not seen.any()
        else (shown[reached & seen] / best[reached & seen]).max(initial=1e-6)
    )
    return np.linspace(np.log(likely) - 0.25 * np.log(RATE_SPAN), np.log(likely) + 0.75 * np.log(RATE_SPAN), RATES)


def _turned(east: Floats, north: Floats, degrees: float) -> tuple[Floats, Floats]:
    """The same winds, turned clockwise."""
    turn = np.deg2rad(degrees)
    cos, sin = float(np.cos(turn)), float(np.sin(turn))
    return east * cos + north * sin, north * cos - east * sin
