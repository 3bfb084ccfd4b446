"""Which steps of a process a respacing keeps."""

from __future__ import annotations

import pytest

from enpointe.core.errors import InputError
from enpointe.diffusion.schedule import DiscreteProcess, kept_steps


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
