"""What the server paints can be read on the map that the console draws: numbers, not taste."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tocsin.interfaces.pictures import (
    CHANCE_CLASSES,
    DEPTH_CLASSES,
    PAPER_CLASSES,
    PAPER_WARM_COLOURS,
    WARM_COLOURS,
    Classes,
    classes_of,
    legend,
)
from tocsin.pack import Harm, find_pack
from tocsin.vocabulary import Curve, InputError, Quantity

STYLE = (Path(__file__).resolve().parents[2] / "web" / "src" / "lib" / "mapstyle.ts").read_text()
Colour = tuple[float, ...]


def of_layer(layer: str, paint: str) -> Colour:
    """A colour of the map's own style."""
    found = re.search(rf"id: '{layer}'.*?'{paint}': '#([0-9a-f]{{6}})'", STYLE, re.DOTALL)
    assert found is not None
    return tuple(int(found[1][k : k + 2], 16) for k in (0, 2, 4))


def luminance(colour: Colour) -> float:
    """Relative luminance of an sRGB colour. Source: WCAG 2.2, definition of relative luminance."""
    share = np.array(colour) / 255.0
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: Colour, other: Colour) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def lightness(colour: Colour) -> float:
    """CIE L*, 0..100. Source: CIE 15:2004."""
    return 116.0 * luminance(colour) ** (1.0 / 3.0) - 16.0


def over(colour: tuple[int, int, int, int], ground: Colour) -> Colour:
    """A half-transparent colour as it is seen on a ground."""
    share = colour[3] / 255.0
    return tuple(share * c + (1.0 - share) * g for c, g in zip(colour, ground, strict=False))


WARM_CLASSES: Classes = tuple((low, colour) for (low, _), colour in zip(DEPTH_CLASSES, WARM_COLOURS, strict=True))


def test_black_on_white_is_21_to_1() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21.0)
    assert lightness((255, 255, 255)) == pytest.approx(100.0)


@pytest.mark.parametrize("classes", [DEPTH_CLASSES, WARM_CLASSES, CHANCE_CLASSES], ids=["depth", "warm", "chance"])
def test_each_class_stands_out_from_the_ground_and_from_the_class_before(classes: Classes) -> None:
    """3:1 is WCAG 2.2, 1.4.11, for graphics; the first class is a film of water, or a chance of 5 %, and may be fainter."""
    ground = of_layer("ground", "background-color")
    seen = [over(colour, ground) for _, colour in classes]
    assert contrast(seen[0], ground) >= 2.0
    assert min(contrast(colour, ground) for colour in seen[1:]) >= 3.0
    assert all(lightness(more) - lightness(less) >= 8.0 for less, more in pairwise(seen))


@pytest.mark.parametrize("classes", [DEPTH_CLASSES, WARM_CLASSES, CHANCE_CLASSES], ids=["depth", "warm", "chance"])
def test_the_flood_stands_out_from_the_river_that_is_always_there(classes: Classes) -> None:
    water = of_layer("water", "fill-color")
    assert [contrast(over(colour, water), water) >= (1.7 if k == 0 else 2.5) for k, (_, colour) in enumerate(classes)] == [
        True
    ] * len(classes)


def test_on_paper_deeper_water_is_darker_in_the_same_classes() -> None:
    assert [low for low, _ in PAPER_CLASSES] == [low for low, _ in DEPTH_CLASSES]
    for colours in ([colour for _, colour in PAPER_CLASSES], PAPER_WARM_COLOURS):
        seen = [lightness(over(colour, (200, 200, 200))) for colour in colours]
        assert all(less > more for less, more in pairwise(seen))


def test_the_legend_that_is_served_is_the_table_that_is_painted_with() -> None:
    for name, classes in (("depth", DEPTH_CLASSES), ("chance", CHANCE_CLASSES)):
        assert [(row["from"], row["colour"]) for row in legend()[name]] == [
            (low, "rgb({} {} {})".format(*colour)) for low, colour in classes
        ]


FLAME = Quantity("flame_length", "m", 0.0, 200.0)


def test_water_has_the_classes_of_the_table() -> None:
    assert classes_of(find_pack("flood").harm) == DEPTH_CLASSES
    assert classes_of(find_pack("flood").harm, on_paper=True) == PAPER_CLASSES


def test_the_second_class_of_any_hazard_begins_where_it_is_dangerous() -> None:
    classes = classes_of(Harm(FLAME, 1.2, "a test"))
    assert [low for low, _ in classes] == [0.4, 1.2, 2.0, 4.0, 8.0, 16.0]
    assert [colour for _, colour in classes] == list(WARM_COLOURS)


def test_where_a_share_of_the_people_is_harmed_each_class_begins_at_a_share() -> None:
    dose = Quantity("dose", "1", 0.0, 1e6)
    harmed = Curve(dose, ((0.0, 0.0), (10.0, 0.1), (110.0, 1.0)), "a test", "nowhere")
    classes = classes_of(Harm(dose, None, "a test", harmed=harmed))
    # 1, 5 and 10 % lie on the first line; 25, 50 and 75 % on the second: 10 + (share - 0.1) / 0.9 * 100, in two digits
    assert [low for low, _ in classes] == [1.0, 5.0, 10.0, 27.0, 54.0, 82.0]
    assert [row["from"] for row in legend(classes)["depth"]] == [low for low, _ in classes]


def test_a_pack_may_say_its_own_classes() -> None:
    own = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    assert [low for low, _ in classes_of(Harm(FLAME, 1.2, "a test", shown_from=own))] == list(own)
    with pytest.raises(InputError, match="wanted six numbers that rise"):
        Harm(FLAME, 1.2, "a test", shown_from=(1.0, 2.0))


def test_a_curve_with_a_step_still_gives_classes_that_rise() -> None:
    dose = Quantity("dose", "1", 0.0, 1e6)
    classes = classes_of(Harm(dose, None, "a test", harmed=Curve(dose, ((1.0, 0.0), (1.001, 1.0)), "a test", "nowhere")))
    lows = [low for low, _ in classes]
    assert lows == sorted(set(lows))
    assert lows


def test_the_console_has_no_table_of_its_own() -> None:
    sources = [
        p.read_text() for p in (Path(__file__).resolve().parents[2] / "web" / "src").rglob("*") if p.suffix in (".ts", ".svelte")
    ]
    assert sources
    for _, (r, g, b, _) in (*DEPTH_CLASSES, *CHANCE_CLASSES):
        assert not any(re.search(rf"rgb\({r}[ ,]+{g}[ ,]+{b}|#{r:02x}{g:02x}{b:02x}\b", text) for text in sources)
    assert not any("'administrator'" in text or "'commander'" in text for text in sources)
