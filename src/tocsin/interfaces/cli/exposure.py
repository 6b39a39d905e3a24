"""tocsin exposure: health codes on the platform's side, what a venue does, and a drill with many phones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tocsin.interfaces.cli import exposure_device
from tocsin.interfaces.cli.desk import AsJson, desk
from tocsin.interfaces.cli.user import password_of

if TYPE_CHECKING:
    from rich.console import Console

    from tocsin.flows.exposure import Exposure
    from tocsin.flows.exposure_drill import Drilled
    from tocsin.flows.movements import Movements
    from tocsin.platform.store import Users

app = typer.Typer(
    help="Health codes, private by design: one-time codes, signed key files, appeals, flows. The status itself is on the phone.",
    no_args_is_help=True,
)
code_app = typer.Typer(help="One-time codes with which a person or a venue may publish.", no_args_is_help=True)
keys_app = typer.Typer(help="What was uploaded, and the signed files made of it.", no_args_is_help=True)
appeal_app = typer.Typer(help="Objections to a status: a person decides.", no_args_is_help=True)
venue_app = typer.Typer(help="What a venue does by itself; the platform sees neither.", no_args_is_help=True)
app.add_typer(code_app, name="code")
app.add_typer(keys_app, name="keys")
app.add_typer(appeal_app, name="appeal")
app.add_typer(venue_app, name="venue")
app.add_typer(exposure_device.app, name="device")

Data = Annotated[Path, typer.Argument(help="The platform's data folder; the platform must not be running.", metavar="DATA")]
By = Annotated[str, typer.Option("--as", help="The health official who does it; the password is asked for.", metavar="NAME")]
FILE_BYTES_MAX = 64 << 20


class For(StrEnum):
    """Whom a code is for."""

    PERSON = "person"
    VENUE = "venue"


class Verdict(StrEnum):
    """What a person decides about an appeal."""

    UPHOLD = "uphold"
    REJECT = "reject"


@code_app.command("issue")
def issue(
    data: Data,
    by: By,
    count: Annotated[
        int, typer.Option(help="How many at once: issued beforehand, their time tells nothing of a test.", min=1, max=100)
    ] = 1,
    purpose: Annotated[For, typer.Option("--for", help="A person's day keys, or a venue's hours.")] = For.PERSON,
    as_json: AsJson = False,
) -> None:
    """Issue one-time codes. They are printed once; the platform keeps only hashes. Example: tocsin exposure code issue centre --as hana --count 20"""
    with desk(as_json=as_json) as at, _platform(data) as (users, exposure):
        codes = exposure.issue(users.sign_in(by, password_of(f"password of {by}: "), "local"), count=count, purpose=purpose.value)
        at.answer({"codes": codes}, lambda console: console.print("\n".join(codes)))


@keys_app.command("upload")
def upload(
    data: Data,
    body: Annotated[Path, typer.Argument(help="What a phone or a venue made for the upload.", metavar="BODY")],
    as_json: AsJson = False,
) -> None:
    """Take an upload as the HTTP interface does. Example: tocsin exposure keys upload centre upload.json"""
    with desk(as_json=as_json) as at, _platform(data) as (_, exposure):
        from tocsin.interfaces.files import read_bounded
        from tocsin.security.exposure.upload import UPLOAD_BYTES, read_upload

        exposure.take(read_upload(read_bounded(body, 2 * UPLOAD_BYTES)))
        at.answer({"taken": True}, lambda console: console.print("taken; the code is used"))


@keys_app.command("export")
def export(
    data: Data,
    by: By,
    out: Annotated[Path, typer.Option(help="The folder for the files.", metavar="FOLDER")],
    as_json: AsJson = False,
) -> None:
    """Publish what is ready as signed files, once an hour at most. Example: tocsin exposure keys export centre --as hana --out published"""
    with desk(as_json=as_json) as at, _platform(data) as (users, exposure):
        from tocsin.interfaces.files import write_whole

        published = exposure.publish(users.sign_in(by, password_of(f"password of {by}: "), "local"))
        out.mkdir(parents=True, exist_ok=True)
        files = {f"{published.number}.zip": published.keys, f"{published.number}.venues.json": published.venues}
        for name, content in {**files, "public-key.pem": exposure.public_pem.encode()}.items():
            write_whole(out / name, content)
            at.wrote(out / name)
        told = {"number": published.number, "ends": published.ends, "files": sorted(files)}
        at.answer(told, lambda console: console.print(f"file {published.number}, until {published.ends:%Y-%m-%d %H:%M} UTC"))


@appeal_app.command("file")
def file_appeal(
    data: Data,
    form: Annotated[Path, typer.Argument(help="The form that the phone made.", metavar="FORM")],
    out: Annotated[
        Path | None, typer.Option(help="Where the ruling goes, once there is one. Default: not written.", metavar="FILE")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """File an appeal, or fetch the ruling on it. Example: tocsin exposure appeal file centre appeal.json --out ruling.json"""
    with desk(as_json=as_json) as at, _platform(data) as (_, exposure):
        import msgspec

        from tocsin.interfaces.files import write_whole
        from tocsin.security.exposure.status import Appeal

        made: Appeal = exposure_device.read_form(form, Appeal)
        due = exposure.file_appeal(made)
        ruling = exposure.ruling(made.id)
        if ruling is not None and out is not None:
            write_whole(out, msgspec.json.encode(ruling))
            at.wrote(out)
        words = "not decided yet" if ruling is None else ("upheld: " if ruling.upheld else "not upheld: ") + ruling.reason
        at.answer(
            {"id": made.id, "due": due, "ruling": ruling},
            lambda console: console.print(f"appeal {made.id}, to be decided by {due:%Y-%m-%d %H:%M} UTC: {words}"),
        )


@appeal_app.command("list")
def appeals(data: Data, by: By, as_json: AsJson = False) -> None:
    """List appeals, the most urgent first. Example: tocsin exposure appeal list centre --as hana"""
    with desk(as_json=as_json) as at, _platform(data) as (users, exposure):
        from tocsin.host import WallClock

        found, now = exposure.appeals(users.sign_in(by, password_of(f"password of {by}: "), "local")), WallClock().now()
        rows = [
            {"id": w.form.id, "due": w.due, "overdue": w.ruling is None and w.due < now, "form": w.form, "ruling": w.ruling}
            for w in found
        ]

        def text(console: Console) -> None:
            for w in found:
                state = "decided" if w.ruling else "OVERDUE" if w.due < now else f"due {w.due:%Y-%m-%d %H:%M} UTC"
                days = ", ".join(str(day) for day in w.form.days)
                console.print(f"{w.form.id}  {state}  {w.form.colour} for {w.form.purpose}, {days}: {w.form.words}")

        at.answer(rows, text)


@appeal_app.command("decide")
def decide(
    data: Data,
    appeal: Annotated[str, typer.Argument(help="The appeal's name, from `appeal list`.", metavar="APPEAL")],
    by: By,
    reason: Annotated[str, typer.Option(help="What the person reads.", metavar="TEXT")],
    verdict: Annotated[
        Verdict, typer.Option(help="uphold: the days of the appeal count for nothing; or reject.", metavar="WORD")
    ],
    as_json: AsJson = False,
) -> None:
    """Rule on an appeal. Example: tocsin exposure appeal decide centre 3f2a --as hana --verdict uphold --reason "a wall was between" """
    with desk(as_json=as_json) as at, _platform(data) as (users, exposure):
        actor = users.sign_in(by, password_of(f"password of {by}: "), "local")
        ruling = exposure.decide(actor, appeal, upheld=verdict is Verdict.UPHOLD, reason=reason)
        at.answer(ruling, lambda console: console.print(f"{'upheld' if ruling.upheld else 'not upheld'}: {ruling.reason}"))


@venue_app.command("new")
def venue(
    words: Annotated[str, typer.Argument(help="What a visitor reads before agreeing.", metavar="WORDS")],
    out: Annotated[Path, typer.Option(help="Where the code goes: its text is what the QR code holds.", metavar="FILE")],
    as_json: AsJson = False,
) -> None:
    """Make a venue's code. Example: tocsin exposure venue new "Café Lindgren" --out door.json"""
    with desk(as_json=as_json) as at:
        from tocsin.interfaces.files import write_whole
        from tocsin.security.exposure.venues import new_venue_code

        write_whole(out, new_venue_code(words).text())
        at.wrote(out)
        at.answer({"file": str(out)}, lambda console: console.print(f"{out}: print it as a QR code, and a new one every month"))


@venue_app.command("notice")
def notice(
    door: Annotated[Path, typer.Argument(help="The venue's code, from `venue new`.", metavar="CODE")],
    code: Annotated[str, typer.Option(help="The one-time code for a venue, from the health official.", metavar="CODE")],
    entered: Annotated[datetime, typer.Option(help="When the person who tested positive came, UTC.")],
    left: Annotated[datetime, typer.Option(help="When that person left, UTC.")],
    out: Annotated[Path, typer.Option(help="Where the upload goes.", metavar="FILE")],
    as_json: AsJson = False,
) -> None:
    """Make the upload that warns who was there then.

    Example: tocsin exposure venue notice door.json --code ABCD-EFGH-JKMN --entered 2026-05-01T19:00 --left 2026-05-01T21:30 --out notice.json
    """
    with desk(as_json=as_json) as at:
        from datetime import UTC

        from tocsin.interfaces.files import read_bounded, write_whole
        from tocsin.security.exposure.upload import Upload
        from tocsin.security.exposure.venues import CODE_BYTES_MAX, notices, read_venue_code

        told = notices(read_venue_code(read_bounded(door, CODE_BYTES_MAX)), entered.replace(tzinfo=UTC), left.replace(tzinfo=UTC))
        write_whole(out, Upload(code, notices=tuple(told)).packed())
        at.wrote(out)
        at.answer({"hours": len(told), "file": str(out)}, lambda console: console.print(f"{len(told)} hours in {out}"))


@app.command("flows")
def flows(
    data: Data,
    contributions: Annotated[Path, typer.Argument(help="Journeys as CSV: day, from, to; one a person and day.", metavar="CSV")],
    by: By,
    zones: Annotated[Path, typer.Option(help="The names of all zones, one a line; not taken from the journeys.", metavar="FILE")],
    epsilon: Annotated[str, typer.Option(help="Privacy spent on each day: smaller tells less.", metavar="NUMBER")] = "1",
    k: Annotated[int, typer.Option("--k", help="The fewest persons that are told.", min=2)] = 10,
    slip: Annotated[
        float, typer.Option(help="The chance that a cell of fewer than k is told all the same.", metavar="CHANCE")
    ] = 0.001,
    as_json: AsJson = False,
) -> None:
    """Tell how many went from where to where, with noise and a threshold; each day once.

    Example: tocsin exposure flows centre journeys.csv --as hana --zones zones.txt
    """
    with desk(as_json=as_json) as at, _platform(data) as (users, exposure):
        from tocsin.flows.movements import read_contributions, release_movements
        from tocsin.interfaces.files import read_bounded
        from tocsin.science.anonymity import rule_of

        rule = rule_of(epsilon=epsilon, sensitivity=1, k=k, slip=slip)
        actor = users.sign_in(by, password_of(f"password of {by}: "), "local")
        names = [line.strip() for line in _text(read_bounded(zones, 2**20), zones).splitlines() if line.strip()]
        counts = read_contributions(
            _text(read_bounded(contributions, 4 * FILE_BYTES_MAX), contributions), names, where=str(contributions)
        )
        told = release_movements(exposure, actor, counts, names, rule, epsilon=epsilon)
        at.answer(told, lambda console: _tell_flows(console, told))


def _tell_flows(console: Console, told: list[Movements]) -> None:
    for day in told:
        console.print(
            f"{day.day}: epsilon {day.epsilon}, told from {day.told_from}; {day.silent} of {len(day.cells)} cells silent",
            style="bold",
        )
        for cell in day.cells:
            if cell.persons is not None:
                console.print(f"  {cell.source} -> {cell.target}: about {cell.persons}")


@app.command("drill")
def drill(
    phones: Annotated[int, typer.Option(help="How many phones.", min=2, max=100_000)] = 200,
    days: Annotated[int, typer.Option(help="How many days they live.", min=1, max=10)] = 3,
    positive: Annotated[int, typer.Option(help="How many people test positive at the end.", min=0)] = 5,
    seed: Annotated[int, typer.Option(help="Which meetings there are; the keys are always fresh.")] = 0,
    keep: Annotated[
        Path | None,
        typer.Option(help="Keep the platform's folder, to see what an authority has. Default: thrown away.", metavar="FOLDER"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let phones meet, people test positive, and hold each phone's colour against what truly happened. Example: tocsin exposure drill --phones 200"""
    with desk(as_json=as_json) as at:
        import tempfile

        from tocsin.flows.exposure_drill import drill_in

        with tempfile.TemporaryDirectory() as scratch:
            folder = keep if keep is not None else Path(scratch) / "centre"
            done = drill_in(folder, phones=phones, days=days, positive=positive, seed=seed, on_progress=at.progress)
        at.answer(done, lambda console: _tell_drill(console, done))
        if done.differ:
            raise typer.Exit(1)


def _tell_drill(console: Console, done: Drilled) -> None:
    console.print(
        f"{done.phones} phones, {done.days} days, {done.meetings} meetings, {done.visits} visits; {done.positive} tested positive"
    )
    console.print(f"one file for all: {done.published_keys} keys (most of them invented), {done.file_bytes:,} bytes")
    console.print(", ".join(f"{colour} {count}" for colour, count in done.colours.items()))
    console.print(f"{done.differ} phones differ from what truly happened", style="bold")


@contextmanager
def _platform(data: Path) -> Iterator[tuple[Users, Exposure]]:
    """The people and the health codes of a data folder, while no platform writes it."""
    from tocsin.flows.exposure import Exposure
    from tocsin.host import WallClock
    from tocsin.platform.ledger import open_ledger
    from tocsin.platform.store import open_users
    from tocsin.security.gate import RoleGate
    from tocsin.vocabulary import NotFound

    if not data.is_dir():
        raise NotFound(f"{data}: there is no such data folder; `tocsin user add` begins one")
    clock, gate = WallClock(), RoleGate()
    ledger = open_ledger(data, clock=clock, gate=gate)
    try:
        yield (
            open_users(ledger.store, clock=clock, gate=gate, ledger=ledger),
            Exposure(ledger.store, clock=clock, gate=gate, ledger=ledger),
        )
    finally:
        ledger.close()


def _text(data: bytes, path: Path) -> str:
    from tocsin.vocabulary import InputError

    try:
        return data.decode()
    except UnicodeDecodeError as fault:
        raise InputError(f"{path}: byte {fault.start} is not UTF-8 text") from fault
