"""After an assessment: readings re-weigh its futures, the ranking follows, and what was expected is kept beside what came.

Nothing is run here. When the futures do not serve any more, it says so, with the scenario from which they are to be drawn anew.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
import numpy as np

from tocsin.decision.compare import Compared, relimited, reweighed
from tocsin.decision.futures import Foreseen
from tocsin.decision.limits import Limit
from tocsin.decision.observe import OUTSIDE_SD, Looked, Sighting, look, refit
from tocsin.decision.outcomes import HARM
from tocsin.decision.rank import ALIKE
from tocsin.edge.latest import Latest
from tocsin.flows.at_rest import Rested
from tocsin.flows.observe import ARRIVAL, Heard, Places, ground_gauges, heard_since, kept_of, verification_of
from tocsin.flows.words import verified_words
from tocsin.host import Ledger
from tocsin.pack import Model, Scenario, Sense
from tocsin.platform.twin import Gauge
from tocsin.science.assimilate import effective
from tocsin.security.actor import Actor
from tocsin.vocabulary import (
    Comparison,
    Grid,
    HardLimits,
    InputError,
    Note,
    Record,
    Series,
    Verification,
    World,
    record_id,
)

LOOK_EVERY_S = 20.0
VERIFY_EVERY_S = 1_800.0
AGAIN_AFTER_S = 1_800.0  # an assessment lives at least so long before readings ask for another


class Assessed(msgspec.Struct, frozen=True):
    """A finished assessment, as much of it as is followed. `compared` has its table; `began` is the start of the futures."""

    forecast_id: str
    comparison_id: str
    comparison: Comparison
    began: datetime
    subject: str
    scenario: Scenario
    model: Model
    senses: tuple[Sense, ...]
    foreseen: Foreseen
    ground: tuple[Gauge, ...]
    compared: Compared


class Followed(msgspec.Struct, frozen=True):
    """One look: how many futures are left, what the ranking is now, and which records were written (empty: none).

    `is_lost`: these futures do not serve any more, and it is time to draw them anew, from `anew`; None where a person's scenario or that of
    the moment has to do, as too little of this one is left. `ground` is what gauges on the ground have said by then, each at its cell of the
    twin, and `kept` the futures that are lost, so that others can go on from where they are.
    """

    forecast_id: str
    effective: float
    futures: int
    recommended: str
    comparison_id: str
    verification_id: str
    words: str
    is_lost: bool = False
    anew: Scenario | None = None
    ground: tuple[Sighting, ...] = ()
    kept: Foreseen | None = None


def assessed(
    forecast_id: str,
    comparison: Comparison,
    began: datetime,
    subject: str,
    scenario: Scenario,
    model: Model,
    compared: Compared,
    gauges: Sequence[Gauge],
    senses: Sequence[Sense],
    grid: Grid | None = None,
) -> Assessed:
    """What is kept of an assessment to follow it; the fields themselves are let go, but for those at gauges on the ground.

    `senses` are what readings are held against; a `grid` is needed where gauges tell of what is near them.
    """
    if compared.foreseen is None:
        raise InputError("follow: this comparison has no futures with it; wanted the last one of an assessment")
    ground = ground_gauges(senses, gauges)
    kept = kept_of(compared.foreseen, model, ground, senses, grid)
    slim = msgspec.structs.replace(compared, foreseen=None)
    return Assessed(
        forecast_id, record_id(comparison), comparison, began, subject, scenario, model, tuple(senses), kept, ground, slim
    )


def resumed(
    rested: Rested,
    forecast_id: str,
    comparison_id: str,
    first: Comparison,
    model: Model,
    gauges: Sequence[Gauge],
    senses: Sequence[Sense],
) -> Assessed:
    """An assessment that was at rest, to be followed again; raises InputError where a gauge that it is held against is there no more."""
    known = {(gauge.site, gauge.quantity): gauge for gauge in gauges}
    if gone := [site for site, quantity in rested.ground if (site, quantity) not in known]:
        raise InputError(f"follow: the gauges {', '.join(gone)} are not in the twin any more; assess again")
    ground = tuple(known[one] for one in rested.ground)
    return Assessed(
        forecast_id,
        comparison_id,
        first,
        rested.began,
        rested.subject,
        rested.scenario,
        model,
        tuple(senses),
        rested.foreseen,
        ground,
        rested.compared,
    )


class Following:
    """The newest assessment and what readings have made of it. Safe to use from several threads.

    `decided_on` says whether somebody decided on a comparison: from then on nothing is compared or drawn anew, it is only told, once.
    `world` is the twin, by whose places a sensor tells of a forcing; without it names say it. `on_compared` hears a comparison before it is in the ledger.
    """

    def __init__(
        self,
        ledger: Ledger,
        actor: Actor,
        latest: Latest,
        gauges: Sequence[Gauge],
        waters: Sequence[str],
        *,
        decided_on: Callable[[str], bool],
        world: World | None = None,
        on_compared: Callable[[str, Compared], None] | None = None,
    ) -> None:
        self._ledger, self._actor, self._latest = ledger, actor, latest
        self._gauges, self._waters, self._world = tuple(gauges), tuple(waters), world
        self._decided_on, self._on_compared = decided_on, on_compared
        self._lock = threading.RLock()
        self._now: Assessed | None = None
        self._ids: list[str] = []
        self._told: Compared
        self._looked_at: datetime | None = None
        self._verified: tuple[str, ...] = ()  # the last verification, if there is one
        self._verified_at: datetime | None = None
        self._asked_at: datetime | None = None  # when these futures began, or were last said to be lost
        self._was_lost = self._is_new = False
        self._noted: set[str] = set()
        self._left = ""  # how many futures the readings leave, as the last comparison told it

    def begin(self, new: Assessed) -> None:
        """Follow this assessment from now on; the one before is over."""
        with self._lock:
            self._now, self._told, self._ids = new, new.compared, [new.comparison_id]
            self._looked_at = self._verified_at = None
            self._verified, self._asked_at = (), new.began
            self._was_lost, self._is_new, self._noted, self._left = False, True, set(), ""

    def resume(self, at: Assessed, comparisons: Mapping[str, Comparison], verified: tuple[str, ...]) -> None:
        """Follow an assessment from before a restart: `comparisons` are those of its forecast, oldest first, `verified` its last verification.

        What readings have moved it by since then is measured against the last comparison, as before the restart.
        """
        last = list(comparisons.values())[-1]
        told = msgspec.structs.replace(
            at.compared,
            scores=last.scores,
            recommended=last.recommended,
            reason=last.reason,
            doubt=last.doubt,
            choice=last.choice,
        )
        with self._lock:
            self.begin(at)
            self._told, self._ids, self._verified = told, list(comparisons), verified

    def check_limits(self, limits: Sequence[Limit]) -> None:
        """Raise InputError where the table of what is followed lacks what a limit is on."""
        with self._lock:
            if self._now is not None:
                relimited(self._now.compared, limits)
                relimited(self._told, limits)

    def limit(self, limits_id: str, record: HardLimits, limits: Sequence[Limit]) -> str:
        """Rank the present plans anew under the hard limits of a record that is in the ledger, without a run; returns the comparison's id.

        It is empty where nothing is followed, or somebody has decided on it: then they hold for what is compared from now on.
        """
        with self._lock:
            at = self._now
            if at is None:
                return ""
            base, told = relimited(at.compared, limits), relimited(self._told, limits)
            self._now = msgspec.structs.replace(at, compared=base)
            if any(map(self._decided_on, self._ids)):
                return ""
            comparison = msgspec.structs.replace(
                at.comparison,
                time=record.time,
                cause=(at.forecast_id, self._ids[-1], *self._verified, limits_id),
                scores=told.scores,
                recommended=told.recommended,
                reason=told.reason,
                doubt=" ".join(part for part in (told.doubt, self._left) if part),
                choice=told.choice,
                grounds=msgspec.UNSET,
            )
            self._write([comparison], comparison, told)
            return record_id(comparison)

    def heard(self) -> None:
        """Readings have come."""
        self._is_new = True

    def step(self, now: datetime) -> Followed | None:
        """Look at what came, if anything did and the last look was LOOK_EVERY_S ago; None where there is nothing to say."""
        with self._lock:
            at = self._now
            if at is None or not self._is_new or _younger(self._looked_at, now, LOOK_EVERY_S):
                return None
            self._looked_at, self._is_new = now, False
            heard = heard_since(
                self._latest,
                at.senses,
                at.model,
                at.foreseen,
                self._gauges,
                at.ground,
                began=at.began,
                now=now,
                standing=Places(at.model, self._gauges, self._waters, self._world),
                told_until=self._verified_at,
            )
            if not heard.sightings:
                return None
            return self._weigh(at, heard, now)

    def _weigh(self, at: Assessed, heard: Heard, now: datetime) -> Followed:
        looked = look(at.model, at.foreseen, heard.sightings)
        weight = {f.number: float(w) for f, w in zip(at.foreseen.futures, looked.weight, strict=True)}
        after = reweighed(at.compared, weight)
        evidence = [record_id(e) for e in heard.evidence]
        cause = (at.forecast_id, *self._verified, *evidence)
        said = verification_of(looked, at.forecast_id, at.subject, _units(at.model, at.senses), now, cause)
        is_decided = any(map(self._decided_on, self._ids))
        # futures of which none is right rank nothing: what they would say is not recommended, they are drawn anew
        is_outside = max(abs(seen.outside_sd) for seen in looked.seen) > OUTSIDE_SD
        comparison: Comparison | None = None
        if not is_decided and not is_outside and moved(self._told, after):
            self._left = _left(said)
            comparison = _comparison(at, after, self._left, (self._ids[-1], record_id(said), *evidence), now)
        note = self._note(at, after, said, now) if is_decided else None
        follow = [record for record in (comparison, note) if record is not None]
        is_news = bool(looked.again) != self._was_lost
        if follow or is_news or not _younger(self._verified_at, now, VERIFY_EVERY_S):
            self._write([*heard.evidence, said, *follow], comparison, after)
            self._verified, self._verified_at, self._was_lost = (record_id(said),), now, bool(looked.again)
        is_lost = bool(looked.again) and not is_decided and not _younger(self._asked_at, now, AGAIN_AFTER_S)
        if is_lost:
            self._asked_at = now
        return Followed(
            at.forecast_id,
            looked.effective,
            looked.weight.size,
            after.recommended,
            "" if comparison is None else record_id(comparison),
            self._verified[-1],
            verified_words(said),
            is_lost,
            anew(at, looked, now) if is_lost else None,
            tuple(
                msgspec.structs.replace(s, place=at.ground[s.place].place)
                for s in heard.sightings
                if s.kind == "hazard" and not s.what
            )
            if is_lost
            else (),
            at.foreseen if is_lost else None,
        )

    def _write(self, records: Sequence[Record], comparison: Comparison | None, after: Compared) -> None:
        if comparison is not None and self._on_compared is not None:
            self._on_compared(record_id(comparison), after)
        self._ledger.append(self._actor, records)
        if comparison is not None:
            self._told = after
            self._ids.append(record_id(comparison))

    def _note(self, at: Assessed, after: Compared, said: Verification, now: datetime) -> Note | None:
        """After a decision: that the futures are none any more, or that another plan would come out first, once each."""
        text = ""
        if said.again:
            text = (
                f"after the decision: {said.again}; nothing is assessed anew by itself, assess again if the plan is in question"
            )
        elif after.recommended != self._told.recommended:
            text = f"after the decision: {verified_words(said)}; {after.recommended!r} would now come out first. {after.reason}"
        key = "again" if said.again else after.recommended
        if not text or key in self._noted:
            return None
        self._noted.add(key)
        return Note(time=now, subject=at.subject, cause=(at.forecast_id, self._ids[-1]), text=text)


def moved(told: Compared, after: Compared) -> bool:
    """True where another plan is recommended, or the harm of the recommended one is off by more than the doubt of its mean as it was told.

    That doubt is the standard error of the weighted futures, and at least ALIKE persons: who writes a comparison for less tells nobody anything.
    """
    if after.recommended != told.recommended:
        return True
    if told.grounds is None:
        raise InputError("follow: this comparison has kept no table; compare again")
    table = told.grounds.table
    row = next(k for k, plan in enumerate(table.plans) if plan.name == told.recommended)
    mine = table.tried[row] & (table.weight > 0)
    harm, share = table.figures[HARM][row][mine], table.weight[mine] / table.weight[mine].sum()
    error = float(np.sqrt(share @ (harm - share @ harm) ** 2 / effective(share)))
    before, now = (next(s.harm.mean for s in c.scores if s.plan == told.recommended) for c in (told, after))
    return abs(now - before) > max(error, ALIKE)


def anew(at: Assessed, looked: Looked, now: datetime) -> Scenario | None:
    """The scenario as the readings leave it, from now on; None where less than half of its time is left: then the moment's own says more."""
    gone_s = (now - at.began).total_seconds()
    if gone_s > at.scenario.duration_s / 2:
        return None
    return msgspec.structs.replace(begun_later(refit(at.scenario, at.model, looked), gone_s), seed=int(now.timestamp()))


def begun_later(scenario: Scenario, gone_s: float) -> Scenario:
    """What is left of a scenario when so many seconds of it have passed."""

    def later(series: Series) -> Series:
        return Series.of(series.time_s - gone_s, series.value)

    return msgspec.structs.replace(
        scenario,
        duration_s=scenario.duration_s - gone_s,
        series={name: later(series) for name, series in scenario.series.items()},
        analogues=tuple(
            msgspec.structs.replace(a, series={name: later(series) for name, series in a.series.items()})
            for a in scenario.analogues
        ),
    )


def _left(said: Verification) -> str:
    """What the readings leave of the futures, as a comparison tells it."""
    odd = [f"{words}." for words in said.contradictions]
    return " ".join([f"Weighed by readings: they leave {said.effective:.0f} of {said.members} futures.", *odd])


def _comparison(at: Assessed, after: Compared, left: str, cause: Sequence[str], now: datetime) -> Comparison:
    """The ranking as the readings leave it, caused by the forecast, the comparison before it and the readings."""
    return msgspec.structs.replace(
        at.comparison,
        time=now,
        cause=(at.forecast_id, *cause),
        scores=after.scores,
        recommended=after.recommended,
        reason=after.reason,
        doubt=" ".join([after.doubt, left]),
        choice=after.choice,
        grounds=msgspec.UNSET,
    )


def _units(model: Model, senses: Sequence[Sense]) -> dict[str, str]:
    """The unit of each forcing, course and quantity that readings are held against, and of the hazard itself."""
    drives = {name.rstrip("@"): drive.quantity.unit for name, drive in model.series.items()}
    shown = {sense.course or sense.quantity.name: sense.quantity.unit for sense in senses if not sense.drive}
    return shown | drives | {"": model.makes.unit, ARRIVAL: "h"}


def _younger(moment: datetime | None, now: datetime, seconds: float) -> bool:
    """True if a moment is less than so many seconds ago; one that lies ahead, as after a clock was put back, is not."""
    return moment is not None and timedelta() <= now - moment < timedelta(seconds=seconds)
