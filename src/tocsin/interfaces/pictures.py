"""Fields as pictures: water depth in classes that mean something to a person, as a PNG that a map can lay over the twin."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Lower bound of each class, m, and its colour (RGBA). 0.3 m: a car floats, roads are closed (Pregnolato et al. 2017);
# the other bounds are for the eye and decide nothing.
DEPTH_CLASSES: tuple[tuple[float, tuple[int, int, int, int]], ...] = (
    (0.1, (158, 214, 255, 150)),
    (0.3, (92, 170, 245, 180)),
    (0.5, (48, 130, 224, 200)),
    (1.0, (28, 88, 190, 215)),
    (2.0, (22, 52, 140, 225)),
    (4.0, (40, 18, 96, 235)),
)
CHANCE_CLASSES: tuple[tuple[float, tuple[int, int, int, int]], ...] = (
    (0.05, (255, 237, 160, 130)),
    (0.25, (254, 190, 90, 170)),
    (0.5, (248, 130, 50, 200)),
    (0.75, (220, 60, 40, 215)),
    (0.95, (150, 0, 50, 230)),
)


def paint(field: NDArray[Any], classes: tuple[tuple[float, tuple[int, int, int, int]], ...]) -> NDArray[np.uint8]:
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


def map_picture(ground_m: NDArray[Any], cell_m: float, field: NDArray[Any], *, title: str, legend: str) -> bytes:
    """A PNG for a report: relief, the field in its depth classes over it, a title and a legend. At least 800 pixels wide."""
    from PIL import Image, ImageDraw, ImageFont

    relief = hillshade(ground_m, cell_m)
    base = Image.fromarray(relief).convert("RGBA")
    water = Image.fromarray(paint(field, DEPTH_CLASSES))
    base.alpha_composite(water)
    scale = max(1, -(-800 // base.width))
    picture = base.resize((base.width * scale, base.height * scale), Image.Resampling.NEAREST)
    sheet = Image.new("RGB", (picture.width, picture.height + 84), "white")
    sheet.paste(picture.convert("RGB"), (0, 40))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=18)
    draw.text((10, 8), title, fill="black", font=font)
    x, y = 10, picture.height + 52
    draw.text((x, y), legend, fill="black", font=font)
    x += int(draw.textlength(legend, font=font)) + 16
    for low, colour in DEPTH_CLASSES:
        draw.rectangle((x, y + 2, x + 22, y + 20), fill=colour[:3], outline="black")
        words = f"> {low:g} m"
        draw.text((x + 28, y), words, fill="black", font=font)
        x += 40 + int(draw.textlength(words, font=font))
    kilometre_px = 1000.0 / cell_m * scale
    draw.line((picture.width - 20 - kilometre_px, y + 18, picture.width - 20, y + 18), fill="black", width=3)
    draw.text((picture.width - 20 - kilometre_px, y - 6), "1 km", fill="black", font=font)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()
