"""A row of the conformance suite: which requirement of OGC 18-088 it is about, what is asked, and what the answer must be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest
from sta_place import ROOT, Sta

Check = Callable[[httpx.Response], None]


class Row(msgspec.Struct, frozen=True):
    """One request. `about` is the requirement below iot_sensing/1.1/req/; `options` are put behind the path, encoded."""

    about: str
    method: str
    path: str
    check: Check
    status: int = 200
    options: Mapping[str, str | int] = {}
    body: Any = None
    headers: Mapping[str, str] = {}

    def url(self) -> str:
        words = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in self.options.items())
        return f"{self.path}?{words}" if words else self.path

    def run(self, sta: Sta) -> httpx.Response:
        more: dict[str, Any] = {"headers": dict(self.headers)} if self.headers else {}
        if isinstance(self.body, bytes):
            more["content"] = self.body
        response = sta.ask(self.method, self.url(), None if isinstance(self.body, bytes) else self.body, **more)
        assert response.status_code == self.status, f"{self.method} {self.url()}: {response.status_code} {response.text[:400]}"
        if response.status_code >= 400 and self.method != "HEAD":
            told = response.json()
            assert (told["code"], told["type"]) == (self.status, "error")
            assert told["message"]
        self.check(response)
        return response


def get(about: str, path: str, check: Check, status: int = 200, **options: str | int) -> Row:
    """A GET; the names of options are written without the dollar."""
    return Row(about, "GET", path, check, status, {f"${name}": value for name, value in options.items()})


def params(rows: list[Row]) -> list[Any]:
    """Rows for parametrize, each named by its requirement and its request."""
    return [pytest.param(row, id=f"{row.about.rpartition('/')[2]}:{row.method} {row.url()[:90]}") for row in rows]


# -- what an answer must be --------------------------------------------------------------------------------------------


def _value(response: httpx.Response) -> list[Any]:
    found: list[Any] = response.json()["value"]
    return found


def anything(response: httpx.Response) -> None:
    """The status says all."""


def refused(response: httpx.Response) -> None:
    """An error in JSON: `run` looks at it."""


def empty(response: httpx.Response) -> None:
    assert response.content == b""


def ids(*wanted: int) -> Check:
    def check(response: httpx.Response) -> None:
        assert [one["@iot.id"] for one in _value(response)] == list(wanted)

    return check


def names(*wanted: str) -> Check:
    def check(response: httpx.Response) -> None:
        assert [one["name"] for one in _value(response)] == list(wanted)

    return check


def results(*wanted: Any) -> Check:
    """The results of the Observations, in any order."""

    def check(response: httpx.Response) -> None:
        found = [one["result"] for one in _value(response)]
        assert sorted(map(repr, found)) == sorted(map(repr, wanted))

    return check


def ordered(*wanted: Any) -> Check:
    """The results of the Observations, in this order."""

    def check(response: httpx.Response) -> None:
        assert [one["result"] for one in _value(response)] == list(wanted)

    return check


def equals(wanted: Any) -> Check:
    def check(response: httpx.Response) -> None:
        assert response.json() == wanted

    return check


def values(wanted: list[Any]) -> Check:
    def check(response: httpx.Response) -> None:
        assert _value(response) == wanted

    return check


def text(wanted: str) -> Check:
    """A bare value."""

    def check(response: httpx.Response) -> None:
        assert response.text == wanted
        assert response.headers["content-type"].startswith("text/plain")

    return check


def keys(*wanted: str) -> Check:
    """Each entity has exactly these members."""

    def check(response: httpx.Response) -> None:
        found = response.json()
        for one in found.get("value", [found]):
            assert sorted(one) == sorted(wanted)

    return check


def at(*way: str | int, is_: Any) -> Check:
    """What lies at the end of a way into the JSON."""

    def check(response: httpx.Response) -> None:
        found = response.json()
        for step in way:
            found = found[step]
        assert found == is_

    return check


def absent(*way: str | int) -> Check:
    """The last step of the way is not there."""

    def check(response: httpx.Response) -> None:
        found = response.json()
        for step in way[:-1]:
            found = found[step]
        assert way[-1] not in found

    return check


def both(*checks: Check) -> Check:
    def check(response: httpx.Response) -> None:
        for one in checks:
            one(response)

    return check


def header(name: str, wanted: str) -> Check:
    def check(response: httpx.Response) -> None:
        assert wanted in response.headers.get(name, "")

    return check


def next_link(wanted: str | None) -> Check:
    """The link to the next page, below the root and decoded; None where there must be none."""

    def check(response: httpx.Response) -> None:
        found = response.json().get("@iot.nextLink")
        assert found == (None if wanted is None else f"{ROOT}/{wanted}")

    return check
