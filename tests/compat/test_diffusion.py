"""The release's GaussianDiffusion: its tables, steps, loops and losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from enpointe.core.errors import InputError
from enpointe.diffusion.loss import eps_loss
from enpointe.diffusion.schedule import DiscreteProcess
from point_e.diffusion.configs import DIFFUSION_CONFIGS, diffusion_from_config
from point_e.diffusion.gaussian_diffusion import (
    GaussianDiffusion,
    SpacedDiffusion,
    approx_standard_normal_cdf,
    betas_for_alpha_bar,
    discretized_gaussian_log_likelihood,
    get_beta_schedule,
    get_named_beta_schedule,
    normal_kl,
    space_timesteps,
)
from point_e.models.configs import model_from_config
from point_e.models.pretrained_clip import ImageCLIP
from rounding import rounding

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
        # A square of what the network gives; and vb a difference of numbers near 1, each with its rounding.
        atol = rounding(torch.float32, tensors["noise"][0].numel())
        torch.testing.assert_close(ours, tensors[f"out.{name}"], rtol=4e-5, atol=atol)


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


def test_variances() -> None:
    betas = torch.from_numpy(process().betas)[T].float()
    posterior = torch.from_numpy(process().posterior_log_variance_clipped)[T].float()
    large = process(model_var_type="fixed_large").p_mean_variance(net(X_T), X_T, T)["log_variance"][:, 0, 0]
    assert large.tolist() == pytest.approx([float(posterior[0]), *betas[1:].log().tolist()], rel=1e-4)
    small = process().p_mean_variance(net(X_T), X_T, T)["log_variance"][:, 0, 0]
    few = rounding(torch.float32, 4)  # in the logarithm and in what it is taken of
    assert small.tolist() == pytest.approx(posterior.tolist(), rel=few, abs=few)
    own = process(model_var_type="learned").p_mean_variance(net(X_T, X0), X_T, T)
    assert torch.equal(own["log_variance"], X0)
    half = process(model_var_type="learned_range").p_mean_variance(net(X_T, torch.zeros_like(X0)), X_T, T)
    assert half["log_variance"][:, 0, 0].tolist() == pytest.approx(
        ((betas.log() + posterior) / 2).tolist(), rel=few, abs=few
    )


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


@pytest.mark.parametrize("option", [{"model_mean_type": "v"}, {"model_var_type": "none"}, {"loss_type": "l1"}])
def test_options_that_are_not_there(option: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(option))}: expected one of"):
        process(**option)
    with pytest.raises(InputError, match="beta schedule"):
        get_named_beta_schedule("sigmoid", 10)


def test_other_betas() -> None:
    np.testing.assert_allclose(
        get_beta_schedule("linear", beta_start=0.1, beta_end=0.3, num_diffusion_timesteps=3), [0.1, 0.2, 0.3]
    )
    cosine = betas_for_alpha_bar(STEPS, lambda t: float(np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2))
    np.testing.assert_allclose(cosine, get_named_beta_schedule("cosine", STEPS), rtol=1e-12)
    with pytest.raises(InputError, match="beta_schedule: expected one of linear"):
        get_beta_schedule("const", beta_start=0.1, beta_end=0.3, num_diffusion_timesteps=3)


def test_kl_of_normal_distributions() -> None:
    other = torch.distributions.Normal(0.5, 2.0)
    expected = torch.distributions.kl_divergence(torch.distributions.Normal(X0, torch.tensor(0.3)), other)
    log_variances = 2 * torch.tensor(0.3).log(), 2 * torch.tensor(2.0).log()
    torch.testing.assert_close(normal_kl(X0, log_variances[0], 0.5, float(log_variances[1])), expected)
    with pytest.raises(InputError, match="at least one tensor"):
        normal_kl(0.0, 0.0, 0.0, 0.0)


def test_likelihood_of_values_of_8_bits() -> None:
    exact = torch.distributions.Normal(0.0, 1.0).cdf(x := torch.linspace(-5, 5, 101))
    assert float((approx_standard_normal_cdf(x) - exact).abs().max()) < 3e-4
    values = torch.linspace(-1, 1, 256)
    mean, log_std = torch.full((256,), 0.2), torch.full((256,), -2.0)
    log = discretized_gaussian_log_likelihood(values, means=mean, log_scales=log_std)
    assert float(log.exp().sum()) == pytest.approx(1, abs=1e-5)  # the intervals leave nothing out
    assert float(values[log.argmax()]) == pytest.approx(0.2, abs=1 / 255)


@pytest.mark.parametrize("values", [None, torch.linspace(-1, 1, 30).reshape(3, 2, 5)])
def test_the_default_losses_are_enpointe_s(values: Tensor | None) -> None:
    """Two ways to the same numbers: the terms put together here, and the loss that the package trains with."""
    kind = "fixed_small" if values is None else "learned_range"
    for loss_type in ("mse", "rescaled_mse"):
        diffusion = process(model_var_type=kind, loss_type=loss_type, channel_scales=np.array([2.0, 3.0]))
        found = diffusion.training_losses(net(0.3 * X_T, values), X0, T, noise=X_T)
        ours_process = DiscreteProcess("cosine", STEPS)
        ours = eps_loss(net(0.3 * X_T, values), ours_process, diffusion.scale_channels(X0), T, X_T)
        torch.testing.assert_close(found["mse"], ours.mse, rtol=1e-4, atol=1e-5)
        if values is not None:
            scale = STEPS / 1000 if loss_type == "rescaled_mse" else 1
            torch.testing.assert_close(found["vb"], scale * ours.vb, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(found["loss"], found["mse"] + found["vb"])


@pytest.mark.parametrize("mean_type", ["epsilon", "x_start", "x_prev"])
def test_the_bound_is_all_of_the_loss(mean_type: str) -> None:
    """A prediction that is exact costs nothing after step 0; without an exact one, the same for every mean type."""
    t = T.clamp(1)
    diffusion = process(model_mean_type=mean_type, loss_type="kl")
    x_t = diffusion.q_sample(X0, t, noise=X_T)
    previous = diffusion.q_posterior_mean_variance(X0, x_t, t)[0]
    exact = {"epsilon": X_T, "x_start": X0, "x_prev": previous}[mean_type]
    assert diffusion.training_losses(net(exact), X0, t, noise=X_T)["loss"].tolist() == pytest.approx([0] * 3, abs=1e-3)
    off = previous + 0.1  # as a mean; then as a loss, by hand
    variance = torch.from_numpy(diffusion.posterior_variance)[t].float()
    wrong = process(model_mean_type="x_prev", loss_type="kl").training_losses(net(off), X0, t, noise=X_T)["loss"]
    torch.testing.assert_close(wrong, 0.005 / variance / np.log(2), rtol=1e-3, atol=1e-3)
    rescaled = process(model_mean_type="x_prev", loss_type="rescaled_kl").training_losses(net(off), X0, t, noise=X_T)
    torch.testing.assert_close(rescaled["loss"], wrong * STEPS)
    plain = process(model_mean_type=mean_type).training_losses(net(exact), X0, t, noise=X_T)
    assert plain["mse"].tolist() == pytest.approx([0] * 3, abs=1e-6)


def test_a_variance_that_is_learned_freely_and_the_first_step_s_likelihood() -> None:
    diffusion = process(model_var_type="learned", discretized_t0=True)
    log = torch.from_numpy(diffusion.posterior_log_variance_clipped)[T].float()[:, None, None].expand_as(X0)
    losses = diffusion.training_losses(net(X_T, log), 0.2 * X0, T, noise=X_T)
    x_t = diffusion.q_sample(0.2 * X0, T, noise=X_T)
    mean = diffusion.p_mean_variance(net(X_T, log), x_t, T)["mean"]
    nats = -discretized_gaussian_log_likelihood(0.2 * X0[:1], means=mean[:1], log_scales=log[:1] / 2)
    assert losses["vb"].tolist() == pytest.approx([float(nats.mean()) / np.log(2), 0, 0], rel=1e-4, abs=1e-3)


def test_bits_of_the_whole_bound() -> None:
    """For data of one point the exact network's bound is the prior's part alone, and its errors are 0."""
    diffusion = process()
    alphas = torch.from_numpy(diffusion.alphas_cumprod).float()

    def exact(x: Tensor, t: Tensor) -> Tensor:
        alpha_bar = alphas[t][:, None, None]
        return (x - alpha_bar.sqrt() * X0) / (1 - alpha_bar).sqrt()

    found = diffusion.calc_bpd_loop(exact, X0)
    assert {name: tuple(value.shape) for name, value in found.items()} == {
        "total_bpd": (3,), "prior_bpd": (3,), "vb": (3, STEPS), "xstart_mse": (3, STEPS), "mse": (3, STEPS),
    }  # fmt: skip
    assert float(found["mse"].max()) < 1e-6
    torch.testing.assert_close(found["total_bpd"], found["prior_bpd"] + found["vb"].sum(1))
    last = torch.full((3,), STEPS - 1)
    mean, variance, _ = diffusion.q_mean_variance(X0, last)
    prior = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, variance.sqrt()), torch.distributions.Normal(0.0, 1.0)
    )
    torch.testing.assert_close(found["prior_bpd"], prior.mean(dim=(1, 2)) / np.log(2), rtol=1e-3, atol=1e-6)
    worse = diffusion.calc_bpd_loop(lambda x, t: exact(x, t) + 1, X0)
    assert worse["mse"].mean().item() == pytest.approx(1, rel=1e-3)
    assert bool((worse["total_bpd"] > found["total_bpd"] + 1).all())
