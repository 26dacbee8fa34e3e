"""The table of tools/motion_study.py."""
from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import motion_study as study  # noqa: E402


def test_rows_say_whether_they_are_met():
    assert study.row("a", "b", 0.8, 0.8).met and study.row("a", "b", 0.1, high=0.15).met
    assert study.row("a", "b", 1.3, 0.8, 1.2).met is False and study.row("a", "b", 0.7, 0.8, 1.2).met is False
    assert study.row("a", "b", np.float64(0.9), 0.8).met is True  # as JSON has it
    assert study.row("a", "b", None, 0.8).met is None and study.row("a", "b", 0.7).met is None
    text = study.table([study.row("corpus", "opening", 0.9361, 0.94), study.row("corpus", "jitter", None)])
    assert "| corpus | opening | at least 0.94 | 0.936 | **not met** |  |" in text and "| – | – | – |" in text


def test_noise_is_as_loud_as_said():
    random = np.random.default_rng(0)
    speech = np.concatenate([np.zeros(16000), random.standard_normal(16000), np.zeros(16000)]).astype(np.float32)
    noise = study.with_noise(speech, 10.0, random) - speech
    assert 10 * np.log10(1 / noise.var()) == pytest.approx(10, abs=0.3)
