"""Entities into the tables: create with all that is inside, update, replace, delete, and what follows from each by the standard."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from tocsin.platform.things.check import BOX, ID, ID_MOST, columns, id_of, is_whole, link_id, link_items, split
from tocsin.platform.things.model import BY_NAME, Change, EntityType, Link
from tocsin.platform.things.streams import StreamBook
from tocsin.vocabulary import Flag
from tocsin.vocabulary.errors import Conflict, InputError, NotFound

DEEP_MOST = 8


class Writer:
    """Writes inside one transaction; afterwards `changes` says what became of which entity, `observed` what came to which Datastream."""

    def __init__(self, db: sqlite3.Connection, *, now_us: int) -> None:
        self.db, self.now_us = db, now_us
        self.changes: list[Change] = []
        self.observed: dict[int, list[dict[str, Any]]] = {}
        self.book = StreamBook(db)

    # -- create --------------------------------------------------------------------------------------------------------

    def create(
        self, kind: EntityType, body: object, *, where: str = "", parent: tuple[Link, int] | None = None, depth: int = 0
    ) -> int:
        """Make an entity and all that is inside; `parent` is the link of the entity that it belongs to by its address."""
        where = where or kind.name
        if depth > DEEP_MOST:
            raise InputError(f"{where}: entities inside entities, more than {DEEP_MOST} deep; send them one after the other")
        given, links, wanted_id = split(kind, body, where=where)
        found = columns(kind, given, where=where, whole=True)
        keys = self._own_keys(kind, links, parent, where=where, depth=depth)
        if kind.name == "Observation":
            self._complete_observation(found, keys, given, where=where)
        for link in kind.links:
            if link.needed and link.column and keys.get(link.column) is None:
                raise InputError(
                    f'{where}/{link.name}: is missing; a {kind.name} must have one: {{"@iot.id": 1}} or a new {link.target} inside'
                )
        self._check_ranked(kind, links, given, where=where)
        row = found | keys
        if wanted_id is not None and depth == 0:
            row["id"] = id_of(wanted_id, where=where)
            if self._exists(kind, row["id"]):
                raise Conflict(f"{where}: {kind.plural}({row['id']}) is there already; leave @iot.id out, or take a free one")
        names = ", ".join(row)
        marks = ", ".join("?" * len(row))
        id_ = int(self.db.execute(f"INSERT INTO {kind.table} ({names}) VALUES ({marks})", tuple(row.values())).lastrowid or 0)
        self.changes.append(Change(kind.plural, id_, "created"))
        if kind.name == "Observation":
            self.book.added(row)
            if row.get("datastream_id") is not None:
                self._observed(id_, row, given.get("resultQuality"))
        self._link_others(kind, id_, links, parent, where=where, depth=depth)
        return id_

    def _own_keys(
        self, kind: EntityType, links: Mapping[str, Any], parent: tuple[Link, int] | None, *, where: str, depth: int
    ) -> dict[str, int | None]:
        """The foreign keys of an entity: linked, made now, or given by its address."""
        keys: dict[str, int | None] = {}
        for link in kind.links:
            if not link.column:
                continue
            if parent is not None and parent[0].back == link.column:
                keys[link.column] = parent[1]
            elif links.get(link.name) is not None:
                keys[link.column] = self._linked(link, links[link.name], where=f"{where}/{link.name}", depth=depth)
        return keys

    def _linked(self, link: Link, value: Any, *, where: str, depth: int, parent: tuple[Link, int] | None = None) -> int:
        """The id of an entity that is named, or is made now."""
        kind = BY_NAME[link.target]
        known = self._named(kind, value, where=where)
        if known is None:
            return self.create(kind, value, where=where, depth=depth + 1, parent=parent)
        if not self._exists(kind, known):
            raise InputError(f"{where}: {kind.plural}({known}) does not exist; wanted the @iot.id of one that does")
        return known

    def _named(self, kind: EntityType, value: Any, *, where: str) -> int | None:
        """The id of the existing entity that stands inside; None for a new one, whose own id is ignored: OGC 18-088, 10.2.1.2."""
        if not is_whole(value):
            return link_id(value, where=where)
        known = value.get(ID)
        is_there = isinstance(known, int) and not isinstance(known, bool) and 0 < known <= ID_MOST and self._exists(kind, known)
        return known if is_there else None

    def _link_others(
        self, kind: EntityType, id_: int, links: Mapping[str, Any], parent: tuple[Link, int] | None, *, where: str, depth: int
    ) -> None:
        """What hangs on the new entity: tables between, and entities that point back to it."""
        moved: dict[str, list[int]] = {}
        is_there = kind.name == "Thing" and parent is not None and parent[0].name == "Things" and not links.get("Locations")
        if is_there and parent is not None:  # before its Observations, which need a feature, are made
            self.move(id_, [parent[1]])
        for link in kind.links:
            value = links.get(link.name)
            if link.column or value is None:
                continue
            items = link_items(link, value, where=f"{where}/{link.name}")
            target = BY_NAME[link.target]
            if link.back:
                for number, item in enumerate(items):
                    self._hang(target, link, id_, item, where=f"{where}/{link.name}/{number}", depth=depth)
                continue
            above = (link, id_) if kind.name == "Location" and link.name == "Things" else None
            ids = [
                self._linked(link, item, where=f"{where}/{link.name}/{number}", depth=depth, parent=above)
                for number, item in enumerate(items)
            ]
            moved[link.name] = ids
            if not (kind.name == "Location" and link.name == "Things"):
                self._between(link, id_, ids)
        if kind.name == "Thing" and moved.get("Locations"):
            self._past(id_, moved["Locations"])
        if kind.name == "Location":
            things = [thing for thing in moved.get("Things", []) if not self._is_at(thing, id_)]
            if parent is not None and parent[0].name == "Locations" and parent[0].via[0] == "thing_location":
                things = [*things, parent[1]]
            for thing in dict.fromkeys(things):
                self.move(thing, [id_])
        if kind.name == "HistoricalLocation":
            self._check_newest(id_)
        if parent is not None and parent[0].via[0] and not (kind.name == "Location" and parent[0].via[0] == "thing_location"):
            self._enter(kind, id_, parent, where=where)

    def _is_at(self, thing: int, location: int) -> bool:
        held = "SELECT 1 FROM thing_location WHERE thing_id = ? AND location_id = ?"
        return self.db.execute(held, (thing, location)).fetchone() is not None

    def _enter(self, kind: EntityType, id_: int, parent: tuple[Link, int], *, where: str) -> None:
        """The new entity is one of a set of many to many, by its address."""
        link, owner = parent
        if link.rank or kind.name == "MultiDatastream":
            raise InputError(f"{where}: the observed properties of a MultiDatastream are fixed when it is made; make a new one")
        if kind.name == "Thing":
            if not self._is_at(id_, owner):
                self.move(id_, [owner])
            return
        between, own, other = link.via
        self.db.execute(f"INSERT OR IGNORE INTO {between} ({own}, {other}) VALUES (?, ?)", (owner, id_))
        if kind.name == "HistoricalLocation":
            self._check_newest(id_)

    def _hang(self, target: EntityType, link: Link, owner: int, item: Any, *, where: str, depth: int) -> None:
        """A child that points back: made now, or an existing one that changes its parent."""
        known = self._named(target, item, where=where)
        if known is None:
            self.create(target, item, where=where, parent=(link, owner), depth=depth + 1)
            return
        if not self._exists(target, known):
            raise InputError(f"{where}: {target.plural}({known}) does not exist; wanted the @iot.id of one that does")
        back = next(one for one in target.links if one.column == link.back)
        self.update(target, known, {back.name: {"@iot.id": owner}}, where=where)

    def _between(self, link: Link, id_: int, ids: list[int]) -> None:
        between, own, other = link.via
        if link.rank:
            rows = [(id_, place, one) for place, one in enumerate(ids)]
            self.db.executemany(f"INSERT INTO {between} ({own}, {link.rank}, {other}) VALUES (?, ?, ?)", rows)
        else:
            self.db.executemany(f"INSERT OR IGNORE INTO {between} ({own}, {other}) VALUES (?, ?)", [(id_, one) for one in ids])

    def _check_ranked(self, kind: EntityType, links: Mapping[str, Any], given: Mapping[str, Any], *, where: str) -> None:
        if kind.name == "ObservedProperty" and links.get("MultiDatastreams"):
            raise InputError(f"{where}/MultiDatastreams: the observed properties of a MultiDatastream are fixed when it is made")
        if kind.name != "MultiDatastream":
            return
        listed, units = links.get("ObservedProperties"), given.get("unitOfMeasurements")
        count = len(listed) if isinstance(listed, list) else 0
        if count == 0 or count != len(units or []):
            raise InputError(
                f"{where}/ObservedProperties: {count} of them and {len(units or [])} unitOfMeasurements; wanted as many of both, "
                "from 1, in the same order"
            )

    # -- observations --------------------------------------------------------------------------------------------------

    def _complete_observation(
        self, found: dict[str, Any], keys: dict[str, int | None], given: Mapping[str, Any], *, where: str
    ) -> None:
        """The stream that it belongs to, its time, and the feature of interest where the client names none."""
        if (keys.get("datastream_id") is None) == (keys.get("multi_datastream_id") is None):
            raise InputError(f"{where}: wanted exactly one of Datastream and MultiDatastream")
        found.setdefault("phenomenon_us", self.now_us)
        if keys.get("multi_datastream_id") is not None:
            self._check_multi_result(int(keys["multi_datastream_id"] or 0), given.get("result"), where=where)
        if keys.get("feature_id") is None:
            keys["feature_id"] = self.feature_for(keys, where=where)

    def _observed(self, id_: int, row: Mapping[str, Any], quality: object) -> None:
        """What those hear who listen to observations: a flag of QARTOD where resultQuality has one, else 2, not evaluated."""
        flag = quality.get("qartod") if isinstance(quality, Mapping) else None
        is_flag = flag in [known.value for known in Flag]
        told = {
            "id": id_,
            "time_us": row["phenomenon_us"],
            "value": row["value"],
            "flag": flag if is_flag else Flag.NOT_EVALUATED.value,
        }
        self.observed.setdefault(int(row["datastream_id"]), []).append(told)

    def _check_multi_result(self, stream: int, result: object, *, where: str) -> None:
        sql = "SELECT count(*) FROM multi_datastream_observed_property WHERE multi_datastream_id = ?"
        (wanted,) = self.db.execute(sql, (stream,)).fetchone()
        got = f"an array of {len(result)}" if isinstance(result, list) else f"a {type(result).__name__}"
        if not isinstance(result, list) or len(result) != wanted:
            raise InputError(f"{where}/result: is {got}; MultiDatastreams({stream}) wants an array of {wanted} values")

    def feature_for(self, keys: Mapping[str, int | None], *, where: str) -> int:
        """The feature that stands for the Thing's location; it is made once for each location."""
        stream, table = keys.get("datastream_id"), "datastream"
        if stream is None:
            stream, table = keys.get("multi_datastream_id"), "multi_datastream"
        sql = (
            "SELECT l.id, l.made_feature_id, l.name, l.description, l.encoding_type, l.location, l.min_x, l.min_y, l.max_x, l.max_y "
            f"FROM {table} d JOIN thing_location t ON t.thing_id = d.thing_id JOIN location l ON l.id = t.location_id "
            "WHERE d.id = ? ORDER BY l.min_x IS NULL, l.id LIMIT 1"
        )
        row = self.db.execute(sql, (stream,)).fetchone()
        if row is None:
            raise InputError(
                f"{where}/FeatureOfInterest: is missing, and the Thing has no Location to make one of; send one, or give the Thing a Location"
            )
        location, made, *rest = row
        if made is not None:
            return int(made)
        names = f"name, description, encoding_type, feature, {', '.join(BOX)}"
        cursor = self.db.execute(f"INSERT INTO feature ({names}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rest)
        feature = int(cursor.lastrowid or 0)
        self.db.execute("UPDATE location SET made_feature_id = ? WHERE id = ?", (feature, location))
        self.changes.append(Change("FeaturesOfInterest", feature, "created"))
        return feature

    # -- where things are ----------------------------------------------------------------------------------------------

    def move(self, thing: int, locations: list[int]) -> None:
        """A Thing is at other locations now; where it is from now on is added to its history."""
        self.db.execute("DELETE FROM thing_location WHERE thing_id = ?", (thing,))
        rows = [(thing, one) for one in locations]
        self.db.executemany("INSERT OR IGNORE INTO thing_location (thing_id, location_id) VALUES (?, ?)", rows)
        if locations:
            self._past(thing, locations)

    def _past(self, thing: int, locations: list[int]) -> None:
        cursor = self.db.execute("INSERT INTO historical_location (time_us, thing_id) VALUES (?, ?)", (self.now_us, thing))
        past = int(cursor.lastrowid or 0)
        rows = [(past, one) for one in dict.fromkeys(locations)]
        self.db.executemany("INSERT INTO historical_location_location VALUES (?, ?)", rows)
        self.changes.append(Change("HistoricalLocations", past, "created"))

    def _check_newest(self, past: int) -> None:
        """A HistoricalLocation that is later than all others of its Thing says where the Thing is now."""
        thing, time_us = self.db.execute("SELECT thing_id, time_us FROM historical_location WHERE id = ?", (past,)).fetchone()
        sql = "SELECT 1 FROM historical_location WHERE thing_id = ? AND id <> ? AND time_us >= ?"
        listed = "SELECT location_id FROM historical_location_location WHERE historical_location_id = ?"
        places = [row[0] for row in self.db.execute(listed, (past,))]
        if places and self.db.execute(sql, (thing, past, time_us)).fetchone() is None:
            self.db.execute("DELETE FROM thing_location WHERE thing_id = ?", (thing,))
            self.db.executemany("INSERT OR IGNORE INTO thing_location VALUES (?, ?)", [(thing, one) for one in places])

    # -- update --------------------------------------------------------------------------------------------------------

    def update(self, kind: EntityType, id_: int, body: object, *, whole: bool = False, where: str = "") -> None:
        """Change what the body names, or with `whole` replace all properties; links must name entities that exist."""
        where = where or f"{kind.plural}({id_})"
        given, links, _ = split(kind, body, where=where)  # the id of an entity never changes, and one in the body is ignored
        if not self._exists(kind, id_):
            raise NotFound(f"{kind.plural}({id_}): does not exist")
        found = columns(kind, given, where=where, whole=whole, encoding=self._encoding(kind, id_))
        if kind.name in ("Datastream", "MultiDatastream") and whole and "observedArea" not in given:
            for name in ("observed_area", *BOX):
                found.pop(name, None)
        keys = self._changed_keys(kind, links, where=where)
        before = None
        if kind.name == "Observation":
            before = self._check_observation(id_, given, keys, where=where)
        if kind.name == "MultiDatastream":
            self._check_count(id_, given, where=where)
        row = found | keys
        if row:
            words = ", ".join(f"{name} = ?" for name in row)
            self.db.execute(f"UPDATE {kind.table} SET {words} WHERE id = ?", (*row.values(), id_))
        if kind.name == "Location" and "location" in given:
            self.db.execute("UPDATE location SET made_feature_id = NULL WHERE id = ?", (id_,))
        if kind.name == "FeatureOfInterest" and "feature" in given:
            self.book.reshaped(id_)
        if before is not None:
            self.book.changed(before, id_)
        self._update_sets(kind, id_, links, where=where)
        if kind.name == "HistoricalLocation":
            self._check_newest(id_)
        fields = frozenset(given) | frozenset(links)
        self.changes.append(Change(kind.plural, id_, "updated", frozenset(p.name for p in kind.properties) if whole else fields))

    def _encoding(self, kind: EntityType, id_: int) -> str | None:
        if kind.prop("encodingType") is None:
            return None
        (encoding,) = self.db.execute(f"SELECT encoding_type FROM {kind.table} WHERE id = ?", (id_,)).fetchone()
        return str(encoding)

    def _changed_keys(self, kind: EntityType, links: Mapping[str, Any], *, where: str) -> dict[str, int | None]:
        keys: dict[str, int | None] = {}
        for link in kind.links:
            if link.column and link.name in links:
                keys[link.column] = self._existing(link, links[link.name], where=f"{where}/{link.name}")
        return keys

    def _existing(self, link: Link, value: object, *, where: str) -> int:
        """An update links only what is there: OGC 18-088, 10.3.1."""
        known = link_id(value, where=where)
        if known is None:
            raise InputError(
                f'{where}: an update can link, but makes no new entity; wanted {{"@iot.id": 1}}, or POST the {link.target} first'
            )
        if not self._exists(BY_NAME[link.target], known):
            raise InputError(
                f"{where}: {BY_NAME[link.target].plural}({known}) does not exist; wanted the @iot.id of one that does"
            )
        return known

    def _check_observation(
        self, id_: int, given: Mapping[str, Any], keys: dict[str, int | None], *, where: str
    ) -> Mapping[str, Any]:
        before = self.book.row(id_)
        after = dict(before) | keys
        if (after["datastream_id"] is None) == (after["multi_datastream_id"] is None):
            raise InputError(f"{where}: wanted exactly one of Datastream and MultiDatastream; it belongs to one already")
        if after["multi_datastream_id"] is not None and "result" in given:
            self._check_multi_result(after["multi_datastream_id"], given["result"], where=where)
        return before

    def _check_count(self, id_: int, given: Mapping[str, Any], *, where: str) -> None:
        sql = "SELECT count(*) FROM multi_datastream_observed_property WHERE multi_datastream_id = ?"
        (wanted,) = self.db.execute(sql, (id_,)).fetchone()
        for name in ("unitOfMeasurements", "multiObservationDataTypes"):
            if name in given and len(given[name]) != wanted:
                raise InputError(f"{where}/{name}: {len(given[name])} of them; wanted {wanted}, one for each ObservedProperty")

    def _update_sets(self, kind: EntityType, id_: int, links: Mapping[str, Any], *, where: str) -> None:
        for link in kind.links:
            if link.column or link.name not in links:
                continue
            items = link_items(link, links[link.name], where=f"{where}/{link.name}")
            ids = [self._existing(link, item, where=f"{where}/{link.name}/{n}") for n, item in enumerate(items)]
            if link.rank or (kind.name == "ObservedProperty" and link.name == "MultiDatastreams"):
                raise InputError(f"{where}/{link.name}: the observed properties of a MultiDatastream are fixed when it is made")
            if kind.name == "Thing" and link.name == "Locations":
                self.move(id_, ids)
            elif kind.name == "Location" and link.name == "Things":
                for thing in ids:
                    self.move(thing, [id_])
            elif link.back:
                target = BY_NAME[link.target]
                back = next(one for one in target.links if one.column == link.back)
                for one in ids:
                    self.update(target, one, {back.name: {"@iot.id": id_}})
            else:  # a set of an update is added to the relation: OGC 18-088, 10.3.1
                self._between(link, id_, ids)

    # -- delete --------------------------------------------------------------------------------------------------------

    def delete(self, kind: EntityType, id_: int) -> None:
        """Take an entity away with all that cannot be without it: OGC 18-088, table 25."""
        if not self._exists(kind, id_):
            raise NotFound(f"{kind.plural}({id_}): does not exist")
        if kind.name == "Observation":
            before = self.book.row(id_)
            self.db.execute("DELETE FROM observation WHERE id = ?", (id_,))
            self.book.removed(before)
        else:
            touched = self.book.streams_with(id_) if kind.name == "FeatureOfInterest" else []
            if kind.name == "ObservedProperty":
                listed = (
                    "SELECT DISTINCT multi_datastream_id FROM multi_datastream_observed_property WHERE observed_property_id = ?"
                )
                for (stream,) in self.db.execute(listed, (id_,)).fetchall():
                    self.delete(BY_NAME["MultiDatastream"], stream)
            if kind.name == "Location":
                listed = "SELECT historical_location_id FROM historical_location_location WHERE location_id = ?"
                for (past,) in self.db.execute(listed, (id_,)).fetchall():
                    self.delete(BY_NAME["HistoricalLocation"], past)
            self.db.execute(f"DELETE FROM {kind.table} WHERE id = ?", (id_,))
            self.book.forget(kind, id_, touched)
        self.changes.append(Change(kind.plural, id_, "deleted"))

    def _exists(self, kind: EntityType, id_: int) -> bool:
        return self.db.execute(f"SELECT 1 FROM {kind.table} WHERE id = ?", (id_,)).fetchone() is not None
