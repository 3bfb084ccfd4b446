"""Views of many clouds at once, on the device that trains: points as discs, lit and laid on grounds of all kinds.

Rendering ahead needs a renderer and room; a network that learns from images of clouds can have them drawn beside it, so
that no two are the same. They are made to differ (camera, light, ground, blur, noise) so that a photograph is not a
stranger to what learned from them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

Range = tuple[float, float]

_DEPTH_BITS = 20


@dataclass(frozen=True)
class ViewConfig:
    """How views are drawn; of every range a value is drawn evenly for each view.

    Attributes:
        size: pixels along a side.
        azimuth, elevation, fov: of the camera, degrees; azimuth 0 looks at the front (from -y).
        margin: side of the image over the longer side of what is seen, which is in the middle.
        ambient: the part of the light that comes from everywhere.
        plain: how often the ground is white; else it is a color, a gradient or a pattern, as often each.
        blur: standard deviation in pixels of the image's blur.
        noise: standard deviation of what is added to each value.
    """

    size: int = 224
    azimuth: Range = (0.0, 360.0)
    elevation: Range = (-5.0, 55.0)
    fov: Range = (20.0, 60.0)
    margin: Range = (1.05, 1.5)
    ambient: Range = (0.4, 1.0)
    plain: float = 0.5
    blur: Range = (0.0, 1.5)
    noise: Range = (0.0, 0.03)


class Cameras(NamedTuple):
    """Pinhole cameras that look at the origin, one for each cloud; see `ViewConfig`.

    Attributes:
        axes: (n, 3, 3) unit rows to the right, upward and toward the camera.
        distance: (n,) from the origin.
    """

    axes: Float[Tensor, "n 3 3"]
    distance: Float[Tensor, " n"]

    def project(self, points: Float[Tensor, "n p 3"]) -> tuple[Float[Tensor, "n p 2"], Float[Tensor, "n p"]]:
        """Places (n, p, 2), right and upward as tangents, and depths (n, p) of points (n, p, 3)."""
        local = points @ self.axes.transpose(1, 2)
        depth = self.distance[:, None] - local[..., 2]
        return local[..., :2] / depth[..., None], depth


def random_cameras(n: int, config: ViewConfig, generator: torch.Generator) -> Cameras:
    """Cameras that see the whole unit cube."""
    azimuth, elevation, fov = (
        torch.deg2rad(_uniform(n, bounds, generator)) for bounds in (config.azimuth, config.elevation, config.fov)
    )
    zero = torch.zeros_like(azimuth)
    toward = torch.stack([azimuth.sin() * elevation.cos(), -azimuth.cos() * elevation.cos(), elevation.sin()], dim=1)
    right = torch.stack([azimuth.cos(), azimuth.sin(), zero], dim=1)
    axes = torch.stack([right, torch.linalg.cross(toward, right), toward], dim=1)
    return Cameras(axes, math.sqrt(3) / 2 / torch.sin(fov / 2))


class Seen(NamedTuple):
    """What each pixel shows.

    Attributes:
        point: (n, size, size) index of a point, 0 where there is none.
        covered: (n, size, size) whether there is one.
        depth: (n, size, size) from the camera, of the nearest point of all where there is none.
        pixel: side of a pixel at the origin, in world units (n,).
    """

    point: Int64[Tensor, "n size size"]
    covered: Bool[Tensor, "n size size"]
    depth: Float[Tensor, "n size size"]
    pixel: Float[Tensor, " n"]


def rasterize(
    points: Float[Tensor, "n p 3"],
    cameras: Cameras,
    size: int,
    margin: Float[Tensor, " n"] | float = 1.1,
    disc: float = 0.9,
) -> Seen:
    """Points as discs, cut to the object and its margin.

    Args:
        disc: their radius, in sides of the image over the root of how many points there are. At 0.9 they overlap on an
            evenly sampled surface.
    """
    n, p, _ = points.shape
    device = points.device
    place, depth = cameras.project(points)
    low, high = place.amin(1), place.amax(1)
    half = (high - low).amax(1) / 2 * torch.as_tensor(margin, device=device)
    at = (place - ((low + high) / 2)[:, None]) / half[:, None, None].clamp_min(1e-6)  # -1 to 1 inside
    column = ((at[..., 0] + 1) * size / 2).floor().long()
    row = ((1 - at[..., 1]) * size / 2).floor().long()
    near, far = depth.amin(1, keepdim=True), depth.amax(1, keepdim=True)
    level = ((depth - near) / (far - near).clamp_min(1e-6) * (2**_DEPTH_BITS - 1)).long()
    key = level * p + torch.arange(p, device=device)
    empty = 2**_DEPTH_BITS * p
    buffer = torch.full((n, size * size), empty, dtype=torch.int64, device=device)
    radius = disc * size / math.sqrt(p)
    reach = int(radius)
    for down in range(-reach, reach + 1):
        for side in range(-reach, reach + 1):
            if down * down + side * side <= radius * radius:
                r, c = row + down, column + side
                inside = (r >= 0) & (r < size) & (c >= 0) & (c < size)
                spot = r.clamp(0, size - 1) * size + c.clamp(0, size - 1)
                buffer.scatter_reduce_(1, spot, torch.where(inside, key, empty), "amin")
    covered = buffer < empty
    point = torch.where(covered, buffer % p, 0)
    shown = torch.where(covered, depth.gather(1, point), near)
    shape = (n, size, size)
    return Seen(point.view(shape), covered.view(shape), shown.view(shape), 2 * half * cameras.distance / size)


def random_views(
    points: Float[Tensor, "n p 3"], colors: Float[Tensor, "n p 3"], generator: torch.Generator, config: ViewConfig
) -> Float[Tensor, "n 3 size size"]:
    """A view of each cloud, sRGB in [0, 1].

    Args:
        points: (n, p, 3) in the unit frame: z up, front along -y.
        colors: (n, p, 3) sRGB in [0, 1].
        generator: on the points' device; all that is random comes from it.
    """
    n, size = len(points), config.size
    cameras = random_cameras(n, config, generator)
    seen = rasterize(points, cameras, size, _uniform(n, config.margin, generator))
    flat = seen.point.view(n, -1, 1).expand(-1, -1, 3)
    paint = colors.gather(1, flat).transpose(1, 2).reshape(n, 3, size, size)
    image = paint * _light(seen, config, generator)[:, None]
    image = torch.where(seen.covered[:, None], image, _grounds(n, config, generator))
    image = _blurred(image, _uniform(n, config.blur, generator))
    grain = torch.randn(image.shape, generator=generator, device=image.device)
    return (image + grain * _uniform(n, config.noise, generator)[:, None, None, None]).clamp(0, 1)


def visible(points: Float[Tensor, "n p 3"], cameras: Cameras) -> Bool[Tensor, "n p"]:
    """Which points a depth camera sees, of so few pixels that hardly anything is seen between them."""
    seen = rasterize(points, cameras, int(1.7 * points.shape[1] ** 0.5) + 1, disc=1.3)
    flags = torch.zeros(points.shape[:2], dtype=torch.bool, device=points.device)
    flags.scatter_(1, seen.point.flatten(1), seen.covered.flatten(1))
    # Where nothing is, the index is 0, which may have been written last: it counts if any pixel shows it.
    flags[:, 0] = ((seen.point == 0) & seen.covered).flatten(1).any(1)
    return flags


def _light(seen: Seen, config: ViewConfig, generator: torch.Generator) -> Float[Tensor, "n size size"]:
    """A lamp's light on each pixel, by the slope of the depths around it."""
    n = len(seen.depth)
    depth = F.avg_pool2d(seen.depth[:, None], 5, 1, 2, count_include_pad=False)[:, 0] / seen.pixel[:, None, None]
    down, side = torch.gradient(depth, dim=(1, 2))
    normal = F.normalize(torch.stack([side, -down, torch.ones_like(depth)], dim=1), dim=1)
    lamp = torch.randn(n, 3, generator=generator, device=depth.device)
    lamp = F.normalize(lamp + lamp.new_tensor([0.0, 1.0, 1.5]), dim=1)
    lit = torch.einsum("nchw,nc->nhw", normal, lamp).clamp_min(0)
    ambient = _uniform(n, config.ambient, generator)[:, None, None]
    return ambient + (1 - ambient) * 1.2 * lit


def _grounds(n: int, config: ViewConfig, generator: torch.Generator) -> Float[Tensor, "n 3 size size"]:
    """White, a color, a gradient between two, or a pattern of spots of all sizes."""
    size, device = config.size, generator.device
    first, second = (torch.rand(n, 3, 1, 1, generator=generator, device=device) for _ in range(2))
    ramp = torch.linspace(0, 1, size, device=device)[:, None].expand(size, size)
    spots = [torch.rand(n, 3, cells, cells, generator=generator, device=device) for cells in (3, 9, 27)]
    pattern = torch.stack([F.interpolate(cells, size=(size, size), mode="bilinear") for cells in spots]).mean(0)
    kinds = torch.stack(
        [
            torch.ones(n, 3, size, size, device=device),
            first.expand(-1, -1, size, size),
            first + (second - first) * ramp,
            pattern,
        ]
    )
    white = torch.rand(n, generator=generator, device=device) < config.plain
    kind = torch.randint(1, 4, (n,), generator=generator, device=device).masked_fill(white, 0)
    return kinds[kind, torch.arange(n, device=device)]


def _blurred(image: Float[Tensor, "n c h w"], sigma: Float[Tensor, " n"]) -> Float[Tensor, "n c h w"]:
    """A Gaussian blur of each image's own width in pixels."""
    n, channels = image.shape[:2]
    offsets = torch.arange(-4, 5, device=image.device, dtype=image.dtype)
    kernel = torch.softmax(-(offsets**2) / (2 * sigma[:, None].clamp_min(1e-2) ** 2), dim=1)
    weights = kernel.repeat_interleave(channels, 0)[:, None]  # a group for each image's channel
    planes = image.reshape(1, n * channels, *image.shape[2:])
    for shape, padding in (((1, 9), (4, 4, 0, 0)), ((9, 1), (0, 0, 4, 4))):
        planes = F.conv2d(F.pad(planes, padding, mode="replicate"), weights.view(-1, 1, *shape), groups=n * channels)
    return planes.view(image.shape)


def _uniform(n: int, bounds: Range, generator: torch.Generator) -> Float[Tensor, " n"]:
    low, high = bounds
    return low + (high - low) * torch.rand(n, generator=generator, device=generator.device)
