"""Motion models: corpora, training, measuring."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..config import CorpusConfig, MotionConfig, resolve
from ..errors import UserError
from ..extras import AVATAR, needs
from ..types import Avatar, PreparedPerson
from .inputs import check_output


@needs(AVATAR)
def evaluate_motion(
    corpus: str | Path | None = None, person: PreparedPerson | str | Path | None = None,
    avatar: Avatar | str | Path | None = None, out: str | Path | None = None, config: MotionConfig = MotionConfig(),
    split: str | Path | None = None, work: str | Path | None = None,
) -> dict[str, Any]:
    """Motion generated from speech against tracked motion; see `motion.evaluate.evaluate_motion`.

    Args:
        corpus: a prepared corpus, or a folder of talking clips, which is prepared first; or
        person: a prepared person.
        out: report to write (.html), or None.
        work: where a folder of clips is prepared; by default `NAME.corpus` in the current folder.
    """
    from ..motion.evaluate import evaluate_motion as run

    if out is not None:
        check_output(out, ".html")
    if corpus is not None:
        corpus = prepared_corpus(corpus, work)
    return run(corpus, person, avatar, out, config, split)


@needs(AVATAR)
def prepare_corpus(
    folder: str | Path, out: str | Path, config: CorpusConfig | None = None, split: str | Path | None = None
) -> dict[str, Any]:
    """A folder of talking clips to a motion corpus in the folder `out`; see `data_prep.corpora.prepare`.

    Args:
        folder: of clips: GRID, LRS2, LRS3, VoxCeleb2, HDTF, or each speaker in a folder of their own.
        config: options; by default those of `configs/corpus.yaml`.
        split: names of the clips to hold out, one a line.

    Raises:
        UserError: no clips, or none of use.
    """
    from data_prep.corpora.prepare import prepare_corpus as run

    return run(folder, out, config if config is not None else resolve(CorpusConfig(), "corpus"), split)


@needs(AVATAR)
def train_motion(
    corpora: str | Path | Sequence[str | Path], out: str | Path, config: MotionConfig = MotionConfig(),
    split: str | Path | None = None, work: str | Path | None = None,
) -> dict[str, Any] | None:
    """A motion model trained on talking clips; see `fit.motion.train_motion`.

    Args:
        corpora: prepared corpora, or one folder of talking clips, which is prepared first.
        split: names of the clips to hold out, one a line, for a corpus that is prepared now.
        work: where it is prepared; by default `NAME.corpus` in the current folder.
    """
    from ..fit.motion import train_motion as run

    check_output(out, ".safetensors")
    corpora = [corpora] if isinstance(corpora, (str, Path)) else list(corpora)
    if len(corpora) == 1:
        corpora = [prepared_corpus(corpora[0], work, split)]
    elif split is not None or work is not None:
        raise UserError("split and work are for one folder of clips; several corpora are prepared beforehand")
    return run(corpora, out, config)


@needs(AVATAR)
def train_expert(
    part: str, corpus: str | Path, out: str | Path, steps: int | None = None, split: str | Path | None = None,
    work: str | Path | None = None,
) -> dict[str, Any]:
    """The sync expert ("sync") or a lip reader ("reader", "judge") trained on talking clips; see
    `fit.experts.train_expert`. Corpus, split and work as for `train_motion`."""
    from ..fit.experts import train_expert as run

    check_output(out, ".safetensors")
    return run(part, prepared_corpus(corpus, work, split), out, steps=steps)


@needs(AVATAR)
def syncnet_score(video: str | Path, weights: str | Path, seconds: float = 60.0) -> dict[str, Any]:
    """LSE-D and LSE-C of a talking video by the published SyncNet (see `motion.syncnet`).

    Args:
        video: one face, with sound.
        weights: `syncnet_v2.model`.
        seconds: how much of it counts, from the start.

    Returns:
        lse_d, lse_c, offset_frames (video frames that the lips come after the sound).

    Raises:
        UserError: video or weights cannot be read, or there is no face throughout.
    """
    import numpy as np
    from data_prep.tracking.landmarks import detect_landmarks

    from .. import media
    from ..motion.syncnet import crop_faces, load_syncnet

    net = load_syncnet(weights)
    stop = round(25 * seconds)
    found = detect_landmarks(media.read_frames(video, 25.0, 0, stop), 25.0)
    if len(found) < 6 or not found.valid.all():
        raise UserError(f"{video}: SyncNet needs a face in all of at least 6 frames; {len(found)} frames, "
                        f"{int(found.valid.sum())} of them with a face: cut the video to those")
    boxes = np.concatenate([found.landmarks.min(1), found.landmarks.max(1)], axis=1)
    result = net.score(crop_faces(media.read_frames(video, 25.0, 0, stop), boxes), media.read_audio(video))
    return {"lse_d": result.distance, "lse_c": result.confidence, "offset_frames": result.frames}


def prepared_corpus(corpus: str | Path, work: str | Path | None, split: str | Path | None = None) -> Path:
    """`corpus` where it is prepared already, else what preparing it with the usual options gives.

    Raises:
        UserError: there is no such folder, it holds no clips of use, or a split is given for a prepared corpus.
    """
    from ..corpus import FILE_NAME

    corpus = Path(corpus)
    if not corpus.exists():
        raise UserError(f"{corpus}: no such folder; give a folder of talking clips or a prepared corpus")
    if corpus.is_file() or (corpus / FILE_NAME).is_file():
        if split is not None:
            raise UserError(f"{corpus}: is prepared, and its held-out clips are chosen; leave the split out, or "
                            "prepare the clips again with it")
        return corpus
    folder = Path(work) if work is not None else Path(f"{corpus.resolve().name}.corpus")
    if not (folder / FILE_NAME).is_file():
        prepare_corpus(corpus, folder, None, split)
    return folder
