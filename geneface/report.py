"""One self-contained HTML page of figures, pictures and plots, and the same figures as JSON.

```
report = Report("Prepared: talk.mp4")
section = report.section("Checks")
section.verdicts([Verdict("face", "ok", "in all frames")])
section.points(["Turn the head to the left as well."])
section.strip([frame, overlay], "frame and masks")
section.gallery([(frame, "frame 0"), (other, "frame 90")])
section.video(frames, 25, "what was tracked")
section.moving([MovingLine(lips, "#1f77b4", closed=True)], 25, (240, 240), "lips")
section.plot(lambda axes: axes.plot(opening), "mouth opening")
report.save("person/report.html", {"frames": 1000})
```
"""
from __future__ import annotations

import base64
import io
import json
import math
import tempfile
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from .types import require, write_atomically

VERDICTS = ("ok", "warn", "fail")
_DPI = 140  # of plots: sharp on small screens too


@dataclass(frozen=True)
class Verdict:
    """Outcome of one check.

    Attributes:
        check: its name.
        verdict: ok, warn or fail.
        value: what was measured, for people.
        advice: what to do about it, "" when all is well.
        number: the same as `value`, for programs; None where there is none.
    """

    check: str
    verdict: str
    value: str = ""
    advice: str = ""
    number: float | None = None

    def __post_init__(self) -> None:
        require(self.verdict in VERDICTS, f"verdict: expected one of {VERDICTS}, got {self.verdict!r}")


@dataclass(frozen=True)
class MovingLine:
    """A line whose points move.

    Attributes:
        points: [T,P,2] in every frame [px of the figure].
        colour: as CSS names it.
        closed: whether the last point joins the first.
        width: [px].
    """

    points: np.ndarray
    colour: str
    closed: bool = False
    width: float = 1.5


def plain(value: Any) -> Any:
    """`value` as JSON can hold it: numpy to Python, paths to text, NaN and infinity to null."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, range)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Verdict):
        return asdict(value)
    return value


def readable(value: Any) -> str:
    """A figure for people: four significant digits, a dash for what was not measurable."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (float, np.floating)):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(readable(item) for item in value) or "none"
    return str(value)


def _embedded(kind: str, data: bytes) -> str:
    return f"data:{kind};base64," + base64.b64encode(data).decode("ascii")


def _wav(audio: np.ndarray, rate: int) -> bytes:
    from .media import write_wav

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sound.wav"
        write_wav(path, audio, rate)
        return path.read_bytes()


def _picture_source(picture: np.ndarray, quality: int) -> str:
    from PIL import Image

    require(picture.ndim == 3 and picture.shape[2] == 3 and picture.dtype == np.uint8,
            f"picture: expected [H,W,3] uint8, got {picture.shape} {picture.dtype}")
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality, subsampling=0)
    return _embedded("image/jpeg", buffer.getvalue())


def side_by_side(pictures: Sequence[np.ndarray], gap: int = 4) -> np.ndarray:
    """[H,W,3] uint8: pictures [h,w,3] in a row, each centred in the tallest's height, on white."""
    require(len(pictures) > 0, "pictures: none given")
    height = max(len(picture) for picture in pictures)
    width = sum(picture.shape[1] for picture in pictures) + gap * (len(pictures) - 1)
    canvas = np.full((height, width, 3), 255, np.uint8)
    left = 0
    for picture in pictures:
        top = (height - len(picture)) // 2
        canvas[top:top + len(picture), left:left + picture.shape[1]] = picture
        left += picture.shape[1] + gap
    return canvas


class Section:
    """Part of a report; made by `Report.section`."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.blocks: list[dict[str, Any]] = []

    def text(self, text: str) -> None:
        """A paragraph."""
        self.blocks.append({"kind": "text", "text": text})

    def points(self, points: Iterable[str]) -> None:
        """A list of remarks."""
        self.blocks.append({"kind": "points", "points": list(points)})

    def values(self, values: dict[str, Any], notes: dict[str, str] | None = None) -> None:
        """Names with their figures, and a remark on some."""
        rows = [(name, readable(value), (notes or {}).get(name, "")) for name, value in values.items()]
        self.blocks.append({"kind": "values", "rows": rows})

    def verdicts(self, verdicts: Iterable[Verdict]) -> None:
        """A table of checks, the worst first."""
        rows = sorted(verdicts, key=lambda row: -VERDICTS.index(row.verdict))
        self.blocks.append({"kind": "verdicts", "rows": [asdict(row) for row in rows]})

    def table(self, header: Sequence[str], rows: Iterable[Sequence[Any]],
              best: Collection[tuple[int, int]] = ()) -> None:
        """A table with a header.

        Args:
            best: (row, column) of the cells that are set off.
        """
        self.blocks.append({"kind": "table", "header": list(header),
                            "rows": [[(readable(value), (i, j) in best) for j, value in enumerate(row)]
                                     for i, row in enumerate(rows)]})

    def picture(self, picture: np.ndarray, caption: str = "", quality: int = 88) -> None:
        """One picture, [H,W,3] uint8 RGB."""
        self.blocks.append({"kind": "picture", "source": _picture_source(picture, quality), "caption": caption})

    def strip(self, pictures: Sequence[np.ndarray], caption: str = "", height: int | None = None) -> None:
        """Pictures [h,w,3] uint8 RGB in a row, scaled to `height` [px] where given."""
        if height is not None:
            pictures = [scaled(picture, height) for picture in pictures]
        self.picture(side_by_side(pictures), caption)

    def gallery(self, pictures: Sequence[tuple[np.ndarray, str]], caption: str = "", quality: int = 85) -> None:
        """Pictures [h,w,3] uint8 RGB, each with a caption of its own, under a common one, in as many rows as the screen
        needs."""
        items = [{"source": _picture_source(picture, quality), "caption": words} for picture, words in pictures]
        if items:
            self.blocks.append({"kind": "gallery", "items": items, "caption": caption})

    def video(self, frames: Iterable[np.ndarray], fps: float, caption: str = "", audio: np.ndarray | None = None,
              rate: int = 16000, quality: int = 27) -> None:
        """Frames [h,w,3] uint8 RGB, read one at a time, as a looping video.

        Args:
            audio: [N] float32 sound, or None.
            quality: x264 constant rate factor, lower is better and larger.
        """
        from .media import VideoWriter

        frames = iter(frames)
        first = next(frames, None)
        if first is None:
            return
        height, width = first.shape[:2]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "video.mp4"
            with VideoWriter(path, width, height, fps, audio, rate, quality, "veryfast", "From a report.") as writer:
                writer.write(first)
                for frame in frames:
                    writer.write(frame)
            self.film(path, width, caption, audio is not None)

    def film(self, path: Path, width: int, caption: str = "", sound: bool = True) -> None:
        """A video file of `width` px (.mp4), taken into the page; one without `sound` starts by itself."""
        source = _embedded("video/mp4", path.read_bytes())
        self.blocks.append({"kind": "video", "source": source, "caption": caption, "width": width, "sound": sound})

    def moving(self, lines: Sequence[MovingLine], fps: float, size: tuple[int, int], caption: str = "",
               audio: np.ndarray | None = None, rate: int = 16000) -> None:
        """Lines that move, with a slider over their frames; they play in the page, with `audio` [N] where given.

        Args:
            lines: of equally many frames.
            size: width and height of the figure [px].
        """
        frames = len(lines[0].points)
        require(all(len(line.points) == frames for line in lines), "lines: differ in their number of frames")
        drawn = [{"points": base64.b64encode(np.round(10 * line.points).astype("<i2").tobytes()).decode("ascii"),
                  "count": line.points.shape[1], "colour": line.colour, "closed": line.closed, "width": line.width}
                 for line in lines]
        sound = None if audio is None else _embedded("audio/wav", _wav(audio, rate))
        self.blocks.append({"kind": "moving", "data": json.dumps({"fps": fps, "frames": frames, "lines": drawn}),
                            "last": frames - 1, "width": size[0], "height": size[1], "caption": caption,
                            "sound": sound})

    def plot(self, draw: Callable[[Any], None], caption: str = "", size: tuple[float, float] = (11, 2.6),
             rows: int = 1, columns: int = 1) -> None:
        """A plot.

        Args:
            draw: draws on the matplotlib axes it is given; a list of them, row by row, where there are several.
            size: width and height [inch].
            rows, columns: of plots; those of a column share their horizontal axis.
        """
        # A figure of our own: pyplot keeps figures in a global list and picks a window system.
        from matplotlib.figure import Figure

        figure = Figure(figsize=size, layout="constrained")
        all_axes = list(figure.subplots(rows, columns, sharex="col", squeeze=False).flat)
        for axes in all_axes:
            axes.grid(alpha=0.25)
            axes.spines[["top", "right"]].set_visible(False)
        draw(all_axes[0] if len(all_axes) == 1 else all_axes)
        for axes in all_axes:
            if axes.get_legend_handles_labels()[0]:
                axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=6, fontsize=8, frameon=False, borderpad=0)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=_DPI)
        self.blocks.append({"kind": "plot", "source": _embedded("image/png", buffer.getvalue()), "caption": caption,
                            "width": round(size[0] * 100)})


def scaled(picture: np.ndarray, height: int) -> np.ndarray:
    from PIL import Image

    if len(picture) == height:
        return picture
    width = max(1, round(picture.shape[1] * height / len(picture)))
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))


class Report:
    """A page made of sections.

    Args:
        title, subtitle: its heading.
    """

    def __init__(self, title: str, subtitle: str = "") -> None:
        self.title, self.subtitle = title, subtitle
        self.sections: list[Section] = []

    def section(self, title: str) -> Section:
        """A new section at the end."""
        self.sections.append(Section(title))
        return self.sections[-1]

    def html(self) -> str:
        """The page, complete in itself: no link, pictures inside, a script only where lines move."""
        import jinja2

        template = resources.files("geneface").joinpath("data", "report.html.j2").read_text("utf-8")
        environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
        sections = [{"title": section.title, "blocks": section.blocks} for section in self.sections]
        return environment.from_string(template).render(
            title=self.title, subtitle=self.subtitle, sections=sections, version=_version(),
            moving=any(block["kind"] == "moving" for section in self.sections for block in section.blocks))

    def save(self, path: str | Path, data: dict[str, Any]) -> Path:
        """Write the page to `path` (.html) and `data` beside it as .json, both atomically.

        Returns:
            `path`.
        """
        path = Path(path)
        page = self.html()
        numbers = json.dumps(plain(data), indent=1, allow_nan=False)
        write_atomically(path.with_suffix(".json"), lambda temporary: temporary.write_text(numbers, "utf-8"))
        write_atomically(path, lambda temporary: temporary.write_text(page, "utf-8"))
        return path


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("geneface")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return ""
