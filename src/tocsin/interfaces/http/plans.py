"""Plans, what they would bring, who decided, and what became of the orders."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request

from tocsin.decision.check_plan import AGREEING, faults_of_plan
from tocsin.decision.doable import doable
from tocsin.flows.centre import Centre
from tocsin.flows.plan_files import PLAN_BYTES_MAX, plan_from_toml, plan_to_toml
from tocsin.flows.suggest import options_of
from tocsin.interfaces.http.guard import body_of, number_of, text_of
from tocsin.interfaces.http.hazards import HAZARD, chosen_watch
from tocsin.pack import Plan
from tocsin.security.actor import Actor
from tocsin.security.gate import ROLES
from tocsin.vocabulary import InputError


def plans(centre: Centre, request: Request, actor: Actor) -> list[dict[str, Any]]:
    """All plans that are on the table, or those of one hazard, with what they would do."""
    table = chosen_watch(centre, request).plans() if HAZARD in request.query_params else centre.plans()
    held = {name: by for name, (_, record, by) in centre.board.library.items() if not record.removed}
    return [msgspec.to_builtins(plan) | {"digest": plan.digest(), "saved_by": held.get(plan.name, "")} for plan in table]


def options(centre: Centre, request: Request, actor: Actor) -> dict[str, Any]:
    """Everything that may be done here about a hazard, as one plan to choose from, and the roles, verbs, targets and places that an own action may name."""
    world, watch = centre.world(), chosen_watch(centre, request)
    plan = options_of(watch.pack, world)
    return {
        "hazard": watch.hazard,
        "plan": msgspec.to_builtins(plan) | {"digest": plan.digest()},
        "roles": list(ROLES),
        "agreeing": list(AGREEING),
        "verbs": doable(world, watch.model, watch.pack),
        "zones": world.zones.name,
        "waters": world.waters(),
        "lines": world.lines(),
    }


async def check_plan(centre: Centre, request: Request, actor: Actor) -> dict[str, Any]:
    """Every fault of a plan with the path of its field, so that a page can show each beside it; and the plan as TOML."""
    body = await body_of(request)
    return await asyncio.to_thread(_checked, centre, body)


def _checked(centre: Centre, body: dict[str, Any]) -> dict[str, Any]:
    try:
        plan = _plan_of(body)
    except InputError as fault:
        return {"ok": False, "faults": [{"path": [], "message": str(fault)}], "toml": "", "digest": ""}
    if plan.hazard not in centre.watches:
        words = f"{plan.hazard!r} is not watched here; watched: {', '.join(centre.watches)}"
        return {
            "ok": False,
            "faults": [{"path": ["hazard"], "message": words}],
            "toml": plan_to_toml(plan),
            "digest": plan.digest(),
        }
    watch = centre.watch(plan.hazard)
    found = faults_of_plan(plan, centre.world(), watch.model, watch.pack)
    faults = [{"path": list(fault.path), "message": fault.words(plan)} for fault in found]
    return {"ok": not faults, "faults": faults, "toml": plan_to_toml(plan), "digest": plan.digest()}


def _plan_of(body: dict[str, Any]) -> Plan:
    """The plan of a request: `plan` as an object, or `toml` as a text."""
    told, text = body.get("plan"), body.get("toml")
    if (told is None) == (text is None):
        raise InputError("wanted one of `plan` (an object) and `toml` (a text)")
    if text is not None:
        return plan_from_toml(text_of(body, "toml", most=PLAN_BYTES_MAX), where="plan")
    try:
        return msgspec.convert(told, Plan)
    except msgspec.ValidationError as fault:
        raise InputError(f"plan: {fault}") from fault


async def save_plan(centre: Centre, request: Request, actor: Actor) -> dict[str, str]:
    """Put a plan into the library; from now on it is compared with the others."""
    plan = _plan_of(await body_of(request))
    return {"id": await asyncio.to_thread(centre.save_plan, actor, plan), "plan": plan.name, "digest": plan.digest()}


def remove_plan(centre: Centre, request: Request, actor: Actor) -> dict[str, str]:
    """Take a plan out of the library."""
    return {"id": centre.remove_plan(actor, request.path_params["plan"])}


async def undo_plan(centre: Centre, request: Request, actor: Actor) -> dict[str, str]:
    """Put back what the library had by a name before its last change; `digest` is empty where that was nothing."""
    name = request.path_params["plan"]
    said, plan = await asyncio.to_thread(centre.undo_plan, actor, name)
    return {"id": said, "plan": name, "digest": "" if plan is None else plan.digest()}


def comparisons(centre: Centre, request: Request, actor: Actor) -> list[dict[str, Any]]:
    """All comparisons, or those of one hazard, newest first."""
    hazard = chosen_watch(centre, request).hazard if HAZARD in request.query_params else ""
    of = [i for i in reversed(centre.board.comparisons) if not hazard or centre.board.hazard_of(i) == hazard]
    return [_comparison(centre, i) for i in of[:50]]


def comparison(centre: Centre, request: Request, actor: Actor) -> dict[str, Any]:
    """One comparison, with the harm of each plan in each future."""
    return _comparison(centre, request.path_params["comparison"])


def course(centre: Centre, request: Request, actor: Actor) -> dict[str, Any]:
    """How a plan went in one future of a comparison, or in the one in the middle of its harm."""
    future = None
    if "future" in request.query_params:
        future = int(number_of(request, "future", usual=0, low=0, high=100_000))
    return centre.course(request.path_params["comparison"], request.path_params["plan"], future)


def _comparison(centre: Centre, comparison_id: str) -> dict[str, Any]:
    by_future, hazard = centre.harm_by_future(comparison_id), centre.board.hazard_of(comparison_id)
    row: dict[str, Any] = msgspec.to_builtins(centre.board.comparisons[comparison_id], builtin_types=())
    row |= {"id": comparison_id, "hazard": hazard}
    row["scores"] = [score | {"harm_by_future": by_future.get(score["plan"], [])} for score in row["scores"]]
    row["decision"] = centre.board.decision_on(comparison_id)
    return row


def limits(centre: Centre, request: Request, actor: Actor) -> dict[str, Any]:
    """What no plan may break now, who set it, what was set before, and what a limit can be on here."""
    return centre.limits_state()


async def set_limits(centre: Centre, request: Request, actor: Actor) -> dict[str, Any]:
    """Set what no plan may break, signed with the person's own key; the present ranking follows at once."""
    body = await body_of(request)
    texts = body.get("limits")
    if not isinstance(texts, list) or not all(isinstance(text, str) and len(text) <= 300 for text in texts):
        raise InputError(f'limits = {str(texts)[:60]}; wanted a list of texts, such as ["people_in_danger <= 0, 10%"]')
    reason, password = text_of(body, "reason", needed=False), text_of(body, "password", most=1_000)
    return _limited(*await asyncio.to_thread(centre.set_limits, actor, texts, reason=reason, password=password))


async def undo_limits(centre: Centre, request: Request, actor: Actor) -> dict[str, Any]:
    """Set again what held before the last change, signed as any other."""
    body = await body_of(request)
    reason, password = text_of(body, "reason", needed=False) or "undo", text_of(body, "password", most=1_000)
    return _limited(*await asyncio.to_thread(centre.undo_limits, actor, reason=reason, password=password))


def _limited(limits_id: str, anew: Mapping[str, str]) -> dict[str, Any]:
    """What was set, and the comparison that follows of each hazard; `comparison` is the first of them, empty where there is none."""
    return {"id": limits_id, "comparison": next(iter(anew.values()), ""), "comparisons": dict(anew)}


async def decide(centre: Centre, request: Request, actor: Actor) -> dict[str, Any]:
    """Approve or reject a plan, signed with the person's own key."""
    body = await body_of(request)
    decision_id, order_ids = await asyncio.to_thread(
        centre.decide,
        actor,
        comparison_id=text_of(body, "comparison", most=100),
        plan_name=text_of(body, "plan", most=200),
        plan_digest=text_of(body, "plan_digest", most=64),
        verdict=text_of(body, "verdict", most=10),
        comment=text_of(body, "comment", needed=False),
        password=text_of(body, "password", most=1_000),
    )
    return {"id": decision_id, "orders": order_ids}


def decisions(centre: Centre, request: Request, actor: Actor) -> list[dict[str, Any]]:
    """All decisions, newest first, each with its hazard; `signature_ok` is checked now."""
    hazards = _hazards_decided_on(centre)
    return [
        {
            "id": i,
            "time": d.time,
            "comparison": d.cause[0] if d.cause else "",
            "plan": d.plan,
            "hazard": hazards[i],
            "verdict": d.verdict,
            "signer": d.signer,
            "comment": d.comment,
            "signature_ok": centre.signature_holds(d),
        }
        for i, d in reversed(centre.board.decisions.items())
    ]


def _hazards_decided_on(centre: Centre) -> dict[str, str]:
    """The hazard that each decision is about."""
    of = {i: centre.board.hazard_of(i) for i in centre.board.comparisons}
    return {i: next((of[cause] for cause in d.cause if cause in of), "") for i, d in centre.board.decisions.items()}


def orders(centre: Centre, request: Request, actor: Actor) -> list[dict[str, Any]]:
    """All orders with the hazard of their plan and what has been reported of them."""
    hazards = _hazards_decided_on(centre)
    now = centre.host.clock.now()
    return [
        {
            "id": s.id,
            "time": s.order.time,
            "plan": s.order.plan,
            "hazard": next((hazards[cause] for cause in s.order.cause if cause in hazards), ""),
            "action": s.order.action,
            "do": s.order.do,
            "role": s.order.role,
            "target": s.order.subject,
            "needs": s.order.needs,
            "start": s.order.start,
            "due": s.order.due,
            "state": s.state,
            "overdue": s.overdue(now),
            "reports": [{"time": t, "state": state, "text": text, "by": by} for t, state, text, by in s.reports],
        }
        for s in centre.board.orders.values()
    ]


def executions(centre: Centre, request: Request, actor: Actor) -> list[dict[str, Any]]:
    """How far each plan is that was decided for, newest first: its levels, and what each action waits for."""
    return centre.executions()


async def result(centre: Centre, request: Request, actor: Actor) -> dict[str, Any]:
    """What a plan has done so far, beside what it would have done on the same facts at its usual pace."""
    found = await asyncio.to_thread(centre.plan_result, request.path_params["decision"])
    row: dict[str, Any] = msgspec.to_builtins(found)
    return row


async def agree(centre: Centre, request: Request, actor: Actor) -> dict[str, str]:
    """Agree to a level that a running plan proposes, or refuse it."""
    body = await body_of(request)
    if not isinstance(agrees := body.get("agrees"), bool):
        raise InputError(f"agrees = {agrees!r}; wanted true or false")
    said = await asyncio.to_thread(
        centre.agree,
        actor,
        request.path_params["decision"],
        request.path_params["level"],
        agrees=agrees,
        reason=text_of(body, "reason", needed=False),
        password=text_of(body, "password", most=1_000),
    )
    return {"id": said}


async def end(centre: Centre, request: Request, actor: Actor) -> dict[str, str]:
    """End a running plan: no order follows any more."""
    body = await body_of(request)
    reason, password = text_of(body, "reason", needed=False), text_of(body, "password", most=1_000)
    said = await asyncio.to_thread(centre.end_plan, actor, request.path_params["decision"], reason=reason, password=password)
    return {"id": said}


async def report(centre: Centre, request: Request, actor: Actor) -> dict[str, str]:
    """Say what became of an order."""
    body = await body_of(request)
    report_id = await asyncio.to_thread(
        centre.report,
        actor,
        request.path_params["order"],
        state=text_of(body, "state", most=20),
        text=text_of(body, "text", needed=False),
    )
    return {"id": report_id}
