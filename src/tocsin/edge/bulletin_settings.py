"""A [[rule]] on bulletins in a settings file: an earthquake that is strong and near, a fire that a satellite sees, an official alert that is grave and here."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from tocsin.pack.ready_rules.bulletin import BulletinRule, Place, Sighting, Strength, earthquake, fire_detection, official_alert
from tocsin.vocabulary import InputError

Spots = dict[str, list[float]]


class Earthquake(msgspec.Struct, frozen=True, kw_only=True):
    """Levels by magnitude and distance, around each of `places`: [longitude, latitude], or with a radius in km. `twin`: around the twin."""

    name: str
    hazard: str
    source: str
    steps: tuple[Strength, ...]
    lasts_h: float
    places: Spots = {}
    twin: bool = False
    events: tuple[str, ...] = ("earthquake",)
    feeds: tuple[str, ...] = ()
    depth_km_most: float = math.inf
    meaning: str = ""
    verified: bool = False
    public: bool = True

    def made(self, box: tuple[float, float, float, float] | None) -> BulletinRule:
        """The rule; `box` is that of the twin, if there is one."""
        return earthquake(
            self.name,
            _places(self.name, self.places, self.twin, box),
            self.steps,
            lasts_h=self.lasts_h,
            source=self.source,
            verified=self.verified and self.public,
            events=self.events,
            feeds=self.feeds,
            depth_km_most=self.depth_km_most,
            meaning=self.meaning,
        )


class FireDetection(msgspec.Struct, frozen=True, kw_only=True):
    """Levels by confidence and distance of what a satellite sees, around each of `places` or around the twin."""

    name: str
    hazard: str
    source: str
    steps: tuple[Sighting, ...]
    lasts_h: float
    places: Spots = {}
    twin: bool = False
    feeds: tuple[str, ...] = ()
    meaning: str = ""
    verified: bool = False
    public: bool = True

    def made(self, box: tuple[float, float, float, float] | None) -> BulletinRule:
        """The rule; `box` is that of the twin, if there is one."""
        return fire_detection(
            self.name,
            _places(self.name, self.places, self.twin, box),
            self.steps,
            lasts_h=self.lasts_h,
            source=self.source,
            verified=self.verified and self.public,
            feeds=self.feeds,
            meaning=self.meaning,
        )


class OfficialAlert(msgspec.Struct, frozen=True, kw_only=True):
    """Levels by severity, where an alert's shape, codes or words are those of a place. `shapes_only` says that shapes are enough."""

    name: str
    hazard: str
    source: str
    levels: dict[str, str]
    lasts_h: float
    places: Spots = {}
    twin: bool = False
    codes: dict[str, tuple[str, ...]] = {}
    words: dict[str, tuple[str, ...]] = {}
    shapes_only: bool = False
    events: tuple[str, ...] = ("*",)
    urgencies: tuple[str, ...] = ("immediate", "expected", "future", "unknown")
    certainties: tuple[str, ...] = ("observed", "likely", "possible", "unknown")
    feeds: tuple[str, ...] = ()
    meaning: str = ""
    verified: bool = False
    public: bool = True

    def made(self, box: tuple[float, float, float, float] | None) -> BulletinRule:
        """The rule; `box` is that of the twin, if there is one."""
        places = _places(self.name, self.places, self.twin, box)
        blind = [place for place in places if not self.codes.get(place) and not self.words.get(place)]
        if blind and not self.shapes_only:
            raise InputError(
                f"rule {self.name}: codes = {list(self.codes)}, and none for {blind[0]!r}: an alert that tells its area by codes or words only "
                "would not be seen there; wanted `codes` or `words` of the place, or shapes_only = true where all alerts have shapes"
            )
        return official_alert(
            self.name,
            places,
            self.levels,
            lasts_h=self.lasts_h,
            source=self.source,
            verified=self.verified and self.public,
            events=self.events,
            urgencies=self.urgencies,
            certainties=self.certainties,
            codes=self.codes,
            words=self.words,
            feeds=self.feeds,
            meaning=self.meaning,
        )


BULLETIN_KINDS: Mapping[str, type[Earthquake] | type[FireDetection] | type[OfficialAlert]] = {
    "earthquake": Earthquake,
    "fire_detection": FireDetection,
    "official_alert": OfficialAlert,
}
TWIN = "twin"


def _places(rule: str, spots: Spots, twin: bool, box: tuple[float, float, float, float] | None) -> dict[str, Place]:
    places = {}
    for name, numbers in spots.items():
        if len(numbers) not in (2, 3):
            raise InputError(
                f"rule {rule}: places = {numbers} of {name!r}; wanted [longitude, latitude] or [longitude, latitude, radius in km]"
            )
        places[name] = Place(lon=numbers[0], lat=numbers[1], radius_km=numbers[2] if len(numbers) == 3 else 0.0)
    if twin:
        if box is None:
            raise InputError(
                f"rule {rule}: twin = true, and there is no twin here; wanted `places`, or the rule at `tocsin serve`"
            )
        places[TWIN] = Place.of_box(*box)
    return places
