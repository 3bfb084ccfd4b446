"""Cloud to mesh, with the calls and arguments of the release's published example."""

from __future__ import annotations

from pathlib import Path

import torch

from point_e.models.configs import MODEL_CONFIGS, model_from_config
from point_e.models.download import load_checkpoint
from point_e.util.pc_to_mesh import marching_cubes_mesh
from point_e.util.plotting import plot_point_cloud
from point_e.util.point_cloud import PointCloud

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
model = model_from_config(MODEL_CONFIGS["sdf"], device)
model.eval()
model.load_state_dict(load_checkpoint("sdf", device))

pc = PointCloud.load("example_data/pc_corgi.npz")
fig = plot_point_cloud(pc, grid_size=2)
mesh = marching_cubes_mesh(pc=pc, model=model, batch_size=4096, grid_size=32, progress=True)
with Path("mesh.ply").open("wb") as f:
    mesh.write_ply(f)
