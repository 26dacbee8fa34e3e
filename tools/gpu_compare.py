"""One avatar on the GPU and on the CPU: how far the pictures differ, and a rendering replayed as a CUDA graph.

    python tools/gpu_compare.py X.avatar OUT.json

Part of tools/gpu_check.sh.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import geneface  # noqa: F401  before torch: its threads must sleep
import torch

from geneface import ops
from geneface.nerf import tcnn
from geneface.nerf.cameras import camera_rays, image_pixels, invert_rigid
from geneface.nerf.portrait import MIN_NEAR_M
from geneface.nerf.render import MAX_SAMPLES, AvatarRenderer
from geneface.ops.field import count_samples
from geneface.types import Avatar

SIZE = 512
REPLAYS = 50


def main(avatar_file: str, out: str) -> None:
    avatar = Avatar.load(avatar_file)
    figures = {**pictures(avatar)}
    for precision in (torch.float32, torch.bfloat16):
        figures |= graph(avatar, precision)
    figures |= tiny_cuda_nn(avatar)
    Path(out).write_text(json.dumps(figures, indent=1), "utf-8")


def pictures(avatar: Avatar) -> dict[str, float]:
    """Mean absolute difference of single-precision pictures, and PSNR of the 16-bit one against them [dB]."""
    arguments = avatar.motion_reference[0], avatar.camera.head_to_camera[0]
    truth = AvatarRenderer(avatar, SIZE, amp=False, device="cpu").layers(*arguments).rgb
    exact = AvatarRenderer(avatar, SIZE, amp=False, device="cuda").layers(*arguments).rgb.cpu()
    rounded = AvatarRenderer(avatar, SIZE, amp=True, device="cuda").layers(*arguments).rgb.cpu()
    error = float((rounded - truth).square().mean())
    return {
        "float_difference_percent": 100 * float((exact - truth).abs().mean()),
        "half_psnr_db": -10 * float(np.log10(max(error, 1e-12))),
    }


@torch.no_grad()
def graph(avatar: Avatar, precision: torch.dtype) -> dict[str, float]:
    """Head rays of a frame as one graph: time of a replay [ms], its difference from a plain call, samples per second."""
    renderer = AvatarRenderer(avatar, SIZE, device="cuda")
    portrait, device = renderer.portrait, renderer.device
    width, height = renderer.size
    scale = SIZE / max(avatar.camera.width, avatar.camera.height)
    intrinsics = torch.diag(torch.tensor([scale, scale, 1.0])) @ torch.from_numpy(np.array(avatar.camera.intrinsics)).float()
    pose = torch.from_numpy(np.array(avatar.camera.head_to_camera[0])).float()
    pixels = image_pixels(width, height)
    rays = [ray.to(device).contiguous() for ray in camera_rays(intrinsics, invert_rigid(pose), pixels)]
    landmarks = torch.from_numpy(np.array(avatar.motion_reference[0])).float().to(device)
    field = portrait.head.fused(precision)
    frame = portrait.head.frame_inputs(landmarks)
    step = avatar.field["step_m"]
    arguments = (
        *rays, field, *frame, portrait.occupancy.bits, portrait.occupancy.size, step, MAX_SAMPLES, MIN_NEAR_M
    )
    expected = ops.render_rays(*arguments)
    samples = int(count_samples(*arguments).sum())
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            ops.render_rays(*arguments)
    torch.cuda.synchronize()
    captured = torch.cuda.CUDAGraph()
    with torch.cuda.graph(captured):
        result = ops.render_rays(*arguments)
    captured.replay()
    torch.cuda.synchronize()
    difference = max(float((a - b).abs().max()) for a, b in zip(result, expected))
    began = time.perf_counter()
    for _ in range(REPLAYS):
        captured.replay()
    torch.cuda.synchronize()
    seconds = (time.perf_counter() - began) / REPLAYS
    name = "float" if precision == torch.float32 else "half"
    return {
        f"graph_{name}_ms": 1e3 * seconds, f"graph_{name}_difference": difference,
        f"graph_{name}_m_samples_s": samples / seconds / 1e6,
        f"graph_{name}_tflops": 2 * samples * products(field) / seconds / 1e12,
    }


def products(field: ops.MovingField) -> int:
    """Multiplications of the networks for one sample."""
    return sum(weight.numel() for net in (field.motion_net, field.density_net, field.colour_net) for weight in net)


@torch.no_grad()
def tiny_cuda_nn(avatar: Avatar) -> dict[str, float]:
    """Largest relative difference of densities and colours from tiny-cuda-nn's, at random points of the head's box."""
    if not tcnn.available():
        return {}
    renderer = AvatarRenderer(avatar, device="cuda")
    head, device = renderer.portrait.head, renderer.device
    low, high = head.aabb[:3], head.aabb[3:]
    x = low + torch.rand(20000, 3, device=device) * (high - low)
    directions = ops.spherical_harmonics(torch.tensor([[0.0, 0.0, 1.0]], device=device))
    landmarks = torch.from_numpy(np.array(avatar.motion_reference[0])).float().to(device)
    condition = head.encoder(head.whole(landmarks[None]))
    ray = torch.zeros(len(x), dtype=torch.int64, device=device)
    arguments = x, directions, ray, condition
    expected, actual = head(*arguments), tcnn.TinyCudaHead(head)(*arguments)
    differences = [float((a - b).abs().mean() / b.abs().mean()) for a, b in zip(actual, expected)]
    return {"tiny_cuda_nn_density_difference": differences[0], "tiny_cuda_nn_colour_difference": differences[1]}


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
