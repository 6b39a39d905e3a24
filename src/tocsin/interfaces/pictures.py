"""Fields as pictures: a hazard's intensity in classes that mean something to a person, as a PNG that a map can lay over the twin."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tocsin.pack import Harm

Classes = tuple[tuple[float, tuple[int, int, int, int]], ...]

# Lower bound of each class, m, and its colour (RGBA). 0.3 m: a car floats, roads are closed (Pregnolato et al. 2017);
# the other bounds are for the eye and decide nothing. The console's ground is dark, so more is lighter: at least 3:1 to the ground from
# 0.3 m on (WCAG 2.2, 1.4.11), 8 steps of lightness (CIE L*) from class to class, so that it can be read without seeing the hue.
DEPTH_CLASSES: Classes = (
    (0.1, (74, 132, 216, 220)),
    (0.3, (64, 162, 238, 235)),
    (0.5, (76, 190, 242, 240)),
    (1.0, (124, 214, 246, 245)),
    (2.0, (182, 234, 250, 250)),
    (4.0, (240, 251, 255, 255)),
)
# For every hazard but water, by the same rules.
WARM_COLOURS = (
    (206, 108, 74, 220),
    (238, 130, 78, 235),
    (248, 162, 84, 240),
    (253, 194, 104, 245),
    (255, 222, 148, 250),
    (255, 246, 206, 255),
)
CHANCE_CLASSES: Classes = (
    (0.05, (190, 100, 62, 220)),
    (0.25, (232, 120, 60, 235)),
    (0.5, (248, 158, 66, 240)),
    (0.75, (254, 202, 104, 245)),
    (0.95, (255, 244, 186, 255)),
)
# The same depths on paper and on light relief, where more is darker.
PAPER_COLOURS = (
    (158, 214, 255, 150),
    (92, 170, 245, 180),
    (48, 130, 224, 200),
    (28, 88, 190, 215),
    (22, 52, 140, 225),
    (40, 18, 96, 235),
)
PAPER_WARM_COLOURS = (
    (255, 226, 140, 150),
    (254, 190, 90, 180),
    (248, 140, 50, 200),
    (222, 80, 30, 215),
    (170, 30, 24, 225),
    (96, 8, 20, 235),
)
PAPER_CLASSES: Classes = tuple((low, colour) for (low, _), colour in zip(DEPTH_CLASSES, PAPER_COLOURS, strict=True))
DANGER_M = 0.3  # the class of DEPTH_CLASSES from which water is dangerous
SHARES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75)  # of the people harmed, one for each class, where no place is dangerous by itself


def classes_of(harm: Harm, *, on_paper: bool = False) -> Classes:
    """The classes of a hazard's intensity where the pack does not say them: their second begins where it is dangerous, as with water, whose classes all others have the
    proportions of. Where it harms a share of the people, each begins where it harms one of SHARES.
    """
    like = PAPER_CLASSES if on_paper else DEPTH_CLASSES
    if harm.shown_from:
        bounds = list(harm.shown_from)
    elif harm.danger_from is not None and harm.danger_from > 0.0:
        bounds = [_short(low / DANGER_M * harm.danger_from) for low, _ in like]
    elif harm.harmed is not None:
        x, y = np.array(harm.harmed.points, np.float64).T
        # between 0 and all where the curve tells it, so that a share has one intensity; below the least and above the most it has none
        bounds = [_short(float(np.interp(share * y[-1], y + 1e-12 * np.arange(y.size), x))) for share in SHARES]
    else:
        bounds = [low for low, _ in like]
    warm = PAPER_WARM_COLOURS if on_paper else WARM_COLOURS
    colours = warm if harm.ramp == "warm" else tuple(colour for _, colour in like)
    rising = dict(zip(bounds, colours, strict=True))
    return tuple(sorted(rising.items()))


def _short(value: float) -> float:
    """Two digits, as a legend shows them."""
    return float(f"{value:.2g}")


def legend(classes: Classes = DEPTH_CLASSES) -> dict[str, list[dict[str, Any]]]:
    """What the colours of the console's pictures mean: `from` in the hazard's unit or as a share of the futures, and a CSS colour."""
    return {
        name: [{"from": low, "colour": f"rgb({r} {g} {b})"} for low, (r, g, b, _) in rows]
        for name, rows in (("depth", classes), ("chance", CHANCE_CLASSES))
    }


def paint(field: NDArray[Any], classes: Classes) -> NDArray[np.uint8]:
    """RGBA of a field, shape (row, col, 4); below the first class it is transparent."""
    bounds = np.array([low for low, _ in classes])
    colours = np.array([(0, 0, 0, 0), *(colour for _, colour in classes)], np.uint8)
    return np.asarray(colours[np.digitize(np.nan_to_num(field), bounds)], np.uint8)


def png(rgba: NDArray[np.uint8]) -> bytes:
    """PNG bytes of an RGBA array."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(rgba).save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def hillshade(ground_m: NDArray[Any], cell_m: float) -> NDArray[np.uint8]:
    """Grey relief lit from the north-west at 45 degrees, (row, col) 0..255. Source: Horn 1981, with central differences."""
    south, east = np.gradient(np.asarray(ground_m, np.float64), cell_m)
    norm = np.sqrt(1.0 + 16.0 * (south**2 + east**2))  # relief drawn four times as steep as it is
    light = (1.0 + 4.0 * (south + east) / np.sqrt(2.0)) / (norm * np.sqrt(2.0))
    return np.asarray(np.clip(60.0 + 190.0 * light, 0, 255), np.uint8)


def map_picture(
    ground_m: NDArray[Any], cell_m: float, field: NDArray[Any], *, title: str, legend: str, classes: Classes, unit: str
) -> bytes:
    """A PNG for a report: relief, the field in its classes over it, a title and a legend. At least 800 pixels wide."""
    from PIL import Image, ImageDraw, ImageFont

    relief = hillshade(ground_m, cell_m)
    base = Image.fromarray(relief).convert("RGBA")
    base.alpha_composite(Image.fromarray(paint(field, classes)))
    scale = max(1, -(-800 // base.width))
    picture = base.resize((base.width * scale, base.height * scale), Image.Resampling.NEAREST)
    sheet = Image.new("RGB", (picture.width, picture.height + 84), "white")
    sheet.paste(picture.convert("RGB"), (0, 40))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=18)
    draw.text((10, 8), title, fill="black", font=font)
    x, y = 10, picture.height + 52
    draw.text((x, y), legend, fill="black", font=font)
    x += int(draw.textlength(legend, font=font)) + 16
    for low, colour in classes:
        draw.rectangle((x, y + 2, x + 22, y + 20), fill=colour[:3], outline="black")
        words = f"> {low:g} {unit}".removesuffix(" 1")
        draw.text((x + 28, y), words, fill="black", font=font)
        x += 40 + int(draw.textlength(words, font=font))
    kilometre_px = 1000.0 / cell_m * scale
    draw.line((picture.width - 20 - kilometre_px, y + 18, picture.width - 20, y + 18), fill="black", width=3)
    draw.text((picture.width - 20 - kilometre_px, y - 6), "1 km", fill="black", font=font)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()
