"""The codec: what goes in comes out, in whatever pieces it arrives; and no bytes of a stranger do more than end his connection."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.edge.mqtt.wire import (
    NOTHING,
    V5,
    V311,
    Ack,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Filter,
    Granted,
    Kind,
    Packet,
    Parser,
    Ping,
    Properties,
    Publish,
    Reason,
    Subscribe,
    Unsubscribe,
    Will,
    encode,
)

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20)
TOPIC = st.text(st.characters(exclude_characters="\0+#", exclude_categories=("Cs",)), min_size=1, max_size=20)
ID = st.integers(1, 65_535)
USER = st.lists(st.tuples(TEXT, TEXT), max_size=2).map(tuple)
U32, U16, BIT = st.integers(0, 2**32 - 1), st.integers(1, 65_535), st.integers(0, 1)


def some(**fields: st.SearchStrategy[object]) -> st.SearchStrategy[Properties]:
    """Properties with some of these fields."""
    return st.fixed_dictionaries({}, optional=fields).map(lambda told: Properties(**told))  # type: ignore[arg-type]


ABOUT_MESSAGE = {
    "payload_format": BIT,
    "message_expiry_s": U32,
    "content_type": TEXT,
    "response_topic": TEXT,
    "correlation_data": st.binary(max_size=9),
    "user": USER,
}
IDS = st.lists(st.integers(1, 2**28 - 1), max_size=3).map(tuple)
PUBLISH_5 = some(**ABOUT_MESSAGE, topic_alias=U16, subscription_ids=IDS)
WILL_5 = some(**ABOUT_MESSAGE, will_delay_s=U32)
CONNECT_5 = some(
    session_expiry_s=U32, receive_maximum=U16, maximum_packet_bytes=st.integers(1, 2**32 - 1), topic_alias_maximum=U16,
    request_problem_information=BIT, request_response_information=BIT, user=USER, authentication_method=TEXT,
)  # fmt: skip
CONNACK_5 = some(
    session_expiry_s=U32, receive_maximum=U16, maximum_qos=BIT, retain_available=BIT, assigned_client_id=TEXT, reason=TEXT,
    server_keep_alive_s=U16, wildcard_available=BIT, subscription_ids_available=BIT, shared_available=BIT, user=USER,
    response_information=TEXT, server_reference=TEXT,
)  # fmt: skip
ACK_5 = some(reason=TEXT, user=USER)


def packets(version: int) -> st.SearchStrategy[Packet]:
    """Every kind of packet, with all that this version can say."""

    def of(properties: st.SearchStrategy[Properties]) -> st.SearchStrategy[Properties]:
        return properties if version == V5 else st.just(NOTHING)

    code = st.sampled_from([0, 0x80, 0x97]) if version == V5 else st.just(0)
    flag = st.booleans() if version == V5 else st.just(False)
    payload = st.binary(max_size=300)
    will = st.builds(Will, TOPIC, payload, st.integers(0, 2), st.booleans(), of(WILL_5))
    password = st.binary(max_size=20)
    login = st.one_of(st.tuples(st.none(), st.none()), st.tuples(TEXT, st.none() | password))
    connect = st.tuples(TEXT, st.booleans(), st.integers(0, 65_535), login, st.none() | will, of(CONNECT_5)).map(
        lambda told: Connect(told[0], version, told[1], told[2], *told[3], told[4], told[5])
    )
    publish = st.one_of(
        st.builds(Publish, TOPIC, payload, st.just(0), st.booleans(), st.just(False), st.just(0), of(PUBLISH_5)),
        st.builds(Publish, TOPIC, payload, st.integers(1, 2), st.booleans(), st.booleans(), ID, of(PUBLISH_5)),
    )
    handling = st.integers(0, 2) if version == V5 else st.just(0)
    one = st.builds(Filter, TEXT, st.integers(0, 2), flag, flag, handling)
    identifier = st.integers(1, 2**28 - 1).map(lambda number: Properties(subscription_ids=(number,)))
    kinds = [Kind.PUBACK, Kind.PUBREC, Kind.PUBREL, Kind.PUBCOMP]
    acks = st.builds(Ack, st.sampled_from(kinds), ID, code, of(ACK_5))
    granted = st.lists(st.sampled_from([0, 1, 2, 0x80]), max_size=4).map(tuple)
    several = [
        connect,
        publish,
        st.builds(Connack, st.booleans(), code, of(CONNACK_5)),
        acks,
        st.builds(Subscribe, ID, st.lists(one, min_size=1, max_size=3).map(tuple), of(identifier)),
        st.builds(Unsubscribe, ID, st.lists(TEXT, min_size=1, max_size=3).map(tuple), of(some(user=USER))),
        st.builds(Granted, st.just(Kind.SUBACK), ID, granted, of(ACK_5)),
        st.builds(Ping, st.sampled_from([Kind.PINGREQ, Kind.PINGRESP])),
        st.builds(Disconnect, code, of(some(reason=TEXT, session_expiry_s=U32, server_reference=TEXT))),
    ]
    if version == V5:
        several.append(st.builds(Auth, code, some(authentication_method=TEXT, authentication_data=st.binary(max_size=5))))
    return st.one_of(several)


@pytest.mark.parametrize("version", [V311, V5])
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_packets_come_out_as_they_went_in_whatever_pieces_they_arrive_in(version: int, data: st.DataObject) -> None:
    sent = data.draw(st.lists(packets(version), min_size=1, max_size=4))
    stream = b"".join(encode(packet, version) for packet in sent)
    parser, got, at = Parser(version), list[Packet](), 0
    while at < len(stream):
        size = data.draw(st.integers(1, len(stream)))
        got += parser.feed(stream[at : at + size])
        at += size
    assert parser.fault is None
    assert got == sent


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([None, V311, V5]))
def test_random_bytes_are_a_fault_or_packets_and_never_an_exception(noise: bytes, version: int | None) -> None:
    parser = Parser(version, bytes_most=1000)
    parser.feed(noise)
    if parser.fault is not None:
        assert parser.fault.code >= 0x80
        assert parser.feed(b"\xc0\0") == []


@settings(max_examples=300, deadline=None)
@given(packets(V5), st.data())
def test_a_packet_with_wrong_bytes_in_it_never_raises(packet: Packet, data: st.DataObject) -> None:
    told = bytearray(encode(packet, V5))
    for _ in range(data.draw(st.integers(1, 3))):
        told[data.draw(st.integers(0, len(told) - 1))] = data.draw(st.integers(0, 255))
    Parser(V5, bytes_most=10_000).feed(bytes(told))


@pytest.mark.parametrize(
    ("words", "stream", "code"),
    [
        ("quality 3", b"\x36\x05\0\1a\0\1", Reason.MALFORMED_PACKET),
        ("sent again at quality 0", b"\x38\x04\0\1a\0", Reason.MALFORMED_PACKET),
        ("identifier 0", b"\x32\x06\0\1a\0\0\0", Reason.MALFORMED_PACKET),
        ("topic longer than the packet", b"\x30\x04\0\x09a\0", Reason.MALFORMED_PACKET),
        ("topic with a wildcard", b"\x30\x06\0\3a/#\0", Reason.TOPIC_NAME_INVALID),
        ("topic that is not UTF-8", b"\x30\x05\0\2\xc3\x28\0", Reason.MALFORMED_PACKET),
        ("topic with a surrogate", b"\x30\x06\0\3\xed\xa0\x80\0", Reason.MALFORMED_PACKET),
        ("topic with a zero", b"\x30\x05\0\2a\0\0", Reason.MALFORMED_PACKET),
        ("no topic and no alias", b"\x30\x03\0\0\0", Reason.PROTOCOL_ERROR),
        ("alias 0", b"\x30\x06\0\0\3\x23\0\0", Reason.PROTOCOL_ERROR),
        ("a property twice", b"\x30\x08\0\1a\4\1\0\1\0", Reason.PROTOCOL_ERROR),
        ("a property of another packet", b"\x30\x06\0\1a\2\x25\1", Reason.MALFORMED_PACKET),
        ("a property that does not exist", b"\x30\x06\0\1a\2\x7f\1", Reason.MALFORMED_PACKET),
        ("a subscription without its flag", b"\x80\x07\0\1\0\0\1a\0", Reason.MALFORMED_PACKET),
        ("a subscription of nothing", b"\x82\x03\0\1\0", Reason.PROTOCOL_ERROR),
        ("a ping with something in it", b"\xc0\x01x", Reason.MALFORMED_PACKET),
        ("a length of five bytes", b"\x30\xff\xff\xff\xff\x7f", Reason.MALFORMED_PACKET),
        ("a length with more bytes than it needs", b"\xc0\x80\0", Reason.MALFORMED_PACKET),
        ("too large", b"\x30\xff\xff\x7f", Reason.PACKET_TOO_LARGE),
        ("type 0", b"\x00\x00", Reason.MALFORMED_PACKET),
    ],
)
def test_what_the_standard_does_not_allow_is_a_fault_with_its_code(words: str, stream: bytes, code: Reason) -> None:
    parser = Parser(V5, bytes_most=1_000_000)
    assert parser.feed(stream) == [], words
    assert parser.fault is not None
    assert parser.fault.code == code


def test_packets_before_a_fault_are_good() -> None:
    parser = Parser(V5)
    assert parser.feed(encode(Publish("a", b"1"), V5) + b"\x36\0") == [Publish("a", b"1")]
    assert parser.fault is not None


def test_a_large_packet_that_lacks_its_end_is_refused_before_it_is_held() -> None:
    parser = Parser(None, bytes_most=1000)
    parser.feed(b"\x10\xff\xff\xff\x7f")
    assert parser.fault is not None
    assert parser.fault.code == Reason.PACKET_TOO_LARGE


def test_an_unknown_version_is_named_so() -> None:
    parser = Parser()
    parser.feed(b"\x10\x0c\0\4MQTT\x06\2\0\0\0\0")
    assert parser.fault is not None
    assert parser.fault.code == Reason.UNSUPPORTED_VERSION


def test_the_bytes_are_those_of_the_standard() -> None:
    # MQTT 3.1.1, figure 3.6 ff.: protocol name, level 4, flags, keep alive 10 s; then the client identifier
    assert encode(Connect("a", V311, keep_alive_s=10), V311) == b"\x10\x0d\0\4MQTT\x04\x02\0\x0a\0\1a"
    assert encode(Publish("a/b", b"hi", 1, packet_id=10), V311) == b"\x32\x09\0\3a/b" + struct.pack(">H", 10) + b"hi"
    assert encode(Publish("a/b", b"hi", 1, packet_id=10), V5) == b"\x32\x0a\0\3a/b\0\x0a\0hi"
    assert encode(Ack(Kind.PUBACK, 10, 0x97), V5) == b"\x40\x03\0\x0a\x97"
