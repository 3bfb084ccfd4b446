"""A sample is its prompt's and its seed's own, whatever it is made together with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from enpointe.diffusion.sampler import samplers_in
from enpointe.geometry.point_cloud import PointCloud
from enpointe.pipelines.families.pocket.pipeline import PocketPipeline

Make = Callable[..., PocketPipeline]

PROMPTS = ["a red car", "a dog", "a white house with a red roof and two chimneys", "boat", "a cat", "鳥", "x", "a dog"]
SEEDS = [0, 1, 2, 3, 2**63 - 1, 5, 6, 7]

ROUNDING = 1e-3
"""Of a whole run; a cloud of another seed is a hundred times farther away, see below."""


def same_bytes(a: PointCloud, b: PointCloud) -> bool:
    return a.points.tobytes() == b.points.tobytes() and a.colors.tobytes() == b.colors.tobytes()


def farthest_apart(a: PointCloud, b: PointCloud) -> float:
    return float(max(np.abs(a.points - b.points).max(), np.abs(a.colors - b.colors).max()))


@pytest.mark.parametrize("sampler", samplers_in("karras"))
@pytest.mark.slow
def test_a_sample_of_a_true_batch_is_the_sample_alone(tiny: Make, sampler: str) -> None:
    settings: dict[str, Any] = {"n_points": 64, "sampler": sampler}
    together = tiny(batch=8, dtype=torch.float32).generate(PROMPTS, seed=SEEDS, **settings)
    alone = tiny(batch=8, dtype=torch.float32)
    for result, prompt, seed in zip(together, PROMPTS, SEEDS, strict=True):
        single = alone.generate(prompt, seed=seed, **settings)
        assert (result.prompt, result.seed) == (single.prompt, single.seed) == (prompt, seed)
        assert farthest_apart(result.cloud, single.cloud) < ROUNDING


@pytest.mark.parametrize("batch", [1, 2, 3, 5])
@pytest.mark.slow
def test_the_batch_size_does_not_matter(tiny: Make, batch: int) -> None:
    whole = tiny(batch=8, dtype=torch.float32).generate(PROMPTS, seed=SEEDS, n_points=64, sampler="ancestral")
    parts = tiny(batch=batch, dtype=torch.float32).generate(PROMPTS, seed=SEEDS, n_points=64, sampler="ancestral")
    assert max(farthest_apart(a.cloud, b.cloud) for a, b in zip(whole, parts, strict=True)) < ROUNDING


def test_on_a_cpu_a_sample_among_others_has_the_same_bytes(tiny: Make) -> None:
    pipeline = tiny()
    assert pipeline.batch == 1
    together = pipeline.generate(PROMPTS, seed=SEEDS, n_points=64)
    for result, prompt, seed in zip(together, PROMPTS, SEEDS, strict=True):
        assert same_bytes(result.cloud, pipeline.generate(prompt, seed=seed, n_points=64).cloud)


def test_upsampled_samples_have_the_same_bytes_too(tiny: Make) -> None:
    together = tiny().generate(PROMPTS[:2], seed=SEEDS[:2], n_points=1100)
    for result, prompt, seed in zip(together, PROMPTS[:2], SEEDS[:2], strict=True):
        assert same_bytes(result.cloud, tiny().generate(prompt, seed=seed, n_points=1100).cloud)


def test_same_seed_same_bytes_and_other_seed_other_cloud(tiny: Make) -> None:
    one, again = (tiny().generate("a dog", seed=3, n_points=64).cloud for _ in range(2))
    assert same_bytes(one, again)
    other = tiny().generate("a dog", seed=4, n_points=64).cloud
    assert farthest_apart(one, other) > 0.1
    unnamed = tiny().generate("a dog", n_points=64).cloud
    assert same_bytes(unnamed, tiny().generate("a dog", seed=0, n_points=64).cloud)


def test_prompts_matter(tiny: Make) -> None:
    a, b = (
        tiny().generate(prompt, seed=3, n_points=64, guidance_scale=3).cloud for prompt in ("a dog", "a red castle")
    )
    assert farthest_apart(a, b) > 1e-2
    spaced = tiny().generate("  a dog ", seed=3, n_points=64, guidance_scale=3)
    assert spaced.prompt == "a dog"
    assert same_bytes(a, spaced.cloud)


def test_guidance_0_and_1_are_plain_conditional_and_others_are_not(tiny: Make) -> None:
    clouds = {g: tiny().generate("a dog", seed=3, n_points=64, guidance_scale=g).cloud for g in (0, 1, 0.5, 4)}
    assert same_bytes(clouds[0], clouds[1])
    assert farthest_apart(clouds[1], clouds[4]) > 1e-3
    assert farthest_apart(clouds[1], clouds[0.5]) > 1e-3


def test_settings_and_numbers_of_any_whole_type(tiny: Make) -> None:
    plain = tiny().generate("a dog", seed=3, n_points=64)
    settings: dict[str, Any] = {
        "seed": np.int64(3),
        "n_points": np.int32(64),
        "steps": np.int8(3),
        "guidance_scale": np.float32(2.5),
    }
    numpy = tiny().generate("a dog", **settings)
    assert same_bytes(plain.cloud, numpy.cloud)
    assert type(numpy.seed) is int
    assert not same_bytes(plain.cloud, tiny().generate("a dog", seed=3, n_points=64, steps=4).cloud)


def test_upsampling_has_a_seed_of_its_own(tiny: Make, capsule: Callable[..., PointCloud]) -> None:
    cloud, pipeline = capsule(128), tiny()
    one, again, other = (pipeline.upsample(cloud, n_points=300, seed=seed) for seed in (5, 5, 6))
    assert same_bytes(one, again)
    assert farthest_apart(one, other) > 1e-2
