"""The way up: what a node has stored and told goes to the platform once, in order, whenever there is a link.

A parcel holds entries of the ledger and blocks of the spool, each with its number. The platform answers with the last number of
each that it has on disk, and that answer alone decides what comes next: after a crash of either side, or a restore from a backup,
the node goes on from where the platform is. What the spool had to drop is named in the parcel, so that a gap is never a silent one.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import secrets
import ssl
import threading
import zlib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import msgspec

from tocsin.edge.node import SPOOL
from tocsin.edge.spool import Block, Spool, write_whole
from tocsin.host import Entry, Host
from tocsin.security.actor import Actor
from tocsin.security.keys import SigningKey
from tocsin.vocabulary import Bulletin, Evidence, InputError, Refused, SensorFault, TocsinError, Unavailable, Warning
from tocsin.vocabulary.records import encode_record

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

PATH = "/api/v1/uplink"
NODE_HEADER, DIGEST_HEADER, SIGNATURE_HEADER, ENCODING_HEADER = (
    "tocsin-node",
    "tocsin-digest",
    "tocsin-signature",
    "content-encoding",
)
UPLINK = "uplink"
SERIES = "series"
ENTRIES_MOST = 500
PARCEL_BYTES_MOST = 256 << 20  # unpacked; a spool's block has at most a fifth of that in practice
SENT_KINDS = (Evidence, SensorFault, Warning, Bulletin)
NUMBER_MOST = (1 << 63) - 1  # what a store can keep
TOLD_AFTER_S = 300.0
ANSWER_BYTES_MOST = 1 << 20


class Parcel(msgspec.Struct, frozen=True, array_like=True):
    """What is sent at once. Entries after `entry_after` up to `entry_upto`, and blocks likewise, are in it, skipped or `lost`.

    An entry that the platform has no use for is skipped. `ledger` and `spool` name what is numbered: a node that begins anew has
    new names, and its numbers begin at 1 again. `more` says that this is not yet all.
    """

    ledger: str
    spool: str
    entry_after: int
    entry_upto: int
    entries: tuple[tuple[int, bytes], ...]
    block_after: int
    block_upto: int
    blocks: tuple[bytes, ...]
    lost: tuple[tuple[int, int], ...] = ()
    more: bool = False

    def __post_init__(self) -> None:
        numbers = self.entry_after, self.entry_upto, self.block_after, self.block_upto
        if not all(0 <= number <= NUMBER_MOST for number in (*numbers, *itertools.chain(*self.lost))):
            raise InputError(f"parcel: numbers {numbers} and what is lost; wanted 0 to {NUMBER_MOST}")
        if self.entry_after > self.entry_upto or self.block_after > self.block_upto:
            raise InputError(f"parcel: numbers {numbers}; wanted 0 <= after <= upto")


class Position(msgspec.Struct, frozen=True):
    """How much of a node the platform has on disk: the last entry and the last block. `platform` is the name of its ledger."""

    platform: str
    entry: int
    block: int


def digest_of(body: bytes) -> str:
    """The SHA-256 of a parcel as it is sent: it goes ahead of it, so that the platform knows the sender before it takes a byte."""
    return hashlib.sha256(body).hexdigest()


def signed_text(digest: str, *, platform: str, node: str) -> bytes:
    """What a node signs: its parcel, for this platform and for no other. A copy that is sent again adds nothing there."""
    return f"tocsin uplink 1\n{platform}\n{node}\n{digest}".encode()


def unpack(body: bytes, *, compressed: bool) -> Parcel:
    """A parcel from bytes that may be hostile; raises InputError."""
    try:
        if compressed:
            opener = zlib.decompressobj()
            body = opener.decompress(body, PARCEL_BYTES_MOST)
            if opener.unconsumed_tail or not opener.eof:
                raise InputError(f"parcel: is torn, or over {PARCEL_BYTES_MOST:,} bytes when it is unpacked")
        return msgspec.msgpack.decode(body, type=Parcel)
    except (zlib.error, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise InputError(f"parcel: cannot be read: {fault}; node and platform must be of versions that fit") from fault


def place_of(url: str, *, where: str) -> tuple[str, int]:
    """Host and port of a web address; raises InputError where it has none.

    >>> place_of("https://tocsin.example.org/x", where="uplink")
    ('tocsin.example.org', 443)
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as fault:
        raise InputError(f"{where}: url = {url[:80]!r}: {fault}") from fault
    if not host:
        raise InputError(f"{where}: url = {url[:80]!r}; wanted https://HOST")
    return host, port or (443 if parts.scheme == "https" else 80)


class Line(Protocol):
    """How bytes get to the platform. Raises Unavailable where nobody answers, Refused and InputError as the platform says."""

    def platform(self) -> str:
        """The name of the platform's ledger."""
        ...

    def send(self, body: bytes, headers: dict[str, str]) -> Position: ...


class HttpLine:
    """HTTPS, with a client certificate where one is asked for; plain HTTP in trials only."""

    def __init__(
        self,
        url: str,
        *,
        ca: Path | None = None,
        cert: Path | None = None,
        key: Path | None = None,
        timeout_s: float = 30.0,
        permit: Callable[[str, int], None] | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`permit` is asked before each exchange if this place may be spoken with: `Host.net.permit`."""
        import httpx

        self._url, self._place, self._permit = url.rstrip("/") + PATH, place_of(url, where="uplink"), permit
        try:
            context = ssl.create_default_context(cafile=None if ca is None else str(ca))
            if cert is not None:
                context.load_cert_chain(cert, key)
        except (OSError, ssl.SSLError) as fault:
            raise InputError(f"uplink {url}: ca = {ca}, cert = {cert}, key = {key}: {fault}; wanted PEM files") from fault
        self._client = httpx.Client(verify=context, timeout=timeout_s, transport=transport, follow_redirects=False)

    def platform(self) -> str:
        return self._ask("GET", b"", {}).platform

    def send(self, body: bytes, headers: dict[str, str]) -> Position:
        return self._ask("POST", body, headers)

    def _ask(self, method: str, body: bytes, headers: dict[str, str]) -> Position:
        import httpx

        if self._permit is not None:
            self._permit(*self._place)
        try:
            with self._client.stream(method, self._url, content=body, headers=headers) as answer:
                said = b""
                for part in answer.iter_bytes():
                    said += part
                    if len(said) > ANSWER_BYTES_MOST:
                        raise Unavailable(
                            f"uplink {self._url}: the answer is over {ANSWER_BYTES_MOST:,} bytes: is it a platform?"
                        )
                status = answer.status_code
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as fault:
            raise Unavailable(f"uplink {self._url}: {type(fault).__name__}: {fault}") from fault
        words = f"uplink {self._url}: {status}: {said[:300].decode(errors='replace')}"
        if status in (401, 403):
            raise Refused(words)
        if status in (400, 413, 422):
            raise InputError(words)
        try:
            if status == 200:
                return msgspec.json.decode(said, type=Position)
        except msgspec.MsgspecError as fault:
            raise Unavailable(f"{words}; wanted a position: is it a platform?") from fault
        raise Unavailable(words)

    def close(self) -> None:
        """End the connection."""
        self._client.close()


class UplinkStatus(msgspec.Struct, frozen=True):
    """How far the platform is behind."""

    platform: str
    entry: int
    block: int
    waiting_readings: int
    waiting_bytes: int
    waiting_entries: int
    oldest: datetime | None
    acknowledged: datetime | None
    fault: str
    lost_readings: int


class Uplink:
    """Sends what the platform does not have yet. `step` is one exchange; `run` repeats it in a thread until it is stopped."""

    def __init__(
        self,
        host: Host,
        actor: Actor,
        *,
        line: Line,
        key: SigningKey,
        ledger: str,
        spool: Spool,
        judged: Callable[[], int],
        interval_s: float = 10.0,
        batch_bytes: int = 512 << 10,
        compression: bool = True,
        backoff_s: tuple[float, float] = (1.0, 120.0),
    ) -> None:
        """`judged` is the last block that the rules have seen: a warning goes up with the readings that led to it, not after."""
        self._host, self._actor, self._line, self._key, self._spool, self._judged = host, actor, line, key, spool, judged
        self._ledger, self._series = ledger, series_of(spool.folder)
        self._interval_s, self._batch_bytes, self._compression, self._backoff_s = interval_s, batch_bytes, compression, backoff_s
        self._name = actor.name.removeprefix("edge:")
        self._position: Position | None = None
        self._platform = ""
        self._delay_s = backoff_s[0]
        self._acknowledged: datetime | None = None
        self._failing: tuple[datetime, str] | None = None
        self._is_told = self._was_told()
        self._stop, self._wake = threading.Event(), threading.Event()
        if spool.sent is None:
            spool.mark_sent(0)

    def _was_told(self) -> bool:
        """True if the ledger says that the link is broken, from an earlier run."""
        told = False
        for entry in self._host.ledger.read():
            record = entry.record
            if isinstance(record, SensorFault) and (record.subject, record.check) == (self._actor.name, UPLINK):
                told = not record.healed
        return told

    def step(self) -> float:
        """Send one parcel, if there is anything to send; return after how many seconds it is to be called again."""
        try:
            caught_up = self._exchange()
        except TocsinError as fault:
            self._fail(str(fault))
            delay_s, self._delay_s = self._delay_s, min(2.0 * self._delay_s, self._backoff_s[1])
            return delay_s
        self._delay_s = self._backoff_s[0]
        self._works()
        return self._interval_s if caught_up else 0.0

    def _exchange(self) -> bool:
        if not self._platform:
            self._platform = self._line.platform()
        if self._position is None:
            self._position = self._send(Parcel(self._ledger, self._series, 0, 0, (), 0, 0, ()))
            self._acknowledge(self._position)
        parcel = self._next(self._position)
        if parcel is None:
            return True
        position = self._send(parcel)
        has_moved = (position.entry, position.block) != (self._position.entry, self._position.block)
        self._position = position
        self._acknowledge(position)
        if not has_moved:
            raise Unavailable(f"uplink: the platform stays at entry {position.entry}, block {position.block}; trying again")
        return not parcel.more and position.entry >= parcel.entry_upto and position.block >= parcel.block_upto

    def _send(self, parcel: Parcel) -> Position:
        body = msgspec.msgpack.encode(parcel)
        headers = {NODE_HEADER: self._name, "content-type": "application/x-tocsin-parcel"}
        if self._compression:
            body = zlib.compress(body, 6)
            headers[ENCODING_HEADER] = "deflate"
        headers[DIGEST_HEADER] = digest = digest_of(body)
        headers[SIGNATURE_HEADER] = self._key.sign(signed_text(digest, platform=self._platform, node=self._name))
        try:
            return self._ours(self._line.send(body, headers))
        except (Refused, InputError):
            self._platform, self._position = "", None  # it may be another platform behind the same address: ask anew
            raise

    def _ours(self, position: Position) -> Position:
        """The position, if this node can have sent it: else the numbers to come would be taken for those that are there."""
        size, last = self._host.ledger.size(), self._spool.number
        if position.entry > size or position.block > last or min(position.entry, position.block) < 0:
            raise InputError(
                f"uplink: the platform says it has entry {position.entry} and block {position.block} of this node; here the last "
                f"are {size} and {last}: was this node put back from a backup? nothing is sent; begin with a new data folder"
            )
        return position

    def _next(self, position: Position) -> Parcel | None:
        """What comes after the position, at most `batch_bytes` of blocks; None where there is nothing."""
        upto = self._judged()
        size = self._host.ledger.size()  # after `judged`, so that all that those blocks led to is among the entries
        blocks, lost, last, held = list[Block](), list[tuple[int, int]](), position.block, 0
        following: Block | None = None
        for block in self._spool.blocks(position.block, upto):
            held += len(block.data)
            if blocks and held > self._batch_bytes:
                following = block
                break
            if block.number > last + 1:
                lost.append((last + 1, block.number - 1))
            blocks.append(block)
            last = block.number
        else:
            if upto > last:
                lost.append((last + 1, upto))
                last = upto
        entry_upto = size if following is None else min(size, max(following.entries, position.entry))
        entries, reached = self._entries(position.entry, entry_upto)
        if reached < entry_upto:  # first what was told before; the blocks come with the last of it
            blocks, lost, last = [], [], position.block
        if (reached, last) == (position.entry, position.block):
            return None
        return Parcel(
            self._ledger,
            self._series,
            position.entry,
            reached,
            entries,
            position.block,
            last,
            tuple(block.data for block in blocks),
            tuple(lost),
            more=following is not None or reached < entry_upto,
        )

    def _entries(self, after: int, upto: int) -> tuple[tuple[tuple[int, bytes], ...], int]:
        """The entries to send, at most so many and so large, and the number that is reached with them."""
        rows: list[tuple[int, bytes]] = []
        size = 0
        if after >= upto:
            return (), after
        for entry in self._host.ledger.read(after):
            if entry.number > upto:
                break
            if len(rows) >= ENTRIES_MOST or size > self._batch_bytes:
                return tuple(rows), after
            if _is_sent(entry):
                rows.append((entry.number, encode_record(entry.record)))
                size += len(rows[-1][1])
            after = entry.number
        return tuple(rows), after

    def _acknowledge(self, position: Position) -> None:
        lost = self._spool.unsent
        self._spool.mark_sent(position.block)
        self._acknowledged = self._host.clock.now()
        if lost is not None and self._spool.unsent is None:
            words = f"the platform knows that blocks {lost.first} to {lost.last} are lost"
            self._tell(SPOOL, words, healed=True)

    def _fail(self, reason: str) -> None:
        """Log the first failure; tell the ledger when it has lasted, so that a link that comes and goes does not fill it."""
        now = self._host.clock.now()
        if self._failing is None:
            self._failing = now, reason
            log.warning("uplink_broken", extra={"reason": reason})
        self._failing = self._failing[0], reason
        if not self._is_told and abs(now - self._failing[0]) >= timedelta(seconds=TOLD_AFTER_S):
            self._is_told = self._tell(UPLINK, reason[:500])

    def _works(self) -> None:
        if self._failing is not None:
            log.info("uplink_works")
            self._failing = None
        if self._is_told:
            self._is_told = not self._tell(UPLINK, "works again", healed=True)

    def _tell(self, check: str, reason: str, *, healed: bool = False) -> bool:
        fault = SensorFault(
            time=self._host.clock.now(), subject=self._actor.name, quantity="all", check=check, reason=reason, healed=healed
        )
        try:
            self._host.ledger.append(self._actor, [fault])
        except TocsinError as busy:
            log.warning("fault_not_told", extra={"reason": str(busy)})
            return False
        return True

    def status(self) -> UplinkStatus:
        """How far the platform is behind, as far as is known here."""
        at = self._position or Position(self._platform, 0, self._spool.sent or 0)
        readings, size = self._spool.waiting(at.block)
        lost = self._spool.unsent
        return UplinkStatus(
            at.platform,
            at.entry,
            at.block,
            readings,
            size,
            self._host.ledger.size() - at.entry if self._position else 0,
            self._spool.oldest(at.block),
            self._acknowledged,
            "" if self._failing is None else self._failing[1],
            0 if lost is None else lost.readings,
        )

    def run(self) -> None:
        """Go on until `stop`; whatever breaks, it is tried again."""
        while not self._stop.is_set():
            try:
                delay_s = self.step()
            except Exception as broken:  # a fault of ours must not end the sending
                log.exception("uplink_fault")
                self._fail(f"{type(broken).__name__}: {broken}")
                delay_s = self._backoff_s[1]
            self._wake.wait(delay_s)
            self._wake.clear()

    def hurry(self) -> None:
        """There is news that must not wait for the interval: a warning."""
        if self._failing is None:
            self._wake.set()

    def stop(self) -> None:
        """End `run` after the exchange that is under way."""
        self._stop.set()
        self._wake.set()


def _is_sent(entry: Entry) -> bool:
    return isinstance(entry.record, SENT_KINDS)


def series_of(folder: Path) -> str:
    """The name of a spool's numbering, made once: a spool that begins anew must not be taken for the old one."""
    path = folder / SERIES
    try:
        if path.is_file():
            return path.read_text(encoding="ascii").strip()
        name = secrets.token_hex(8)
        write_whole(path, name.encode())
        return name
    except (OSError, UnicodeDecodeError) as fault:
        raise Unavailable(f"{path}: {fault}; without it nothing can be sent in order") from fault
