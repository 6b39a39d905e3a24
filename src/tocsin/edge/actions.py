"""What a node does about a warning by itself: write a line, call a web address, publish a message, run a command.

The ledger is the queue. Each action has a thread and a small file that says up to which entry it has delivered, so that a warning
waits for no reading, no uplink and no other action, and one that was on its way in a crash is delivered after it: at least once.
A receiver that must not act twice goes by the `id` of the message.
"""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import hmac
import logging
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from tocsin.edge.mqtt.wire import V311, Ack, Connack, Connect, Disconnect, Packet, Parser, Publish, encode
from tocsin.edge.spool import write_whole
from tocsin.edge.uplink import place_of
from tocsin.host import Entry, Host
from tocsin.security.actor import Actor
from tocsin.vocabulary import InputError, Level, SensorFault, TocsinError, Unavailable, Warning

log = logging.getLogger(__name__)
WARNINGS = logging.getLogger("tocsin.warnings")

ACTION = "action"
PENDING_MOST = 1_000
FAILED_IN_A_ROW_MOST = 3
DONE_MOST = 1_000
SAID_MOST = 2_000
KILL_AFTER_S = 2.0
LEVELS = {level.word: level for level in Level if level > Level.NONE}


class Undelivered(Exception):
    """A delivery did not work; `is_final` says that trying again cannot help."""

    def __init__(self, words: str, *, is_final: bool = False) -> None:
        super().__init__(words)
        self.is_final = is_final


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What a receiver gets, as JSON. `id` is the warning's own: the same one for the same warning, however often it comes.

    `purpose` is actual, exercise or demo: a siren goes by it.
    """

    id: str
    node: str
    purpose: str
    time: str
    level: str
    before: str
    site: str
    hazard: str
    rule: str
    quantity: str
    reason: str
    value: float | None
    unit: str
    public: bool


class Action(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all actions have: which warnings they are for, how often, and how long they are tried.

    A change of level is delivered if the level is `from` or more, or was: so the receiver also hears that it is over. `blind` adds
    sites that nobody can see. `sites`, `rules` and `quantities` are patterns (`weir*`); empty means all. At most `per_hour`
    deliveries, the rest waits; red never waits. A delivery that fails is tried again, first after `retry_s[0]`, at most every
    `retry_s[1]`, and given up after `give_up_s`. A warning that is older than `stale_s` (0: never) is not delivered any more.
    `newest_only` leaves out what a newer warning of the same rule and site has overtaken while it waited.
    """

    name: str
    from_: str = msgspec.field(name="from", default="yellow")
    sites: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    quantities: tuple[str, ...] = ()
    blind: bool = True
    per_hour: float = 120.0
    retry_s: tuple[float, float] = (1.0, 300.0)
    give_up_s: float = 86_400.0
    timeout_s: float = 10.0
    stale_s: float = 0.0
    newest_only: bool = False

    def __post_init__(self) -> None:
        where = f"action {self.name!r}"
        if not self.name or not self.name.replace("-", "").replace("_", "").isalnum():
            raise InputError(f"{where}: wanted a name of letters, digits, - and _: it is also the name of a file")
        if self.from_ not in LEVELS:
            raise InputError(f"{where}: from = {self.from_!r}; wanted one of {', '.join(LEVELS)}")
        if not (self.per_hour > 0 and 0 < self.retry_s[0] <= self.retry_s[1] and self.give_up_s >= 0 and self.timeout_s > 0):
            raise InputError(f"{where}: wanted per_hour > 0, 0 < retry_s[0] <= retry_s[1], give_up_s >= 0, timeout_s > 0")
        if self.stale_s < 0:
            raise InputError(f"{where}: stale_s = {self.stale_s}; wanted 0 or more")

    def place(self) -> tuple[str, int] | None:
        """Whom it speaks with over the network; a drill's host permits nobody."""
        return None

    def is_for(self, warning: Warning, quantity: str) -> bool:
        """True if this action has to deliver the warning."""
        least, both = LEVELS[self.from_], (warning.level, warning.before)
        wanted = max(both) >= least or (self.blind and Level.BLIND in both)
        filters = (self.sites, warning.subject), (self.rules, warning.rule), (self.quantities, quantity)
        return wanted and all(
            not patterns or any(fnmatch.fnmatchcase(text, pattern) for pattern in patterns) for patterns, text in filters
        )


class LogLine(Action, frozen=True, kw_only=True):
    """A line for each warning: in a file, flushed to the disk, or where no `path` is given in the log `tocsin.warnings`."""

    kind: ClassVar[str] = "log"
    path: str = ""

    def deliver(self, message: Message) -> None:
        if not self.path:
            WARNINGS.warning("%s %s", message.level, message.reason, extra={"message_id": message.id, "site": message.site})
            return
        try:
            with Path(self.path).open("ab") as file:
                file.write(msgspec.json.encode(message) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as fault:
            raise Undelivered(f"{self.path}: {fault}") from fault


class Webhook(Action, frozen=True, kw_only=True):
    """POST of the message to a web address; every 2xx is a receipt.

    `secret_file` signs the body: header `X-Tocsin-Signature: sha256=` and the HMAC in hexadecimal. `token_file` is sent as a bearer
    token. `ca`, `cert` and `key` are PEM files. A 4xx is not tried again, but for 408, 425 and 429.
    """

    kind: ClassVar[str] = "webhook"
    url: str
    headers: dict[str, str] = {}
    secret_file: str = ""
    token_file: str = ""
    ca: str = ""
    cert: str = ""
    key: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.url.startswith(("https://", "http://")):
            raise InputError(f"action {self.name!r}: url = {self.url[:80]!r}; wanted https://..., or http:// in trials")
        self.place()

    def place(self) -> tuple[str, int]:
        return place_of(self.url, where=f"action {self.name!r}")

    def _shown(self) -> str:
        """The address without what may be a secret: its path, its query and whoever is named before the host."""
        host, port = self.place()
        return f"{self.url.partition('://')[0]}://{host}:{port}/..."

    def deliver(self, message: Message) -> None:
        import httpx

        body = msgspec.json.encode(message)
        headers = {"content-type": "application/json", "idempotency-key": message.id, **self.headers}
        try:
            if self.secret_file:
                secret = Path(self.secret_file).read_bytes().strip()
                headers["x-tocsin-signature"] = f"sha256={hmac.new(secret, body, hashlib.sha256).hexdigest()}"
            if self.token_file:
                headers["authorization"] = f"Bearer {Path(self.token_file).read_text(encoding='ascii').strip()}"
            with httpx.Client(verify=_context(self.ca, self.cert, self.key), timeout=self.timeout_s) as client:
                status = client.post(self.url, content=body, headers=headers).status_code
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as fault:
            said = str(fault).replace(self.url, self._shown())
            raise Undelivered(f"{self._shown()}: {type(fault).__name__}: {said}") from fault
        if not 200 <= status < 300:
            raise Undelivered(
                f"{self._shown()}: answered {status}", is_final=400 <= status < 500 and status not in (408, 425, 429)
            )


class MqttTopic(Action, frozen=True, kw_only=True):
    """The message on a topic of an MQTT 3.1.1 server, QoS 1: the server's PUBACK is the receipt.

    `{site}`, `{rule}` and `{level}` in `topic` are filled in. `retain` leaves the newest message for those who come later.
    """

    kind: ClassVar[str] = "mqtt"
    host: str
    port: int = 1883
    topic: str = "tocsin/warnings/{site}/{rule}"
    retain: bool = False
    user: str = ""
    password_file: str = ""
    tls: bool = False
    ca: str = ""
    cert: str = ""
    key: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            topic = self.topic.format(site="s", rule="r", level="l")
        except (KeyError, IndexError, ValueError) as fault:
            raise InputError(
                f"action {self.name!r}: topic = {self.topic!r}: {fault}; wanted {{site}}, {{rule}}, {{level}}"
            ) from fault
        if not topic or set(topic) & set("+#\0"):
            raise InputError(f"action {self.name!r}: topic = {self.topic!r}; wanted one without + and #")

    def place(self) -> tuple[str, int]:
        return self.host, self.port

    def deliver(self, message: Message) -> None:
        parts = {
            name: text.replace("+", "_").replace("#", "_")
            for name, text in msgspec.to_builtins(message).items()
            if name in ("site", "rule", "level")
        }
        publish = Publish(self.topic.format(**parts), msgspec.json.encode(message), qos=1, retain=self.retain, packet_id=1)
        try:
            password = Path(self.password_file).read_bytes().strip() if self.password_file else None
            connect = Connect(f"tocsin-{message.node}-{self.name}"[:60], version=V311, user=self.user or None, password=password)
            with socket.create_connection((self.host, self.port), self.timeout_s) as plain:
                line = plain
                if self.tls:
                    line = _context(self.ca, self.cert, self.key).wrap_socket(plain, server_hostname=self.host)
                packets = _packets(line, time.monotonic() + self.timeout_s)
                line.sendall(encode(connect, V311))
                answer = next(packets, None)
                if not isinstance(answer, Connack) or answer.code:
                    raise Undelivered(f"mqtt {self.host}:{self.port}: does not let us in: {answer}")
                line.sendall(encode(publish, V311))
                if not any(isinstance(packet, Ack) and packet.packet_id == 1 for packet in packets):
                    raise Undelivered(f"mqtt {self.host}:{self.port}: closed before it acknowledged")
                line.sendall(encode(Disconnect(), V311))
        except (OSError, TocsinError) as fault:
            raise Undelivered(f"mqtt {self.host}:{self.port}: {type(fault).__name__}: {fault}") from fault


class Command(Action, frozen=True, kw_only=True):
    """Run a program with the message on its stdin; no shell is asked, so nothing in a message can become a command.

    Exit code 0 is the receipt. After `timeout_s` the program and all that it started are killed, and it counts as failed.
    """

    kind: ClassVar[str] = "command"
    argv: tuple[str, ...]
    blind: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.argv or not Path(self.argv[0]).is_absolute():
            raise InputError(f"action {self.name!r}: argv = {list(self.argv)}; wanted a list that begins with an absolute path")

    def deliver(self, message: Message) -> None:
        try:
            process = subprocess.Popen(
                self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
            )
        except OSError as fault:
            raise Undelivered(f"{self.argv[0]}: {fault}") from fault
        said = bytearray()
        talk = threading.Thread(target=_talk, args=(process, msgspec.json.encode(message), said), daemon=True)
        talk.start()
        try:
            process.wait(self.timeout_s)
        except subprocess.TimeoutExpired:
            _kill(process)
            raise Undelivered(f"{self.argv[0]}: not done after {self.timeout_s:g} s; killed") from None
        talk.join(KILL_AFTER_S if process.returncode else 0.0)  # what it left running may hold its output open for ever
        if process.returncode:
            words = bytes(said).decode(errors="replace").strip()
            raise Undelivered(f"{self.argv[0]}: exit code {process.returncode}: {words}")


def _talk(process: subprocess.Popen[bytes], told: bytes, said: bytearray) -> None:
    """Give a program its message, and keep the end of what it says: never all of it, there may be no end."""
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(OSError), process.stdin:  # it need not read it
        process.stdin.write(told)
    with contextlib.suppress(OSError), process.stdout:
        while piece := os.read(process.stdout.fileno(), 65_536):
            said += piece
            del said[:-SAID_MOST]


KINDS: tuple[type[LogLine | Webhook | MqttTopic | Command], ...] = (LogLine, Webhook, MqttTopic, Command)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a program and all that it started, and do not wait for what will not die."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=KILL_AFTER_S)
    except (ProcessLookupError, PermissionError, subprocess.TimeoutExpired):
        log.warning("command_not_killed", extra={"pid": process.pid})


def _context(ca: str, cert: str, key: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca or None)
    if cert:
        context.load_cert_chain(cert, key or None)
    return context


def _packets(line: socket.socket, deadline_s: float) -> Iterator[Packet]:
    """What the server says, until it closes or the time is over."""
    parser = Parser(V311)
    while True:
        line.settimeout(max(0.01, deadline_s - time.monotonic()))
        data = line.recv(65_536)
        yield from parser.feed(data)
        if parser.fault is not None:
            raise parser.fault
        if not data:
            return


class ActionStatus(msgspec.Struct, frozen=True):
    """How an action stands: what it has delivered since the node started, and what it has not."""

    name: str
    kind: str
    pending: int
    delivered: int
    given_up: int
    left_out: int
    fault: str


class _Cursor(msgspec.Struct):
    """All entries up to `upto` are done, and those in `done` beyond it."""

    upto: int
    done: list[int] = []


class Worker:
    """Delivers for one action. `step` tries what is due; `run` repeats it in a thread, woken by each new warning."""

    def __init__(
        self,
        action: LogLine | Webhook | MqttTopic | Command,
        host: Host,
        actor: Actor,
        folder: Path,
        *,
        quantity_of: Mapping[str, str],
        purpose: str = "actual",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`quantity_of` says which quantity a rule reads. A new action begins with what comes from now on."""
        self.action, self._host, self._actor, self._quantity_of, self._monotonic = action, host, actor, quantity_of, monotonic
        self._purpose = purpose
        self._path = folder / f"{action.name}.cursor"
        self._cursor = self._read_cursor()
        self._scanned = self._cursor.upto
        self._pending: dict[tuple[str, str], deque[Entry]] = {}
        self._cries: deque[Message] = deque(maxlen=10)
        self._began: dict[int, float] = {}
        self._sent_at: deque[float] = deque(maxlen=max(1, int(action.per_hour)))
        self._delay_s, self._not_before = action.retry_s[0], -float("inf")
        self._delivered = self._given_up = self._left_out = 0
        self._fault = ""
        self._is_told = False
        self._wake, self._stop = threading.Event(), False

    def _read_cursor(self) -> _Cursor:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._path.is_file():
                return msgspec.json.decode(self._path.read_bytes(), type=_Cursor)
            cursor = _Cursor(self._host.ledger.size())
            write_whole(self._path, msgspec.json.encode(cursor))
            return cursor
        except msgspec.MsgspecError as fault:
            raise InputError(
                f"{self._path}: {fault}; it says what was delivered: remove it, and the action begins with new warnings"
            ) from fault
        except OSError as fault:
            raise Unavailable(f"{self._path}: {fault}") from fault

    def remember(self, entries: Iterable[Entry]) -> None:
        """Learn from the ledger, at a restart, if this action's fault is still open."""
        for entry in entries:
            record = entry.record
            if isinstance(record, SensorFault) and (record.subject, record.check) == (self._subject, ACTION):
                self._is_told = not record.healed

    @property
    def _subject(self) -> str:
        return f"{ACTION} {self.action.name}"

    def _fill(self) -> None:
        held = sum(map(len, self._pending.values()))
        for entry in self._host.ledger.read(self._scanned):
            if held >= PENDING_MOST:
                return
            self._scanned = entry.number
            record = entry.record
            if not isinstance(record, Warning) or entry.number in self._cursor.done:
                continue
            if self.action.is_for(record, self._quantity_of.get(record.rule, "")):
                self._pending.setdefault((record.rule, record.subject), deque()).append(entry)
                held += 1

    def step(self) -> float | None:
        """Deliver what is due; return after how many seconds to come again, or None where nothing waits."""
        self._fill()
        self._leave_out()
        if self._monotonic() < self._not_before:
            return self._not_before - self._monotonic()
        failed = 0
        while self._cries:
            if not self._try(self._cries[0]):
                return self._back_off()
            self._cries.popleft()
        for key in sorted(self._pending, key=lambda k: -max(_level(e) for e in self._pending[k])):
            waiting = self._pending[key]
            while waiting:
                wait_s = self._rate_wait(waiting)
                if wait_s > 0.0:
                    return wait_s
                entry = waiting[0]
                begun = self._began.setdefault(entry.number, self._monotonic())
                is_over = self._try(self._message(entry), since=begun)
                if not is_over:
                    failed += 1
                    break
                waiting.popleft()
                self._done(entry)
            if failed >= FAILED_IN_A_ROW_MOST:
                break
        self._pending = {key: waiting for key, waiting in self._pending.items() if waiting}
        if failed:
            return self._back_off()
        return 0.0 if self._pending or self._cries else None

    def _leave_out(self) -> None:
        """What is stale, and what was overtaken, if the action says so."""
        now = self._host.clock.now()
        for waiting in self._pending.values():
            for entry in tuple(waiting):
                is_stale = 0.0 < self.action.stale_s < (now - entry.record.time).total_seconds()
                if is_stale or (self.action.newest_only and entry is not waiting[-1]):
                    waiting.remove(entry)
                    self._left_out += 1
                    log.info("warning_left_out", extra={"action": self.action.name, "id": entry.id, "stale": is_stale})
                    self._done(entry)
        self._pending = {key: waiting for key, waiting in self._pending.items() if waiting}

    def _rate_wait(self, waiting: Iterable[Entry]) -> float:
        if max(map(_level, waiting)) >= Level.RED or len(self._sent_at) < (self._sent_at.maxlen or 1):
            return 0.0
        return max(0.0, self._sent_at[0] + 3600.0 - self._monotonic())

    def _message(self, entry: Entry) -> Message:
        record = entry.record
        assert isinstance(record, Warning)
        return Message(
            id=entry.id,
            node=self._actor.name.removeprefix("edge:"),
            purpose=self._purpose,
            time=record.time.isoformat(),
            level=record.level.word,
            before=record.before.word,
            site=record.subject,
            hazard=record.hazard,
            rule=record.rule,
            quantity=self._quantity_of.get(record.rule, ""),
            reason=record.reason,
            value=record.value,
            unit=record.unit,
            public=record.public,
        )

    def _try(self, message: Message, *, since: float | None = None) -> bool:
        """Deliver once; True if it is done with, delivered or given up."""
        try:
            self._permit()
            self.action.deliver(message)
        except Undelivered as fault:
            self._fails(str(fault))
            is_late = since is not None and self._monotonic() - since >= self.action.give_up_s
            if fault.is_final or is_late:
                self._given_up += 1
                log.error("warning_given_up", extra={"action": self.action.name, "id": message.id, "reason": str(fault)})
                self._tell(f"warning {message.id} was given up: {fault}")
                return True
            return False
        except Exception as broken:  # a fault of ours in one action must not end it
            log.exception("action_fault", extra={"action": self.action.name})
            self._fails(f"{type(broken).__name__}: {broken}")
            return False
        self._delivered += 1
        self._sent_at.append(self._monotonic())
        self._delay_s, self._not_before = self.action.retry_s[0], -float("inf")
        self._works()
        return True

    def _permit(self) -> None:
        place = self.action.place()
        if place is not None:
            try:
                self._host.net.permit(*place)
            except Unavailable as fault:
                raise Undelivered(str(fault)) from fault

    def _back_off(self) -> float:
        delay_s, self._delay_s = self._delay_s, min(2.0 * self._delay_s, self.action.retry_s[1])
        self._not_before = self._monotonic() + delay_s
        return delay_s

    def _done(self, entry: Entry) -> None:
        """Keep on disk that this one is done."""
        self._began.pop(entry.number, None)
        waiting = [e.number for several in self._pending.values() for e in several if e.number != entry.number]
        done = [*self._cursor.done, entry.number]
        upto = min(waiting) - 1 if waiting else self._scanned
        self._cursor = _Cursor(upto, [number for number in done if number > upto][-DONE_MOST:])
        try:
            write_whole(self._path, msgspec.json.encode(self._cursor))
        except OSError as fault:  # then it is delivered once more after a restart
            log.warning("cursor_not_kept", extra={"action": self.action.name, "fault": str(fault)})

    def _fails(self, reason: str) -> None:
        if not self._fault:
            log.warning("action_broken", extra={"action": self.action.name, "reason": reason})
        self._fault = reason
        if not self._is_told:
            self._is_told = self._tell(reason)

    def _works(self) -> None:
        self._fault = ""
        if self._is_told:
            log.info("action_works", extra={"action": self.action.name})
            self._is_told = not self._tell("works again", healed=True)

    def _tell(self, reason: str, *, healed: bool = False) -> bool:
        fault = SensorFault(
            time=self._host.clock.now(),
            subject=self._subject,
            quantity="all",
            check=ACTION,
            reason=reason[:SAID_MOST],
            healed=healed,
        )
        try:
            self._host.ledger.append(self._actor, [fault])
        except TocsinError as busy:
            log.warning("fault_not_told", extra={"action": self.action.name, "reason": str(busy)})
            return False
        return True

    def cry(self, message: Message) -> None:
        """Deliver something that is in no ledger, because the ledger is what is broken."""
        self._cries.append(message)
        self.news()

    def news(self) -> None:
        """There is a new warning: it is tried at once, also where the last one is waiting to be tried again."""
        self._not_before = -float("inf")
        self._wake.set()

    def run(self) -> None:
        """Go on until `stop`; what was not delivered then is delivered after the next start."""
        while not self._stop:
            try:
                wait_s = self.step()
            except Exception as broken:  # the ledger does not answer, or a fault of ours
                log.warning("action_waits", extra={"action": self.action.name, "reason": str(broken)})
                wait_s = self._back_off()
            self._wake.wait(wait_s)
            self._wake.clear()

    def stop(self) -> None:
        """End `run` after the delivery that is under way."""
        self._stop = True
        self._wake.set()

    def status(self) -> ActionStatus:
        """Counts since the start, and what is wrong now."""
        pending = sum(map(len, tuple(self._pending.values())))
        counts = pending, self._delivered, self._given_up, self._left_out
        return ActionStatus(self.action.name, self.action.kind, *counts, self._fault)


def _level(entry: Entry) -> Level:
    return entry.record.level if isinstance(entry.record, Warning) else Level.NONE


class Actions:
    """All actions of a node, each in its own thread."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self.workers = tuple(workers)

    def heard(self, entries: Sequence[Entry]) -> None:
        """The ledger has new entries; where a warning is among them, everybody wakes."""
        if any(isinstance(entry.record, Warning) for entry in entries):
            for worker in self.workers:
                worker.news()

    def cry(self, message: Message) -> None:
        """Tell those who want to hear of blind sites that the node itself is."""
        for worker in self.workers:
            if worker.action.blind:
                worker.cry(message)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Deliver while the block runs; what is under way at its end is waited for, as long as its timeout says."""
        threads = [threading.Thread(target=w.run, name=f"action-{w.action.name}", daemon=True) for w in self.workers]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            for worker in self.workers:
                worker.stop()
            for worker, thread in zip(self.workers, threads, strict=True):
                thread.join(worker.action.timeout_s + KILL_AFTER_S)

    def status(self) -> list[ActionStatus]:
        """Each of them."""
        return [worker.status() for worker in self.workers]


def decode_action(table: Mapping[str, Any]) -> LogLine | Webhook | MqttTopic | Command:
    """An action from a settings table with its `kind`; raises InputError or msgspec.ValidationError."""
    known = {kind.kind: kind for kind in KINDS}
    kind = table.get("kind")
    if kind not in known:
        raise InputError(f"kind = {kind!r}; wanted one of {', '.join(known)}")
    fields = {key: value for key, value in table.items() if key != "kind"}
    return msgspec.convert(fields, type=known[kind])
