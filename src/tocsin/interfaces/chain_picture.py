"""Risk chains on the map: the hazards, the points that fail, and the links that failures run along."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tocsin.interfaces.pictures import classes_of, hillshade, paint

if TYPE_CHECKING:
    from tocsin.flows.chains import ChainReport
    from tocsin.pack import Harm
    from tocsin.platform.twin import Twin

# Fails in: from this share of the futures on, dark orange to dark red; what never fails is green. Read without colour by the size.
STEPS = ((0.0, (255, 170, 60), 6), (0.25, (232, 100, 30), 8), (0.5, (196, 40, 30), 10), (0.75, (120, 0, 40), 12))
STANDS, LINK = (40, 130, 70), (120, 0, 40)
NAMES_MOST = 40
SHADES_PX = 24  # the height of a hazard's line in the legend


def chain_picture(twin: Twin, report: ChainReport, hazards: Sequence[tuple[NDArray[Any], Harm]]) -> bytes:
    """A PNG of a report of chains over the relief and the median of each hazard's peak (member, place), with what the shades mean; links are drawn
    as wide as they are used."""
    from PIL import Image, ImageDraw, ImageFont

    grid = twin.grid
    base = Image.fromarray(hillshade(twin.field("elevation"), grid.cell_m)).convert("RGBA")
    for peak, harm in hazards:
        middle = np.median(peak, axis=0).reshape(grid.shape)
        base.alpha_composite(Image.fromarray(paint(middle, classes_of(harm, on_paper=True))))
    scale = max(1, -(-900 // base.width))
    picture = base.resize((base.width * scale, base.height * scale), Image.Resampling.NEAREST).convert("RGB")
    sheet = Image.new("RGB", (picture.width, picture.height + 76 + SHADES_PX * len(hazards)), "white")
    sheet.paste(picture, (0, 40))
    draw, font, small = ImageDraw.Draw(sheet), ImageFont.load_default(size=18), ImageFont.load_default(size=13)

    def at(x_m: float, y_m: float) -> tuple[float, float]:
        return (x_m - grid.x_min_m) / grid.cell_m * scale, 40 + (grid.y_max_m - y_m) / grid.cell_m * scale

    place = {point.id: at(point.x_m, point.y_m) for point in report.points}
    for used in reversed(report.used):
        (x0, y0), (x1, y1) = place[used.source], place[used.target]
        draw.line((x0, y0, x1, y1), fill=LINK, width=1 + round(5 * used.share))
        towards = np.arctan2(y1 - y0, x1 - x0)
        for side in (-0.4, 0.4):  # the head of the arrow, two thirds of the way
            x, y = x0 + 0.66 * (x1 - x0), y0 + 0.66 * (y1 - y0)
            draw.line((x, y, x - 10 * np.cos(towards + side), y - 10 * np.sin(towards + side)), fill=LINK, width=2)
    for kind in report.points_by_kind:
        assets = twin.assets(kind)
        for k, one in enumerate(assets.id):
            if f"{kind}:{one}" not in place:
                x, y = at(float(assets.x_m[k]), float(assets.y_m[k]))
                draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=STANDS, outline="white")
    for number, point in enumerate(report.points):
        x, y = place[point.id]
        _, colour, size = next(step for step in reversed(STEPS) if point.share >= step[0])
        draw.ellipse((x - size, y - size, x + size, y + size), fill=colour, outline="white", width=2)
        if number < NAMES_MOST:
            words = f"{point.name or point.id} {point.share:.0%}"
            draw.text((x + size + 3, y - 8), words, fill="black", font=small, stroke_width=2, stroke_fill="white")
    made_up = " | MADE UP" if report.made_up and "made up" not in report.place.lower() else ""
    draw.text(
        (10, 8), f"{report.place}{made_up} | what fails and what it takes down, {report.members} futures", fill="black", font=font
    )
    x = 10.0
    for low, colour, size in STEPS:
        draw.ellipse((x, picture.height + 58 - size, x + 2 * size, picture.height + 58 + size), fill=colour)
        words = f"fails in {low:.0%} or more" if low else "fails in some futures"
        draw.text((x + 2 * size + 6, picture.height + 48), words, fill="black", font=small)
        x += 2 * size + 24 + draw.textlength(words, font=small)
    draw.ellipse((x, picture.height + 54, x + 8, picture.height + 62), fill=STANDS)
    draw.text((x + 14, picture.height + 48), "stands in all", fill="black", font=small)
    for row, (_, harm) in enumerate(hazards):
        y, unit = picture.height + 74 + SHADES_PX * row, "" if harm.danger.unit == "1" else f" {harm.danger.unit}"
        words = f"shade: {harm.danger.name.replace('_', ' ')} in the middle future, from"
        draw.text((10, y), words, fill="black", font=small)
        x = 16 + draw.textlength(words, font=small)
        for low, shade in classes_of(harm, on_paper=True):
            draw.rectangle((x, y + 1, x + 14, y + 15), fill=shade[:3], outline="grey")
            draw.text((x + 18, y), f"{low:g}{unit}", fill="black", font=small)
            x += 30 + draw.textlength(f"{low:g}{unit}", font=small)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()
