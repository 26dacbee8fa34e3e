"""`make_synthetic`: a talking-portrait video of a person who does not exist, with everything known about it."""
from __future__ import annotations

import json
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from geneface.face.arkit import index, indices
from geneface.face.basis import load_basis
from geneface.media import VideoWriter, writing
from geneface.progress import track
from geneface.types import require, write_atomically

from .movement import Movement, make_movement
from .person import Person
from .render import Renderer
from .speech import SAMPLE_RATE, Speech, demo_speech, fitted
from .truth import SyntheticTruth
from .visemes import mouth_curves

FPS = 25.0
_VERSION = 3  # raised when the same options give another picture
QUALITY = 12
DISTANCE = 1.25  # camera to head origin [m]
CAMERA_BELOW = 0.052  # the camera looks at this height below the head's origin [m]
# The default person on the face basis' first identity components: Anny's young woman with larger eyes, fuller lips, a
# finer nose and chin, as the nearest point of the basis.
MARA = (
    -0.65, -0.41, -0.02, -0.95, -0.42, 0.29, -0.66, 1.2, -0.83, 0.28, 0.69, -0.37, 0.05, 0.09, 0.65, 0.03, 0.07,
    0.25, 0.68, 0.05, 0, -0.17, 0.52, -0.4, -0.24, 0.32, 0.25, -0.01, -0.18, 0.3, -0.12, 0.06, -0.01, -0.02, -0.1,
    0.1, -0.16, 0.17, 0.16, 0.14, 0.17, -0.02, 0.42, -0.15, -0.04, -0.01, -0.21, 0.01,
)


@dataclass(frozen=True)
class SyntheticOptions:
    """What makes one synthetic clip.

    Attributes:
        seconds: length.
        size: side of the square picture [px].
        seed: of movement, hair, skin and background.
        identity_seed: another face for every number; None is the default person.
        focal: focal length over image side (2.7 is a portrait lens; the camera moves so that the face stays as large).
        motion: scale of the head's movement (1: yaw to 15, pitch to 8, roll to 4 degrees).
        expressive: scale of the speaking mouth's movement.
    """

    seconds: float = 40.0
    size: int = 256
    seed: int = 0
    identity_seed: int | None = None
    focal: float = 2.7
    motion: float = 1.0
    expressive: float = 1.0

    def __post_init__(self) -> None:
        require(self.seconds * FPS >= 1, f"seconds: must hold at least one frame, got {self.seconds}")
        require(self.size >= 32, f"size: must be at least 32 px, got {self.size}")
        require(self.focal > 0.5, f"focal: must be over 0.5, got {self.focal}")


@dataclass(frozen=True)
class SyntheticClip:
    """Files of one synthetic clip.

    Attributes:
        folder: holds all of them.
        video: mp4 with sound.
        truth: npz of `SyntheticTruth`.
        masks: folder of PNG masks, one per frame, named 000000.png onwards: R head, G torso, B background.
    """

    folder: Path

    @property
    def video(self) -> Path:
        return self.folder / "synthetic.mp4"

    @property
    def truth(self) -> Path:
        return self.folder / "truth.npz"

    @property
    def masks(self) -> Path:
        return self.folder / "masks"


def identity_of(options: SyntheticOptions, components: int) -> np.ndarray:
    """[K] identity coefficients that the options ask for."""
    out = np.zeros(components, np.float32)
    if options.identity_seed is None:
        out[: len(MARA)] = MARA
        return out
    rng = np.random.default_rng([options.identity_seed, 7])
    return np.clip(0.55 * rng.standard_normal(components), -1.1, 1.1).astype(np.float32)


def camera_of(options: SyntheticOptions) -> tuple[np.ndarray, np.ndarray]:
    """Intrinsics [3,3] [px] and body-to-camera transform [4,4] [m]."""
    size = options.size
    focal = options.focal * size
    intrinsics = np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]])
    transform = np.eye(4)
    transform[:3, 3] = [0, -CAMERA_BELOW, DISTANCE * options.focal / 2.7]
    return intrinsics, transform


def expression_curves(speech: Speech, movement: Movement, times: np.ndarray, expressive: float) -> np.ndarray:
    """[T,52] ARKit weights in [0,1]: the speaking mouth over everything else."""
    mouth = mouth_curves(speech.phones, times) * expressive
    out = movement.expression.copy()
    rounded = mouth[:, index("mouthPucker")] + mouth[:, index("mouthFunnel")]
    # Round lips and a smile exclude each other.
    out[:, indices("mouthSmile*")] *= np.clip(1 - 1.4 * rounded, 0.1, 1)[:, None]
    return np.clip(out + mouth, 0, 1).astype(np.float32)


def make_synthetic(
    out_dir: str | Path, seconds: float = 40.0, size: int = 256, seed: int = 0, **options
) -> SyntheticClip:
    """Render the synthetic person into `out_dir`: synthetic.mp4, truth.npz, masks/.

    Finished clips of the same options are kept. An unfinished one is started again: frames follow from the seed, so
    nothing is lost but time.

    Args:
        out_dir: folder, made where it is missing.
        seconds, size, seed, options: see `SyntheticOptions`.

    Raises:
        UserError: folder not writable, disk full.
        ValueError: options out of range.
    """
    wanted = SyntheticOptions(seconds=seconds, size=size, seed=seed, **options)
    clip = SyntheticClip(Path(out_dir))
    stamp = clip.folder / "synthetic.json"
    signature = {"version": _VERSION, **asdict(wanted)}
    if _finished(stamp, signature, clip):
        return clip
    stamp.unlink(missing_ok=True)
    with writing(clip.video):
        clip.masks.mkdir(parents=True, exist_ok=True)
        truth = _render(wanted, clip)
        truth.save(clip.truth)
        content = json.dumps(signature | {"frames": len(truth.expression)}, indent=1)
        write_atomically(stamp, lambda path: path.write_text(content, "utf-8"))
    return clip


def _finished(stamp: Path, signature: dict, clip: SyntheticClip) -> bool:
    if not stamp.is_file():
        return False
    try:
        content = json.loads(stamp.read_text("utf-8"))
    except ValueError:
        return False
    frames = content.pop("frames", None)
    return content == signature and clip.video.is_file() and clip.truth.is_file() and clip.masks.is_dir() \
        and len(list(clip.masks.glob("*.png"))) == frames


def _render(options: SyntheticOptions, clip: SyntheticClip) -> SyntheticTruth:
    frames = round(options.seconds * FPS)
    times = (np.arange(frames) + 0.5) / FPS
    speech = fitted(demo_speech("training"), frames / FPS)
    movement = make_movement(times, speech.phones, options.seed, options.motion)
    expression = expression_curves(speech, movement, times, options.expressive)
    basis = load_basis()
    identity = identity_of(options, len(basis.identity))
    person = Person(basis, identity, options.seed)
    intrinsics, camera = camera_of(options)
    renderer = Renderer(person, intrinsics, options.size, options.size, options.seed)
    head_to_camera = camera @ movement.head_to_body
    for old in clip.masks.glob("*.png"):
        old.unlink()

    workers = min(os.cpu_count() or 1, 8)

    def draw(t: int) -> tuple[np.ndarray, np.ndarray]:
        posed = person.pose(expression[t], movement.head_to_body[t], movement.body_shift[t], camera)
        return renderer.frame(posed, head_to_camera[t, :3, :3], camera[:3, :3])

    with VideoWriter(clip.video, options.size, options.size, FPS, audio=speech.audio, rate=SAMPLE_RATE,
                     quality=QUALITY) as writer, _one_thread_each(), ThreadPoolExecutor(workers) as painters:
        queue = deque(painters.submit(draw, t) for t in range(min(workers + 1, frames)))
        for t in track(range(frames), "drawing the synthetic person"):
            image, mask = queue.popleft().result()
            if t + workers + 1 < frames:
                queue.append(painters.submit(draw, t + workers + 1))
            writer.write(image)
            _save_png(clip.masks / f"{t:06d}.png", mask)
    landmarks = _project(basis, identity, expression, head_to_camera, intrinsics)
    return SyntheticTruth(
        intrinsics, head_to_camera, options.size, options.size, FPS, expression, landmarks, identity, movement.gaze)


@contextmanager
def _one_thread_each():
    """Frames are drawn side by side, so torch must not split each over all cores as well."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _save_png(path: Path, image: np.ndarray) -> None:
    from PIL import Image

    Image.fromarray(image).save(path, compress_level=1)


def _project(basis, identity, expression, head_to_camera, intrinsics) -> np.ndarray:
    """[T,478,2] pixel positions of the landmarks of the basis."""
    points = np.asarray(basis.landmarks478(identity, expression), np.float64)
    camera = np.einsum("tij,tnj->tni", head_to_camera[:, :3, :3], points) + head_to_camera[:, None, :3, 3]
    image = camera @ intrinsics.T
    return (image[..., :2] / image[..., 2:]).astype(np.float32)
