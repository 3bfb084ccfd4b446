"""Processes of given betas, and which steps a respacing keeps."""

from __future__ import annotations

import pytest
import torch

from enpointe.core.errors import InputError
from enpointe.diffusion.schedule import DiscreteProcess, TabulatedProcess, cosine_betas, kept_steps

TABLES = ("timesteps", "alphas_cumprod", "alphas_cumprod_prev", "sigmas", "posterior_log_variance_clipped", "betas")


@pytest.mark.parametrize("respacing", ["", "10", "3,7"])
def test_a_table_of_known_betas_is_the_known_process(respacing: str) -> None:
    known = DiscreteProcess("cosine", 50, respacing)
    table = TabulatedProcess(cosine_betas(50), known.timesteps.tolist())
    for name in TABLES:
        assert torch.equal(getattr(table, name), getattr(known, name))
    levels = torch.tensor([0.0, 0.1, 3.0, 1e6])
    assert torch.equal(table.sigma_to_index(levels), known.sigma_to_index(levels))


def test_tables_of_other_betas_differ() -> None:
    one, other = TabulatedProcess(cosine_betas(9)), TabulatedProcess(cosine_betas(9) / 2)
    assert one != other
    assert one == one
    assert one.alphas_cumprod[-1] < other.alphas_cumprod[-1]


@pytest.mark.parametrize(
    ("betas", "kept"), [([0.1], None), ([0.1, 0.0], None), ([0.1, 1.1], None), ([0.1, 0.2], []), ([0.1, 0.2], [2])]
)
def test_impossible_tables(betas: list[float], kept: list[int] | None) -> None:
    with pytest.raises(InputError, match="expected"):
        TabulatedProcess(torch.tensor(betas), kept)


def test_respacing_by_a_whole_stride_and_by_name() -> None:
    assert kept_steps(100, "ddim5") == [0, 20, 40, 60, 80]
    assert kept_steps(10, "ddim4") == [0, 3, 6, 9]
    assert kept_steps(10, "ddim1") == [0]
    assert kept_steps(10, "exact7,0,7,2") == [0, 2, 7]
    assert DiscreteProcess("linear", 10, "exact0,9").timesteps.tolist() == [0, 9]


@pytest.mark.parametrize("respacing", ["ddim6", "ddim", "ddim2,3", "exact10", "exact-1", "exact", "ddimx"])
def test_impossible_respacings(respacing: str) -> None:
    with pytest.raises(InputError, match="expected"):
        kept_steps(10, respacing)
