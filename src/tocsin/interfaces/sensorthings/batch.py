"""Several requests in one, as multipart/mixed or as JSON; a change set is done whole or not at all. OGC 18-088, 11; OData 4.01, 11.7."""

from __future__ import annotations

import re
import secrets
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tocsin.interfaces.sensorthings.service import JSON, Answer, Ask, Service, refusal, told
from tocsin.platform.things.jsontext import decode, decode_body, encode_bytes
from tocsin.security.actor import Actor
from tocsin.vocabulary import InputError, TocsinError

PARTS_MAX = 1_000
_BOUNDARY = re.compile(r'boundary="?([^";,\s]{1,70})"?', re.IGNORECASE)
_VERSION = re.compile(r"/v1\.[01](?=/|$|\?)")
_ID = re.compile(r"\((\d+)\)$")


class Undone(TocsinError):
    """A request of a change set failed; carries its answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("the change set was undone")
        self.answer = answer


class Part(msgspec.Struct, frozen=True):
    """One request of a batch, with the id by which others can speak of what it makes."""

    name: str
    ask: Ask


def run_batch(service: Service, ask: Ask, actor: Actor) -> Answer:
    """Answer a batch in the form in which it came."""
    if ask.content_type == JSON:
        return _json_batch(service, ask, actor)
    if ask.content_type != "multipart/mixed":
        raise InputError(f"$batch: the body is {ask.content_type[:60]!r}; wanted multipart/mixed or application/json")
    boundary = _boundary(ask.headers.get("content-type", ""))
    answered: list[bytes] = []
    made: dict[str, str] = {}
    parts = _split(ask.body, boundary)
    for headers, body in parts:
        kind = headers.get("content-type", "")
        if kind.lower().startswith("multipart/mixed"):
            answered.append(_change_set(service, ask, actor, _split(body, _boundary(kind)), made))
        else:
            part = _part(headers, body, ask)
            answered.append(_http(part.name, _alone(service, part, actor, made)))
    return _multipart(answered, "batch")


# -- multipart ---------------------------------------------------------------------------------------------------------


def _change_set(
    service: Service, ask: Ask, actor: Actor, parts: list[tuple[dict[str, str], bytes]], made: dict[str, str]
) -> bytes:
    answers = run_together(service, [_part(headers, body, ask) for headers, body in parts], actor, made)
    if isinstance(answers, Answer):
        return _http("", answers)
    whole = _multipart([_http(name, answer) for name, answer in answers], "changeset")
    return f"Content-Type: {whole.content_type}\r\n\r\n".encode() + whole.body


def _boundary(content_type: str) -> str:
    match = _BOUNDARY.search(content_type)
    if match is None:
        raise InputError(f"$batch: Content-Type {content_type[:80]!r} names no boundary")
    return match.group(1)


def _split(body: bytes, boundary: str) -> list[tuple[dict[str, str], bytes]]:
    """The parts between the boundaries, each as its headers and its body."""
    pieces = re.split(rb"(?:^|\r?\n)--" + re.escape(boundary.encode()), body)
    found = []
    for piece in pieces[1:]:
        if piece.startswith(b"--"):
            break
        found.append(_headers(piece.lstrip(b" \t").removeprefix(b"\r").removeprefix(b"\n")))
    else:
        raise InputError(f"$batch: the end --{boundary}-- is missing")
    if len(found) > PARTS_MAX:
        raise InputError(f"$batch: {len(found)} parts; wanted at most {PARTS_MAX}")
    return found


def _headers(piece: bytes) -> tuple[dict[str, str], bytes]:
    head, body = b"", piece
    if not piece.startswith((b"\r\n", b"\n")):
        head, body = [*re.split(rb"\r?\n\r?\n", piece, maxsplit=1), b""][:2]
    headers = {}
    for line in head.splitlines():
        name, _, value = line.decode(errors="replace").partition(":")
        headers[name.strip().lower()] = value.strip()
    return headers, body


def _part(headers: dict[str, str], body: bytes, outer: Ask) -> Part:
    """An application/http part as a request."""
    if not headers.get("content-type", "").lower().startswith("application/http"):
        raise InputError(f"$batch: a part is {headers.get('content-type', 'nothing')!r}; wanted application/http")
    first, _, rest = body.lstrip(b"\r\n").partition(b"\n")
    words = first.decode(errors="replace").strip().split(" ")
    if len(words) < 2:
        raise InputError(f"$batch: a part begins with {first[:60]!r}; wanted such as GET Things(1) HTTP/1.1")
    inner, content = _headers(rest)
    if not rest.strip():
        inner, content = {}, b""
    url = " ".join(words[1:-1]) if len(words) > 2 and words[-1].upper().startswith("HTTP/") else " ".join(words[1:])
    kind = inner.get("content-type", JSON).partition(";")[0].strip().lower()
    return Part(headers.get("content-id", ""), _ask(words[0], url, content.strip(), kind, outer))


def _ask(method: str, url: str, body: bytes, content_type: str, outer: Ask) -> Ask:
    """A request whose address is whole, begins at the host, or is relative to the service."""
    parts = urlsplit(url if not url.startswith("//") else url[1:])
    path = parts.path
    version = _VERSION.search(path)
    if (parts.scheme or path.startswith("/")) and version is not None:
        path = path[version.end() :]
    return Ask(method.upper(), path.strip("/"), outer.root, parts.query, body, content_type)


def _http(name: str, answer: Answer) -> bytes:
    """An answer as an application/http part."""
    lines = ["Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    if name:
        lines.append(f"Content-ID: {name}")
    lines += ["", f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
    lines += [f"{key}: {value}" for key, value in answer.headers.items()]
    if answer.body:
        lines.append(f"Content-Type: {answer.content_type}")
    lines.append(f"Content-Length: {len(answer.body)}")
    return "\r\n".join([*lines, "", ""]).encode() + answer.body


def _multipart(parts: list[bytes], kind: str) -> Answer:
    boundary = f"{kind}_{secrets.token_hex(16)}"
    body = b"".join(b"--" + boundary.encode() + b"\r\n" + part + b"\r\n" for part in parts)
    return Answer(200, body + f"--{boundary}--\r\n".encode(), f"multipart/mixed; boundary={boundary}")


# -- JSON --------------------------------------------------------------------------------------------------------------


def _json_batch(service: Service, ask: Ask, actor: Actor) -> Answer:
    body = decode_body(ask.body, where="$batch")
    requests = body.get("requests") if isinstance(body, dict) else None
    if not isinstance(requests, list) or not all(isinstance(one, dict) for one in requests) or len(requests) > PARTS_MAX:
        raise InputError(f"$batch: wanted an object with requests, a list of at most {PARTS_MAX} objects with id, method and url")
    responses: list[dict[str, Any]] = []
    made: dict[str, str] = {}
    number = 0
    while number < len(requests):
        group = requests[number].get("atomicityGroup")
        together = [requests[number]]
        while group is not None and number + len(together) < len(requests):
            following = requests[number + len(together)]
            if following.get("atomicityGroup") != group:
                break
            together.append(following)
        number += len(together)
        parts = [_json_part(one, ask) for one in together]
        if group is None:
            responses.append(_json_answer(parts[0].name, _alone(service, parts[0], actor, made)))
            continue
        answers = run_together(service, parts, actor, made)
        if isinstance(answers, Answer):
            responses += [_json_answer(part.name, answers) for part in parts]
        else:
            responses += [_json_answer(name, answer) for name, answer in answers]
    return told({"responses": responses})


def _json_part(one: dict[str, Any], outer: Ask) -> Part:
    name, method, url = one.get("id"), one.get("method"), one.get("url")
    if not isinstance(name, str | int) or not isinstance(method, str) or not isinstance(url, str):
        raise InputError(f"$batch: a request has id {name!r}, method {method!r} and url {url!r}; wanted three texts")
    headers = one.get("headers")
    kinds = {str(k).lower(): str(v) for k, v in headers.items()} if isinstance(headers, dict) else {}
    kind = kinds.get("content-type", JSON).partition(";")[0].strip().lower()
    body = encode_bytes(one["body"]) if "body" in one else b""
    return Part(str(name), _ask(method, url, body, kind, outer))


def _json_answer(name: str, answer: Answer) -> dict[str, Any]:
    response: dict[str, Any] = {"id": name, "status": answer.status}
    if "Location" in answer.headers:
        response["location"] = answer.headers["Location"]
    if answer.body:
        response["body"] = decode(answer.body) if answer.content_type == JSON else answer.body.decode()
    return response


# -- change sets -------------------------------------------------------------------------------------------------------


def _alone(service: Service, part: Part, actor: Actor, made: dict[str, str]) -> Answer:
    """The answer to a request outside a change set; what it makes is added to `made` by its name."""
    try:
        answer = service.handle(_referred(part.ask, made), actor)
    except TocsinError as fault:
        return refusal(fault)
    if part.name and "Location" in answer.headers:
        made[part.name] = answer.headers["Location"]
    return answer


def run_together(service: Service, parts: list[Part], actor: Actor, before: dict[str, str]) -> list[tuple[str, Answer]] | Answer:
    """All requests of a change set, or the answer of the one that failed, and then none of them is done.

    `before` is what earlier parts made; what the change set makes is added to it when it is done.
    """
    made = dict(before)
    answers: list[tuple[str, Answer]] = []
    try:
        with service.things.writing():
            for part in parts:
                if part.ask.method == "GET":
                    fault = InputError("$batch: a change set holds only requests that change something; GET stands outside")
                    raise Undone(refusal(fault))
                answer = service.handle(_referred(part.ask, made), actor)
                if answer.status >= 400:
                    raise Undone(answer)
                if part.name and "Location" in answer.headers:
                    made[part.name] = answer.headers["Location"]
                answers.append((part.name, answer))
    except Undone as undone:
        return undone.answer
    except TocsinError as fault:
        return refusal(fault)
    before.update(made)
    return answers


def _referred(ask: Ask, made: dict[str, str]) -> Ask:
    """The request with $name replaced by what the part of that name made: in its address, and as an @iot.id of its body."""
    path = ask.path
    if path.startswith("$"):
        name, slash, rest = path[1:].partition("/")
        if name in made:
            path = f"{made[name].rpartition('/')[2]}{slash}{rest}"
    body = ask.body
    if made and b"$" in body and ask.content_type == JSON:
        body = encode_bytes(_replaced(decode_body(body, where="$batch"), made))
    return msgspec.structs.replace(ask, path=path, body=body)


def _replaced(value: Any, made: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _id_of(inner, made) if key == "@iot.id" else _replaced(inner, made) for key, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, made) for inner in value]
    return value


def _id_of(value: Any, made: dict[str, str]) -> Any:
    match = _ID.search(made[value[1:]]) if isinstance(value, str) and value[:1] == "$" and value[1:] in made else None
    return int(match.group(1)) if match is not None else value
