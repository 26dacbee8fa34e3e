"""Seeing a motion without an avatar: a page for the browser, or a film, of the generic head beside its curves."""
from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import UserError

FILMS = (".mp4", ".m4v", ".mov", ".mkv")
PAGES = (".html", ".htm")


def write_view(motion: Path, other: Path | None, output: Path, audio: Path | None = None) -> dict[str, Any]:
    """Write the page or the film of a motion, or of two and their difference.

    Args:
        motion, other: files that `formats.read_motion` reads; the second is shown at the first's frame rate.
        output: its ending says which: one of `PAGES` or `FILMS`.
        audio: sound or video file to hear with it; a longer one is cut, a shorter one ends in silence.

    Returns:
        `output, frames, fps, seconds, size_mb`, and for two motions what `curves.Difference.figures` gives.

    Raises:
        UserError: a file that cannot be read, a motion without frames, an unknown ending, or an output that is one
            of the inputs. Nothing is written then.
    """
    from ..formats import read_motion
    from ..media import writing
    from .curves import difference
    from .take import Take

    ending = output.suffix.lower()
    if ending not in FILMS + PAGES:
        raise UserError(f"{output}: a motion is shown as {', '.join(PAGES[:1] + FILMS)}; give the output such a name")
    for given in filter(None, (motion, other, audio)):
        if output.exists() and given.exists() and output.samefile(given):
            raise UserError(f"{output}: is what is to be shown, and would be written over; name another output")
    takes = [Take.of(read_motion(motion), motion.name)]
    found = None
    if other is not None:
        second = Take.of(read_motion(other), other.name)
        found = difference(takes[0].motion, second.motion)
        takes.append(Take.of(found.other, other.name))
    if ending in PAGES:
        from .page import write_page as write
    else:
        from .film import write_film as write
    with writing(output):
        frames = write(output, tuple(takes), audio, found)
    fps = takes[0].motion.fps
    result = {"output": output, "frames": frames, "fps": fps, "seconds": frames / fps,
              "size_mb": output.stat().st_size / 1e6}
    return result if found is None else result | found.figures()
