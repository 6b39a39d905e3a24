"""What every pack promises. Subclass with your `pack` and a `scenario` for the tiny world, and each promise is tested.

    class TestHeatPack(PackPromises):
        def pack(self) -> Pack:
            return PACK

        def scenario(self, model: Model) -> Scenario:
            return Scenario(6 * 3600.0, 2, 1, series={"temperature": Series.constant(38.0)})

Override `world` where the pack needs more of a place than the tiny world has (a field of fuels, a tank), `effects` where a verb wants a
target or an amount that cannot be guessed, and `tables` where it answers questions. What a promise could not be held to it does not pass
over: it fails and says what to give.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from importlib.metadata import entry_points
from importlib.resources import files
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from tocsin.decision.check_plan import check_plan
from tocsin.decision.futures import draw
from tocsin.pack import (
    Effect,
    Exposure,
    Future,
    Link,
    Model,
    Pack,
    Plan,
    Question,
    Rule,
    Scenario,
    Service,
    Table,
    Verdict,
    find_pack,
    find_packs,
    senses_of,
)
from tocsin.pack.chain import together
from tocsin.pack.places import names_of, there_are
from tocsin.testing.tiny import PARTS, TinyWorld
from tocsin.vocabulary import InputError, Level, Member, NotFound, Quantity, Window

FRAMES = 4
SENTENCE = 20  # characters that it takes to say what is missing
README_TELLS = ("limit", "source", "checked")  # what a pack's README has to speak of
ROUNDING = 1e-5  # of float32, in which fields are kept: two units in the last place are 1.2e-7


class PackPromises:
    """The promises. Override the first part."""

    def pack(self) -> Pack:
        """The pack that is held to them."""
        raise NotImplementedError("give the promises a `pack`")

    def scenario(self, model: Model) -> Scenario:
        """What comes over the world, short and with two futures or more: something has to happen in it."""
        raise NotImplementedError(f"give the promises a `scenario` for {model.name}")

    def world(self, *, without: Collection[str] = ()) -> TinyWorld:
        """The place, without some of `tiny.PARTS`: hand `without` on."""
        return TinyWorld(without=without)

    def effects(self, model: Model) -> Sequence[Effect]:
        """One effect or more for each verb of a model: by default at the first target that the world has, with the amount 1."""
        return tuple(self._effect(model, verb) for verb in sorted(model.acts_on))

    def tables(self) -> Mapping[str, Table]:
        """A table for each question of the pack."""
        return {}

    # A verb that says what stood there before it as well (a dike that breaches was a dike until then) -> why.
    acts_before: Mapping[str, str] = {}

    # A kernel that ends a step at each frame comes out a little differently: by which share of the peak's range, at most.
    frames_cut_steps = 0.0

    def golden_figures(self) -> Mapping[str, float]:
        """What golden.json holds the pack to: figures of the usual future on the tiny world, for the first model."""
        model = self.pack().models[0]
        member = model.play(self.world(), self.future(model))
        came = np.isfinite(member.arrival_s)
        return {
            "peak_highest": float(member.peak.max()),
            "peak_mean": float(member.peak.astype(np.float64).mean()),
            "places_reached": float(came.sum()),
            "first_arrival_s": float(member.arrival_s[came].min()) if came.any() else -1.0,
            "last_end_s": float(member.end_s[came].max()) if came.any() else -1.0,
            **{f"{name}_highest": float(values.max()) for name, values in member.companions.items()},
            **{f"{name}_last": float(course.value[-1]) for name, course in member.courses.items()},
        }

    # --- what the promises share

    def future(self, model: Model, **knobs: float) -> Future:
        """The scenario's usual future, with some knobs set."""
        (usual,) = draw(model, msgspec.structs.replace(self.scenario(model), members=1))
        return msgspec.structs.replace(usual, knobs={**usual.knobs, **knobs})

    def frame_s(self, model: Model) -> tuple[float, ...]:
        """The moments that are asked for: evenly over the run."""
        return tuple(np.linspace(0.0, self.scenario(model).duration_s, FRAMES + 1)[1:].tolist())

    def package(self) -> str:
        """The package that the pack's files are in, from its entry point."""
        hazard = self.pack().hazard
        found = [point for point in entry_points(group="tocsin.packs") if point.name == hazard]
        assert found, f'no entry point {hazard} in the group "tocsin.packs"; declare it in pyproject.toml and install the package'
        return found[0].module

    def _effect(self, model: Model, verb: str) -> Effect:
        world = self.world()
        for sort in model.acts_on[verb].sorts:
            sorts = model.drive(sort.removeprefix("drive:")).sorts if sort.startswith("drive:") else (sort,)
            for one in sorts:
                if one == "all":
                    return Effect(verb, "all")
                names = [world.point(8)] if one == "point" else there_are(world, (one,), most=1).split(" and ")
                if names[0] != "none":
                    return Effect(verb, names[0])
        raise AssertionError(f"{verb}: the world has no {model.acts_on[verb].target}; override `effects`, or give the world one")

    # --- the promises: what it says

    def test_it_is_found_by_its_hazard(self) -> None:
        assert find_pack(self.pack().hazard) == self.pack()

    def test_every_part_says_what_it_is_and_where_it_is_from(self) -> None:
        pack = self.pack()
        silent = [f"rule {r.name}" for r in pack.rules if not (r.meaning and r.source)]
        for m in pack.models:
            silent += [f"model {m.name}"] if not (m.source and m.limits and m.run.__doc__) else []
            silent += [f"knob {n}" for n, k in m.knobs.items() if not (k.unit and k.meaning)]
            silent += [f"forcing {n}" for n, d in m.series.items() if not (d.meaning and d.quantity.unit)]
            silent += [f"verb {n}" for n, v in m.acts_on.items() if not (v.meaning and v.unit and v.target)]
        harm = pack.harm
        curves = [*harm.damage.values(), *(c for c in (harm.road_speed, harm.harmed) if c is not None)]
        curves += [part.curve for part in pack.chain if isinstance(part, Exposure)]
        silent += [f"curve of {c.quantity.name}" for c in curves if not (c.source and c.valid)]
        silent += ["harm: danger_source"] if not harm.danger_source else []
        silent += ["harm: worth_source"] if harm.worth_per_m2 and not (harm.worth_source and harm.worth_unit) else []
        silent += [f"link {p.name}" for p in pack.chain if isinstance(p, Link) and not p.source]
        silent += [f"service {p.name}" for p in pack.chain if isinstance(p, Service) and not p.meaning]
        silent += [f"case {c.name}" for c in pack.cases if not c.source]
        silent += [f"fact {f.name}" for f in pack.facts if not f.meaning]
        for q in pack.questions:
            silent += [f"question {q.name}"] if not (q.meaning and q.source and q.limits) else []
            silent += [f"column {c.name} of {q.name}" for c in q.columns if not (c.unit and c.meaning)]
            silent += [f"setting {n} of {q.name}" for n, k in q.settings.items() if not (k.unit and k.meaning)]
        assert not silent, f"these do not say what they are, in which unit, or where they are from: {', '.join(silent)}"
        assert pack.models, "a pack needs a model"
        assert all(line.strip() for line in pack.knowledge)

    def test_every_name_stands_for_one_thing(self) -> None:
        pack = self.pack()
        for names in (
            [r.name for r in pack.rules],
            [m.name for m in pack.models],
            [f.name for f in pack.facts],
            [q.name for q in pack.questions],
            [c.name for c in pack.cases],
            [q.name for q in pack.observes],
        ):
            assert len(set(names)) == len(names), names
        together({pack.hazard: pack.chain})

    def test_a_forcing_has_a_place_where_its_name_says_so(self) -> None:
        wrong = [n for m in self.pack().models for n, drive in m.series.items() if n.endswith("@") != bool(drive.place)]
        assert not wrong, f"{wrong}: a name that ends in @ takes a place, any other takes none"

    def test_its_readme_is_in_its_folder_and_tells_limits_sources_and_what_was_checked(self) -> None:
        text = (files(self.package()) / "README.md").read_text("utf-8").lower()
        missing = [word for word in README_TELLS if word not in text]
        assert not missing, f"README.md in {self.package()} does not speak of: {', '.join(missing)}"

    def test_its_golden_figures_hold(self) -> None:
        held = files(self.package()) / "golden.json"
        if not held.is_file():
            return
        told = msgspec.json.decode(held.read_bytes())
        came = self.golden_figures()
        assert told["figures"]
        assert told["why"].strip(), "golden.json: `why` says where the figures and their tolerances are from"
        assert set(told["figures"]) <= set(came), f"golden.json has {sorted(told['figures'])}, the run gives {sorted(came)}"
        for name, figure in told["figures"].items():
            assert came[name] == pytest.approx(figure["value"], abs=figure["tolerance"]), f"{name} [{figure['unit']}]"

    # --- the promises: when it warns

    def test_no_rule_may_warn_the_public_on_numbers_that_nobody_checked(self) -> None:
        said = [
            rule.name for rule in self.pack().rules if rule.verified and "unverified" in f"{rule.source} {rule.meaning}".lower()
        ]
        assert not said, f"{said} call themselves verified and unverified"

    def test_a_rule_without_readings_is_blind(self) -> None:
        for rule in self.pack().rules:
            for sites in (0, 2):
                verdict = _judge(rule, lambda quantity, n=sites: _silent(quantity, n), sites)
                assert verdict.level.shape == verdict.value.shape == (sites,), rule.name
                assert len(verdict.reason) == sites, rule.name
                assert (verdict.level == Level.BLIND).all(), f"{rule.name} says {verdict.level} of sites that told nothing"

    def test_a_rule_says_the_same_of_the_same_readings_at_both_ends_of_what_is_believable(self) -> None:
        for rule in self.pack().rules:
            for end in ("low", "high"):
                first, again = (_judge(rule, lambda quantity, to=end: _steady(quantity, to), 1) for _ in range(2))
                np.testing.assert_array_equal(first.level, again.level)
                assert set(first.level.tolist()) <= {int(level) for level in Level}, rule.name

    # --- the promises: how it runs

    def test_the_same_future_twice_is_the_same_to_the_bit(self) -> None:
        for model in self.pack().models:
            for future in draw(model, self.scenario(model))[:2]:
                first, again = (model.play(self.world(), future, (), self.frame_s(model)) for _ in range(2))
                assert _alike(first, again), f"{model.name}: future {future.number} came out differently the second time"

    def test_something_comes_in_the_scenario(self) -> None:
        for model in self.pack().models:
            came = np.isfinite(model.play(self.world(), self.future(model)).arrival_s)
            assert came.any(), f"{model.name}: nothing comes in the scenario; give the promises one in which something does"

    def test_it_is_believable_and_keeps_its_shape_at_each_end_of_each_knob(self) -> None:
        for model in self.pack().models:
            for name, knob in model.knobs.items():
                for end in dict.fromkeys((knob.low, knob.usual, knob.high)):
                    member = model.play(self.world(), self.future(model, **{name: end}), (), self.frame_s(model))
                    _is_sound(f"{model.name}, {name} = {end:g}", model, member, self.scenario(model), self.frame_s(model))

    def test_every_future_of_the_scenario_is_sound(self) -> None:
        for model in self.pack().models:
            for future in draw(model, self.scenario(model)):
                member = model.play(self.world(), future, (), self.frame_s(model))
                _is_sound(f"{model.name}, future {future.number}", model, member, self.scenario(model), self.frame_s(model))

    def test_to_be_asked_for_frames_changes_nothing_else(self) -> None:
        for model in self.pack().models:
            plain = model.play(self.world(), self.future(model))
            asked = model.play(self.world(), self.future(model), (), self.frame_s(model))
            if not self.frames_cut_steps:
                assert _alike(plain, msgspec.structs.replace(asked, frames=None, shown={})), model.name
                continue
            most = self.frames_cut_steps * float(np.ptp(plain.peak))
            np.testing.assert_allclose(asked.peak, plain.peak, rtol=0, atol=most, err_msg=f"{model.name}: the peak")
            assert (np.isfinite(asked.arrival_s) == np.isfinite(plain.arrival_s)).mean() >= 1.0 - self.frames_cut_steps

    def test_it_leaves_the_world_as_it_is(self) -> None:
        for model in self.pack().models:
            world = self.world()
            before = {quantity.name: world.field(quantity).copy() for quantity in model.reads if _has(world, quantity)}
            model.play(world, self.future(model))
            for quantity in model.reads:
                if quantity.name in before:
                    np.testing.assert_array_equal(world.field(quantity), before[quantity.name])

    @pytest.mark.parametrize("part", [*PARTS, "all of these"])
    def test_where_a_place_lacks_a_part_it_runs_or_says_what_is_missing(self, part: str) -> None:
        for model in self.pack().models:
            world = self.world(without=PARTS if part == "all of these" else (part,))
            try:
                member = model.play(world, self.future(model))
            except (InputError, NotFound) as fault:
                told = str(fault)
                if len(told) < SENTENCE:
                    pytest.fail(f"{model.name} without {part}: {told!r} does not say what is missing")
            else:
                _is_sound(f"{model.name} without {part}", model, member, self.scenario(model), ())

    def test_a_forcing_comes_to_a_believable_number_in_every_future(self) -> None:
        for model in self.pack().models:
            scenario = self.scenario(model)
            for future in draw(model, scenario):
                for name in future.series:
                    for time_s in (0.0, scenario.duration_s / 2, scenario.duration_s):
                        came = np.array([model.forcing(future, name, time_s)])
                        assert np.isfinite(came).all(), f"{model.name}: {name} comes to {came[0]} after {time_s:g} s"
            for name, drive in model.series.items():
                if drive.usual is not None:
                    for place in _places(self.world(), drive.sorts) if drive.place else ("",):
                        usual = np.array([drive.usual(self.world(), place)])
                        assert drive.quantity.believable(usual).all(), f"{model.name}: {name}{place} is usually {usual[0]}"

    # --- the promises: what acts on it

    def test_there_is_an_effect_for_each_verb_to_be_tried(self) -> None:
        for model in self.pack().models:
            assert {effect.verb for effect in self.effects(model)} == set(model.acts_on), f"{model.name}: override `effects`"

    def test_an_effect_changes_nothing_before_it_starts(self) -> None:
        for model in self.pack().models:
            duration_s = self.scenario(model).duration_s
            frame_s = tuple(np.linspace(0.0, duration_s, 2 * FRAMES + 1)[1:].tolist())
            plain = model.play(self.world(), self.future(model), (), frame_s)
            start_s = duration_s / 2
            for effect in self.effects(model):
                if effect.verb in self.acts_before:
                    continue
                acted = model.play(self.world(), self.future(model), (msgspec.structs.replace(effect, start_s=start_s),), frame_s)
                before = [k for k, time_s in enumerate(frame_s) if time_s < start_s]
                if plain.frames is not None and acted.frames is not None:
                    np.testing.assert_array_equal(acted.frames[before], plain.frames[before], err_msg=effect.verb)
                came, would_have = (np.where(m.arrival_s < start_s, m.arrival_s, np.inf) for m in (acted, plain))
                np.testing.assert_array_equal(came, would_have, err_msg=f"{effect.verb}: arrivals before it started")
                for name, course in plain.courses.items():
                    sooner = course.time_s < start_s
                    told = np.array([acted.courses[name].at(time_s) for time_s in course.time_s[sooner]])
                    np.testing.assert_allclose(told, course.value[sooner], rtol=ROUNDING, err_msg=f"{effect.verb}: {name}")

    def test_every_verb_acts(self) -> None:
        for model in self.pack().models:
            plain = model.play(self.world(), self.future(model))
            for effect in self.effects(model):
                starts = (0.0, self.scenario(model).duration_s / 2)
                acted = [
                    model.play(self.world(), self.future(model), (msgspec.structs.replace(effect, start_s=s),)) for s in starts
                ]
                assert not all(_alike(one, plain) for one in acted), (
                    f"{effect.verb} {effect.target} changes nothing in the scenario"
                )

    # --- the promises: what can be done about it

    @pytest.mark.parametrize("part", ["", *PARTS, "all of these"])
    def test_its_plans_can_be_carried_out_also_where_a_place_lacks_a_part(self, part: str) -> None:
        pack, world = self.pack(), self.world(without=PARTS if part == "all of these" else tuple(p for p in (part,) if p))
        found: list[Plan] = [*pack.plans(world), *([pack.options(world)] if pack.options is not None else [])]
        assert found, "the pack has no plan for this place; waiting and watching is always one"
        names = [plan.name for plan in found]
        assert len(set(names)) == len(names), names
        for plan in found:
            assert plan.hazard == pack.hazard
            assert plan.summary
            assert plan.basis, f"{plan.name}: does not say what its durations and costs rest on"
            check_plan(plan, world, pack.models[0], pack)

    def test_its_facts_are_there_in_futures_and_among_sensors(self) -> None:
        pack = self.pack()
        drives = {name for model in pack.models for name in model.series}
        courses = {name for model in pack.models for name in model.play(self.world(), self.future(model)).courses}
        observed = {quantity.name for quantity in pack.observes}
        for fact in pack.facts:
            assert fact.drive or fact.course or fact.reached, f"{fact.name}: no simulated future has it"
            assert not fact.drive or fact.drive in drives, f"{fact.name}: no forcing {fact.drive!r}; there are: {drives}"
            assert not fact.course or fact.course in courses, f"{fact.name}: no run tells {fact.course!r}; they tell: {courses}"
            assert not fact.observed or fact.observed in observed, f"{fact.name}: {fact.observed!r} is not observed: {observed}"
            assert not fact.drive or bool(fact.place) == fact.drive.endswith("@"), (
                f"{fact.name}: its place and that of {fact.drive} differ"
            )

    def test_readings_weigh_its_futures_by_what_its_models_have(self) -> None:
        pack = self.pack()
        for model in pack.models:
            member = model.play(self.world(), self.future(model), frame_s=self.frame_s(model))
            for sense in senses_of(pack, model):
                where = f"sense of {sense.quantity.name}"
                assert not sense.drive or sense.drive in model.series, f"{where}: no forcing {sense.drive!r} in {model.name}"
                assert not sense.course or sense.course in member.courses, f"{where}: {model.name} tells no {sense.course!r}"
                assert sense.error.source, f"{where}: nobody says whose number its error is"
        drives = {name for model in pack.models for name in model.series}
        for sense in pack.senses:
            assert not sense.drive or sense.drive in drives, f"sense of {sense.quantity.name}: no forcing {sense.drive!r}"

    # --- the promises: whom it harms

    def test_harm_speaks_of_what_the_models_make(self) -> None:
        pack = self.pack()
        member = pack.models[0].play(self.world(), self.future(pack.models[0]))
        own = {pack.models[0].makes.name, *member.companions}
        harm = pack.harm
        curves = [*harm.damage.values(), *(c for c in (harm.road_speed, harm.harmed) if c is not None)]
        named = {harm.danger.name, *(c.quantity.name for c in curves), *({harm.indoors.name} if harm.indoors else ())}
        assert named <= own, f"{sorted(named - own)} are made by no model; it makes {sorted(own)}"
        assert all(model.makes == harm.danger for model in pack.models), f"danger is {harm.danger}; wanted what every model makes"
        share = harm.share(member.peak)
        assert ((share >= 0) & (share <= 1)).all()

    def test_its_chains_speak_in_the_units_of_what_is_made(self) -> None:
        """An exposure may be to another pack's quantity (water that floats a tank): packs meet there, by name and unit."""
        packs = {**find_packs(), self.pack().hazard: self.pack()}
        made = {model.makes.name: model.makes.unit for pack in packs.values() for model in pack.models}
        for part in self.pack().chain:
            if isinstance(part, Exposure):
                quantity = part.curve.quantity
                unit = made.get(quantity.name, quantity.unit)
                assert unit == quantity.unit, f"{part.name}: in {quantity.unit}, and it is made in {unit}"

    # --- the promises: what it remembers, foresees and answers

    def test_its_cases_can_be_played_by_the_model_that_it_has(self) -> None:
        pack = self.pack()
        for case in pack.cases:
            if case.forcing:
                pack.models[0].check(msgspec.structs.replace(self.scenario(pack.models[0]), series=case.forcing, analogues=()))

    def test_it_foresees_nothing_where_the_sensors_are_silent(self) -> None:
        outlook = self.pack().outlook
        if outlook is not None:
            with pytest.raises(InputError):
                outlook(TinyWorld(), (), ())

    def test_a_question_has_one_answer_and_leaves_its_table_as_it_is(self) -> None:
        tables = self.tables()
        assert set(tables) == {q.name for q in self.pack().questions}, "override `tables` with one for each question"
        for question in self.pack().questions:
            table = tables[question.name]
            before = {name: values.copy() for name, values in table.items()}
            first, again = (question.answer(self.world(), table, _usual(question)) for _ in range(2))
            assert msgspec.to_builtins(first.figures) == msgspec.to_builtins(again.figures), question.name
            assert list(first.table) == list(again.table)
            for name, values in first.table.items():
                np.testing.assert_array_equal(values, again.table[name], err_msg=f"{question.name}: {name}")
                assert first.units.get(name), f"{question.name}: column {name} of the answer has no unit"
            for name, values in before.items():
                np.testing.assert_array_equal(table[name], values, err_msg=f"{question.name} changed its table: {name}")
            for name, figure in first.figures.items():
                assert figure.unit, f"{question.name}: {name} has no unit"
                assert figure.low <= figure.middle <= figure.high, f"{question.name}: {name} is {figure}"
            assert first.figures or first.table, f"{question.name}: its answer is empty"

    def test_a_question_refuses_a_table_that_says_nothing(self) -> None:
        tables = self.tables()
        assert set(tables) == {q.name for q in self.pack().questions}, "override `tables` with one for each question"
        for question in self.pack().questions:
            table = tables[question.name]
            silent = {name: np.full(1, _nothing(values), values.dtype) for name, values in table.items()}
            for empty in ({name: values[:0] for name, values in table.items()}, silent):
                with pytest.raises(InputError):
                    question.answer(self.world(), empty, _usual(question))


def _judge(rule: Rule, window: Any, sites: int) -> Verdict:
    before = np.zeros(sites, np.int8)
    if rule.judge_all is None:
        return rule.judge(window(rule.reads), before)
    return rule.judge_all({quantity.name: window(quantity) for quantity in (rule.reads, *rule.also)}, before)


def _silent(quantity: Quantity, sites: int) -> Window:
    nothing = np.full((sites, 3), np.nan)
    names = tuple(f"site-{k}" for k in range(sites))
    return Window(quantity, names, np.full((sites, 3), np.inf), nothing, np.zeros((sites, 3), bool))


def _steady(quantity: Quantity, end: str) -> Window:
    value = float(getattr(quantity, end))
    usual = value if np.isfinite(value) else 1e6
    age_s = np.arange(24.0)[::-1][None, :] * 3_600.0
    return Window(quantity, ("site-0",), age_s, np.full((1, 24), usual), np.ones((1, 24), bool))


def _has(world: TinyWorld, quantity: Quantity) -> bool:
    try:
        world.field(quantity)
    except NotFound:
        return False
    return True


def _places(world: TinyWorld, sorts: tuple[str, ...]) -> list[str]:
    names: list[str] = []
    for sort in sorts:
        names += [world.point(8)] if sort == "point" else names_of(world, sort)
    return names


def _alike(one: Member, other: Member) -> bool:
    """True where two runs tell the same, the runs' own account of themselves left out."""

    def same(a: NDArray[Any] | None, b: NDArray[Any] | None) -> bool:
        return (a is None) == (b is None) and (a is None or b is None or np.array_equal(a, b, equal_nan=True))

    return (
        all(same(getattr(one, name), getattr(other, name)) for name in ("peak", "arrival_s", "end_s", "frames"))
        and one.companions.keys() == other.companions.keys()
        and all(same(values, other.companions[name]) for name, values in one.companions.items())
        and one.shown.keys() == other.shown.keys()
        and all(same(values, other.shown[name]) for name, values in one.shown.items())
        and one.courses.keys() == other.courses.keys()
        and all(
            same(course.time_s, other.courses[name].time_s) and same(course.value, other.courses[name].value)
            for name, course in one.courses.items()
        )
    )


def _is_sound(where: str, model: Model, member: Member, scenario: Scenario, frame_s: Sequence[float]) -> None:
    """What holds for every run: shapes, times in order, nothing above its peak, courses over the whole run."""
    cells = member.peak.shape
    arrays = {"arrival_s": member.arrival_s, "end_s": member.end_s, **member.companions}
    for name, values in arrays.items():
        assert values.shape == cells, f"{where}: {name} has the shape {values.shape}, the peak {cells}"
    assert all(np.isfinite(values).all() for values in member.companions.values()), f"{where}: a companion is not finite"
    came, ended = np.isfinite(member.arrival_s), np.isfinite(member.end_s)
    np.testing.assert_array_equal(came, ended, err_msg=f"{where}: it came and never ended, or the other way round")
    assert (member.arrival_s[came] >= 0).all(), f"{where}: it came before the run"
    assert (member.arrival_s[came] <= member.end_s[came]).all(), f"{where}: it ended before it came"
    last_s = scenario.duration_s * (1 + ROUNDING)
    assert (member.end_s[came] <= last_s).all(), (
        f"{where}: it ended after the run; where it is still there, end_s is the run's length"
    )
    if model.makes.low >= 0:
        assert not (came & (member.peak <= 0)).any(), f"{where}: it came where its peak is 0"
    if frame_s:
        assert member.frames is not None, f"{where}: frames were asked for and not given"
        assert member.frames.shape == (len(frame_s), *cells), f"{where}: frames {member.frames.shape}"
        assert model.makes.believable(member.frames).all(), f"{where}: a frame is not believable"
        for name, shown in member.shown.items():
            assert shown.shape == member.frames.shape, f"{where}: {name} is shown in {shown.shape}"
            assert np.isfinite(shown).all(), f"{where}: {name} is shown as a number that is not finite"
        above = member.frames - member.peak
        assert (above <= ROUNDING * np.maximum(np.abs(member.peak), 1.0)).all(), (
            f"{where}: a frame is {above.max()} above the peak"
        )
    for name, course in member.courses.items():
        assert course.time_s[0] <= 0.0, f"{where}: {name} begins after {course.time_s[0]:g} s"
        assert course.time_s[-1] >= scenario.duration_s * (1 - ROUNDING), f"{where}: {name} ends before the run"


def _usual(question: Question) -> dict[str, float]:
    return {name: knob.usual for name, knob in question.settings.items()}


def _nothing(values: NDArray[Any]) -> Any:
    match values.dtype.kind:
        case "M":
            return np.datetime64("NaT")
        case "f":
            return np.nan
        case _:
            return ""
