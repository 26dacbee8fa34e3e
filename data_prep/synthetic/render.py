"""Frames of the synthetic person: rasterised at twice the size, shaded per pixel in linear light, then averaged."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample, normalize

from geneface import ops

from . import light
from .hair import on_scalp
from .paint import AZIMUTH, BOTTOM, TOP, linear, paint_background, paint_skin
from .person import CLOTH, EYE, HAIR, HEAD_MATERIALS, LASH, MOUTH, NECK, SKIN, TEETH, TONGUE, Person, Posed

SUPERSAMPLING = 2
EXPOSURE = 0.86


@dataclass(frozen=True)
class Look:
    """Colours that differ from person to person, linear RGB."""

    hair: np.ndarray
    iris: np.ndarray
    cloth: np.ndarray


LOOKS = (
    Look(linear(92, 58, 38), linear(96, 118, 96), linear(46, 92, 102)),
    Look(linear(52, 38, 32), linear(98, 68, 42), linear(128, 52, 58)),
    Look(linear(176, 134, 86), linear(92, 122, 150), linear(92, 84, 120)),
)


def to_srgb(colour: Tensor) -> Tensor:
    """sRGB in [0,1] of linear light >= 0, with a soft shoulder near white."""
    x = EXPOSURE * colour
    x = torch.where(x < 0.6, x, 0.6 + 0.4 * (1 - torch.exp(-(x - 0.6) / 0.4)))
    return torch.where(x <= 0.0031308, 12.92 * x, 1.055 * x.clamp(min=1e-6) ** (1 / 2.4) - 0.055)


class Renderer:
    """Draws one `Person` at a fixed image size.

    Args:
        person: what to draw.
        intrinsics: [3,3] pinhole matrix [px] of the output image.
        width, height: output size [px].
        seed: of the procedural textures; also picks the colours.
    """

    def __init__(self, person: Person, intrinsics: np.ndarray, width: int, height: int, seed: int) -> None:
        self.person = person
        self.size = height * SUPERSAMPLING, width * SUPERSAMPLING
        self.intrinsics = np.asarray(intrinsics, np.float64) * [[SUPERSAMPLING], [SUPERSAMPLING], [1]]
        self.look = LOOKS[seed % len(LOOKS)]
        mean = np.asarray(person.basis.mean)
        lips = mean[person.basis.regions["lips"]]
        self._mouth = torch.tensor([0, lips[:, 1].mean(), lips[:, 2].min()], dtype=torch.float32)
        self._skin = paint_skin(mean, person.skin_triangles, person.eye_centres, person.brows,
                                self._mouth.numpy(), on_scalp, seed)
        self._background = torch.from_numpy(paint_background(self.size[1], self.size[0], seed))
        self._triangles = torch.from_numpy(person.triangles.astype(np.int32))
        self._corners = torch.from_numpy(person.triangles.astype(np.int64))
        self._material = torch.from_numpy(person.material)
        self._canonical = torch.from_numpy(person.canonical)
        self._lip = torch.from_numpy(person.lip)
        self._eyes = torch.from_numpy(person.eye_centres.astype(np.float32))
        self._transfer = [torch.from_numpy(part) for part in person.occlusion]
        self._irradiance = light.irradiance_harmonics()
        self._lamps = [(torch.tensor(lamp.direction) / np.linalg.norm(lamp.direction), torch.tensor(lamp.colour))
                       for lamp in light.LAMPS]
        self._shaders = (
            ((SKIN, NECK), self._shade_skin), ((EYE,), self._shade_eyes), ((HAIR,), self._shade_hair),
            ((CLOTH,), self._shade_cloth), ((TEETH, TONGUE, MOUTH), self._shade_mouth), ((LASH,), self._shade_lashes),
        )
        self._shader_of = torch.zeros(16, dtype=torch.int64)
        for number, (kinds, _) in enumerate(self._shaders):
            self._shader_of[list(kinds)] = number
        in_head = torch.zeros(16, dtype=torch.bool)
        in_head[list(HEAD_MATERIALS)] = True
        self._in_head = in_head

    def frame(self, posed: Posed, head_turn: np.ndarray, body_turn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Picture [H,W,3] uint8 sRGB and masks [H,W,3] uint8 (head, torso, background; they sum to 255).

        Args:
            posed: the mesh in the camera frame.
            head_turn, body_turn: [3,3] head-to-camera and body-to-camera rotations, for the light.
        """
        height, width = self.size
        screen = posed.vertices @ self.intrinsics.T
        screen[:, :2] /= screen[:, 2:]
        face, weights, _ = ops.rasterize(
            torch.from_numpy(screen.astype(np.float32)), self._triangles, height, width)
        picture = self._background.clone().view(-1, 3)
        material = torch.full((height * width,), -1)
        seen = (face.view(-1) >= 0).nonzero().flatten()
        faces, weights = face.view(-1)[seen].long(), weights.view(-1, 3)[seen]
        material[seen] = self._material[faces]
        vertices = torch.from_numpy(posed.vertices.astype(np.float32))
        normals = torch.from_numpy(posed.normals.astype(np.float32))
        lit, shadow = self._light_vertices(normals, posed.shadow_weights, head_turn, body_turn)
        scene = _Scene(vertices, normals, lit, shadow, torch.from_numpy(posed.tangents.astype(np.float32)),
                       posed.mouth_opening)
        shader = self._shader_of[material[seen]]
        for number, (_, shade) in enumerate(self._shaders):
            which = (shader == number).nonzero().flatten()
            if len(which):
                corners, w = self._corners[faces[which]], weights[which]
                picture[seen[which]] = shade(scene, corners, w, material[seen[which]])
        cover = torch.zeros(height * width, 3)
        cover[:, 2] = 1
        head = self._in_head[material.clamp(min=0)] & (material >= 0)
        cover[head] = torch.tensor([1.0, 0.0, 0.0])
        cover[(material >= 0) & ~head] = torch.tensor([0.0, 1.0, 0.0])
        both = torch.cat([to_srgb(picture.clamp(min=0)), cover], 1).view(height, width, 6).permute(2, 0, 1)[None]
        both = avg_pool2d(both, SUPERSAMPLING)[0].permute(1, 2, 0)
        image = (both[..., :3].clamp(0, 1) * 255 + 0.5).to(torch.uint8).numpy()
        edges = (both[..., 3:5].cumsum(-1) * 255).round().to(torch.uint8)  # rounded sums, so that the three make 255
        masks = torch.stack([edges[..., 0], edges[..., 1] - edges[..., 0], 255 - edges[..., 1]], -1)
        return image, masks.numpy()

    def _light_vertices(self, normals: Tensor, mix: np.ndarray, head_turn, body_turn) -> tuple[Tensor, Tensor]:
        """Irradiance / pi [N,3] with shadows, and its ratio to the unshadowed one [N,3], at every vertex."""
        in_head = torch.from_numpy(light.light_harmonics(head_turn))
        in_body = torch.from_numpy(light.light_harmonics(body_turn))
        count, parts = self.person.head_count, self.person.parts
        head = sum(float(m) * part[:count] for m, part in zip(mix, self._transfer))
        rest = self._transfer[0]
        lit = torch.cat([head @ in_head, rest[count:parts["hair"].start] @ in_body, rest[parts["hair"]] @ in_head])
        lit = lit.clamp(min=0.01)
        open_air = (light.harmonics(normals) @ self._irradiance).clamp(min=0.05)
        return lit, (lit / open_air).clamp(max=1.6)

    def _highlight(self, normal: Tensor, view: Tensor, power: float, lamps: slice) -> Tensor:
        """[P,3] Blinn-Phong highlights of the lamps, energy-normalised."""
        total = torch.zeros_like(normal)
        for axis, colour in self._lamps[lamps]:
            half = normalize(axis - view, dim=1)
            total += (normal * half).sum(1, keepdim=True).clamp(min=0) ** power * colour
        return total * ((power + 8) / (8 * 3.14159) * 0.35)

    def _shade_skin(self, scene: "_Scene", corners: Tensor, w: Tensor, material: Tensor) -> Tensor:
        canonical = mix(self._canonical, corners, w)
        normal = normalize(mix(scene.normals, corners, w), dim=1)
        view = normalize(mix(scene.vertices, corners, w), dim=1)
        shadow = mix(scene.shadow, corners, w)
        u = torch.atan2(canonical[:, 0], -canonical[:, 2])
        uv = torch.stack(
            [u / AZIMUTH, (canonical[:, 1] - TOP) * (2 / (BOTTOM - TOP)) - 1], 1)
        painted = grid_sample(self._skin, uv[None, None], align_corners=False, padding_mode="border")[0, :, 0].T
        albedo, gloss = painted[:, :3], painted[:, 3:]
        lip = mix(self._lip[:, None], corners, w)
        lip = ((lip - 0.25) / 0.5).clamp(0, 1)
        lip = lip * lip * (3 - 2 * lip)
        crease = 0.5 + 0.5 * torch.sin(canonical[:, :1] * 2600 + 3 * torch.sin(canonical[:, :1] * 400))
        lip_colour = torch.from_numpy(linear(190, 96, 94)) * (1 - 0.10 * crease)
        albedo = albedo + (lip_colour - albedo) * (0.82 * lip)
        gloss = gloss + 0.5 * lip
        open_air = light.harmonics(normal) @ self._irradiance
        diffuse = open_air.clamp(min=0.02) * shadow
        # Light scattered under the skin fills the soft shadows with red (d'Eon and Luebke 2007, as a wrapped falloff).
        bleed = torch.tensor([0.24, 0.06, 0.03])
        everywhere = self._irradiance[0] * 0.282  # mean over all normals
        lifted = shadow ** (1 - bleed) * (open_air * (1 - bleed) + bleed * everywhere).clamp(min=0.02)
        fresnel = 0.04 + 0.5 * (1 + (normal * view).sum(1, keepdim=True)).clamp(0, 1) ** 5
        moist = 0.6 * self._highlight(normal, view, 45, slice(0, 1)) * lip
        shine = self._highlight(normal, view, 14, slice(0, 2)) + moist
        rim = self._highlight(normal, view, 8, slice(2, 4)) * 0.25
        return albedo * (0.35 * diffuse + 0.65 * lifted) + (shine * gloss * fresnel * 4 + rim * fresnel) * shadow

    def _shade_eyes(self, scene: "_Scene", corners: Tensor, w: Tensor, material: Tensor) -> Tensor:
        canonical = mix(self._canonical, corners, w)
        normal = normalize(mix(scene.normals, corners, w), dim=1)
        view = normalize(mix(scene.vertices, corners, w), dim=1)
        shadow = mix(scene.shadow, corners, w).clamp(min=0.22)
        centre = self._eyes[(canonical[:, 0] < 0).long()]
        local = canonical - centre
        radius = local[:, :2].norm(dim=1, keepdim=True) * 1000  # mm from the optical axis
        angle = torch.atan2(local[:, 1:2], local[:, :1])
        white = torch.from_numpy(linear(236, 228, 222)).expand_as(canonical)
        side = (local[:, :1].abs() * 1000 / 11).clamp(0, 1)
        white = white + (torch.from_numpy(linear(224, 168, 156)) - white) * (0.55 * side**3)
        fibres = 0.85 + 0.15 * torch.sin(angle * 23) + 0.10 * torch.sin(angle * 41 + 1)
        iris = torch.from_numpy(self.look.iris) * fibres * (0.75 + 0.55 * (radius / 6).clamp(0, 1))
        warm = torch.from_numpy(linear(150, 104, 58))
        iris = iris + (warm - iris) * (0.45 * torch.exp(-(((radius - 2.9) / 1.0) ** 2)))
        iris = iris * (1 - 0.75 * _step(radius, 5.2, 6.3))  # limbal ring
        colour = iris + (white - iris) * _step(radius, 5.9, 6.7)
        colour = colour * (1 - 0.97 * (1 - _step(radius, 2.0, 2.7)))
        lid_shadow = 0.62 + 0.38 * _step(local[:, 1:2] * 1000, -7.5, -1.0)
        diffuse = (light.harmonics(normal) @ self._irradiance).clamp(min=0.02) * shadow * lid_shadow
        glint = self._highlight(normal, view, 260, slice(0, 2)) * 0.22
        return colour * diffuse + glint * shadow.clamp(min=0.5)

    def _shade_mouth(self, scene: "_Scene", corners: Tensor, w: Tensor, material: Tensor) -> Tensor:
        canonical = mix(self._canonical, corners, w)
        normal = normalize(mix(scene.normals, corners, w), dim=1)
        view = normalize(mix(scene.vertices, corners, w), dim=1)
        # Teeth and tongue scatter light inside themselves: soft, mostly from the front.
        normal = normalize(0.35 * normal * -torch.sign((normal * view).sum(1, keepdim=True))
                           + torch.tensor([0.0, -0.35, -0.85]), dim=1)
        depth = (canonical[:, 2:] - self._mouth[2] - 0.010).clamp(min=0)
        entry = min(scene.mouth_opening / 0.008, 1.0)
        reach = (0.16 + 0.84 * entry) * torch.exp(-depth / (0.006 + 0.018 * entry))
        enamel = torch.from_numpy(linear(222, 212, 194)).expand_as(canonical)
        # Teeth of about 8 mm in front, narrower to the sides, parted by fine dark lines.
        arc = torch.atan2(canonical[:, :1], -(canonical[:, 2:] + 0.05)) * 38  # mm along the dental arch
        gap = torch.exp(-(((torch.remainder(arc + 4, 8) - 4).abs() - 4) / 0.55) ** 2)
        lower = (canonical[:, 1:2] > self._mouth[1]).float()
        enamel = enamel * (1 - 0.25 * gap) * (1 - 0.18 * lower)
        corner = 1 - 0.75 * _step(canonical[:, :1].abs(), 0.011, 0.021)  # the cheeks shade the corners of the mouth
        flesh = torch.from_numpy(linear(150, 62, 60)).expand_as(canonical)
        tongue = torch.from_numpy(linear(196, 104, 100)).expand_as(canonical)
        kind = material[:, None]
        albedo = torch.where(kind == TEETH, enamel, torch.where(kind == TONGUE, tongue, flesh))
        lit = (light.harmonics(normal) @ self._irradiance).clamp(min=0.25)
        wet = self._highlight(normal, view, 40, slice(0, 1)) * 0.03
        return (albedo * lit + wet) * reach * corner * torch.where(kind == MOUTH, 0.3, torch.where(kind == TONGUE, 0.5, 1.0))

    def _shade_lashes(self, scene: "_Scene", corners: Tensor, w: Tensor, material: Tensor) -> Tensor:
        return torch.from_numpy(linear(72, 52, 46)).expand(len(corners), 3) * mix(scene.lit, corners, w).clamp(min=0.2)

    def _shade_hair(self, scene: "_Scene", corners: Tensor, w: Tensor, material: Tensor) -> Tensor:
        strand = mix(self._canonical, corners, w)
        lit = mix(scene.lit, corners, w) + 0.08  # light scattered from lock to lock
        tangent = normalize(mix(scene.tangents, corners - self.person.parts["hair"].start, w), dim=1)
        view = normalize(mix(scene.vertices, corners, w), dim=1)
        lock, across, along = strand[:, :1], strand[:, 1:2], strand[:, 2:]
        fine = torch.sin(across * 5 + lock * 90)
        tone = (0.84 + 0.32 * lock) * (1 + 0.08 * fine) * (0.80 + 0.30 * along.clamp(min=0))
        base = torch.from_numpy(self.look.hair)
        warm = base * torch.tensor([1.25, 1.0, 0.82])
        albedo = (base + (warm - base) * torch.sin(lock * 37).clamp(min=0)) * tone
        shine = torch.zeros_like(albedo)
        for axis, colour in self._lamps:
            # Kajiya and Kay 1989; the highlight is shifted along the strand, differently for every lock.
            half = normalize(axis - view, dim=1)
            along_half = (tangent * half).sum(1, keepdim=True) + 0.06 * (lock - 0.5) + 0.02 * fine
            band = (1 - along_half**2).clamp(min=0).sqrt()
            shine += (0.022 * band**50 + 0.10 * torch.from_numpy(self.look.hair) * band**14) * colour
        reached = (lit.mean(1, keepdim=True) / 1.2).clamp(max=1.2)
        return (albedo * lit + shine * reached) * torch.where(along < 0, 0.4, 1.0)  # dark: the cap under the locks

    def _shade_cloth(self, scene: "_Scene", corners: Tensor, w: Tensor, material: Tensor) -> Tensor:
        around, down, collar = mix(self._canonical, corners, w).unbind(1)
        normal = normalize(mix(scene.normals, corners, w), dim=1)
        view = normalize(mix(scene.vertices, corners, w), dim=1)
        shadow = mix(scene.shadow, corners, w)
        rib = torch.sin(around * (2 * 3.14159 / 0.0075))
        stitch = torch.sin(around * (2 * 3.14159 / 0.011)) * torch.sin(down * (2 * 3.14159 / 0.008))
        knit = torch.where(collar > 0.5, 0.16 * rib, 0.07 * stitch + 0.05 * rib)
        mottled = 0.03 * torch.sin(around * 61 + 2 * torch.sin(down * 47))
        albedo = torch.from_numpy(self.look.cloth) * (1 + knit + mottled)[:, None]
        diffuse = (light.harmonics(normal) @ self._irradiance).clamp(min=0.02) * shadow
        fuzz = (1 + (normal * view).sum(1, keepdim=True)).clamp(0, 1) ** 3  # wool fibres catch light at grazing angles
        return albedo * diffuse * (1 + 0.9 * fuzz)


@dataclass(frozen=True)
class _Scene:
    """Per-vertex values of one frame."""

    vertices: Tensor
    normals: Tensor
    lit: Tensor
    shadow: Tensor
    tangents: Tensor
    mouth_opening: float


def mix(values: Tensor, corners: Tensor, weights: Tensor) -> Tensor:
    """[P,C] values [N,C] interpolated at triangle corners [P,3] with weights [P,3]."""
    a, b, c = corners.unbind(1)
    return values[a] * weights[:, :1] + values[b] * weights[:, 1:2] + values[c] * weights[:, 2:]


def _step(x: Tensor, low: float, high: float) -> Tensor:
    t = ((x - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)
