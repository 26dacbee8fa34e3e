"""What stages take and give: paths or boundary objects alike."""
from __future__ import annotations

from pathlib import Path

from ..errors import UserError
from ..types import Avatar, MotionSequence, PreparedPerson


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


def as_avatar(avatar: Avatar | str | Path) -> Avatar:
    return avatar if isinstance(avatar, Avatar) else Avatar.load(avatar)


def as_person(person: PreparedPerson | str | Path) -> PreparedPerson:
    return person if isinstance(person, PreparedPerson) else PreparedPerson.open(person)


def as_motion(motion: MotionSequence | str | Path, fps: float | None = None) -> MotionSequence:
    """Motion of a file; `fps` is that of one that does not say it."""
    from ..formats import read_motion

    return motion if isinstance(motion, MotionSequence) else read_motion(motion, fps)
