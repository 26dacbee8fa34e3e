"""Where MediaPipe's 478 landmarks lie on the head mesh: measured on renders, kept as vertices and weights.

Plainly shaded renders of the mesh (several identities, head turns, expressions) are shown to MediaPipe's Face
Landmarker; each landmark is taken back to the surface it fell on, and the robust mean over all pictures is its place.
The contours that matter most (inner and outer lips, eyelids) are then set onto the mesh's own edge loops, so that
they move with the lips and lids and never with the skin beside them.
"""
from __future__ import annotations

from pathlib import Path

import numpy as np
import geneface.face.landmarks as lm
from geneface.face.arkit import index
from geneface.face.surface import vertex_normals
from geneface.progress import say, track

SIZE = 640  # side of a render [px]
FOCAL = 1700.0  # [px]
DISTANCE = 1.1  # camera to head origin [m]
SKIN_COLOUR, LIP_COLOUR = (0.80, 0.62, 0.53), (0.66, 0.36, 0.35)


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """[3,3] head-to-camera rotation from degrees (OpenCV axes: yaw about y, pitch about x, roll about z)."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_euler("zyx", [roll, yaw, pitch], degrees=True).as_matrix()


def project(points: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Head-space points [N,3] to [N,3]: pixel x, pixel y, depth [m]."""
    camera = points @ turn.T + [0.0, 0.0, DISTANCE]
    xy = FOCAL * camera[:, :2] / camera[:, 2:] + SIZE / 2
    return np.concatenate([xy, camera[:, 2:]], 1)


class Renderer:
    """Shaded pictures of the mesh in which a face tracker sees skin, lips, eyes and brows."""

    def __init__(self, mesh) -> None:
        self.mesh = mesh
        hidden = np.isin(mesh.triangles, mesh.groups["eyelashes"]).any(1)
        self.triangles = mesh.triangles[~hidden]
        self.colours = np.tile(np.array(SKIN_COLOUR), (len(mesh.mean), 1))
        for name, colour in {
            "lips": LIP_COLOUR, "mouth_cavity": (0.16, 0.05, 0.05), "eye_cavity": (0.45, 0.28, 0.25),
            "teeth": (0.93, 0.91, 0.86), "tongue": (0.62, 0.30, 0.30),
            "eyeball_left": (0.95, 0.94, 0.92), "eyeball_right": (0.95, 0.94, 0.92),
        }.items():
            self.colours[mesh.groups[name]] = colour
        self.eyes = [mesh.groups["eyeball_left"], mesh.groups["eyeball_right"]]

    def __call__(self, vertices: np.ndarray, turn: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Picture [H,W,3] uint8, triangle index [H,W] (-1 none), barycentric weights [H,W,3]."""
        import torch

        from geneface import ops

        screen = project(vertices, turn)
        face, weights, _ = (value.numpy() for value in ops.rasterize(
            torch.from_numpy(screen.astype(np.float32)), torch.from_numpy(self.triangles.astype(np.int32)), SIZE, SIZE
        ))
        seen = face >= 0
        corners = self.triangles[face[seen]]
        w = weights[seen][..., None]
        normals = vertex_normals(vertices, self.mesh.triangles) @ turn.T
        normal = (normals[corners] * w).sum(1)
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-9
        light = np.array([-0.35, -0.55, -0.75])
        shade = 0.45 + 0.55 * np.clip(normal @ (light / np.linalg.norm(light)), 0, 1)
        albedo = (self.colours[corners] * w).sum(1)
        rest = (self.mesh.mean[corners] * w).sum(1)
        self._paint(albedo, rest, corners)
        picture = np.full((SIZE, SIZE, 3), 0.55)
        picture[seen] = np.clip(albedo * shade[:, None], 0, 1)
        return (picture * 255).astype(np.uint8), face, weights

    def _paint(self, albedo: np.ndarray, rest: np.ndarray, corners: np.ndarray) -> None:
        """Iris, pupil and brows, drawn by where a pixel lies on the neutral mean head."""
        skin = np.isin(corners[:, 0], self.mesh.groups["skin"])
        for members in self.eyes:
            points = self.mesh.mean[members]
            centre = (points.min(0) + points.max(0)) / 2
            on_eye = np.isin(corners[:, 0], members) & (rest[:, 2] < centre[2])
            radius = np.linalg.norm(rest[:, :2] - centre[:2], axis=-1)
            albedo[on_eye & (radius < 0.0062)] = (0.28, 0.20, 0.14)
            albedo[on_eye & (radius < 0.0026)] = 0.02
            side = np.sign(centre[0])
            along = side * rest[:, 0]  # brow: an arc over the eye, thin at its outer end
            arc = centre[1] - 0.0165 - 0.004 * np.sin(np.clip((along - 0.012) / 0.042, 0, 1) * np.pi)
            width = np.interp(along, [0.012, 0.03, 0.054], [0.0042, 0.0036, 0.0012])
            brow = skin & (np.abs(rest[:, 1] - arc) < width) & (along > 0.012) & (along < 0.054) & (rest[:, 2] < -0.03)
            albedo[brow] = (0.27, 0.19, 0.15)


# Vertices of MakeHuman's base mesh along the edges that MediaPipe's contours follow, on the person's right half,
# from the outer corner to the middle (lips: where upper and lower lip touch) or to the inner corner (lids).
EDGES = {
    "lip_upper": (431, 430, 418, 419, 516, 5360, 515, 514, 522, 521, 520),
    "lip_lower": (431, 444, 437, 475, 518, 534, 540),
    "lid_upper": (24, 18, 15, 12, 9, 6, 0, 1, 54, 57, 60, 102, 63, 67, 68),
    "lid_lower": (24, 27, 30, 33, 36, 41, 44, 47, 50, 53, 72, 69, 70, 68),
}
CONTOURS = {  # landmarks that lie on each edge, right half
    "lip_upper": lm.LIPS_INNER_UPPER[:6], "lip_lower": lm.LIPS_INNER_LOWER[1:6],
    "lid_upper": lm.EYE_RIGHT_UPPER, "lid_lower": lm.EYE_RIGHT_LOWER[1:-1],
}
IRIS_RADIUS = 0.0059  # human iris: 11.7 mm across, nearly the same for everyone (Hashemi et al. 2015) [m]

EXPRESSIONS = (
    {}, {"jawOpen": 0.5}, {"jawOpen": 0.25}, {"jawOpen": 0.7, "mouthFunnel": 0.4},
    {"mouthSmileLeft": 0.6, "mouthSmileRight": 0.6}, {"mouthPucker": 0.7},
)
TURNS = (  # yaw, pitch, roll [deg]
    (0, 0, 0), (0, 0, 0), (20, 0, 0), (-20, 0, 0), (0, 15, 0), (0, -15, 0), (12, 8, 0), (-12, 8, 0),
    (10, 5, 8), (-10, -5, -8),
)
PICTURES = 180


def find_landmarks(mesh, identity: np.ndarray, landmarker: Path, pictures: Path | None) -> dict[str, np.ndarray]:
    """Vertices [478,3] and weights [478,3] of each landmark, mirror pairs [478]; adds regions to the mesh.

    Raises:
        RuntimeError: the tracker misses the rendered face too often, which means a broken mesh.
    """
    observations = observe(mesh, identity, landmarker)
    if len(observations) < 0.9 * PICTURES:
        raise RuntimeError(f"a face was found on only {len(observations)} of {PICTURES} renders")
    places = robust_mean(np.stack([o["surface"] for o in observations]))
    places[468:] = 0  # irises: their rims lie under the lids, so they are set by the eyeballs' geometry below
    missing = np.flatnonzero(np.isnan(places).any(1))
    if np.isin(missing, np.arange(468)).any():
        raise RuntimeError(f"landmarks {missing} never fell on the skin")
    mirror = mirror_pairs(observations)
    places = (places + places[mirror] * [-1, 1, 1]) / 2

    skin = np.zeros(len(mesh.mean), bool)
    skin[mesh.groups["skin"]] = True
    vertices, weights = closest_on_surface(places, mesh.mean, mesh.triangles[skin[mesh.triangles].all(1)])
    set_edges(mesh, places, mirror, vertices, weights)
    set_irises(mesh, observations, vertices, weights)
    make_symmetric(mesh, mirror, vertices, weights)
    add_regions(mesh, vertices, weights)
    report(mesh, identity, observations, vertices, weights, pictures)
    return {
        "landmarks.vertices": vertices.astype(np.int32), "landmarks.weights": weights.astype(np.float32),
        "landmarks.mirror": mirror.astype(np.int32),
    }


def observe(mesh, identity: np.ndarray, landmarker: Path) -> list[dict]:
    """Render, detect, and take every landmark back to the surface (as a point of the neutral mean head)."""
    import mediapipe as mp

    vision = mp.tasks.vision
    detector = vision.FaceLandmarker.create_from_options(vision.FaceLandmarkerOptions(
        base_options=mp.tasks.BaseOptions(model_asset_path=str(landmarker)), num_faces=1,
    ))
    renderer = Renderer(mesh)
    skin = np.zeros(len(mesh.mean), bool)
    skin[mesh.groups["skin"]] = True
    rng = np.random.default_rng(0)
    observations = []
    for k in track(range(PICTURES), "rendering and detecting", unit="pictures"):
        coefficients = rng.normal(0, 0.8, len(identity)) * (k >= len(EXPRESSIONS))
        expression = np.zeros(len(mesh.expression))
        for name, value in EXPRESSIONS[k % len(EXPRESSIONS)].items():
            expression[index(name)] = value
        turn = rotation(*TURNS[(k // 2) % len(TURNS)])
        vertices = mesh.mean + np.tensordot(coefficients, identity, 1) + np.tensordot(expression, mesh.expression, 1)
        picture, face, weights = renderer(vertices, turn)
        result = detector.detect(mp.Image(image_format=mp.ImageFormat.SRGB, data=picture))
        if not result.face_landmarks:
            continue
        points = np.array([[p.x, p.y] for p in result.face_landmarks[0]]) * SIZE
        x, y = np.clip(points.astype(int), 0, SIZE - 1).T
        corners = renderer.triangles[face[y, x]]
        surface = (mesh.mean[corners] * weights[y, x][..., None]).sum(1)
        surface[(face[y, x] < 0) | ~skin[corners].all(1)] = np.nan
        observations.append({"points": points, "surface": surface, "identity": coefficients,
                             "expression": expression, "turn": turn, "picture": picture})
    return observations


def robust_mean(surface: np.ndarray) -> np.ndarray:
    """[N,478,3] with NaN -> [478,3]: mean of what lies within three median deviations of the median."""
    median = np.nanmedian(surface, 0)
    distance = np.linalg.norm(surface - median, axis=-1)
    near = distance <= 3 * np.nanmedian(distance, 0)
    return np.nanmean(np.where(near[..., None], surface, np.nan), 0)


def mirror_pairs(observations: list[dict]) -> np.ndarray:
    """[478] the landmark on the other side of the face, from frontal pictures with closed and open mouth."""
    from scipy.optimize import linear_sum_assignment

    frontal = [o for o in observations if np.allclose(o["turn"], np.eye(3))]
    jaw = np.array([o["expression"][index("jawOpen")] for o in frontal])
    points = np.stack([o["points"] for o in frontal]) - [SIZE / 2, 0]
    features = np.concatenate([points[jaw == 0].mean(0), points[jaw >= 0.5].mean(0)], 1)
    cost = np.linalg.norm(features[:, None] - features[None] * [-1, 1, -1, 1], axis=-1)
    _, pairs = linear_sum_assignment(cost + cost.T)
    if not np.array_equal(pairs[pairs], np.arange(len(pairs))):
        raise RuntimeError("landmarks could not be paired left to right")
    return pairs


def closest_on_surface(
    points: np.ndarray, vertices: np.ndarray, triangles: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Closest point of the mesh to each point [N,3]: vertex indices [N,3] and weights [N,3]."""
    from scipy.spatial import cKDTree

    _, candidates = cKDTree(vertices[triangles].mean(1)).query(points, k=24)
    a, b, c = (vertices[triangles[candidates][..., k]] for k in range(3))  # [N,24,3]
    ab, ac, ap = b - a, c - a, points[:, None] - a
    d = [[(u * v).sum(-1) for v in (ab, ac)] for u in (ab, ac)]
    e = [(ap * u).sum(-1) for u in (ab, ac)]
    determinant = d[0][0] * d[1][1] - d[0][1] ** 2 + 1e-18
    v = (d[1][1] * e[0] - d[0][1] * e[1]) / determinant
    w = (d[0][0] * e[1] - d[0][1] * e[0]) / determinant
    weights = np.clip(np.stack([1 - v - w, v, w], -1), 0, 1)
    weights /= weights.sum(-1, keepdims=True)
    nearest = np.linalg.norm(np.einsum("nkw,nkwi->nki", weights, np.stack([a, b, c], -2)) - points[:, None], axis=-1)
    best = nearest.argmin(1)
    rows = np.arange(len(points))
    return triangles[candidates[rows, best]].copy(), weights[rows, best]


def set_edges(mesh, places: np.ndarray, mirror: np.ndarray, vertices: np.ndarray, weights: np.ndarray) -> None:
    """Put the contours' landmarks (right half) onto the mesh's edges, at the place along them that was measured."""
    local = {int(b): v for v, b in enumerate(mesh.base)}
    for name, edge in EDGES.items():
        line = np.array([local[v] for v in edge])
        x = mesh.mean[line, 0]
        length = np.arange(len(line))
        for landmark in CONTOURS[name]:
            place = np.interp(places[landmark, 0], x, length)  # x grows along every edge, from the side inwards
            first = min(int(place), len(line) - 2)
            vertices[landmark] = line[first], line[first + 1], line[first]
            weights[landmark] = 1 - (place - first), place - first, 0


def set_irises(mesh, observations: list[dict], vertices: np.ndarray, weights: np.ndarray) -> None:
    """Iris centres to the eyeballs' poles, rim points to a circle of the human iris' radius around them."""
    measured = np.median(np.stack([o["points"] for o in observations]), 0)
    for iris, name in ((lm.IRIS_RIGHT, "eyeball_right"), (lm.IRIS_LEFT, "eyeball_left")):
        members = np.zeros(len(mesh.mean), bool)
        members[mesh.groups[name]] = True
        points = mesh.mean[mesh.groups[name]]
        centre = (points.min(0) + points.max(0)) / 2
        pole = np.array([centre[0], centre[1], points[:, 2].min()])
        targets = [pole]
        for landmark in iris[1:]:
            away = measured[landmark] - measured[iris[0]]
            axis = int(np.abs(away).argmax())
            target = pole.copy()
            target[axis] += np.sign(away[axis]) * IRIS_RADIUS
            radius = np.linalg.norm(pole - centre)
            target[2] = centre[2] - np.sqrt(radius**2 - IRIS_RADIUS**2)
            targets.append(target)
        ball = mesh.triangles[members[mesh.triangles].all(1)]
        vertices[iris], weights[iris] = closest_on_surface(np.array(targets), mesh.mean, ball)


def make_symmetric(mesh, mirror: np.ndarray, vertices: np.ndarray, weights: np.ndarray) -> None:
    """The left half becomes the exact mirror image of the right half."""
    for landmark, other in enumerate(mirror):
        if landmark == other:
            continue
        x = (mesh.mean[vertices[landmark], 0] * weights[landmark]).sum()
        if x < 0:
            vertices[other], weights[other] = mesh.mirror[vertices[landmark]], weights[landmark]


def add_regions(mesh, vertices: np.ndarray, weights: np.ndarray) -> None:
    """Regions that need the landmarks: brows, scalp (where hair grows), face (inside MediaPipe's oval)."""
    from matplotlib.path import Path as Polygon

    points = (mesh.mean[vertices] * weights[..., None]).sum(1)
    skin = mesh.groups["skin"]
    front = skin[mesh.mean[skin, 2] < -0.02]
    brows = np.zeros(len(front), bool)
    for brow in (lm.BROW_RIGHT, lm.BROW_LEFT):
        brows |= Polygon(points[brow, :2]).contains_points(mesh.mean[front, :2], radius=0.0015)
    mesh.groups["brows"] = front[brows]
    oval = Polygon(points[lm.FACE_OVAL, :2]).contains_points(mesh.mean[front, :2])
    mesh.groups["face"] = front[oval]

    head = np.setdiff1d(skin, np.concatenate([mesh.groups["ears"], mesh.groups["neck"]]))
    hairline, ear = points[10], mesh.mean[mesh.groups["ears"]].min(0)  # forehead's top; ear's top and front edge
    y, z = mesh.mean[head, 1], mesh.mean[head, 2]
    limit = np.interp(z, [hairline[2], ear[2], ear[2] + 0.03], [hairline[1] - 0.004, ear[1] - 0.004, ear[1] + 0.055])
    mesh.groups["scalp"] = head[y < limit]


def report(mesh, identity, observations, vertices, weights, pictures: Path | None) -> None:
    """Say how far the landmarks lie from the detections at the true pose; draw some."""
    errors = []
    for o in observations:
        head = mesh.mean + np.tensordot(o["identity"], identity, 1) + np.tensordot(o["expression"], mesh.expression, 1)
        o["projected"] = project((head[vertices] * weights[..., None]).sum(1), o["turn"])[:, :2]
        errors.append(np.linalg.norm(o["projected"] - o["points"], axis=-1))
    errors = np.array(errors)
    for name, members in {"all": slice(None), "68": lm.MEDIAPIPE_TO_68, "lips": lm.LIPS, "inner lips": lm.LIPS_INNER,
                          "lids": np.concatenate([lm.EYE_RIGHT, lm.EYE_LEFT]), "irises": slice(468, 478)}.items():
        share = np.median(errors[:, members]) / FOCAL * DISTANCE * 1e3
        say(f"landmarks against detections, {name}: median {share:.2f} mm")
    if pictures is None:
        return
    from PIL import Image, ImageDraw

    pictures.mkdir(parents=True, exist_ok=True)
    for k in range(0, min(24, len(observations)), 2):
        image = Image.fromarray(observations[k]["picture"]).resize((SIZE * 2, SIZE * 2))
        draw = ImageDraw.Draw(image)
        for points, colour in ((observations[k]["points"], "lime"), (observations[k]["projected"], "red")):
            for x, y in points * 2:
                draw.ellipse([x - 1, y - 1, x + 1, y + 1], fill=colour)
        image.crop((320, 240, 960, 1120)).save(pictures / f"landmarks_{k:03d}.png")
