"""The HTML report: complete in itself, safe, and the same figures as JSON."""
from __future__ import annotations

import base64
import io
import json
import re

import numpy as np
import pytest

from geneface.report import Report, Verdict, plain, readable, side_by_side


def test_page_is_complete_and_escaped(tmp_path):
    report = Report("Prepared: <script>alert(1)</script>", "a & b")
    section = report.section("Checks")
    section.text("plain <b>text</b>")
    section.values({"frames": 1000, "error": 1.23456, "offset": None}, {"error": "median"})
    section.verdicts([Verdict("face", "ok"), Verdict("sound", "fail", "-90 dB", "record <again>")])
    section.table(["a", "b"], [[1, 2.5], [float("nan"), "x"]])
    section.strip([np.full((20, 30, 3), 200, np.uint8), np.zeros((40, 10, 3), np.uint8)], "two", height=16)
    section.plot(lambda axes: axes.plot([1, 2, 3], label="line"), "a plot")
    section.points(["turn <left>"])
    section.gallery([(np.zeros((8, 8, 3), np.uint8), "early"), (np.zeros((8, 8, 3), np.uint8), "late")], "some")
    section.gallery([])
    section.plot(lambda rows: [axes.plot([1, 2]) for axes in rows], "two", rows=2)
    path = report.save(tmp_path / "report.html", {"value": np.float32(2), "none": float("nan"), "path": tmp_path})
    page = path.read_text("utf-8")
    assert "<script" not in page and "&lt;script&gt;" in page and "&lt;again&gt;" in page
    assert not re.search(r'(src|href)="(?!data:)', page) and "http" not in page
    assert page.index("sound") < page.index("face</td>")
    assert ">1.235<" in page and ">–<" in page
    pictures = re.findall(r"data:image/(\w+);base64,([^\"]+)", page)
    assert [kind for kind, _ in pictures] == ["jpeg", "png", "jpeg", "jpeg", "png"]
    assert "turn &lt;left&gt;" in page and page.index("some</h3>") < page.index(">early<") < page.index(">late<")
    from PIL import Image

    assert Image.open(io.BytesIO(base64.b64decode(pictures[0][1]))).size == (24 + 4 + 4, 16)
    assert json.loads((tmp_path / "report.json").read_text()) == {"value": 2.0, "none": None, "path": str(tmp_path)}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html", "report.json"]


def test_plain_and_readable():
    given = {"a": np.arange(3), "b": (np.int64(1), np.inf), 3: range(2)}
    assert plain(given) == {"a": [0, 1, 2], "b": [1, None], "3": [0, 1]}
    assert readable(0.000123456) == "0.0001235" and readable([]) == "none" and readable(True) == "yes"


def test_side_by_side_places_pictures():
    row = side_by_side([np.zeros((2, 2, 3), np.uint8), np.full((4, 1, 3), 9, np.uint8)], gap=1)
    assert row.shape == (4, 4, 3)
    assert (row[1:3, :2] == 0).all() and (row[0, :3] == 255).all() and (row[:, 3] == 9).all()


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="verdict"):
        Verdict("face", "good")
    with pytest.raises(ValueError, match="picture"):
        Report("x").section("y").picture(np.zeros((3, 3)))


def test_video_plays_inside_the_page(tmp_path):
    import av

    report = Report("x")
    section = report.section("y")
    section.video((np.full((32, 48, 3), 20 * i, np.uint8) for i in range(10)), 25.0, "moving",
                  np.zeros(6400, np.float32))
    section.video(iter([]), 25.0)
    page = report.html()
    videos = re.findall(r'<video src="data:video/mp4;base64,([^"]+)"', page)
    assert len(videos) == 1 and "autoplay" not in page and "moving" in page
    with av.open(io.BytesIO(base64.b64decode(videos[0]))) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert len(frames) == 10 and frames[9].shape == (32, 48, 3)
        assert frames[9].mean() == pytest.approx(180, abs=6)
        assert "Synthetic" not in container.metadata.get("comment", "")
