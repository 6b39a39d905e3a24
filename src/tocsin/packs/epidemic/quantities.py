"""What an epidemic is measured by. The ranges are what is believable: outside them something is wrong with the number."""

from __future__ import annotations

from tocsin.vocabulary import Quantity

CASES = Quantity(
    "cases_per_d", "persons/d", 0.0, 10_000_000.0
)  # reported on that day; a country's most was 1.4 million a day (USA, 2022-01-10)
BED_OCCUPANCY = Quantity("bed_occupancy", "1", 0.0, 2.0)  # of staffed beds; above 1 in corridors
HOSPITAL_PATIENTS = Quantity(
    "hospital_patients", "persons", 0.0, 1_000_000.0
)  # with this disease in beds, on that day, intensive care included
POSITIVITY = Quantity("test_positivity", "1", 0.0, 1.0)
IMPORTED = Quantity("imported_per_d", "persons/d", 0.0, 100_000.0)
INFECTED_AT_START = Quantity("infected_at_start", "persons", 0.0, 10_000_000.0)
CONTACT_FACTOR = Quantity("contact_factor", "1", 0.0, 5.0)
SEVERE_SHARE = Quantity("severe_share", "1", 0.0, 1.0)  # of the people of a neighbourhood, over the whole run
INFECTED_SHARE = Quantity("infected_share", "1", 0.0, 1.0)
SHELTER_INFECTED = Quantity("infected_in_shelter_share", "1", 0.0, 1.0)  # of the guests of a shelter, who were infected there
