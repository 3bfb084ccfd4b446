"""For every test that asks: the golden vectors, the noise predictors that they were recorded with, a browser."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from enpointe.diffusion.schedule import DiscreteProcess
from enpointe.nn.sdf import SDFTransformer
from point_e.models.configs import model_from_config
from point_e.models.fast import enpointe_network
from point_e.models.pretrained_clip import ImageCLIP

pytest_plugins = ["tiny_family"]

GOLDEN = Path(__file__).parent / "golden"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --use-angle=swiftshader --enable-unsafe-swiftshader --disable-quic "
    "--no-first-run --disable-background-networking --disable-component-update --disable-sync"
)
SCHEDULES = {"grid": "cosine", "upsample": "linear"}

# Networks here are tiny: more threads would wait for each other, three times as long where a machine does other work.
os.environ.setdefault("OMP_NUM_THREADS", "1")  # of processes that tests start
torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"].split(",")[0]))  # of "4,2" the outer level's


@pytest.fixture(scope="session")
def golden_folder() -> Path:
    """The full set where ENPOINTE_GOLDEN says, else the reduced one of this repository."""
    folder = Path(os.environ.get("ENPOINTE_GOLDEN") or GOLDEN)
    if not folder.is_dir():
        pytest.fail(f"ENPOINTE_GOLDEN: expected a folder, found none at {folder}")
    return folder


@pytest.fixture(scope="session")
def golden(golden_folder: Path) -> Callable[[str], tuple[dict[str, Tensor], dict[str, Any]]]:
    """Reads one file: name without suffix -> (its tensors, its metadata)."""

    def read(name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
        path = golden_folder / f"{name}.safetensors"
        if not path.is_file():
            pytest.skip(f"no {path.name} in {golden_folder}; ENPOINTE_GOLDEN may name the full set")
        with safe_open(path, "pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
            metadata = {key: _parsed(value) for key, value in (file.metadata() or {}).items()}
        return tensors, metadata

    return read


def released_network(tensors: dict[str, Tensor], metadata: dict[str, Any]) -> nn.Module:
    """enpointe's network with a golden's weights, by way of the release's constructor and keys."""
    weights = {key.removeprefix("w."): value for key, value in tensors.items() if key.startswith("w.")}
    config = metadata["config"]
    if "cls" not in metadata:
        sdf = SDFTransformer(**{key: value for key, value in config.items() if key not in {"n_ctx", "init_scale"}})
        sdf.load_state_dict(weights)
        return sdf.eval()
    with pytest.MonkeyPatch.context() as patch:
        for size in ("feature_dim", "grid_feature_dim"):
            patch.setattr(ImageCLIP, size, metadata.get(size, 1))
        model = model_from_config({"name": metadata["cls"], **config}, "cpu")
    model.load_state_dict(weights)
    network = enpointe_network(model)
    assert network is not None
    return network


@pytest.fixture(scope="session")
def golden_network() -> Callable[[dict[str, Tensor], dict[str, Any]], nn.Module]:
    """What a golden file of a network holds, its tensors and its metadata, as a network."""
    return released_network


@pytest.fixture(scope="session")
def predictor(golden: Callable[[str], tuple[dict[str, Tensor], dict[str, Any]]]) -> Callable[[str], Any]:
    """The goldens' noise predictors, of "grid" and "upsample": exact for N(0, 1/4), plus a tenth of a network."""

    def make(name: str) -> Callable[..., Tensor]:
        tensors, metadata = golden(f"model_{name}")
        network = released_network(tensors, metadata)
        process = DiscreteProcess(SCHEDULES[name])

        def predict(x: Tensor, t: Tensor, **cond: Any) -> Tensor:
            output = network(x, t, **cond)
            alpha_bar = process.alphas_cumprod[t.long()].float()[:, None, None]
            exact = x * (1 - alpha_bar).sqrt() / (0.25 * alpha_bar + 1 - alpha_bar)
            return torch.cat([exact + 0.1 * output[:, :6], output[:, 6:]], dim=1)

        return predict

    return make


def _parsed(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real one, without a window; the test is skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=found, args=FLAGS.split())
        yield browser
        browser.close()
