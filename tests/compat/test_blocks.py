"""The release's building blocks: its constructors, state-dict keys and sums."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from point_e.evals.pointnet2_cls_ssg import get_loss, get_model
from point_e.evals.pointnet2_utils import (
    farthest_point_sample,
    index_points,
    pc_normalize,
    query_ball_point,
    square_distance,
)
from point_e.models.checkpoint import checkpoint
from point_e.models.configs import model_from_config
from point_e.models.perceiver import (
    MultiheadCrossAttention,
    QKVMultiheadCrossAttention,
    ResidualCrossAttentionBlock,
    SimplePerceiver,
)
from point_e.models.transformer import (
    MLP,
    MultiheadAttention,
    QKVMultiheadAttention,
    ResidualAttentionBlock,
    Transformer,
    init_linear,
)
from point_e.models.util import timestep_embedding
from rounding import assert_same_sums, terms_of

CPU: dict[str, Any] = {"device": torch.device("cpu"), "dtype": torch.float32}
WIDTH, HEADS = 12, 3
X, DATA = (torch.randn(2, n, width, generator=torch.Generator().manual_seed(n)) for n, width in ((5, WIDTH), (7, 8)))


def attended(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """One head by its formula: (N, Q, w), (N, K, w), (N, K, w) -> (N, Q, w)."""
    return ((q @ k.transpose(1, 2)) / q.shape[-1] ** 0.5).softmax(-1) @ v


def test_attention_takes_channels_head_by_head() -> None:
    qkv = torch.randn(2, 5, 3 * WIDTH)
    found = QKVMultiheadAttention(**CPU, heads=HEADS, n_ctx=5)(qkv)
    expected = torch.cat([attended(*head.chunk(3, dim=2)) for head in qkv.chunk(HEADS, dim=2)], dim=2)
    assert_same_sums(found, expected, WIDTH // HEADS + 5)
    q, kv = torch.randn(2, 4, WIDTH), torch.randn(2, 7, 2 * WIDTH)
    found = QKVMultiheadCrossAttention(**CPU, heads=HEADS, n_data=7)(q, kv)
    heads = zip(q.chunk(HEADS, dim=2), kv.chunk(HEADS, dim=2), strict=True)
    expected = torch.cat([attended(one, *both.chunk(2, dim=2)) for one, both in heads], dim=2)
    assert_same_sums(found, expected, WIDTH // HEADS + 7)


def test_blocks_are_sums_of_their_parts() -> None:
    sizes: dict[str, Any] = {**CPU, "width": WIDTH, "heads": HEADS, "init_scale": 0.3}
    attention = MultiheadAttention(**sizes, n_ctx=5)
    inside = QKVMultiheadAttention(**CPU, heads=HEADS, n_ctx=5)
    assert_same_sums(attention(X), attention.c_proj(inside(attention.c_qkv(X))), attention)
    block = ResidualAttentionBlock(**sizes, n_ctx=5)
    middle = X + block.attn(block.ln_1(X))
    assert_same_sums(block(X), middle + block.mlp(block.ln_2(middle)), block)
    cross = MultiheadCrossAttention(**sizes, n_data=7, data_width=8)
    between = QKVMultiheadCrossAttention(**CPU, heads=HEADS, n_data=7)
    assert_same_sums(cross(X, DATA), cross.c_proj(between(cross.c_q(X), cross.c_kv(DATA))), cross)
    both = ResidualCrossAttentionBlock(**sizes, n_data=7, data_width=8)
    middle = X + both.attn(both.ln_1(X), both.ln_2(DATA))
    assert_same_sums(both(X, DATA), middle + both.mlp(both.ln_3(middle)), both)
    mlp = MLP(**CPU, width=WIDTH, init_scale=0.3)
    assert_same_sums(mlp(X), mlp.c_proj(nn.GELU()(mlp.c_fc(X))), mlp)


def test_stacks_take_a_network_s_weights() -> None:
    """Under the release's keys, so that a part of a checkpoint can be used on its own."""
    sdf = model_from_config(
        {"name": "CrossAttentionPointCloudSDFModel", "width": WIDTH, "encoder_layers": 2, "encoder_heads": HEADS,
         "decoder_layers": 2, "decoder_heads": HEADS}, "cpu"
    )  # fmt: skip
    state = sdf.state_dict()
    encoder = Transformer(**CPU, n_ctx=5, width=WIDTH, layers=2, heads=HEADS)
    encoder.load_state_dict({key[8:]: value for key, value in state.items() if key.startswith("encoder.")})
    decoder = SimplePerceiver(**CPU, n_data=5, width=WIDTH, layers=2, heads=HEADS)
    decoder.load_state_dict({key[8:]: value for key, value in state.items() if key.startswith("decoder.")})
    cloud, queries = torch.randn(1, 3, 5), torch.randn(1, 3, 4)
    with torch.no_grad():
        latents = encoder(sdf.encoder_input_proj(cloud.transpose(1, 2)))
        assert_same_sums(latents, sdf.encode_point_clouds(cloud)["latents"], sdf)
        x = decoder(sdf.decoder_input_proj(queries.transpose(1, 2)), latents)
        found = sdf.output_proj(sdf.ln_post(x))[..., 0]
        assert_same_sums(found, sdf(queries, cloud), sdf)


def test_fresh_weights() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(200, 200)
    init_linear(layer, 0.3)
    assert float(layer.weight.detach().std()) == pytest.approx(0.3, rel=0.02)
    assert not layer.bias.any()
    stack = Transformer(**CPU, n_ctx=5, width=64, layers=1, heads=2, init_scale=0.5)
    assert float(stack.state_dict()["resblocks.0.mlp.c_fc.weight"].std()) == pytest.approx(0.5 / 8, rel=0.03)
    half = MLP(device="cpu", dtype=torch.bfloat16, width=8, init_scale=1.0)
    assert half.c_fc.weight.dtype == torch.bfloat16


def test_checkpointing_changes_no_gradient() -> None:
    mlp, gradients = MLP(**CPU, width=WIDTH, init_scale=0.3), []
    for flag in (True, False):
        x = X.clone().requires_grad_()
        mlp.zero_grad()
        checkpoint(mlp, (x,), mlp.parameters(), flag).square().sum().backward()
        gradients.append(
            [x.grad, *(torch.clone(weight.grad) for weight in mlp.parameters() if weight.grad is not None)]
        )
    for one, other in zip(*gradients, strict=True):
        assert_same_sums(one, other, 2 * terms_of(mlp))  # forward and back


def test_features_of_times() -> None:
    found = timestep_embedding(torch.tensor([0.0, 2.5]), 5)
    assert found[0].tolist() == [1, 1, 0, 0, 0]
    expected = [math.cos(2.5), math.cos(0.025), math.sin(2.5), math.sin(0.025), 0]
    assert found[1].tolist() == pytest.approx(expected, abs=1e-6)
    assert timestep_embedding(torch.zeros(3), 8, max_period=100).shape == (3, 8)


@pytest.mark.parametrize("normals", [False, True])
@pytest.mark.slow
def test_classifier(normals: bool) -> None:
    torch.manual_seed(0)
    network = get_model(7, normal_channel=normals, width_mult=1).eval()
    assert network.state_dict()["sa1.mlp_convs.0.weight"].shape == (64, 6 if normals else 3, 1, 1)
    clouds = torch.randn(2, 6 if normals else 3, 600)
    clouds[:, :3] /= clouds[:, :3].norm(dim=1).amax(dim=1)[:, None, None]
    with torch.no_grad():
        log_probs, pooled, features = network(clouds, features=True)
        assert [tuple(part.shape) for part in (log_probs, pooled, features)] == [(2, 7), (2, 1024, 1), (2, 256)]
        assert_same_sums(log_probs.exp().sum(1), torch.ones(2), log_probs.shape[1])
        dense = network.bn2(network.fc2(torch.relu(network.bn1(network.fc1(pooled[..., 0])))))
        assert_same_sums(features, dense, terms_of(network.fc1) + terms_of(network.fc2))
        assert len(network(clouds)) == 2
        if normals:
            turned = torch.cat([clouds[:, :3], -clouds[:, 3:]], dim=1)
            assert not torch.allclose(network(turned)[1], pooled)
    target = torch.tensor([3, 5])
    loss = get_loss()(log_probs, target, pooled)
    assert float(loss) == pytest.approx(-float(log_probs[0, 3] + log_probs[1, 5]) / 2)
    losses = get_loss()(network.train()(clouds)[0], target, pooled)
    losses.backward()
    assert all(weight.grad is not None for weight in network.parameters())


def test_operations_on_clouds() -> None:
    torch.manual_seed(0)
    points = torch.rand(2, 50, 3)
    away = square_distance(points[:, :4], points)
    torch.testing.assert_close(away[1, 2, 30], (points[1, 2] - points[1, 30]).square().sum())
    index = torch.tensor([[[3, 4]], [[5, 6]]])
    assert torch.equal(index_points(points, index)[1, 0, 1], points[1, 6])
    chosen = farthest_point_sample(points, 3, deterministic=True)
    assert chosen[:, 0].tolist() == [0, 1]
    assert chosen[0, 1] == square_distance(points[:1, :1], points[:1]).argmax()
    torch.manual_seed(3)
    assert farthest_point_sample(points, 50)[0].sort().values.tolist() == list(range(50))
    near = query_ball_point(0.4, 8, points, points[:, :4])
    for center in range(4):
        inside = (away[0, center] <= 0.16).nonzero()[:, 0].tolist()[:8]
        assert near[0, center].tolist() == inside + [inside[0]] * (8 - len(inside))
    cloud = pc_normalize(points[0].numpy() * 7 + 3)
    assert cloud.mean(axis=0) == pytest.approx([0, 0, 0], abs=1e-5)
    assert (cloud**2).sum(axis=1).max() == pytest.approx(1)
