"""Options of every stage: one frozen dataclass each, the single source of defaults.

`configs/<stage>.yaml` explains and may override them, `configs/<stage>_<preset>.yaml` holds presets,
command-line options override both. Unknown keys are errors that name the nearest known one.
"""
from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from .errors import UserError

T = TypeVar("T")


@dataclass(frozen=True)
class PrepareConfig:
    """Portrait video to prepared person."""

    size: int = 512  # side of the square portrait crop [px]
    fps: float = 25.0  # frames per second inside
    sample_rate: int = 16000  # audio inside [Hz]
    min_seconds: float = 2.5  # shortest take that is accepted [s]
    allow_silent: bool = True  # go on without sound: the avatar is then learned from the picture alone
    correct_sync: bool = True  # move sound that is half a frame or more early or late to the lips, by the sync expert
    strict: bool = False  # stop on a check's warning instead of noting it
    jpeg_quality: int = 95  # of the cropped frames
    segmenter: str = ""  # MediaPipe's selfie_multiclass_256x256.tflite, which tells hair from clothes; empty: colours do
    plate_samples: int = 80  # frames that the clean background is made from
    photometric: bool = False  # fit the head's pose to the look of the skin as well as to landmarks
    held_out: int = 11  # the last 1/held_out of the frames is kept for measuring


@dataclass(frozen=True)
class FitConfig:
    """Prepared person to avatar. Learning rates and schedules follow the share of the budget used:
    time or steps, whichever is further on."""

    minutes: float = 23.5  # time limit of the optimisation; reading the frames and measuring come on top
    steps: int = 60000  # most optimisation steps
    rays: int = 6144  # most rays per step
    samples: int = 24576  # samples per step aimed at: fewer rays while rays are long
    frames_per_step: int = 6  # training frames that a step's rays come from
    field: str = "moving"  # the head: moving, points move to a face at rest; rad-nerf, RAD-NeRF's, to compare with
    start: bool = True  # begin with what the heads of other people have in common; with the moving field only
    levels: int = 16  # levels of the 3D and the torso grid
    log2_table_size: int = 16  # rows per level, as a power of two
    hidden: int = 64  # width of the networks
    grid_size: int = 128  # occupancy cells per axis
    step_mm: float = 4.0  # sample distance in head space at the end of the fit
    lr_grid: float = 1e-2  # learning rate of grids
    lr_net: float = 2e-3  # learning rate of networks
    lr_pose: float = 2e-3  # learning rate of the corrections of head poses [rad]
    lr_decay: float = 0.03  # learning rates end at this share
    correct_poses: bool = True  # learn what tracking gets wrong about the head's pose
    perceptual: float = 0.005  # weight of the perceptual distance (LPIPS) of patches, 0 for none
    perceptual_from: float = 0.4  # share of the fit after which it counts
    condition_noise: float = 0.05  # noise on the standardised driving landmarks
    ema: float = 0.995  # decay per step of the weight average that is kept
    amp: bool = True  # networks in bfloat16
    adapt: bool = True  # learn from the recording's sound how the person's lips differ from the motion model's
    threads: int = 0  # CPU threads, 0 for all cores
    device: str = "auto"  # cpu, cuda, cuda:1 ...; auto: the GPU where one is usable
    cache_mb: float = 4000.0  # memory for frames; beyond it they are decoded again and again
    checkpoint_minutes: float = 2.0
    seed: int = 0


@dataclass(frozen=True)
class CorpusConfig:
    """Folder of talking clips to motion corpus."""

    layout: str = "auto"  # how files lie and are named: grid, lrs, voxceleb, hdtf, plain; auto looks at the names
    people: str = "auto"  # who shares an identity: folder, the files of a folder; file, nobody; auto, by the layout
    workers: int = 0  # processes, 0 for one per core
    cluster: str = ""  # address of a Ray cluster, "local" for one on this machine; empty for processes
    shard_clips: int = 64  # most files in a shard, the unit of work
    shard_mb: float = 64.0  # most megabytes of video in a shard
    longest_seconds: float = 12.0  # longer recordings are cut, where the shot changes or at quiet moments [s]
    min_valid: float = 0.9  # least share of a clip's frames with a face
    max_second_face: float = 0.2  # most frames with a second face, as a share
    min_face_px: float = 40.0  # least width of the face [px]
    max_fit_error: float = 0.02  # largest median error of the fitted head, as a share of the face's width
    max_offset_frames: float = 3.0  # most frames that sound and picture may be apart, where that can be told
    align: bool = True  # move the sound of each clip to its lips, by the sync expert
    renderings: int = 4  # versions of the audio: as recorded, joined, and in other voices, rooms and noise
    streamed: bool = False  # speech features as heard while the sound comes in: trains a model for live use
    held_out_every: int = 10  # one recording of so many is never trained on
    keep_detections: bool = True  # landmarks and sound stay on disk (0.4 GB an hour), so other options need no search
    seed: int = 0


@dataclass(frozen=True)
class MotionConfig:
    """Talking clips to motion model, and motion model to motion."""

    # train-motion
    steps: int = 1200  # more overfits a corpus of half an hour: other voices suffer first
    batch: int = 24  # clips per step, of all processes together
    mix: str = ""  # share of the clips that each corpus gives, as 0.7,0.3; empty: as many clips as each has
    trust: str = ""  # how much the motion of each corpus counts, as 1,0.3; empty: all alike
    learning_rate: float = 1e-3  # peak; warmed up over 200 steps, cosine to 2 % of it
    kl_weight: float = 0.02  # of the latent's single-sample KL divergence per frame and channel, annealed
    prior_weight: float = 1.0  # of the reconstruction from the prior's mode (the deterministic prediction)
    sample_weight: float = 0.0  # of the energy score of motions sampled from the prior
    velocity_weight: float = 3.0  # of the squared error of frame differences
    acceleration_weight: float = 0.5  # of the squared error of second frame differences
    sync_weight: float = 0.0  # of the sync expert's loss
    reader_weight: float = 0.0  # of the lip reader's loss
    experts_from: float = 0.3  # share of the training after which the experts have a say
    sync_expert: str = ""  # sync expert's file; empty: the one shipped with the package
    lip_reader: str = ""  # lip reader's file; empty: the one shipped with the package
    checkpoint_minutes: float = 2.0  # between checkpoints
    device: str = "auto"  # of train-motion: cpu, cuda, cuda:1 ...; auto: the GPU where one is usable
    # speak
    model: str = ""  # motion model file; empty: the one shipped with the package
    temperature: float = 0.0  # standard deviation of the prior's noise; 0: the most likely motion
    amplitude: float = 1.0  # scale of the mouth's motion about its rest
    lead: float = 0.0  # the lips move so much earlier than where the sync expert finds them in time [s]
    match_amplitude: float = 1.0  # how far the mouth opens as wide as the person's own: 0 as the corpus' talker's
    adaptation: float = 1.0  # share of what the avatar's post-net learned of the person: 0 generic motion, fitted
    silence_gate: float = 1.0  # how far the mouth is brought to rest in silence: 0 not, 1 all the way
    lle_neighbours: int = 10  # frames of the person that one generated frame is rebuilt from
    lle_strength: float = 0.5  # share of the rebuilt frame: 0 generic motion, 1 the person's own
    clamp_quantile: float = 0.01  # weights stay between this quantile of the person's and its complement
    style: str = ""  # speak as wide, blink and look as this avatar, prepared person or motion file; empty: as oneself
    head: str = "replay"  # head poses: replay, the recording's at render; sample, joined anew from it; still
    head_motion: float = 1.0  # how far a sampled head moves: 0 not, 1 as the person did
    breathing: float = 1.0  # strength of the small movement of jaw and head with the breath
    blink: float = 1.0  # how far blinks close the lids: 0 not, 1 all the way
    blinks: str = "drawn"  # drawn; seconds ("0.8, 3.2"); or a motion, prepared person or avatar to copy them from
    blinks_per_minute: float = -1.0  # 0: none; below 0: as often as the person does
    gaze: float = 1.0  # strength of all eye movement
    gaze_degrees: float = -1.0  # standard deviation of small eye movements; 0: a fixed gaze; below 0: the person's own
    gaze_yaw: float = 0.0  # where the eyes look on the whole, to the image's right [degrees]
    gaze_pitch: float = 0.0  # and up [degrees]
    seed: int = 0


@dataclass(frozen=True)
class RenderConfig:
    """Avatar and motion to video."""

    quality: int = 18  # x264 constant rate factor, lower is better
    size: int = 0  # longer side of the portrait [px], 0 for the size that the avatar was fitted at
    step_mm: float = 0.0  # sample distance in head space, 0 for the avatar's own
    start: int = 0  # frame of the training video whose head pose comes first
    yaw: float = 0.0  # the camera's way round the head, to the picture's right of the recorded camera [degrees]
    pitch: float = 0.0  # and above it [degrees]
    orbit: float = 0.0  # the camera sways slowly, by this to both sides [degrees]
    frame: str = "crop"  # crop: the portrait; full: in the original's frame; alpha: the person alone; depth, normals: maps
    background: str = ""  # behind the person, with frame crop: colour, picture or video file; empty: as it was filmed
    original: str = ""  # with frame full: the video that the avatar was made from, where it has moved since
    fps: float = 0.0  # frames per second, 0 for the avatar's own, or those of the video that drives it
    transfer: str = ""  # of a driver: expression, pose or both; empty: both of a video, while a motion is shown as it is
    expression_strength: float = 1.0  # how far a driver's expression goes: 0 the person's rest
    pose_strength: float = 1.0  # how far a driver's head turns and moves: 0 not
    match_driver: float = 1.0  # how far a driver's movement is scaled to the person's own: 0 not at all
    device: str = "auto"  # cpu, cuda, cuda:1 ...; auto: the GPU where one is usable


@dataclass(frozen=True)
class EvaluateConfig:
    """Avatar against the held-out frames of its person."""

    frames: int = 250  # most held-out frames compared, from the first
    picture_frames: int = 40  # of these, evenly spaced, most that get the slow picture measures
    strips: int = 6  # frames shown in the report, besides the worst


def override(config: T, values: dict[str, Any], where: str) -> T:
    """`config` with `values` in place of its defaults.

    Args:
        where: file or option the values came from, for the message.

    Raises:
        UserError: for a key that `config` lacks, naming the nearest, or a value of the wrong type.
    """
    known = {field.name: field for field in fields(config)}
    checked = {}
    for key, value in values.items():
        if key not in known:
            nearest = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"known keys: {', '.join(known)}"
            raise UserError(f"{where}: unknown key {key!r}; {hint}")
        default = getattr(config, key)
        if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if default is not None and type(value) is not type(default):
            raise UserError(f"{where}: {key} must be a {type(default).__name__}, got {value!r}")
        checked[key] = value
    return replace(config, **checked)


def load(config: T, *files: str | Path) -> T:
    """`config` overridden by YAML files, in order. Raises UserError for an unreadable file or key."""
    import yaml

    for file in files:
        try:
            values = yaml.safe_load(Path(file).read_text("utf-8")) or {}
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UserError(f"{file}: unreadable configuration ({' '.join(str(error).split())}); check the file") from error
        if not isinstance(values, dict):
            raise UserError(f"{file}: expected 'key: value' lines")
        config = override(config, values, str(file))
    return config


def folder() -> Path:
    """Where the configuration files of the package lie: inside it when installed, beside it in a source tree."""
    inside = Path(__file__).parent / "configs"
    return inside if inside.is_dir() else Path(__file__).parents[1] / "configs"


def presets(stage: str) -> list[str]:
    """Names of the presets of a stage, from `configs/<stage>_<preset>.yaml`."""
    return sorted(file.stem.removeprefix(f"{stage}_") for file in folder().glob(f"{stage}_*.yaml"))


def resolve(
    config: T, stage: str, preset: str | None = None, file: str | Path | None = None,
    settings: Sequence[str] = (), options: dict[str, Any] | None = None,
) -> T:
    """The configuration of one run: defaults, then the stage's file, a preset, a file of the user's own,
    `key=value` settings and named options; the later wins.

    Args:
        config: the defaults.
        settings: "key=value" texts, values in YAML.
        options: named options; those that are None were not given.

    Raises:
        UserError: unknown preset, key or file, or a value of the wrong type.
    """
    import yaml

    default = folder() / f"{stage}.yaml"
    files = [default] if default.is_file() else []
    if preset is not None:
        known = presets(stage)
        if preset not in known:
            nearest = difflib.get_close_matches(preset, known, n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"there are: {', '.join(known) or 'none'}"
            raise UserError(f"--preset {preset}: no such preset; {hint}")
        files.append(folder() / f"{stage}_{preset}.yaml")
    if file is not None:
        files.append(Path(file))
    config = load(config, *files)
    for setting in settings:
        key, separator, text = setting.partition("=")
        if not separator:
            raise UserError(f"--set {setting}: expected key=value")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UserError(f"--set {setting}: the value is not readable; quote it") from error
        config = override(config, {key.strip(): value}, f"--set {setting}")
    given = {key: value for key, value in (options or {}).items() if value is not None}
    return override(config, given, "options")
