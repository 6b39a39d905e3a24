"""What the lifelines of a town need from each other, whatever the hazard: power, water, roads, telecom, hospitals, and whom they serve.

A pack takes this as it is, adds what its own hazard takes out, or leaves it. Almost all numbers are planning assumptions, marked
`unverified`: an operations centre replaces them by what its utilities say.
"""

from __future__ import annotations

from tocsin.pack.chain import ACCESS, ChainPart, Link, Service
from tocsin.pack.model import Spread

ASSUMED = "planning assumption of Tocsin (unverified)"
GENERATOR = "bring_generator"
DIESEL = (
    "Marqusee & Jenket 2020, Applied Energy 268:114918: poorly maintained emergency generators are 50 % likely to fail within 48 h, well "
    "maintained ones 20 % within two weeks; the former is taken here, spread evenly over the 48 h"
)

LIFELINES: tuple[ChainPart, ...] = (
    Link(
        "power for pumping stations",
        "substations",
        "pumping_stations",
        f"{ASSUMED}: pumping stations without a generator of their own",
        broken_by=(GENERATOR,),
    ),
    Link(
        "power for water works",
        "substations",
        "water_works",
        f"{ASSUMED}: water works without a generator of their own",
        broken_by=(GENERATOR,),
    ),
    Link(
        "power for hospitals",
        "substations",
        "hospitals",
        f"{DIESEL}; that every hospital has such a generator is assumed",
        probability=0.5,
        delay_h=Spread(0.0, 24.0, 48.0),
        broken_by=(GENERATOR,),
    ),
    Link(
        "power for masts",
        "substations",
        "masts",
        f"{ASSUMED}: batteries for 2 to 8 h; the FCC's order of 2007 asked for 8 h at most cell sites in the USA (Trade Law Daily, 2008-10-14: the order was stayed)",
        endurance_h=Spread(2.0, 4.0, 8.0),
        broken_by=(GENERATOR,),
        held_by=("charge_batteries",),
    ),
    Link(
        "water for hospitals",
        "water_works",
        "hospitals",
        f"{ASSUMED}: tanks for 12 to 48 h",
        endurance_h=Spread(12.0, 24.0, 48.0),
        broken_by=("bring_water",),
        held_by=("fill_tanks",),
    ),
    Link(
        "a way to the hospital",
        ACCESS,
        "hospitals",
        f"{ASSUMED}: a hospital that no street leads to is lost to who is not in it",
        broken_by=("open_way",),
    ),
    Service("people_without_power", "substations", "whose nearest substation is out"),
    Service("people_without_water", "water_works", "whose nearest water works is out"),
    Service("people_without_telecom", "masts", "whose nearest mast is out"),
    Service("people_without_nearest_hospital", "hospitals", "whose nearest hospital is out or cannot be reached"),
)
