"""Where the parcels of the edge arrive: each entry and each block is taken once, in order, and acknowledged when it is on disk.

Two things must not come apart in a crash: the data, and the number that says that it is here. For entries both are in one
transaction of the ledger. For readings the number is written in the blocks themselves (`Spool.append`, origin); the number in
the store only follows, for the day when the spool has dropped those blocks.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Sequence
from datetime import timedelta

import numpy as np

from tocsin.edge.collect import convert
from tocsin.edge.latest import microseconds
from tocsin.edge.node import SPOOL, Node, Stored
from tocsin.edge.sound import what_is_wrong
from tocsin.edge.spool import Spool, open_blocks
from tocsin.edge.uplink import SENT_KINDS, UPLINK, Parcel, Position, signed_text, unpack
from tocsin.host import Host
from tocsin.platform.ledger import SqliteLedger
from tocsin.platform.store.edges import Edges
from tocsin.security.actor import Actor
from tocsin.security.keys import signature_holds
from tocsin.vocabulary import InputError, NotFound, Observations, Record, Refused, SensorFault
from tocsin.vocabulary.records import decode_record

log = logging.getLogger(__name__)

HOLD = timedelta(minutes=5)
SERIES_MOST = 64
ROWS_MOST = 5_000_000  # of a block; 150 MB
QUANTITIES_MOST = 1_000
NEW_SITES_MOST = 20_000  # that one node may bring while this process runs: each takes memory
REFUSED_WORDS = (
    "uplink: no such node, or not its signature; enrol it with `tocsin edge enrol`, with what `tocsin edge keys` prints"
)


class Receiver:
    """The platform's end, safe for threads."""

    def __init__(self, host: Host, ledger: SqliteLedger, edges: Edges, node: Node, spool: Spool) -> None:
        self._host, self._ledger, self._edges, self._node, self._spool = host, ledger, edges, node, spool
        self._sites: dict[str, set[str]] = {}  # by node, those whose readings are still coming from long ago
        self._brought: dict[str, set[tuple[str, str]]] = {}  # by node, (quantity, site) that nobody here had heard of
        self._lock = threading.Lock()

    def who(self, name: str, signature: str, digest: str) -> Actor:
        """The node that sends what has this digest; raises Refused, with the same words whatever is wrong.

        It needs nothing of the parcel itself, so that nobody else can make the platform hold one.
        """
        try:
            known = self._edges.find(name)
        except NotFound:
            raise Refused(REFUSED_WORDS) from None
        text = signed_text(digest, platform=self._ledger.id, node=name)
        if known.ended is not None or not signature_holds(known.public_key, signature, text):
            raise Refused(REFUSED_WORDS)
        return Actor(f"edge:{known.name}", frozenset({"sensor"}))

    def take(self, actor: Actor, body: bytes, *, compressed: bool) -> Position:
        """Take what is new in a parcel, and say how far it is now. A parcel that begins too late is not taken.

        Raises InputError for what is no parcel, and Unavailable where disk or ledger does not answer; then the same parcel may
        come again.
        """
        self._host.gate.permit(actor, "write readings", "uplink")
        parcel = unpack(body, compressed=compressed)
        with self._lock:
            return self._take(actor, parcel)

    def _take(self, actor: Actor, parcel: Parcel) -> Position:
        if not all(0 < len(name) <= SERIES_MOST and name.isalnum() for name in (parcel.ledger, parcel.spool)):
            raise InputError(f"parcel of {actor.name}: ledger and spool are named by letters and digits, at most {SERIES_MOST}")
        at = self.position(actor, parcel.ledger, parcel.spool)
        if parcel.entry_after > at.entry or parcel.block_after > at.block:
            log.info("parcel_too_early", extra={"node": actor.name, "entry": at.entry, "block": at.block})
            return at
        blocks = [block for block in open_blocks(parcel.blocks) if at.block < block[0] <= parcel.block_upto]
        if any(a[0] >= b[0] for a, b in itertools.pairwise(blocks)):
            raise InputError(f"parcel of {actor.name}: block numbers do not rise")
        is_over = self._hold(actor, parcel, [batch for _, batch in blocks])
        if parcel.entry_upto > at.entry:
            self._take_entries(actor, parcel, at.entry)
        if parcel.block_upto > at.block:
            self._take_blocks(actor, parcel, at.block, blocks)
        if is_over:
            self._node.look()
        return self.position(actor, parcel.ledger, parcel.spool)

    def position(self, actor: Actor, ledger: str, spool: str) -> Position:
        """How much of a node is on disk here."""
        block = max(self._edges.reached(actor.name, f"spool {spool}"), self._spool.origins.get(_origin(actor, spool), 0))
        return Position(self._ledger.id, self._edges.reached(actor.name, f"ledger {ledger}"), block)

    @property
    def platform(self) -> str:
        """What nodes sign for."""
        return self._ledger.id

    def _hold(self, actor: Actor, parcel: Parcel, batches: Sequence[Observations]) -> bool:
        """While old readings come in, the node's own warnings speak for its sites; True if all are in, and it is over."""
        if parcel.more:
            sites = self._sites.setdefault(actor.name, set())
            sites.update(site for batch in batches for site in batch.sites)
            self._node.learn((), hold=sites, until=self._host.clock.now() + HOLD)
            return False
        held = self._sites.pop(actor.name, set())
        self._node.learn((), hold=held, until=None)
        return bool(held)

    def _take_entries(self, actor: Actor, parcel: Parcel, after: int) -> None:
        """What the node told, in its name; what it may not say, or what makes no sense here, is told and left out."""
        records, refused = list[Record](), list[Record]()

        def refuse(number: int, fault: Exception) -> None:
            log.warning("entry_refused", extra={"node": actor.name, "entry": number, "reason": str(fault)})
            refused.append(self._fault(actor, UPLINK, f"entry {number} was refused: {fault}"))

        with self._ledger.store.writing():
            for number, row in parcel.entries:
                if not after < number <= parcel.entry_upto:
                    continue
                try:
                    record = decode_record(row)
                    if not isinstance(record, SENT_KINDS):
                        raise InputError(f"{type(record).__name__}: wanted one of {', '.join(k.__name__ for k in SENT_KINDS)}")
                    self._ledger.append(actor, [record])
                    records.append(record)
                except (InputError, Refused) as fault:
                    refuse(number, fault)
            self._ledger.append(actor, refused)
            self._edges.reach(actor.name, f"ledger {parcel.ledger}", parcel.entry_upto)
        self._node.learn(records)

    def _take_blocks(self, actor: Actor, parcel: Parcel, after: int, blocks: Sequence[tuple[int, Observations]]) -> None:
        for first, last in parcel.lost:
            if last > after:
                words = f"blocks {max(first, after + 1)} to {last} are lost: damaged, or dropped before they were sent"
                self._ledger.append(actor, [self._fault(actor, SPOOL, words)])
        origin, stored = _origin(actor, parcel.spool), Stored()
        good, refused = list[tuple[int, Observations]](), list[tuple[int, InputError]]()
        for number, batch in blocks:
            try:
                good.append((number, self._sound(actor, batch)))
            except InputError as fault:
                refused.append((number, fault))
        try:
            stored += self._node.store(*[batch for _, batch in good], origin=(origin, parcel.block_upto))
        except InputError:  # one of them cannot be used here: each by itself, so that the others are taken
            for number, batch in good:
                try:
                    stored += self._node.store(batch, origin=(origin, number))
                except InputError as fault:
                    refused.append((number, fault))
        if refused:
            number, why = refused[0]
            log.warning(
                "block_refused", extra={"node": actor.name, "block": number, "of": len(refused), "reason": str(why)[:200]}
            )
            others = f" and {len(refused) - 1} more were" if len(refused) > 1 else " was"
            self._ledger.append(actor, [self._fault(actor, UPLINK, f"block {number}{others} refused: {why}")])
        self._edges.reach(actor.name, f"spool {parcel.spool}", parcel.block_upto)
        self._node.judge(stored)

    def _sound(self, actor: Actor, batch: Observations) -> Observations:
        """A block as it may be kept here: in our quantity and unit, and arrived at the latest now. Raises InputError.

        A node is known, and its clock and its devices may still be wrong, or it may be in other hands: a reading that claims to have
        arrived in the year 9000 would be newer than all that are to come.
        """
        wrong = what_is_wrong(batch, rows_most=ROWS_MOST)
        if wrong is not None:
            raise InputError(f"{wrong[0]}: {wrong[1]}")
        name, latest = batch.quantity.name, self._node.latest
        known = {quantity.name: quantity for quantity in latest.quantities()}
        quantity, value = known.get(name, batch.quantity), batch.value
        if name not in known and len(known) >= QUANTITIES_MOST:
            raise InputError(f"quantity {name}: more than {QUANTITIES_MOST} are measured here")
        if batch.quantity.unit != quantity.unit:
            value = convert(value, batch.quantity.unit, quantity.unit)
        unknown = latest.unknown(name, batch.sites)
        if not all(site.isprintable() for site in unknown):
            raise InputError("site: a name that cannot be printed")
        brought = self._brought.setdefault(actor.name, set())
        fresh = {(name, site) for site in unknown} - brought
        if len(brought) + len(fresh) > NEW_SITES_MOST:
            raise InputError(f"site {min(unknown)[:60]!r}: more than {NEW_SITES_MOST} sites that nobody here has heard of")
        brought |= fresh
        arrived_us = np.clip(batch.arrived_us, 0, microseconds(self._host.clock.now()))
        return Observations.of(quantity, batch.sites, batch.site, batch.time_us, value, arrived_us=arrived_us, flag=batch.flag)

    def _fault(self, actor: Actor, check: str, reason: str) -> SensorFault:
        return SensorFault(time=self._host.clock.now(), subject=actor.name, quantity="all", check=check, reason=reason[:1000])


def open_receiver(host: Host, ledger: SqliteLedger, node: Node, spool: Spool) -> Receiver:
    """The receiver of a platform, with the nodes that are enrolled there."""
    edges = Edges(ledger.store, clock=host.clock, gate=host.gate, ledger=ledger)
    return Receiver(host, ledger, edges, node, spool)


def _origin(actor: Actor, spool: str) -> str:
    return f"{actor.name}/{spool}"
