"""A map of an evacuation: the hazard, the streets that hold people up, and those on which somebody is caught."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from tocsin.interfaces.exports import ground_of
from tocsin.interfaces.pictures import hillshade

if TYPE_CHECKING:
    from tocsin.flows.evacuation import Evacuated
    from tocsin.flows.information import ForecastResult

HAZARD, STREET, SLOW, CAUGHT = (120, 170, 220), (150, 150, 150), (235, 140, 20), (200, 20, 20)


def evacuation_picture(result: ForecastResult, evacuated: Evacuated) -> bytes:
    """A PNG: where the hazard comes in blue, streets by the waiting that they cause in orange, and in red where people are caught."""
    from PIL import Image, ImageDraw, ImageFont

    world, report = result.world, evacuated.report
    grid, roads = world.grid, world.roads
    picture = np.repeat(hillshade(ground_of(result), grid.cell_m)[:, :, None], 3, axis=2)
    wet = np.isfinite(result.foreseen.footprint.arrival_s[0]).reshape(grid.shape)
    picture[wet] = (0.4 * picture[wet] + 0.6 * np.array(HAZARD)).astype(np.uint8)
    scale = max(1, -(-1000 // grid.cols))
    base = Image.fromarray(picture).resize((grid.cols * scale, grid.rows * scale), Image.Resampling.NEAREST)
    draw, font = ImageDraw.Draw(base), ImageFont.load_default(size=16)
    x = (roads.line_x_m - grid.x_min_m) / grid.cell_m * scale
    y = (grid.y_max_m - roads.line_y_m) / grid.cell_m * scale
    most = float(evacuated.delay_h.max()) if len(roads) else 0.0

    def line(e: int, colour: tuple[int, int, int], width: int) -> None:
        at = slice(roads.line_start[e], roads.line_start[e + 1])
        draw.line(list(zip(x[at].tolist(), y[at].tolist(), strict=True)), fill=colour, width=width)

    for e in range(len(roads)):
        line(e, STREET, 1)
    for e in np.argsort(evacuated.delay_h)[-300:].tolist():
        if evacuated.delay_h[e] > 0.01 * most > 0:
            line(e, SLOW, 2 + round(6 * float(np.sqrt(evacuated.delay_h[e] / most))))
    for e in np.flatnonzero(evacuated.caught_at > 0.5).tolist():
        line(e, CAUGHT, 4)
    sheet = Image.new("RGB", (base.width, base.height + 70), "white")
    sheet.paste(base, (0, 36))
    draw = ImageDraw.Draw(sheet)
    title = f"{report.place}{' | MADE UP' if report.made_up else ''} | {report.arrived:,.0f} of {report.wanted:,.0f} who leave arrive, {report.caught_on_road:,.0f} are caught"
    draw.text((10, 8), title, fill="black", font=font)
    at_x = 10
    for words, colour in (
        (result.model.makes.name.replace("_", " "), HAZARD),
        ("holds people up", SLOW),
        ("people caught", CAUGHT),
    ):
        draw.rectangle((at_x, base.height + 44, at_x + 22, base.height + 60), fill=colour, outline="black")
        draw.text((at_x + 28, base.height + 43), words, fill="black", font=font)
        at_x += 50 + int(draw.textlength(words, font=font))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()
