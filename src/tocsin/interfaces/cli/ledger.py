"""tocsin ledger: read the record, verify it, and prove to an outsider that something is in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tocsin.interfaces.cli.desk import AsJson, desk

if TYPE_CHECKING:
    from rich.console import Console

    from tocsin.host import Entry
    from tocsin.platform.ledger import SqliteLedger
    from tocsin.vocabulary import Record

app = typer.Typer(help="Read the record, verify it, and prove what is in it. Only `rekey` writes to it.", no_args_is_help=True)

Data = Annotated[Path, typer.Argument(help="The platform's data folder; it may be running meanwhile.", metavar="DATA")]
RecordId = Annotated[str, typer.Argument(help="A record's id, e.g. order-0f3c...; `ledger show` lists them.", metavar="ID")]
FOLLOW_EVERY_S = 1.0
PROOF_BYTES_MAX = 16 * 2**20
HEAD_BYTES_MAX = 64 * 2**10


@app.command("verify")
def verify(
    data: Data,
    witness: Annotated[
        Path | None,
        typer.Option(
            help="A head that was kept elsewhere, from `ledger head`; finds what a thief of the key rewrote. Default: none.",
            metavar="FILE",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Recompute every hash, link and signature. Exit code 1 at the first that does not hold. Example: tocsin ledger verify centre"""
    with desk(as_json=as_json) as at, reading(data) as ledger:
        from tocsin.interfaces.files import read_bounded
        from tocsin.security.keys import fingerprint
        from tocsin.security.proof import read_head

        seen = None if witness is None else read_head(read_bounded(witness, HEAD_BYTES_MAX))
        entries, head = ledger.verify(seen), ledger.tree_head()
        found = {
            "ok": True,
            "entries": entries,
            "root": head.root,
            "ledger": ledger.id,
            "purpose": ledger.purpose,
            "signed": head.time,
            "key": fingerprint(head.public_key),
            "witness": None if seen is None else seen.size,
        }

        def text(console: Console) -> None:
            console.print(f"Every entry, link and signature holds: {entries:,} entries, purpose {ledger.purpose}.")
            console.print(f"root {head.root}\nsigned {head.time.isoformat()} by the key {fingerprint(head.public_key)}")
            if seen is not None:
                console.print(f"The first {seen.size:,} entries are those that the witness of {seen.time.isoformat()} saw.")

        at.answer(found, text)


@app.command("show")
def show(
    data: Data,
    after: Annotated[int, typer.Option(help="Begin after this entry number.", min=0)] = 0,
    limit: Annotated[int, typer.Option(help="Show at most this many entries.", min=1, max=1_000_000)] = 200,
    kind: Annotated[
        str,
        typer.Option(
            help="Only records of this kind: warning, alertdraft, forecast, comparison, decision, order and so on. Default: all.",
            metavar="KIND",
        ),
    ] = "",
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Go on with what is written next, until Ctrl-C. Default: stop at the end."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the entries, oldest first; with --follow and --json one JSON object a line. Example: tocsin ledger show centre --after 100"""
    with desk(as_json=as_json) as at, reading(data) as ledger:
        if follow:
            _follow(ledger, after, kind, as_json)
        else:
            from itertools import islice

            found = list(islice(_of_kind(ledger.read(after), kind), limit + 1))
            entries = found[:limit]
            at.answer(entries, lambda console: console.print("\n".join(map(_line, entries))))
            if len(found) > limit:
                at.note(f"There is more: these are the first {limit:,}; --after {entries[-1].number} goes on.")


@app.command("chain")
def chain(data: Data, record: RecordId, as_json: AsJson = False) -> None:
    """Walk from a record back to what caused it, down to the readings. Example: tocsin ledger chain centre order-0f3c1b"""
    with desk(as_json=as_json) as at, reading(data) as ledger:
        found = ledger.chain(record)

        def text(console: Console) -> None:
            for node in found.nodes:
                console.print(
                    "  " * node.depth + (_line(node.entry) if node.entry is not None else f"{node.id[:24]}  a batch of readings")
                )
            if not found.complete:
                console.print(f"There is more: only the first {len(found.nodes)} are shown.")

        at.answer(found, text)


@app.command("prove")
def prove(
    data: Data,
    record: RecordId,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write the proof to, JSON.", metavar="FILE")],
    as_json: AsJson = False,
) -> None:
    """Write a proof that a record is in the ledger, for somebody who does not have it. Example: tocsin ledger prove centre ID -o proof.json"""
    with desk(as_json=as_json) as at, reading(data) as ledger:
        import msgspec

        from tocsin.interfaces.files import write_whole
        from tocsin.security.keys import fingerprint

        proof = ledger.prove(record)
        write_whole(output, msgspec.json.format(msgspec.json.encode(proof), indent=2) + b"\n")
        at.wrote(output)
        key = fingerprint(proof.head.public_key)
        found = {"file": str(output), "record": record, "entries": proof.head.size, "key": key}
        at.answer(
            found,
            lambda console: console.print(
                f"Proof of {record} among {proof.head.size:,} entries; tell the key by another way: {key}"
            ),
        )


@app.command("check")
def check(
    proof: Annotated[Path, typer.Argument(help="The proof, from `ledger prove`.", metavar="PROOF")],
    key: Annotated[
        str,
        typer.Option(
            help="The platform's public key or its fingerprint, as its operators told you by another way. Default: any key.",
            metavar="KEY",
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Check a proof without the ledger. Exit code 1 where it does not hold. Example: tocsin ledger check proof.json --key 1a2b-3c4d-..."""
    with desk(as_json=as_json) as at:
        from tocsin.interfaces.files import read_bounded
        from tocsin.security.proof import check_entry

        found = check_entry(read_bounded(proof, PROOF_BYTES_MAX), key=key or None)

        def text(console: Console) -> None:
            console.print(
                f"The proof holds: {found.actor} wrote this as entry {found.number:,} of {found.entries:,}, {found.written.isoformat()}."
            )
            console.print(_told(found.id, found.record))
            console.print(
                f"ledger {found.ledger}, purpose {found.purpose}, signed {found.signed.isoformat()} by the key {found.key_fingerprint}"
            )
            if not found.key_is_given:
                console.print("No --key was given: compare the key with what the platform's operators tell you by another way.")

        at.answer(found, text)


@app.command("head")
def head(
    data: Data,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write the head to. Default: it goes to stdout.", metavar="FILE")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the newest signed head, always as JSON: keep it elsewhere, as a witness. Example: tocsin ledger head centre -o monday.json"""
    with desk(as_json=as_json) as at, reading(data) as ledger:
        import msgspec

        newest = ledger.tree_head()
        if output is not None:
            from tocsin.interfaces.files import write_whole

            write_whole(output, msgspec.json.format(msgspec.json.encode(newest), indent=2) + b"\n")
            at.wrote(output)
        if output is None or as_json:
            at.json(newest)


@app.command("rekey")
def rekey(
    data: Annotated[Path, typer.Argument(help="The platform's data folder; the platform must not be running.", metavar="DATA")],
    reason: Annotated[str, typer.Option(help="Why the key is lost, in a line; it goes into the record.", metavar="TEXT")],
    witness: Annotated[
        Path | None,
        typer.Option(
            help="A head that was kept elsewhere: without one, nothing tells a lost key from a ledger that was forged. Default: none.",
            metavar="FILE",
        ),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do it without being asked. Default: ask, and refuse where nobody can answer.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Take a new node key where `node.key` is lost for good. Everything is verified first, and the change is an entry that stays.

    Example: tocsin ledger rekey centre --reason "disk broke, no backup" --witness monday.json
    """
    with desk(as_json=as_json) as at:
        import getpass

        from tocsin.host import WallClock
        from tocsin.interfaces.files import read_bounded
        from tocsin.platform.ledger import NewKey, open_ledger
        from tocsin.security.gate import RoleGate
        from tocsin.security.keys import fingerprint
        from tocsin.security.proof import read_head
        from tocsin.vocabulary import NotFound

        if not (data / "tocsin.db").is_file():
            raise NotFound(f"{data / 'tocsin.db'}: is not there; wanted the data folder of a platform")
        seen = None if witness is None else read_head(read_bounded(witness, HEAD_BYTES_MAX))
        new = NewKey(by=f"local {getpass.getuser()}", reason=reason, witness=seen)
        _must_be_sure(data, yes=yes)
        ledger = open_ledger(data, clock=WallClock(), gate=RoleGate(), new_key=new)
        try:
            head = ledger.tree_head()
        finally:
            ledger.close()
        key = fingerprint(head.public_key)
        found = {"key": key, "public_key": head.public_key, "entries": head.size, "root": head.root, "ledger": head.ledger}

        def text(console: Console) -> None:
            console.print(f"The node key is now {key}; entry {head.size:,} says so. Tell it to those who check your proofs.")
            console.print(f"Back up {data / 'node.key'}, and keep a head elsewhere: tocsin ledger head {data} -o FILE")

        at.answer(found, text)


def _must_be_sure(data: Path, *, yes: bool) -> None:
    """Return if the person said yes, now or with --yes."""
    if yes:
        return
    import sys

    from tocsin.vocabulary import Refused

    if not sys.stdin.isatty():
        raise Refused(f"{data}: a new node key is taken only by a person's word: answer at a terminal, or give --yes")
    sys.stderr.write(f"{data}: the old node key is given up, and every later proof shows the change. Type yes to do it: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() != "yes":
        raise Refused(f"{data}: not confirmed; nothing was changed")


@contextmanager
def reading(data: Path) -> Iterator[SqliteLedger]:
    """The ledger for reading, as the auditor that whoever may read the folder is."""
    import getpass

    from tocsin.host import WallClock
    from tocsin.platform.ledger import open_ledger
    from tocsin.security.actor import Actor
    from tocsin.security.gate import RoleGate

    gate = RoleGate()
    gate.permit(Actor(f"local {getpass.getuser()}", frozenset({"auditor"})), "read ledger", str(data))
    ledger = open_ledger(data, clock=WallClock(), gate=gate, read_only=True)
    try:
        yield ledger
    finally:
        ledger.close()


def _of_kind(entries: Iterator[Entry], kind: str) -> Iterator[Entry]:
    return (entry for entry in entries if not kind or type(entry.record).__name__.lower() == kind.lower())


def _follow(ledger: SqliteLedger, after: int, kind: str, as_json: bool) -> None:
    """Print entries as they come, until Ctrl-C."""
    import asyncio
    import sys

    import msgspec

    from tocsin.host import WallClock

    async def run() -> None:
        clock, number = WallClock(), after
        while True:
            for entry in ledger.read(number):
                number = entry.number
                if not kind or type(entry.record).__name__.lower() == kind.lower():
                    sys.stdout.write((msgspec.json.encode(entry).decode() if as_json else _line(entry)) + "\n")
            sys.stdout.flush()
            await clock.sleep(FOLLOW_EVERY_S)

    asyncio.run(run())


def _line(entry: Entry) -> str:
    return f"{entry.number:>7,}  {entry.written:%Y-%m-%d %H:%M:%S}  {entry.actor:<14}  {_told(entry.id, entry.record)}"


def _told(record_id: str, record: Record) -> str:
    """A record in a line: its id, and what it says."""
    from tocsin.flows.words import in_words

    return f"{record_id}  {in_words(record)}"
