"""Batches: req/batch-request/batch-request, as multipart/mixed and as JSON."""

from __future__ import annotations

import email
import email.policy
from typing import Any

import pytest
from sta_place import ROOT, Sta, observed, sensor, stream, thing

from tocsin.platform.things.jsontext import encode

BOUNDARY = "batch_36522ad7-fc75-4b56-8c71-56071383e77b"
SET = "changeset_77162fcd-b8da-41ac-a9f8-9357efbbd"


def request(method: str, url: str, body: Any = None, name: str = "") -> str:
    head = "Content-Type: application/http\r\n" + (f"Content-ID: {name}\r\n" if name else "")
    if body is None:
        return f"{head}\r\n{method} {url} HTTP/1.1\r\nHost: localhost\r\n\r\n\r\n"
    text = encode(body)
    inner = f"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n{text}\r\n"
    return f"{head}\r\n{method} {url} HTTP/1.1\r\n{inner}"


def together(*requests: str) -> str:
    parts = "".join(f"--{SET}\r\n{one}" for one in requests)
    return f"Content-Type: multipart/mixed;boundary={SET}\r\n\r\n{parts}--{SET}--\r\n"


def send(sta: Sta, *parts: str, ends: str = "\r\n") -> list[Any]:
    """Send a multipart batch; the answers as (status, headers, body), a change set as a list of them."""
    body = "".join(f"--{BOUNDARY}\r\n{one}" for one in parts) + f"--{BOUNDARY}--"
    headers = {"content-type": f"multipart/mixed;boundary={BOUNDARY}"}
    response = sta.ask("POST", "$batch", content=body.replace("\r\n", ends).encode(), headers=headers)
    assert response.status_code == 200, response.text
    message = email.message_from_bytes(
        b"Content-Type: " + response.headers["content-type"].encode() + b"\r\n\r\n" + response.content, policy=email.policy.HTTP
    )
    return [read(part) for part in message.iter_parts()]


def read(part: Any) -> Any:
    if part.is_multipart():
        return [read(inner) for inner in part.iter_parts()]
    assert part.get_content_type() == "application/http"
    head, _, body = part.get_payload(decode=True).decode().partition("\r\n\r\n")
    status, *lines = head.split("\r\n")
    assert status.startswith("HTTP/1.1 ")
    headers = dict(line.split(": ", 1) for line in lines)
    headers["id"] = part["Content-ID"]
    return int(status.split(" ")[1]), headers, body


@pytest.mark.parametrize("ends", ["\r\n", "\n"])
def test_the_example_of_the_standard_is_answered_part_by_part(sta: Sta, ends: str) -> None:
    sta.made("Things", thing("old"))
    read_one, changed, missing = send(
        sta,
        request("GET", "/v1.1/Things(1)?$select=name"),
        together(
            request("POST", "/v1.1/Things", thing("New"), "1"),
            request("PATCH", "/v1.1/Things(1)", {"name": "Patched"}, "2"),
        ),
        request("GET", "/v1.1/Things(99)"),
        ends=ends,
    )
    assert (read_one[0], read_one[2]) == (200, '{"name":"old"}')
    assert [(one[0], one[1]["id"]) for one in changed] == [(201, "1"), (200, "2")]
    assert changed[0][1]["Location"] == f"{ROOT}/Things(2)"
    assert missing[0] == 404
    assert sta.names("Things") == ["Patched", "New"]


def test_addresses_may_be_whole_from_the_host_or_relative(sta: Sta) -> None:
    sta.made("Things", thing(properties={"int": 10}))
    query = "Things?$filter=properties/int%20eq%2010&$select=name"
    for url in (
        f"{ROOT}/{query}",
        f"/sta/v1.1/{query}",
        f"/v1.1/{query}",
        query,
        f"http://elsewhere:8080/FROST-Server/v1.1/{query}",
    ):
        ((status, _, body),) = send(sta, request("GET", url))
        assert (status, body) == (200, '{"value":[{"name":"gauge"}]}')


def test_a_part_speaks_of_what_an_earlier_part_made(sta: Sta) -> None:
    sta.made("Things", thing())
    sta.made("ObservedProperties", observed())
    body = stream() | {"Sensor": {"@iot.id": "$sensor1"}, "ObservedProperty": {"@iot.id": 1}}
    ((first, second, third),) = send(
        sta,
        together(
            request("POST", "Sensors", sensor(), "sensor1"),
            request("POST", "Things(1)/Datastreams", body, "any"),
            request("PATCH", "$sensor1", {"name": "renamed"}, "3"),
        ),
    )
    assert (first[0], second[0], third[0]) == (201, 201, 200)
    assert sta.get("Datastreams(1)/Sensor")["name"] == "renamed"


def test_a_change_set_that_fails_is_undone_and_answered_once(sta: Sta) -> None:
    bad, after = send(
        sta,
        together(request("POST", "Things", thing(), "1"), request("POST", "Things", {"name": "no description"}, "2")),
        request("POST", "Things", thing("after")),
    )
    assert bad[0] == 400
    assert "description" in bad[2]
    assert after[0] == 201
    assert sta.names("Things") == ["after"]
    (asked,) = send(sta, together(request("GET", "Things", name="1")))
    assert asked[0] == 400


def test_a_listener_hears_only_of_what_stayed(sta: Sta) -> None:
    heard: list[Any] = []
    sta.things.changed.append(heard.append)
    send(sta, together(request("POST", "Things", thing(), "1"), request("POST", "Things", {}, "2")))
    assert heard == []
    send(sta, together(request("POST", "Things", thing(), "1"), request("DELETE", "Things(1)", name="2")))
    assert [(one.plural, one.id, one.what) for one in heard] == [("Things", 1, "created"), ("Things", 1, "deleted")]


def test_the_same_as_json(sta: Sta) -> None:
    sta.made("Things", thing("old"))
    body = stream() | {"Sensor": {"@iot.id": "$s"}}
    shown = sta.ask(
        "POST",
        "$batch",
        {
            "requests": [
                {"id": "0", "method": "get", "url": "Things(1)?$select=name"},
                {"id": "s", "atomicityGroup": "g", "method": "post", "url": "Sensors", "body": sensor()},
                {"id": "d", "atomicityGroup": "g", "method": "post", "url": "Things(1)/Datastreams", "body": body},
                {"id": "3", "method": "get", "url": "Things(null)"},
                {"id": "4", "atomicityGroup": "h", "method": "post", "url": "Things", "body": thing("lost")},
                {"id": "5", "atomicityGroup": "h", "method": "delete", "url": "Things(99)"},
                {"id": "6", "method": "delete", "url": "Things(1)"},
                {
                    "id": "7",
                    "method": "patch",
                    "url": "Sensors(1)",
                    "headers": {"Content-Type": "application/json-patch+json"},
                    "body": [{"op": "replace", "path": "/name", "value": "patched"}],
                },
            ]
        },
    ).json()["responses"]
    assert [(one["id"], one["status"]) for one in shown] == [
        *(("0", 200), ("s", 201), ("d", 201), ("3", 404), ("4", 404), ("5", 404), ("6", 200), ("7", 200))
    ]
    assert shown[0]["body"] == {"name": "old"}
    assert shown[2]["location"] == f"{ROOT}/Datastreams(1)"
    assert sta.get("Things")["value"] == []
    assert sta.get("Sensors(1)")["name"] == "patched"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "multipart/mixed"),
        (b"", f"multipart/mixed;boundary={BOUNDARY}"),
        (f"--{BOUNDARY}\r\n\r\n".encode(), f"multipart/mixed;boundary={BOUNDARY}"),
        (f"--{BOUNDARY}\r\nContent-Type: text/plain\r\n\r\nx\r\n--{BOUNDARY}--".encode(), f"multipart/mixed;boundary={BOUNDARY}"),
        (
            f"--{BOUNDARY}\r\nContent-Type: application/http\r\n\r\nGET\r\n--{BOUNDARY}--".encode(),
            f"multipart/mixed;boundary={BOUNDARY}",
        ),
        (b"{}", "application/json"),
        (b'{"requests": [5]}', "application/json"),
        (b'{"requests": [{"id": "1"}]}', "application/json"),
        (b"x", "text/plain"),
    ],
)
def test_a_batch_that_is_none_is_refused(sta: Sta, content: bytes, kind: str) -> None:
    response = sta.ask("POST", "$batch", content=content, headers={"content-type": kind})
    assert response.status_code == 400
    assert response.json()["message"]


def test_a_batch_inside_a_batch_is_answered_too(sta: Sta) -> None:
    inner = {"requests": [{"id": "1", "method": "get", "url": "Things"}]}
    ((status, _, body),) = send(sta, request("POST", "$batch", inner))
    assert status == 200
    assert '"status":200' in body


def test_a_request_outside_a_group_speaks_of_what_was_made_before_but_not_of_what_was_undone(sta: Sta) -> None:
    def make(name: str, body: dict[str, str], **more: str) -> dict[str, object]:
        return {"id": name, "method": "post", "url": "Things", "body": body, **more}

    good = {"name": "made", "description": "d"}
    requests = [
        make("a", good, atomicityGroup="g"),
        {"id": "b", "method": "get", "url": "$a?$select=name"},
        make("c", good),
        {"id": "d", "method": "patch", "url": "$c", "body": {"name": "changed"}},
        make("e", good, atomicityGroup="h"),
        make("f", {"name": "no description"}, atomicityGroup="h"),
        {"id": "i", "method": "get", "url": "$e"},
    ]
    answers = {one["id"]: one for one in sta.make("$batch", {"requests": requests}, status=200)["responses"]}
    assert answers["b"]["body"] == {"name": "made"}
    assert answers["d"]["body"]["name"] == "changed"
    assert {name: answers[name]["status"] for name in "efi"} == {"e": 400, "f": 400, "i": 404}


def test_a_group_with_a_body_that_is_no_json_is_undone_and_the_batch_goes_on(sta: Sta) -> None:
    parts = [
        ("1", "POST Things", '{"name": "lost", "description": "d"}'),
        ("2", "PATCH $1", '{"name": "$'),
    ]
    inner = "".join(
        f"--c\r\nContent-Type: application/http\r\nContent-ID: {name}\r\n\r\n{line} HTTP/1.1\r\n"
        f"Content-Type: application/json\r\n\r\n{body}\r\n"
        for name, line, body in parts
    )
    whole = (
        f"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n{inner}--c--\r\n"
        "--b\r\nContent-Type: application/http\r\n\r\nGET Things HTTP/1.1\r\n\r\n--b--\r\n"
    )
    response = sta.ask("POST", "$batch", content=whole, headers={"content-type": "multipart/mixed; boundary=b"})
    assert response.status_code == 200, response.text
    assert "HTTP/1.1 400" in response.text
    assert '{"value":[]}' in response.text
