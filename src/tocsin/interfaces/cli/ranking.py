"""What `tocsin plan compare` prints: a page that a commander reads in ten seconds, and the same as data for `--json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tocsin.vocabulary.units import lasting

if TYPE_CHECKING:
    from rich.console import Console

    from tocsin.decision.compare import Compared
    from tocsin.flows.information import ForecastResult

BAR_CHARACTERS = 22
LONG = 3  # sentences of one sort: more are in --json


def facts(result: ForecastResult, compared: Compared, hour: float, run_s: float, *, traffic: bool = False) -> dict[str, Any]:
    """The comparison as data: the same for `--json`, `--save` and the picture."""
    import msgspec

    choice = msgspec.to_builtins(compared.choice) if compared.choice is not None else None
    return {
        "place": result.place,
        "made_up": result.made_up,
        "hazard": result.pack.hazard,
        "model": result.model.name,
        "source": result.model.source,
        "limits": result.model.limits,
        "asked": dict(result.asked),
        "futures": result.scenario.members,
        "duration_s": result.scenario.duration_s,
        "seed": result.scenario.seed,
        "hour": hour,
        "traffic": traffic,
        "recommended": compared.recommended,
        "reason": compared.reason,
        "doubt": compared.doubt,
        "runner_up": compared.scores[1].plan if len(compared.scores) > 1 else None,
        "choice": choice,
        "scores": msgspec.to_builtins(compared.scores),
        "harm_by_future": {name: values.tolist() for name, values in compared.harm_by_future.items()},
        "harm_by_zone": {name: dict(values) for name, values in compared.harm_by_zone.items()},
        "hazard_runs": compared.hazard_runs,
        "run_s": round(run_s, 3),
    }


def tell(console: Console, told: dict[str, Any]) -> None:
    """The ranking as a page: what to do and how sure that is, the plans side by side, what would change it, who bears it."""
    mark = "  MADE UP" if told["made_up"] else ""
    console.print(
        f"{told['place']}{mark}: {len(told['scores'])} plans, each on the same {told['futures']} futures of {lasting(told['duration_s'])} "
        f"of {told['hazard']}, seed {told['seed']}, people as at {told['hour']:g} h",
        style="bold",
    )
    console.print("; ".join(f"{name} {text}" for name, text in told["asked"].items() if name != "hours"))
    console.print()
    tell_choice(console, told)
    console.print(
        f"\nmodel {told['model']}: {told['hazard_runs']} hazard runs, {told['run_s']:.1f} s; damage in {told['scores'][0]['damage']['unit']}"
    )
    console.print(
        f"limits: {told['limits']}; durations and costs are those that the plans say; {_leaving(traffic=told['traffic'])}"
    )


def tell_choice(console: Console, told: dict[str, Any]) -> None:
    """What to do and how sure that is, of a comparison with its `scores` and `choice`: the plans side by side, what would change it, who bears it."""
    from tocsin.interfaces.ranking_picture import harmed_in

    console.print(f"Recommended: {told['recommended']}", style="bold")
    console.print(f"{told['reason']}\n{told['doubt']}\n")
    console.print(_table(told["scores"], harmed_in(told)))
    console.print(
        "bar: average, whiskers 5 to 95 % of the futures; worst: mean of the worst tenth; regret: the most that it was worse than the best plan of a future\n",
        style="dim",
    )
    if (services := _services(told["scores"])) is not None:
        console.print(services)
        console.print(
            "people without it at the end, on average (5 to 95 % of the futures): what the hazard takes out, and what that takes out in turn\n",
            style="dim",
        )
    if told["choice"] is not None:
        _tell_choice(console, told["choice"])
    for s in told["scores"]:
        console.print(f"{s['rank']}. {s['plan']}: {s['reason']}")


def _leaving(*, traffic: bool) -> str:
    """How it is told who leaves."""
    if not traffic:
        return "who leaves meets no traffic (--traffic)"
    from tocsin.decision.evacuate import Assumptions

    unverified = ", ".join(Assumptions().unverified).replace("_", " ")
    return f"who leaves drives on the twin's streets; unverified there: {unverified}"


def _tell_choice(console: Console, choice: dict[str, Any]) -> None:
    """What would change the choice, one line each, in the order in which it is asked."""
    from rich.text import Text

    lines: list[tuple[str, str]] = []
    margin = choice["margin"]
    if margin is not None:
        span = "" if margin["low"] is None else f" (90 % sure: {margin['low']:+,.0f} to {margin['high']:+,.0f})"
        lines.append(("runner-up", f"{choice['runner_up']}, {margin['mean']:+,.0f} {margin['unit']} behind on average{span}"))
    lines += [("price", flip["sentence"]) for flip in choice["flips"] if flip["kind"] == "price"]
    flips = [flip["sentence"] for flip in choice["flips"] if flip["kind"] != "price"]
    lines += [("would flip", words) for words in flips[:LONG]] or [("would flip", "nothing that these futures show")]
    asks = [ask["sentence"] for ask in choice["ask_first"]]
    none = f"no report that could be asked for; knowing all would save {choice['worth_of_all']:,.0f}"
    lines += [("ask first", words) for words in asks[:LONG]] or [("ask first", none)]
    lines.append(("who bears it", choice["equity"]))
    lines.append(("wins by", "; ".join(f"{name}: {plan}" for name, plan in choice["weightings"].items())))
    lines += [("not known", remark) for remark in choice["remarks"]]
    said = ""
    for label, words in lines:
        console.print(Text.assemble((f"{'' if label == said else label:<13}", "bold"), words))
        said = label
    console.print()


HEADING_MOST = 24  # characters, as wide as the bars below


def _table(scores: list[dict[str, Any]], harmed: str) -> Any:
    from rich.table import Table

    harmed = harmed if len(harmed) <= HEADING_MOST else harmed.replace(" who ", "\nwho ").replace(" whom ", "\nwhom ")
    table = Table(box=None, pad_edge=False, header_style="bold")
    headings: list[tuple[str, Any]] = [
        ("", "right"),
        ("plan", "left"),
        (harmed, "left"),
        ("mean\n(5 to 95 %)", "right"),
        ("worst\ntenth", "right"),
        ("regret\nmost", "right"),
        ("cut\noff", "right"),
        ("damage", "right"),
        ("cost", "right"),
        ("done\nh", "right"),
        ("fails\nin", "right"),
    ]
    limited, driven = any(s["limits"] for s in scores), "people_caught_on_road" in scores[0]["figures"]
    if driven:
        headings.insert(7, ("caught\non road", "right"))
    for heading, justify in [*headings, *([("limits", "left")] if limited else [])]:
        table.add_column(heading, justify=justify, no_wrap=heading in (harmed, "limits"))
    most = max([s["harm"]["high"] for s in scores] + [1e-9])
    for s in scores:
        broken = any(breach["broken"] for breach in s["limits"])
        table.add_row(
            str(s["rank"]),
            s["plan"],
            bar(s["harm"], most),
            f"{s['harm']['mean']:,.0f} ({s['harm']['low']:,.0f} to {s['harm']['high']:,.0f})",
            f"{s['cvar']:,.0f}",
            f"{s['regret_worst']:,.0f}",
            f"{s['figures']['people_cut_off']['mean']:,.0f}" if "people_cut_off" in s["figures"] else "",
            *([f"{s['figures']['people_caught_on_road']['mean']:,.0f}"] if driven else []),
            short(s["damage"]["mean"]),
            short(s["cost"]),
            f"{s['finished_s']['mean'] / 3600.0:.1f}",
            f"{s['failed_share']:.0%}",
            *([limit_words(s["limits"])] if limited else []),
            style="red" if broken else "bold" if s["rank"] == 1 else None,
        )
    return table


def _services(scores: list[dict[str, Any]]) -> Any:
    """Who is left without power, water and the like under each plan; None where the twin has no lifelines."""
    from rich.table import Table

    from tocsin.decision.outcomes import services_in

    names = services_in(scores[0]["figures"])
    if not names:
        return None
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", justify="right")
    table.add_column("plan")
    for name in names:
        table.add_column(name.removeprefix("people_").replace("_", " "), justify="right")
    for s in scores:
        told = [s["figures"][name] for name in names]
        cells = [f"{one['mean']:,.0f} ({one['low']:,.0f} to {one['high']:,.0f})" for one in told]
        table.add_row(str(s["rank"]), s["plan"], *cells, style="bold" if s["rank"] == 1 else None)
    return table


def bar(estimate: dict[str, Any], most: float, width: int = BAR_CHARACTERS) -> str:
    """A bar of the mean with whiskers from 5 to 95 % of the futures, on a scale that all plans share.

    >>> bar({"mean": 5.0, "low": 2.0, "high": 9.0}, 10.0, width=10)
    '███▓▓──── '
    """
    at = {name: round(width * min(1.0, estimate[name] / most)) for name in ("mean", "low", "high")}
    sure, unsure = min(at["low"], at["mean"]) + 1, at["mean"]
    filled = "█" * min(sure, at["mean"]) + "▓" * max(0, unsure - sure)
    return f"{filled}{'─' * max(0, at['high'] - at['mean'])}".ljust(width)[:width]


def short(amount: float) -> str:
    """A sum that can be read at a glance: three digits and a word.

    >>> short(12_345_678.0), short(950.0), short(0.0)
    ('12.3 M', '950', '0')
    """
    for size, word in ((1e9, " bn"), (1e6, " M"), (1e3, " k")):
        if abs(amount) >= size:
            return f"{amount / size:.3g}{word}"
    return f"{amount:,.0f}"


def limit_words(limits: list[dict[str, Any]]) -> str:
    """How a plan stands with the hard limits: the worst of them, in a few words."""
    if broken := [breach for breach in limits if breach["broken"]]:
        worst = max(broken, key=lambda breach: breach["chance"] - breach["permitted"])
        return f"✗ BREAKS {worst['chance']:.0%}"
    if any(breach["high"] > breach["permitted"] for breach in limits):
        return "? not sure"
    return "✓ kept"
