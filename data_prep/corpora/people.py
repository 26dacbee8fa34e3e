"""Head basis fitted to the clips of a corpus: identity and focal length once per speaker, then every clip alone."""
from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from data_prep.tracking.fit import Person, fit_person, fit_track
from data_prep.tracking.landmarks import Detections
from geneface.corpus import FPS
from geneface.errors import UserError
from geneface.types import write_atomically

from .clips import Dropped, Recording, face_width, load
from .layouts import Source

T = TypeVar("T")
Size = tuple[int, int]
_VERSION = 2  # raised when tracking finds another identity on the same clips
PERSON_CLIPS = 40  # of one speaker, on which identity and focal length are found


def chosen(items: Sequence[T], most: int = PERSON_CLIPS) -> list[T]:
    """Those of one speaker's clips that stand for all: at most so many, spread evenly over them."""
    places = np.unique(np.linspace(0, len(items) - 1, most).round().astype(int))
    return [items[i] for i in places]


def fit_people(found: list[Detections], size: Size) -> Person:
    """Identity and focal length of the one person that all clips show."""
    return fit_person(found, *size)


def person_file(sources: tuple[Source, ...], folder: Path) -> Path:
    """Where the identity found on these files is kept."""
    identity = hashlib.sha256(repr((_VERSION, [(s.name, s.size, s.changed) for s in sources])).encode()).hexdigest()
    return folder / "people" / f"{identity[:32]}.npz"


def find_person(sources: tuple[Source, ...], folder: Path) -> dict[Size, Person]:
    """Identity and focal length of a speaker, by picture size (another size is another camera).

    Args:
        sources: the files that stand for all of the speaker's.
        folder: of the corpus; the result is kept in `people/` and looked for there.
    """
    file = person_file(sources, folder)
    if file.is_file():
        with np.load(file, allow_pickle=False) as stored:
            return {(int(w), int(h)): Person(stored[f"identity.{i}"], stored[f"offsets.{i}"], float(stored["focal"][i]))
                    for i, (w, h) in enumerate(stored["sizes"])}
    begin = time.process_time()
    groups: dict[Size, list[Detections]] = {}
    for source in sources:
        try:
            recording = load(source, folder / "clips")
        except Dropped:
            continue
        if recording.detections.valid.any():
            groups.setdefault(recording.size, []).append(recording.detections)
    people = {size: fit_people(found, size) for size, found in groups.items()}
    arrays = {"sizes": np.array(list(people), np.int64).reshape(-1, 2),
              "focal": np.array([person.focal for person in people.values()])}
    for i, person in enumerate(people.values()):
        arrays |= {f"identity.{i}": person.identity, f"offsets.{i}": person.offsets}
    arrays["cpu_seconds"] = np.array(time.process_time() - begin)
    write_atomically(file, lambda part: np.savez(part, **arrays))
    return people


def expression_of(clip: Recording, person: Person, max_fit_error: float) -> np.ndarray:
    """[T,52] tracked ARKit weights.

    Args:
        person: whose face it is.
        max_fit_error: median reprojection error over the face's width.

    Raises:
        Dropped: the head does not fit the face so well.
    """
    try:
        _, face, quality = fit_track(clip.detections, *clip.size, FPS, person=person)
    except UserError as error:
        raise Dropped(str(error)) from error
    if not quality.reprojection_px <= max_fit_error * face_width(clip.detections):
        raise Dropped(f"the head does not fit the face (error above {100 * max_fit_error:g} % of its width)")
    return face.expression
