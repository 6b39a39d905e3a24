"""From a warning to a message: draft it, look what is wrong with it, release it once a person has agreed, update it, cancel it.

Nothing here makes an `Actual` message except `release`, and whoever calls that has asked the gate for a person's approval and
writes it to the ledger. All functions are pure: the time is an argument.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType

import msgspec

from tocsin.platform.exchange.cap import (
    Alert,
    Area,
    Category,
    Certainty,
    Info,
    MsgType,
    NamedValue,
    Problem,
    Reference,
    Resource,
    ResponseType,
    Scope,
    Severity,
    Status,
    Urgency,
)
from tocsin.platform.exchange.cap_shape import VERTICES_MAX
from tocsin.vocabulary.errors import InputError
from tocsin.vocabulary.level import Level

# CAP 1.2, 3.2.2: "160 characters MAY be a useful target limit for headline length".
HEADLINE_TARGET = 160
# Lessons of WMO's cap-composer: event of 35 characters (pull request 65); an end within a month, renewed daily (issue 136).
EVENT_TARGET = 35
SPAN_MAX = timedelta(days=31)
SPAN_TARGET = timedelta(hours=24)


class Meaning(msgspec.Struct, frozen=True):
    """What a colour says in the words of CAP, where nobody who knows more says otherwise.

    `awareness_level` is the parameter that MeteoAlarm's feeds carry; `why` is the reasoning.
    """

    severity: Severity
    urgency: Urgency
    certainty: Certainty
    response: ResponseType
    awareness_level: str
    why: str


# Severity: MeteoAlarm's ladder (awareness_level "2; yellow; Moderate", "3; orange; Severe", "4; red; Extreme", as carried by its
# feeds and by MET Norway's CAP files, api.met.no/weatherapi/metalerts). Urgency, certainty and response: CAP 1.2, 3.2.2,
# read for four colours by this project; no standard fixes them, so a plan or a person may set each.
MEANINGS: Mapping[Level, Meaning] = MappingProxyType(
    {
        Level.BLUE: Meaning(
            Severity.MINOR,
            Urgency.FUTURE,
            Certainty.POSSIBLE,
            ResponseType.MONITOR,
            "",
            "minimal threat, nothing to do yet but to watch; MeteoAlarm's level 1 is green and means that nothing is in"
            " force, and readers drop it, so blue must not claim it",
        ),
        Level.YELLOW: Meaning(
            Severity.MODERATE,
            Urgency.FUTURE,
            Certainty.POSSIBLE,
            ResponseType.PREPARE,
            "2; yellow; Moderate",
            "possible threat to life or property; there is time to prepare",
        ),
        Level.ORANGE: Meaning(
            Severity.SEVERE,
            Urgency.EXPECTED,
            Certainty.LIKELY,
            ResponseType.AVOID,
            "3; orange; Severe",
            "significant threat; act within the hour and keep away from the hazard",
        ),
        Level.RED: Meaning(
            Severity.EXTREME,
            Urgency.IMMEDIATE,
            Certainty.LIKELY,
            ResponseType.EXECUTE,
            "4; red; Extreme",
            "extraordinary threat; do now what the instruction says",
        ),
    }
)

# What stands before the headline of a message that is not real, in the reader's language, else in English.
MARKS: Mapping[Status, Mapping[str, str]] = MappingProxyType(
    {
        Status.EXERCISE: MappingProxyType(
            {
                "en": "EXERCISE",
                "de": "ÜBUNG",
                "es": "SIMULACRO",
                "fr": "EXERCICE",
                "it": "ESERCITAZIONE",
                "ja": "訓練",
                "pt": "EXERCÍCIO",
                "zh": "演习",
            }
        ),
        Status.TEST: MappingProxyType(
            {
                "en": "TEST",
                "de": "TEST",
                "es": "PRUEBA",
                "fr": "TEST",
                "it": "TEST",
                "ja": "テスト",
                "pt": "TESTE",
                "zh": "测试",
            }
        ),
    }
)


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """What the public reads, in one language; `area_names` are the names of the areas in it, one for each, or none."""

    language: str
    event: str
    headline: str
    description: str
    instruction: str = ""
    sender_name: str = ""
    contact: str = ""
    area_names: tuple[str, ...] = ()


def draft_alert(
    *,
    identifier: str,
    sender: str,
    sent: datetime,
    level: Level,
    category: Category,
    words: Sequence[Words],
    areas: Sequence[Area],
    expires: datetime,
    status: Status = Status.DRAFT,
    onset: datetime | None = None,
    severity: Severity | None = None,
    urgency: Urgency | None = None,
    certainty: Certainty | None = None,
    responses: Sequence[ResponseType] = (),
    exercise: str = "",
    note: str = "",
    web: str = "",
    source: str = "",
    scope: Scope = Scope.PUBLIC,
    code: Sequence[str] = (),
    incidents: Sequence[str] = (),
    event_codes: Sequence[NamedValue] = (),
    parameters: Sequence[NamedValue] = (),
    resources: Sequence[Resource] = (),
) -> Alert:
    """A new message for a warning, one `info` for each language; a draft unless told otherwise, and never Actual.

    The level sets severity, urgency, certainty and response as MEANINGS says, unless they are given: `certainty_of` turns a
    share of futures into a certainty. `exercise` names the exercise where status is Exercise. Times lose their fractions of
    a second: starts go down, the end goes up. Raises InputError where `faults` finds any.
    """
    if level not in MEANINGS:
        raise InputError(f"cap draft {identifier}: level {level.name}; wanted blue, yellow, orange or red")
    if status is Status.ACTUAL:
        raise InputError(f"cap draft {identifier}: status Actual; wanted Draft: a person approves, then release() it")
    if not words or len({text.language.lower() for text in words}) != len(words):
        raise InputError(f"cap draft {identifier}: languages {[text.language for text in words]}; wanted one or more, each once")
    meaning = MEANINGS[level]
    colour = [NamedValue("tocsin:level", f"{int(level)}; {level.word}")]
    if meaning.awareness_level:
        colour.append(NamedValue("awareness_level", meaning.awareness_level))
    infos = [
        Info(
            language=text.language,
            category=(category,),
            event=text.event.strip(),
            response_type=tuple(responses) or (meaning.response,),
            urgency=urgency or meaning.urgency,
            severity=severity or meaning.severity,
            certainty=certainty or meaning.certainty,
            event_code=tuple(event_codes),
            onset=None if onset is None else _second(onset),
            expires=_second(expires, up=True),
            sender_name=text.sender_name.strip(),
            headline=text.headline.strip(),
            description=text.description.strip(),
            instruction=text.instruction.strip(),
            web=web,
            contact=text.contact.strip(),
            parameter=(*colour, *parameters),
            resource=tuple(resources),
            area=_named(areas, text),
        )
        for text in words
    ]
    alert = Alert(
        identifier=identifier,
        sender=sender,
        sent=_second(sent),
        status=Status.DRAFT,
        msg_type=MsgType.ALERT,
        source=source,
        scope=scope,
        code=tuple(code),
        note=note.strip(),
        incidents=tuple(incidents),
        info=tuple(infos),
    )
    return _sound(_marked(alert, status, exercise))


def certainty_of(chance: float) -> Certainty:
    """A probability in the words of CAP 1.2, 3.2.2. What a gauge has seen is Observed, and no matter of chance.

    >>> certainty_of(0.5), certainty_of(0.51)
    (<Certainty.POSSIBLE: 'Possible'>, <Certainty.LIKELY: 'Likely'>)
    """
    if not 0.0 <= chance <= 1.0:
        raise InputError(f"cap certainty: chance {chance}; wanted 0..1")
    if chance == 0.0:
        return Certainty.UNLIKELY
    return Certainty.LIKELY if chance > 0.5 else Certainty.POSSIBLE


def update(earlier: Alert, fresh: Alert, *, also: Sequence[Alert] = ()) -> Alert:
    """The fresh message (of `draft_alert`) as one that replaces `earlier`, all that it named, and the messages in `also`."""
    return _sound(_following(fresh, (earlier, *also), MsgType.UPDATE))


def cancel(
    earlier: Alert,
    *,
    identifier: str,
    sent: datetime,
    reason: str,
    words: Sequence[Words] = (),
    expires: datetime | None = None,
    also: Sequence[Alert] = (),
) -> Alert:
    """A draft that calls `earlier` and all that it named back. `reason` becomes the note.

    With `words` the public is told the all-clear, for the same areas, until `expires`: without words many receivers only
    remove the warning, and nobody learns that it is over.
    """
    if not reason.strip():
        raise InputError(f"cap cancel of {earlier.identifier}: no reason; wanted a sentence for the note (CAP 1.2, 3.2.1)")
    if words and not earlier.info:
        raise InputError(f"cap cancel of {earlier.identifier}: it has no info to take areas from; wanted no words")
    if words and expires is None:
        raise InputError(f"cap cancel of {earlier.identifier}: no expires; wanted until when the words are told")
    infos = [
        msgspec.structs.replace(
            _like(earlier, text.language),
            language=text.language,
            event=text.event.strip(),
            response_type=(ResponseType.ALL_CLEAR,),
            urgency=Urgency.PAST,
            severity=Severity.MINOR,
            certainty=Certainty.OBSERVED,
            effective=None,
            onset=None,
            expires=None if expires is None else _second(expires, up=True),
            headline=text.headline.strip(),
            description=text.description.strip(),
            instruction=text.instruction.strip(),
            parameter=(),  # the colour of the warning does not hold for its end
            area=_named(_like(earlier, text.language).area, text),
        )
        for text in words
    ]
    draft = msgspec.structs.replace(
        earlier,
        identifier=identifier,
        sent=_second(sent),
        status=Status.DRAFT,
        msg_type=MsgType.ALERT,
        note=reason.strip(),
        references=(),
        info=tuple(infos),
    )
    return _sound(_following(draft, (earlier, *also), MsgType.CANCEL))


def release(draft: Alert, *, status: Status, sent: datetime, follows: Sequence[Alert] = (), exercise: str = "") -> Alert:
    """The draft as it goes out, after a person has approved it: its status and the moment of sending are set.

    `follows` are the messages that an Update or a Cancel names: they must be of the same status, so that an exercise never
    cancels a real warning. An onset that has passed meanwhile becomes the moment of sending; an end that has passed is refused.
    """
    if draft.status is not Status.DRAFT or status is Status.DRAFT:
        raise InputError(f"cap release of {draft.identifier}: from {draft.status} to {status}; wanted from Draft to another")
    covered = set(_all_references(follows)) if follows else set()
    if draft.msg_type is not MsgType.ALERT and not covered.issuperset(draft.references):
        raise InputError(f"cap release of {draft.identifier}: follows {len(follows)} messages; wanted all that it names")
    strangers = [message.identifier for message in follows if message.status is not status]
    if strangers:
        raise InputError(f"cap release of {draft.identifier}: {', '.join(strangers)} differ in status; wanted {status}")
    now = _second(sent)
    if any(reference.sent >= now for reference in draft.references):
        raise InputError(f"cap release of {draft.identifier}: sent {now}; wanted later than the messages that it names")
    infos = tuple(_not_before(info, now) for info in draft.info)
    return _sound(_marked(msgspec.structs.replace(draft, sent=now, info=infos), status, exercise))


def faults(alert: Alert) -> tuple[Problem, ...]:
    """What must be mended before this goes out, though the standard would let it pass.

    From WMO's cap-composer: no time before `sent` (issue 135), no Unknown (pull request 65), an end within a month
    (issue 136), at most 100 vertices (issue 121). From CAP 1.2, 3.2.1: an exercise is named in the note.
    """
    return tuple(_faults(alert))


def advice(alert: Alert) -> tuple[Problem, ...]:
    """What a person should look at before approving; none of it stops a warning."""
    return tuple(_advice(alert))


def _faults(alert: Alert) -> Iterator[Problem]:
    if alert.status in MARKS and not alert.note:
        yield Problem(f"{alert.status} without a note", "alert/note", "", "the name of the exercise or test")
    if alert.restriction and alert.scope is not Scope.RESTRICTED:
        yield Problem("restriction of a message that is not restricted", "alert/scope", alert.scope, Scope.RESTRICTED)
    if not alert.info and alert.msg_type in (MsgType.ALERT, MsgType.UPDATE):
        yield Problem("nothing is said", "alert/info", "none", "one for each language")
    for number, info in enumerate(alert.info, 1):
        where = f"alert/info[{number}]"
        for name, word in (("urgency", info.urgency), ("severity", info.severity), ("certainty", info.certainty)):
            if word == "Unknown":
                yield Problem("Unknown helps nobody to decide", f"{where}/{name}", word, "another word")
        for name, time in (("effective", info.effective), ("onset", info.onset)):
            if time is not None and time < alert.sent:
                yield Problem("before it is sent", f"{where}/{name}", str(time), f"{alert.sent} or later")
        begin = info.onset or info.effective or alert.sent
        if info.expires is None or not begin < info.expires <= alert.sent + SPAN_MAX:
            wanted = f"after {begin}, within {SPAN_MAX.days} days"
            yield Problem("no end that can be right", f"{where}/expires", str(info.expires), wanted)
        for name in ("headline", "description"):
            if not getattr(info, name):
                yield Problem("nothing to read", f"{where}/{name}", "", "words")
        marks = _marks(alert.status, info.language)
        if marks and not info.headline.startswith(marks):
            yield Problem(f"{alert.status} that looks real", f"{where}/headline", info.headline, f"{marks[0]} before it")
        if not info.area:
            yield Problem("nowhere", f"{where}/area", "none", "one or more")
        for place, area in enumerate(info.area, 1):
            ground = f"{where}/area[{place}]"
            if not (area.polygons or area.circles or area.geocodes):
                yield Problem("no shape and no code", ground, area.description, "a polygon, a circle or a geocode")
            longest = max((len(polygon.points) for polygon in area.polygons), default=0)
            if longest > VERTICES_MAX:
                yield Problem("too many corners", ground, str(longest), f"{VERTICES_MAX} or fewer: see outline()")


def _advice(alert: Alert) -> Iterator[Problem]:
    for number, info in enumerate(alert.info, 1):
        where = f"alert/info[{number}]"
        for name, text, target in (("headline", info.headline, HEADLINE_TARGET), ("event", info.event, EVENT_TARGET)):
            if len(text) > target:
                yield Problem("long: some receivers cut it", f"{where}/{name}", f"{len(text)} characters", f"{target} or fewer")
        if not info.instruction and alert.msg_type in (MsgType.ALERT, MsgType.UPDATE):
            yield Problem("nobody is told what to do", f"{where}/instruction", "", "what to do, and where to go")
        if info.expires is not None and info.expires - (info.onset or alert.sent) > SPAN_TARGET:
            span = info.expires - (info.onset or alert.sent)
            yield Problem("long: people stop believing it", f"{where}/expires", str(span), f"{SPAN_TARGET}, and then an update")
        if not any(area.polygons or area.circles for area in info.area):
            yield Problem("codes only: a phone cannot tell if it is inside", f"{where}/area", "no shape", "a polygon")


def _following(fresh: Alert, earlier: Sequence[Alert], msg_type: MsgType) -> Alert:
    """The fresh message as one about earlier ones; refused where these were never sent, or it is not a later one of theirs."""
    for message in earlier:
        what = f"cap {msg_type} of {message.identifier}"
        if message.status is Status.DRAFT or message.msg_type not in (MsgType.ALERT, MsgType.UPDATE):
            raise InputError(f"{what}: it is a {message.status} {message.msg_type}; wanted one that was sent and stands")
        if fresh.sender != message.sender:
            raise InputError(f"{what}: sender {fresh.sender}; wanted {message.sender}")
        if fresh.sent <= message.sent or fresh.identifier == message.identifier:
            got = f"{fresh.identifier} sent {fresh.sent}"
            raise InputError(f"{what}: {got}; wanted another identifier, after {message.sent}")
    incidents = tuple(dict.fromkeys(incident for message in (*earlier, fresh) for incident in message.incidents))
    references = _all_references(earlier)
    return msgspec.structs.replace(fresh, msg_type=msg_type, references=references, incidents=incidents)


def _sound(alert: Alert) -> Alert:
    found = faults(alert)
    if found:
        raise InputError(f"cap message {alert.identifier}: {'; '.join(str(fault) for fault in found)}")
    return alert


def _marked(alert: Alert, status: Status, exercise: str) -> Alert:
    """The alert with its status; one that is not real says so at the start of the note, the headline and the description."""
    if status is Status.EXERCISE and not exercise.strip():
        raise InputError(f"cap message {alert.identifier}: status Exercise without a name; wanted exercise= for the note")
    if status not in MARKS:
        return msgspec.structs.replace(alert, status=status)
    mark = MARKS[status]["en"]
    note = ". ".join(part for part in (f"{mark}: {exercise.strip()}" if exercise.strip() else mark, alert.note) if part)
    infos = tuple(
        msgspec.structs.replace(
            info,
            headline=f"{_marks(status, info.language)[0]}: {info.headline}",
            description=f"{_marks(status, info.language)[0]}: {info.description}",
        )
        for info in alert.info
    )
    return msgspec.structs.replace(alert, status=status, note=note, info=infos)


def _marks(status: Status, language: str) -> tuple[str, ...]:
    """The marks that will do in a language, the best one first; none for a real message or a draft."""
    marks = MARKS.get(status)
    if marks is None:
        return ()
    return (marks.get(language.partition("-")[0].lower(), marks["en"]), marks["en"])


def _named(areas: Sequence[Area], text: Words) -> tuple[Area, ...]:
    if not text.area_names:
        return tuple(areas)
    if len(text.area_names) != len(areas):
        got = f"{len(text.area_names)} area names for {len(areas)} areas"
        raise InputError(f"cap words in {text.language}: {got}; wanted one for each")
    pairs = zip(areas, text.area_names, strict=True)
    return tuple(msgspec.structs.replace(area, description=name.strip()) for area, name in pairs)


def _like(alert: Alert, language: str) -> Info:
    """The info of that language, else the first."""
    return next((info for info in alert.info if info.language.lower() == language.lower()), alert.info[0])


def _all_references(alerts: Sequence[Alert]) -> tuple[Reference, ...]:
    """Every message that these name, and these themselves, oldest name first, each once."""
    return tuple(dict.fromkeys(reference for alert in alerts for reference in (*alert.references, alert.reference)))


def _not_before(info: Info, now: datetime) -> Info:
    return msgspec.structs.replace(
        info,
        effective=None if info.effective is None else max(info.effective, now),
        onset=None if info.onset is None else max(info.onset, now),
    )


def _second(time: datetime, *, up: bool = False) -> datetime:
    whole = time.replace(microsecond=0)
    return whole + timedelta(seconds=1) if up and time.microsecond else whole
