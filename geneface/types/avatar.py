"""A fitted person."""
from __future__ import annotations

import json
from dataclasses import dataclass, field as dataclass_field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..errors import UserError
from .motion import CANONICAL_LANDMARKS
from .records import check_array, write_atomically
from .tracks import EXPRESSIONS, CameraTrack


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
