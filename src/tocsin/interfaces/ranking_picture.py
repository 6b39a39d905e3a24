"""The ranking as one picture: best plan on top, a row for each plan, and what would change the choice. For a wall, a report, a message."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from tocsin.vocabulary.units import lasting

if TYPE_CHECKING:
    from PIL import ImageDraw, ImageFont

WIDTH, MARGIN = 1400, 36
ROW, BAR_FROM, BAR_TO = 62, 330, 700
# On paper: at least 4.5:1 to the white for all text (WCAG 2.2, 1.4.3), and no meaning in the hue alone: broken limits have a cross and a word too.
INK, SOFT, LINE = (20, 28, 36), (84, 96, 108), (214, 220, 226)
BEST, OTHER, WHISKER = (20, 104, 92), (126, 146, 162), (20, 28, 36)
RED, AMBER, GREEN = (178, 24, 32), (138, 84, 0), (20, 104, 60)
BEST_GROUND, RED_GROUND = (232, 244, 241), (252, 234, 234)
PLANS_MOST = 12  # rows; more are in the table


def ranking_picture(told: dict[str, Any]) -> bytes:
    """A PNG of a comparison, from the same data as `--json`."""
    from PIL import Image

    sheet = Image.new("RGB", (WIDTH, _Page(None, told).draw()), "white")
    _Page(sheet, told).draw()
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def harmed_in(told: dict[str, Any]) -> str:
    """What a comparison calls those whom its hazard harms."""
    from tocsin.pack import IN_DANGER

    return str((told["choice"] or {}).get("harmed") or IN_DANGER)


class _Page:
    """Draws from the top down; without a sheet it only measures how high the page becomes."""

    def __init__(self, sheet: Any, told: dict[str, Any]) -> None:
        from PIL import Image, ImageDraw

        self.pen: ImageDraw.ImageDraw = ImageDraw.Draw(sheet if sheet is not None else Image.new("RGB", (1, 1)))
        self.told, self.y = told, 26

    def draw(self) -> int:
        """Draw all; returns the height that it takes."""
        self._head()
        self._rows()
        if self.told["choice"] is not None:
            self._choice(self.told["choice"])
        self._foot()
        return self.y

    def _text(
        self,
        x: float,
        words: str,
        *,
        size: int = 20,
        colour: tuple[int, int, int] = INK,
        bold: bool = False,
        y: float | None = None,
        anchor: str = "la",
    ) -> None:
        self.pen.text(
            (x, self.y if y is None else y), words, fill=colour, font=_font(size), stroke_width=0.5 if bold else 0, anchor=anchor
        )

    def _paragraph(self, x: float, words: str, *, size: int = 20, colour: tuple[int, int, int] = INK, bold: bool = False) -> None:
        for line in wrap(self.pen, words, _font(size), WIDTH - MARGIN - x):
            self._text(x, line, size=size, colour=colour, bold=bold)
            self.y += round(size * 1.36)

    def _head(self) -> None:
        told = self.told
        mark = "MADE UP PLACE  |  " if told["made_up"] else ""
        self._text(
            MARGIN,
            f"{mark}{told['place']}  |  {told['hazard']}, {lasting(told['duration_s'])}  |  {len(told['scores'])} plans on the same "
            f"{told['futures']} futures  |  people as at {told['hour']:g} h",
            size=18,
            colour=RED if told["made_up"] else SOFT,
        )
        self.y += 38
        broken = any(breach["broken"] for breach in told["scores"][0]["limits"])
        title = f"Best: {told['recommended']}{', but it breaks a limit' if broken else ''}"
        for line in wrap(self.pen, title, _font(42), WIDTH - 2 * MARGIN)[:2]:
            self._text(MARGIN, line, size=42, colour=RED if broken else BEST, bold=True)
            self.y += 56
        self.y += 4
        self._paragraph(MARGIN, told["reason"], size=22)
        self._paragraph(MARGIN, told["doubt"], size=22, colour=SOFT)
        self.y += 16

    def _rows(self) -> None:
        scores = self.told["scores"]
        most = max([s["harm"]["high"] for s in scores] + [s["cvar"] for s in scores] + [1e-9])
        columns = [
            (790, "on\naverage"),
            (880, "worst\ntenth"),
            (970, "regret\nmost"),
            (1055, "cut\noff"),
            (1150, "damage"),
            (1240, "cost"),
            (1300, "done\nh"),
        ]
        for x, heading in columns:
            for number, line in enumerate(heading.split("\n")):
                self._text(x, line, size=16, colour=SOFT, y=self.y + 19 * number, anchor="ra")
        self._text(BAR_FROM, f"{harmed_in(self.told)}: average, 5 to 95 % of", size=16, colour=SOFT)
        self._text(BAR_FROM, "the futures, and the worst tenth (diamond)", size=16, colour=SOFT, y=self.y + 19)
        self.y += 46
        for s in scores[:PLANS_MOST]:
            self._row(s, most, [x for x, _ in columns])
        if len(scores) > PLANS_MOST:
            self._text(MARGIN, f"and {len(scores) - PLANS_MOST} more", size=18, colour=SOFT)
            self.y += 28
        self.y += 14

    def _row(self, s: dict[str, Any], most: float, at: list[int]) -> None:
        broken = [breach for breach in s["limits"] if breach["broken"]]
        first = s["rank"] == 1
        room = BAR_FROM - MARGIN - 54
        lines = [(line, 22, INK, first) for line in wrap(self.pen, s["plan"], _font(22), room)[:2]]
        if s["limits"]:
            words, colour = _limit_words(s["limits"])
            lines += [(line, 16, colour, bool(broken)) for line in wrap(self.pen, words, _font(16), room)[:3]]
        tall = sum(round(size * 1.25) for _, size, _, _ in lines)
        high = max(ROW, tall + 16)
        top, middle = self.y, self.y + high // 2
        if first or broken:
            ground = RED_GROUND if broken else BEST_GROUND
            self.pen.rectangle((MARGIN - 14, top + 2, WIDTH - MARGIN + 14, top + high - 3), fill=ground)
        self.pen.line((MARGIN - 14, top, WIDTH - MARGIN + 14, top), fill=LINE)
        self._text(MARGIN, f"{s['rank']}", size=24, bold=True, colour=BEST if first else SOFT, y=middle, anchor="lm")
        y = middle - tall / 2
        for line, size, colour, bold in lines:
            step = round(size * 1.25)
            self._text(
                MARGIN + 34,
                fit(self.pen, line, _font(size), room),
                size=size,
                colour=colour,
                bold=bold,
                y=y + step / 2,
                anchor="lm",
            )
            y += step
        self._bar(s, most, middle, RED if broken else BEST if first else OTHER)
        cut_off = s["figures"].get("people_cut_off")
        cells = (
            f"{s['harm']['mean']:,.0f}",
            f"{s['cvar']:,.0f}",
            f"{s['regret_worst']:,.0f}",
            "-" if cut_off is None else f"{cut_off['mean']:,.0f}",
            _short(s["damage"]["mean"]),
            _short(s["cost"]),
            f"{s['finished_s']['mean'] / 3600.0:.1f}",
        )
        for number, (x, words) in enumerate(zip(at, cells, strict=True)):
            self._text(x, words, size=24 if number == 0 else 20, bold=number == 0, y=middle, anchor="rm")
        if s["failed_share"] >= 0.005:
            self._text(WIDTH - MARGIN, f"fails {s['failed_share']:.0%}", size=16, colour=AMBER, y=middle, anchor="rm")
        self.y += high

    def _bar(self, s: dict[str, Any], most: float, middle: float, colour: tuple[int, int, int]) -> None:
        def x(value: float) -> float:
            return BAR_FROM + (BAR_TO - BAR_FROM) * min(1.0, max(0.0, value / most))

        harm = s["harm"]
        self.pen.line((BAR_FROM, middle - 18, BAR_FROM, middle + 18), fill=SOFT)
        self.pen.rectangle((BAR_FROM, middle - 11, max(BAR_FROM + 1, x(harm["mean"])), middle + 11), fill=colour)
        low, high, worst = x(harm["low"]), x(harm["high"]), x(s["cvar"])
        self.pen.line((low, middle, high, middle), fill=WHISKER, width=2)
        for end in (low, high):
            self.pen.line((end, middle - 7, end, middle + 7), fill=WHISKER, width=2)
        self.pen.polygon(
            [(worst - 6, middle), (worst, middle - 6), (worst + 6, middle), (worst, middle + 6)], fill="white", outline=WHISKER
        )

    def _choice(self, choice: dict[str, Any]) -> None:
        margin = choice["margin"]
        if margin is not None:
            span = "" if margin["low"] is None else f" (90 % sure: {margin['low']:+,.0f} to {margin['high']:+,.0f})"
            self._line("Runner-up", [f"{choice['runner_up']}: {margin['mean']:+,.0f} {harmed_in(self.told)} on average{span}"])
        if paid := [flip["sentence"] for flip in choice["flips"] if flip["kind"] == "price"]:
            self._line("Price", paid)
        self._line(
            "Would flip",
            [flip["sentence"] for flip in choice["flips"] if flip["kind"] != "price"][:3] or ["Nothing that these futures show."],
        )
        none = f"No report that could be asked for would change the choice. Knowing all would save {choice['worth_of_all']:,.0f}."
        self._line("Ask first", [ask["sentence"] for ask in choice["ask_first"]][:3] or [none])
        self._line("Who bears it", [choice["equity"]])
        winners: dict[str, list[str]] = {}
        for name, plan in choice["weightings"].items():
            winners.setdefault(plan, []).append(name)
        self._line("Wins by", ["; ".join(f"{plan}: {', '.join(names)}" for plan, names in winners.items())])
        if choice["remarks"]:
            more = len(choice["remarks"]) - 2
            self._line("Not known", [". ".join(choice["remarks"][:2]) + (f"; and {more} more" if more > 0 else "")], colour=SOFT)

    def _line(self, label: str, sentences: list[str], *, colour: tuple[int, int, int] = INK) -> None:
        self._text(MARGIN, label, size=20, colour=SOFT, bold=True)
        for sentence in sentences:
            self._paragraph(190, sentence, colour=colour)
        self.y += 9

    def _foot(self) -> None:
        told = self.told
        self.y += 6
        self.pen.line((MARGIN, self.y, WIDTH - MARGIN, self.y), fill=LINE)
        self.y += 10
        self._paragraph(
            MARGIN,
            f"{told['model']}, seed {told['seed']}; damage and cost in {told['scores'][0]['damage']['unit']}. Limits of the model: {told['limits']}.",
            size=15,
            colour=SOFT,
        )
        self.y += 20


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    from PIL import ImageFont

    return ImageFont.load_default(size=size)


def wrap(pen: ImageDraw.ImageDraw, words: str, font: Any, width: float) -> list[str]:
    """The lines of a paragraph that is at most so many pixels wide; a word that is wider stands alone."""
    lines: list[str] = []
    line = ""
    for word in words.split():
        longer = f"{line} {word}".strip()
        if line and pen.textlength(longer, font=font) > width:
            lines.append(line)
            line = word
        else:
            line = longer
    return [*lines, line] if line else lines


def fit(pen: ImageDraw.ImageDraw, words: str, font: Any, width: float) -> str:
    """The words, cut where they are wider than so many pixels."""
    if pen.textlength(words, font=font) <= width:
        return words
    while words and pen.textlength(f"{words}...", font=font) > width:
        words = words[:-1]
    return f"{words}..."


def _short(amount: float) -> str:
    from tocsin.interfaces.cli.ranking import short

    return short(amount)


def _limit_words(limits: list[dict[str, Any]]) -> tuple[str, tuple[int, int, int]]:
    if broken := [breach for breach in limits if breach["broken"]]:
        worst = max(broken, key=lambda breach: breach["chance"] - breach["permitted"])
        return f"X BREAKS {_plain(worst['limit'])}: {worst['chance']:.0%}", RED
    if unsure := [breach for breach in limits if breach["high"] > breach["permitted"]]:
        worst = max(unsure, key=lambda breach: breach["high"] - breach["permitted"])
        return f"? not sure: {_plain(worst['limit'])}, up to {worst['high']:.0%}", AMBER
    return "limits kept", GREEN


def _plain(limit: str) -> str:
    return limit.replace("@", " in ").replace("_", " ")
