"""Text to cloud, with the calls and arguments of the release's published example."""

from __future__ import annotations

import torch
from tqdm.auto import tqdm

from point_e.diffusion.configs import DIFFUSION_CONFIGS, diffusion_from_config
from point_e.diffusion.sampler import PointCloudSampler
from point_e.models.configs import MODEL_CONFIGS, model_from_config
from point_e.models.download import load_checkpoint
from point_e.util.plotting import plot_point_cloud

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
networks, processes = [], []
for name in ("base40M-textvec", "upsample"):
    network = model_from_config(MODEL_CONFIGS[name], device)
    network.eval()
    network.load_state_dict(load_checkpoint(name, device))
    networks.append(network)
    processes.append(diffusion_from_config(DIFFUSION_CONFIGS[name]))

sampler = PointCloudSampler(
    device=device,
    models=networks,
    diffusions=processes,
    num_points=[1024, 4096 - 1024],
    aux_channels=["R", "G", "B"],
    guidance_scale=[3.0, 0.0],
    model_kwargs_key_filter=("texts", ""),
)
samples = None
for x in tqdm(sampler.sample_batch_progressive(batch_size=1, model_kwargs={"texts": ["a red motorcycle"]})):
    samples = x

pc = sampler.output_to_point_clouds(samples)[0]
fig = plot_point_cloud(pc, grid_size=3, fixed_bounds=((-0.75, -0.75, -0.75), (0.75, 0.75, 0.75)))
