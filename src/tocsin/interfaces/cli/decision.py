"""tocsin decision: the rankings that wait for a person, and what was decided: list, show, approve, reject."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.interfaces.cli.desk import AsJson, Desk, desk
from tocsin.interfaces.cli.speaking import To, moment, speaks

if TYPE_CHECKING:
    from rich.console import Console

    from tocsin.interfaces.conversation import Conversation

app = typer.Typer(
    help="Decide for a plan on the ranking of a platform, signed with your own key: see what waits, approve or reject. An approval gives orders at once.",
    no_args_is_help=True,
)

PlanName = Annotated[str, typer.Argument(help="The plan by its name, as the ranking has it.", metavar="PLAN")]
On = Annotated[
    str,
    typer.Option(
        help="The ranking that you have read: its id, or as much of it as is needed. Default: the newest one.",
        metavar="COMPARISON",
    ),
]
Comment = Annotated[str, typer.Option(help="Why, for the record. Default: not told.", metavar="TEXT")]
Yes = Annotated[
    bool,
    typer.Option(
        "--yes",
        help="Sign without being asked; wants --on too. Default: ask at the terminal, and refuse where nobody can answer.",
    ),
]


@app.command("list")
@speaks
def list_decisions(to: To, as_json: AsJson = False) -> None:
    """List the ranking that waits for a decision, and all decisions with their signatures checked, newest first.

    Example: tocsin decision list http://127.0.0.1:8765 --as ada
    """
    with desk(as_json=as_json) as at, to.speaking() as platform:
        rankings, decided = platform.get("comparisons", **to.about), platform.get("decisions")
        newest = rankings[0] if rankings else None
        open_now = [
            {
                "id": r["id"],
                "time": r["time"],
                "hazard": r["hazard"],
                "recommended": r["recommended"],
                "plans": len(r["scores"]),
                "futures": r["futures"],
            }
            for r in rankings
            if r["decision"] is None
        ]
        newest_of = {r["hazard"]: r["id"] for r in reversed(rankings)}

        def text(console: Console) -> None:
            if newest is None:
                console.print("No plans were compared yet, so there is nothing to decide on.")
            for row in (row for row in open_now if newest_of[row["hazard"]] == row["id"]):
                console.print(
                    f"{row['hazard']} waits for a decision: {row['plans']} plans on {row['futures']} futures, {row['recommended']} is recommended, "
                    f"{moment(row['time'])}  ({row['id']})",
                    style="bold",
                )
            for row in decided:
                console.print(_line(row))
            if newest is not None and not decided:
                console.print("Nothing was decided yet.")

        at.answer({"open": open_now, "decisions": decided}, text)


@app.command("show")
@speaks
def show(
    to: To,
    which: Annotated[
        str,
        typer.Argument(
            help="A ranking or a decision: its id, or as much of it as is needed. Default: the newest ranking.", metavar="ID"
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Show a ranking with all that would change it, and what was decided on it. Example: tocsin decision show http://127.0.0.1:8765 --as ada"""
    with desk(as_json=as_json) as at, to.speaking() as platform:
        decided = platform.get("decisions")
        compared = _ranking(platform, which, to.about, of={row["id"]: row["comparison"] for row in decided})
        made = next((row for row in decided if row["id"] == compared["decision"]), None)

        def text(console: Console) -> None:
            from tocsin.interfaces.cli.ranking import tell_choice

            console.print(
                f"{compared['hazard']}: {compared['id']}, {moment(compared['time'])}, {compared['futures']} futures", style="bold"
            )
            tell_choice(console, compared)
            console.print(f"\n{'Nobody has decided on it.' if made is None else _line(made)}")

        at.answer(compared | {"decided": made}, text)


@app.command("approve")
@speaks
def approve(to: To, plan: PlanName, on: On = "", comment: Comment = "", yes: Yes = False, as_json: AsJson = False) -> None:
    """Approve a plan of a ranking, signed with your own key; its first orders go out at once, and `execution` follows it.

    Example: tocsin decision approve http://127.0.0.1:8765 evacuate --as ada --comment "the gauge upstream agrees"
    """
    _decide(to, plan, "approve", on=on, comment=comment, yes=yes, as_json=as_json)


@app.command("reject")
@speaks
def reject(to: To, plan: PlanName, on: On = "", comment: Comment = "", yes: Yes = False, as_json: AsJson = False) -> None:
    """Reject a plan of a ranking, signed with your own key: no orders, and the ranking is decided; the next one may be decided anew.

    Example: tocsin decision reject http://127.0.0.1:8765 evacuate --as ada --comment "wait for the next gauge"
    """
    _decide(to, plan, "reject", on=on, comment=comment, yes=yes, as_json=as_json)


def _decide(to: To, plan: str, verdict: str, *, on: str, comment: str, yes: bool, as_json: bool) -> None:
    with desk(as_json=as_json) as at:
        from tocsin.vocabulary import InputError

        if yes and not on:
            raise InputError(
                "decision: --yes signs without being asked, and the newest ranking may be another by then than the one you have read; "
                "say which with --on (`decision list` and `decision show` tell its id)"
            )
        with to.speaking() as platform:
            compared = _ranking(platform, on, to.about, to_sign=True)
            score = _score(compared, plan)
            _must_be_sure(at, platform, compared, score, verdict, yes=yes)
            body = {
                "comparison": compared["id"],
                "plan": plan,
                "plan_digest": score["digest"],
                "verdict": verdict,
                "comment": comment,
            }
            told = platform.signed("decisions", body=body)
            told |= {"comparison": compared["id"], "plan": plan, "verdict": verdict}

            def text(console: Console) -> None:
                if verdict == "reject":
                    console.print(f"{plan} is rejected ({told['id']})")
                    return
                console.print(f"{plan} is approved ({told['id']}); orders that went out: {len(told['orders'])}", style="bold")
                console.print(
                    f"`tocsin execution show {to.where} {told['id'][:18]}` tells what waits for what; `execution end` ends it"
                )

            at.answer(told, text)


def _must_be_sure(
    at: Desk, platform: Conversation, compared: dict[str, Any], score: dict[str, Any], verdict: str, *, yes: bool
) -> None:
    """Say what is about to be signed and what speaks against it; return if the person says yes, now or with --yes."""
    from tocsin.vocabulary import Conflict, Refused

    plan, digest = score["plan"], score["digest"]
    newest = platform.get("comparisons", hazard=compared["hazard"])[0]
    newer = ""
    if newest["id"] != compared["id"]:
        newer = f"there is a newer ranking of {moment(newest['time'])}, in which {newest['recommended']!r} is recommended: {newest['id']}"
    if compared["decision"] is not None:
        raise Conflict(
            f"decision: {compared['id']} is decided already ({compared['decision']}); "
            f"{newer or '`decision show` tells by whom; a new ranking may be decided on anew'}"
        )
    at.note(
        f"{verdict} {plan!r}, the plan with the digest {digest[:12]}, on {compared['hazard']} {compared['id']} of {moment(compared['time'])}"
    )
    at.note(f"  ranked {score['rank']} of {len(compared['scores'])}: {score['reason']}")
    if verdict == "approve":
        for warning in _against(platform, compared, score):
            at.note(f"  BEWARE: {warning}")
    if newer:
        at.note(f"  BEWARE: {newer}")
    if yes:
        return
    if not sys.stdin.isatty():
        raise Refused(
            "decision: is signed by a person's word only: answer at a terminal, or give "
            f"--yes --on {compared['id']}; nothing was decided"
        )
    sys.stderr.write(f"Type the name of the plan to {verdict} it: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() != plan:
        raise Refused("decision: not confirmed; nothing was decided")


def _against(platform: Conversation, compared: dict[str, Any], score: dict[str, Any]) -> list[str]:
    """What a person should know before approving: another plan is better, limits break, another plan already gives orders."""
    found = []
    if score["plan"] != compared["recommended"]:
        found.append(f"{compared['recommended']!r} is recommended, not this plan")
    found += [
        f"breaks the hard limit {breach['limit']} in {breach['chance']:.0%} of the futures; {breach['permitted']:.0%} are permitted"
        for breach in score["limits"]
        if breach["broken"]
    ]
    running = [row for row in platform.get("executions") if not row["over"]]
    found += [
        f"{row['plan']!r} is being carried out and goes on: both give orders; `execution end` ends it"
        for row in running
        if row.get("plan") is not None
    ]
    return found


def _ranking(
    platform: Conversation, asked: str, about: dict[str, Any], *, of: dict[str, str] | None = None, to_sign: bool = False
) -> dict[str, Any]:
    """The ranking that is meant: by its id, by a decision on it (`of`), or the newest; what is signed is not guessed among hazards."""
    from tocsin.vocabulary import InputError, NotFound

    rows: list[dict[str, Any]] = platform.get("comparisons", **about)
    if not rows:
        raise NotFound("decision: no plans were compared yet; a warning brings a ranking, or `tocsin job compare`")
    if not asked:
        hazards = list(dict.fromkeys(row["hazard"] for row in rows))
        if to_sign and len(hazards) > 1:
            raise InputError(f"decision: there are rankings of {', '.join(hazards)}; wanted one of them: give --hazard or --on")
        return rows[0]
    ids = {row["id"]: row["id"] for row in rows} | (of or {})
    meant = {ids[i] for i in ids if i == asked} or {
        on for i, on in ids.items() if i.startswith((asked, f"comparison-{asked}", f"decision-{asked}"))
    }
    if len(meant) > 1:
        raise InputError(f"{asked!r}: {len(meant)} rankings fit; say more of the id")
    if not meant:
        raise NotFound(f"no ranking {asked!r}; the newest are: {', '.join(row['id'] for row in rows[:5])}")
    (one,) = meant
    return next((row for row in rows if row["id"] == one), None) or platform.get("comparisons", one)


def _score(compared: dict[str, Any], plan: str) -> dict[str, Any]:
    from tocsin.vocabulary import NotFound

    found: dict[str, Any] | None = next((s for s in compared["scores"] if s["plan"] == plan), None)
    if found is None:
        raise NotFound(
            f"decision: {plan!r} was not compared in {compared['id']}; there are: {', '.join(s['plan'] for s in compared['scores'])}"
        )
    return found


def _line(row: dict[str, Any]) -> str:
    verdict = {"approve": "approved", "reject": "rejected"}[row["verdict"]]
    signed = "" if row["signature_ok"] else "  THE SIGNATURE DOES NOT HOLD"
    comment = f": {row['comment']}" if row["comment"] else ""
    return f"{moment(row['time'])} {row['plan']} was {verdict} by {row['signer']}{comment}  ({row['id']}){signed}"
