"""How dangerous is the weather for fire, day by day: the codes of the Canadian Fire Weather Index from noon weather."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tocsin.pack import Answer, Column, Knob, Question, Table
from tocsin.science.fire_weather import Start, fire_weather
from tocsin.vocabulary import InputError
from tocsin.vocabulary.records import Estimate
from tocsin.vocabulary.world import World

CLASSES = ((50.0, "extreme"), (38.0, "very high"), (21.3, "high"), (11.2, "moderate"), (5.2, "low"), (float("-inf"), "very low"))


def danger(world: World | None, table: Table, settings: Mapping[str, float]) -> Answer:  # noqa: ARG001
    """FFMC, DMC, DC, ISI, BUI and FWI of every day, and the worst of them."""
    time = table["time"]
    if np.isnat(time).any():
        raise InputError("danger: a row has no time; wanted one noon for each day")
    days = time.astype("datetime64[D]")
    gaps = np.diff(days).astype(int)
    if (gaps < 1).any():
        raise InputError(
            f"danger: {days[1:][gaps < 1][0]} comes twice or too early; wanted one row for each day, in order of time"
        )
    month = days.astype("datetime64[M]").astype(int) % 12 + 1
    codes = fire_weather(
        month,
        table["temperature"],
        table["humidity"],
        table["wind"],
        table["rain"],
        latitude_deg=settings["latitude_deg"],
        start=Start(settings["ffmc_before"], settings["dmc_before"], settings["dc_before"]),
    )
    known = ~np.isnan(codes.fwi)
    if not known.any():
        raise InputError("danger: no day has temperature, humidity, wind and rain; nothing can be worked out")
    word = np.array([next((w for least, w in CLASSES if value >= least), "") for value in codes.fwi], object)
    worst = int(np.nanargmax(codes.fwi))
    remarks = [f"the worst day is {days[worst]}: {word[worst]}"]
    if (missing := int((~known).sum())) > 0:
        remarks.append(
            f"{missing} of {known.size} days lack a number and have no codes; the next day goes on from the day before"
        )
    if (gaps > 1).any():
        remarks.append(
            f"{int((gaps > 1).sum())} gaps between days: the codes of the last day before a gap are carried on unchanged"
        )
    if days.size < 60:
        remarks.append("the drought code wants about two months to forget where it started")
    return Answer(
        {
            "fwi_last": _certain(float(codes.fwi[known][-1]), "1"),
            "fwi_most": _certain(float(codes.fwi[worst]), "1"),
            "days_very_high_or_extreme": _certain(float((codes.fwi[known] >= 38.0).sum()), "d"),
        },
        {
            "day": days.astype(object),
            **{
                name: np.round(value, 2)
                for name, value in zip(("ffmc", "dmc", "dc", "isi", "bui", "fwi", "dsr"), codes, strict=True)
            },
            "danger": word,
        },
        {"day": "time", **dict.fromkeys(("ffmc", "dmc", "dc", "isi", "bui", "fwi", "dsr"), "1"), "danger": "text"},
        tuple(remarks),
    )


def _certain(value: float, unit: str) -> Estimate:
    return Estimate(value, value, value, value, unit)


DANGER = Question(
    name="danger",
    meaning="how dangerous the weather is for fire, day by day (Canadian Fire Weather Index)",
    columns=(
        Column("time", "time", "local noon of the day", also=("date", "day")),
        Column("temperature", "degC", "air temperature at noon", also=("temp", "air_temperature", "tas")),
        Column("humidity", "%", "relative humidity at noon", also=("rh", "relative_humidity", "humid")),
        Column("wind", "km/h", "wind at 10 m at noon", also=("ws", "wind_speed", "sfcwind")),
        Column("rain", "mm", "rain of the 24 h before", also=("prec", "precip", "rain_mm")),
    ),
    answer=danger,
    source="Van Wagner & Pickett 1985, FTR 33; Van Wagner 1987, FTR 35; classes: European Forest Fire Information System",
    limits="relative danger in conifer forest; knows no fuel, slope or greenness; classes are Europe's; noon is that of the place",
    settings={
        "latitude_deg": Knob("deg", -90.0, 45.0, 90.0, "latitude: how long the days are"),
        "ffmc_before": Knob("1", 0.0, 85.0, 101.0, "fine fuel moisture code of the day before the first"),
        "dmc_before": Knob("1", 0.0, 6.0, 1_000.0, "duff moisture code of the day before"),
        "dc_before": Knob("1", 0.0, 15.0, 2_000.0, "drought code of the day before"),
    },
)
