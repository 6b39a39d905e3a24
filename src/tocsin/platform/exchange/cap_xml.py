"""Hostile XML becomes a tree or a problem: no network, no entities, no document type, bounded size, depth and number of tags.

The bytes are decoded here and everything before the root element is cut off, so the parser never sees a document type or an
encoding that it would have to believe.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from typing import TypeVar

from lxml import etree

from tocsin.platform.exchange.cap import Problem
from tocsin.vocabulary.errors import InputError

Value = TypeVar("Value")

DEPTH_MAX = 32  # an alert has 5 levels, its signature 7, a feed around it 3
PROBLEMS_MAX = 200
_GOT_MAX = 120

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DECLARATION = re.compile(r"\s*<\?xml\b[^>]{0,200}\?>")
_DECLARED = re.compile(rb"""^\s*<\?xml\b[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_PROLOG = re.compile(r"(?:\s++|<!--.*?-->|<\?.*?\?>)*+", re.DOTALL)
# What a declaration may claim, and how it is decoded. ASCII is read as UTF-8, of which it is a part.
_ENCODINGS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "ascii": "utf-8",
    "us-ascii": "utf-8",
    "iso-8859-1": "latin-1",
    "latin-1": "latin-1",
    "latin1": "latin-1",
    "iso-8859-15": "iso-8859-15",
    "windows-1252": "cp1252",
    "cp1252": "cp1252",
}


class Log:
    """The problems of one reading, in the order of the text; the first PROBLEMS_MAX are kept and the rest counted."""

    def __init__(self) -> None:
        self._problems: list[Problem] = []
        self._more = 0

    def add(self, what: str, where: str, got: str, wanted: str) -> None:
        if len(self._problems) < PROBLEMS_MAX:
            self._problems.append(Problem(what, where, short(got), wanted))
        else:
            self._more += 1

    def keep(self, where: str, make: Callable[[], Value]) -> Value | None:
        """What `make` gives, or None and a problem where a constructor refuses."""
        try:
            return make()
        except InputError as refusal:
            got, _, wanted = str(refusal).partition("; ")
            self.add("cannot be used, left out", where, got, wanted.removeprefix("wanted "))
            return None

    @property
    def problems(self) -> tuple[Problem, ...]:
        more = (Problem("more problems, not listed", "/", str(self._more), "0"),) if self._more else ()
        return (*self._problems, *more)


def parse(data: bytes, log: Log, *, bytes_max: int, tags_max: int) -> etree._Element | None:
    """The root of hostile XML, or None and a problem. The text is decoded here, so that no parser guesses an encoding."""
    if len(data) > bytes_max:
        log.add("is too large, not read", "/", f"{len(data)} bytes", f"{bytes_max} bytes or fewer")
        return None
    text = _decoded(data, log)
    bad = _NOT_XML.search(text)
    if bad:
        log.add("has characters that XML forbids, taken out", "/", f"U+{ord(bad.group()):04X} at {bad.start()}", "none")
        text = _NOT_XML.sub("", text)
    declaration = _DECLARATION.match(text)
    text = text[declaration.end() :] if declaration else text
    prolog = _PROLOG.match(text)
    start = prolog.end() if prolog else 0
    if text.startswith("<!", start):
        log.add("begins with a document type or an open comment, not read", "/", text[start:][:_GOT_MAX], "neither")
        return None
    if text.count("<") > tags_max:
        log.add("has too many tags, not read", "/", str(text.count("<")), f"{tags_max} or fewer")
        return None
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        recover=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )
    try:
        root = etree.fromstring(text[start:].encode(), parser)
    except etree.XMLSyntaxError as fault:
        log.add("is not well-formed XML, not read", "/", str(fault), "a whole XML document: fetch it again")
        return None
    if _is_deep(root):
        log.add("is nested too deep, not read", "/", f"more than {DEPTH_MAX} levels", f"{DEPTH_MAX} or fewer")
        return None
    return root


def child_text(node: etree._Element) -> str:
    """All text of an element, also of elements inside it, stripped."""
    return "".join(node.itertext()).strip()


def short(text: str) -> str:
    return text if len(text) <= _GOT_MAX else text[: _GOT_MAX - 3] + "..."


def _decoded(data: bytes, log: Log) -> str:
    """The text, by byte order mark, else by what the XML declaration says, else UTF-8; a wrong claim is reported."""
    for mark, encoding in ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if data.startswith(mark):
            return _or_latin(data, encoding, log)
    if data.startswith((b"<\0", b"\0<")):
        return _or_latin(data, "utf-16-le" if data.startswith(b"<") else "utf-16-be", log)
    declared = _DECLARED.match(data)
    claim = declared.group(1).decode("ascii") if declared else "utf-8"
    encoding = _ENCODINGS.get(claim.lower().replace("_", "-"), "")
    if not encoding:  # also UTF-16, which without a mark and without NULs it is not
        log.add("claims an encoding that it is not, or that is not read here, tried as UTF-8", "/", claim, ", ".join(_ENCODINGS))
    return _or_latin(data, encoding or "utf-8", log)


def _or_latin(data: bytes, encoding: str, log: Log) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as fault:
        got = f"{fault.reason} at byte {fault.start}"
        log.add("is not in the encoding that it claims, read as Windows-1252", "/", got, encoding)
        return data.decode("cp1252", errors="replace")


def _is_deep(root: etree._Element) -> bool:
    depth = 0
    for event, _ in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        if depth > DEPTH_MAX:
            return True
    return False
