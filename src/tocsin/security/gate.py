"""Who may do what: one table, and a gate that reads it. What the table does not say, nobody may.

Each act lists the roles that are enough for it. A role stands for a post, not for a rank: nobody may do a thing because he may
do a greater one. A person with two posts holds two roles.
"""

from __future__ import annotations

import msgspec

from tocsin.security.actor import Actor
from tocsin.vocabulary.errors import InputError, Refused

ROLES: dict[str, str] = {
    "sensor": "a device or an edge node: brings readings, and says what its own rules and checks found",
    "operator": "watches the situation, keeps the log, reports what became of orders",
    "planner": "simulates and compares plans; decides nothing",
    "commander": "decides and signs, releases alerts to the public",
    "administrator": "makes and disables users; decides nothing and writes nothing but the log",
    "auditor": "reads everything, changes nothing",
    "health": "a health official: issues upload codes, publishes keys, decides appeals; sees no contact and no visit",
    "bearer": "whoever holds a one-time code or an appeal of their own; has no name, and is never a person of the users' table",
    "system": "the platform's own rules, models and flows; never a person",
}

NOT_PEOPLE = frozenset({"bearer", "system"})  # nobody signs in with these


class Act(msgspec.Struct, frozen=True):
    """Something that may be asked of the gate, and the roles of which one is enough."""

    name: str
    meaning: str
    roles: frozenset[str]


def _act(name: str, meaning: str, *roles: str) -> Act:
    return Act(name, meaning, frozenset(roles))


ACTS: tuple[Act, ...] = (
    _act(
        "read situation",
        "map, gauges, warnings, forecasts, plans, orders",
        *("operator", "planner", "commander", "administrator", "auditor", "health", "system"),
    ),
    _act("read ledger", "every entry, proofs, verification", "operator", "planner", "commander", "auditor", "system"),
    _act("write readings", "bring readings in", "sensor", "system"),
    _act(
        "things.read",
        "SensorThings: things, datastreams, observations",
        *("sensor", "operator", "planner", "commander", "administrator", "auditor", "system"),
    ),
    _act("things.write", "SensorThings: make, change and delete them", "sensor", "operator", "system"),
    _act("write evidence", "the readings that a rule saw", "sensor", "system"),
    _act("write sensorfault", "a sensor that says what cannot be", "sensor", "system"),
    _act("write warning", "a rule's statement that a site needs attention", "sensor", "system"),
    _act("write alertdraft", "a CAP message; it goes to nobody until it is released", "operator", "commander", "system"),
    _act("write forecast", "what a model computed", "planner", "system"),
    _act("write comparison", "plans, ranked", "planner", "system"),
    _act("write verification", "what a forecast expected beside what came", "planner", "system"),
    _act("write libraryplan", "put a plan into the library, or take it out", "planner", "commander"),
    _act("write hardlimits", "what no plan may break", "commander"),
    _act("write decision", "approve or reject a plan; signed with one's own key", "commander"),
    _act("write order", "what follows from a decision", "commander", "system"),
    _act("write report", "what became of an order", "operator", "commander"),
    _act(
        "write planevent",
        "what follows in a plan; a level is agreed to by who holds its authority",
        "operator",
        "commander",
        "system",
    ),
    _act("write incident", "open, change or close an emergency", "operator", "commander", "system"),
    _act("write bulletin", "what an agency said about an event", "sensor", "system"),
    _act("write note", "a line in the log", "operator", "planner", "commander", "administrator", "health", "system"),
    _act("release alert", "let a CAP message go to the public", "commander"),
    _act("issue exposure code", "one-time codes with which a person or a venue may publish keys", "health"),
    _act("publish exposure keys", "make the signed file of what was uploaded", "health", "system"),
    _act("decide appeal", "read what a person objects to, and rule on it", "health"),
    _act("release flows", "tell how many went from where to where, with noise and a threshold", "health"),
    _act("upload exposure keys", "hand over one's own day keys, or a venue's hours, with a one-time code", "bearer"),
    _act("file appeal", "object to a status, and fetch the ruling", "bearer"),
    _act("manage users", "make, change and disable users", "administrator"),
)
_BY_NAME = {act.name: act for act in ACTS}


class RoleGate:
    """The gate that reads the table above."""

    def permit(self, actor: Actor, act: str, on: str) -> None:
        """Return if one of the actor's roles is enough for `act`; else raise Refused."""
        if not actor.name.strip():
            raise Refused(f"gate: somebody without a name wants to {act} on {on}; there is no anonymous actor: sign in")
        known = _BY_NAME.get(act)
        if known is None:
            raise Refused(
                f"gate: {actor.name} wants to {act!r} on {on}; nobody may, the table has no such act: {', '.join(_BY_NAME)}"
            )
        if not actor.roles & known.roles:
            held = ", ".join(sorted(actor.roles)) or "none"
            enough = " or ".join(sorted(known.roles))
            raise Refused(f"gate: {actor.name} may not {act} on {on}: roles held: {held}; enough: {enough}; ask an administrator")


def acts_of(roles: frozenset[str]) -> tuple[str, ...]:
    """The acts that one of these roles is enough for, in the order of the table; what a console may offer."""
    return tuple(act.name for act in ACTS if roles & act.roles)


def enough_for(act: str) -> frozenset[str]:
    """The roles of which one is enough for an act; none where the table has no such act."""
    known = _BY_NAME.get(act)
    return frozenset() if known is None else known.roles


def must_hold(actor: Actor, role: str, *, act: str, on: str) -> None:
    """Return if the actor holds `role` itself, as where a plan names the authority that it needs; else raise Refused."""
    if role not in ROLES:
        raise InputError(f"{on}: names the role {role!r}; wanted one of {', '.join(ROLES)}")
    if role not in actor.roles:
        held = ", ".join(sorted(actor.roles)) or "none"
        raise Refused(f"gate: {actor.name} may not {act} on {on}: it needs {role}, held: {held}; ask somebody who holds it")


def known_roles(roles: frozenset[str], *, of: str) -> frozenset[str]:
    """The roles as they are; raises InputError where one is unknown, none is given, or a person would be the system."""
    unknown = sorted(roles - ROLES.keys())
    if unknown or not roles or roles & NOT_PEOPLE:
        people = ", ".join(role for role in ROLES if role not in NOT_PEOPLE)
        raise InputError(f"roles of {of}: got {', '.join(sorted(roles)) or 'none'}; wanted one or more of {people}")
    return roles


def gate_table() -> str:
    """The table as Markdown: acts down, roles across."""
    lines = ["| act | " + " | ".join(ROLES) + " |", "|---|" + ":-:|" * len(ROLES)]
    lines += [f"| {act.name} | " + " | ".join("yes" if role in act.roles else "" for role in ROLES) + " |" for act in ACTS]
    return "\n".join(lines) + "\n"
