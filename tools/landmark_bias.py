"""Where MediaPipe sees the landmarks of the face basis: measured on drawn heads whose shape and pose are known.

    python tools/landmark_bias.py draw heads.npz --heads 80      (about 10 s a head on one core)
    python tools/landmark_bias.py fit heads.npz                  (writes geneface/data/landmark_bias.safetensors)

Every head has another identity, and is drawn from directions up to 40 degrees aside and 24 up or down, with random
expressions and focal lengths. A landmark's bias is linear in the direction that the head is seen from, and for lips,
eyes and brows in the expressions that move them. Both sides of the face are alike, and the two edges of the lips
share one bias, so that lips which touch on the basis touch as seen. Every sixth head is left out to tell how well the
bias holds for others; the identities of `tools/track_study.py` are none of these.
"""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import geneface  # noqa: F401  (before torch)
from data_prep.synthetic.clip import CAMERA_BELOW, DISTANCE
from data_prep.synthetic.movement import PIVOT, _look
from data_prep.synthetic.person import Person
from data_prep.synthetic.render import SUPERSAMPLING, Renderer
from data_prep.synthetic.speech import demo_speech
from data_prep.synthetic.visemes import mouth_curves
from geneface.face import arkit
from geneface.face import landmarks as lm
from geneface.face.basis import AnnyBasis, view_direction
from geneface.face.detector import FaceDetector

DATA = Path(__file__).resolve().parent.parent / "geneface" / "data"
SIZE = 256  # side of the pictures [px]
VIEWS = 14  # of each head
SHIFT_PRIOR, VIEW_PRIOR, EXPRESSION_PRIOR = 1e-3, 0.1, 5.0  # views that hold a coefficient at 0
OUTLIER = 0.004  # [m]


def random_expression(rng: np.random.Generator) -> np.ndarray:
    """[52] weights: a mouth that speaks or grimaces, lids, brows and gaze, each drawn for itself."""
    out = np.zeros((1, 52))
    for name in arkit.ARKIT_NAMES:
        if name.endswith("Right") or name.startswith("eyeLook") or name == "tongueOut":
            continue
        if rng.random() < (0.36 if name == "jawOpen" else 0.2):
            value = rng.uniform(0, 0.8)
            out[0, arkit.index(name)] = value
            if name.endswith("Left"):
                out[0, arkit.index(arkit.mirrored(name))] = np.clip(value + rng.normal(0, 0.05), 0, 1)
    if rng.random() < 0.6:
        speech = demo_speech("driving")
        mouth = mouth_curves(speech.phones, rng.uniform(0, speech.phones[-1][2], 1))[0] * rng.uniform(0.7, 1.3)
        smile = out[0, arkit.indices("mouthSmile*")].copy()
        out[0, arkit.MOUTH] = mouth[list(arkit.MOUTH)].clip(0, 1)
        out[0, arkit.indices("mouthSmile*")] += 0.5 * smile
    # Lips that close further than the jaw is open would pass through each other.
    close, jaw = arkit.index("mouthClose"), arkit.index("jawOpen")
    out[0, close] = min(out[0, close], out[0, jaw])
    out[0, arkit.indices("eyeBlink*")] = rng.uniform(0.3, 1) if rng.random() < 0.3 else rng.uniform(0, 0.15)
    _look(out, rng.normal(0, [[0.15, 0.1]]).clip(-0.4, 0.4))
    return out[0].astype(np.float32)


def draw(path: Path, heads: int, first: int) -> None:
    """Draw heads and find their landmarks: `path` holds what was drawn and what was seen, one row a picture."""
    basis = AnnyBasis.load(DATA / "face_basis.safetensors")
    names = ("seen", "rotation", "translation", "focal", "identity", "expression", "head")
    rows: dict[str, list] = {name: [] for name in names}
    with FaceDetector() as detector:
        for number in range(first, first + heads):
            rng = np.random.default_rng([number, 99])
            identity = np.clip(0.65 * rng.standard_normal(basis.components), -1.4, 1.4).astype(np.float32)
            person = Person(basis, identity, number)
            renderer = Renderer(person, np.eye(3), SIZE, SIZE, number)
            for _ in range(VIEWS):
                focal = float(np.exp(rng.uniform(np.log(1.2), np.log(3.5))))
                intrinsics = np.array([[focal * SIZE, 0, SIZE / 2], [0, focal * SIZE, SIZE / 2], [0, 0, 1]])
                renderer.intrinsics = intrinsics * [[SUPERSAMPLING], [SUPERSAMPLING], [1]]
                camera, head = np.eye(4), np.eye(4)
                camera[:3, 3] = [0, -CAMERA_BELOW, DISTANCE * focal / 2.7]
                angles = rng.uniform(-1, 1, 3) * [40, 24, 12]
                head[:3, :3] = Rotation.from_euler("yxz", angles, degrees=True).as_matrix()
                head[:3, 3] = PIVOT - head[:3, :3] @ PIVOT
                expression, placed = random_expression(rng), camera @ head
                posed = person.pose(expression, head, np.zeros(3), camera)
                found = detector.detect(renderer.frame(posed, placed[:3, :3], camera[:3, :3])[0])
                if found is None:
                    continue
                for name, value in zip(names, (found.landmarks, placed[:3, :3], placed[:3, 3], focal * SIZE, identity,
                                               expression, number)):
                    rows[name].append(value)
            print(f"head {number}: {len(rows['seen'])} pictures", flush=True)
            np.savez(path, **{name: np.array(value) for name, value in rows.items()})


def moved_by_expression() -> np.ndarray:
    """[478,52] bool: where the bias may depend on the expression."""
    out = np.zeros((478, 52), bool)
    eyes = np.concatenate([lm.EYE_RIGHT, lm.EYE_LEFT, lm.IRIS_RIGHT, lm.IRIS_LEFT])
    for landmarks, expressions in ((lm.LIPS, arkit.MOUTH), (eyes, arkit.EYELIDS + arkit.GAZE), (lm.BROWS, arkit.BROWS)):
        out[np.ix_(landmarks, list(expressions))] = True
    return out


class Problem:
    """The bias of every landmark as linear least squares over the pictures.

    Attributes:
        head: [N] number of the head in each picture.
        features: [N,55] 1, direction seen from, expression.
        projector: [N,478,2,3] picture plane at the landmark's depth, by a shift in the head frame.
        miss: [N,478,2] what is seen less what is there, at the landmark's depth [m].
    """

    def __init__(self, path: Path, basis: AnnyBasis) -> None:
        data = dict(np.load(path, allow_pickle=False))
        rotation, translation = data["rotation"], data["translation"]
        points = np.stack([basis.landmarks478(*pair) for pair in zip(data["identity"], data["expression"])])
        camera = points.astype(np.float64) @ rotation.transpose(0, 2, 1) + translation[:, None]
        rays = (data["seen"].astype(np.float64) - SIZE / 2) / data["focal"][:, None, None]
        self.head = data["head"]
        self.features = np.concatenate(
            [np.ones((len(points), 1)), view_direction(rotation, translation), data["expression"]], 1)
        self.projector = rotation[:, None, :2] - rays[..., None] * rotation[:, None, 2:]
        self.miss = rays * camera[..., 2:] - camera[..., :2]

    def solve(self, basis: AnnyBasis, chosen: np.ndarray) -> np.ndarray:
        """[55,478,3] bias from the chosen pictures [N]."""
        bias, depends = np.zeros((55, 478, 3)), moved_by_expression()
        for landmark in range(478):
            used = np.concatenate([[True] * 3, depends[landmark]])
            features = self.features[chosen][:, used]
            rows = self.projector[chosen, landmark][:, :, None, :] * features[:, None, :, None]
            rows, miss = rows.reshape(len(features) * 2, -1), self.miss[chosen, landmark].ravel()
            prior = np.concatenate([[SHIFT_PRIOR], [VIEW_PRIOR] * 2, [EXPRESSION_PRIOR] * (used.sum() - 3)]).repeat(3)
            value = np.zeros(rows.shape[1])
            weights = np.ones(len(miss))
            for _ in range(3):
                weighted = rows * weights[:, None]
                value = np.linalg.solve(weighted.T @ rows + np.diag(prior), weighted.T @ miss)
                left = np.linalg.norm((miss - rows @ value).reshape(-1, 2), axis=1)
                weights = np.repeat(1 / (1 + (left / OUTLIER) ** 2), 2)
            bias[used, landmark] = value.reshape(-1, 3)
        upper, lower = lm.LIPS_INNER_UPPER[1:-1], lm.LIPS_INNER_LOWER[1:-1]
        bias[:, upper] = bias[:, lower] = (bias[:, upper] + bias[:, lower]) / 2
        other = bias[:, basis.landmark_mirror] * [-1, 1, 1]
        other[1] *= -1
        other[3:] = other[3:][[arkit.index(arkit.mirrored(name)) for name in arkit.ARKIT_NAMES]]
        return (bias + other) / 2

    def left(self, bias: np.ndarray, chosen: np.ndarray) -> float:
        """Median distance [mm] of the 68 points as seen from where they should be seen."""
        shift = np.tensordot(self.features[chosen], bias, 1)
        miss = self.miss[chosen] - np.einsum("nlij,nlj->nli", self.projector[chosen], shift)
        return 1e3 * float(np.median(np.linalg.norm(miss[:, lm.MEDIAPIPE_TO_68], axis=-1)))


def fit(path: Path) -> None:
    from safetensors.numpy import save_file

    basis = AnnyBasis.load(DATA / "face_basis.safetensors")
    problem = Problem(path, basis)
    others = np.isin(problem.head, np.unique(problem.head)[::6])
    bias = problem.solve(basis, ~others)
    print(f"on {len(np.unique(problem.head[others]))} heads left out: {problem.left(0 * bias, others):.2f} mm before, "
          f"{problem.left(bias, others):.2f} mm with the bias of the others")
    bias = problem.solve(basis, np.ones(len(problem.head), bool))
    save_file({"bias": bias.astype(np.float16)}, DATA / "landmark_bias.safetensors")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("draw", "fit"))
    parser.add_argument("heads_file", type=Path)
    parser.add_argument("--heads", type=int, default=80)
    parser.add_argument("--first", type=int, default=1000, help="number of the first head: other numbers, other heads")
    given = parser.parse_args()
    if given.what == "draw":
        draw(given.heads_file, given.heads, given.first)
    else:
        fit(given.heads_file)
