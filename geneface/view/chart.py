"""The curves beside the head of a film: a page of some seconds, over which a line runs."""
from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .curves import Curve, Difference
from .take import Take

BACKGROUND = (246, 246, 244)
_INK, _SOFT, _LINE, _WAVE = (44, 48, 54), (128, 134, 142), (222, 223, 222), (168, 176, 186)
COLOURS = ((43, 108, 164), (206, 112, 40))  # of the first motion and of the second
_APART = (128, 84, 150)  # of their distance
_PAGE = 10.0  # most seconds on one page
_FINER = 3  # drawn so much larger, then averaged: smooth lines
_LEFT, _RIGHT, _TOP, _BOTTOM = 128, 66, 46, 34  # margins: names, values, heading, clock [px]
_WAVE_HEIGHT = 58  # with the words [px]


class Chart:
    """Draws the right side of a film.

    Args:
        takes: one, or two of the same frame rate.
        width, height: [px].
        seconds: of the film.
        wave: [n] outline of the sound in [0,1], `wave_rate` parts a second, or None.
        difference: of two takes.
    """

    def __init__(self, takes: tuple[Take, ...], width: int, height: int, seconds: float, wave: np.ndarray | None,
                 wave_rate: float, difference: Difference | None = None) -> None:
        self.takes, self.width, self.height = takes, width, height
        self.seconds, self.wave, self.wave_rate = seconds, wave, wave_rate
        self.fps = takes[0].motion.fps
        self.frames = max(len(take) for take in takes)
        # A measure that only one of two has is shown all the same.
        names = dict.fromkeys(curve.name for take in takes for curve in take.curves)
        self._rows: list[list[tuple[Curve, tuple[int, int, int]]]] = [
            [(curve, COLOURS[k]) for k, take in enumerate(takes) for curve in take.curves if curve.name == name]
            for name in names
        ]
        if difference is not None:
            self._rows.append([(Curve("distance", "mm", difference.distance, 2), _APART)])
        self._words = next((take.motion.words for take in takes if take.motion.words), ())
        spoken = _WAVE_HEIGHT if wave is not None or self._words else 0
        self._first = _TOP + spoken
        self._row = (height - self._first - _BOTTOM) / len(self._rows)
        self._page = lru_cache(maxsize=1)(self._drawn_page)

    def at(self, frame: int) -> np.ndarray:
        """[height,width,3] uint8 of a frame of the film."""
        time = frame / self.fps
        number = int(time / _PAGE)
        image = self._page(number).copy()
        pen = ImageDraw.Draw(image)
        x = self._x(time, number)
        pen.line([(x, _TOP), (x, self.height - _BOTTOM)], fill=_INK, width=1)
        for k, row in enumerate(self._rows):
            centre = self._first + (k + 0.5) * self._row
            for j, (curve, colour) in enumerate(row):
                shown = min(frame, len(curve.values) - 1)
                y = self._y(curve.values[shown], *self._range(k), k)
                pen.ellipse([x - 2.5, y - 2.5, x + 2.5, y + 2.5], fill=colour)
                shift = 0 if len(row) == 1 else (2 * j - 1) * 7
                pen.text((self.width - 10, centre + shift), _value(curve, shown), colour, _font(12), anchor="rm")
        foot = self.height - _BOTTOM / 2
        clock = f"{time:.2f} s · {frame + 1} of {self.frames} · {self.fps:.4g} fps"
        pen.text((_LEFT, foot), clock, _SOFT, _font(12), anchor="lm")
        said = next((word for begin, end, word in self._words if begin <= time < end), "")
        room = self.width - _LEFT - _font(12).getlength(clock) - 30
        pen.text((self.width - 10, foot), _fitted(said, room, 13), _INK, _font(13), anchor="rm")
        return np.asarray(image)

    def _x(self, time: float, number: int) -> float:
        span = min(self.seconds, _PAGE)
        return _LEFT + (self.width - _LEFT - _RIGHT) * (time - number * _PAGE) / span

    def _range(self, k: int) -> tuple[float, float]:
        """Least and greatest value that row k has room for; weights always show their zero."""
        row = self._rows[k]
        low, high = (float(pick([pick(curve.values) for curve, _ in row])) for pick in (min, max))
        least = row[0][0].least
        if not row[0][0].unit:
            low, high = min(low, 0.0), max(high, 0.0)
            return low, max(high, low + least)
        middle = (low + high) / 2
        half = max(high - low, least) / 2
        return middle - half, middle + half

    def _y(self, value: float, low: float, high: float, k: int) -> float:
        """Higher values lie higher; a tenth of the row stays free at both ends."""
        return self._first + self._row * (k + 0.9 - 0.8 * (value - low) / (high - low))

    def _drawn_page(self, number: int) -> Image.Image:
        """Everything that stands still while the line runs over page `number`."""
        image = Image.new("RGB", (self.width * _FINER, self.height * _FINER), BACKGROUND)
        pen = ImageDraw.Draw(image)
        begin, end = number * _PAGE, min(self.seconds, _PAGE * (number + 1))
        right = self._x(end, number)

        def line(points: list[tuple[float, float]], colour: tuple[int, int, int], width: float) -> None:
            pen.line([(_FINER * x, _FINER * y) for x, y in points], colour, round(_FINER * width), joint="curve")

        for second in range(int(np.ceil(begin)), int(end) + 1):
            line([(self._x(second, number), _TOP), (self._x(second, number), self.height - _BOTTOM)], _LINE, 0.7)
        if self.wave is not None:
            middle, half = _TOP + 20, 17
            for k in range(int(begin * self.wave_rate), min(int(end * self.wave_rate), len(self.wave))):
                x, reach = self._x((k + 0.5) / self.wave_rate, number), max(0.4, half * float(self.wave[k]))
                line([(x, middle - reach), (x, middle + reach)], _WAVE, 0.7)
        for k, row in enumerate(self._rows):
            low, high = self._range(k)
            if low < 0 < high:
                line([(_LEFT, self._y(0, low, high, k)), (right, self._y(0, low, high, k))], _LINE, 0.7)
            for j, (curve, colour) in enumerate(row):
                # Where two are equal, both are seen.
                width = 1.3 if len(row) == 1 else (2.6, 1.1)[j]
                frames = np.arange(max(0, int(begin * self.fps) - 1), min(len(curve.values), int(end * self.fps) + 2))
                if len(frames) > 1:
                    points = [(float(np.clip(self._x(f / self.fps, number), _LEFT, right)),
                               self._y(curve.values[f], low, high, k)) for f in frames]
                    line(points, colour, width)
        image = image.resize((self.width, self.height), Image.Resampling.BOX)
        self._label(ImageDraw.Draw(image), number, begin, end)
        return image

    def _label(self, pen: ImageDraw.ImageDraw, number: int, begin: float, end: float) -> None:
        for k, row in enumerate(self._rows):
            curve = row[0][0]
            name = f"{curve.name}, {curve.unit}" if curve.unit else curve.name
            pen.text((_LEFT - 12, self._first + (k + 0.5) * self._row), name, _INK, _font(12), anchor="rm")
        shown = [(self._x(start, number), self._x(stop, number), word) for start, stop, word in self._words
                 if begin <= start < end]
        fitting = [(left, word) for left, right, word in shown if _fitted(word, right - left + 3, 11) == word]
        if 2 * len(fitting) > len(shown):  # a few short words out of many would only puzzle
            for left, word in fitting:
                pen.text((left, _TOP + 48), word, _SOFT, _font(11), "lm")
        for k, take in enumerate(self.takes):
            heading = f"{take.name} · {take.motion.source}"
            y = 24 if len(self.takes) == 1 else 14 + 16 * k
            colour = _INK if len(self.takes) == 1 else COLOURS[k]
            pen.text((_LEFT, y), _fitted(heading, self.width - _LEFT - 10, 13), colour, _font(13), "lm")


def _value(curve: Curve, frame: int) -> str:
    value = float(curve.values[frame])
    value = 0.0 if abs(value) < 0.005 else value  # no -0.0
    return f"{value:.1f} {curve.unit}".replace(" °", "°") if curve.unit else f"{value:.2f}"


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _fitted(text: str, room: float, size: int) -> str:
    """As much of one line of `text` as fits `room` [px]."""
    text = " ".join(text.split())[:300]
    if _font(size).getlength(text) <= room:
        return text
    while text and _font(size).getlength(text + "…") > room:
        text = text[:-1]
    return text + "…"
