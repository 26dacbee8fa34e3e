"""Options of every stage: one frozen dataclass each, the single source of defaults.

`configs/<stage>.yaml` explains and may override them, `configs/<stage>_<preset>.yaml` holds presets,
command-line options override both. Unknown keys are errors that name the nearest known one.
"""
from __future__ import annotations

import difflib
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
    seed: int = 0


@dataclass(frozen=True)
class FitConfig:
    """Prepared person to avatar."""

    minutes: float = 60.0  # time limit of the whole fit, evaluation not counted
    steps: int = 30000
    rays: int = 4096  # rays per step
    seed: int = 0


@dataclass(frozen=True)
class MotionConfig:
    """Talking clips to motion model, and motion model to motion."""

    steps: int = 20000
    seed: int = 0


@dataclass(frozen=True)
class RenderConfig:
    """Avatar and motion to video."""

    quality: int = 18  # x264 constant rate factor, lower is better


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
        except (OSError, yaml.YAMLError) as error:
            raise UserError(f"{file}: unreadable configuration ({error})") from error
        if not isinstance(values, dict):
            raise UserError(f"{file}: expected 'key: value' lines")
        config = override(config, values, str(file))
    return config
