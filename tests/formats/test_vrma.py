"""VRM animation: what the specification asks for, presets that are readable, and back."""
from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from geneface.errors import UserError
from geneface.face.arkit import ARKIT_NAMES, index, indices
from geneface.face.motion import motion_from_weights
from geneface.face.pose import head_rotations, poses_of_angles
from geneface.formats import WriteOptions, read_motion, write_motion
from geneface.formats.glb import Document
from geneface.formats.vrm_presets import FEELINGS, VOWELS, preset_weights, vowel_weights
from geneface.motion.emotions import EMOTIONS
from geneface.types import MotionSequence

REQUIRED = [  # of VRM 1.0, humanoid.md
    "hips", "spine", "head", *(side + part for side in ("left", "right") for part in (
        "UpperLeg", "LowerLeg", "Foot", "UpperArm", "LowerArm", "Hand"
    )),
]


def take(frames: int = 12) -> MotionSequence:
    random = np.random.default_rng(4)
    pose = poses_of_angles(random.uniform(-0.6, 0.6, (frames, 3)))
    gaze = random.uniform(-0.4, 0.4, (frames, 2))
    return motion_from_weights(random.uniform(0, 1, (frames, 52)), 30.0, "speech: a.wav", pose, gaze)


def shape(name: str, strength: float = 1.0) -> np.ndarray:
    """[1,52] ARKit weights of a vowel."""
    out = np.zeros((1, 52), np.float32)
    for action, weight in VOWELS[name].items():
        out[0, index(action)] = strength * weight
    return out


def curves(document: Document, animation: dict) -> dict[tuple[str, str], np.ndarray]:
    """(node's name, path) -> values."""
    nodes = document.json["nodes"]
    return {(nodes[c["target"]["node"]]["name"], c["target"]["path"]):
            document.read(animation["samplers"][c["sampler"]]["output"]) for c in animation["channels"]}


@pytest.mark.parametrize("format", ["vrma", "vrma-perfect-sync"])
def test_what_is_written_is_read_again(tmp_path, format):
    motion = take()
    result = write_motion(motion, tmp_path / "m.vrma", WriteOptions(format=format))
    assert result["expressions"] == {"preset": 12, "custom": 52} and result["fps"] == 30
    again = read_motion(tmp_path / "m.vrma")
    assert again.fps == 30 and len(again) == 12 and again.source == motion.source
    np.testing.assert_allclose(again.expression, motion.expression, atol=1e-5)
    np.testing.assert_allclose(again.gaze, motion.gaze, atol=1e-5)
    turn = Rotation.from_matrix(head_rotations(again)).inv() * Rotation.from_matrix(head_rotations(motion))
    assert np.degrees(turn.magnitude()).max() < 1e-3


def test_nodes_as_the_specification_has_them(tmp_path):
    write_motion(take(), tmp_path / "m.vrma")
    document = Document.open(tmp_path / "m.vrma")
    extension = document.json["extensions"]["VRMC_vrm_animation"]
    assert document.json["extensionsUsed"] == ["VRMC_vrm_animation"] and extension["specVersion"] == "1.0"
    bones = {name: place["node"] for name, place in extension["humanoid"]["humanBones"].items()}
    assert set(REQUIRED) <= set(bones) and not {"leftEye", "rightEye"} & set(bones)
    nodes = document.json["nodes"]
    parents = {child: i for i, node in enumerate(nodes) for child in node.get("children", ())}

    def place(node: int) -> np.ndarray:
        return np.array(nodes[node]["translation"]) + (place(parents[node]) if node in parents else 0)

    # T-pose: arms level along x, the left one at positive x; feet near the ground, the head above; nothing turned.
    assert place(bones["leftHand"])[1] == pytest.approx(place(bones["leftUpperArm"])[1])
    assert place(bones["leftHand"])[0] > 0.5 and place(bones["hips"])[1] > 0.5
    assert abs(place(bones["leftFoot"])[1]) < 0.15
    assert place(bones["head"])[1] > place(bones["leftHand"])[1]
    assert not any("rotation" in node for node in nodes)
    expressions = extension["expressions"]
    assert set(expressions["custom"]) == set(ARKIT_NAMES)
    assert not {"lookUp", "lookDown", "lookLeft", "lookRight"} & set(expressions["preset"])
    for animation in document.json["animations"]:
        kinds = {(node, path) for node, path in curves(document, animation)}
        assert ("head", "rotation") in kinds and ("lookAt", "rotation") in kinds
        assert not any(path == "scale" or (path == "translation" and node in bones) for node, path in kinds)


def test_an_animation_moves_presets_or_custom_expressions_and_never_both(tmp_path):
    motion = take()
    first = {}
    for format in ("vrma", "vrma-perfect-sync"):
        write_motion(motion, tmp_path / "m.vrma", WriteOptions(format=format))
        document = Document.open(tmp_path / "m.vrma")
        content = [curves(document, animation) for animation in document.json["animations"]]
        names = [{node for node, path in one if path == "translation"} for one in content]
        assert sorted(map(len, names)) == [12, 52] and not names[0] & names[1]
        first[format] = content[0]
    jaw = first["vrma-perfect-sync"]["jawOpen", "translation"]
    np.testing.assert_allclose(jaw[:, 0], motion.expression[:, index("jawOpen")], atol=1e-6)
    assert (jaw[:, 1:] == 0).all()
    assert ("aa", "translation") in first["vrma"]


def test_gaze_turns_to_the_persons_left_and_up(tmp_path):
    motion = motion_from_weights(np.zeros((1, 52)), 25.0, "test", gaze=np.radians([[20.0, 10.0]]))
    write_motion(motion, tmp_path / "m.vrma")
    document = Document.open(tmp_path / "m.vrma")
    turn = Rotation.from_quat(curves(document, document.json["animations"][0])["lookAt", "rotation"])
    yaw, pitch, roll = turn.as_euler("YXZ", degrees=True)[0]  # the order of VRM's lookAt; positive pitch looks down
    assert (yaw, pitch, roll) == (pytest.approx(20, abs=1e-4), pytest.approx(-10, abs=1e-4), pytest.approx(0, abs=1e-4))


@pytest.mark.parametrize("vowel", VOWELS)
def test_a_vowel_is_itself(vowel):
    found = dict(zip(VOWELS, vowel_weights(shape(vowel, 0.7))[0]))
    assert found.pop(vowel) == pytest.approx(0.7, abs=1e-4)
    assert max(found.values()) < 1e-4


def test_vowels_are_non_negative_least_squares():
    from scipy.optimize import nnls

    from geneface.face.basis import load_basis

    random = np.random.default_rng(0)
    weights = np.clip(random.normal(0, 0.3, (20, 52)), 0, 1).astype(np.float32)
    weights[:, [i for i, name in enumerate(ARKIT_NAMES) if not name.startswith(("jaw", "mouth", "tongue"))]] = 0
    points = [8, *range(48, 68)]
    rest = load_basis().landmarks68(np.zeros(52, np.float32))[points]
    columns = np.stack([(load_basis().landmarks68(shape(name)[0])[points] - rest).ravel() for name in VOWELS], axis=1)
    for row, found in zip(weights, vowel_weights(weights)):
        best, _ = nnls(columns.astype(float), (load_basis().landmarks68(row)[points] - rest).ravel().astype(float))
        np.testing.assert_allclose(found, np.clip(best, 0, 1), atol=1e-3)


def test_blinks_of_both_eyes_are_not_counted_twice():
    weights = np.zeros((3, 52), np.float32)
    weights[:, indices("eyeBlink*")] = [[0.8, 0.8], [1.0, 0.3], [0.0, 0.4]]
    found = preset_weights(weights, 25)
    np.testing.assert_allclose(found["blink"], [0.8, 0.3, 0], atol=1e-6)
    np.testing.assert_allclose(found["blinkLeft"], [0, 0.7, 0], atol=1e-6)
    np.testing.assert_allclose(found["blinkRight"], [0, 0, 0.4], atol=1e-6)


@pytest.mark.parametrize("feeling", ["happy", "sad", "angry", "surprised"])
def test_a_feeling_shows_where_it_is_plain_and_not_in_speech(feeling):
    random = np.random.default_rng(2)
    speech = np.zeros((100, 52))
    speech[:, indices("jawOpen", "mouthFunnel", "mouthLowerDown*")] = random.uniform(0, 0.5, (100, 4))
    speech[50:54, indices("mouthSmile*")] = 0.6  # as long as a vowel is wide
    quiet = preset_weights(speech.astype(np.float32), 25)
    assert not any(quiet[name].any() for name in FEELINGS)
    felt = np.clip(speech + EMOTIONS[feeling].vector(), 0, 1).astype(np.float32)
    found = preset_weights(felt, 25)
    assert found[feeling].mean() > 0.8
    assert not any(found[name].any() for name in FEELINGS if name != feeling)


def test_files_of_others(tmp_path):
    write_motion(take(), tmp_path / "m.vrma")
    document = Document.open(tmp_path / "m.vrma")
    extension = document.json["extensions"]["VRMC_vrm_animation"]
    # Perfect sync in Pascal case, a bone that is turned at rest, no extras.
    extension["expressions"]["custom"] = {
        name[0].upper() + name[1:]: place for name, place in extension["expressions"]["custom"].items()
    }
    for animation in document.json["animations"]:
        del animation["extras"]
    document.save(tmp_path / "other.vrma")
    again = read_motion(tmp_path / "other.vrma")
    np.testing.assert_allclose(again.expression, take().expression, atol=1e-5)
    assert again.fps == 30 and again.source == "VRM animation: other.vrma"
    extension["expressions"].pop("custom")
    document.save(tmp_path / "presets.vrma")
    with pytest.raises(UserError, match="no custom expressions of ARKit's names"):
        read_motion(tmp_path / "presets.vrma")


@pytest.mark.parametrize("change, match", [
    (lambda d: d.json.pop("extensions"), "no VRM animation"),
    (lambda d: d.json["extensions"].update(VRMC_vrm_animation=[]), "no VRM animation"),
    (lambda d: d.json["extensions"]["VRMC_vrm_animation"].update(expressions={"custom": 3}), "damaged|custom"),
    (lambda d: d.json["extensions"]["VRMC_vrm_animation"].update(humanoid=[1]), "damaged"),
    (lambda d: d.json["nodes"][0].update(rotation=[0, 0, 0, 0]), "no quaternion"),
    (lambda d: d.json["nodes"][3].update(children=[0]), "own ancestor"),
    (lambda d: d.json["accessors"][-1].update(count=10**9), "too many|beyond"),
])
def test_documents_that_lie(tmp_path, change, match):
    write_motion(take(2), tmp_path / "m.vrma")
    document = Document.open(tmp_path / "m.vrma")
    change(document)
    document.save(tmp_path / "m.vrma")
    with pytest.raises(UserError, match=match) as caught:
        read_motion(tmp_path / "m.vrma")
    assert "\n" not in str(caught.value)
