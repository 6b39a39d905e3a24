"""What several packs observe together: one quantity of each name, since a platform has one stream of each."""

from __future__ import annotations

from collections.abc import Iterable

from tocsin.pack import Pack
from tocsin.vocabulary import InputError, Quantity


def observed(packs: Iterable[Pack]) -> dict[str, Quantity]:
    """All quantities that packs observe, by name, in the order in which they come.

    Raises InputError where a hazard is named twice, or two packs declare one differently: a reading could then be believed by one and thrown away by the other.
    """
    found: dict[str, tuple[str, Quantity]] = {}
    hazards = set[str]()
    for pack in packs:
        if pack.hazard in hazards:
            raise InputError(f"hazard {pack.hazard}: is named twice; wanted each once")
        hazards.add(pack.hazard)
        for quantity in pack.observes:
            first, same = found.setdefault(quantity.name, (pack.hazard, quantity))
            if same != quantity:
                raise InputError(
                    f"quantity {quantity.name}: {first} declares {_told(same)}, {pack.hazard} declares {_told(quantity)}; "
                    "the two cannot be watched by one platform: let one of the packs declare it as the other does"
                )
    return {name: quantity for name, (_, quantity) in found.items()}


def _told(quantity: Quantity) -> str:
    return f"{quantity.low:g} to {quantity.high:g} {quantity.unit}"
