from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from geneface import ops
from geneface.ops import GridSpec, MovingField, native, reference
from geneface.ops.field import _render, count_samples

from .compare import SIZES, VALUE, assert_near

BF16 = 2e-2
POSITION = GridSpec(dims=3, levels=6, features=2, base_resolution=4, max_resolution=60, log2_table_size=10)
MOTION = GridSpec(dims=3, levels=3, features=2, base_resolution=4, max_resolution=15, log2_table_size=8)
PLANE = GridSpec(dims=2, levels=3, features=2, base_resolution=4, max_resolution=30, log2_table_size=8)
GRID = 16
BOX = torch.tensor([-0.2, -0.25, -0.2, 0.2, 0.15, 0.25])
REACH = 0.02


def make_field(
    hidden: int = 64, layers: int = 1, condition: int = 5, geometry: int = 7, position: GridSpec = POSITION
) -> MovingField:
    """A random field whose density is neither everywhere thin nor everywhere solid."""

    def net(*widths: int) -> tuple[torch.Tensor, ...]:
        return tuple(torch.randn(b, a) * (2 / a) ** 0.5 for a, b in zip(widths, widths[1:]))

    inner = [hidden] * layers
    return MovingField(
        position, MOTION, torch.randn(position.rows, 2), torch.randn(MOTION.rows, 2),
        net(MOTION.width, *inner, 3 + condition), net(position.width + condition, *inner, 1 + geometry),
        net(geometry + 16, *inner, 3), BOX, reach=REACH, density_scale=8.0, density_limit=4.0,
    )


def make_rays(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rays from before the box; some miss it."""
    rays_o = torch.tensor([0.0, 0.0, -0.7]) + 0.05 * torch.randn(count, 3)
    rays_d = F.normalize(torch.tensor([0.0, 0.0, 1.0]) + 0.25 * torch.randn(count, 3), dim=1)
    return rays_o, rays_d


def make_arguments(count: int, field: MovingField | None = None, share: float = 0.3) -> dict:
    field = field or make_field()
    rays_o, rays_d = make_rays(count)
    return dict(
        rays_o=rays_o, rays_d=rays_d, field=field, condition=torch.randn(field.condition),
        motion_bias=0.3 * torch.randn(field.hidden), colour_bias=0.3 * torch.randn(field.hidden),
        occupancy=ops.pack_bits((torch.rand(GRID**3) < share).float(), 0.5), grid_size=GRID, step=0.004,
    )


def to_backend(backend, arguments: dict) -> dict:
    def move(value):
        if isinstance(value, torch.Tensor):
            return backend.tensor(value)
        return tuple(move(v) for v in value) if isinstance(value, tuple) else value

    field = arguments["field"]
    moved = replace(field, **{name: move(getattr(field, name)) for name in vars(field) if "spec" not in name})
    return {**{name: move(value) for name, value in arguments.items() if name != "field"}, "field": moved}


def in_bfloat16(arguments: dict) -> dict:
    field = arguments["field"]
    tables = {name: getattr(field, name).bfloat16() for name in ("position_table", "motion_table")}
    return {**arguments, "field": replace(field, **tables)}


@pytest.mark.parametrize("size", SIZES)
def test_agrees_with_reference(backend, size):
    # Early stopping off: a transmittance at the threshold falls to either side of it.
    arguments = dict(make_arguments(size), early_stop=0.0)
    expected = reference.render_rays(**arguments)
    for actual, wanted in zip(ops.render_rays(**to_backend(backend, arguments)), expected, strict=True):
        assert_near(actual, wanted, VALUE)


@pytest.mark.parametrize("reach", [1e-6, 0.3])
def test_points_move_as_far_as_they_may(backend, reach):
    """Hardly at all, or so far that many would leave the box and are held at its sides."""
    still = make_arguments(100)
    arguments = {**still, "field": replace(still["field"], reach=reach), "early_stop": 0.0}
    expected = reference.render_rays(**arguments)
    for actual, wanted in zip(ops.render_rays(**to_backend(backend, arguments)), expected):
        assert_near(actual, wanted, VALUE)
    assert float((expected[0] - reference.render_rays(**still, early_stop=0.0)[0]).abs().max()) > 0.1


@pytest.mark.parametrize(
    "shape",
    [dict(hidden=64, layers=1, condition=16, geometry=31), dict(hidden=40, layers=3, condition=0, geometry=1),
     dict(hidden=17, layers=2, condition=3, geometry=6), dict(hidden=128, layers=2, condition=33, geometry=64)],
    ids=lambda shape: "-".join(str(v) for v in shape.values()),
)
def test_any_sizes_of_networks(backend, shape):
    arguments = dict(make_arguments(100, make_field(**shape)), early_stop=0.0)
    for actual, wanted in zip(ops.render_rays(**to_backend(backend, arguments)), reference.render_rays(**arguments)):
        assert_near(actual, wanted, VALUE)


@pytest.mark.parametrize("hashed", [True, False])
def test_full_size_grid(backend, hashed):
    position = GridSpec(3, 16, 2, 16, 512, 14, hashed=hashed)
    field = make_field(position=position)
    # Fine levels weigh less, as in a fitted field: where a cell of 1/512 has full contrast, the last bit of a
    # position shows in the picture.
    scale = torch.repeat_interleave(
        torch.tensor([0.7**l for l in range(16)]), torch.tensor(position.offsets).diff()
    )
    field = replace(field, position_table=field.position_table * scale[:, None])
    arguments = dict(make_arguments(300, field), early_stop=0.0)
    for actual, wanted in zip(ops.render_rays(**to_backend(backend, arguments)), reference.render_rays(**arguments)):
        assert_near(actual, wanted, VALUE)


@pytest.mark.parametrize("size", SIZES)
def test_bfloat16_stays_near(backend, size):
    arguments = make_arguments(size)
    expected = reference.render_rays(**arguments)
    for actual, wanted in zip(ops.render_rays(**to_backend(backend, in_bfloat16(arguments))), expected):
        assert_near(actual, wanted, BF16)


def test_bfloat16_tables_are_read_as_such(backend):
    """Where only tables are rounded, as in the reference, results differ by the networks' rounding alone."""
    arguments = in_bfloat16(make_arguments(500))
    expected = reference.render_rays(**arguments)
    for actual, wanted in zip(ops.render_rays(**to_backend(backend, arguments)), expected):
        assert_near(actual, wanted, BF16)


def test_early_stop_leaves_out_what_cannot_be_seen(backend):
    arguments = make_arguments(400, share=1.0)
    everything = reference.render_rays(**arguments, early_stop=0.0)
    for early_stop in (1e-4, 0.05):
        stopped = ops.render_rays(**to_backend(backend, arguments), early_stop=early_stop)
        wanted = reference.render_rays(**arguments, early_stop=early_stop)
        assert float((stopped[1].cpu() - everything[1]).abs().max()) <= early_stop + 1e-5
        # A ray at the threshold may go either way, and few are.
        differ = ((stopped[0].cpu() - wanted[0]).abs().amax(1) > 1e-5).float().mean()
        assert float(differ) <= 0.01


def test_counts_samples(backend):
    if backend.name == "reference":
        pytest.skip("the reference evaluates all samples")
    arguments = make_arguments(300)
    nears, fars = reference.near_far_from_aabb(arguments["rays_o"], arguments["rays_d"], BOX, 0.05)
    marched = reference.march_rays(
        arguments["rays_o"], arguments["rays_d"], nears, fars, arguments["occupancy"], BOX, GRID, 0.004, 64
    )[2].diff()
    moved = to_backend(backend, arguments)
    assert torch.equal(count_samples(**moved, early_stop=0.0).cpu().long(), marched)
    assert torch.equal(count_samples(**moved, early_stop=0.0, max_samples=7).cpu().long(), marched.clamp(max=7))
    few = count_samples(**moved, early_stop=0.5).cpu().long()
    assert bool((few <= marched).all()) and bool((few[marched > 0] > 0).all()) and int(few.sum()) < int(marched.sum())


def test_empty_occupancy_and_rays_that_miss_give_nothing(backend):
    arguments = make_arguments(40)
    nothing = to_backend(backend, {**arguments, "occupancy": torch.zeros_like(arguments["occupancy"])})
    away = to_backend(backend, {**arguments, "rays_d": -arguments["rays_d"]})
    for case in (nothing, away):
        for value in ops.render_rays(**case):
            assert torch.equal(value.cpu(), torch.zeros_like(value.cpu()))


def test_directions_parallel_to_the_box(backend):
    axes = torch.tensor([[0.0, 0, 1], [0, 1, 0], [1, 0, 0], [0, 0, -1], [0.6, 0, 0.8]])
    arguments = {**make_arguments(5, share=1.0), "rays_d": axes, "rays_o": -0.6 * axes + 0.01}
    for actual, wanted in zip(ops.render_rays(**to_backend(backend, arguments)), reference.render_rays(**arguments)):
        assert_near(actual, wanted, VALUE)
    assert bool((wanted > 0).all())


def test_samples_are_capped(backend):
    arguments = dict(make_arguments(50, share=1.0), early_stop=0.0, max_samples=3)
    for actual, wanted in zip(ops.render_rays(**to_backend(backend, arguments)), reference.render_rays(**arguments)):
        assert_near(actual, wanted, VALUE)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_same_bits_for_any_number_of_threads_and_company(backend, precision):
    """A ray's result depends neither on threads nor on the rays that it is rendered with."""
    arguments = make_arguments(3000)
    arguments = to_backend(backend, in_bfloat16(arguments) if precision == "bfloat16" else arguments)
    results = []
    for threads in (1, 2, 5):
        native.set_threads(threads)
        try:
            results.append(ops.render_rays(**arguments))
        finally:
            native.set_threads(None)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other))
    if backend.name != "reference":  # PyTorch's products do depend on their number of rows
        some = torch.randperm(3000)[:77].to(backend.device)
        alone = {**arguments, "rays_o": arguments["rays_o"][some], "rays_d": arguments["rays_d"][some]}
        assert all(torch.equal(a[some], b) for a, b in zip(results[0], ops.render_rays(**alone)))


def test_non_contiguous_input(backend):
    arguments = to_backend(backend, make_arguments(60))
    field = arguments["field"]
    turned = {
        **arguments, "rays_o": arguments["rays_o"].t().contiguous().t(), "rays_d": arguments["rays_d"].t().contiguous().t(),
        "condition": torch.stack([arguments["condition"]] * 2, dim=1)[:, 0],
        "field": replace(
            field, position_table=field.position_table.t().contiguous().t(),
            density_net=tuple(w.t().contiguous().t() for w in field.density_net),
        ),
    }
    for actual, wanted in zip(ops.render_rays(**turned), ops.render_rays(**arguments)):
        assert_near(actual, wanted, 0 if backend.name != "reference" else VALUE)


def test_double_precision_takes_the_reference():
    arguments = make_arguments(20)
    doubled = {n: v.double() if isinstance(v, torch.Tensor) and v.is_floating_point() else v for n, v in arguments.items()}
    field = arguments["field"]
    doubled["field"] = replace(
        field, **{n: tuple(w.double() for w in v) if isinstance(v, tuple) else v.double()
                  for n, v in vars(field).items() if isinstance(v, (tuple, torch.Tensor))}
    )
    for single, double in zip(ops.render_rays(**arguments), ops.render_rays(**doubled)):
        assert double.dtype == torch.float64
        assert_near(single.double(), double, 1e-4)


def test_not_differentiable(backend):
    arguments = to_backend(backend, make_arguments(10))
    arguments["rays_o"].requires_grad_()
    assert not any(value.requires_grad for value in ops.render_rays(**arguments))


def test_custom_op_is_well_formed():
    if not native.cpu_variants():
        pytest.skip("native kernels are not built")
    from geneface.ops import field as module

    arguments = make_arguments(9)
    field = arguments["field"]
    flat = (
        arguments["rays_o"], arguments["rays_d"], *module._tensors(field), arguments["condition"],
        arguments["motion_bias"], arguments["colour_bias"], arguments["occupancy"], *module._layout(field), GRID,
        0.004, 64, 0.05, 1e-4,
    )
    torch.library.opcheck(_render, flat)


@pytest.mark.parametrize(
    "name, change",
    [
        ("rays_o", dict(rays_o=torch.rand(4, 2))), ("rays_d", dict(rays_d=torch.rand(3, 3))),
        ("rays_d", dict(rays_d=torch.rand(4, 3, dtype=torch.float64))), ("condition", dict(condition=torch.rand(4))),
        ("motion_bias", dict(motion_bias=torch.rand(65))), ("colour_bias", dict(colour_bias=torch.rand(1, 64))),
        ("occupancy", dict(occupancy=torch.zeros(7, dtype=torch.uint8))),
        ("occupancy", dict(occupancy=torch.zeros(GRID**3 // 8))), ("step", dict(step=0.0)),
        ("grid_size", dict(grid_size=0)), ("max_samples", dict(max_samples=0)), ("field", dict(field=None)),
    ],
)
def test_wrong_arguments_are_named(name, change):
    with pytest.raises(ValueError, match=f"^{name}:"):
        ops.render_rays(**{**make_arguments(4), **change})


@pytest.mark.parametrize(
    "name, change",
    [
        ("position_spec", dict(position_spec=PLANE)), ("motion_spec", dict(motion_spec=PLANE)),
        ("position_table", dict(position_table=torch.rand(POSITION.rows, 3))),
        ("motion_table", dict(motion_table=torch.rand(MOTION.rows, 2).bfloat16())),
        ("motion_net", dict(motion_net=(torch.rand(64, 7), torch.rand(8, 64)))),
        ("motion_net", dict(motion_net=(torch.rand(64, 6), torch.rand(2, 64)))),
        ("density_net", dict(density_net=(torch.rand(64, 17), torch.rand(8, 63)))),
        ("density_net", dict(density_net=(torch.rand(64, 17), torch.rand(64, 64), torch.rand(8, 64)))),
        ("colour_net", dict(colour_net=(torch.rand(64, 23), torch.rand(4, 64)))),
        ("aabb", dict(aabb=torch.rand(5))), ("reach", dict(reach=0.0)), ("density_scale", dict(density_scale=0.0)),
    ],
)
def test_wrong_field_is_named(name, change):
    with pytest.raises(ValueError, match=f"^{name}:"):
        replace(make_field(), **change)
