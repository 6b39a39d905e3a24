"""What can be asked of a list of cases: how many each case infects, day by day, and how many are to come in the next days."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tocsin.pack import Answer, Column, Knob, Question, Table
from tocsin.packs.epidemic.model import CASES_LEAST
from tocsin.science.renewal import case_reproduction, forecast, reproduction, serial_interval
from tocsin.vocabulary import InputError, World
from tocsin.vocabulary.records import Estimate

Floats = NDArray[np.float64]
DRAWS = 2_000
DAYS_MOST = 3_660
SUMS_DAYS, SUMS_FALL = (
    21,
    0.05,
)  # new cases of a day fall often; in three weeks hardly ever: a running sum with a correction or two
DAY = np.timedelta64(1, "D")

COLUMNS = (
    Column("onset", "time", "the day on which a case fell ill, or to which a count belongs", also=("date_of_onset", "date", "day", "time")),
    Column("cases", "persons", "how many cases on that day; left out: each row is one case", needed=False, also=("count", "new_cases", "incidence")),
    Column("imported", "persons", "how many of them were infected elsewhere", needed=False),
    Column(
        "reported", "time", "the day on which the case was reported or sampled: tells how late reports come", needed=False,
        also=("date_of_report", "date_of_sample", "date_of_confirmation"),
    ),
)  # fmt: skip
SERIAL = {
    "serial_mean_d": Knob(
        "d", 1.1, 3.96, 60.0, "mean serial interval; COVID-19 3.96 (Du et al. 2020), Ebola 15.3 (WHO 2014), influenza 2.6"
    ),
    "serial_sd_d": Knob("d", 0.1, 4.75, 60.0, "its standard deviation; COVID-19 4.75, Ebola 9.3, influenza 1.5"),
    "window_d": Knob("d", 1.0, 7.0, 60.0, "days that are looked at together"),
    "left_out_d": Knob("d", 0.0, 0.0, 60.0, "last days to leave out because reports are still coming in"),
}


def _looks_like_sums(cases: Floats) -> bool:
    step = np.diff(cases)
    return bool(cases[-1] > cases[0] and (step < 0).mean() < SUMS_FALL and (step > 0).any())


def _daily(table: Table, settings: Mapping[str, float]) -> tuple[NDArray[np.datetime64], Floats, Floats, list[str]]:
    """Cases of each day from the first to the last, those imported, and what has to be said of the list."""
    onset = np.asarray(table["onset"]).astype("datetime64[D]")
    known = ~np.isnat(onset)
    if not known.any():
        raise InputError("epidemic: no row has a day of onset; wanted one case or one count in each row, with its day")
    remarks = []
    if not known.all():
        remarks.append(f"{int((~known).sum()):,} of {onset.size:,} rows have no day of onset and are left out")
    count = np.ones(onset.size)
    if "cases" not in table:
        remarks.append(f"there is no column of counts: each of {onset.size:,} rows is taken for one case")
    else:
        told = np.asarray(table["cases"], np.float64)
        if not np.isfinite(told[known]).all() or (told[known] < 0).any():
            raise InputError("epidemic: a count is missing or below 0; wanted a count for each day, 0 where there was no case")
        count = np.where(known, told, 0.0)
    first, last = onset[known].min(), onset[known].max()
    days = int((last - first) / DAY) + 1
    if days > DAYS_MOST:
        raise InputError(f"epidemic: {days:,} days from {first} to {last}; wanted {DAYS_MOST:,} at most: a date may be wrong")
    at = ((onset[known] - first) / DAY).astype(np.int64)
    cases = np.bincount(at, count[known], days).astype(np.float64)
    if "cases" in table and days >= SUMS_DAYS and _looks_like_sums(cases):
        remarks.append(
            f"the counts hardly ever fall in {days:,} days: are they sums up to each day? Wanted are the new cases of each day; of sums, the answer is wrong"
        )
    imported = np.zeros(days)
    if "imported" in table:
        told = np.nan_to_num(np.asarray(table["imported"], np.float64))
        imported = np.bincount(at, told[known], days).astype(np.float64)
    if "reported" in table:
        late = (np.asarray(table["reported"]).astype("datetime64[D]") - onset) / DAY
        late = late[known & np.isfinite(late)]
        if late.size:
            middle, most = np.quantile(late, [0.5, 0.9])
            remarks.append(
                f"reports came {middle:.0f} days after onset at the median, 9 of 10 within {most:.0f}: the last {most:.0f} days may still grow; "
                "leave them out with left_out_d"
            )
    kept = days - round(settings["left_out_d"])
    window = round(settings["window_d"])
    if kept <= window + 1:
        raise InputError(f"epidemic: {kept} days are left; wanted more than the window of {window} days and one")
    return first + np.arange(kept), cases[:kept], imported[:kept], remarks


def r_t(_world: World | None, table: Table, settings: Mapping[str, float]) -> Answer:
    """How many each case infects, over every window of days, after Cori et al. 2013."""
    day, cases, imported, remarks = _daily(table, settings)
    serial = serial_interval(settings["serial_mean_d"], settings["serial_sd_d"], cases.size + 1)
    told = reproduction(
        cases, serial, window=round(settings["window_d"]), imported=imported, quantiles=(0.025, 0.05, 0.5, 0.95, 0.975)
    )
    thin = told.cases < CASES_LEAST
    if thin.any():
        remarks.append(
            f"{int(thin.sum()):,} of {thin.size:,} windows have fewer than {CASES_LEAST:.0f} cases: there R_t is mostly the prior (mean 5)"
        )
    low, p05, middle, p95, high = told.quantile.T
    return Answer(
        {"r_t": Estimate(float(told.mean[-1]), float(p05[-1]), float(middle[-1]), float(p95[-1]), "1")},
        {
            "day": day[told.last_day].astype("datetime64[us]"),
            "cases": cases[told.last_day],
            "cases_in_window": told.cases,
            "r_t": told.mean,
            "r_t_low": low,
            "r_t_middle": middle,
            "r_t_high": high,
        },
        {
            "day": "time",
            "cases": "persons",
            "cases_in_window": "persons",
            "r_t": "1",
            "r_t_low": "1",
            "r_t_middle": "1",
            "r_t_high": "1",
        },
        (*remarks, "r_t_low and r_t_high hold 95 %; the figure's low and high 90 %; each stands at the last day of its window"),
    )


SEEN_LEAST = 0.95  # of what a window's cases infect, for the window to be told as the figure


def r_case(_world: World | None, table: Table, settings: Mapping[str, float]) -> Answer:
    """How many the cases of each window infected in the end, by who may have infected whom, beside R_t of the same days."""
    day, cases, imported, remarks = _daily(table, settings)
    serial, window = (
        serial_interval(settings["serial_mean_d"], settings["serial_sd_d"], cases.size + 1),
        round(settings["window_d"]),
    )
    told = case_reproduction(cases, serial, window=window, imported=imported)
    if not told.mean.size:
        raise InputError("epidemic: no case after the first day; wanted cases on two days or more")
    at_once = reproduction(cases, serial, window=window, imported=imported, quantiles=()).mean[told.last_day - window]
    whole = np.flatnonzero(told.seen >= SEEN_LEAST)
    k = int(whole[-1]) if whole.size else 0
    if k < told.mean.size - 1 or not whole.size:
        remarks.append(
            f"the figure is of the window that ends on {day[told.last_day[k]]}, in which {told.seen[k]:.0%} of whom its cases infect had fallen ill by "
            f"the end of the list; later windows are too low, by what seen_share says"
        )
    wide = 1.959964 * told.sd
    low, high = (max(0.0, told.mean[k] - 1.644854 * told.sd[k]), told.mean[k] + 1.644854 * told.sd[k])
    return Answer(
        {"r_case": Estimate(float(told.mean[k]), float(low), float(told.mean[k]), float(high), "1")},
        {
            "day": day[told.last_day].astype("datetime64[us]"),
            "cases_in_window": told.cases,
            "r_case": told.mean,
            "r_case_low": np.maximum(told.mean - wide, 0.0),
            "r_case_high": told.mean + wide,
            "seen_share": told.seen,
            "r_t": at_once,
        },
        {
            "day": "time",
            "cases_in_window": "persons",
            "r_case": "1",
            "r_case_low": "1",
            "r_case_high": "1",
            "seen_share": "1",
            "r_t": "1",
        },
        (
            *remarks,
            (
                "r_case is of the cases that fell ill in the window, r_t of the infections on those days: r_case turns about a serial interval earlier; "
                "its interval holds who infected whom (a normal distribution), not cases that were never reported"
            ),
        ),
    )


def to_come(_world: World | None, table: Table, settings: Mapping[str, float]) -> Answer:
    """Cases of the next days if R stays what it was over the last window."""
    day, cases, imported, remarks = _daily(table, settings)
    ahead = round(settings["days"])
    serial = serial_interval(settings["serial_mean_d"], settings["serial_sd_d"], cases.size + ahead + 1)
    told = reproduction(cases, serial, window=round(settings["window_d"]), imported=imported, quantiles=())
    draws = forecast(
        cases,
        serial,
        days=ahead,
        r_mean=float(told.mean[-1]),
        r_sd=float(told.sd[-1]),
        draws=DRAWS,
        chance=np.random.default_rng(round(settings["seed"])),
    )
    low, middle, high = np.quantile(draws, [0.05, 0.5, 0.95], axis=0)
    total = draws.sum(axis=1)
    t_low, t_middle, t_high = np.quantile(total, [0.05, 0.5, 0.95])
    return Answer(
        {"cases_to_come": Estimate(float(total.mean()), float(t_low), float(t_middle), float(t_high), "persons")},
        {
            "day": (day[-1] + np.arange(1, ahead + 1)).astype("datetime64[us]"),
            "cases_mean": draws.mean(axis=0),
            "cases_low": low,
            "cases_middle": middle,
            "cases_high": high,
        },
        {"day": "time", "cases_mean": "persons", "cases_low": "persons", "cases_middle": "persons", "cases_high": "persons"},
        (*remarks, f"each case infects {told.mean[-1]:.2f} (sd {told.sd[-1]:.2f}), and goes on to; low and high hold 90 %"),
    )


CORI = "Cori, Ferguson, Fraser, Cauchemez 2013, Am J Epidemiol 178:1505-1512; checked against R's EpiEstim to all the digits that it prints"
QUESTIONS = (
    Question(
        "r_t",
        "how many other people each case infects, day by day, from a list of cases or from counts by day",
        COLUMNS,
        r_t,
        CORI,
        "not where reporting changed within the window, nor for the last days before reports have come in; counts by day of report lag behind infection",
        SERIAL,
    ),
    Question(
        "r_case",
        "how many the cases of each window infected in the end, from a list of cases or from counts by day, beside R_t",
        COLUMNS,
        r_case,
        "Wallinga & Teunis 2004, Am J Epidemiol 160:509-516; checked against R's EpiEstim to all the digits that it prints",
        "not for the last days: whom their cases infect has not fallen ill yet; nor where reporting changed; all cases have to be in the list",
        SERIAL,
    ),
    Question(
        "cases_to_come",
        "how many cases the next days bring if each case goes on to infect as many as in the last window",
        COLUMNS,
        to_come,
        CORI,
        "a week or two at most: it knows nothing of what people or authorities will do, nor of who is still susceptible",
        SERIAL
        | {
            "days": Knob("d", 1.0, 14.0, 60.0, "how many days ahead"),
            "seed": Knob("1", 0.0, 1.0, 1e9, "of the luck of the draws: the same seed gives the same answer"),
        },
    ),
)
