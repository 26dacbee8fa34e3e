"""Motion: from speech, from a video, to other programs."""
from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import MotionConfig
from ..errors import UserError
from ..extras import AVATAR, needs
from ..types import Avatar, MotionSequence, Word
from .inputs import as_avatar, as_motion, check_output

if TYPE_CHECKING:
    import numpy as np

SILENCE = 1e-3
"""A recording whose loudest sample is below this (-60 dB of full scale) counts as silent."""


def speak(
    avatar: Avatar | str | Path | None, audio: str | Path, out: str | Path | None = None,
    config: MotionConfig = MotionConfig(), stream: bool = False,
    transcript: str | Path | None = None, words: str | Path | None = None, edits: Iterable[str] = (),
) -> MotionSequence:
    """The motion of a face that says `audio`.

    Args:
        avatar: whose motion it shall be; None for generic motion.
        audio: any file with sound.
        out: file to keep the motion in: .npz, or another format of `geneface.formats`; or None.
        stream: the motion as it would be live, 0.3 s behind the sound.
        transcript: the English text that is said, or a file with it, to keep when each word is said in the motion.
        words: instead, a file that says when (see `speech.words.read_words`).
        edits: of the motion, in words: "mouth 1.2" (see `geneface.motion.edits`).

    Raises:
        UserError: the sound cannot be used, the text does not fit it, or an edit cannot be made.
    """
    import numpy as np

    from ..formats import format_of, write_motion, written_endings
    from ..media import read_audio
    from ..motion.language import read_edits
    from ..motion.predict import predict
    from ..motion.stream import live
    from ..speech.features import extract

    change = read_edits(edits)
    if out is not None:
        check_output(out, *written_endings())
        if transcript is None and words is None and format_of(Path(out)).spoken:
            raise UserError(f"{out}: subtitles need the words; give --transcript TEXT, or --words FILE")
    avatar = None if avatar is None else as_avatar(avatar)
    samples = read_audio(audio)
    if not len(samples) or float(np.abs(samples).max()) < SILENCE:
        raise UserError(f"{audio}: the sound is silent; give a recording with speech")
    said = _words(samples, transcript, words)
    source = f"speech: {Path(audio).name}"
    motion = (live(samples, avatar, config, source) if stream
              else predict(extract(samples), avatar, config, source=source))
    motion = change(motion.after(f"speak {Path(audio).name}", words=said))
    if out is not None:
        write_motion(motion, out)
    return motion


def _words(samples: "np.ndarray", transcript: str | Path | None, words: str | Path | None) -> tuple[Word, ...]:
    """When each word of the sound is said, as far as that is known."""
    from ..progress import say
    from ..speech.words import align, read_transcript, read_words

    if transcript is not None and words is not None:
        raise UserError("--transcript and --words: give one of them, the text or when its words are said")
    if words is not None:
        return read_words(words)
    if transcript is None:
        return ()
    found = align(samples, read_transcript(transcript))
    if found.spelled:
        say("not in the dictionary, and timed by their spelling: " + ", ".join(dict.fromkeys(found.spelled)))
    return found.words


@needs(AVATAR)
def track(
    video: str | Path, out: str | Path | None = None, fps: float | None = None,
    avatar: Avatar | str | Path | None = None,
) -> MotionSequence:
    """What somebody does in a video: expression, gaze and head pose.

    Args:
        out: motion file to write, of any format that can be written; or None.
        fps: frames per second of the motion; by default the video's own.
        avatar: whose motion it is made, see `motion.retarget`; None leaves it the driver's.

    Raises:
        UserError: the video cannot be used, or `out` cannot be written.
    """
    from data_prep.driving import track_video

    from ..formats import format_of, write_motion, written_endings
    from ..motion.retarget import retarget

    if out is not None:
        format_of(Path(out))  # says what there is
        check_output(out, *written_endings())
    avatar = None if avatar is None else as_avatar(avatar)
    motion = track_video(video, fps).motion
    if avatar is not None:
        motion = retarget(motion, avatar)
    if out is not None:
        write_motion(motion, out)
    return motion


def export(
    motion: MotionSequence | str | Path, out: str | Path, format: str | None = None, fps: float | None = None,
    head: str | Path | None = None,
) -> dict[str, Any]:
    """Motion for other programs, written to `out`; see `geneface.formats`.

    Args:
        format: name of the format; by default the one that the ending of `out` means.
        fps: frames per second of the file; by default the motion's. Of landmarks that say no rate, it is theirs.
        head: for glb and gltf, a head to animate in place of the package's own.

    Returns:
        output, format, fps, frames, and `arkit_residual`: what the weights leave of the motion's landmarks (see
        `face.solve.arkit_residual`).

    Raises:
        UserError: the motion cannot be read, or not be written so.
    """
    from ..face.solve import arkit_residual
    from ..formats import WriteOptions, format_of, write_motion

    format_of(Path(out), format)  # said before anything is read
    options = WriteOptions(format, fps, None if head is None else Path(head))
    motion = as_motion(motion, fps)
    return {"output": out} | write_motion(motion, out, options) | {"arkit_residual": arkit_residual(motion)}
