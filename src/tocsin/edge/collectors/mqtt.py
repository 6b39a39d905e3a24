"""Readings from an MQTT server, 3.1.1 or 5: topics with captured words, payloads of JSON, CSV or a plain number.

A message of QoS 1 is acknowledged to the server when its readings are on disk; with a persistent session the server keeps what
comes while we are away. What cannot be used is acknowledged too, counted and never asked for again.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from functools import cached_property
from typing import Any, Literal

import msgspec

from tocsin.edge.collect import Batch
from tocsin.edge.collectors.mqtt_link import MqttKind
from tocsin.edge.collectors.paths import path
from tocsin.edge.collectors.pick import ROWS_MOST, Pick, Reading, batches_of, decode_csv, decode_json
from tocsin.edge.collectors.tally import Drop
from tocsin.edge.latest import microseconds
from tocsin.edge.mqtt.wire import Filter, Publish
from tocsin.host import Host
from tocsin.vocabulary import InputError

_WORD = re.compile(r"\{(\w+)\}", re.ASCII)
_NAMELESS = "+"


class Topic(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """Topics of one pattern and what their payloads mean.

    In `topic`, a level `{word}` stands for any one level, whose text is captured; the first `+` is captured as {site}, and `#` at
    the end stands for all that follows. `format` number: the payload is the number. `rows` are the rows in JSON.
    """

    topic: str
    readings: tuple[Pick, ...]
    qos: Literal[0, 1] = 1
    format: Literal["json", "csv", "number"] = "json"
    rows: str = "$"
    delimiter: str = ","

    def __post_init__(self) -> None:
        path(self.rows)
        levels = self.topic.split("/")
        mixed = [
            level for level in levels if set(level) & set("{}+#\0") and not _WORD.fullmatch(level) and level not in ("+", "#")
        ]
        words = [word for word in self._words if word is not None and word != _NAMELESS]
        if not self.topic or mixed or "#" in levels[:-1] or len(set(words)) != len(words):
            raise InputError(f"topic {self.topic!r}: wanted levels that are names, {{word}}, +, or # as the last; each word once")
        if not self.readings:
            raise InputError(f"topic {self.topic!r}: no `readings`; wanted what its payloads mean")
        if self.topic.startswith("$share/"):
            raise InputError(f"topic {self.topic!r}: give `share` of the collector instead of $share")
        if len(self.delimiter) != 1:
            raise InputError(f"topic {self.topic!r}: delimiter = {self.delimiter!r}; wanted one character")

    @cached_property
    def _words(self) -> tuple[str | None, ...]:
        """For each level: the word that captures it, "+" where it may be anything, or None where it is a name."""
        found: list[str | None] = []
        for level in self.topic.split("/"):
            match = _WORD.fullmatch(level)
            is_site = level == "+" and "site" not in found and "{site}" not in self.topic
            found.append(match.group(1) if match else "site" if is_site else _NAMELESS if level == "+" else None)
        return tuple(found)

    @property
    def filter(self) -> Filter:
        """What is asked of the server."""
        return Filter("/".join(_WORD.sub("+", level) for level in self.topic.split("/")), self.qos)

    def capture(self, topic: str) -> dict[str, str] | None:
        """The words in a topic, or None where it is not of this pattern."""
        levels, wanted = topic.split("/"), self.topic.split("/")
        if wanted[-1] == "#":
            wanted = wanted[:-1]
            if len(levels) < len(wanted):
                return None
        elif len(levels) != len(wanted):
            return None
        words: dict[str, str] = {}
        for level, pattern, word in zip(levels, wanted, self._words, strict=False):
            if word is None and level != pattern:
                return None
            if word is not None and word != _NAMELESS:
                words[word] = level
        return words

    def decode(self, payload: bytes, *, bytes_most: int) -> list[Any]:
        """The rows of a payload; raises Drop."""
        if self.format == "csv":
            return decode_csv(payload, bytes_most=bytes_most, delimiter=self.delimiter)
        if self.format == "number":
            if len(payload) > 100:
                raise Drop("not a number", f"{len(payload)} bytes; wanted a number")
            return [payload.decode("ascii", errors="replace")]
        return path(self.rows).find(decode_json(payload, bytes_most=bytes_most), most=ROWS_MOST)


class Mqtt(MqttKind, frozen=True, kw_only=True):
    """Messages of the `topics`. A retained message that does not tell its time is old, nobody knows how old: it is dropped."""

    topics: tuple[Topic, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.topics:
            raise self.fault("no `topics`; wanted at least one")

    async def batches(self, host: Host) -> AsyncGenerator[Batch, None]:
        """One batch for each quantity in what has come meanwhile."""
        messages = self.messages(host, [topic.filter for topic in self.topics])
        try:
            async for group in messages:
                now_us = microseconds(host.clock.now())
                readings = [reading for message in group for reading in self._readings(message, now_us)]
                for batch in batches_of(readings, now_us):
                    yield batch
        finally:
            await messages.aclose()

    def _readings(self, message: Publish, now_us: int) -> list[Reading]:
        """What one message says, by the first topic that it fits."""
        for topic in self.topics:
            captured = topic.capture(message.topic)
            if captured is not None:
                try:
                    return self._of(message, topic, captured, now_us)
                except Drop as drop:
                    self.tally.drop(drop)
                    return []
        self.tally.drop(Drop("topic", f"{message.topic[:100]!r} fits none of ours"))
        return []

    def _of(self, message: Publish, topic: Topic, captured: Mapping[str, str], now_us: int) -> list[Reading]:
        picks = [pick for pick in topic.readings if pick.has_time or not message.retain]
        if not picks:
            raise Drop("retained", f"{message.topic[:100]!r}: retained, and without a time of its own")
        rows = topic.decode(message.payload, bytes_most=self.message_bytes_most)
        return list(self.intake.readings(rows, picks, captured, now_us, site="{site}"))
