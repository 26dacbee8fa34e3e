"""A prepared person to an avatar."""
from __future__ import annotations

import platform
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from .. import ops
from ..config import FitConfig
from ..devices import find_device
from ..errors import UserError
from ..motion.manifold import REFERENCES
from ..motion.style import SpeakingStyle
from ..nerf.occupancy import DepthBand
from ..nerf.pack import pack_portrait
from ..nerf.render import AvatarRenderer
from ..origin import Origin
from ..progress import say
from ..types import Avatar, CameraTrack, MotionSequence, PreparedPerson
from ..version import version
from .adaptation import Adaptation, adapt
from .checkpoint import load_checkpoint, save_checkpoint
from .monitor import Monitor, peak_memory_mb
from .sampler import FrameStore, RaySampler
from .setup import build_portrait, check_field, focus_boxes, rarity, training_frames
from .start import HeadStart
from .trainer import MAX_ROLLBACKS, NotFinite, Trainer

LOG_EVERY = 50


@dataclass(frozen=True)
class FitResult:
    """What `fit` did.

    Attributes:
        avatar: the file written.
        minutes: optimisation time, earlier runs of a resumed fit included.
        steps: optimisation steps.
        size_mb: of the file.
        peak_memory_mb: largest memory of the process so far, None where the system does not tell.
        strip: [H,W,3] uint8: held-out frames above, what the avatar makes of them below.
    """

    avatar: Path
    minutes: float
    steps: int
    size_mb: float
    peak_memory_mb: float | None
    strip: np.ndarray


def work_folder(out: str | Path) -> Path:
    """Where a fit to `out` keeps its checkpoint and logs."""
    out = Path(out)
    return out.with_name(out.stem + ".fit")


def fit(
    person: PreparedPerson, out: str | Path, config: FitConfig = FitConfig(), resume: bool = False,
    motion: MotionSequence | None = None,
) -> FitResult:
    """Fit an avatar to a prepared person and write it to `out`.

    Stops at `config.minutes` or `config.steps`, whichever comes first; the schedules follow that budget.
    A checkpoint is kept beside `out`, written every few minutes and on Ctrl-C.

    Args:
        resume: go on from the checkpoint, if there is one.
        motion: driving landmarks of every frame of the person; None to take the tracked ones, from which a post-net is
            learned as well.

    Raises:
        UserError: too few usable frames, empty masks, or a checkpoint that does not fit.
        NotFinite: the optimisation broke down repeatedly.
        KeyboardInterrupt: after the checkpoint has been written.
    """
    check_field(config)
    out, folder = Path(out), work_folder(out)
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoint.safetensors"
    device = find_device(config.device)
    threads = config.threads or torch.get_num_threads()
    torch.set_num_threads(threads)
    ops.set_threads(threads)
    torch.manual_seed(config.seed)

    band = learned = None
    style: dict[str, np.ndarray] = {}
    if motion is None:
        motion, band = driving_of(person)
        style = {f"style.{name}": value for name, value in SpeakingStyle.of_person(person).tensors().items()}
        learned = _adapted(person) if config.adapt else None
    frames = training_frames(person)
    start = HeadStart.load() if config.start else None
    trainer = new_trainer(person, motion, frames, band, config, device, start)
    if resume and checkpoint.is_file():
        _load(trainer, checkpoint)
        say(f"going on from step {trainer.step_count}")

    def pack() -> Avatar:
        return _pack(trainer, person, motion, frames, learned, style)

    with Monitor(folder / "log", "fitting") as monitor:
        _save(trainer, checkpoint)
        try:
            _optimise(trainer, checkpoint, monitor, lambda: held_out_strip(pack(), person, motion, device))
        except KeyboardInterrupt:
            _save(trainer, checkpoint)
            say(f"stopped at step {trainer.step_count}; the same command with --resume goes on from here")
            raise
        _save(trainer, checkpoint)
        avatar = pack()
        avatar.save(out)
        strip = held_out_strip(avatar, person, motion, device)
        monitor.picture("held_out", strip, trainer.step_count)
        figures = {
            "minutes": trainer.seconds / 60, "steps": trainer.step_count, "size_mb": out.stat().st_size / 1e6,
            "peak_memory_mb": peak_memory_mb(),
        }
        monitor.report(folder / "report.html", f"Fitted: {person.source}", figures, strip,
                       learned.figures if learned is not None else None)
    return FitResult(avatar=out, strip=strip, **figures)


def new_trainer(
    person: PreparedPerson, motion: MotionSequence, frames: list[int], band: DepthBand | None,
    config: FitConfig, device: torch.device, start: HeadStart | None = None,
) -> Trainer:
    """A trainer before its first step.

    Args:
        motion: driving landmarks of all frames. frames: those that train.
        band, start: as for `build_portrait`.
    """
    store = FrameStore(person, frames, config.cache_mb, torch.get_num_threads())
    portrait = build_portrait(person, motion, frames, store, config, band, start).to(device)
    sampler = RaySampler(
        store, focus_boxes(person, frames, store), person.background, config.seed, config.frames_per_step,
        rarity(motion, frames),
    )
    return Trainer(
        portrait, sampler, torch.from_numpy(motion.driving[frames]),
        torch.from_numpy(person.camera.head_to_camera[frames]).float(),
        torch.from_numpy(person.camera.intrinsics).float(), config, _perceptual(config, person.size, device),
    )


def _perceptual(config: FitConfig, size: tuple[int, int], device: torch.device) -> torch.nn.Module | None:
    """LPIPS, or None and a line that says so where its weights cannot be fetched, or pictures of width and height
    `size` [px] are too small for it: a softer face is better than none."""
    from ..metrics.lpips import MIN_SIDE, Lpips

    if not config.perceptual:
        return None
    if min(size) < MIN_SIDE:
        say(f"no perceptual loss: it needs pictures of {MIN_SIDE} px a side, these are {size[0]} by {size[1]} px")
        return None
    try:
        return Lpips().to(device)
    except UserError as error:
        say(f"no perceptual loss: {error}")
        return None


def _adapted(person: PreparedPerson) -> Adaptation:
    """The person's post-net for the motion model that ships with the package."""
    from ..motion.predict import load_generator

    say("learning how the person's lips differ from the motion model's")
    result = adapt(person, load_generator())
    say(f"post-net {'kept' if result.postnet is not None else 'left out'}: {result.figures['why']}")
    return result


def driving_of(person: PreparedPerson) -> tuple[MotionSequence, DepthBand]:
    """Driving landmarks of every frame, and the depths where the person's head is."""
    from ..face.basis import load_basis
    from ..face.motion import tracked_motion

    motion = tracked_motion(person.face, person.camera, None, f"tracked: {person.source}")
    mean = person.face.expression[person.face.valid].mean(0, keepdims=True)
    basis, identity = load_basis(), person.face.identity
    landmarks, vertices = basis.landmarks478(identity, mean), basis.vertices(identity, mean)
    return motion, DepthBand(np.asarray(landmarks)[0], np.asarray(vertices)[0])


def _optimise(trainer: Trainer, checkpoint: Path, monitor: Monitor, strip) -> None:
    """Steps until the budget is used; rolls back to the last checkpoint when numbers break down."""
    config = trainer.config
    recent: deque[dict[str, float]] = deque(maxlen=LOG_EVERY)
    next_save = trainer.seconds + 60 * config.checkpoint_minutes
    first, began = trainer.step_count, trainer.seconds
    rollbacks = 0
    while trainer.progress < 1:
        try:
            recent.append(trainer.step())
        except NotFinite as error:
            rollbacks += 1
            if rollbacks > MAX_ROLLBACKS:
                raise
            say(f"{error}; back to the last checkpoint, at half the learning rate")
            scale = trainer.learning_rate_scale / 2
            _load(trainer, checkpoint)
            trainer.learning_rate_scale = scale
            recent.clear()
            continue
        if trainer.step_count % LOG_EVERY == 0 and recent:
            terms = {f"loss/{name}": value for name, value in mean_terms(recent).items()}
            psnr = -10 * np.log10(max(terms["loss/colour"], 1e-10))
            speed = (trainer.step_count - first) / max(trainer.seconds - began, 1e-9)
            monitor.progress(trainer.progress, trainer.step_count, speed, psnr)
            state = {
                "rays/psnr": psnr, "rays/samples_per_ray": trainer.samples_per_ray, "steps_per_second": speed,
                "occupancy": trainer.portrait.occupancy.share(),
                "learning_rate": trainer.optimisers["head"].param_groups[0]["lr"],
            }
            monitor.scalars(terms | state, trainer.step_count)
        if trainer.seconds >= next_save:
            next_save = trainer.seconds + 60 * config.checkpoint_minutes
            _save(trainer, checkpoint)
            monitor.picture("held_out", strip(), trainer.step_count)


def mean_terms(steps: Collection[Mapping[str, float]]) -> dict[str, float]:
    """Mean of each term over the steps that have it: not every step has all."""
    names = dict.fromkeys(name for step in steps for name in step)
    return {name: float(np.mean([step[name] for step in steps if name in step])) for name in names}


def _save(trainer: Trainer, path: Path) -> None:
    header = {"trainer": trainer.state(), "sampler": trainer.sampler.state(), "config": asdict(trainer.config)}
    save_checkpoint(path, trainer.portrait, trainer.average, trainer.optimisers, header)


def _load(trainer: Trainer, path: Path) -> None:
    header = load_checkpoint(path, trainer.portrait, trainer.average, trainer.optimisers)
    trainer.restore(header["trainer"])
    trainer.sampler.restore(header["sampler"])


def _pack(trainer: Trainer, person: PreparedPerson, motion: MotionSequence, frames: list[int],
          learned: Adaptation | None, style: dict[str, np.ndarray]) -> Avatar:
    with trainer.averaged() as portrait:
        field, tensors = pack_portrait(portrait, trainer.config.step_mm / 1000)
    kept = np.unique(np.linspace(0, len(frames) - 1, min(REFERENCES, len(frames))).astype(int))
    reference = np.array(frames)[kept]
    camera = person.camera
    replayed = longest_stretch(person.manifest.get("jumps", ()), len(person.train_frames))
    origin = Origin.of(person, replayed)
    return Avatar(
        field=field, tensors=tensors, identity=person.face.identity.astype(np.float32),
        motion_reference=motion.landmarks[reference].astype(np.float32),
        expression_reference=motion.expression[reference].astype(np.float32),
        camera=CameraTrack(
            intrinsics=camera.intrinsics, head_to_camera=camera.head_to_camera[replayed.start : replayed.stop],
            width=camera.width, height=camera.height, fps=camera.fps,
        ),
        background=person.background, consent=_consent(person),
        info={
            "source": person.source, "steps": trainer.step_count,
            "minutes": round(trainer.seconds / 60, 2), "version": version(), "config": asdict(trainer.config),
            "machine": platform.machine(), "device": trainer.device.type, "kernels": ops.backend(trainer.device.type),
        } | ({} if learned is None else {"adaptation": learned.figures})
        | ({} if origin is None else {"origin": origin.to_json()}),
        motion=style | ({} if learned is None else learned.tensors()),
    )


def longest_stretch(jumps: Sequence[int], frames: int) -> range:
    """Longest run of `frames` frames without a jump cut, at which a replayed head would teleport.

    Args:
        jumps: first frames after jump cuts.
    """
    edges = [0, *sorted(jump for jump in jumps if 0 < jump < frames), frames]
    return max((range(start, stop) for start, stop in zip(edges, edges[1:])), key=len)


def _consent(person: PreparedPerson) -> dict:
    recorded = person.manifest.get("consent")
    return dict(recorded) if isinstance(recorded, dict) else {"text": recorded or ""}


def held_out_strip(
    avatar: Avatar, person: PreparedPerson, motion: MotionSequence, device: torch.device, count: int = 5
) -> np.ndarray:
    """[2H,count*W,3] uint8: held-out frames above, the avatar driven by their tracked motion below."""
    renderer, driving = AvatarRenderer(avatar, device=device), motion.driving
    frames = list(person.held_out_frames) or list(person.train_frames)
    chosen = [frames[int(i)] for i in np.linspace(0, len(frames) - 1, count)]
    columns = [
        np.concatenate([person.frame(i), renderer.frame(driving[i], person.camera.head_to_camera[i])])
        for i in chosen
    ]
    return np.concatenate(columns, axis=1)
