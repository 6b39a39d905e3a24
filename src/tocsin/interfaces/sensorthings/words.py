"""A filter cut into words: what each is, and where it stands."""

from __future__ import annotations

import re

import msgspec

from tocsin.platform.things.times import INSTANT
from tocsin.vocabulary import InputError

LENGTH_MAX = 20_000
_NAME = r"[^\W\d][\w.]*|@iot\.[A-Za-z]+|\$[A-Za-z]+"
_WORD = re.compile(
    rf"""(?P<space>\s+)
    |(?P<shape>geo(?:graphy|metry)'(?:[^']|'')*')
    |(?P<duration>duration'[^']*')
    |(?P<interval>{INSTANT}/{INSTANT})
    |(?P<time>{INSTANT})
    |(?P<date>\d{{4}}-\d\d-\d\d(?![\dT]))
    |(?P<clock>\d\d:\d\d(?::\d\d(?:\.\d{{1,12}})?)?)
    |(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w]))
    |(?P<string>'(?:[^']|'')*')
    |(?P<name>{_NAME})
    |(?P<mark>[()\[\],;/=:-])""",
    re.VERBOSE | re.IGNORECASE,
)


class Word(msgspec.Struct, frozen=True):
    """One word: its kind, its text, and the character at which it begins."""

    kind: str
    text: str
    begin: int


def position(option: str, text: str, begin: int) -> str:
    """Where something stands, as a person counts: option, line and column from 1."""
    line = text.count("\n", 0, begin) + 1
    column = begin - (text.rfind("\n", 0, begin) + 1) + 1
    return f"{option}, line {line}, column {column}"


class Words:
    """The words of one option, taken one after the other."""

    def __init__(self, option: str, text: str, begin: int = 0, end: int | None = None) -> None:
        self.option, self.text = option, text
        self._place = 0
        end = len(text) if end is None else end
        if end - begin > LENGTH_MAX:
            raise InputError(f"{option}: {end - begin:,} characters; wanted at most {LENGTH_MAX:,}")
        self.words: list[Word] = []
        at = begin
        while at < end:
            match = _WORD.match(text, at, end)
            if match is None or match.end() == at:
                raise InputError(
                    f"{position(option, text, at)}: got {text[at : at + 20]!r}; wanted a property, a function, a number, a text in "
                    "single quotes, a time or a bracket"
                )
            kind = match.lastgroup or ""
            if kind != "space":
                self.words.append(Word(kind, match.group(), at))
            at = match.end()
        self._end = Word("end", "the end", end)

    def at(self, word: Word) -> str:
        """Where a word stands."""
        return position(self.option, self.text, word.begin)

    @property
    def next(self) -> Word:
        """The next word, which stays."""
        return self.words[self._place] if self._place < len(self.words) else self._end

    def after_next(self) -> Word:
        """The word after the next one."""
        return self.words[self._place + 1] if self._place + 1 < len(self.words) else self._end

    def take(self) -> Word:
        """The next word, and go on."""
        word = self.next
        self._place += 1
        return word

    def is_mark(self, mark: str) -> bool:
        return self.next.kind == "mark" and self.next.text == mark

    def is_name(self, *names: str) -> bool:
        return self.next.kind == "name" and self.next.text in names

    def skip(self, mark: str) -> bool:
        """Take a mark if it is the next word."""
        if self.is_mark(mark):
            self._place += 1
            return True
        return False

    def want(self, mark: str, why: str) -> Word:
        """Take a mark, or raise InputError."""
        if not self.is_mark(mark):
            raise self.wrong(f"{mark!r} {why}")
        return self.take()

    def wrong(self, wanted: str) -> InputError:
        """The next word is not what it should be."""
        return InputError(f"{self.at(self.next)}: got {self.next.text[:40]!r}; wanted {wanted}")
