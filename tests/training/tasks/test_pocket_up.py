"""The upsampler's task: which points become children of which, in what units, and its objective."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from enpointe.core.errors import InputError
from enpointe.data.datasets import PoolDataset
from enpointe.data.pools.pool import Pool
from enpointe.data.pools.rows import SCALE
from enpointe.nn.point_transformer import PointTransformerConfig
from enpointe.pipelines.families.pocket.upsampling import CellShape, spacing
from enpointe.training.task import Batch
from enpointe.training.tasks.pocket_up import UpsamplerExamples, UpsamplerTask, UpsamplerTaskConfig
from training.drawing import drawn

CONFIG = PointTransformerConfig(
    width=32, layers=1, heads=2, input_channels=12, output_channels=6, time_as_token=False, low_res=True
)
COARSE = 512


def shapes_pool(data: Pool) -> Pool:
    """A square of 2,048 points at z = 0, its halves of two paints; and, held out, a sphere."""
    rng = np.random.default_rng(0)
    square = rng.uniform(-0.5, 0.5, (2048, 3)) * [1, 1, 0]
    sphere = rng.normal(size=(2048, 3))
    sphere /= 2 * np.linalg.norm(sphere, axis=1, keepdims=True)
    points = np.round(np.stack([square, sphere]) * SCALE).astype(np.int16)
    slot = (points[..., 0] > 0).astype(np.uint8)
    changed: dict[str, Any] = {"family": ["car", "car"], "words": [([], []), ([], [])]}
    return replace(data, points=points, slot=slot, **changed)


@pytest.fixture
def shapes(data: Pool) -> Pool:
    return shapes_pool(data)


def batch(
    pool: Pool, seed: int = 0, n: int = 6, *, training: bool = True, shape: CellShape | None = None, **options: Any
) -> Batch:
    """`n` cells, four of each cloud if there are so many."""
    task = UpsamplerTask(PoolDataset(pool), UpsamplerTaskConfig(CONFIG, shape or CellShape()))
    cells = 4 if n % 4 == 0 else 1
    return drawn(task, UpsamplerExamples(COARSE, cells=cells, **options), seed, n // cells, training=training)


def places(local: Tensor) -> Tensor:
    """Offsets (N, 6, P) that were added to anchors -> distances from them, in spacings."""
    return local[:, :3].norm(dim=1)


def test_a_batch_is_a_function_of_the_generator(shapes: Pool) -> None:
    one, two = (batch(shapes, 3) for _ in range(2))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[key], two[key]) for key in one)
    other = batch(shapes, 4)
    assert not any(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("shape", [CellShape(), CellShape(10, 50, 1), CellShape(30, 40, 8)])
@pytest.mark.parametrize("n", [1, 6])
def test_a_batch(shapes: Pool, shape: CellShape, n: int) -> None:
    made = batch(shapes, 0, n, shape=shape)
    drawn = (n, 6, shape.anchors * shape.children)
    assert {key: tuple(value.shape) for key, value in made.items()} == {
        "x0": drawn, "noise": drawn, "anchors": drawn, "low_res": (n, 6, shape.context), "sigma": (n,),
    }  # fmt: skip
    assert {value.dtype for value in made.values()} == {torch.float32}
    assert (made["sigma"] > 0).all()
    assert made["noise"].std() == pytest.approx(1, abs=0.15)
    assert made["low_res"][:, :3].norm(dim=1).amax(1) == pytest.approx(1, abs=1e-5)


def test_children_are_close_by_in_units_of_the_spacing(shapes: Pool) -> None:
    away = places(batch(shapes, n=32)["x0"])
    # The six nearest of three times as many points as the coarse ones lie within sqrt(2 / pi) of a coarse spacing.
    assert 0.3 < away.median() < 0.8
    assert (away < 1.5).float().mean() > 0.99
    assert away.max() < 3


def test_children_of_an_anchor_are_different_points(shapes: Pool) -> None:
    x0 = batch(shapes, n=8, jitter=0)["x0"]
    children = x0[:, :3].unflatten(2, (64, 3))
    apart = (children - children.roll(1, dims=3)).norm(dim=1)
    assert apart.min() > 1e-3
    assert children.mean((0, 2, 3)).abs().max() < 0.1  # on all sides
    assert children[:, :2].std() > 0.2


def test_anchors_are_the_coarse_points(shapes: Pool) -> None:
    made = batch(shapes, n=8)
    anchors, low_res = made["anchors"], made["low_res"]
    assert torch.equal(anchors, low_res[:, :, :64].repeat_interleave(3, dim=2))  # 512 points fill 8 cells


def height(local: Tensor) -> Tensor:
    """How far points (N, C, P) leave their plane."""
    return local[:, 2].std(dim=1)


def test_the_coarse_points_are_jittered_and_the_dense_ones_are_not(shapes: Pool) -> None:
    made = batch(shapes, n=32, jitter=0.02)
    anchors, x0 = made["anchors"], made["x0"]
    dense = anchors[:, :3] + x0[:, :3] * spacing(CellShape())
    assert height(dense).max() < 2e-3
    assert height(anchors).max() > 0.01
    assert height(anchors).min() < height(anchors).max() / 3  # not always as much
    still = batch(shapes, n=8, jitter=0)
    assert height(still["anchors"]).max() < 1e-5
    # Colors too: the dense ones are the two paints.
    assert len(x0[:, 3:].mul(1e3).round().transpose(1, 2).reshape(-1, 3).unique(dim=0)) <= 2 * 8  # 8 clouds
    assert len(anchors[:, 3:].mul(1e3).round().transpose(1, 2).reshape(-1, 3).unique(dim=0)) > 1000


def test_coarse_and_dense_points_are_different_ones(shapes: Pool) -> None:
    """Otherwise the nearest child of an anchor would be the anchor itself."""
    assert places(batch(shapes, n=32, jitter=0)["x0"]).min() > 1e-4


def test_held_out_objects_are_not_trained_on(shapes: Pool) -> None:
    """The held-out sphere is not flat."""
    assert all(height(batch(shapes, seed, n=12, jitter=0)["anchors"]).max() < 1e-5 for seed in range(3))
    assert height(batch(shapes, n=12, jitter=0, training=False)["anchors"]).min() > 0.01


class Oracle(nn.Module):
    """Answers the batch's exact velocities, plus an error; x_t = cos(a) x0 + sin(a) noise comes after the anchors."""

    def __init__(self, made: Batch, error: float = 0.0) -> None:
        super().__init__()
        self.made, self.error = made, error

    def forward(self, x: Tensor, t: Tensor, *, low_res: Tensor) -> Tensor:
        assert torch.equal(x[:, :6], self.made["anchors"])
        assert torch.equal(low_res, self.made["low_res"])
        angle = (t.double() / 1000 * torch.pi / 2)[:, None, None]
        return (angle.cos() * x[:, 6:] - self.made["x0"]) / angle.sin() + self.error


def test_the_loss_of_an_oracle_is_zero(shapes: Pool) -> None:
    task = UpsamplerTask(PoolDataset(shapes), UpsamplerTaskConfig(CONFIG))
    made = drawn(task, UpsamplerExamples(COARSE), n=4)
    right, wrong = (task.losses(Oracle(made, error), made) for error in (0.0, 0.5))
    assert right.value.shape == (16,)
    assert right.noise_level is not None
    assert right.value.abs().max() < 1e-6
    assert wrong.value == pytest.approx(0.25, rel=1e-3)
    assert right.noise_level == pytest.approx(torch.atan(made["sigma"]) * 2 / torch.pi)
    assert ((right.noise_level > 0) & (right.noise_level < 1)).all()


def test_losses_of_a_silent_network_are_the_velocities(shapes: Pool) -> None:
    task = UpsamplerTask(PoolDataset(shapes), UpsamplerTaskConfig(CONFIG))  # a fresh network answers 0
    made = drawn(task, UpsamplerExamples(COARSE), n=1)
    angle = torch.atan(made["sigma"])[:, None, None]
    velocity = angle.cos() * made["noise"] - angle.sin() * made["x0"]
    assert torch.allclose(task.losses(task.network, made).value, velocity.square().mean((1, 2)), rtol=1e-4)


def test_the_weights_say_which_cells_they_are_for(shapes: Pool) -> None:
    task = UpsamplerTask(PoolDataset(shapes), UpsamplerTaskConfig(CONFIG, CellShape(10, 20, 2)))
    assert CellShape(**task.network_info["cell"]) == CellShape(10, 20, 2)
    assert PointTransformerConfig(**task.network_info["config"]) == CONFIG


def test_clouds_too_small_for_coarse_and_dense_points(data: Pool) -> None:
    task = UpsamplerTask(PoolDataset(data), UpsamplerTaskConfig(CONFIG))
    assert len(drawn(task, UpsamplerExamples(32, cells=1), n=2)["x0"]) == 2
    with pytest.raises(InputError, match="at least 132 points, found 128"):
        drawn(task, UpsamplerExamples(33), n=2)
