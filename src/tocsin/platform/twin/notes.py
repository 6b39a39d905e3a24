"""What a build has to say of itself: which files went in, what was counted, and what the reader should know."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tocsin.platform.twin.manifest import Source, sha256_of
from tocsin.platform.twin.vectors import TEXT_LONGEST, Table
from tocsin.vocabulary.errors import InputError

OSM_LICENCE = "ODbL 1.0"
OSM_ATTRIBUTION = "© OpenStreetMap contributors"


class Notes:
    """Gathered while a twin is built; read once, for its manifest."""

    def __init__(self, licences: Mapping[str, str], attributions: Mapping[str, str], titles: Mapping[str, str]) -> None:
        self._licences, self._attributions, self._titles = licences, attributions, titles
        self.sources: list[Source] = []
        self.remarks: list[str] = []
        self.counts: dict[str, float] = {}

    def remark(self, *remarks: str) -> None:
        """Tell the reader something."""
        self.remarks += remarks

    def cite(self, what: str, path: Path) -> None:
        """A file went in; OpenStreetMap's licence is known without being told."""
        licence, attribution = self._licences.get(what, ""), self._attributions.get(what, "")
        if path.name.lower().endswith(".pbf"):
            licence, attribution = licence or OSM_LICENCE, attribution or OSM_ATTRIBUTION
        self.sources.append(
            Source(what, path.name, sha256_of(path), path.stat().st_size, licence, attribution, self._titles.get(what, path.name))
        )

    def left_out(self, what: str, before: Table, after: Table) -> None:
        """Tell how many rows lie outside the twin."""
        if len(after) < len(before):
            self.remark(f"{what}: {len(before) - len(after):,} of {len(before):,} rows lie outside the twin and were left out")

    def check_known(self, known: set[str]) -> None:
        """A licence for something that was not given is a typing error; raises InputError."""
        for told in (self._licences, self._attributions, self._titles):
            if strange := sorted(told.keys() - known):
                raise InputError(
                    f"--licence {strange[0][:40]!r}: nothing of that name was given; there are: {', '.join(sorted(known))}"
                )

    @staticmethod
    def check_name(name: str, where: str) -> str:
        """A name that people, files and messages can carry; raises InputError."""
        if not 0 < len(name) <= TEXT_LONGEST or not name.isprintable() or name != name.strip() or "/" in name or "\\" in name:
            raise InputError(
                f"{where}: the name {name[:40]!r}; wanted 1 to {TEXT_LONGEST} printable characters, no slash, no space at an end"
            )
        return name
