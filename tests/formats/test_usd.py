"""USD: valid for its own validators, deformed by its own library as the basis is, read back; strings and files that are
hostile."""
from __future__ import annotations

import json
import re
import sys
from dataclasses import replace

import numpy as np
import pytest

from geneface.cli.main import run
from geneface.errors import UserError
from geneface.face.arkit import ARKIT_NAMES, index
from geneface.face.motion import motion_from_weights
from geneface.face.pose import head_positions, head_rotations, poses_of_angles
from geneface.formats import read_motion, write_motion
from geneface.formats.headmesh import MATERIALS, load_head
from geneface.formats.usd import read_here
from geneface.formats.usda import quoted, usda
from geneface.types import MotionSequence

SOURCE = 'speech: "one"\n\ttwo\\three é 🙂.wav'


@pytest.fixture(scope="module")
def pxr():
    return pytest.importorskip("pxr", reason="usd-core is not installed (extra usd)")


def take(frames: int = 4, fps: float = 25.0, posed: bool = True) -> MotionSequence:
    rng = np.random.default_rng(11)
    poses = poses_of_angles(rng.uniform(-1, 1, (frames, 3)), rng.normal(0, 0.05, (frames, 3))) if posed else None
    return replace(
        motion_from_weights(rng.uniform(0, 1, (frames, 52)), fps, SOURCE, poses, rng.uniform(-0.3, 0.3, (frames, 2))),
        history=('speak "one"', "mouth 1.2"))


def errors(path) -> list[str]:
    """What USD's validators, all of them, say of a file."""
    from pxr import Usd, UsdValidation

    validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    assert len(validators) >= 20
    found = UsdValidation.ValidationContext(validators).Validate(Usd.Stage.Open(str(path)))
    return [error.GetErrorAsString() for error in found]


@pytest.mark.parametrize("ending", ["usda", "usdc", "usdz", "usd"])
def test_validators_find_nothing(ending, pxr, tmp_path):
    write_motion(take(), tmp_path / f"m.{ending}")
    assert errors(tmp_path / f"m.{ending}") == []
    assert [entry.name for entry in tmp_path.iterdir()] == [f"m.{ending}"]


@pytest.mark.parametrize("before, after", [
    ('    upAxis = "Y"\n', ""), ('    defaultPrim = "Head"\n', ""),
    ("float[] blendShapeWeights", "int[] blendShapeWeights"),
    ('prepend apiSchemas = ["SkelBindingAPI", "MaterialBindingAPI"]', 'prepend apiSchemas = ["MaterialBindingAPI"]'),
])
def test_validators_would_find_what_is_wrong(before, after, pxr, tmp_path):
    text = usda(take(1), load_head())
    assert before in text
    (tmp_path / "bad.usda").write_text(text.replace(before, after), "utf-8")
    assert errors(tmp_path / "bad.usda")


@pytest.mark.parametrize("frames, fps, ending", [
    (1, 25.0, "usda"), (3, 24.0, "usdc"), (12, 30000 / 1001, "usda"), (5, 60.0, "usdz"),
])
def test_everything_comes_back(frames, fps, ending, pxr, tmp_path):
    motion = take(frames, fps)
    write_motion(motion, tmp_path / f"m.{ending}")
    again = read_motion(tmp_path / f"m.{ending}")
    assert len(again) == frames and again.fps == pytest.approx(fps, rel=1e-12) and again.source == SOURCE
    assert again.history == (*motion.history, f"read m.{ending} (USD)")
    np.testing.assert_allclose(again.expression, motion.expression, atol=1e-6)
    np.testing.assert_allclose(again.gaze, motion.gaze, atol=1e-5)
    np.testing.assert_allclose(head_rotations(again), head_rotations(motion), atol=1e-5)
    np.testing.assert_allclose(head_positions(again), head_positions(motion), atol=2e-6)


def test_motion_without_pose_stays_without(pxr, tmp_path):
    write_motion(take(posed=False), tmp_path / "m.usda")
    assert read_motion(tmp_path / "m.usda").head_pose is None


def test_usd_reads_the_head_and_its_weights(pxr, tmp_path):
    from pxr import Usd, UsdGeom, UsdShade, UsdSkel

    motion, head = take(3, 30000 / 1001), load_head()
    write_motion(motion, tmp_path / "m.usda")
    stage = Usd.Stage.Open(str(tmp_path / "m.usda"))
    assert stage.GetDefaultPrim().GetTypeName() == "SkelRoot" and UsdGeom.GetStageMetersPerUnit(stage) == 1
    assert UsdGeom.GetStageUpAxis(stage) == "Y" and (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (0, 2)
    assert stage.GetTimeCodesPerSecond() == stage.GetFramesPerSecond() == 30000 / 1001
    about = stage.GetRootLayer().customLayerData["geneface"]
    assert about["source"] == SOURCE and list(about["history"]) == list(motion.history)
    assert "Synthetic" in about["comment"]
    animation = UsdSkel.Animation(stage.GetPrimAtPath("/Head/Motion"))
    assert tuple(animation.GetBlendShapesAttr().Get()) == ARKIT_NAMES
    np.testing.assert_allclose(animation.GetBlendShapeWeightsAttr().Get(2), motion.expression[2], atol=1e-6)
    colours = {}
    for part in head.parts:
        prim = stage.GetPrimAtPath(f"/Head/Face/{part.name}_part")
        material, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial()
        colours[part.name] = tuple(material.ComputeSurfaceSource()[0].GetInput("diffuseColor").Get())
    assert len(set(colours.values())) == len(MATERIALS)


def test_usd_deforms_the_head_as_the_basis_does(pxr, tmp_path):
    """UsdSkel's own skinning against the basis; the eyeballs, which turn as joints there, against the gaze."""
    from pxr import Gf, Usd, UsdGeom, UsdSkel

    motion, head = take(), load_head()
    write_motion(motion, tmp_path / "m.usda")
    stage = Usd.Stage.Open(str(tmp_path / "m.usda"))
    assert UsdSkel.BakeSkinning(UsdSkel.Root(stage.GetPrimAtPath("/Head")), Gf.Interval.GetFullInterval())
    mesh = UsdGeom.Mesh(stage.GetPrimAtPath("/Head/Face"))
    extent = np.array(UsdGeom.Boundable(stage.GetPrimAtPath("/Head")).GetExtentAttr().Get())
    eyes = np.concatenate(head.eyes)
    skin = np.setdiff1d(np.arange(len(head.vertices)), eyes)
    assert list(mesh.GetFaceVertexIndicesAttr().Get()) == head.triangles.ravel().tolist()
    for frame in range(len(motion)):
        posed = np.array(mesh.GetPointsAttr().Get(frame))
        assert (posed >= extent[0]).all() and (posed <= extent[1]).all()
        still = (posed - head_positions(motion)[frame]) @ head_rotations(motion)[frame]
        np.testing.assert_allclose(still[skin], head.shapes(motion.expression[frame])[skin], atol=2e-5)
        yaw, pitch = motion.gaze[frame]
        forward = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
        for eye, centre in zip(head.eyes, head.eye_centres):
            pole = eye[head.vertices[eye, 2].argmax()]
            before, after = head.vertices[pole] - centre, still[pole] - centre
            assert np.linalg.norm(after) == pytest.approx(np.linalg.norm(before), abs=1e-5)
            apart = np.degrees(np.arccos(after @ forward / np.linalg.norm(after)))
            assert apart == pytest.approx(np.degrees(np.arccos(before[2] / np.linalg.norm(before))), abs=0.1)


def test_open_jaw_is_lower_in_usd(pxr, tmp_path):
    from pxr import Usd, UsdSkel

    write_motion(take(1), tmp_path / "m.usda")
    stage = Usd.Stage.Open(str(tmp_path / "m.usda"))
    shape = UsdSkel.BlendShape(stage.GetPrimAtPath("/Head/Face/jawOpen"))
    moved, offsets = np.array(shape.GetPointIndicesAttr().Get()), np.array(shape.GetOffsetsAttr().Get())
    assert offsets[:, 1].min() == pytest.approx(-0.0343, abs=1e-4)
    np.testing.assert_allclose(offsets, load_head().deltas[index("jawOpen"), moved], atol=1e-6)


FOREIGN = """#usda 1.0
(
    timeCodesPerSecond = 24
)
def SkelAnimation "Other" {
    uniform token[] blendShapes = ["smile"]
    float[] blendShapeWeights.timeSamples = { 0: [1], 1: [0] }
}
def Xform "Rig" {
    def SkelAnimation "Face" {
        uniform token[] blendShapes = ["head:EyeBlink_L", "MouthSmileLeft", "custom", "jawOpen"]
        float[] blendShapeWeights.timeSamples = {
            10: [0, 0.5, 1, 0], 10.4: [0.25, 0.5, 1, 0.1], 10.8: [0.5, 0.5, 1, 2] }
    }
}
"""


def test_a_file_of_another_program(pxr, tmp_path):
    (tmp_path / "m.usda").write_text(FOREIGN)
    motion = read_here(tmp_path / "m.usda")
    assert len(motion) == 3 and motion.fps == pytest.approx(60) and motion.head_pose is None
    np.testing.assert_allclose(motion.expression[:, index("eyeBlinkLeft")], [0, 0.25, 0.5], atol=1e-6)
    np.testing.assert_allclose(motion.expression[:, index("jawOpen")], [0, 0.1, 1], atol=1e-6)
    np.testing.assert_allclose(motion.expression[:, index("mouthSmileLeft")], 0.5)


@pytest.mark.parametrize("before, after, message", [
    ("#usda 1.0", "#usda 9.0", "no readable USD file"),
    ("jawOpen\"]", "jawOpen\"", "no readable USD file"),
    ("2] }", "2, 3] }", "other values than its names"),
    ("2] }", "nan] }", "NaN or infinite"),
    ("2] }", "inf] }", "NaN or infinite"),
    ("10.8", "1e300", "frames per second"),
    ("10.8", "10.8: [0, 0, 0, 0], 11.2: [0, 0, 0, 0], 1e9", "frames; a motion has"),
    ("10.8", "inf", "no number|no readable"),
    ("timeCodesPerSecond = 24", "timeCodesPerSecond = -24", "frames per second"),
    ("timeCodesPerSecond = 24", "timeCodesPerSecond = 1e9", "frames per second"),
    ("timeCodesPerSecond = 24", "timeCodesPerSecond = nan", "frames per second|no readable|time codes"),
    ("float[] blendShapeWeights", "string[] blendShapeWeights", "no readable|other values"),
    ('"head:EyeBlink_L", "MouthSmileLeft", "custom", "jawOpen"', '"a", "b", "c", "d"', "no SkelAnimation"),
])
def test_damaged_files_are_one_line(before, after, message, pxr, tmp_path):
    assert before in FOREIGN
    (tmp_path / "bad.usda").write_text(FOREIGN.replace(before, after, 1))
    with pytest.raises(UserError, match=message) as caught:
        read_here(tmp_path / "bad.usda")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", ["usda", "usdc", "usdz"])
def test_cut_files_and_junk_are_one_line(ending, pxr, tmp_path):
    write_motion(take(2), tmp_path / f"m.{ending}")
    content = (tmp_path / f"m.{ending}").read_bytes()
    for bad in (b"", content[:100], content[: len(content) // 2], b"\x00" * 500, b"PK\x03\x04" + bytes(100)):
        (tmp_path / f"bad.{ending}").write_bytes(bad)
        with pytest.raises(UserError) as caught:
            read_here(tmp_path / f"bad.{ending}")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [
    "#usda 1.0\n" + 'def "a" {\n' * 200_000 + "}\n" * 200_000,
    "#usda 1.0\n(\n customLayerData = {" + "dictionary a = {" * 200_000 + "}" * 200_000 + "}\n)\n",
    '#usda 1.0\ndef "a" { double a = ' + "(" * 20_000 + ")" * 20_000 + "}\n",
])
def test_deep_nesting_is_refused_before_the_library_sees_it(text, pxr, tmp_path):
    """USD's parser overflows its stack on the first two."""
    (tmp_path / "deep.usda").write_text(text)
    with pytest.raises(UserError, match="brackets more than 500 deep"):
        read_here(tmp_path / "deep.usda")


def test_files_that_it_refers_to_are_not_opened(pxr, tmp_path):
    write_motion(take(2), tmp_path / "secret.usda")
    (tmp_path / "m.usda").write_text('#usda 1.0\n(\n    subLayers = [@../../../secret.usda@, @./secret.usda@]\n)\n')
    with pytest.raises(UserError, match="refers to other files, flatten it"):
        read_here(tmp_path / "m.usda")


def test_what_aborts_the_library_is_one_line(pxr, tmp_path):
    write_motion(take(8), tmp_path / "m.usdz")
    content = bytearray((tmp_path / "m.usdz").read_bytes())
    content[256] ^= 64  # "Dereferenced an invalid SdfPrimSpec" in usd-core 25
    (tmp_path / "m.usdz").write_bytes(content)
    try:
        assert len(read_motion(tmp_path / "m.usdz")) == 8
    except UserError as error:
        assert "m.usdz" in str(error) and "\n" not in str(error)


def test_strings_end_where_they_should(pxr, tmp_path):
    from pxr import Sdf

    hostile = '"\n}\ndef Mesh "evil" {}\n# \\" \\ """ \x00\x07\x7f\ud800'
    assert "\n" not in quoted(hostile) and quoted('a"b') == '"a\\"b"'
    write_motion(replace(take(1), source=hostile, history=(hostile,)), tmp_path / "m.usda")
    layer = Sdf.Layer.OpenAsAnonymous(str(tmp_path / "m.usda"))
    assert layer.GetPrimAtPath("/evil") is None and [prim.name for prim in layer.rootPrims] == ["Head"]
    expected = hostile.replace("\x00", "?").replace("\x07", "?").replace("\x7f", "?").replace("\ud800", "?")
    assert layer.customLayerData["geneface"]["source"] == expected


def test_text_needs_no_library_and_the_rest_says_so(tmp_path, monkeypatch, capfd):
    take(2).save(tmp_path / "m.npz")
    for name in [name for name in sys.modules if name.split(".")[0] == "pxr"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pxr", None)
    assert run(["export", str(tmp_path / "m.npz"), "-o", str(tmp_path / "m.usda"), "--fps", "29.97", "--json"]) == 0
    result = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert result["format"] == "usd" and result["fps"] == 30000 / 1001
    text = (tmp_path / "m.usda").read_text("utf-8")
    assert re.search(r"timeCodesPerSecond = 29\.97002997", text) and text.count("def BlendShape") == 52
    for arguments in (["export", str(tmp_path / "m.npz"), "-o", str(tmp_path / "m.usdz")],
                      ["export", str(tmp_path / "m.usda"), "-o", str(tmp_path / "again.npz")]):
        assert run(arguments) == 2
        assert "geneface[usd]" in capfd.readouterr().err
    assert not (tmp_path / "m.usdz").exists() and not (tmp_path / "again.npz").exists()
