"""A motion as one page for the browser: the head in three.js, curves and sound, with all they need inside it."""
from __future__ import annotations

import base64
import gzip
import hashlib
import json
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from .. import assets
from ..face.arkit import ARKIT_NAMES
from ..types import write_atomically
from .curves import Difference
from .look import Look, load_look
from .sound import outline, packed, read_sound
from .take import Take

_OUTLINE = 200  # parts of the waveform a second
_LISTED = 12  # weights in the table of differences
_SCRIPTS = ("head.js", "charts.js", "page.js")


class Arrays:
    """Arrays of a page in one block of bytes, and the table by which its script finds them."""

    def __init__(self) -> None:
        self.table: list[dict[str, Any]] = []
        self._bytes = bytearray()

    def add(self, name: str, values: np.ndarray, scale: float | None = None) -> None:
        """Keep `values` (float32, int16 or unsigned integers) as they are; the script multiplies them by `scale`."""
        values = np.ascontiguousarray(values)
        self._bytes.extend(bytes(-len(self._bytes) % 4))
        self.table.append({"name": name, "kind": values.dtype.str[1:], "at": len(self._bytes), "count": values.size,
                           "scale": scale})
        self._bytes.extend(values.astype(values.dtype.newbyteorder("<")).tobytes())

    def add_quantised(self, name: str, values: np.ndarray, kind: type = np.int16) -> None:
        """Keep `values` as integers of `kind` and what one of them stands for."""
        whole, scale = quantised(values, kind)
        self.add(name, whole, scale)

    def encoded(self) -> str:
        """The block, compressed, as text."""
        return compressed(bytes(self._bytes))


def quantised(values: np.ndarray, kind: type = np.int16) -> tuple[np.ndarray, float]:
    """Integers of `kind` and the value of 1, so that the largest of `values` takes up the whole range."""
    scale = float(np.abs(values).max(initial=0)) / np.iinfo(kind).max or 1.0
    return np.round(values / scale).astype(kind), scale


def compressed(data: bytes) -> str:
    """Base64 of gzip, the same for the same data."""
    return base64.b64encode(gzip.compress(data, 9, mtime=0)).decode("ascii")


def write_page(path: Path, takes: tuple[Take, ...], audio: Path | None = None,
               difference: Difference | None = None) -> int:
    """Write the page; returns how many frames it has. Arguments and errors as `film.write_film`."""
    import jinja2

    frames, fps = max(len(take) for take in takes), takes[0].motion.fps
    seconds = frames / fps
    arrays = Arrays()
    scale = _add_head(arrays, load_look())
    for k, take in enumerate(takes):
        arrays.add_quantised(f"take{k}.weights", take.weights)
        for name in ("rotations", "positions", "opening"):
            arrays.add(f"take{k}.{name}", getattr(take, name))
        arrays.add(f"take{k}.curves", np.stack([curve.values for curve in take.curves]))
    if difference is not None:
        arrays.add("distance", difference.distance)
    sound = None if audio is None else read_sound(audio, seconds)
    if sound is not None:
        arrays.add("wave", np.round(255 * outline(sound, _OUTLINE)).astype(np.uint8))
    words = next((take.motion.words for take in takes if take.motion.words), ())
    data = {
        "fps": fps, "frames": frames, "seconds": seconds, "waveRate": _OUTLINE, "words": words, "names": ARKIT_NAMES,
        "deltaScale": scale, "arrays": arrays.table,
        "takes": [{"frames": len(take), "curves": [{"name": curve.name, "unit": curve.unit, "least": curve.least}
                                                   for curve in take.curves]} for take in takes],
    }
    folder = resources.files("geneface").joinpath("data", "view")
    script = "".join(folder.joinpath(name).read_text("utf-8") for name in _SCRIPTS)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.from_string(folder.joinpath("page.html.j2").read_text("utf-8")).render(
        title=" and ".join(take.name for take in takes), style=folder.joinpath("page.css").read_text("utf-8"),
        script=script, script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
        takes=[{"name": take.name, "source": take.motion.source, "history": take.motion.history, "frames": len(take),
                "fps": take.motion.fps, "seconds": take.motion.seconds} for take in takes],
        frames=frames, weights=ARKIT_NAMES, data=_json(data), arrays=arrays.encoded(),
        three=compressed(assets.path("three").read_bytes()), has_audio=sound is not None,
        sound="" if sound is None else base64.b64encode(packed(sound)).decode("ascii"),
        differing=() if difference is None else difference.weights[:_LISTED],
        figures={} if difference is None else difference.figures(),
    )
    write_atomically(path, lambda temporary: temporary.write_text(page, "utf-8"))
    return frames


def _add_head(arrays: Arrays, look: Look) -> float:
    """Add what does not move; returns what 1 stands for in the displacements [m]."""
    head = look.head
    arrays.add("vertices", head.vertices)
    arrays.add("faces", head.triangles.astype(np.uint16))
    arrays.add("corners", look.corners.astype(np.uint16))
    arrays.add("triangles", look.triangles.astype(np.uint16))
    arrays.add("kind", look.kind.astype(np.uint8))
    arrays.add_quantised("colour", look.colour, np.uint16)
    arrays.add_quantised("gloss", look.gloss, np.uint8)
    arrays.add("eye_uv", look.eye_uv)
    arrays.add("eye_texture", look.eye_texture)
    # Only what moves: start[e] to start[e + 1] are the vertices of expression e.
    whole, scale = quantised(head.deltas)
    expression, vertex = np.nonzero(whole.any(2))
    arrays.add("start", np.searchsorted(expression, np.arange(len(whole) + 1)).astype(np.uint32))
    arrays.add("index", vertex.astype(np.uint16))
    arrays.add("value", whole[expression, vertex])
    return scale


def _json(data: dict[str, Any]) -> str:
    """JSON that can stand within a script element, whatever its texts hold."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
