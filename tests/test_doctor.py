"""The doctor: what it finds broken, and the mend it names."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple

from geneface import doctor
from geneface.cli.main import run
from geneface.ops import native


def what(result: dict, needed: bool | None = None) -> str:
    return " | ".join(p["what"] for p in result["problems"] if needed is None or p["needed"] is needed)


def test_keys_and_mends():
    result = doctor.examine()
    assert {"ok", "kernels", "cuda", "assets", "optional", "problems"} <= set(result)
    assert result["ok"] and what(result, needed=True) == ""
    assert result["kernels"]["cpu"] in ("native", "reference")
    assert set(result["assets"]) == set(doctor.assets.MANIFEST)
    assert all(p["mend"] for p in result["problems"])


def test_json(capsys):
    assert run(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    assert run(["doctor"]) == 0
    assert "kernels.cpu" in capsys.readouterr().out


def test_forced_reference_kernels(monkeypatch):
    native._default_cpu.cache_clear()
    monkeypatch.setenv("GENEFACE_CPU_KERNELS", "reference")
    try:
        result = doctor.examine()
    finally:
        native._default_cpu.cache_clear()
    assert result["kernels"] == {
        "cpu": "reference",
        "variant": None,
        "usable": result["kernels"]["usable"],
        "why": "GENEFACE_CPU_KERNELS=reference",
    }
    assert "slow kernels" in what(result, needed=False) and result["ok"]


def test_missing_package_and_old_python_and_full_disk(monkeypatch):
    monkeypatch.setitem(doctor.REQUIRED, "no_such_package", "nothing")
    monkeypatch.setattr(doctor, "PYTHON", ((4, 0), (4, 1)))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: namedtuple("Usage", "total used free")(1, 1, 5e8))
    result = doctor.examine()
    needed = what(result, needed=True)
    assert not result["ok"]
    assert "package no_such_package (nothing) does not import" in needed
    assert "is not supported" in needed and "0.5 GB free" in needed
    assert any("Python 4.0 to 4.1" in p["mend"] for p in result["problems"])


def test_damaged_and_missing_assets(tmp_path, monkeypatch):
    monkeypatch.setenv("GENEFACE_CACHE", str(tmp_path))
    monkeypatch.delenv("GENEFACE_ASSETS", raising=False)
    (tmp_path / "face_landmarker.task").write_bytes(b"short")
    result = doctor.examine()
    assert result["assets"]["face-landmarker"] == "damaged" and result["assets"]["whisper-base"] == "missing"
    assert not result["ok"] and "model file face-landmarker is damaged" in what(result, needed=True)
    assert "whisper-base is not here yet" in what(result, needed=False)
    assert "judged by loudness and voice without it" in what(result, needed=False)
