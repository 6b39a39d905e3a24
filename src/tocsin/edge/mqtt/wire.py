"""MQTT 3.1.1 and 5 as bytes: packets out of a stream, and packets into one. It opens no socket and waits for nothing.

Strict, because the other end may be anybody: a packet that the standards do not allow is a WireFault with the reason code with which
the connection is to be closed. Sources: OASIS MQTT 3.1.1 (2014) and OASIS MQTT 5.0 (2019); section numbers below are of the latter.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from enum import IntEnum
from typing import Any, TypeAlias

import msgspec

from tocsin.vocabulary import InputError

V311, V5 = 4, 5
REMAINING_MOST = 268_435_455  # four bytes of seven bits: section 1.5.5
TOPIC_BYTES_MOST = 65_535
_U16, _U32 = struct.Struct(">H"), struct.Struct(">I")


class Kind(IntEnum):
    """The control packets: section 2.1.2."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14
    AUTH = 15


class Reason(IntEnum):
    """What a packet of version 5 says about how it went: section 2.4. Version 3.1.1 knows few of them."""

    SUCCESS = 0x00
    GRANTED_QOS_1 = 0x01
    GRANTED_QOS_2 = 0x02
    DISCONNECT_WITH_WILL = 0x04
    NO_MATCHING_SUBSCRIBERS = 0x10
    NO_SUBSCRIPTION_EXISTED = 0x11
    UNSPECIFIED = 0x80
    MALFORMED_PACKET = 0x81
    PROTOCOL_ERROR = 0x82
    IMPLEMENTATION_SPECIFIC = 0x83
    UNSUPPORTED_VERSION = 0x84
    CLIENT_ID_NOT_VALID = 0x85
    BAD_LOGIN = 0x86
    NOT_AUTHORIZED = 0x87
    SERVER_UNAVAILABLE = 0x88
    SERVER_BUSY = 0x89
    SERVER_SHUTTING_DOWN = 0x8B
    BAD_AUTHENTICATION_METHOD = 0x8C
    KEEP_ALIVE_TIMEOUT = 0x8D
    SESSION_TAKEN_OVER = 0x8E
    TOPIC_FILTER_INVALID = 0x8F
    TOPIC_NAME_INVALID = 0x90
    PACKET_ID_IN_USE = 0x91
    PACKET_ID_NOT_FOUND = 0x92
    RECEIVE_MAXIMUM_EXCEEDED = 0x93
    TOPIC_ALIAS_INVALID = 0x94
    PACKET_TOO_LARGE = 0x95
    QUOTA_EXCEEDED = 0x97
    ADMINISTRATIVE_ACTION = 0x98
    PAYLOAD_FORMAT_INVALID = 0x99
    RETAIN_NOT_SUPPORTED = 0x9A
    QOS_NOT_SUPPORTED = 0x9B
    SHARED_NOT_SUPPORTED = 0x9E
    CONNECTION_RATE_EXCEEDED = 0x9F


class WireFault(InputError):
    """Bytes that are no packet, or a packet that must not be; `code` is what the other end is told before the connection ends."""

    def __init__(self, code: Reason, words: str) -> None:
        super().__init__(f"mqtt: {words}; the connection is closed with reason {code:#04x}")
        self.code = code


class Properties(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a packet of version 5 may say beside its own fields: section 2.2.2.2. None: not said."""

    payload_format: int | None = None
    message_expiry_s: int | None = None
    content_type: str | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None
    subscription_ids: tuple[int, ...] = ()
    session_expiry_s: int | None = None
    assigned_client_id: str | None = None
    server_keep_alive_s: int | None = None
    authentication_method: str | None = None
    authentication_data: bytes | None = None
    request_problem_information: int | None = None
    will_delay_s: int | None = None
    request_response_information: int | None = None
    response_information: str | None = None
    server_reference: str | None = None
    reason: str | None = None
    receive_maximum: int | None = None
    topic_alias_maximum: int | None = None
    topic_alias: int | None = None
    maximum_qos: int | None = None
    retain_available: int | None = None
    user: tuple[tuple[str, str], ...] = ()
    maximum_packet_bytes: int | None = None
    wildcard_available: int | None = None
    subscription_ids_available: int | None = None
    shared_available: int | None = None


NOTHING = Properties()


class Will(msgspec.Struct, frozen=True):
    """What the server says for a client that has gone without a word."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: Properties = NOTHING


class Connect(msgspec.Struct, frozen=True):
    """A client introduces itself."""

    client_id: str
    version: int = V5
    clean: bool = True
    keep_alive_s: int = 0
    user: str | None = None
    password: bytes | None = None
    will: Will | None = None
    properties: Properties = NOTHING


class Connack(msgspec.Struct, frozen=True):
    """The server's answer to it; in version 3.1.1 `code` is 0 to 5."""

    session_present: bool = False
    code: int = 0
    properties: Properties = NOTHING


class Publish(msgspec.Struct, frozen=True, gc=False):
    """A message. `packet_id` is 0 where qos is 0; `topic` may be empty where a topic alias stands for it."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    dup: bool = False
    packet_id: int = 0
    properties: Properties = NOTHING


class Ack(msgspec.Struct, frozen=True, gc=False):
    """PUBACK, PUBREC, PUBREL or PUBCOMP."""

    kind: Kind
    packet_id: int
    code: int = 0
    properties: Properties = NOTHING


class Filter(msgspec.Struct, frozen=True):
    """One line of a subscription."""

    topic: str
    qos: int = 0
    no_local: bool = False
    retain_as_published: bool = False
    retain_handling: int = 0


class Subscribe(msgspec.Struct, frozen=True):
    """Asks for messages."""

    packet_id: int
    filters: tuple[Filter, ...]
    properties: Properties = NOTHING


class Unsubscribe(msgspec.Struct, frozen=True):
    """Asks for no more of them."""

    packet_id: int
    filters: tuple[str, ...]
    properties: Properties = NOTHING


class Granted(msgspec.Struct, frozen=True):
    """SUBACK or UNSUBACK: a code for each filter."""

    kind: Kind
    packet_id: int
    codes: tuple[int, ...]
    properties: Properties = NOTHING


class Ping(msgspec.Struct, frozen=True):
    """PINGREQ or PINGRESP."""

    kind: Kind


class Disconnect(msgspec.Struct, frozen=True):
    """The last word; in version 3.1.1 only a client says it, and without a code."""

    code: int = 0
    properties: Properties = NOTHING


class Auth(msgspec.Struct, frozen=True):
    """A step of an extended authentication; this server offers none."""

    code: int = 0
    properties: Properties = NOTHING


Packet: TypeAlias = Connect | Connack | Publish | Ack | Subscribe | Unsubscribe | Granted | Ping | Disconnect | Auth

# identifier -> (name, how it is written, where it may stand). Section 2.2.2.2, table 2-4. "will" is the will's own block.
_BYTE, _BIT, _TWO, _FOUR, _VARIABLE, _TEXT, _BINARY, _PAIR = "byte", "bit", "two", "four", "variable", "text", "binary", "pair"
_ACKS = frozenset({Kind.PUBACK, Kind.PUBREC, Kind.PUBREL, Kind.PUBCOMP})
_WILL = 0
_REASONED = _ACKS | {Kind.CONNACK, Kind.SUBACK, Kind.UNSUBACK, Kind.DISCONNECT, Kind.AUTH}
_TABLE: dict[int, tuple[str, str, frozenset[int]]] = {
    1: ("payload_format", _BIT, frozenset({Kind.PUBLISH, _WILL})),
    2: ("message_expiry_s", _FOUR, frozenset({Kind.PUBLISH, _WILL})),
    3: ("content_type", _TEXT, frozenset({Kind.PUBLISH, _WILL})),
    8: ("response_topic", _TEXT, frozenset({Kind.PUBLISH, _WILL})),
    9: ("correlation_data", _BINARY, frozenset({Kind.PUBLISH, _WILL})),
    11: ("subscription_ids", _VARIABLE, frozenset({Kind.PUBLISH, Kind.SUBSCRIBE})),
    17: ("session_expiry_s", _FOUR, frozenset({Kind.CONNECT, Kind.CONNACK, Kind.DISCONNECT})),
    18: ("assigned_client_id", _TEXT, frozenset({Kind.CONNACK})),
    19: ("server_keep_alive_s", _TWO, frozenset({Kind.CONNACK})),
    21: ("authentication_method", _TEXT, frozenset({Kind.CONNECT, Kind.CONNACK, Kind.AUTH})),
    22: ("authentication_data", _BINARY, frozenset({Kind.CONNECT, Kind.CONNACK, Kind.AUTH})),
    23: ("request_problem_information", _BIT, frozenset({Kind.CONNECT})),
    24: ("will_delay_s", _FOUR, frozenset({_WILL})),
    25: ("request_response_information", _BIT, frozenset({Kind.CONNECT})),
    26: ("response_information", _TEXT, frozenset({Kind.CONNACK})),
    28: ("server_reference", _TEXT, frozenset({Kind.CONNACK, Kind.DISCONNECT})),
    31: ("reason", _TEXT, frozenset(_REASONED)),
    33: ("receive_maximum", _TWO, frozenset({Kind.CONNECT, Kind.CONNACK})),
    34: ("topic_alias_maximum", _TWO, frozenset({Kind.CONNECT, Kind.CONNACK})),
    35: ("topic_alias", _TWO, frozenset({Kind.PUBLISH})),
    36: ("maximum_qos", _BIT, frozenset({Kind.CONNACK})),
    37: ("retain_available", _BIT, frozenset({Kind.CONNACK})),
    38: ("user", _PAIR, frozenset({*Kind, _WILL}) - {Kind.PINGREQ, Kind.PINGRESP}),
    39: ("maximum_packet_bytes", _FOUR, frozenset({Kind.CONNECT, Kind.CONNACK})),
    40: ("wildcard_available", _BIT, frozenset({Kind.CONNACK})),
    41: ("subscription_ids_available", _BIT, frozenset({Kind.CONNACK})),
    42: ("shared_available", _BIT, frozenset({Kind.CONNACK})),
}
_NOT_ZERO = frozenset({"receive_maximum", "topic_alias", "maximum_packet_bytes", "subscription_ids"})
_FLAGS = {Kind.PUBREL: 2, Kind.SUBSCRIBE: 2, Kind.UNSUBSCRIBE: 2}


def _malformed(words: str) -> WireFault:
    return WireFault(Reason.MALFORMED_PACKET, words)


def text_of(raw: bytes) -> str:
    """UTF-8 without U+0000 and without surrogates: section 1.5.4. Raises WireFault."""
    try:
        told = raw.decode()
    except UnicodeDecodeError as fault:
        raise _malformed(f"text that is not UTF-8: {fault.reason} at byte {fault.start}") from fault
    if "\0" in told:
        raise _malformed("text with a zero character")
    return told


@functools.lru_cache(maxsize=65_536)
def topic_of(raw: bytes) -> str:
    """The topic name of a message: not empty, without wildcards. Devices repeat theirs, so what was looked at is remembered."""
    told = text_of(raw)
    if "#" in told or "+" in told:
        raise WireFault(Reason.TOPIC_NAME_INVALID, f"a message on the topic {told[:100]!r}, which has a wildcard")
    return told


class _Reader:
    """Takes the fields of one packet from its bytes."""

    __slots__ = ("at", "data", "end")

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self.data, self.at, self.end = data, at, end

    def _step(self, size: int) -> int:
        at = self.at
        self.at = at + size
        if self.at > self.end:
            raise _malformed("a packet that ends in the middle of a field")
        return at

    def byte(self) -> int:
        return self.data[self._step(1)]

    def two(self) -> int:
        return int(_U16.unpack_from(self.data, self._step(2))[0])

    def four(self) -> int:
        return int(_U32.unpack_from(self.data, self._step(4))[0])

    def variable(self) -> int:
        value = 0
        for shift in (0, 7, 14, 21):
            part = self.byte()
            value |= (part & 0x7F) << shift
            if not part & 0x80:
                if shift and not part:
                    raise _malformed("a length written with more bytes than it needs")
                return value
        raise _malformed("a length of more than four bytes")

    def binary(self) -> bytes:
        size = self.two()
        at = self._step(size)
        return self.data[at : at + size]

    def text(self) -> str:
        return text_of(self.binary())

    def packet_id(self) -> int:
        number = self.two()
        if not number:
            raise _malformed("a packet identifier of 0")
        return number

    def rest(self) -> bytes:
        at, self.at = self.at, self.end
        return self.data[at : self.end]

    def done(self) -> None:
        if self.at != self.end:
            raise _malformed(f"{self.end - self.at} bytes after the last field of a packet")

    def properties(self, where: int) -> Properties:
        size = self.variable()
        if not size:
            return NOTHING
        end = self._step(size) + size
        part = _Reader(self.data, end - size, end)
        told: dict[str, Any] = {}
        while part.at < end:
            identifier = part.variable()
            if identifier not in _TABLE:
                raise _malformed(f"property {identifier}, which does not exist")
            name, how, allowed = _TABLE[identifier]
            if where not in allowed:
                raise _malformed(f"property {name} in a packet where it must not be")
            value = _READ[how](part)
            if name in _NOT_ZERO and not value:
                raise WireFault(Reason.PROTOCOL_ERROR, f"property {name} of 0")
            if how == _PAIR or (name == "subscription_ids" and where == Kind.PUBLISH):
                told[name] = (*told.get(name, ()), value)
            elif name in told:
                raise WireFault(Reason.PROTOCOL_ERROR, f"property {name} given twice")
            else:
                told[name] = (value,) if name == "subscription_ids" else value
        return Properties(**told)


def _bit(reader: _Reader) -> int:
    value = reader.byte()
    if value > 1:
        raise WireFault(Reason.PROTOCOL_ERROR, f"a property of {value} where only 0 and 1 are allowed")
    return value


_READ: dict[str, Callable[[_Reader], Any]] = {
    _BYTE: _Reader.byte,
    _BIT: _bit,
    _TWO: _Reader.two,
    _FOUR: _Reader.four,
    _VARIABLE: _Reader.variable,
    _TEXT: _Reader.text,
    _BINARY: _Reader.binary,
    _PAIR: lambda reader: (reader.text(), reader.text()),
}


class Parser:
    """Packets out of a stream of bytes. After a fault it takes nothing more; the packets before it were good.

    `version` is None on a server until CONNECT has said it. `bytes_most` bounds a packet; raise it when the client is known.
    """

    def __init__(self, version: int | None = None, *, bytes_most: int = REMAINING_MOST) -> None:
        self.version, self.bytes_most = version, bytes_most
        self.fault: WireFault | None = None
        self._parts: list[bytes] = []
        self._held = self._needed = 0

    def feed(self, data: bytes) -> list[Packet]:
        """All packets that are whole now. Look at `fault` afterwards."""
        if self.fault is not None:
            return []
        if self._held:
            self._parts.append(data)
            self._held += len(data)
            if self._held < self._needed:
                return []
            data = b"".join(self._parts)
            self._parts, self._held, self._needed = [], 0, 0
        packets: list[Packet] = []
        try:
            at = self._packets(data, packets)
        except WireFault as fault:
            self.fault = fault
            return packets
        if at < len(data):
            rest = data[at:]
            self._parts, self._held = [rest], len(rest)
        return packets

    def _packets(self, data: bytes, packets: list[Packet]) -> int:
        """Decode into `packets`; return where the first packet that is not whole begins."""
        at, size = 0, len(data)
        while size - at >= 2:
            head, length, begin = data[at], data[at + 1], at + 2
            if length & 0x80:
                length, begin = _length(data, at + 1, size)
                if length < 0:
                    break
            end = begin + length
            if end - at > self.bytes_most:
                raise WireFault(Reason.PACKET_TOO_LARGE, f"a packet of {end - at} bytes; wanted at most {self.bytes_most}")
            if end > size:
                if self.version is None and head >> 4 != Kind.CONNECT:
                    raise WireFault(Reason.PROTOCOL_ERROR, "the first packet is not CONNECT")
                self._needed = end - at
                break
            if head >> 4 == Kind.PUBLISH:
                packets.append(self._publish(head, data, begin, end))
            else:
                packets.append(self._other(head, data, begin, end))
            at = end
        return at

    def _publish(self, head: int, data: bytes, at: int, end: int) -> Publish:
        qos = (head >> 1) & 3
        if qos == 3 or (head & 8 and not qos) or self.version is None:
            raise _malformed("a message of quality 3, one of quality 0 that is sent again, or one before CONNECT")
        topic_at = at + 2
        if topic_at > end:
            raise _malformed("a packet that ends in the middle of a field")
        at = topic_at + (data[at] << 8 | data[at + 1])
        if at > end:
            raise _malformed("a packet that ends in the middle of a field")
        topic = topic_of(data[topic_at:at])
        packet_id = 0
        if qos:
            if at + 2 > end:
                raise _malformed("a packet that ends in the middle of a field")
            packet_id = data[at] << 8 | data[at + 1]
            at += 2
            if not packet_id:
                raise _malformed("a packet identifier of 0")
        properties = NOTHING
        if self.version == V5:
            if at < end and not data[at]:
                at += 1
            else:
                reader = _Reader(data, at, end)
                properties = reader.properties(Kind.PUBLISH)
                at = reader.at
        if not topic and properties.topic_alias is None:
            raise WireFault(Reason.PROTOCOL_ERROR if self.version == V5 else Reason.MALFORMED_PACKET, "a message without a topic")
        return Publish(topic, data[at:end], qos, bool(head & 1), bool(head & 8), packet_id, properties)

    def _other(self, head: int, data: bytes, begin: int, end: int) -> Packet:
        number, reader = head >> 4, _Reader(data, begin, end)
        if not number:
            raise _malformed("a packet of type 0")
        kind = Kind(number)
        if head & 15 != _FLAGS.get(kind, 0):
            raise _malformed(f"{kind.name} with flags {head & 15}; wanted {_FLAGS.get(kind, 0)}")
        if self.version is None and kind != Kind.CONNECT:
            raise WireFault(Reason.PROTOCOL_ERROR, f"the first packet is {kind.name}, not CONNECT")
        packet = self._decode(kind, reader)
        reader.done()
        return packet

    def _decode(self, kind: Kind, reader: _Reader) -> Packet:
        is_5 = self.version == V5
        match kind:
            case Kind.CONNECT:
                packet = _connect(reader)
                self.version = packet.version
                return packet
            case Kind.CONNACK:
                flags = reader.byte()
                if flags > 1:
                    raise _malformed(f"CONNACK with flags {flags}")
                return Connack(bool(flags), reader.byte(), reader.properties(kind) if is_5 else NOTHING)
            case Kind.PUBACK | Kind.PUBREC | Kind.PUBREL | Kind.PUBCOMP:
                number = reader.packet_id()
                return Ack(kind, number, *_code_and_properties(kind, reader, is_5))
            case Kind.SUBSCRIBE:
                number, properties = reader.packet_id(), reader.properties(kind) if is_5 else NOTHING
                filters = []
                while reader.at < reader.end:
                    filters.append(_filter(reader, is_5))
                _some(filters, kind)
                return Subscribe(number, tuple(filters), properties)
            case Kind.UNSUBSCRIBE:
                number, properties = reader.packet_id(), reader.properties(kind) if is_5 else NOTHING
                names = []
                while reader.at < reader.end:
                    names.append(reader.text())
                _some(names, kind)
                return Unsubscribe(number, tuple(names), properties)
            case Kind.SUBACK | Kind.UNSUBACK:
                number, properties = reader.packet_id(), reader.properties(kind) if is_5 else NOTHING
                return Granted(kind, number, tuple(reader.rest()), properties)
            case Kind.PINGREQ | Kind.PINGRESP:
                return Ping(kind)
            case Kind.DISCONNECT:
                return Disconnect(*_code_and_properties(kind, reader, is_5))
            case _:
                if not is_5:
                    raise WireFault(Reason.PROTOCOL_ERROR, "AUTH, which version 3.1.1 does not have")
                return Auth(*_code_and_properties(kind, reader, is_5))


def _length(data: bytes, at: int, size: int) -> tuple[int, int]:
    """The remaining length and where it ends; (-1, 0) where not all of it is there."""
    value = 0
    for step in range(4):
        if at + step >= size:
            return -1, 0
        part = data[at + step]
        value |= (part & 0x7F) << 7 * step
        if not part & 0x80:
            if step and not part:
                raise _malformed("a length written with more bytes than it needs")
            return value, at + step + 1
    raise _malformed("a length of more than four bytes")


def _some(found: list[Any], kind: Kind) -> None:
    if not found:
        raise WireFault(Reason.PROTOCOL_ERROR, f"{kind.name} without a topic filter")


def _code_and_properties(kind: Kind, reader: _Reader, is_5: bool) -> tuple[int, Properties]:
    """What may be left out at the end of a packet: sections 3.4.2.1, 3.14.2.1."""
    if not is_5 or reader.at == reader.end:
        return 0, NOTHING
    code = reader.byte()
    return code, reader.properties(kind) if reader.at < reader.end else NOTHING


def _filter(reader: _Reader, is_5: bool) -> Filter:
    topic, options = reader.text(), reader.byte()
    qos, handling = options & 3, options >> 4 & 3
    if qos == 3 or options & (0xC0 if is_5 else 0xFC) or handling == 3:
        raise _malformed(f"a subscription with options {options:#04x}")
    return Filter(topic, qos, bool(options & 4), bool(options & 8), handling)


def _connect(reader: _Reader) -> Connect:
    name, version = reader.text(), reader.byte()
    if name != "MQTT" or version not in (V311, V5):
        raise WireFault(Reason.UNSUPPORTED_VERSION, f"protocol {name[:20]!r} of version {version}; wanted MQTT 3.1.1 (4) or 5")
    flags, keep_alive_s = reader.byte(), reader.two()
    has_user, has_password, has_will = bool(flags & 0x80), bool(flags & 0x40), bool(flags & 4)
    will_qos, will_retain = flags >> 3 & 3, bool(flags & 0x20)
    if flags & 1 or will_qos == 3 or (not has_will and (will_qos or will_retain)):
        raise _malformed(f"CONNECT with flags {flags:#04x}")
    if version == V311 and has_password and not has_user:
        raise _malformed("CONNECT with a password and no user")
    properties = reader.properties(Kind.CONNECT) if version == V5 else NOTHING
    if properties.authentication_data is not None and properties.authentication_method is None:
        raise WireFault(Reason.PROTOCOL_ERROR, "authentication data without a method")
    client_id = reader.text()
    will = None
    if has_will:
        more = reader.properties(_WILL) if version == V5 else NOTHING
        topic = topic_of(reader.binary())
        if not topic:
            raise WireFault(Reason.TOPIC_NAME_INVALID, "a will without a topic")
        will = Will(topic, reader.binary(), will_qos, will_retain, more)
    user = reader.text() if has_user else None
    password = reader.binary() if has_password else None
    return Connect(client_id, version, bool(flags & 2), keep_alive_s, user, password, will, properties)


def _written_length(value: int) -> bytes:
    if value < 128:
        return bytes((value,))
    if value > REMAINING_MOST:
        raise InputError(f"mqtt: a packet of {value} bytes; the standard ends at {REMAINING_MOST}; send it in parts")
    parts = bytearray()
    while True:
        value, part = value >> 7, value & 0x7F
        parts.append(part | 0x80 if value else part)
        if not value:
            return bytes(parts)


def _binary(value: bytes) -> bytes:
    if len(value) > 65_535:
        raise InputError(f"mqtt: a field of {len(value)} bytes; the standard ends at 65535")
    return _U16.pack(len(value)) + value


def _text(value: str) -> bytes:
    return _binary(value.encode())


_WRITE: dict[str, Callable[[Any], bytes]] = {
    _BYTE: lambda value: bytes((value,)),
    _BIT: lambda value: bytes((value,)),
    _TWO: _U16.pack,
    _FOUR: _U32.pack,
    _VARIABLE: _written_length,
    _TEXT: _text,
    _BINARY: _binary,
    _PAIR: lambda pair: _text(pair[0]) + _text(pair[1]),
}


def _written(properties: Properties) -> bytes:
    if properties == NOTHING:
        return b"\0"
    parts = []
    for identifier, (name, how, _) in _TABLE.items():
        value = getattr(properties, name)
        if value is None or value == ():
            continue
        for one in value if isinstance(value, tuple) else (value,):
            parts.append(bytes((identifier,)) + _WRITE[how](one))
    body = b"".join(parts)
    return _written_length(len(body)) + body


def _framed(kind: Kind, body: bytes, flags: int | None = None) -> bytes:
    return bytes((kind << 4 | (_FLAGS.get(kind, 0) if flags is None else flags),)) + _written_length(len(body)) + body


def puback(kind: Kind, packet_id: int, code: int = 0) -> bytes:
    """An acknowledgement with no properties; the shortest and most frequent of all answers."""
    head = kind << 4 | (2 if kind == Kind.PUBREL else 0)
    if code:
        return bytes((head, 3, packet_id >> 8, packet_id & 255, code))
    return bytes((head, 2, packet_id >> 8, packet_id & 255))


def encode(packet: Packet, version: int) -> bytes:
    """A packet as bytes; what version 3.1.1 cannot say is left out."""
    is_5 = version == V5
    match packet:
        case Publish():
            head = packet.qos << 1 | packet.retain | packet.dup << 3
            body = _text(packet.topic) + (_U16.pack(packet.packet_id) if packet.qos else b"")
            return _framed(Kind.PUBLISH, body + (_written(packet.properties) if is_5 else b"") + packet.payload, head)
        case Ack():
            if not is_5 or packet.properties == NOTHING:
                return puback(packet.kind, packet.packet_id, packet.code if is_5 else 0)
            return _framed(packet.kind, _U16.pack(packet.packet_id) + bytes((packet.code,)) + _written(packet.properties))
        case Connect():
            return _framed(Kind.CONNECT, _written_connect(packet))
        case Connack():
            more = _written(packet.properties) if is_5 else b""
            return _framed(Kind.CONNACK, bytes((packet.session_present, packet.code)) + more)
        case Subscribe():
            lines = [_text(one.topic) + bytes((_options(one, is_5),)) for one in packet.filters]
            more = _written(packet.properties) if is_5 else b""
            return _framed(Kind.SUBSCRIBE, _U16.pack(packet.packet_id) + more + b"".join(lines))
        case Unsubscribe():
            more = _written(packet.properties) if is_5 else b""
            return _framed(Kind.UNSUBSCRIBE, _U16.pack(packet.packet_id) + more + b"".join(map(_text, packet.filters)))
        case Granted():
            more = _written(packet.properties) if is_5 else b""
            codes = b"" if packet.kind == Kind.UNSUBACK and not is_5 else bytes(packet.codes)
            return _framed(packet.kind, _U16.pack(packet.packet_id) + more + codes)
        case Ping():
            return _framed(packet.kind, b"")
        case Disconnect() | Auth():
            kind = Kind.DISCONNECT if isinstance(packet, Disconnect) else Kind.AUTH
            if not is_5 or (not packet.code and packet.properties == NOTHING):
                return _framed(kind, b"")
            more = b"" if packet.properties == NOTHING else _written(packet.properties)
            return _framed(kind, bytes((packet.code,)) + more)


def _options(one: Filter, is_5: bool) -> int:
    return one.qos | (one.no_local << 2 | one.retain_as_published << 3 | one.retain_handling << 4 if is_5 else 0)


def _written_connect(packet: Connect) -> bytes:
    will, is_5 = packet.will, packet.version == V5
    flags = packet.clean << 1 | (packet.user is not None) << 7 | (packet.password is not None) << 6
    if will is not None:
        flags |= 4 | will.qos << 3 | will.retain << 5
    parts = [_text("MQTT"), bytes((packet.version, flags)), _U16.pack(packet.keep_alive_s)]
    if is_5:
        parts.append(_written(packet.properties))
    parts.append(_text(packet.client_id))
    if will is not None:
        parts += [_written(will.properties) if is_5 else b"", _text(will.topic), _binary(will.payload)]
    if packet.user is not None:
        parts.append(_text(packet.user))
    if packet.password is not None:
        parts.append(_binary(packet.password))
    return b"".join(parts)
