"""Hard limits that are set while an assessment is followed, and an assessment that is followed again after a restart."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from test_following import GAUGES, MODEL, PLATFORM, SENSES, START, Drill, compared, deepest, foreseen, truth_of  # noqa: F401

from tocsin.decision.compare import Compared
from tocsin.decision.compare import compare as compare_plans
from tocsin.decision.futures import Foreseen
from tocsin.decision.limits import Limit, limit_of
from tocsin.flows import at_rest
from tocsin.flows.following import assessed, resumed
from tocsin.security.actor import Actor
from tocsin.security.keys import SigningKey
from tocsin.testing.memory import OneByOne
from tocsin.vocabulary import Comparison, HardLimits, InputError, NotFound

KEY = SigningKey.new()
COMMANDER = Actor("ada", frozenset({"commander"}))
LIMIT = "people_moved <= 0, 0%"


def limits(*texts: str) -> HardLimits:
    blank = HardLimits(time=START, subject="tiny", limits=texts, signer="ada", public_key=KEY.public_key)
    return msgspec.structs.replace(blank, signature=KEY.sign(blank.signing_bytes()))


def set_limit(drill: Drill, record: HardLimits, held: list[Limit]) -> tuple[str, str]:
    """As a centre sets limits: what cannot be told is refused before anything is written."""
    drill.following.check_limits(held)
    (limits_id,) = drill.host.ledger.append(COMMANDER, [record])
    return limits_id, drill.following.limit(limits_id, record, held)


def test_a_limit_that_is_set_ranks_the_present_plans_anew_without_a_run(compared: Compared) -> None:  # noqa: F811
    drill = Drill(compared)
    limits_id, comparison_id = set_limit(drill, limits(LIMIT), [limit_of(LIMIT)])
    before, after = drill.of(Comparison)
    assert (before.recommended, after.recommended) == ("go", "wait")
    assert limits_id in after.cause
    assert comparison_id
    broken = {score.plan: [breach.broken for breach in score.limits] for score in after.scores}
    assert broken == {"wait": [False], "go": [True]}
    assert drill.host.ledger.find(limits_id).actor == "ada"


def test_the_limited_ranking_is_that_of_a_comparison_with_the_limit(foreseen: Foreseen, compared: Compared) -> None:  # noqa: F811
    from test_following import GO, HARM, WAIT, WORLD

    drill = Drill(compared)
    set_limit(drill, limits(LIMIT), [limit_of(LIMIT)])
    anew = compare_plans(WORLD, MODEL, HARM, foreseen, [WAIT, GO], OneByOne(), hour=3.0, limits=[limit_of(LIMIT)])
    assert drill.of(Comparison)[-1].scores == anew.scores


def test_a_limit_holds_for_what_readings_weigh_after_it_and_is_lifted_by_setting_none(
    foreseen: Foreseen,  # noqa: F811
    compared: Compared,  # noqa: F811
) -> None:
    drill = Drill(compared)
    set_limit(drill, limits(LIMIT), [limit_of(LIMIT)])
    drill.go(truth_of(foreseen, deepest(foreseen)))
    weighed = drill.of(Comparison)[-1]
    assert "Weighed by readings" in weighed.doubt
    assert weighed.recommended == "wait"
    set_limit(drill, limits(), [])
    last = drill.of(Comparison)[-1]
    assert last.recommended == "go"
    assert "Weighed by readings" in last.doubt
    assert all(not score.limits for score in last.scores)


def test_after_a_decision_a_limit_is_written_and_the_ranking_that_was_decided_on_stays(compared: Compared) -> None:  # noqa: F811
    drill = Drill(compared)
    drill.decided.add(drill.first)
    limits_id, comparison_id = set_limit(drill, limits(LIMIT), [limit_of(LIMIT)])
    assert limits_id
    assert not comparison_id
    assert len(drill.of(Comparison)) == 1


def test_a_limit_on_what_was_not_told_is_refused_and_not_written(compared: Compared) -> None:  # noqa: F811
    drill = Drill(compared)
    with pytest.raises(InputError, match="no figure"):
        set_limit(drill, limits("frogs <= 0"), [limit_of("frogs <= 0")])
    assert not drill.of(HardLimits)


def rested(drill: Drill) -> bytes:
    at = drill.following._now
    assert at is not None
    return at_rest.rest(
        began=at.began,
        subject=at.subject,
        scenario=at.scenario,
        model=at.model.name,
        foreseen=at.foreseen,
        ground=[(g.site, g.quantity) for g in at.ground],
        compared=at.compared,
    )


def test_an_assessment_that_was_at_rest_is_followed_as_if_nothing_had_been(
    foreseen: Foreseen,  # noqa: F811
    compared: Compared,  # noqa: F811
    tmp_path: Path,
) -> None:
    truth = truth_of(foreseen, deepest(foreseen))
    without, stopped = Drill(compared), Drill(compared)
    kept = rested(stopped)
    at_rest.save(tmp_path, kept)
    without.go(truth)
    stopped.go(truth, minutes=60)
    # a process that begins anew has the file and the ledger, and nothing else
    again = Drill(compared)
    again.host, again.latest, again.rng = stopped.host, stopped.latest, stopped.rng
    loaded = at_rest.load(tmp_path, at_rest.digest_of(kept))
    first = again.of(Comparison)[0]
    rows = {entry.id: entry.record for entry in again.host.ledger.read() if isinstance(entry.record, Comparison)}
    again.following._ledger, again.following._latest = again.host.ledger, again.latest
    again.following.resume(
        resumed(loaded, stopped.forecast_id, next(iter(rows)), first, MODEL, GAUGES, SENSES), rows, stopped.following._verified
    )
    for minute in range(70, 181, 10):
        again.go(truth, minutes=minute, every_min=minute)
    assert again.looks[-1].effective == pytest.approx(without.looks[-1].effective)
    assert again.looks[-1].recommended == without.looks[-1].recommended
    one, other = (next(s.harm.mean for s in d.of(Comparison)[-1].scores if s.plan == "wait") for d in (again, without))
    assert one == pytest.approx(other)


def test_what_was_at_rest_reads_back_whole_and_what_was_changed_is_not_read(compared: Compared, tmp_path: Path) -> None:  # noqa: F811
    drill = Drill(compared)
    kept = rested(drill)
    with pytest.raises(NotFound, match="assess again"):
        at_rest.load(tmp_path, "")
    at_rest.save(tmp_path, kept)
    back = at_rest.load(tmp_path, at_rest.digest_of(kept)).compared
    assert back.grounds is not None
    assert compared.grounds is not None
    for name, figure in compared.grounds.table.figures.items():
        np.testing.assert_array_equal(back.grounds.table.figures[name], figure)
    assert back.courses == compared.courses
    (tmp_path / at_rest.NAME).write_bytes(kept[:-1] + b"x")
    with pytest.raises(InputError, match="not what the ledger says"):
        at_rest.load(tmp_path, at_rest.digest_of(kept))


def test_a_gauge_that_the_twin_has_no_more_stops_the_following(compared: Compared) -> None:  # noqa: F811
    drill = Drill(compared)
    import msgspec

    loaded = msgspec.msgpack.decode(rested(drill), type=at_rest.Rested, dec_hook=at_rest._array)
    bare = msgspec.structs.replace(loaded, ground=(("gone", "flood_depth"),))
    with pytest.raises(InputError, match="gone"):
        resumed(bare, drill.forecast_id, drill.first, drill.of(Comparison)[0], MODEL, GAUGES, SENSES)


def test_an_assessment_with_a_table_of_its_own_is_needed(compared: Compared) -> None:  # noqa: F811
    import msgspec

    new = assessed(
        "f",
        Drill(compared).of(Comparison)[0],
        START,
        "tiny",
        Drill(compared).following._now.scenario,
        MODEL,
        compared,
        GAUGES,
        SENSES,
    )  # type: ignore[union-attr]
    with pytest.raises(InputError, match="kept no table"):
        at_rest.rest(
            began=START,
            subject="tiny",
            scenario=new.scenario,
            model="m",
            foreseen=new.foreseen,
            ground=(),
            compared=msgspec.structs.replace(compared, grounds=None),
        )
