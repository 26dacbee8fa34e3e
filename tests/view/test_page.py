"""The page: what it holds is the motion, nothing in it reaches outside, and texts stay texts."""
from __future__ import annotations

import base64
import gzip
import html
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace

import av
import numpy as np
import pytest

from geneface import assets
from geneface.face.basis import load_basis
from geneface.face.landmarks import mouth_opening
from geneface.face.pose import y_up
from geneface.formats.headmesh import load_head
from geneface.view import write_view

from .conftest import FPS, FRAMES, OPEN, make_motion

KINDS = {"f4": np.float32, "i2": np.int16, "u2": np.uint16, "u4": np.uint32, "u1": np.uint8}


def element(page: str, name: str) -> str:
    return re.search(rf'<script type="[a-z/]+" id="{name}">(.*?)</script>', page, re.DOTALL)[1]


def contents(page: str) -> tuple[dict, dict[str, np.ndarray]]:
    """The page's JSON and its arrays, as its script reads them."""
    data = json.loads(element(page, "page"))
    block = gzip.decompress(base64.b64decode(element(page, "arrays")))
    arrays = {}
    for entry in data["arrays"]:
        values = np.frombuffer(block, KINDS[entry["kind"]], entry["count"], entry["at"])
        arrays[entry["name"]] = values if entry["scale"] is None else values * np.float64(entry["scale"])
    return data, arrays


def posed(data: dict, arrays: dict[str, np.ndarray], take: int, frame: int) -> np.ndarray:
    """[N,3] vertices of a frame before the head turns, of the page's sparse displacements."""
    vertices = arrays["vertices"].reshape(-1, 3).astype(np.float64)
    weights = arrays[f"take{take}.weights"].reshape(-1, 52)[frame]
    start, values = arrays["start"], arrays["value"].reshape(-1, 3) * data["deltaScale"]
    for e, weight in enumerate(weights):
        part = slice(start[e], start[e + 1])
        vertices[arrays["index"][part]] += weight * values[part]
    return vertices


def test_it_holds_the_motion(tmp_path, motion, motion_file, sound_file, no_three):
    result = write_view(motion_file, None, tmp_path / "preview.html", sound_file)
    assert result == {"output": tmp_path / "preview.html", "frames": FRAMES, "fps": FPS, "seconds": FRAMES / FPS,
                      "size_mb": (tmp_path / "preview.html").stat().st_size / 1e6}
    page = (tmp_path / "preview.html").read_text("utf-8")
    data, arrays = contents(page)
    assert (data["frames"], data["fps"], data["words"]) == (FRAMES, FPS, [[0.0, 0.2, "hello"]])
    basis, index = load_basis(), load_head().basis_index
    for frame in (0, OPEN, FRAMES - 1):
        weights = arrays["take0.weights"].reshape(-1, 52)[frame]
        # The eyes look where the motion says, though no weight of it does; all else is the motion's.
        given = motion.expression[frame] > 0
        assert weights[given] == pytest.approx(motion.expression[frame][given], abs=2e-5)
        expected = y_up(basis.vertices(None, weights.astype(np.float32)))[index[index >= 0]]
        assert np.abs(posed(data, arrays, 0, frame)[index >= 0] - expected).max() < 1e-5
    opened = posed(data, arrays, 0, OPEN) - posed(data, arrays, 0, 0)
    assert opened[:, 1].min() < -0.015  # the jaw goes down, in axes with y up [m]
    assert arrays["take0.rotations"].reshape(-1, 3, 3)[OPEN] @ [0, 0, 1] == pytest.approx(
        [np.sin(0.198), 0.0985, 0.975], abs=5e-3)  # the nose turns to image right and up
    names = [curve["name"] for curve in data["takes"][0]["curves"]]
    curves = dict(zip(names, arrays["take0.curves"].reshape(len(names), FRAMES)))
    assert curves["mouth opening"] == pytest.approx(1000 * mouth_opening(motion.landmarks), abs=1e-3)
    assert curves["gaze right"] == pytest.approx(np.full(FRAMES, np.degrees(0.1)), abs=1e-3)
    assert curves["head right"][OPEN] > 11 and curves["head up"][OPEN] > 5
    # The waveform is silent for the first fifth of a second, loud for the second, and ends.
    wave = arrays["wave"].reshape(-1)
    rate = data["waveRate"]
    assert len(wave) == pytest.approx(0.4 * rate, abs=2)
    assert wave[: int(0.18 * rate)].max() < 8 and wave[int(0.25 * rate)] > 200
    with av.open(io.BytesIO(base64.b64decode(element(page, "sound")))) as container:
        stream = container.streams.audio[0]
        assert stream.codec_context.name == "aac"
        assert float(stream.duration * stream.time_base) == pytest.approx(0.4, abs=0.06)


def test_triangles_show_the_head_once(tmp_path, motion_file, no_three):
    write_view(motion_file, None, tmp_path / "preview.html")
    data, arrays = contents((tmp_path / "preview.html").read_text("utf-8"))
    assert "wave" not in arrays and 'id="sound"' not in (tmp_path / "preview.html").read_text("utf-8")
    corners, triangles = arrays["corners"], arrays["triangles"].reshape(-1, 3)
    faces = {tuple(sorted(face)) for face in arrays["faces"].reshape(-1, 3).tolist()}
    drawn = [tuple(sorted(face)) for face in corners[triangles].tolist()]
    assert len(set(drawn)) == len(drawn) and set(drawn) == faces
    assert np.all(np.diff(arrays["kind"].astype(int)) >= 0) and set(arrays["kind"]) == {0, 1, 2, 3, 4}
    assert 0 <= arrays["colour"].min() and 0.3 < arrays["colour"].max() <= 1


def test_nothing_is_fetched_and_texts_are_only_texts(tmp_path, motion, motion_file, no_three):
    evil = '</script><script>alert("x")</script><img src=http://example.org/x onerror=alert(1)>'
    replace(motion, source=evil, history=(evil, "mouth 1.2"), words=((0.0, 0.1, evil),)).save(tmp_path / "<b>&'x.npz")
    write_view(tmp_path / "<b>&'x.npz", motion_file, tmp_path / "preview.html")
    page = (tmp_path / "preview.html").read_text("utf-8")
    assert "<script>alert" not in page and "<img" not in page and "<b>" not in page
    assert page.count("<script") == page.count("</script>") == 4
    assert json.loads(element(page, "page"))["words"] == [[0.0, 0.1, evil]]
    assert html.escape(evil, quote=False) in page.replace("&#34;", '"').replace("&quot;", '"')
    outside = re.sub(r"&lt;.*?&gt;", "", page.replace(element(page, "page"), ""))
    assert not re.search(r"(src|href|import|url\(|fetch\()\s*[=(]?\s*[\"']?\s*(https?:)?//", outside)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert "default-src 'none'" in policy and "http" not in policy and "script-src 'sha256-" in policy
    assert "script-src 'unsafe" not in policy and "connect-src" not in policy
    assert gzip.decompress(base64.b64decode(element(page, "three"))) == no_three


def test_a_minute_is_a_few_megabytes(tmp_path, no_three):
    noise = np.random.default_rng(0).random((1500, 52), np.float32)  # nothing to compress
    landmarks = load_basis().landmarks68(noise)
    replace(make_motion(1500), expression=noise, landmarks=landmarks).save(tmp_path / "long.npz")
    assert write_view(tmp_path / "long.npz", None, tmp_path / "preview.html")["size_mb"] < 1.5


def test_two_motions(tmp_path, motion_file, no_three):
    make_motion(20, 50.0, jaw=0.3).save(tmp_path / "other.npz")
    result = write_view(motion_file, tmp_path / "other.npz", tmp_path / "diff.html")
    assert (result["frames"], result["fps"], result["compared_frames"]) == (FRAMES, FPS, 10)
    page = (tmp_path / "diff.html").read_text("utf-8")
    data, arrays = contents(page)
    assert [take["frames"] for take in data["takes"]] == [12, 10]
    assert arrays["distance"].mean() == pytest.approx(result["landmark_distance_mm"], rel=1e-5)
    assert next(iter(result["weights"])) == "eyeBlinkLeft" and list(result["weights"])[2] == "jawOpen"
    assert page.index('data-weight="eyeBlinkLeft"') < page.index('data-weight="jawOpen"')


def test_in_a_browser(tmp_path, motion_file, sound_file):
    """The page draws itself, without a word on the console and without a network."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    if assets.cached(assets.find("three")) is None:
        pytest.skip("three.js is not cached here; geneface assets fetch three")
    write_view(motion_file, None, tmp_path / "preview.html", sound_file)
    words = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--use-gl=angle", "--use-angle=swiftshader",
             "--enable-unsafe-swiftshader", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND",
             "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=4000",
             "--dump-dom", (tmp_path / "preview.html").as_uri() + f"#frame={OPEN}"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    # The software driver says how it fares; the page says nothing.
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line and "GL Driver Message" not in line]
    assert not said
    assert 'data-ready="drawn"' in done.stdout
    assert f"frame {OPEN + 1} of {FRAMES}" in done.stdout
