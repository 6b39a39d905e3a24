"""tocsin warn: draft, update, cancel and read warnings as CAP 1.2. Nothing here sends one: a person approves first."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.interfaces.cli.desk import AsJson, Desk, desk

if TYPE_CHECKING:
    from rich.console import Console

    from tocsin.flows.alerts import Message
    from tocsin.platform.exchange import Alert, CapReading

app = typer.Typer(help="Draft, update, cancel and read warnings as CAP 1.2. Nothing is sent from here.", no_args_is_help=True)


class Colour(StrEnum):
    """The four warning levels."""

    BLUE = "blue"
    YELLOW = "yellow"
    ORANGE = "orange"
    RED = "red"


class DraftStatus(StrEnum):
    """The states in which a message may be written here; Actual comes only from an approval on the platform."""

    DRAFT = "Draft"
    EXERCISE = "Exercise"
    SYSTEM = "System"
    TEST = "Test"


Level = Annotated[
    Colour, typer.Option(help="Warning level; it sets severity, urgency and certainty as docs/reference/cap.md says.")
]
Headline = Annotated[str, typer.Option(help="One sentence for the public, at most 160 characters.", metavar="TEXT")]
Description = Annotated[str, typer.Option(help="What happens, where and how bad.", metavar="TEXT")]
Instruction = Annotated[
    str, typer.Option(help="What to do, and where to go. Default: none, which is advised against.", metavar="TEXT")
]
Expires = Annotated[
    str, typer.Option(help="How long the message holds, with a unit: 30min, 6h, 2d. At most 31d.", metavar="SPAN")
]
Language = Annotated[str, typer.Option(help="Language of the texts, e.g. en, pt-BR, zh.", metavar="CODE")]
Event = Annotated[
    str,
    typer.Option(help="What the event is called, at most 35 characters. Default: as the hazard's pack calls it.", metavar="TEXT"),
]
Status = Annotated[DraftStatus, typer.Option(help="Draft, Exercise, System or Test; Actual is given only by an approval.")]
Exercise = Annotated[
    str, typer.Option(help="Name of the exercise; needed with --status Exercise. Default: none.", metavar="TEXT")
]
Identifier = Annotated[
    str, typer.Option(help="Name of the message. Default: made of the sender, the time and the content.", metavar="TEXT")
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="File to write the XML to. Default: the XML goes to stdout.", metavar="FILE")
]
Earlier = Annotated[Path, typer.Argument(help="CAP file of the message that was sent.", metavar="FILE")]


@app.command("draft")
def draft(
    folder: Annotated[Path, typer.Argument(help="The twin's folder: its zones give the area.", metavar="FOLDER")],
    level: Level,
    zone: Annotated[list[str], typer.Option(help="A zone of the twin by name; may be given several times.", metavar="ZONE")],
    headline: Headline,
    description: Description,
    sender: Annotated[
        str, typer.Option(help="Who warns: an address of yours without spaces, e.g. warnings@city.example.", metavar="ADDRESS")
    ],
    instruction: Instruction = "",
    expires: Expires = "6h",
    language: Language = "en",
    hazard: Annotated[
        str, typer.Option(help="The hazard, any installed pack: it gives the message its category and event.", metavar="HAZARD")
    ] = "flood",
    event: Event = "",
    sender_name: Annotated[str, typer.Option(help="The sender's name for people. Default: none.", metavar="TEXT")] = "",
    status: Status = DraftStatus.DRAFT,
    exercise: Exercise = "",
    identifier: Identifier = "",
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """Draft a warning for zones of a twin.

    Example: tocsin warn draft my-city --level red --zone Riverside --headline "Leave Riverside now" --description "The river rises over
    the quay." --sender warnings@city.example -o riverside.xml
    """
    with desk(as_json=as_json) as at:
        from tocsin.flows.alerts import draft_message
        from tocsin.host import WallClock
        from tocsin.interfaces.units import duration_s
        from tocsin.platform.twin import open_twin
        from tocsin.vocabulary import Level as Step

        message = draft_message(
            open_twin(folder),
            zones=zone,
            level=Step[level.name],
            headline=headline,
            description=description,
            instruction=instruction,
            holds_s=duration_s(expires, "--expires"),
            language=language,
            hazard=hazard,
            event=event,
            sender=sender,
            sender_name=sender_name,
            status=status.value,
            exercise=exercise,
            identifier=identifier,
            now=WallClock().now(),
        )
        _give(at, message, output)


@app.command("update")
def update(
    file: Earlier,
    level: Level,
    headline: Headline,
    description: Description,
    instruction: Instruction = "",
    expires: Expires = "6h",
    language: Annotated[
        str, typer.Option(help="Language of the texts. Default: that of the earlier message.", metavar="CODE")
    ] = "",
    status: Status = DraftStatus.DRAFT,
    exercise: Exercise = "",
    identifier: Identifier = "",
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """Draft a message that replaces an earlier one, for the same areas.

    Example: tocsin warn update riverside.xml --level orange --headline "The water falls" --description "0.3 m lower since noon."
    """
    with desk(as_json=as_json) as at:
        from tocsin.flows.alerts import update_message
        from tocsin.host import WallClock
        from tocsin.interfaces.units import duration_s
        from tocsin.vocabulary import Level as Step

        message = update_message(
            sent_message(file),
            level=Step[level.name],
            headline=headline,
            description=description,
            instruction=instruction,
            holds_s=duration_s(expires, "--expires"),
            language=language,
            status=status.value,
            exercise=exercise,
            identifier=identifier,
            now=WallClock().now(),
        )
        _give(at, message, output)


@app.command("cancel")
def cancel(
    file: Earlier,
    reason: Annotated[str, typer.Option(help="Why it is called back: a sentence for the message's note.", metavar="TEXT")],
    headline: Annotated[
        str, typer.Option(help="All-clear for the public. Default: none, and receivers only remove the warning.", metavar="TEXT")
    ] = "",
    description: Annotated[
        str, typer.Option(help="What the all-clear says; needed with --headline. Default: the reason.", metavar="TEXT")
    ] = "",
    expires: Annotated[str, typer.Option(help="How long the all-clear is shown, with a unit: 30min, 6h.", metavar="SPAN")] = "6h",
    identifier: Identifier = "",
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """Draft a message that calls an earlier one back.

    Example: tocsin warn cancel riverside.xml --reason "The river is below the quay again." --headline "Riverside is safe again"
    """
    with desk(as_json=as_json) as at:
        from tocsin.flows.alerts import cancel_message
        from tocsin.host import WallClock
        from tocsin.interfaces.units import duration_s

        message = cancel_message(
            sent_message(file),
            reason=reason,
            headline=headline,
            description=description,
            holds_s=duration_s(expires, "--expires"),
            identifier=identifier,
            now=WallClock().now(),
        )
        _give(at, message, output)


@app.command("read")
def read(
    file: Annotated[Path, typer.Argument(help="A CAP file, 1.0, 1.1 or 1.2, also a broken one.", metavar="FILE")],
    as_json: AsJson = False,
) -> None:
    """Read a CAP message and say what is wrong with it. Exit code 1 where nothing safe can be made of it.

    Example: tocsin warn read alert.xml
    """
    with desk(as_json=as_json) as at:
        import msgspec

        reading = _reading(file)
        at.answer(msgspec.to_builtins(reading), lambda console: _tell(console, reading))
        if reading.alert is None:
            raise typer.Exit(1)


def sent_message(file: Path) -> Alert:
    """The alert in a file; raises InputError where nothing safe can be made of it."""
    from tocsin.vocabulary import InputError

    reading = _reading(file)
    if reading.alert is None:
        raise InputError(f"{file}: is no CAP message that can be followed: {'; '.join(map(str, reading.problems[:3]))}")
    return reading.alert


def _reading(file: Path) -> CapReading:
    from tocsin.interfaces.files import read_bounded
    from tocsin.platform.exchange import read_cap
    from tocsin.platform.exchange.cap_reader import ALERT_BYTES_MAX

    return read_cap(read_bounded(file, ALERT_BYTES_MAX))


def _give(at: Desk, message: Message, output: Path | None) -> None:
    """The message as XML on stdout or in a file, and what a person should look at before approving it."""
    if output is not None:
        from tocsin.interfaces.files import write_whole

        write_whole(output, message.xml)
        at.wrote(output)
    for advice in message.advice:
        at.note(f"look at it: {advice}")
    alert = message.alert
    if at.as_json:
        data: dict[str, Any] = {
            "identifier": alert.identifier,
            "status": alert.status,
            "message_type": alert.msg_type,
            "sent": alert.sent,
            "advice": [str(a) for a in message.advice],
            "file": None if output is None else str(output),
            "xml": message.xml.decode(),
        }
        at.json(data)
    elif output is None:
        sys.stdout.write(message.xml.decode())


def _tell(console: Console, reading: CapReading) -> None:
    alert = reading.alert
    if alert is None:
        console.print("no warning: nothing safe can be made of these bytes")
    else:
        signed = "a signature is there and was NOT verified" if reading.signed else "not signed"
        console.print(f"{alert.status} {alert.msg_type} {alert.identifier}", style="bold")
        console.print(f"from {alert.sender}, sent {alert.sent.isoformat()}, CAP {reading.version or '?'}, {signed}")
        if alert.note:
            console.print(f"note: {alert.note}")
        for info in alert.info:
            until = f" until {info.expires.isoformat()}" if info.expires else ""
            console.print(
                f"\n[{info.language}] {info.event}: {info.severity}, {info.urgency}, {info.certainty}{until}", style="bold"
            )
            for line in (info.headline, info.description, info.instruction):
                if line:
                    console.print(line)
            for area in info.area:
                shapes = f"{len(area.polygons)} polygons, {len(area.circles)} circles, {len(area.geocodes)} codes"
                console.print(f"area: {area.description} ({shapes})")
    if reading.problems:
        console.print(f"\n{len(reading.problems)} problems:", style="bold")
        for problem in reading.problems:
            console.print(f"  {problem}")
