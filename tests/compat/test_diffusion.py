"""The release's GaussianDiffusion: its tables, steps, loops and losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from enpointe.errors import InputError
from point_e.diffusion.configs import DIFFUSION_CONFIGS, diffusion_from_config
from point_e.diffusion.gaussian_diffusion import (
    GaussianDiffusion,
    SpacedDiffusion,
    get_named_beta_schedule,
    space_timesteps,
)
from point_e.models.configs import model_from_config
from point_e.models.pretrained_clip import ImageCLIP

Golden = Callable[[str], tuple[dict[str, Tensor], dict[str, Any]]]
STEPS = 50
GENERATOR = torch.Generator().manual_seed(0)
X0, X_T = (torch.randn(3, 2, 5, generator=GENERATOR) for _ in range(2))
T = torch.tensor([0, 7, 49])


def process(**options: Any) -> GaussianDiffusion:
    settings = {"model_mean_type": "epsilon", "model_var_type": "fixed_small", "loss_type": "mse", **options}
    return GaussianDiffusion(betas=get_named_beta_schedule("cosine", STEPS), **settings)


def net(eps: Tensor, values: Tensor | None = None) -> Callable[..., Tensor]:
    """A network whose output is known."""
    return lambda x, t, **cond: eps if values is None else torch.cat([eps, values], dim=1)


@pytest.mark.golden
@pytest.mark.parametrize("name", ["base40M", "upsample"])
def test_recorded_tables(golden: Golden, name: str) -> None:
    tensors, _ = golden("schedules")
    diffusion = diffusion_from_config(DIFFUSION_CONFIGS[name])
    for table in ("betas", "alphas_cumprod", "posterior_log_variance_clipped"):
        np.testing.assert_allclose(getattr(diffusion, table), tensors[f"{name}.{table}"].numpy(), rtol=1e-12)
    assert diffusion.num_timesteps == 1024


@pytest.mark.golden
def test_recorded_losses(golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded, about = golden("model_grid")
    tensors, _ = golden("training_losses")
    for key in ("feature_dim", "grid_size", "grid_feature_dim"):
        monkeypatch.setattr(ImageCLIP, key, about[key])
    model = model_from_config({"name": about["cls"], **about["config"]}, "cpu").eval()
    model.load_state_dict({key.removeprefix("w."): value for key, value in recorded.items() if key.startswith("w.")})
    diffusion = diffusion_from_config(DIFFUSION_CONFIGS["base40M"])

    def predict(x: Tensor, t: Tensor, **cond: Any) -> Tensor:
        alpha_bar = torch.from_numpy(diffusion.alphas_cumprod)[t].float()[:, None, None]
        output = model(x, t, **cond)
        exact = x * (1 - alpha_bar).sqrt() / (0.25 * alpha_bar + 1 - alpha_bar)
        return torch.cat([exact + 0.1 * output[:, :6], output[:, 6:]], dim=1)

    cond = {"embeddings": tensors["embeddings"]}
    losses = diffusion.training_losses(predict, tensors["x_start"], tensors["t"], cond, tensors["noise"])
    assert losses.keys() == {"loss", "mse", "vb"}
    for name, ours in losses.items():
        torch.testing.assert_close(ours, tensors[f"out.{name}"], rtol=2e-5, atol=1e-6)


def test_tables_agree_with_each_other() -> None:
    diffusion = process()
    bar, before = diffusion.alphas_cumprod, diffusion.alphas_cumprod_prev
    np.testing.assert_allclose(bar, np.cumprod(1 - diffusion.betas))
    np.testing.assert_allclose(diffusion.alphas_cumprod_next, [*bar[1:], 0])
    np.testing.assert_allclose(diffusion.sqrt_recipm1_alphas_cumprod, np.sqrt(1 / bar - 1))
    np.testing.assert_allclose(diffusion.posterior_variance, diffusion.betas * (1 - before) / (1 - bar))
    # The posterior's mean of a noiseless x_t = sqrt(bar) x_0 lies on the noiseless path.
    mean = diffusion.posterior_mean_coef1 + diffusion.posterior_mean_coef2 * np.sqrt(bar)
    np.testing.assert_allclose(mean, np.sqrt(before))


def test_diffusing_and_predicting_back() -> None:
    diffusion, noise = process(), X_T
    x_t = diffusion.q_sample(X0, T, noise=noise)
    mean, variance, log_variance = diffusion.q_mean_variance(X0, T)
    torch.testing.assert_close(x_t, mean + variance.sqrt() * noise)
    torch.testing.assert_close(log_variance.exp(), variance)
    torch.testing.assert_close(diffusion.get_sigmas(T)[:2], (variance / (1 - variance)).sqrt()[:2, 0, 0])
    out = diffusion.p_mean_variance(net(noise), x_t, T)
    torch.testing.assert_close(out["pred_xstart"], X0, rtol=1e-3, atol=1e-3)
    for found, exact in zip(
        (out["mean"], out["log_variance"]), diffusion.q_posterior_mean_variance(X0, x_t, T)[::2], strict=True
    ):
        torch.testing.assert_close(found, exact, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("mean_type", ["epsilon", "x_start", "x_prev"])
def test_what_a_network_may_predict(mean_type: str) -> None:
    diffusion = process(model_mean_type=mean_type)
    t = T.clamp(1)
    x_t = diffusion.q_sample(X0, t, noise=X_T)
    previous = diffusion.q_posterior_mean_variance(X0, x_t, t)[0]
    output = {"epsilon": X_T, "x_start": X0, "x_prev": previous}[mean_type]
    out = diffusion.p_mean_variance(net(output), x_t, t)
    torch.testing.assert_close(out["pred_xstart"], X0, rtol=2e-3, atol=2e-3)
    torch.testing.assert_close(out["mean"], previous, rtol=1e-3, atol=1e-3)
    predicted = diffusion.noise_predictor(net(output))(x_t, t.float())
    torch.testing.assert_close(predicted, X_T, rtol=2e-3, atol=2e-3)


def test_variances() -> None:
    betas = torch.from_numpy(process().betas)[T].float()
    posterior = torch.from_numpy(process().posterior_log_variance_clipped)[T].float()
    large = process(model_var_type="fixed_large").p_mean_variance(net(X_T), X_T, T)["log_variance"][:, 0, 0]
    assert large.tolist() == pytest.approx([float(posterior[0]), *betas[1:].log().tolist()], rel=1e-4)
    small = process().p_mean_variance(net(X_T), X_T, T)["log_variance"][:, 0, 0]
    assert small.tolist() == pytest.approx(posterior.tolist(), rel=1e-5)
    own = process(model_var_type="learned").p_mean_variance(net(X_T, X0), X_T, T)
    assert torch.equal(own["log_variance"], X0)
    half = process(model_var_type="learned_range").p_mean_variance(net(X_T, torch.zeros_like(X0)), X_T, T)
    assert half["log_variance"][:, 0, 0].tolist() == pytest.approx(((betas.log() + posterior) / 2).tolist(), rel=1e-5)


def test_clipping_comes_after_the_given_function() -> None:
    out = process(model_mean_type="x_start").p_mean_variance(
        net(X0), X_T, T, clip_denoised=True, denoised_fn=lambda x: 3 * x
    )
    assert torch.equal(out["pred_xstart"], (3 * X0).clamp(-1, 1))


def test_steps_draw_noise_but_at_the_end() -> None:
    diffusion = process()
    torch.manual_seed(0)
    out = diffusion.p_sample(net(X_T), X_T, T)
    torch.manual_seed(0)
    noise = torch.randn_like(X_T)
    expected = diffusion.p_mean_variance(net(X_T), X_T, T)
    assert torch.equal(out["sample"][0], expected["mean"][0])
    torch.testing.assert_close(
        out["sample"], expected["mean"] + (T != 0)[:, None, None] * expected["variance"].sqrt() * noise
    )
    # DDIM both ways: from step 7 down and up again.
    x_t = diffusion.q_sample(X0, T.clamp(1, 48), noise=X_T)
    down = diffusion.ddim_sample(net(X_T), x_t, T.clamp(1, 48))["sample"]
    up = diffusion.ddim_reverse_sample(net(X_T), down, T.clamp(1, 48) - 1)["sample"]
    torch.testing.assert_close(up, x_t, rtol=1e-3, atol=1e-3)
    with pytest.raises(InputError, match="eta"):
        diffusion.ddim_reverse_sample(net(X_T), X_T, T, eta=0.5)


def test_a_classifier_s_gradient_moves_the_mean() -> None:
    diffusion = process()
    plain = diffusion.p_mean_variance(net(X_T), X_T, T)
    moved = diffusion.condition_mean(lambda x, t: torch.ones_like(x), plain, X_T, T)
    torch.testing.assert_close(moved - plain["mean"], plain["variance"], rtol=1e-3, atol=1e-5)
    score = diffusion.condition_score(lambda x, t: torch.zeros_like(x), plain, X_T, T)
    torch.testing.assert_close(score["mean"], plain["mean"], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("loop", ["p_sample_loop", "ddim_sample_loop"])
def test_loops_reach_the_data(loop: str) -> None:
    """The exact predictor of N(0, 1/4) and scaling by 2 and 3: the samples have 1/4 and 1/6 of spread."""
    diffusion = SpacedDiffusion(
        space_timesteps(1024, "200"),
        betas=get_named_beta_schedule("linear", 1024),
        model_mean_type="epsilon",
        model_var_type="fixed_small",
        loss_type="mse",
        channel_scales=np.array([2.0, 3.0]),
        channel_biases=np.array([0.0, 1.0]),
    )
    told = []
    alphas = np.cumprod(1 - get_named_beta_schedule("linear", 1024))

    def predict(x: Tensor, t: Tensor) -> Tensor:
        told.append(int(t[0]))
        alpha_bar = float(alphas[told[-1]])
        return x * (1 - alpha_bar) ** 0.5 / (0.25 * alpha_bar + 1 - alpha_bar)

    torch.manual_seed(0)
    found = getattr(diffusion, loop)(predict, (4, 2, 2000), device="cpu")
    assert told == sorted(space_timesteps(1024, "200"), reverse=True)
    assert found.std(dim=(0, 2)).tolist() == pytest.approx([1 / 4, 1 / 6], rel=0.08)
    assert found.mean(dim=(0, 2)).tolist() == pytest.approx([0, -1 / 3], abs=0.03)
    steps = list(
        getattr(diffusion, f"{loop}_progressive")(predict, (1, 2, 4), noise=torch.zeros(1, 2, 4), device="cpu")
    )
    assert len(steps) == 200
    assert steps[-1].keys() == {"sample", "pred_xstart"}
    with pytest.raises(InputError, match="device"):
        getattr(diffusion, loop)(predict, (1, 2, 4))


def test_respacing() -> None:
    diffusion = diffusion_from_config({**DIFFUSION_CONFIGS["upsample"], "respacing": [4, 8]})
    assert isinstance(diffusion, SpacedDiffusion)
    assert diffusion.num_timesteps == len(diffusion.timestep_map) == 12
    full = diffusion_from_config(DIFFUSION_CONFIGS["upsample"])
    np.testing.assert_allclose(diffusion.alphas_cumprod, full.alphas_cumprod[diffusion.timestep_map])
    assert space_timesteps(1024, [4, 8]) == set(diffusion.timestep_map)
    assert len(space_timesteps(1000, "ddim25")) == 25


def test_losses_with_rescaling_and_without_variance() -> None:
    plain = process().training_losses(net(X_T), X0, T, noise=X_T)
    assert plain.keys() == {"loss", "mse"}
    assert plain["loss"].tolist() == [0, 0, 0]
    options = {"model_var_type": "learned_range", "loss_type": "rescaled_mse"}
    network = net(X_T, torch.ones_like(X0))
    rescaled = process(**options).training_losses(network, X0, T, noise=X0)
    full = process(model_var_type="learned_range").training_losses(network, X0, T, noise=X0)
    torch.testing.assert_close(rescaled["vb"], full["vb"] * STEPS / 1000)
    torch.testing.assert_close(rescaled["loss"], full["mse"] + rescaled["vb"])


@pytest.mark.parametrize(
    "option", [{"model_mean_type": "v"}, {"model_var_type": "none"}, {"loss_type": "kl"}, {"discretized_t0": True}]
)
def test_options_that_are_not_there(option: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(option))}: expected one of"):
        process(**option)
    with pytest.raises(InputError, match="beta schedule"):
        get_named_beta_schedule("sigmoid", 10)
