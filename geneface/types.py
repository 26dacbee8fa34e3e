"""Boundary objects: what one stage hands to the next.

Frozen dataclasses. Array fields document shape, unit and frame and are checked on construction.
Files are npz (never pickled) with a JSON header naming the type and its schema version.

Frames of reference, everywhere in the package:

* **camera**: OpenCV axes, x right, y down, z forward [m].
* **head**: rigid frame of the head, same axis directions as a camera that looks at the face straight
  on (x to the image's right, y down, z from the face into the head) [m]; origin at the head's centre.
* **image**: pixels, (0, 0) is the top left corner of the top left pixel, so its centre is (0.5, 0.5).
"""
from __future__ import annotations

import json
import os
from dataclasses import dataclass, field as dataclass_field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from .errors import UserError

LANDMARKS = 478
EXPRESSIONS = 52
CANONICAL_LANDMARKS = 68
EYE_RADIUS_M = 0.012


def require(condition: bool, message: str) -> None:
    """Raise `ValueError(message)` unless `condition` holds."""
    if not condition:
        raise ValueError(message)


def check_array(name: str, value: np.ndarray, shape: tuple[int | None, ...]) -> None:
    """Check shape (None matches any length) and, for floats, that every value is finite.

    Raises:
        ValueError: naming the array.
    """
    require(isinstance(value, np.ndarray), f"{name}: expected a numpy array, got {type(value).__name__}")
    fits = value.ndim == len(shape) and all(s is None or s == n for s, n in zip(shape, value.shape))
    require(fits, f"{name}: expected shape {shape}, got {value.shape}")
    if value.dtype.kind == "f":
        require(bool(np.isfinite(value).all()), f"{name}: holds NaN or infinite values")


def write_atomically(path: Path, write) -> None:
    """Call `write(temporary_path)` beside `path`, then rename: `path` is never half-written."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        temporary.touch()
        mode = temporary.stat().st_mode
        write(temporary)
        temporary.chmod(mode)  # safetensors leaves files that only their owner may read
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@dataclass(frozen=True)
class _NpzRecord:
    """Saving and loading shared by the dataclasses that are one npz file."""

    schema_version: ClassVar[int] = 1

    def save(self, path: str | Path) -> None:
        """Write to `path` (npz). Arrays stay arrays, scalars go to the JSON header."""
        arrays, scalars = {}, {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                arrays[field.name] = value
            else:
                scalars[field.name] = value
        header = {"type": type(self).__name__, "schema_version": self.schema_version, "scalars": scalars}

        def write(temporary: Path) -> None:
            with open(temporary, "wb") as file:
                np.savez_compressed(file, header=np.array(json.dumps(header)), **arrays)

        write_atomically(Path(path), write)

    @classmethod
    def load(cls, path: str | Path):
        """Read what `save` wrote.

        Raises:
            UserError: no such file, another type, another schema version, or damaged contents.
        """
        path = Path(path)
        if not path.is_file():
            raise UserError(f"{path}: no such file")
        try:
            with np.load(path, allow_pickle=False) as archive:
                header = json.loads(str(archive["header"]))
                arrays = {name: archive[name] for name in archive.files if name != "header"}
        except Exception as error:
            raise UserError(f"{path}: not a readable {cls.__name__} file ({error})") from error
        if header.get("type") != cls.__name__:
            raise UserError(f"{path}: holds a {header.get('type')}, expected a {cls.__name__}")
        if header.get("schema_version") != cls.schema_version:
            raise UserError(
                f"{path}: {cls.__name__} schema {header.get('schema_version')}, this version reads "
                f"{cls.schema_version}; make the file again"
            )
        try:
            return cls(**arrays, **header["scalars"])
        except (TypeError, ValueError) as error:
            raise UserError(f"{path}: damaged {cls.__name__}: {error}") from error


@dataclass(frozen=True)
class CameraTrack(_NpzRecord):
    """A pinhole camera and the head's rigid pose in front of it.

    Attributes:
        intrinsics: [3,3] pinhole matrix [px].
        head_to_camera: [T,4,4] rigid head-to-camera transforms [m].
        width, height: image size [px].
        fps: frames per second.
    """

    intrinsics: np.ndarray
    head_to_camera: np.ndarray
    width: int
    height: int
    fps: float

    def __post_init__(self) -> None:
        check_array("intrinsics", self.intrinsics, (3, 3))
        check_array("head_to_camera", self.head_to_camera, (None, 4, 4))
        require(self.width > 0 and self.height > 0, f"image size {self.width}x{self.height} is empty")
        require(self.fps > 0, f"fps must be positive, got {self.fps}")
        rotation = self.head_to_camera[:, :3, :3]
        drift = np.abs(rotation @ rotation.transpose(0, 2, 1) - np.eye(3)).max(initial=0)
        require(drift < 1e-3, f"head_to_camera: rotations are not orthonormal (off by {drift:.2g})")

    def __len__(self) -> int:
        return len(self.head_to_camera)

    @property
    def cam_to_world(self) -> np.ndarray:
        """[T,4,4] camera-to-head transforms: the head frame is the renderer's world."""
        rotation = self.head_to_camera[:, :3, :3].transpose(0, 2, 1)
        out = np.tile(np.eye(4, dtype=self.head_to_camera.dtype), (len(self), 1, 1))
        out[:, :3, :3] = rotation
        out[:, :3, 3] = -np.einsum("tij,tj->ti", rotation, self.head_to_camera[:, :3, 3])
        return out

    def project(self, points: np.ndarray) -> np.ndarray:
        """Image positions [T,P,2] float64 [px] of head-space points [T,P,3] [m]."""
        pose = self.head_to_camera.astype(np.float64)
        image = (points @ pose[:, :3, :3].transpose(0, 2, 1) + pose[:, None, :3, 3]) @ self.intrinsics.T
        return image[..., :2] / image[..., 2:]


@dataclass(frozen=True)
class FaceTrack(_NpzRecord):
    """The face in every frame, as measured in the image and as fitted on the head basis.

    Attributes:
        landmarks: [T,478,2] MediaPipe landmarks [px].
        valid: [T] bool, False where no face was found (values are then interpolated).
        identity: [K] identity coefficients of the person on the face basis (one per person).
        expression: [T,52] ARKit expression weights in [0,1].
        eye_open: [T,2] eyelid opening relative to the person's own open eye (0 closed, 1 open),
            image left eye first.
        gaze: [T,2] gaze yaw (to the image's right) and pitch (up) relative to the head [rad].
        fps: frames per second.
    """

    landmarks: np.ndarray
    valid: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    eye_open: np.ndarray
    gaze: np.ndarray
    fps: float

    def __post_init__(self) -> None:
        frames = len(self.landmarks)
        check_array("landmarks", self.landmarks, (frames, LANDMARKS, 2))
        check_array("valid", self.valid, (frames,))
        check_array("identity", self.identity, (None,))
        check_array("expression", self.expression, (frames, EXPRESSIONS))
        check_array("eye_open", self.eye_open, (frames, 2))
        check_array("gaze", self.gaze, (frames, 2))
        require(self.fps > 0, f"fps must be positive, got {self.fps}")

    def __len__(self) -> int:
        return len(self.landmarks)


@dataclass(frozen=True)
class SpeechFeatures(_NpzRecord):
    """What the motion generator hears.

    Attributes:
        content: [T,C] content features (Whisper base, encoder layer 4: C = 512).
        log_f0: [T] natural log of the fundamental frequency [log Hz], 0 where unvoiced.
        energy: [T] log RMS energy [dB relative to full scale].
        voicing: [T] probability of voicing in [0,1].
        speech: [T] probability that somebody speaks, voiced or not, in [0,1].
        fps: feature frames per second (50).
        pitch_agreement: share of the voiced frames in which two methods find the same F0 [0,1]; below about 0.7
            the voice is creaky, noisy or not alone.
    """

    schema_version: ClassVar[int] = 2

    content: np.ndarray
    log_f0: np.ndarray
    energy: np.ndarray
    voicing: np.ndarray
    speech: np.ndarray
    fps: float
    pitch_agreement: float = 1.0

    def __post_init__(self) -> None:
        frames = len(self.content)
        check_array("content", self.content, (frames, None))
        for name in ("log_f0", "energy", "voicing", "speech"):
            check_array(name, getattr(self, name), (frames,))
        require(self.fps > 0, f"fps must be positive, got {self.fps}")

    def __len__(self) -> int:
        return len(self.content)


@dataclass(frozen=True)
class MotionSequence(_NpzRecord):
    """Facial motion free of identity: the driving signal of every renderer and exporter.

    Attributes:
        landmarks: [T,68,3] canonical landmarks in head space [m], on the basis' mean identity.
        expression: [T,52] ARKit expression weights in [0,1].
        blink: [T] eyelid closure in [0,1].
        gaze: [T,2] gaze yaw (to the image's right) and pitch (up) relative to the head [rad].
        fps: frames per second.
        source: where the motion came from, for people ("speech: talk.wav", "tracked: cnn2.mp4").
        head_pose: [T,4,4] head-to-camera transforms [m], or None to take the avatar's own.
    """

    landmarks: np.ndarray
    expression: np.ndarray
    blink: np.ndarray
    gaze: np.ndarray
    fps: float
    source: str
    head_pose: np.ndarray | None = None

    def __post_init__(self) -> None:
        frames = len(self.landmarks)
        check_array("landmarks", self.landmarks, (frames, CANONICAL_LANDMARKS, 3))
        check_array("expression", self.expression, (frames, EXPRESSIONS))
        check_array("blink", self.blink, (frames,))
        check_array("gaze", self.gaze, (frames, 2))
        if self.head_pose is not None:
            check_array("head_pose", self.head_pose, (frames, 4, 4))
        require(self.fps > 0, f"fps must be positive, got {self.fps}")

    def __len__(self) -> int:
        return len(self.landmarks)

    @property
    def driving(self) -> np.ndarray:
        """[T,69,3] what drives a field [m]: the landmarks, then how far the gaze moves the pupils."""
        yaw, pitch = self.gaze.astype(np.float32).T
        pupils = np.stack([np.sin(yaw), -np.sin(pitch), np.zeros_like(yaw)], axis=1) * EYE_RADIUS_M
        return np.concatenate([self.landmarks, pupils[:, None]], axis=1, dtype=np.float32)


@dataclass(frozen=True)
class PreparedPerson:
    """A prepared portrait video: a folder, opened by `PreparedPerson.open`.

    ```
    manifest.json        schema, source, clips, size, fps, frames, split, crop, consent, stages, hashes
    frames/000000.jpg    [H,W,3] cropped frames at `fps`
    masks/000000.png     [H,W,3] R = head, G = torso, B = background; what is missing from a sum of 255 is hidden
                         by something in front of the person (a hand, a microphone)
    torso/000000.png     [H,W,4] neck and torso with what the head hides filled in
    background.png       [H,W,3] clean background plate
    camera.npz face.npz speech.npz     the tracks
    audio.wav            16 kHz mono
    report.html report.json
    ```

    Attributes:
        path: the folder.
        manifest: contents of manifest.json.
    """

    SCHEMA_VERSION: ClassVar[int] = 1

    path: Path
    manifest: dict[str, Any]

    @classmethod
    def open(cls, path: str | Path) -> "PreparedPerson":
        """Raises UserError where `path` is not a finished prepared person of this schema."""
        path = Path(path)
        manifest = path / "manifest.json"
        if not manifest.is_file():
            raise UserError(f"{path}: not a prepared person (no manifest.json); run geneface prepare VIDEO -o {path}")
        try:
            content = json.loads(manifest.read_text("utf-8"))
        except ValueError as error:
            raise UserError(f"{manifest}: unreadable ({error}); run geneface prepare again") from error
        if content.get("schema_version") != cls.SCHEMA_VERSION:
            raise UserError(
                f"{path}: prepared with schema {content.get('schema_version')}, this version reads "
                f"{cls.SCHEMA_VERSION}; run geneface prepare again"
            )
        if not content.get("finished"):
            raise UserError(f"{path}: preparation is not finished; run the same geneface prepare command again to go on")
        return cls(path, content)

    def __len__(self) -> int:
        return int(self.manifest["frames"])

    @property
    def fps(self) -> float:
        return float(self.manifest["fps"])

    @property
    def source(self) -> str:
        """Name of the video that was prepared."""
        return str(self.manifest.get("source", {}).get("name", self.path.name))

    @property
    def clips(self) -> list[dict[str, Any]]:
        """The videos that the frames come from, in order.

        Each {source: {name, path, sha256, start_frame, ...}, crop: see `geneface.media.Crop`, first_frame, frames}: frames
        first_frame to first_frame + frames - 1 are the video's from start_frame on.
        """
        whole = {"first_frame": 0, "frames": len(self)}
        return self.manifest.get("clips") or [{name: self.manifest.get(name) for name in ("source", "crop")} | whole]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height [px]."""
        return int(self.manifest["width"]), int(self.manifest["height"])

    @property
    def train_frames(self) -> range:
        """Indices of the frames that train (the first 10/11)."""
        return range(0, int(self.manifest["train_frames"]))

    @property
    def held_out_frames(self) -> range:
        """Indices of the frames no training step may see (the last 1/11)."""
        return range(int(self.manifest["train_frames"]), len(self))

    def frame(self, index: int) -> np.ndarray:
        """[H,W,3] uint8 RGB."""
        return _read_image(self.path / "frames" / f"{index:06d}.jpg")

    def mask(self, index: int) -> np.ndarray:
        """[H,W,3] uint8 soft masks: head, torso, background.

        They sum to 255 where nothing is in front of the person. What is missing from that is the share of the
        pixel that a hand, a microphone or the like covers: it tells nothing of what is behind, so it is left out
        of every loss and metric. With `m = mask(i) / 255`, `m.sum(-1)` is the weight of a pixel, and
        `frame = m[0] * head + m[1] * torso + m[2] * background + (1 - m.sum(-1)) * occluder`.
        """
        return _read_image(self.path / "masks" / f"{index:06d}.png")

    def torso(self, index: int) -> np.ndarray:
        """[H,W,4] uint8: colour (not multiplied by alpha) and alpha of neck and torso as if nothing were in front
        of them.

        Where the head is in front, they are what other frames show there, or go on smoothly where none does.
        Far behind the head, where no pose shows them, alpha is 0.
        """
        return _read_image(self.path / "torso" / f"{index:06d}.png", "RGBA")

    @cached_property
    def background(self) -> np.ndarray:
        """[H,W,3] uint8 RGB plate."""
        return _read_image(self.path / "background.png")

    @cached_property
    def camera(self) -> CameraTrack:
        return CameraTrack.load(self.path / "camera.npz")

    @cached_property
    def face(self) -> FaceTrack:
        return FaceTrack.load(self.path / "face.npz")

    @cached_property
    def speech(self) -> SpeechFeatures:
        return SpeechFeatures.load(self.path / "speech.npz")


def _read_image(path: Path, mode: str = "RGB") -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return np.asarray(image.convert(mode))
    except OSError as error:
        raise UserError(f"{path}: missing or damaged; run geneface prepare again") from error


@dataclass(frozen=True)
class Avatar:
    """A fitted person: one `.avatar` file (safetensors, JSON header), the same on every back end.

    Attributes:
        field: what rebuilds the networks: constructor arguments of head and torso (JSON values).
        tensors: name -> array: network weights, tables, occupancy grid.
        identity: [K] identity coefficients on the face basis.
        motion_reference: [R,68,3] canonical landmarks of the person's training frames [m]:
            the space that generated motion is projected onto (locally linear embedding).
        expression_reference: [R,52] expression weights of the same frames.
        camera: the training video's camera and poses, replayed at render.
        background: [H,W,3] uint8 plate.
        consent: who agreed to what, as recorded at prepare.
        info: source name, steps, minutes, held-out figures, version (JSON values).
        motion: name -> array: what was learned of how the person moves ("postnet." and "style."); may be empty.
    """

    SCHEMA_VERSION: ClassVar[int] = 1

    field: dict[str, Any]
    tensors: dict[str, np.ndarray]
    identity: np.ndarray
    motion_reference: np.ndarray
    expression_reference: np.ndarray
    camera: CameraTrack
    background: np.ndarray
    consent: dict[str, Any]
    info: dict[str, Any]
    motion: dict[str, np.ndarray] = dataclass_field(default_factory=dict)

    def __post_init__(self) -> None:
        check_array("identity", self.identity, (None,))
        count = len(self.motion_reference)
        check_array("motion_reference", self.motion_reference, (count, CANONICAL_LANDMARKS, 3))
        check_array("expression_reference", self.expression_reference, (count, EXPRESSIONS))
        check_array("background", self.background, (self.camera.height, self.camera.width, 3))
        for name, value in (self.tensors | self.motion).items():
            check_array(name, value, (None,) * value.ndim)

    _ARRAYS = ("identity", "motion_reference", "expression_reference", "background")

    def save(self, path: str | Path) -> None:
        """Write one safetensors file, atomically."""
        from safetensors.numpy import save_file

        arrays = {f"tensors.{name}": np.ascontiguousarray(value) for name, value in self.tensors.items()}
        arrays |= {f"motion.{name}": np.ascontiguousarray(value) for name, value in self.motion.items()}
        arrays |= {name: np.ascontiguousarray(getattr(self, name)) for name in self._ARRAYS}
        arrays["camera.intrinsics"] = np.ascontiguousarray(self.camera.intrinsics)
        arrays["camera.head_to_camera"] = np.ascontiguousarray(self.camera.head_to_camera)
        header = {
            "type": "geneface.Avatar",
            "schema_version": self.SCHEMA_VERSION,
            "field": self.field,
            "camera": {"width": self.camera.width, "height": self.camera.height, "fps": self.camera.fps},
            "consent": self.consent,
            "info": self.info,
        }
        write_atomically(Path(path), lambda temporary: save_file(arrays, temporary, {"geneface": json.dumps(header)}))

    @classmethod
    def load(cls, path: str | Path) -> "Avatar":
        """Read what `save` wrote.

        Raises:
            UserError: no such file, not an avatar, another schema, or damaged.
        """
        from safetensors import SafetensorError, safe_open

        path = Path(path)
        if not path.is_file():
            raise UserError(f"{path}: no such avatar; fit one with geneface fit PERSON_DIR -o {path}")
        try:
            with safe_open(path, framework="numpy") as file:
                header = json.loads((file.metadata() or {}).get("geneface", "{}"))
                arrays = {name: file.get_tensor(name) for name in file.keys()}
        except (SafetensorError, ValueError, OSError) as error:
            raise UserError(f"{path}: not a readable avatar ({error})") from error
        if header.get("type") != "geneface.Avatar":
            raise UserError(f"{path}: not an avatar file; fit one with geneface fit PERSON_DIR -o {path}")
        if header["schema_version"] != cls.SCHEMA_VERSION:
            raise UserError(
                f"{path}: avatar schema {header['schema_version']}, this version reads {cls.SCHEMA_VERSION}; "
                "fit it again, or install the version that made it"
            )
        try:
            def under(prefix: str) -> dict[str, np.ndarray]:
                return {n.removeprefix(prefix): v for n, v in arrays.items() if n.startswith(prefix)}

            return cls(
                field=header["field"],
                tensors=under("tensors."),
                motion=under("motion."),
                **{name: arrays[name] for name in cls._ARRAYS},
                camera=CameraTrack(
                    intrinsics=arrays["camera.intrinsics"],
                    head_to_camera=arrays["camera.head_to_camera"],
                    **header["camera"],
                ),
                consent=header["consent"],
                info=header["info"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path}: damaged avatar: {error}") from error
