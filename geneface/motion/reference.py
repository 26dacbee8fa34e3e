"""How somebody moves, from whatever file tells it."""
from __future__ import annotations

from pathlib import Path

from ..errors import UserError
from ..face.motion import motion_from_weights, tracked_motion
from ..types import Avatar, MotionSequence, PreparedPerson


def reference_motion(path: str | Path) -> MotionSequence:
    """How somebody moves: a motion file of any format that can be read, a prepared person's folder, or an avatar.

    Raises:
        UserError: it is none of these.
    """
    from ..formats import format_of, read_motion  # which resample, and so stand above this package

    path = Path(path)
    if path.suffix.lower() == ".avatar":
        avatar = Avatar.load(path)
        camera = avatar.camera
        poses = camera.head_to_camera if len(camera) == len(avatar.expression_reference) else None
        return motion_from_weights(avatar.expression_reference, camera.fps, path.name, poses)
    if path.is_dir() and (path / "manifest.json").exists():
        person = PreparedPerson.open(path)
        return tracked_motion(person.face, person.camera, source=path.name)
    try:
        format_of(path)
    except UserError as error:
        raise UserError(f"{path}: is no motion file, prepared person or avatar; give one of these") from error
    return read_motion(path)
