"""Head basis fitted to the clips of a corpus: identity and focal length once per speaker, then every clip alone."""
from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np

from geneface.errors import UserError
from geneface.progress import track
from geneface.types import write_atomically

from .landmarks import Detections
from .track import Person, fit_person, fit_track

FPS = 25.0
_PERSON_CLIPS = 40  # of one speaker, on which identity and focal length are found
_LARGEST_ERROR = 0.02  # median reprojection error over the face's width in the image


def fit_speakers(clips: list, kept: Path, dropped: Counter[str]) -> tuple[list[np.ndarray], list[int]]:
    """Expression weights of every clip.

    Args:
        clips: of `data_prep.corpus.Clip`.
        kept: folder in which finished fits are kept and looked for.
        dropped: reasons are counted here.

    Returns:
        weights [T,52] of the clips that could be fitted, and those clips' indices.
    """
    groups: dict[tuple[str, int, int], list[int]] = {}
    for i, clip in enumerate(clips):
        groups.setdefault((clip.speaker, *clip.size), []).append(i)  # another picture size is another camera
    people: dict[int, Person] = {}
    for (speaker, width, height), members in groups.items():
        chosen = [members[k] for k in np.unique(np.linspace(0, len(members) - 1, _PERSON_CLIPS).round().astype(int))]
        person = _person(f"{speaker}-{width}x{height}", [clips[i].detections for i in chosen], width, height, kept)
        people.update({i: person for i in members})
    weights, fitted = [], []
    for i, clip in track(list(enumerate(clips)), "fitting the head", unit="clips"):
        try:
            weights.append(_weights(clip, people[i], kept))
            fitted.append(i)
        except UserError as error:
            dropped[str(error)] += 1
    return weights, fitted


def _person(name: str, detections: list[Detections], width: int, height: int, kept: Path) -> Person:
    """Identity and focal length of one speaker, from `kept` where they were found from the same detections."""
    source = _digest(np.concatenate([d.landmarks.ravel() for d in detections]))
    cache = kept / f"person-{name.replace('/', '__')}.npz"
    if cache.is_file():
        with np.load(cache, allow_pickle=False) as stored:
            if str(stored["source"]) == source:
                return Person(stored["identity"], stored["offsets"], float(stored["focal"]))
    person = fit_person(detections, width, height)
    write_atomically(cache, lambda part: np.savez(
        part, identity=person.identity, offsets=person.offsets, focal=np.array(person.focal), source=np.array(source)))
    return person


def _weights(clip, person: Person, kept: Path) -> np.ndarray:
    """[T,52] of one clip. Raises UserError where the fit is not good enough."""
    source = _digest(clip.detections.landmarks, person.identity, person.offsets, np.array(person.focal))
    cache = kept / f"{clip.name.replace('/', '__')}.npz"
    if cache.is_file():
        with np.load(cache, allow_pickle=False) as stored:
            if str(stored["source"]) == source:
                return _accept(stored["expression"], float(stored["error"]))
    _, face, quality = fit_track(clip.detections, *clip.size, FPS, person=person)
    points = clip.detections.landmarks[clip.detections.valid]
    error = quality.reprojection_px / float(np.median(np.ptp(points[..., 0], axis=1)))
    write_atomically(cache, lambda part: np.savez(
        part, expression=face.expression, error=np.array(error), source=np.array(source)))
    return _accept(face.expression, error)


def _accept(expression: np.ndarray, error: float) -> np.ndarray:
    if error > _LARGEST_ERROR:
        raise UserError(f"the head does not fit the face (error above {100 * _LARGEST_ERROR:g} % of its width)")
    return expression


def _digest(*arrays: np.ndarray) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
