"""The published SyncNet: the shapes of its weights, its protocol, and MFCCs by their definition."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from geneface.errors import UserError
from geneface.motion.syncnet import SyncNet, crop_faces, load_syncnet, mfcc

# Of `syncnet_v2.model` (github.com/joonson/syncnet_python, SyncNetModel.py): convolutions and fully connected layers.
PUBLISHED = {
    "netcnnaud.0": (64, 1, 3, 3), "netcnnaud.4": (192, 64, 3, 3), "netcnnaud.8": (384, 192, 3, 3),
    "netcnnaud.11": (256, 384, 3, 3), "netcnnaud.14": (256, 256, 3, 3), "netcnnaud.18": (512, 256, 5, 4),
    "netfcaud.0": (512, 512), "netfcaud.3": (1024, 512), "netfclip.0": (512, 512), "netfclip.3": (1024, 512),
    "netcnnlip.0": (96, 3, 5, 7, 7), "netcnnlip.4": (256, 96, 1, 5, 5), "netcnnlip.8": (256, 256, 1, 3, 3),
    "netcnnlip.11": (256, 256, 1, 3, 3), "netcnnlip.14": (256, 256, 1, 3, 3), "netcnnlip.18": (512, 256, 1, 6, 6),
}


@pytest.fixture(scope="module")
def weights():
    """Random weights of the published names and shapes."""
    random = torch.Generator().manual_seed(0)
    state = {}
    for name, shape in PUBLISHED.items():
        spread = float(np.prod(shape[1:])) ** -0.5
        state[f"{name}.weight"] = spread * torch.randn(shape, generator=random)
        state[f"{name}.bias"] = 0.1 * torch.randn(shape[0], generator=random)
        if name not in ("netfcaud.3", "netfclip.3"):  # every other layer has a batch norm after it
            stem, number = name.split(".")
            norm = f"{stem}.{int(number) + 1}"
            state |= {f"{norm}.weight": torch.ones(shape[0]), f"{norm}.bias": torch.zeros(shape[0]),
                      f"{norm}.running_mean": torch.zeros(shape[0]), f"{norm}.running_var": torch.ones(shape[0]),
                      f"{norm}.num_batches_tracked": torch.tensor(1)}
    return state


@pytest.fixture(scope="module")
def net(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("syncnet") / "syncnet_v2.model"
    torch.save(weights, path)
    return load_syncnet(path)


def test_published_weights_fit(net, weights):
    assert set(net.state_dict()) == set(weights)
    torch.testing.assert_close(net.netcnnlip[18].weight, weights["netcnnlip.18.weight"])


def test_embeddings_of_a_run_are_those_of_its_windows(net):
    frames = np.random.default_rng(0).integers(0, 256, (6, 224, 224, 3), np.uint8)
    whole = net.embed_faces(frames)
    assert whole.shape == (2, 1024)
    torch.testing.assert_close(net.embed_faces(frames[1:])[0], whole[1], rtol=1e-4, atol=1e-4)
    assert (net.embed_faces(frames[1:, ..., ::-1])[0] - whole[1]).abs().max() > 1e-2  # colours have an order
    audio = np.random.default_rng(1).normal(0, 0.1, 16000).astype(np.float32)
    sound = net.embed_sound(audio, 20)
    assert sound.shape == (20, 1024)
    torch.testing.assert_close(net.embed_sound(audio[1920:], 5)[1:], sound[4:8], rtol=1e-3, atol=1e-3)


def test_score_finds_a_shift(monkeypatch):
    """Embeddings that agree where the lips come three frames late."""
    track = torch.randn(40, 1024, generator=torch.Generator().manual_seed(0))
    net = SyncNet()
    monkeypatch.setattr(net, "embed_faces", lambda frames: track[5:5 + len(frames) - 4])
    monkeypatch.setattr(net, "embed_sound", lambda audio, windows: track[8:8 + windows])
    result = net.score(np.zeros((30, 224, 224, 3), np.uint8), np.zeros(30 * 640, np.float32))
    assert result.frames == 3 and result.confidence > 10 and result.curve.shape == (31,)
    assert result.distance < 0.15 * result.curve.max()
    with pytest.raises(ValueError, match="frames"):
        net.score(np.zeros((30, 96, 96, 3), np.uint8), np.zeros(640, np.float32))
    with pytest.raises(ValueError, match="too short"):
        net.score(np.zeros((5, 224, 224, 3), np.uint8), np.zeros(9000, np.float32))


def test_mfcc_by_definition():
    """One window, step by step."""
    samples = 1000 * np.random.default_rng(0).standard_normal(560)
    found = mfcc(samples)
    assert found.shape == (2, 13)
    emphasised = samples[160:560] - 0.97 * samples[159:559]
    power = [abs(sum(x * np.exp(-2j * np.pi * k * n / 512) for n, x in enumerate(emphasised))) ** 2 / 512
             for k in range(257)]
    assert found[1, 0] == pytest.approx(np.log(sum(power)))
    mels = np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 28)
    edges = [int(513 * 700 * (10 ** (mel / 2595) - 1) / 16000) for mel in mels]
    bands = []
    for a, b, c in zip(edges, edges[1:], edges[2:]):
        rising = sum(power[k] * (k - a) / (b - a) for k in range(a, b))
        bands.append(np.log(rising + sum(power[k] * (c - k) / (c - b) for k in range(b, c))))
    for order in (1, 7, 12):
        cosine = sum(x * np.cos(np.pi * order * (2 * j + 1) / 52) for j, x in enumerate(bands)) * np.sqrt(2 / 26)
        assert found[1, order] == pytest.approx(cosine * (1 + 11 * np.sin(np.pi * order / 22)))
    assert mfcc(np.zeros(8000)).shape == (49, 13) and np.isfinite(mfcc(np.zeros(100))).all()


def test_crops():
    picture = np.zeros((200, 300, 3), np.uint8)
    picture[60:100, 110:150] = 255  # a face 40 px high
    boxes = np.tile([110.0, 60.0, 150.0, 100.0], (20, 1))
    boxes[7] = [0, 0, 300, 200]  # one wild detection is smoothed away
    crops = crop_faces([picture] * 20, boxes)
    assert crops.shape == (20, 224, 224, 3) and (crops == crops[0]).all()
    # 56 px to 224: from the face's top, 8 px left and right of it, 16 below.
    lit = np.argwhere(crops[0, ..., 0] > 127)
    np.testing.assert_allclose([lit.min(0), lit.max(0)], [[0, 32], [159, 191]], atol=2)
    beyond = crop_faces([picture], np.array([[-30.0, 60.0, 10.0, 100.0]]))
    assert beyond[0, 100, 5, 0] == 110  # grey where the picture ends


def test_other_files_are_refused(tmp_path, weights):
    with pytest.raises(UserError, match="no such SyncNet weights"):
        load_syncnet(tmp_path / "none.model")
    torch.save({name: value for name, value in weights.items() if "lip" in name}, tmp_path / "half.model")
    (tmp_path / "bad.model").write_bytes(b"nonsense")
    torch.save(np.array([1.0]).dtype.type, tmp_path / "code.model")  # would be a class
    for name in ("half", "bad", "code"):
        with pytest.raises(UserError, match="not the published SyncNet weights") as error:
            load_syncnet(tmp_path / f"{name}.model")
        assert "\n" not in str(error.value)


def test_a_real_video(net, weights, footage, tmp_path):
    """Random weights say nothing of sync, but figures come out."""
    from geneface import media, pipeline

    torch.save(weights, tmp_path / "syncnet_v2.model")
    clip = footage / "identities" / "speaker_e_8s.mp4"
    result = pipeline.syncnet_score(clip, tmp_path / "syncnet_v2.model", seconds=0.4)
    assert all(np.isfinite(value) for value in result.values()) and result["lse_d"] > 0 and result["lse_c"] >= 0
    media.write_wav(tmp_path / "sound.wav", np.zeros(16000, np.float32))
    with pytest.raises(UserError):
        pipeline.syncnet_score(tmp_path / "sound.wav", tmp_path / "syncnet_v2.model")
