"""Views of clouds drawn beside training: geometry in closed form, and that they differ as they should."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from enpointe.render.point_views import Cameras, ViewConfig, random_cameras, random_views, rasterize, visible

QUIET = ViewConfig(size=64, plain=1.0, blur=(0.0, 0.0), noise=(0.0, 0.0), ambient=(1.0, 1.0))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sphere(n: int, radius: float = 0.5) -> Tensor:
    points = torch.randn(1, n, 3, generator=generator(1))
    return radius * points / points.norm(dim=2, keepdim=True)


def front(distance: float = 3.0) -> Cameras:
    """From -y: x to the right, z upward."""
    axes = torch.tensor([[[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]]])
    return Cameras(axes, torch.tensor([distance]))


def test_a_camera_projects_as_a_pinhole_does() -> None:
    points = torch.tensor([[[0.2, 0.0, 0.1], [0.2, -1.0, 0.1], [0.2, 1.0, 0.1]]])
    place, depth = front().project(points)
    assert depth[0].tolist() == pytest.approx([3, 2, 4])
    assert place[0, :, 0].tolist() == pytest.approx([0.2 / 3, 0.1, 0.05])
    assert place[0, :, 1].tolist() == pytest.approx([0.1 / 3, 0.05, 0.025])


def test_random_cameras_are_upright_and_see_the_unit_cube() -> None:
    cameras = random_cameras(200, ViewConfig(), generator())
    torch.testing.assert_close(cameras.axes @ cameras.axes.transpose(1, 2), torch.eye(3).expand(200, 3, 3))
    assert torch.linalg.det(cameras.axes) == pytest.approx(torch.ones(200), abs=1e-5)
    assert cameras.axes[:, 0, 2].abs().max() < 1e-6  # no roll
    elevation = torch.rad2deg(cameras.axes[:, 2, 2].asin())
    assert -5 <= elevation.min() < 0 < 50 < elevation.max() <= 55 + 1e-3
    corners = torch.cartesian_prod(*[torch.tensor([-0.5, 0.5])] * 3).expand(200, 8, 3)
    place, depth = cameras.project(corners)
    assert depth.min() > 0
    assert place.abs().amax() < torch.tan(torch.deg2rad(torch.tensor(40.0)))


def test_the_nearest_point_is_seen() -> None:
    """A red point in front of a blue one, which stands between two at the borders."""
    points = torch.tensor([[[0.0, 0.4, 0.0], [0.0, -0.4, 0.0], [-0.5, 0.0, 0.0], [0.5, 0.0, 0.0]]])
    seen = rasterize(points, front(), 16, margin=2.0)
    assert seen.point[0, 8, 8] == 1
    assert seen.depth[0, 8, 8] == pytest.approx(2.6)
    assert set(seen.point[0][seen.covered[0]].tolist()) == {1, 2, 3}


def test_the_object_is_in_the_middle_with_its_margin() -> None:
    points = sphere(4000) * torch.tensor([1.0, 1.0, 0.5]) + torch.tensor([0.3, 0.0, -0.2])
    rows, columns = rasterize(points, front(), 100, margin=1.25).covered[0].nonzero().T
    assert (columns.min() + columns.max() + 1) / 2 == pytest.approx(50, abs=1)
    assert (rows.min() + rows.max() + 1) / 2 == pytest.approx(50, abs=1)
    # Discs stand out by their radius, 1.4 pixels.
    assert columns.max() - columns.min() + 1 == pytest.approx(100 / 1.25 + 2, abs=2)


def test_half_of_a_sphere_is_visible() -> None:
    z = torch.linspace(-1, 1, 4001)[:-1] + 1 / 4000
    angle = torch.arange(4000) * 2.399963  # the golden angle: evenly spread
    ring = (1 - z**2).sqrt()
    points = 0.5 * torch.stack([ring * angle.cos(), ring * angle.sin(), z], dim=1)[None]
    seen = visible(points, front(100.0))[0]
    toward = -points[0, :, 1]
    assert seen[toward > 0.1].float().mean() > 0.4  # several may share a pixel
    assert not seen[toward < -0.1].any()


def test_a_quiet_view_shows_the_points_own_colors_on_white() -> None:
    points, colors = sphere(2000), torch.tensor([0.2, 0.4, 0.6]).expand(1, 2000, 3)
    view = random_views(points, colors, generator(), QUIET)[0]
    assert view[:, 32, 32].tolist() == pytest.approx([0.2, 0.4, 0.6], abs=1e-3)
    assert view[:, 0, 0].tolist() == pytest.approx([1, 1, 1], abs=1e-3)


def test_views_differ_and_follow_the_generator() -> None:
    points, colors = sphere(500).expand(12, -1, -1), torch.rand(12, 500, 3, generator=generator())
    config = ViewConfig(size=32)
    one, again, other = (random_views(points, colors, generator(seed), config) for seed in (3, 3, 4))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert one.shape == (12, 3, 32, 32)
    assert ((one >= 0) & (one <= 1)).all()
    corner = one[:, :, 0, 0]
    assert 2 < (corner > 0.9).all(1).sum() < 11  # half of the grounds are white
    lit = random_views(points, colors * 0 + 0.5, generator(), replace(QUIET, ambient=(0.2, 0.2)))
    assert lit[:, 0][lit[:, 0] < 0.9].std() > 0.03  # where a lamp shines from makes a difference


def test_a_blur_keeps_the_mean_and_takes_the_edges() -> None:
    points, colors = sphere(2000), torch.zeros(1, 2000, 3)
    sharp, soft = (
        random_views(points, colors, generator(), replace(QUIET, blur=(width, width)))[0, 0] for width in (0.0, 2.0)
    )
    assert soft.mean() == pytest.approx(float(sharp.mean()), abs=0.01)
    assert soft.diff(dim=0).abs().max() < 0.5 < sharp.diff(dim=0).abs().max()
