"""glTF: the bundled head and one's own, curves of other programs, and files that lie."""
from __future__ import annotations

import base64
import json
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from geneface.errors import UserError
from geneface.face.arkit import ARKIT_NAMES, index
from geneface.face.basis import load_basis
from geneface.face.motion import motion_from_weights
from geneface.face.pose import head_positions, head_rotations, poses_of_angles
from geneface.formats import WriteOptions, read_motion, write_motion
from geneface.formats.glb import Document
from geneface.formats.gltf_curves import sample
from geneface.formats.gltf_rig import arkit_index, rig_of
from geneface.types import MotionSequence

JAW, SMILE, LOOK = index("jawOpen"), index("mouthSmileLeft"), index("eyeLookUpLeft")


def take(frames: int = 12, fps: float = 25.0, head: bool = True) -> MotionSequence:
    random = np.random.default_rng(3)
    pose = poses_of_angles(random.uniform(-0.6, 0.6, (frames, 3)), random.uniform(-0.1, 0.1, (frames, 3)))
    return replace(
        motion_from_weights(random.uniform(0, 1, (frames, 52)), fps, "speech: a.wav", pose if head else None,
                            gaze=random.uniform(-0.4, 0.4, (frames, 2))),
        history=("speak a.wav", "mouth 1.2"), words=((0.0, 0.2, "so"), (0.2, 0.4, "well")),
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("gltf") / "m.glb"
    return path, take(), write_motion(take(), path)


def degrees(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.degrees((Rotation.from_matrix(a).inv() * Rotation.from_matrix(b)).magnitude()).max())


@pytest.mark.parametrize("ending", ["glb", "gltf"])
def test_what_is_written_is_read_again(tmp_path, ending):
    motion = take(fps=30000 / 1001)
    result = write_motion(motion, tmp_path / f"m.{ending}")
    assert result == {"format": ending, "fps": 30000 / 1001, "frames": 12, "morph_targets": 52}
    again = read_motion(tmp_path / f"m.{ending}")
    assert again.fps == motion.fps and len(again) == 12
    np.testing.assert_allclose(again.expression, motion.expression, atol=1e-5)
    np.testing.assert_allclose(again.gaze, motion.gaze, atol=1e-5)
    assert degrees(head_rotations(again), head_rotations(motion)) < 1e-3
    np.testing.assert_allclose(head_positions(again), head_positions(motion), atol=1e-6)
    assert again.source == motion.source and again.words == motion.words
    assert again.history[:2] == motion.history and again.history[2].startswith("read m.")


def test_without_a_head_pose_the_head_does_not_turn(tmp_path):
    write_motion(take(1, head=False), tmp_path / "m.glb")
    again = read_motion(tmp_path / "m.glb")
    assert len(again) == 1 and again.head_pose is None


def test_the_bundled_head_in_metres_as_gltf_has_it(written):
    document = Document.open(written[0])
    mesh = document.json["meshes"][0]
    assert mesh["extras"]["targetNames"] == list(ARKIT_NAMES)
    assert [node["name"] for node in document.json["nodes"]] == ["Head", "Face", "LeftEye", "RightEye"]
    # The person's left is at positive x, the face in front.
    left, right = (document.json["nodes"][place]["translation"] for place in (2, 3))
    assert 0.02 < left[0] < 0.04 and right[0] == pytest.approx(-left[0], abs=1e-3) and left[2] > 0.05
    assert {len(primitive["targets"]) for primitive in mesh["primitives"]} == {52}
    # The deepest point of the chin goes down as the jaw opens, as in the basis.
    skin = next(p for p in mesh["primitives"] if document.json["materials"][p["material"]]["name"] == "skin")
    rest = document.read(skin["attributes"]["POSITION"])
    moved = document.read(skin["targets"][JAW]["POSITION"])
    basis = load_basis()
    assert moved[:, 1].min() == pytest.approx(-basis.expression[JAW][basis.regions["skin"], 1].max(), abs=1e-5)
    size = np.ptp(basis.mean[basis.regions["skin"]], axis=0)
    np.testing.assert_allclose(np.ptp(rest, axis=0), size, atol=1e-4)
    # Eyes turn as nodes; no target moves them as well.
    assert len(rig_of(document).eyes) == 2
    assert "synthetic" in document.json["asset"]["extras"]


def test_another_reader_agrees(written):
    reader = pytest.importorskip("pygltflib", reason="pygltflib, an independent reader, is not installed")
    path, motion, _ = written
    content = reader.GLTF2().load(str(path))
    animation = content.animations[0]
    assert animation.extras["fps"] == 25.0
    channel = next(c for c in animation.channels if c.target.path == "weights")
    assert content.nodes[channel.target.node].name == "Face"
    sampler = animation.samplers[channel.sampler]

    def values(number: int) -> np.ndarray:
        accessor = content.accessors[number]
        view = content.bufferViews[accessor.bufferView]
        return np.frombuffer(content.binary_blob(), np.float32, accessor.count, view.byteOffset)

    np.testing.assert_allclose(values(sampler.input), np.arange(12) / 25, atol=1e-6)
    np.testing.assert_allclose(values(sampler.output).reshape(12, 52), motion.expression, atol=1e-6)


def test_trimesh_sees_the_same_head(written):
    trimesh = pytest.importorskip("trimesh", reason="trimesh, an independent reader, is not installed")
    scene = trimesh.load(str(written[0]), force="scene")
    size = scene.extents  # [m], the rest pose
    assert size[1] == pytest.approx(np.ptp(load_basis().mean[:, 1]), abs=2e-3)
    assert sum(len(mesh.faces) for mesh in scene.geometry.values()) > 9000


def own_head(path, targets=("jawOpen", "MouthSmile_L", "Wolf3D_Head.eyeLookUpLeft", "wink"), looking=False, **changes):
    """A head of a user: a face, teeth with a target of their own, and a skeleton whose bones are turned at rest."""
    random = np.random.default_rng(5)
    document = Document({"asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0, 5, 6]}]})
    turned = Rotation.from_euler("XYZ", [0.4, -1.0, 0.3]).as_quat().tolist()
    for node in (
        {"name": "Hips", "children": [1], "rotation": turned}, {"name": "mixamorig:Neck", "children": [2]},
        {"name": "Head", "children": [3, 4], "rotation": turned, "translation": [0, 0.2, 0]},
        {"name": "J_Adj_L_FaceEye", "translation": [0.03, 0.05, 0.07]},
        {"name": "RightEye", "matrix": np.diag([2.0, 2, 2, 1]).reshape(-1).tolist()},
        {"name": "Wolf3D_Head", "mesh": 0, "skin": 0}, {"name": "Wolf3D_Teeth", "mesh": 1, "skin": 0},
    ):
        document.append("nodes", node)
    document.append("skins", {"joints": [0, 1, 2, 3, 4]})
    for name, names in (("face", targets), ("teeth", ("unrelated", "JAWOPEN"))):
        joints = np.zeros((6, 4), np.uint8)
        joints[:3, 0], joints[3:, 0] = 2, 3  # half on the head, half on the left eye
        deltas = random.uniform(-1, 1, (len(names), 6, 3)).astype(np.float32)
        if not looking:
            deltas[:, 3:] = 0
        document.append("meshes", {"name": name, "extras": {"targetNames": list(names)}, "weights": [0.25] * len(names),
            "primitives": [{
                "attributes": {
                    "POSITION": document.add(random.uniform(-1, 1, (6, 3)).astype(np.float32), bounds=True),
                    "JOINTS_0": document.add(joints),
                    "WEIGHTS_0": document.add(np.tile(np.array([1, 0, 0, 0], np.float32), (6, 1))),
                },
                "targets": [{"POSITION": document.add(delta, bounds=True)} for delta in deltas],
            }]})
    document.json |= changes
    document.save(path)
    return path


def test_an_own_head_is_animated_and_nothing_else_of_it_changes(tmp_path, capsys):
    head = own_head(tmp_path / "own.glb", extensionsUsed=["VENDOR_hair"], extensions={"VENDOR_hair": {"curls": 3}})
    motion = take()
    result = write_motion(motion, tmp_path / "out.glb", WriteOptions(head=head))
    assert result["morph_targets"] == 3
    warning = capsys.readouterr().err
    assert "3 of ARKit's 52" in warning and "tongueOut" in warning and "jawOpen" not in warning
    before, after = Document.open(head), Document.open(tmp_path / "out.glb")
    for name in ("meshes", "skins", "scenes", "extensions", "extensionsUsed", "asset"):
        assert after.json[name] == before.json[name]
    assert after.json["accessors"][:len(before.json["accessors"])] == before.json["accessors"]
    assert after.binary[:len(before.binary)] == before.binary
    # Targets of other names stay as they are at rest.
    animation = after.json["animations"][-1]
    samplers = animation["samplers"]
    channels = {tuple(c["target"].values()): samplers[c["sampler"]] for c in animation["channels"]}
    face = after.read(channels[5, "weights"]["output"]).reshape(12, 4)
    np.testing.assert_allclose(face[:, [0, 1, 2]], motion.expression[:, [JAW, SMILE, LOOK]], atol=1e-6)
    assert (face[:, 3] == 0.25).all()
    teeth = after.read(channels[6, "weights"]["output"]).reshape(12, 2)
    np.testing.assert_allclose(teeth[:, 1], motion.expression[:, JAW])
    assert (1, "rotation") in channels and (2, "translation") not in channels
    again = read_motion(tmp_path / "out.glb")
    assert degrees(head_rotations(again), head_rotations(motion)) < 1e-3
    np.testing.assert_allclose(again.gaze, motion.gaze, atol=1e-5)
    mine = [JAW, SMILE, LOOK]
    np.testing.assert_allclose(again.expression[:, mine], motion.expression[:, mine], atol=1e-6)


def test_bones_turn_the_head_in_the_scene(tmp_path):
    """The head's bone, with all above it, ends up turned by the motion's rotation from where it was."""
    motion = take(5)
    write_motion(motion, tmp_path / "out.glb", WriteOptions(head=own_head(tmp_path / "own.glb")))
    document = Document.open(tmp_path / "out.glb")
    animation = document.json["animations"][0]

    def world(frame: int | None) -> Rotation:
        out = Rotation.identity()
        for node in (0, 1, 2):
            local = document.json["nodes"][node].get("rotation", [0, 0, 0, 1])
            for channel in animation["channels"]:
                if frame is not None and channel["target"] == {"node": node, "path": "rotation"}:
                    local = document.read(animation["samplers"][channel["sampler"]]["output"])[frame]
            out = out * Rotation.from_quat(local)
        return out

    for frame in range(5):
        turn = (world(frame) * world(None).inv()).as_matrix()
        assert degrees(turn, head_rotations(motion)[frame]) < 1e-3


def test_eyes_that_targets_turn_are_not_turned_twice(tmp_path):
    assert len(rig_of(Document.open(own_head(tmp_path / "a.glb", looking=False))).eyes) == 2
    # No vertex hangs on the right one.
    assert len(rig_of(Document.open(own_head(tmp_path / "b.glb", looking=True))).eyes) == 1


@pytest.mark.parametrize("name, meant", [
    ("jawOpen", "jawOpen"), ("JAWOPEN", "jawOpen"), ("mouthSmile_L", "mouthSmileLeft"), ("eyeBlinkR", "eyeBlinkRight"),
    ("Wolf3D_Head.mouthLeft", "mouthLeft"), ("jaw_open.001", "jawOpen"), ("mouth_R", "mouthRight"),
    ("mouthRollUpper", "mouthRollUpper"), ("MouthOpen", None), ("", None),
])
def test_names_of_targets(name, meant):
    assert arkit_index(name) == (None if meant is None else ARKIT_NAMES.index(meant))


def test_a_head_without_the_names_is_refused(tmp_path):
    head = own_head(tmp_path / "own.glb", targets=("Fcl_MTH_A", "mouthClosed"))
    content = Document.open(head)
    content.json["meshes"][1]["extras"]["targetNames"] = ["a", "b"]
    content.save(head)
    with pytest.raises(UserError, match="none of its 4 morph targets.*'mouthClosed' to 'mouthClose'"):
        write_motion(take(), tmp_path / "out.glb", WriteOptions(head=head))
    assert not (tmp_path / "out.glb").exists()
    for mesh in content.json["meshes"]:
        del mesh["extras"]
    content.save(head)
    with pytest.raises(UserError, match="no names"):
        write_motion(take(), tmp_path / "out.glb", WriteOptions(head=head))
    (tmp_path / "bare.gltf").write_text('{"asset": {"version": "2.0"}}')
    with pytest.raises(UserError, match="no morph targets"):
        write_motion(take(), tmp_path / "out.glb", WriteOptions(head=tmp_path / "bare.gltf"))


def test_a_head_is_for_gltf_alone(tmp_path):
    with pytest.raises(UserError, match="--head .*own.glb: VRM animation has no head"):
        write_motion(take(), tmp_path / "m.vrma", WriteOptions(head=own_head(tmp_path / "own.glb")))


def curve(kind: str, times, values) -> tuple[Document, dict, dict]:
    document = Document({"asset": {"version": "2.0"}})
    sampler = {"input": document.add(np.array(times, np.float32), bounds=True), "interpolation": kind,
               "output": document.add(np.array(values, np.float32))}
    return document, {"samplers": [sampler]}, {"sampler": 0, "target": {"path": "weights"}}


def test_interpolations():
    at = np.array([-1, 0.0, 0.5, 1.0, 1.5, 9])
    straight = sample(*curve("LINEAR", [0, 1, 2], [0, 1, 0]), at, 1)[:, 0]
    np.testing.assert_allclose(straight, [0, 0, 0.5, 1, 0.5, 0], atol=1e-6)
    np.testing.assert_allclose(sample(*curve("STEP", [0, 1, 2], [0, 1, 0]), at, 1)[:, 0], [0, 0, 0, 1, 1, 0])
    # t(1-t)^2 on the way from tangent 1 at 0 to a flat end: the Hermite basis of the specification's appendix C.
    cubic = sample(*curve("CUBICSPLINE", [0, 1], [0, 0, 1, 0, 0, 0]), np.array([0.0, 0.25, 0.5, 1]), 1)[:, 0]
    np.testing.assert_allclose(cubic, [0, 0.140625, 0.125, 0], atol=1e-7)


def test_rotations_take_the_shorter_arc():
    document = Document({"asset": {"version": "2.0"}})
    ends = Rotation.from_euler("y", [[0], [90]], degrees=True).as_quat()
    ends[1] *= -1  # the same rotation
    sampler = {"input": document.add(np.array([0, 1], np.float32)), "output": document.add(ends.astype(np.float32))}
    channel = {"sampler": 0, "target": {"path": "rotation"}}
    out = sample(document, {"samplers": [sampler]}, channel, np.array([1 / 3]), 4)
    assert Rotation.from_quat(out).as_euler("YXZ", degrees=True)[0] == pytest.approx([30, 0, 0], abs=1e-4)


def foreign(path, times, values, kind="LINEAR", extras=None):
    """A face that another program animated: one target, jawOpen."""
    document, animation, channel = curve(kind, times, values)
    point = document.add(np.zeros((3, 3), np.float32), bounds=True)
    document.append("meshes", {"primitives": [{"attributes": {"POSITION": point}, "targets": [{"POSITION": point}]}],
                               "extras": {"targetNames": ["jawOpen"]}})
    document.append("nodes", {"mesh": 0})
    channel["target"]["node"] = 0
    document.append("animations", animation | {"channels": [channel]} | ({"extras": extras} if extras else {}))
    document.save(path)
    return path


def test_frame_rate_of_others(tmp_path):
    # Evenly keyed at 24 frames per second from the second frame on; the first key is the first frame.
    motion = read_motion(foreign(tmp_path / "a.glb", np.arange(1, 25) / 24, np.linspace(0, 1, 24)))
    assert motion.fps == 24 and len(motion) == 24
    np.testing.assert_allclose(motion.expression[:, JAW], np.linspace(0, 1, 24), atol=1e-6)
    # Keys where an animator set them: 30 frames per second between them.
    motion = read_motion(foreign(tmp_path / "b.glb", [0, 0.1, 1], [0, 1, 0]))
    assert motion.fps == 30 and len(motion) == 31 and motion.expression[3, JAW] == pytest.approx(1)
    assert motion.head_pose is None and motion.expression[:, SMILE].max() == 0
    # Film's 29.97.
    motion = read_motion(foreign(tmp_path / "c.glb", np.arange(60) * 1001 / 30000, np.zeros(60)))
    assert motion.fps == pytest.approx(30000 / 1001) and len(motion) == 60


def test_an_hour_keeps_its_values(tmp_path):
    """Times are in single precision: halfway through a step of 1 per frame they would cost 0.002 of weight."""
    weights = np.arange(90_000) % 2
    motion = read_motion(foreign(tmp_path / "long.glb", np.arange(90_000) / 25, weights, extras={"fps": 25.0}))
    assert len(motion) == 90_000
    assert np.abs(motion.expression[:, JAW] - weights).max() < 1e-6


def refused(path, match: str) -> None:
    with pytest.raises(UserError, match=match) as caught:
        read_motion(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_truncated_files(tmp_path, written):
    content = written[0].read_bytes()
    for length in (0, 3, 12, 19, 100, 5000, len(content) - 1):
        (tmp_path / "cut.glb").write_bytes(content[:length])
        refused(tmp_path / "cut.glb", "cut.glb: ")
    # A header that lies about the length of the chunks.
    (tmp_path / "lie.glb").write_bytes(content[:12] + struct.pack("<I", 2**31) + content[16:])
    refused(tmp_path / "lie.glb", "cut off")
    (tmp_path / "old.glb").write_bytes(content[:4] + struct.pack("<I", 1) + content[8:])
    refused(tmp_path / "old.glb", "version 1")


@pytest.mark.parametrize("uri", [
    "http://example.com/a.bin", "../secret.bin", "/etc/passwd", "a/../../secret.bin", "%2e%2e/secret.bin",
    "file:///etc/passwd", "..\\secret.bin", "link.bin", "c:secret.bin",
])
def test_buffers_stay_in_the_files_folder(tmp_path, uri):
    (tmp_path / "secret.bin").write_bytes(bytes(64))
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    for place in ("buffers", "images"):
        content = {"asset": {"version": "2.0"}, place: [{"uri": uri, "byteLength": 4}]}
        (folder / "m.gltf").write_text(json.dumps(content))
        refused(folder / "m.gltf", "not a file in its own folder|neither PNG nor JPEG")


def test_buffers_beside_the_file(tmp_path):
    document = Document.open(foreign(tmp_path / "a.glb", [0, 1], [0, 1]))
    content = dict(document.json) | {"buffers": [{"uri": "the%20data.bin", "byteLength": len(document.binary)}]}
    (tmp_path / "the data.bin").write_bytes(document.binary)
    (tmp_path / "b.gltf").write_text(json.dumps(content))
    assert read_motion(tmp_path / "b.gltf").expression[-1, JAW] == pytest.approx(1)
    # Several buffers and a picture become one buffer, so that the file can be written whole.
    half = base64.b64encode(bytes(8)).decode()
    content["buffers"].insert(0, {"uri": f"data:application/octet-stream;base64,{half}", "byteLength": 8})
    for view in content["bufferViews"]:
        view["buffer"] = 1
    content["images"] = [{"uri": "skin.png"}]
    (tmp_path / "skin.png").write_bytes(b"\x89PNG")
    (tmp_path / "c.gltf").write_text(json.dumps(content))
    write_motion(take(2), tmp_path / "d.glb", WriteOptions(head=tmp_path / "c.gltf"))
    again = Document.open(tmp_path / "d.glb")
    assert len(again.json["buffers"]) == 1 and "uri" not in again.json["images"][0]
    view = again.json["bufferViews"][again.json["images"][0]["bufferView"]]
    assert again.binary[view["byteOffset"]:][:4] == b"\x89PNG"
    # It has an animation of its own besides; ours is the one that is meant.
    assert len(again.json["animations"]) == 2
    motion = read_motion(tmp_path / "d.glb")
    np.testing.assert_allclose(motion.expression[:, JAW], take(2).expression[:, JAW], atol=1e-6)


@pytest.mark.parametrize("change, match", [
    (lambda c: c["accessors"][0].update(count=2**40), "too many values|beyond"),
    (lambda c: c["accessors"][0].update(count=-1), "count is -1"),
    (lambda c: c["accessors"][0].update(count=3), "beyond its buffer"),
    (lambda c: c["accessors"][0].update(byteOffset=10**9), "beyond its buffer"),
    (lambda c: c["accessors"][0].update(bufferView=99), "no entry '99'"),
    (lambda c: c["accessors"][0].update(componentType=1), "unknown type"),
    (lambda c: c["bufferViews"][0].update(byteStride=1), "beyond its buffer"),
    (lambda c: c["bufferViews"][0].update(buffer=3), "no buffer 3"),
    (lambda c: c["bufferViews"][0].update(byteLength=10**9), "beyond its buffer"),
    (lambda c: c["animations"][0]["samplers"][0].update(interpolation="CUBICSPLINE"), "values for 2 keyframes"),
    (lambda c: c["animations"][0]["samplers"][0].update(interpolation="WOBBLE"), "WOBBLE"),
    (lambda c: c["animations"][0]["samplers"][0].update(input="x"), "no entry 'x'"),
    (lambda c: c["animations"][0].update(channels=7), "damaged glTF"),
    (lambda c: c["animations"][0].update(extras={"fps": -3}), "-3 frames per second"),
    (lambda c: c["animations"][0].update(extras={"fps": 1e300}), "frames per second"),
    (lambda c: c["animations"][0].update(extras={"fps": 1, "generator": "geneface 1"}), "no longer what was written"),
    (lambda c: c["nodes"].append({"children": [1]}), "its own ancestor|animation"),
    (lambda c: c["nodes"][0].update(weights=[1, 2]), "do not fit"),
    (lambda c: c.update(nodes="all"), "no list"),
    (lambda c: c.pop("animations"), "no animation"),
    (lambda c: c.pop("asset"), "not a glTF 2 file"),
])
def test_documents_that_lie(tmp_path, change, match):
    document = Document.open(foreign(tmp_path / "a.glb", [0, 1], [0, 1]))
    if match.startswith("its own"):
        document.json["nodes"][0]["name"] = "Head"
        document.json["nodes"][0]["children"] = [1]
        document.json["nodes"].append({"children": [0]})
        document.save(tmp_path / "a.glb")
    else:
        change(document.json)
        document.save(tmp_path / "a.glb")
    refused(tmp_path / "a.glb", match)


def test_keyframes_of_nan_or_going_back(tmp_path):
    refused(foreign(tmp_path / "a.glb", [0, 1], [0, np.nan]), "NaN")
    refused(foreign(tmp_path / "b.glb", [0, 2, 1], [0, 1, 0]), "do not rise")
    refused(foreign(tmp_path / "c.glb", [0, 1e9], [0, 1], extras={"fps": 25}), "frames")


def test_json_bombs(tmp_path):
    (tmp_path / "deep.gltf").write_text("[" * 200_000)
    refused(tmp_path / "deep.gltf", "not a glTF file")
    (tmp_path / "wide.gltf").write_bytes(b'{"a":[' + b"{}," * (1 << 22) + b"0]}")
    refused(tmp_path / "wide.gltf", "more than")
    (tmp_path / "text.gltf").write_bytes(b"\xff\xfe\x00")
    refused(tmp_path / "text.gltf", "not a glTF file")


def test_heads_of_absurd_size(tmp_path):
    point = {"attributes": {"POSITION": 0}, "targets": [{}] * 5000}
    content = {"asset": {"version": "2.0"}, "meshes": [{"primitives": [point]}], "nodes": [{"mesh": 0}]}
    (tmp_path / "targets.gltf").write_text(json.dumps(content))
    refused(tmp_path / "targets.gltf", "5000 morph targets")
    point["targets"] = [{}] * 4000
    content["nodes"] *= 20
    (tmp_path / "nodes.gltf").write_text(json.dumps(content))
    refused(tmp_path / "nodes.gltf", "more than 65536 morph targets")
    chain = [{"name": "Head"}] + [{"children": [i]} for i in range(5000)]
    (tmp_path / "deep.gltf").write_text(json.dumps({"asset": {"version": "2.0"}, "nodes": chain}))
    refused(tmp_path / "deep.gltf", "its own ancestor")


def test_khronos_validator_finds_nothing(tmp_path, written):
    tool = Path(__file__).resolve().parents[2] / "tools" / "check_exports"
    if shutil.which("node") is None or not (tool / "node_modules" / "gltf-validator").is_dir():
        pytest.skip("node or gltf-validator is not there: run `npm ci` in tools/check_exports")
    files = [str(written[0])]
    for ending, head in (("gltf", None), ("vrma", None), ("glb", own_head(tmp_path / "own.glb"))):
        files.append(str(tmp_path / f"m.{ending}"))
        write_motion(take(), files[-1], WriteOptions(head=head))
    done = subprocess.run(["node", tool / "validate.mjs", tool / "node_modules", *files], capture_output=True, check=True)
    for file, issues in json.loads(done.stdout).items():
        assert (file, issues["errors"]) == (file, 0), issues["messages"]
        # The head of a test has more joints than it uses and no inverse bind matrices; what we add has nothing wrong.
        assert not any("/animations" in one for one in issues["messages"])
    assert json.loads(done.stdout)[files[0]]["messages"] == []
