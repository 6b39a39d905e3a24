"""tocsin exposure device: a simulated phone, in one file, for drills and for those who write an app."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.interfaces.cli.desk import AsJson, desk

if TYPE_CHECKING:
    from rich.console import Console

    from tocsin.edge.phone import Phone
    from tocsin.security.exposure.risk import Risk
    from tocsin.security.exposure.status import Status

app = typer.Typer(
    help="A simulated phone in one file: hear, visit, take published keys, show the status, object.", no_args_is_help=True
)

File = Annotated[Path, typer.Argument(help="The phone's file; made where there is none.", metavar="PHONE")]
At = Annotated[datetime | None, typer.Option("--at", help="When it happens, UTC, as 2026-05-01T12:00. Default: now.")]
Purpose = Annotated[
    str, typer.Option("--for", help="What the status is asked for; it holds for nothing else.", metavar="PURPOSE")
]
RiskFile = Annotated[
    Path | None,
    typer.Option("--risk", help="A health authority's parameters as TOML. Default: those that come with Tocsin.", metavar="FILE"),
]
DiseaseOption = Annotated[
    str,
    typer.Option(
        "--disease",
        help="Whose infectiousness counts: covid-2020 or ebola-2014; a file for --risk may say otherwise.",
        metavar="NAME",
    ),
]
FORM_BYTES_MAX = 2**16


@app.command("say")
def say(phone: File, at_time: At = None, as_json: AsJson = False) -> None:
    """Print what the phone sends by radio now. Example: tocsin exposure device say ada.phone"""
    with desk(as_json=as_json) as at, _phone(phone, at_time) as held:
        rpi, aem = held.say()
        at.answer({"rpi": rpi.hex(), "aem": aem.hex()}, lambda console: console.print(f"{rpi.hex()} {aem.hex()}"))


@app.command("hear")
def hear(
    phone: File,
    rpi: Annotated[str, typer.Argument(help="The identifier, in hexadecimal.", metavar="RPI")],
    aem: Annotated[str, typer.Argument(help="The encrypted metadata, in hexadecimal.", metavar="AEM")],
    rssi: Annotated[int, typer.Option(help="How loud it was, dBm.", metavar="DBM")],
    seconds: Annotated[float, typer.Option(help="For how long, up to 600.", metavar="S")],
    at_time: At = None,
    as_json: AsJson = False,
) -> None:
    """Let the phone hear another. Example: tocsin exposure device hear ada.phone 8be6cd371c5c891604bfbe49df845096 72033874 --rssi -70 --seconds 300"""
    with desk(as_json=as_json) as at, _phone(phone, at_time) as held:
        held.hear(_hex(rpi), _hex(aem), rssi_dbm=rssi, seconds=seconds)
        at.answer({"heard": True}, lambda console: console.print("heard"))


@app.command("visit")
def visit(
    phone: File,
    door: Annotated[Path, typer.Argument(help="The code at the door, from `venue new`.", metavar="CODE")],
    entered: Annotated[datetime, typer.Option(help="When the person came, UTC.")],
    left: Annotated[datetime, typer.Option(help="When the person left, UTC.")],
    at_time: At = None,
    as_json: AsJson = False,
) -> None:
    """Keep a visit, without the venue's name. Example: tocsin exposure device visit ada.phone door.json --entered 2026-05-01T19:30 --left 2026-05-01T21:00"""
    with desk(as_json=as_json) as at, _phone(phone, at_time) as held:
        from datetime import UTC

        from tocsin.interfaces.files import read_bounded
        from tocsin.security.exposure.venues import CODE_BYTES_MAX

        words = held.visit(read_bounded(door, CODE_BYTES_MAX), entered=entered.replace(tzinfo=UTC), left=left.replace(tzinfo=UTC))
        at.answer({"words": words}, lambda console: console.print(f"kept: {words}"))


@app.command("take")
def take(
    phone: File,
    keys: Annotated[
        Path, typer.Argument(help="A published file, NUMBER.zip; NUMBER.venues.json beside it is taken too.", metavar="FILE")
    ],
    public_key: Annotated[Path, typer.Option(help="The platform's public key, from `keys export`.", metavar="PEM")],
    risk: RiskFile = None,
    disease: DiseaseOption = "covid-2020",
    at_time: At = None,
    as_json: AsJson = False,
) -> None:
    """Match a published file with what was heard and visited. Example: tocsin exposure device take ada.phone published/494000.zip --public-key published/public-key.pem"""
    with desk(as_json=as_json) as at, _phone(phone, at_time) as held:
        import hashlib

        from tocsin.flows.exposure import read_venues
        from tocsin.interfaces.files import read_bounded
        from tocsin.security.exposure.export import FILE_BYTES_MAX, read_export

        pem, archive = read_bounded(public_key, 10_000).decode(errors="replace"), read_bounded(keys, FILE_BYTES_MAX)
        beside = keys.with_suffix(".venues.json")
        venues = read_bounded(beside, FILE_BYTES_MAX) if beside.is_file() else b""
        notices = read_venues(venues, pem, where=str(beside)).notices if venues else ()
        digest = hashlib.sha256(archive + venues).hexdigest()
        taken = held.take(read_export(archive, pem, where=str(keys)), notices, digest=digest, risk=_risk(risk, disease))
        at.answer(
            taken,
            lambda console: console.print(
                f"{taken.keys} keys: {taken.matched} sightings and {taken.visits} hours of visits matched, {taken.replayed} replays"
            ),
        )


@app.command("status")
def status(
    phone: File,
    purpose: Purpose,
    challenge: Annotated[
        str,
        typer.Option(
            help="Answer this challenge with a signed statement: 32 letters of whoever asks. Default: none.", metavar="HEX"
        ),
    ] = "",
    risk: RiskFile = None,
    disease: DiseaseOption = "covid-2020",
    at_time: At = None,
    as_json: AsJson = False,
) -> None:
    """Show the status, worked out now and sent to nobody. Example: tocsin exposure device status ada.phone --for "visit a ward" """
    with desk(as_json=as_json) as at, _phone(phone, at_time) as held:
        from tocsin.security.exposure.status import state

        told = held.status(purpose=purpose, risk=_risk(risk, disease))
        if challenge:
            statement = state(told, challenge)
            at.answer(
                statement,
                lambda console: console.print(f"{statement.colour} for {statement.purpose} until {statement.until:%H:%M} UTC"),
            )
        else:
            at.answer(told, lambda console: _tell_status(console, told))


def _tell_status(console: Console, told: Status) -> None:
    console.print(f"{told.colour.upper()} for {told.purpose}, until {told.expires:%Y-%m-%d %H:%M} UTC", style="bold")
    console.print(told.says)
    console.print(told.appeal)
    if told.rests_on:
        console.print(f"rests on numbers that no publication gives: {', '.join(told.rests_on)}")


@app.command("upload")
def upload(
    phone: File,
    onset: Annotated[datetime, typer.Option(help="The day of the first symptoms, or of the test.", formats=["%Y-%m-%d"])],
    code: Annotated[str, typer.Option(help="The one-time code from the health official.", metavar="CODE")],
    out: Annotated[Path, typer.Option(help="Where the upload goes.", metavar="FILE")],
    at_time: At = None,
    as_json: AsJson = False,
) -> None:
    """Make the upload of the phone's own keys; do it only with the person's consent.

    Example: tocsin exposure device upload ada.phone --onset 2026-05-01 --code ABCD-EFGH-JKMN --out upload.json
    """
    with desk(as_json=as_json) as at, _phone(phone, at_time) as held:
        from tocsin.interfaces.files import write_whole
        from tocsin.security.exposure.codes import spelt
        from tocsin.security.exposure.upload import real_upload

        spelt(code)
        keys = held.day_keys()
        write_whole(out, real_upload(code, keys, onset.date()).packed())
        at.wrote(out)
        at.answer({"keys": len(keys), "file": str(out)}, lambda console: console.print(f"{len(keys)} keys in {out}"))


@app.command("appeal")
def appeal(
    phone: File,
    purpose: Purpose,
    words: Annotated[str, typer.Option(help="Why the status is wrong; write no more than is needed.", metavar="TEXT")],
    out: Annotated[Path, typer.Option(help="Where the form goes.", metavar="FILE")],
    risk: RiskFile = None,
    disease: DiseaseOption = "covid-2020",
    at_time: At = None,
    as_json: AsJson = False,
) -> None:
    """Object to the status. Example: tocsin exposure device appeal ada.phone --for "visit a ward" --words "a wall was between" --out appeal.json"""
    with desk(as_json=as_json) as at, _phone(phone, at_time) as held:
        import msgspec

        from tocsin.interfaces.files import write_whole

        form = held.appeal(words, purpose=purpose, risk=_risk(risk, disease))
        write_whole(out, msgspec.json.encode(form))
        at.wrote(out)
        at.answer(form, lambda console: console.print(f"appeal {form.id} in {out}"))


@app.command("rule")
def rule(
    phone: File,
    ruling: Annotated[Path, typer.Argument(help="The ruling, from `appeal file`.", metavar="RULING")],
    public_key: Annotated[Path, typer.Option(help="The platform's public key, from `keys export`.", metavar="PEM")],
    as_json: AsJson = False,
) -> None:
    """Let the phone take the ruling on its appeal. Example: tocsin exposure device rule ada.phone ruling.json --public-key published/public-key.pem"""
    with desk(as_json=as_json) as at, _phone(phone, None) as held:
        from tocsin.interfaces.files import read_bounded
        from tocsin.security.exposure.status import Ruling

        made = read_form(ruling, Ruling)
        held.hear_ruling(made, read_bounded(public_key, 10_000).decode(errors="replace"))
        at.answer(made, lambda console: console.print(f"{'upheld' if made.upheld else 'not upheld'}: {made.reason}"))


@app.command("forget")
def forget(phone: File, as_json: AsJson = False) -> None:
    """Delete everything that the phone holds. Example: tocsin exposure device forget ada.phone"""
    with desk(as_json=as_json) as at, _phone(phone, None) as held:
        held.forget()
        at.answer({"forgotten": True}, lambda console: console.print("forgotten"))


@contextmanager
def _phone(path: Path, at_time: datetime | None) -> Iterator[Phone]:
    from datetime import UTC

    from tocsin.edge.phone import Phone
    from tocsin.flows.exposure_drill import DrillClock
    from tocsin.host import WallClock

    held = Phone(path, clock=WallClock() if at_time is None else DrillClock(at_time.replace(tzinfo=UTC)))
    try:
        yield held
    finally:
        held.close()


def _risk(path: Path | None, disease: str) -> Risk:
    from tocsin.interfaces.files import read_bounded
    from tocsin.science.diseases import BY_WORD
    from tocsin.security.exposure.risk import own_risk, read_risk
    from tocsin.vocabulary import NotFound

    if disease not in BY_WORD:
        raise NotFound(f"--disease {disease[:40]!r}; there are: {', '.join(BY_WORD)}")
    if path is None:
        return own_risk(BY_WORD[disease])
    return read_risk(read_bounded(path, FORM_BYTES_MAX).decode(errors="replace"), where=str(path), disease=BY_WORD[disease])


def read_form(path: Path, kind: type[Any]) -> Any:
    """A form as JSON; raises InputError where it is none."""
    import msgspec

    from tocsin.interfaces.files import read_bounded
    from tocsin.vocabulary import InputError

    try:
        return msgspec.json.decode(read_bounded(path, FORM_BYTES_MAX), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
        raise InputError(f"{path}: is no {kind.__name__.lower()}: {fault}") from fault


def _hex(text: str) -> bytes:
    from tocsin.vocabulary import InputError

    try:
        return bytes.fromhex(text)
    except ValueError as fault:
        raise InputError(f"{text[:40]!r}: is not hexadecimal") from fault
