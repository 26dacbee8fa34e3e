"""Options: one source of defaults, later ones win, misspelt ones are named."""

from __future__ import annotations

import re
from dataclasses import asdict

import pytest
import yaml

from geneface import config as room
from geneface.config import (
    CorpusConfig,
    EvaluateConfig,
    FitConfig,
    MotionConfig,
    PrepareConfig,
    RenderConfig,
    override,
    presets,
    resolve,
)
from geneface.errors import UserError

STAGES = {
    "prepare": PrepareConfig(),
    "fit": FitConfig(),
    "corpus": CorpusConfig(),
    "motion": MotionConfig(),
    "render": RenderConfig(),
    "evaluate": EvaluateConfig(),
}


def test_misspelt_key_names_the_nearest():
    with pytest.raises(UserError, match="my.yaml: unknown key 'minuts'; did you mean 'minutes'"):
        override(FitConfig(), {"minuts": 3}, "my.yaml")
    with pytest.raises(UserError, match="known keys: .*minutes"):
        override(FitConfig(), {"zzzzzz": 3}, "my.yaml")


def test_values_keep_their_type():
    assert override(FitConfig(), {"minutes": 3}, "x").minutes == 3.0
    for key, value in (
        ("steps", 1.5),
        ("steps", True),
        ("amp", 1),
        ("minutes", "3"),
        ("minutes", True),
        ("minutes", None),
    ):
        with pytest.raises(UserError, match=f"{key} must be"):
            override(FitConfig(), {key: value}, "x")


def test_later_ones_win(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "folder", lambda: tmp_path)
    (tmp_path / "fit.yaml").write_text("minutes: 1\nsteps: 1\nrays: 1\nlevels: 1\nseed: 1\n")
    (tmp_path / "fit_fast.yaml").write_text("steps: 2\nrays: 2\nlevels: 2\nseed: 2\n")
    own = tmp_path / "own.yaml"
    own.write_text("rays: 3\nlevels: 3\nseed: 3\n")
    config = resolve(FitConfig(), "fit", "fast", own, ["levels=4", "seed=4"], {"seed": 5, "steps": None})
    assert (config.minutes, config.steps, config.rays, config.levels, config.seed) == (1.0, 2, 3, 4, 5)
    assert presets("fit") == ["fast"]
    with pytest.raises(UserError, match="--preset fats: no such preset; did you mean 'fast'"):
        resolve(FitConfig(), "fit", "fats")


@pytest.mark.parametrize(
    "content, message",
    [
        ("a: [", "unreadable"),
        ("- 1", "expected 'key: value'"),
        ("stepz: 1", "did you mean 'steps'"),
        (b"\xff\xfe\x00", "unreadable"),
    ],
)
def test_bad_files(content, message, tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=message) as error:
        resolve(FitConfig(), "fit", file=file)
    assert "\n" not in str(error.value)


def test_bad_settings():
    with pytest.raises(UserError, match="--set steps: expected key=value"):
        resolve(FitConfig(), "fit", settings=["steps"])
    with pytest.raises(UserError, match="--set steps=x: steps must be a int"):
        resolve(FitConfig(), "fit", settings=["steps=x"])


def test_missing_file():
    with pytest.raises(UserError, match="nowhere.yaml: unreadable"):
        resolve(FitConfig(), "fit", file="nowhere.yaml")


@pytest.mark.parametrize("stage", STAGES)
def test_explained_files_say_the_defaults(stage):
    """configs/<stage>.yaml lists every option; what it says, commented out or not, is the default in the code."""
    file = room.folder() / f"{stage}.yaml"
    text = re.sub(r"^#(?=\w+: )", "", file.read_text("utf-8"), flags=re.MULTILINE)
    said, defaults = yaml.safe_load(text), asdict(STAGES[stage])
    assert {
        key: float(value) if isinstance(defaults.get(key), float) else value for key, value in said.items()
    } == defaults


@pytest.mark.parametrize("stage", STAGES)
def test_presets_are_readable(stage):
    for preset in presets(stage):
        assert resolve(STAGES[stage], stage, preset) is not None
