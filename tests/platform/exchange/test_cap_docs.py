"""The page about CAP and the examples in the modules run as they stand."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

from tocsin.platform import exchange

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "cap.md"


def test_the_page_about_cap_runs() -> None:
    failed, tried = doctest.testfile(str(PAGE), module_relative=False)
    assert tried > 10
    assert failed == 0


@pytest.mark.parametrize("name", ["cap_draft", "cap_feeds", "cap_reader", "cap_writer"])
def test_the_examples_in_the_modules_run(name: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(f"tocsin.platform.exchange.{name}"))
    assert tried > 0
    assert failed == 0


def test_the_table_of_the_page_is_the_table_of_the_code() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for level, meaning in exchange.MEANINGS.items():
        words = (meaning.severity, meaning.urgency, meaning.certainty, meaning.response, meaning.awareness_level or "none")
        assert f"| {level.word} | {' | '.join(words)} |" in page


def test_the_face_of_the_exchange_is_pinned() -> None:
    words = """MEANINGS Alert Area CapReading Category Certainty Circle FeedEntry FeedReading Info Link Meaning MsgType NamedValue
    Polygon Problem Reference Resource ResponseType Scope Severity Status Urgency Words advice area_around cancel certainty_of
    draft_alert faults outline read_cap read_feed release update write_cap"""
    assert sorted(exchange.__all__) == sorted(re.findall(r"\w+", words))
    assert all(hasattr(exchange, name) for name in exchange.__all__)
