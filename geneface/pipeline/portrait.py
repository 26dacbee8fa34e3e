"""People: prepared, fitted, rendered, measured."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import EvaluateConfig, FitConfig, MotionConfig, PrepareConfig, RenderConfig, resolve
from ..errors import UserError
from ..extras import AVATAR, needs
from ..types import Avatar, MotionSequence, PreparedPerson
from .inputs import as_avatar, as_motion, as_person, check_output
from .motion import speak

if TYPE_CHECKING:
    from ..export.mesh import HeadMesh
    from ..media import SoundPart
    from ..render import RenderResult
    from ..report import Verdict


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

    from ..fit.avatar import fit as run
    from ..metrics.evaluate import held_out
    from ..progress import say

    check_output(out, ".avatar")
    person = as_person(person)
    config = config if config is not None else resolve(FitConfig(), "fit", preset)
    run(person, out, config, resume)
    avatar = Avatar.load(out)
    if len(person.held_out_frames):
        say("measuring on held-out frames")
        avatar = replace(avatar, info=avatar.info | {"held_out": held_out(avatar, person)})
        avatar.save(out)
    return avatar


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
    from ..frame.choice import ALPHA, MAPS, check_framing
    from ..motion.language import read_edits
    from ..motion.retarget import at_home
    from ..render import render as run

    change = read_edits(edits)
    if config.frame not in (ALPHA, *MAPS):
        check_output(out, ".mp4", ".m4v", ".mov", ".mkv")
    avatar = as_avatar(avatar)
    check_framing(avatar, config, out)
    if video is not None:
        if motion is not None:
            raise UserError(f"--video {video}: moves the avatar, and so does --motion; leave one of the two out")
        motion, audio, config = _driven(avatar, video, audio, config, motion_config)
    elif motion is not None:
        motion = as_motion(motion)
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

    from ..frame.choice import FULL
    from ..motion.retarget import BOTH, POSE, check_transfer

    config = replace(config, transfer=config.transfer or BOTH)
    check_transfer(config.transfer, config.expression_strength, config.pose_strength, config.match_driver)
    driver = track_video(video)
    motion = _transferred(avatar, driver.motion, audio, config, motion_config)
    spoken = config.transfer == POSE and audio is not None  # then the motion's rate is that of speech
    if not spoken and not config.fps and config.frame != FULL:
        config = replace(config, fps=driver.motion.fps)
    return motion, audio if audio is not None else driver.sound, config


def _transferred(
    avatar: Avatar, driver: MotionSequence, audio: str | Path | None, config: RenderConfig, motion_config: MotionConfig
) -> MotionSequence:
    """What `config` takes of a driver; with nothing but the pose, the lips say `audio`."""
    from ..motion.retarget import POSE, retarget, with_poses

    motion = retarget(driver, avatar, config.transfer, config.expression_strength, config.pose_strength,
                      config.match_driver)
    if config.transfer == POSE and audio is not None:
        return with_poses(speak(avatar, audio, None, motion_config), motion)
    return motion


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
    from ..export.mesh import FORMATS, head_mesh

    check_output(out, *FORMATS)
    avatar = as_avatar(avatar)
    landmarks = None
    if motion is not None:
        motion = as_motion(motion)
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
    from ..metrics.evaluate import evaluate as run

    return run(as_avatar(avatar), as_person(person), None if out is None else Path(out), config, motion_config)


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
    from ..metrics.evaluate import compare as run

    paths = [Path(path) for path in avatars]
    stems = [path.stem for path in paths]
    names = [str(path) if stems.count(path.stem) > 1 else path.stem for path in paths]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{twice}: given twice; name each avatar once")
    loaded = {name: as_avatar(path) for name, path in zip(names, paths)}
    return run(loaded, as_person(person), None if out is None else Path(out), config, motion_config)


@needs(AVATAR)
def demo(out: str | Path, minutes: float | None = None) -> dict[str, Any]:
    """The whole chain on a synthetic person; see `demo.demo`."""
    from ..demo import demo as run

    return run(Path(out), minutes)
