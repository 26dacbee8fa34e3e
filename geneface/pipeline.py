"""The stages, one after the other: what `geneface.prepare`, `fit`, `speak`, `render` and the rest do.

Paths or boundary objects are taken alike, so that a stage's result can be handed to the next directly.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .config import CorpusConfig, EvaluateConfig, FitConfig, MotionConfig, PrepareConfig, RenderConfig, resolve
from .errors import UserError
from .extras import AVATAR, needs
from .types import Avatar, MotionSequence, PreparedPerson, Word

if TYPE_CHECKING:
    import numpy as np

    from .export.mesh import HeadMesh
    from .media import SoundPart
    from .render import RenderResult
    from .report import Verdict

SILENCE = 1e-3
"""A recording whose loudest sample is below this (-60 dB of full scale) counts as silent."""


@needs(AVATAR)
def prepare(
    video: str | Path | Iterable[str | Path], out: str | Path, config: PrepareConfig = PrepareConfig(),
    consent: str | None = None,
) -> PreparedPerson:
    """A portrait video to a prepared person in the folder `out`.

    Args:
        video: one, or several of one person, filmed in one place.
        consent: who agreed to what, in the person's words; recorded in the person and every avatar of them.

    Raises:
        UserError: the video cannot be used; the message says why.
    """
    from data_prep.prepare import prepare as run

    return run(video, Path(out), config, consent)


@needs(AVATAR)
def check(video: str | Path | Iterable[str | Path], config: PrepareConfig = PrepareConfig()) -> list["Verdict"]:
    """What `prepare` would say of a video before any long work; nothing is written.

    Raises:
        UserError: the video cannot be used; the message says why.
    """
    from data_prep.prepare import check as run

    return run(video, config)


@needs(AVATAR)
def fit(
    person: PreparedPerson | str | Path, out: str | Path, config: FitConfig | None = None, resume: bool = False,
    preset: str | None = None,
) -> Avatar:
    """An avatar fitted to a prepared person, written to `out`.

    The avatar's `info` holds what came of it: steps, minutes, and `held_out` {psnr_head, lpips_full,
    lip_distance_px} measured on frames that no training step saw.

    Args:
        config: options; by default those of `configs/fit.yaml` and `preset`.
        resume: go on from the checkpoint of an interrupted fit to the same `out`.

    Raises:
        UserError: the person cannot be fitted.
        KeyboardInterrupt: after a checkpoint has been written.
    """
    from dataclasses import replace

    from .fit.avatar import fit as run
    from .metrics.evaluate import held_out
    from .progress import say

    check_output(out, ".avatar")
    person = _person(person)
    config = config if config is not None else resolve(FitConfig(), "fit", preset)
    run(person, out, config, resume)
    avatar = Avatar.load(out)
    if len(person.held_out_frames):
        say("measuring on held-out frames")
        avatar = replace(avatar, info=avatar.info | {"held_out": held_out(avatar, person)})
        avatar.save(out)
    return avatar


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

    from .formats import write_motion, written_endings
    from .media import read_audio
    from .motion.language import read_edits
    from .motion.predict import predict
    from .motion.stream import live
    from .speech.features import extract

    change = read_edits(edits)
    if out is not None:
        check_output(out, *written_endings())
    avatar = None if avatar is None else _avatar(avatar)
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


@needs(AVATAR)
def render(
    avatar: Avatar | str | Path, motion: MotionSequence | str | Path | None, out: str | Path,
    config: RenderConfig = RenderConfig(), audio: str | Path | None = None,
    motion_config: MotionConfig = MotionConfig(), video: str | Path | None = None, edits: Iterable[str] = (),
) -> "RenderResult":
    """A video of the avatar making the motion, or what somebody does in `video`, or else saying `audio`.

    The file's metadata says that it is synthetic.

    Args:
        out: the video; with `config.frame` "alpha" and no ending, or "depth" or "normals", a folder of PNGs.
        audio: sound of the video; None for a silent one, or with `video` for its own.
        video: of anybody, in place of a motion; `config.transfer` says what of it is taken over, as it does of a
            motion of somebody else. Head poses before another camera are taken over as turns.
        edits: of the motion, in words: "mouth 1.2" (see `geneface.motion.edits`).

    Raises:
        UserError: no motion, video or audio, too many of them, or something cannot be used.
    """
    from .frame.choice import ALPHA, MAPS, check_framing
    from .motion.language import read_edits
    from .motion.retarget import at_home
    from .render import render as run

    change = read_edits(edits)
    if config.frame not in (ALPHA, *MAPS):
        check_output(out, ".mp4", ".m4v", ".mov", ".mkv")
    avatar = _avatar(avatar)
    check_framing(avatar, config, out)
    if video is not None:
        if motion is not None:
            raise UserError(f"--video {video}: moves the avatar, and so does --motion; leave one of the two out")
        motion, audio, config = _driven(avatar, video, audio, config, motion_config)
    elif motion is not None:
        motion = _motion(motion)
        if config.transfer:
            motion = _transferred(avatar, motion, audio, config, motion_config)
    elif audio is None:
        raise UserError("render: nothing to say; give --audio, --motion or --video")
    else:
        motion = speak(avatar, audio, None, motion_config)
    return run(avatar, at_home(change(motion), avatar), out, config, audio)


def _driven(
    avatar: Avatar, video: str | Path, audio: str | Path | None, config: RenderConfig, motion_config: MotionConfig,
) -> tuple[MotionSequence, "str | Path | SoundPart | None", RenderConfig]:
    """The motion that a video drives an avatar with, the sound beside it, and the options to render it with."""
    from dataclasses import replace

    from data_prep.driving import track_video

    from .frame.choice import FULL
    from .motion.retarget import BOTH, check_transfer

    config = replace(config, transfer=config.transfer or BOTH)
    check_transfer(config.transfer, config.expression_strength, config.pose_strength, config.match_driver)
    driver = track_video(video)
    motion = _transferred(avatar, driver.motion, audio, config, motion_config)
    if motion.source == driver.motion.source and not config.fps and config.frame != FULL:
        config = replace(config, fps=driver.motion.fps)
    return motion, audio if audio is not None else driver.sound, config


def _transferred(
    avatar: Avatar, driver: MotionSequence, audio: str | Path | None, config: RenderConfig, motion_config: MotionConfig
) -> MotionSequence:
    """What `config` takes of a driver; with nothing but the pose, the lips say `audio`."""
    from .motion.retarget import POSE, retarget, with_poses

    motion = retarget(driver, avatar, config.transfer, config.expression_strength, config.pose_strength,
                      config.match_driver)
    if config.transfer == POSE and audio is not None:
        return with_poses(speak(avatar, audio, None, motion_config), motion)
    return motion


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

    from .formats import format_of, write_motion, written_endings
    from .motion.retarget import retarget

    if out is not None:
        format_of(Path(out))  # says what there is
        check_output(out, *written_endings())
    avatar = None if avatar is None else _avatar(avatar)
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
    from .face.solve import arkit_residual
    from .formats import WriteOptions, format_of, write_motion

    format_of(Path(out), format)  # said before anything is read
    options = WriteOptions(format, fps, None if head is None else Path(head))
    motion = _motion(motion, fps)
    return {"output": out} | write_motion(motion, out, options) | {"arkit_residual": arkit_residual(motion)}


@needs(AVATAR)
def export_mesh(
    avatar: Avatar | str | Path, out: str | Path, motion: MotionSequence | str | Path | None = None, frame: int = 0,
    texture: int = 1024, voxel_mm: float = 2.0, device: str = "auto",
) -> "HeadMesh":
    """The avatar's head as a textured mesh, written to `out` (.obj, .glb or .ply).

    Args:
        motion: whose frame number `frame` has the expression to make; None for a face at rest.
        texture: side of the texture [px].
        voxel_mm: distance of vertices.

    Raises:
        UserError: no such frame, sizes out of range, or `out` cannot be written.
    """
    from .export.mesh import FORMATS, head_mesh

    check_output(out, *FORMATS)
    avatar = _avatar(avatar)
    landmarks = None
    if motion is not None:
        motion = _motion(motion)
        if not 0 <= frame < len(motion):
            raise UserError(f"--frame {frame}: {motion.source} has frames 0 to {len(motion) - 1}")
        landmarks = motion.driving[frame]
    elif frame:
        raise UserError(f"--frame {frame}: of which motion? give --motion M.npz as well")
    mesh = head_mesh(avatar, landmarks, voxel_mm, texture, device)
    mesh.save(out)
    return mesh


@needs(AVATAR)
def evaluate(
    avatar: Avatar | str | Path, person: PreparedPerson | str | Path, out: str | Path | None = None,
    config: EvaluateConfig = EvaluateConfig(), motion_config: MotionConfig = MotionConfig(),
) -> dict[str, Any]:
    """How near the avatar comes to the frames of its person that no training step saw; a report in `out`.

    Returns:
        `tracked`, `aligned`, `predicted` and `report`; see `metrics.evaluate.evaluate`.
    """
    from .metrics.evaluate import evaluate as run

    return run(_avatar(avatar), _person(person), None if out is None else Path(out), config, motion_config)


@needs(AVATAR)
def compare(
    avatars: Sequence[str | Path], person: PreparedPerson | str | Path, out: str | Path | None = None,
    config: EvaluateConfig = EvaluateConfig(), motion_config: MotionConfig = MotionConfig(),
) -> dict[str, Any]:
    """Several avatars of one person on the same frames that no training step saw; a report in `out`.

    Returns:
        `avatars` {name: {tracked, aligned, predicted}} and `report`; see `metrics.evaluate.compare`. Avatars are
        named after their files, with the folder where two would be named alike.

    Raises:
        UserError: an avatar is not to be had, given twice, or not of this person.
    """
    from .metrics.evaluate import compare as run

    paths = [Path(path) for path in avatars]
    stems = [path.stem for path in paths]
    names = [str(path) if stems.count(path.stem) > 1 else path.stem for path in paths]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{twice}: given twice; name each avatar once")
    loaded = {name: _avatar(path) for name, path in zip(names, paths)}
    return run(loaded, _person(person), None if out is None else Path(out), config, motion_config)


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
    from .motion.evaluate import evaluate_motion as run

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
    from .fit.motion import train_motion as run

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
    from .fit.experts import train_expert as run

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

    from . import media
    from .motion.syncnet import crop_faces, load_syncnet

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
    from .corpus import FILE_NAME

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


@needs(AVATAR)
def demo(out: str | Path, minutes: float | None = None) -> dict[str, Any]:
    """The whole chain on a synthetic person; see `demo.demo`."""
    from .demo import demo as run

    return run(Path(out), minutes)


def check_output(path: str | Path, *endings: str) -> None:
    """Raise UserError unless `path` can become a file with one of the endings. Said before hours of work, not after."""
    path = Path(path)
    if path.suffix.lower() not in endings:
        raise UserError(f"{path}: the output is written as {', '.join(endings)}; give it such a name")
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name a file")
    existing = next((folder for folder in path.absolute().parents if folder.exists()), None)
    if existing is not None and not existing.is_dir():
        raise UserError(f"{path}: {existing} is a file, not a folder; choose another output")


def _avatar(avatar: Avatar | str | Path) -> Avatar:
    return avatar if isinstance(avatar, Avatar) else Avatar.load(avatar)


def _words(samples: "np.ndarray", transcript: str | Path | None, words: str | Path | None) -> tuple[Word, ...]:
    """When each word of the sound is said, as far as that is known."""
    from .progress import say
    from .speech.words import align, read_transcript, read_words

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


def _motion(motion: MotionSequence | str | Path, fps: float | None = None) -> MotionSequence:
    """Motion of a file; `fps` is that of one that does not say it."""
    from .formats import read_motion

    return motion if isinstance(motion, MotionSequence) else read_motion(motion, fps)


def _person(person: PreparedPerson | str | Path) -> PreparedPerson:
    return person if isinstance(person, PreparedPerson) else PreparedPerson.open(person)
