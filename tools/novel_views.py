"""How an avatar stands up to a camera that goes round it: holes, and for the synthetic person the error.

    python tools/novel_views.py X.avatar PERSON_DIR SHEET.png [--clip SYNTHETIC_DIR]

Held-out frames, driven by their own tracked motion, are rendered from a grid of views. Printed for each view: the
share of the head's silhouette that is a hole, in percent, without and with the mending of tears; and with --clip, the
folder of the clip that the person was prepared from, the PSNR [dB] to the synthetic person drawn from there, inside
their head and over the whole frame. Highlights of that drawing stay where the recorded camera saw them. Then how far
the exported mesh of the last frame lies from the true face, at MediaPipe's 468 points, the two laid on each other.
SHEET.png shows the last frame: what was rendered above, the truth below.
"""
from __future__ import annotations

import argparse
import json
from pathlib import Path

import geneface  # noqa: F401  before torch: its threads must sleep
import numpy as np
import torch
from PIL import Image
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from data_prep.synthetic.clip import FPS, SyntheticOptions, camera_of, expression_curves, identity_of
from data_prep.synthetic.movement import make_movement
from data_prep.synthetic.person import Person
from data_prep.synthetic.render import Renderer
from data_prep.synthetic.speech import demo_speech, fitted
from geneface.export.mesh import HeadMesh, head_mesh
from geneface.face.basis import load_basis
from geneface.face.motion import tracked_motion
from geneface.metrics.holes import hole_share
from geneface.metrics.image import psnr
from geneface.nerf.render import AvatarRenderer
from geneface.nerf.views import CameraMove, View
from geneface.types import Avatar, CameraTrack, PreparedPerson

YAWS, PITCHES = (-15.0, 0.0, 15.0), (-10.0, 0.0, 10.0)


class Truth:
    """The synthetic person of a clip, seen from anywhere."""

    def __init__(self, folder: Path) -> None:
        stamp = json.loads((folder / "synthetic.json").read_text("utf-8"))
        frames = stamp.pop("frames")
        stamp.pop("version")
        options = SyntheticOptions(**stamp)
        speech = fitted(demo_speech("training"), frames / FPS)
        times = (np.arange(frames) + 0.5) / FPS
        basis = load_basis()
        self._basis, self._identity = basis, identity_of(options, len(basis.identity))
        self._movement = make_movement(times, speech.phones, options.seed, options.motion)
        self._expression = expression_curves(speech, self._movement, times, options.expressive)
        self._person = Person(basis, self._identity, options.seed)
        intrinsics, self._camera = camera_of(options)
        self._renderer = Renderer(self._person, intrinsics, options.size, options.size, options.seed)
        self._head_to_camera = self._camera @ self._movement.head_to_body
        self._track = CameraTrack(intrinsics, self._head_to_camera, options.size, options.size, FPS)

    def frame(self, t: int, view: View) -> tuple[np.ndarray, np.ndarray]:
        """Picture [H,W,3] uint8 and head mask [H,W] bool of frame `t`."""
        move = CameraMove.of(view, self._track, self._track.intrinsics)
        camera = self._camera if move is None else move.transform.numpy().astype(float) @ self._camera
        posed = self._person.pose(
            self._expression[t], self._movement.head_to_body[t], self._movement.body_shift[t], camera
        )
        # Light that comes from where it came from before the camera moved.
        picture, masks = self._renderer.frame(posed, self._head_to_camera[t, :3, :3], self._camera[:3, :3])
        return picture, masks[..., 0] > 127

    def face(self, t: int) -> np.ndarray:
        """[468,3] MediaPipe's points of frame `t` in head space [m], without the irises."""
        return np.asarray(self._basis.landmarks478(self._identity, self._expression[t : t + 1]))[0, :468].astype(float)


def surface_error(mesh: HeadMesh, points: np.ndarray, rounds: int = 30) -> np.ndarray:
    """Distances [P] [m] of points from a mesh, after the rigid motion that makes them least (ICP, point to plane)."""
    tree = cKDTree(mesh.vertices)
    for _ in range(rounds):
        near = tree.query(points)[1]
        normal, gap = mesh.normals[near], mesh.vertices[near] - points
        rows = np.concatenate([np.cross(points, normal), normal], axis=1)
        along = (gap * normal).sum(1)
        weight = 1 / np.maximum(np.abs(along), 1e-3)[:, None]  # least absolute distances
        step = np.linalg.lstsq(rows * weight**0.5, along * weight[:, 0] ** 0.5, rcond=None)[0]
        points = points @ Rotation.from_rotvec(step[:3]).as_matrix().T + step[3:]
    near = tree.query(points)[1]
    return np.abs(((mesh.vertices[near] - points) * mesh.normals[near]).sum(1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("avatar", type=Path)
    parser.add_argument("person", type=Path)
    parser.add_argument("sheet", type=Path)
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--frames", type=int, default=4)
    given = parser.parse_args()
    avatar, person = Avatar.load(given.avatar), PreparedPerson.open(given.person)
    motion = tracked_motion(person.face, person.camera, None, "tracked")
    renderer, truth = AvatarRenderer(avatar), None if given.clip is None else Truth(given.clip)
    held_out = list(person.held_out_frames)
    frames = [held_out[int(i)] for i in np.linspace(0, len(held_out) - 1, given.frames)]
    print(f"{len(frames)} held-out frames\n  yaw pitch  torn % mended %  PSNR head  full")
    rows = []
    for pitch in PITCHES:
        row = []
        for yaw in YAWS:
            view, figures = View(yaw, pitch), []
            move = CameraMove.of(view, avatar.camera, avatar.camera.intrinsics)
            for t in frames:
                pose = person.camera.head_to_camera[t]
                layers = renderer.layers(motion.landmarks[t], pose, view=view)
                posed = pose if move is None else move.pose(torch.from_numpy(pose).float()).numpy()
                torn = renderer.layers(motion.landmarks[t], posed).head_alpha
                picture = (layers.rgb * 255).round().clamp(0, 255).to(torch.uint8).numpy()
                column, figure = [picture], [100 * hole_share(torn), 100 * hole_share(layers.head_alpha)]
                if truth is not None:
                    true, head = truth.frame(t, view)
                    figure += [psnr(picture, true, head), psnr(picture, true)]
                    column.append(true)
                figures.append(figure)
            row.append(np.concatenate(column))
            print(f"{yaw:5g} {pitch:5g}" + "".join(f"{value:9.3f}" for value in np.mean(figures, axis=0)), flush=True)
        rows.append(np.concatenate(row, axis=1))
    Image.fromarray(np.concatenate(rows)).save(given.sheet)
    if truth is not None:
        error = 1000 * surface_error(head_mesh(avatar, motion.landmarks[frames[-1]]), truth.face(frames[-1]))
        print(f"mesh to true face: median {np.median(error):.2f} mm, 90 % within {np.quantile(error, 0.9):.2f} mm")


if __name__ == "__main__":
    main()
