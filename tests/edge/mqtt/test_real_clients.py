"""Other people's clients: Debian's mosquitto_pub and mosquitto_sub, paho-mqtt, aiomqtt; 3.1.1 and 5, with and without TLS."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiomqtt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from paho.mqtt import client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as PahoProperties

from tocsin.edge.ingest import Message, Outcome, Result
from tocsin.edge.mqtt.acl import Acl, Grant
from tocsin.edge.mqtt.endpoint import Endpoint, Login
from tocsin.security import Actor, RoleGate
from tocsin.vocabulary import Refused

VERSIONS = pytest.mark.parametrize("version", ["311", "5"])
PAHO = {"311": paho.MQTTv311, "5": paho.MQTTv5}
AIO = {"311": aiomqtt.ProtocolVersion.V311, "5": aiomqtt.ProtocolVersion.V5}
ALL = Grant(publish=("#",), subscribe=("#",))


async def known(login: Login) -> Actor:
    """By certificate, or by password."""
    name = login.common_name() or login.user
    if name is None or (login.common_name() is None and login.password != b"right"):
        raise Refused("nobody without a name")
    return Actor(name, frozenset({"sensor", "operator"}))


class Kept:
    """A handler that keeps what it gets."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def take(self, messages: Sequence[Message]) -> list[Result]:
        self.messages += messages
        return [Result(Outcome.MALFORMED if message.payload == b"bad" else Outcome.STORED) for message in messages]


@asynccontextmanager
async def serving(kept: Kept, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[Endpoint, int]]:
    endpoint = Endpoint(known, Acl(RoleGate(), usual=ALL).permit)
    endpoint.on_publish("readings/#", kept.take)
    port = await endpoint.listen("127.0.0.1", 0, tls=tls)
    try:
        yield endpoint, port
    finally:
        await endpoint.close(grace_s=1.0)


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 60.0))  # type: ignore[arg-type]


async def until(what: Callable[[], bool]) -> None:
    for _ in range(2000):
        if what():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not happen")


async def program(*words: str, needs: int = 0) -> str:
    """Run a program; its output."""
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    told, _ = await process.communicate()
    assert process.returncode == needs, told.decode()
    return told.decode()


def of(port: int, version: str, *more: str) -> list[str]:
    return ["-h", "127.0.0.1", "-p", str(port), "-V", version, "-u", "gauge-7", "-P", "right", *more]


@pytest.mark.mosquitto
@VERSIONS
@pytest.mark.parametrize("qos", ["0", "1", "2"])
def test_mosquitto_publishes_and_subscribes(mosquitto: dict[str, str], version: str, qos: str) -> None:
    async def work() -> None:
        kept = Kept()
        async with serving(kept) as (endpoint, port):
            asked = of(port, version, "-i", "listener", "-t", "readings/+", "-t", "news/#", "-q", qos, "-C", "3", "-v")
            listener = asyncio.create_task(program(mosquitto["mosquitto_sub"], *asked))
            await until(lambda: endpoint.publish("news/here", b"yes") == 1)
            for topic in ("readings/weir", "news/a/b"):
                await program(mosquitto["mosquitto_pub"], *of(port, version, "-t", topic, "-m", "1.5", "-q", qos))
            assert (await listener).splitlines() == ["news/here yes", "readings/weir 1.5", "news/a/b 1.5"]
            assert [message.payload for message in kept.messages] == [b"1.5"]
            assert kept.messages[0].actor.name == "gauge-7"

    run(work)


@pytest.mark.mosquitto
@VERSIONS
def test_mosquitto_gets_what_is_retained_and_the_will_of_who_was_lost(mosquitto: dict[str, str], version: str) -> None:
    async def work() -> None:
        async with serving(Kept()) as (endpoint, port):
            await program(mosquitto["mosquitto_pub"], *of(port, version, "-t", "state/a", "-m", "kept", "-q", "1", "-r"))
            will = ["--will-topic", "state/gone", "--will-payload", "lost", "--will-qos", "1"]
            dying = await asyncio.create_subprocess_exec(
                mosquitto["mosquitto_sub"], *of(port, version, "-i", "dying", "-t", "x", *will), stdout=asyncio.subprocess.PIPE
            )
            await until(lambda: endpoint.publish("x", b"1") == 1)
            listener = asyncio.create_task(
                program(mosquitto["mosquitto_sub"], *of(port, version, "-i", "l", "-t", "state/#", "-q", "1", "-C", "2"))
            )
            await until(lambda: bool(endpoint._subscribers.match("state/a")))
            dying.kill()
            assert (await listener).splitlines() == ["kept", "lost"]
            await dying.wait()

    run(work)


@pytest.mark.mosquitto
def test_mosquitto_is_refused_with_a_wrong_password_and_told_what_was_not_stored(mosquitto: dict[str, str]) -> None:
    async def work() -> None:
        async with serving(Kept()) as (_, port):
            words = ["-h", "127.0.0.1", "-p", str(port), "-u", "gauge-7", "-P", "wrong", "-t", "readings/x", "-m", "1"]
            told = await program(mosquitto["mosquitto_pub"], *words, "-V", "311", needs=4)
            assert "bad user name or password" in told
            told = await program(mosquitto["mosquitto_pub"], *of(port, "5", "-t", "readings/x", "-m", "bad", "-q", "1"))
            assert "153" in told or "Payload format invalid" in told

    run(work)


@VERSIONS
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_aiomqtt_sends_hundreds_of_messages_and_each_arrives_once(version: str, qos: int) -> None:
    async def work() -> None:
        kept = Kept()
        async with (
            serving(kept) as (_, port),
            aiomqtt.Client(
                "127.0.0.1", port, username="gauge-7", password="right", protocol=AIO[version], max_inflight_messages=100
            ) as client,
        ):
            await client.subscribe("echo/#", qos=qos)
            await asyncio.gather(*[client.publish(f"readings/{k % 7}", b"%d" % k, qos=qos) for k in range(300)])
            await asyncio.gather(*[client.publish("echo/x", b"%d" % k, qos=qos) for k in range(300)])
            heard = []
            async for message in client.messages:
                heard.append(bytes(message.payload))  # type: ignore[arg-type]
                if len(heard) == 300:
                    break
            assert sorted(map(int, heard)) == list(range(300))
            await until(lambda: len(kept.messages) == 300)
            assert sorted(int(message.payload) for message in kept.messages) == list(range(300))

    run(work)


@VERSIONS
def test_paho_shares_a_subscription_between_two(version: str) -> None:
    async def work() -> None:
        async with serving(Kept()) as (endpoint, port):
            heard: dict[str, list[int]] = {"a": [], "b": []}
            clients = []
            for name, told in heard.items():
                client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=name, protocol=PAHO[version])
                client.username_pw_set("anna", "right")
                client.on_message = lambda _c, _d, message, told=told: told.append(int(message.payload))
                client.on_connect = lambda client, *_: client.subscribe("$share/room/work/#", 1)
                await asyncio.to_thread(client.connect, "127.0.0.1", port)
                client.loop_start()
                clients.append(client)
            await until(lambda: len(endpoint.sessions()) == 2 and bool(endpoint._groups))
            await until(lambda: len(next(iter(endpoint._groups.values())).members) == 2)
            for k in range(100):
                endpoint.publish("work/x", b"%d" % k)
            await until(lambda: sum(map(len, heard.values())) == 100)
            assert sorted(heard["a"] + heard["b"]) == list(range(100))
            assert len(heard["a"]) == len(heard["b"]) == 50
            for client in clients:
                client.disconnect()
                await asyncio.to_thread(client.loop_stop)

    run(work)


def test_paho_reads_reason_codes_and_properties_of_version_5() -> None:
    async def work() -> None:
        async with serving(Kept()) as (endpoint, port):
            heard: list[paho.MQTTMessage] = []
            codes: list[int] = []
            client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="a", protocol=paho.MQTTv5)
            client.username_pw_set("anna", "right")
            client.on_message = lambda _c, _d, message: heard.append(message)
            client.on_publish = lambda _c, _d, _id, code, _p: codes.append(code.value)
            client.on_connect = lambda client, *_: client.subscribe("news/#", 1)
            await asyncio.to_thread(client.connect, "127.0.0.1", port)
            client.loop_start()
            await until(lambda: endpoint.publish("news/here", b"") == 1)
            properties = PahoProperties(PacketTypes.PUBLISH)
            properties.UserProperty = [("unit", "m"), ("unit", "cm")]
            properties.MessageExpiryInterval = 60
            properties.ContentType = "text/plain"
            client.publish("news/x", b"1", 1, properties=properties)
            client.publish("readings/x", b"bad", 1)
            await until(lambda: len(codes) == 2 and len(heard) == 2)
            assert sorted(codes) == [0, 0x99]
            assert heard[1].properties.UserProperty == [("unit", "m"), ("unit", "cm")]
            assert heard[1].properties.ContentType == "text/plain"
            assert heard[1].properties.MessageExpiryInterval in (59, 60)
            client.disconnect()
            await asyncio.to_thread(client.loop_stop)

    run(work)


def _certificate(
    folder: Path, name: str, issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A certificate of a throw-away authority; its own if there is no issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    )
    told = builder.sign(issuer[1] if issuer else key, hashes.SHA256())
    (folder / f"{name}.crt").write_bytes(told.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return told, key


@pytest.mark.mosquitto
def test_a_device_with_a_certificate_is_known_by_it_and_one_of_another_authority_is_not(
    mosquitto: dict[str, str], tmp_path: Path
) -> None:
    authority, stranger = _certificate(tmp_path, "authority", None), _certificate(tmp_path, "stranger", None)
    _certificate(tmp_path, "server", authority)
    _certificate(tmp_path, "gauge-9", authority)
    _certificate(tmp_path, "mallory", stranger)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tmp_path / "authority.crt"))
    tls.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    tls.verify_mode = ssl.CERT_REQUIRED
    payload = json.dumps({"x": "y" * 100_000})
    (tmp_path / "payload").write_text(payload)

    async def work() -> None:
        kept = Kept()
        async with serving(kept, tls) as (_, port):

            def words(name: str) -> list[str]:
                files = ["--cafile", str(tmp_path / "authority.crt"), "--cert", str(tmp_path / f"{name}.crt")]
                return ["-h", "127.0.0.1", "-p", str(port), *files, "--key", str(tmp_path / f"{name}.key")]

            publish = ["-t", "readings/x", "-f", str(tmp_path / "payload"), "-q", "1", "-V", "5"]
            await program(mosquitto["mosquitto_pub"], *words("gauge-9"), *publish)
            assert [(m.actor.name, m.payload.decode()) for m in kept.messages] == [("gauge-9", payload)]
            process = await asyncio.create_subprocess_exec(
                mosquitto["mosquitto_pub"], *words("mallory"), *publish, stderr=asyncio.subprocess.DEVNULL
            )
            assert await process.wait() != 0
            assert len(kept.messages) == 1

    run(work)
