"""Speech or not: the detector on real and hostile sound, and the rule that stands in for it."""
from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from geneface import media
from geneface.errors import UserError
from geneface.speech import vad
from geneface.speech.features import extract
from geneface.speech.framing import frame_count

RATE = 16000


@pytest.fixture(scope="module")
def detector() -> vad.VoiceActivity:
    found = vad.load_detector()
    if found is None:
        pytest.skip("the voice activity model cannot be had here")
    return found


def test_words_and_pauses_of_a_lip_reading_corpus(detector, footage):
    """Against word timings made by hand: silence is silence, words are speech, clean and with noise 10 dB below."""
    words = json.loads((footage / "grid" / "s1_alignments.json").read_text())
    random = np.random.default_rng(0)
    missed, invented = [], []
    for name in sorted(words)[::100]:
        audio = media.read_audio(next((footage / "grid" / "s1").rglob(f"{name}.*")), RATE)
        time = (np.arange(frame_count(len(audio))) + 0.5) / 50
        spoken = [(start, end) for start, end, word in words[name] if word not in ("sil", "sp")]
        inside = np.any([(time > start) & (time < end) for start, end in spoken], axis=0)
        near = np.any([np.abs(time - t) < 0.1 for t in (spoken[0][0], spoken[-1][1])], axis=0)
        noise = (random.standard_normal(len(audio)) * audio.std() / np.sqrt(10)).astype(np.float32)
        for heard in (audio, audio + noise):
            found = vad.speech_probability(heard, detector) > 0.3
            missed.append(1 - found[inside & ~near].mean())
            invented.append(found[~inside & ~near].mean())
    assert np.mean(missed) < 0.03 and np.mean(invented) < 0.05


def test_what_is_no_speech(detector):
    random, time = np.random.default_rng(0), np.arange(3 * RATE) / RATE
    for audio in (np.zeros(len(time)), np.full(len(time), 0.5), 0.1 * random.standard_normal(len(time)),
                  np.clip(random.standard_normal(len(time)), -1, 1), 0.5 * np.sin(2 * np.pi * 440 * time)):
        assert vad.speech_probability(audio.astype(np.float32), detector).max() < 0.2


def test_clipping_gain_and_blocks_do_not_matter(detector, footage, monkeypatch):
    audio = media.read_audio(footage / "driving" / "english_angry_4s.wav", RATE)
    found = vad.speech_probability(audio, detector)
    assert 0.2 < (found > 0.5).mean() < 0.8
    for changed in (np.clip(20 * audio, -1, 1), 0.05 * audio):
        assert ((vad.speech_probability(changed.astype(np.float32), detector) > 0.5) == (found > 0.5)).mean() > 0.9
    monkeypatch.setattr(vad, "_BLOCK", 7)
    np.testing.assert_allclose(vad.speech_probability(audio, detector), found, atol=1e-5)


@pytest.mark.parametrize("samples", [0, 1, 160, 319, 320, 321, 511, 512, 513, 5000])
def test_lengths(samples, detector):
    found = vad.speech_probability(np.full(samples, 0.1, np.float32), detector)
    assert len(found) == frame_count(samples) and ((found >= 0) & (found <= 1)).all()


def test_without_the_model_the_rule_judges(monkeypatch, capsys):
    def gone(name):
        raise UserError("offline")

    monkeypatch.setattr(vad.assets, "path", gone)
    vad.load_detector.cache_clear()
    try:
        assert vad.load_detector() is None and vad.load_detector() is None
        assert capsys.readouterr().err.count("loudness and voice only: offline") == 1
        time = np.arange(2 * RATE) / RATE
        audio = (0.3 * np.sign(np.sin(2 * np.pi * 120 * time)) * (time > 1)).astype(np.float32)
        found = extract(audio, _deaf).speech
        assert not found[:45].any() and found[52:].all()
    finally:
        vad.load_detector.cache_clear()


def _deaf(mel: torch.Tensor) -> torch.Tensor:
    return torch.zeros(mel.shape[0], mel.shape[2] // 2, 512)


def test_another_model_is_refused(tmp_path):
    (tmp_path / "silero_vad.safetensors").write_bytes(b"no")
    with pytest.raises(UserError, match="not the voice activity model"):
        vad.VoiceActivity.load(tmp_path / "silero_vad.safetensors")


def level(floor: float) -> tuple[np.ndarray, np.ndarray]:
    """Six seconds of voice at -20 dB with a pause at `floor` from the second to the fourth."""
    time = (np.arange(300) + 0.5) / 50
    quiet = (time > 2) & (time < 4)
    return np.where(quiet, floor, -20.0), 0.9 * ~quiet


@pytest.mark.parametrize("floor", [-90.0, -60.0, -40.0])
def test_pause_is_found_at_any_noise_floor(floor):
    found = vad.by_level(*level(floor))
    assert not found[101:199].any() and found[:99].all() and found[201:].all()


def test_breath_in_a_pause_is_no_speech():
    energy, voicing = level(-70.0)
    energy[130:170] = -42.0
    assert not vad.by_level(energy, voicing)[101:199].any()


def test_whisper_is_speech():
    """Where nothing is voiced loudness decides."""
    loud = (np.arange(300) // 50) % 2 == 1
    np.testing.assert_array_equal(vad.by_level(np.where(loud, -25.0, -70.0), np.zeros(300)) > 0.5, loud)


def test_hiss_is_no_speech():
    assert not vad.by_level(np.full(100, -100.0), np.zeros(100)).any()
    assert not vad.by_level(np.full(100, -65.0), np.zeros(100)).any()
    assert len(vad.by_level(np.zeros(0), np.zeros(0))) == 0


def test_gaps():
    active = np.array([0, 1, 0, 0, 1, 0, 0, 0, 1, 0], bool)
    assert vad.runs(active).tolist() == [[1, 2], [4, 5], [8, 9]]
    assert vad.close_gaps(active, 3).astype(int).tolist() == [0, 1, 1, 1, 1, 0, 0, 0, 1, 0]
