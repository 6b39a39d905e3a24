"""A warning reaches the siren: at once, in order, at least once over a crash, and a broken siren is told once."""

from __future__ import annotations

import http.server
import json
import resource
import socket
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from edge_host import EDGE, START, TestHost

from tocsin.edge.actions import Action, Actions, Command, LogLine, Message, MqttTopic, Undelivered, Webhook, Worker, decode_action
from tocsin.edge.mqtt.wire import V311, Ack, Connack, Connect, Kind, Parser, Publish, encode
from tocsin.host import Internet, NoNetwork
from tocsin.vocabulary import InputError, Level, SensorFault, Warning


class Recorder(LogLine, frozen=True, kw_only=True):
    """An action that notes what it got, and fails where it is told to."""

    got: ClassVar[list[Message]] = []
    broken: ClassVar[list[str]] = []
    tried: ClassVar[list[str]] = []

    def deliver(self, message: Message) -> None:
        self.tried.append(message.site)
        if message.site in self.broken or "all" in self.broken:
            raise Undelivered("the siren does not answer", is_final="final" in self.broken)
        self.got.append(message)


class Time:
    """A monotonic clock that stands where it is put."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture(autouse=True)
def _empty() -> None:
    for notes in (Recorder.got, Recorder.broken, Recorder.tried):
        notes.clear()


def warning(site: str = "weir", level: Level = Level.RED, before: Level = Level.NONE, minute: float = 0.0) -> Warning:
    return Warning(
        time=START + timedelta(minutes=minute),
        subject=site,
        hazard="flood",
        rule="river_high",
        level=level,
        before=before,
        reason=f"{site}: 5.20 m is above the {level.word} limit",
        value=5.2,
        unit="m",
        public=False,
    )


class Place:
    def __init__(self, folder: Path, **settings: Any) -> None:
        self.host, self.time, self.folder = TestHost(), Time(), folder
        self.settings = {"name": "siren"} | settings
        self.start()

    def start(self) -> None:
        action = msgspec.convert(self.settings, Recorder)
        self.worker = Worker(
            action,
            self.host,
            EDGE,
            self.folder,
            quantity_of={"river_high": "river_level"},
            monotonic=self.time,  # type: ignore[arg-type]
        )
        self.worker.remember(self.host.ledger.read())

    def warn(self, *warnings: Warning) -> None:
        self.host.ledger.append(EDGE, warnings)
        self.worker.news()

    def faults(self) -> list[bool]:
        return [fault.healed for fault in self.host.ledger.records(SensorFault) if isinstance(fault, SensorFault)]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def sites() -> list[str]:
    return [message.site for message in Recorder.got]


def test_a_warning_is_delivered_once_with_all_that_a_receiver_needs(place: Place) -> None:
    place.warn(warning())
    assert place.worker.step() is None
    assert place.worker.step() is None
    (message,) = Recorder.got
    (entry,) = place.host.ledger.read()
    assert (message.id, message.node, message.quantity) == (entry.id, "test", "river_level")
    assert json.loads(msgspec.json.encode(message))["level"] == "red"


def test_a_new_action_begins_with_what_comes_from_now_on(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.warn(warning())
    place.settings["name"] = "other"
    place.start()
    assert place.worker.step() is None
    assert Recorder.got == []


def test_levels_below_from_are_left_out_but_the_end_of_a_warning_is_told(tmp_path: Path) -> None:
    place = Place(tmp_path, **{"from": "orange", "blind": False})
    place.warn(
        warning(level=Level.YELLOW),
        warning(level=Level.ORANGE, before=Level.YELLOW, minute=1),
        warning(level=Level.NONE, before=Level.ORANGE, minute=2),
        warning(level=Level.BLIND, minute=3),
    )
    place.worker.step()
    assert [message.level for message in Recorder.got] == ["orange", "none"]


def test_blind_sites_are_told_where_it_is_asked_for(place: Place) -> None:
    place.warn(warning(level=Level.BLIND), warning(level=Level.NONE, before=Level.BLIND, minute=1))
    place.worker.step()
    assert [message.level for message in Recorder.got] == ["blind", "none"]


def test_sites_rules_and_quantities_can_be_chosen_by_pattern(tmp_path: Path) -> None:
    one = Recorder(name="x", sites=("we*", "mill"))
    assert one.is_for(warning("weir"), "river_level")
    assert not one.is_for(warning("quay"), "river_level")
    assert not Recorder(name="x", quantities=("rain*",)).is_for(warning(), "river_level")
    assert not Recorder(name="x", rules=("rain*",)).is_for(warning(), "river_level")


def test_what_was_not_delivered_before_a_crash_is_delivered_after_it_and_nothing_twice(place: Place) -> None:
    place.warn(warning("weir"))
    place.worker.step()
    Recorder.broken.append("all")
    place.warn(warning("quay"), warning("mill"))
    place.worker.step()
    place.start()
    Recorder.broken.clear()
    place.worker.step()
    assert sites() == ["weir", "quay", "mill"]
    place.start()
    assert place.worker.step() is None
    assert len(Recorder.got) == 3


def test_a_crash_between_delivery_and_its_note_delivers_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.warn(warning())
    with monkeypatch.context() as crash:

        def died(*_: object) -> None:
            raise KeyboardInterrupt

        crash.setattr("tocsin.edge.actions.write_whole", died)
        with pytest.raises(KeyboardInterrupt):
            place.worker.step()
    place.start()
    place.worker.step()
    assert len(Recorder.got) == 2
    assert Recorder.got[0].id == Recorder.got[1].id


def test_a_failed_delivery_is_tried_again_with_growing_pauses_and_told_once(tmp_path: Path) -> None:
    place = Place(tmp_path, retry_s=[1.0, 5.0])
    Recorder.broken.append("all")
    place.warn(warning())
    pauses = []
    for _ in range(5):
        wait_s = place.worker.step()
        assert wait_s is not None
        pauses.append(wait_s)
        place.time.now_s += wait_s
    assert pauses == [1.0, 2.0, 4.0, 5.0, 5.0]
    place.start()
    place.worker.step()
    assert place.faults() == [False]
    Recorder.broken.clear()
    place.time.now_s += 10.0
    place.worker.step()
    assert place.faults() == [False, True]
    assert sites() == ["weir"]


def test_before_its_time_nothing_is_tried_unless_a_new_warning_comes(tmp_path: Path) -> None:
    place = Place(tmp_path, retry_s=[60.0, 60.0])
    Recorder.broken.append("weir")
    place.warn(warning("weir", Level.YELLOW))
    place.worker.step()
    tried = len(Recorder.tried)
    assert place.worker.step() == 60.0
    assert len(Recorder.tried) == tried
    place.warn(warning("quay", Level.RED))
    place.worker.step()
    assert sites() == ["quay"], "red does not wait behind what does not work"


def test_a_delivery_is_given_up_at_its_bound_and_that_is_told(tmp_path: Path) -> None:
    place = Place(tmp_path, give_up_s=100.0, retry_s=[60.0, 60.0])
    Recorder.broken.append("all")
    place.warn(warning())
    for _ in range(3):
        place.worker.step()
        place.time.now_s += 60.0
    assert place.worker.step() is None
    assert place.worker.status().given_up == 1
    reasons = [fault.reason for fault in place.host.ledger.records(SensorFault) if isinstance(fault, SensorFault)]
    assert "was given up" in reasons[-1]


def test_what_can_never_work_is_given_up_at_once(place: Place) -> None:
    Recorder.broken.extend(["weir", "final"])
    place.warn(warning("weir"), warning("quay"))
    assert place.worker.step() is None
    assert sites() == ["quay"]
    assert place.worker.status().given_up == 1


def test_the_order_at_one_site_is_kept_whatever_fails(tmp_path: Path) -> None:
    place = Place(tmp_path)
    Recorder.broken.append("all")
    steps = [(Level.YELLOW, Level.NONE), (Level.RED, Level.YELLOW), (Level.NONE, Level.RED)]
    for minute, (level, before) in enumerate(steps):
        place.warn(warning("weir", level, before, minute))
        place.worker.step()
    Recorder.broken.clear()
    place.time.now_s += 1000.0
    place.worker.step()
    assert [message.level for message in Recorder.got] == ["yellow", "red", "none"]


def test_only_the_newest_where_that_is_enough(tmp_path: Path) -> None:
    place = Place(tmp_path, newest_only=True)
    place.warn(warning(level=Level.YELLOW), warning(level=Level.RED, before=Level.YELLOW, minute=1))
    place.worker.step()
    assert [message.level for message in Recorder.got] == ["red"]
    assert place.worker.status().left_out == 1


def test_a_stale_warning_does_not_sound_the_siren_of_yesterday(tmp_path: Path) -> None:
    place = Place(tmp_path, stale_s=3600.0)
    place.warn(warning("weir"), warning("quay", minute=90))
    place.host.clock._now += timedelta(minutes=100)
    place.worker.step()
    assert sites() == ["quay"]


def test_more_than_so_many_an_hour_wait_but_red_does_not(tmp_path: Path) -> None:
    place = Place(tmp_path, per_hour=2.0)
    place.warn(*[warning(f"site {n}", Level.YELLOW) for n in range(4)])
    assert place.worker.step() == pytest.approx(3600.0)
    assert len(Recorder.got) == 2
    place.warn(warning("dam", Level.RED))
    place.worker.step()
    assert sites()[-1] == "dam"
    place.time.now_s += 3600.0
    place.worker.step()
    assert len(Recorder.got) == 5


def test_a_ledger_that_does_not_answer_ends_no_worker(place: Place) -> None:
    place.warn(warning())
    place.host.ledger.is_down = True
    Recorder.broken.append("all")
    place.worker.step()
    assert place.faults() == []
    place.host.ledger.is_down = False
    Recorder.broken.clear()
    place.time.now_s += 10.0
    place.worker.step()
    assert sites() == ["weir"]


def test_each_action_has_a_thread_and_a_hanging_one_stops_no_other(tmp_path: Path) -> None:
    host = TestHost()
    hangs = Command(name="hangs", argv=(sys.executable, "-c", "import time; time.sleep(60)"), timeout_s=2.0)
    line = LogLine(name="line", path=str(tmp_path / "warnings.jsonl"))
    workers = [Worker(action, host, EDGE, tmp_path, quantity_of={}) for action in (hangs, line)]
    actions = Actions(workers)
    with actions.running():
        host.ledger.append(EDGE, [warning()])
        actions.heard(tuple(host.ledger.read()))
        until = time.monotonic() + 20.0
        while not (tmp_path / "warnings.jsonl").exists() and time.monotonic() < until:
            time.sleep(0.01)
        assert workers[0].status().delivered == 0
    assert json.loads((tmp_path / "warnings.jsonl").read_text())["site"] == "weir"
    assert workers[0].status().fault.endswith("killed")


def message() -> Message:
    return Message(
        id="warning-1", purpose="exercise", node="n", time="t", level="red", before="none", site="weir; rm -rf /", hazard="flood", rule="river_high",
        quantity="river_level", reason="$(reboot)", value=5.2, unit="m", public=False,
    )  # fmt: skip


def test_a_command_gets_the_message_on_stdin_and_no_shell(tmp_path: Path) -> None:
    program = "import sys; open(sys.argv[1], 'w').write(sys.stdin.read())"
    Command(name="siren", argv=(sys.executable, "-c", program, str(tmp_path / "got; x"))).deliver(message())
    assert json.loads((tmp_path / "got; x").read_text())["site"] == "weir; rm -rf /"


def test_a_command_that_fails_says_how(tmp_path: Path) -> None:
    with pytest.raises(Undelivered, match="exit code 3: no power"):
        Command(name="siren", argv=(sys.executable, "-c", "print('no power'); raise SystemExit(3)")).deliver(message())
    with pytest.raises(Undelivered, match="No such file"):
        Command(name="siren", argv=(str(tmp_path / "absent"),)).deliver(message())


def test_a_command_that_hangs_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    note = tmp_path / "alive"
    child = f"import time\nwhile True:\n open({str(note)!r}, 'a').write('x'); time.sleep(0.02)"
    program = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"
    with pytest.raises(Undelivered, match="killed"):
        Command(name="siren", argv=(sys.executable, "-c", program), timeout_s=2.0).deliver(message())
    size = note.stat().st_size
    time.sleep(0.2)
    assert note.stat().st_size == size


class Hook(http.server.BaseHTTPRequestHandler):
    status: ClassVar[int] = 200
    got: ClassVar[list[tuple[dict[str, str], bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def hook() -> Iterator[str]:
    Hook.got.clear()
    Hook.status = 200
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_webhook_gets_the_message_signed_and_with_a_key_to_tell_repeats(hook: str, tmp_path: Path) -> None:
    import hashlib
    import hmac

    (tmp_path / "secret").write_text("s3cret\n")
    (tmp_path / "token").write_text("t0ken\n")
    Webhook(name="w", url=hook, secret_file=str(tmp_path / "secret"), token_file=str(tmp_path / "token")).deliver(message())
    ((headers, body),) = Hook.got
    assert headers["idempotency-key"] == "warning-1"
    assert headers["authorization"] == "Bearer t0ken"
    assert headers["x-tocsin-signature"] == f"sha256={hmac.new(b's3cret', body, hashlib.sha256).hexdigest()}"
    assert json.loads(body)["reason"] == "$(reboot)"


@pytest.mark.parametrize(("status", "is_final"), [(500, False), (503, False), (429, False), (404, True), (400, True)])
def test_a_webhook_that_refuses_for_good_is_not_asked_again(hook: str, status: int, is_final: bool) -> None:
    Hook.status = status
    with pytest.raises(Undelivered, match=str(status)) as refused:
        Webhook(name="w", url=hook).deliver(message())
    assert refused.value.is_final == is_final


def test_a_webhook_that_is_not_there_is_undelivered(tmp_path: Path) -> None:
    with pytest.raises(Undelivered, match="ConnectError"):
        Webhook(name="w", url="http://127.0.0.1:9/").deliver(message())
    with pytest.raises(Undelivered):
        Webhook(name="w", url="https://127.0.0.1:9/", ca=str(tmp_path / "absent.pem")).deliver(message())


class Broker(threading.Thread):
    """As much of an MQTT server as a publisher needs."""

    def __init__(self, *, code: int = 0, acknowledges: bool = True) -> None:
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.code, self.acknowledges = code, acknowledges
        self.packets: list[Any] = []
        self.start()

    def run(self) -> None:
        line, _ = self.listener.accept()
        parser = Parser(None)
        with line:
            while data := line.recv(4096):
                for packet in parser.feed(data):
                    self.packets.append(packet)
                    if isinstance(packet, Connect):
                        line.sendall(encode(Connack(False, self.code), V311))
                    if isinstance(packet, Publish) and self.acknowledges:
                        line.sendall(encode(Ack(Kind.PUBACK, packet.packet_id), V311))
        self.listener.close()


def test_an_mqtt_topic_gets_the_message_with_a_receipt(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("p4ss\n")
    broker = Broker()
    topic = MqttTopic(
        name="m", host="127.0.0.1", port=broker.port, topic="w/{site}/{level}", user="u", password_file=str(tmp_path / "password")
    )
    topic.deliver(message())
    broker.join(10.0)
    connect, publish, _ = broker.packets
    assert (connect.user, connect.password) == ("u", b"p4ss")
    assert (publish.topic, publish.qos) == ("w/weir; rm -rf //red", 1)
    assert json.loads(publish.payload)["id"] == "warning-1"


@pytest.mark.parametrize(("broker", "words"), [({"code": 5}, "let us in"), ({"acknowledges": False}, "timed out|TimeoutError")])
def test_a_message_without_a_receipt_is_undelivered(broker: dict[str, Any], words: str) -> None:
    port = Broker(**broker).port
    with pytest.raises(Undelivered, match=words):
        MqttTopic(name="m", host="127.0.0.1", port=port, timeout_s=0.5).deliver(message())
    with pytest.raises(Undelivered):
        MqttTopic(name="m", host="127.0.0.1", port=9, timeout_s=0.5).deliver(message())


def test_a_node_that_cannot_write_still_cries(place: Place) -> None:
    place.worker.cry(message())
    assert place.worker.step() is None
    assert Recorder.got == [message()]


def test_a_message_in_the_log_names_site_and_level(caplog: pytest.LogCaptureFixture) -> None:
    LogLine(name="log").deliver(message())
    assert "red $(reboot)" in caplog.text


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"kind": "siren"}, "kind = 'siren'; wanted one of log, webhook, mqtt, command"),
        ({"kind": "log", "name": "../x"}, "also the name of a file"),
        ({"kind": "log", "name": "x", "from": "none"}, "from = 'none'"),
        ({"kind": "log", "name": "x", "per_hour": 0}, "per_hour > 0"),
        ({"kind": "log", "name": "x", "stale_s": -1.0}, "stale_s"),
        ({"kind": "webhook", "name": "x", "url": "ftp://x"}, "wanted https"),
        ({"kind": "mqtt", "name": "x", "host": "h", "topic": "a/{nonsense}"}, "topic"),
        ({"kind": "mqtt", "name": "x", "host": "h", "topic": "a/#"}, "without"),
        ({"kind": "command", "name": "x", "argv": ["siren"]}, "absolute path"),
        ({"kind": "log", "name": "x", "colour": "red"}, "unknown field"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(table: dict[str, Any], words: str) -> None:
    with pytest.raises((InputError, msgspec.ValidationError), match=words):
        decode_action(table)


def test_a_cursor_that_cannot_be_read_is_no_silent_new_beginning(tmp_path: Path) -> None:
    (tmp_path / "siren.cursor").write_text("nonsense")
    with pytest.raises(InputError, match="remove it"):
        Place(tmp_path)


def test_an_action_is_a_value_with_checks() -> None:
    assert isinstance(decode_action({"kind": "log", "name": "x", "from": "red"}), Action)


def test_what_waits_behind_a_broken_site_is_not_forgotten_when_another_is_done(place: Place) -> None:
    Recorder.broken.append("weir")
    place.warn(warning("weir"), warning("quay"))
    place.worker.step()
    assert sites() == ["quay"]
    place.start()
    Recorder.broken.clear()
    place.worker.step()
    assert sites() == ["quay", "weir"]


def test_a_drill_that_has_no_network_calls_nobody_and_says_so(hook: str, tmp_path: Path) -> None:
    host = TestHost()
    host.net = NoNetwork()  # type: ignore[attr-defined]
    worker = Worker(Webhook(name="w", url=hook), host, EDGE, tmp_path, quantity_of={}, purpose="exercise")
    host.ledger.append(EDGE, [warning()])
    assert worker.step() is not None
    assert Hook.got == []
    assert "no network" in worker.status().fault
    host.net = Internet()  # type: ignore[attr-defined]
    worker.news()
    worker.step()
    ((_, body),) = Hook.got
    assert json.loads(body)["purpose"] == "exercise"
    assert MqttTopic(name="m", host="h", port=1884).place() == ("h", 1884)
    assert Command(name="c", argv=("/bin/true",)).place() is None


def test_a_command_that_never_stops_talking_takes_no_memory_and_its_last_words_are_told() -> None:
    program = "import sys\nfor _ in range(2000): sys.stdout.write('x' * 100_000)\nprint('at the end'); sys.exit(4)"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Undelivered, match="exit code 4: x+at the end$") as said:
        Command(name="siren", argv=(sys.executable, "-c", program), timeout_s=60.0).deliver(message())
    assert len(str(said.value)) < 3_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB, of 200 MB that were said


def test_a_command_that_leaves_something_running_has_delivered_when_it_ends() -> None:
    program = (
        "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(20)']).pid, flush=True)"
    )
    Command(name="siren", argv=(sys.executable, "-c", program), timeout_s=15.0).deliver(message())


def test_a_failed_webhook_does_not_tell_the_secret_that_its_address_may_hold(hook: str) -> None:
    Hook.status = 404
    for address in (f"{hook}/T0KEN?key=S3CRET", "http://me:S3CRET@127.0.0.1:9/T0KEN"):
        with pytest.raises(Undelivered) as said:
            Webhook(name="w", url=address, timeout_s=2.0).deliver(message())
        assert "127.0.0.1" in str(said.value)
        assert "S3CRET" not in str(said.value)
        assert "T0KEN" not in str(said.value)
