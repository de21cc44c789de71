"""Bounds on mutual information against known answers: correlated Gaussians and a discrete channel.

The critics are those that the objectives train, fresh samples at every step; each bound must end
below the truth, but for sampling error, and within 10 % of it.
"""

import math

import pytest
import torch

from imaetool.config import Latents
from imaetool.errors import UserError
from imaetool.information.bounds import BOUNDS, barber_agakov, donsker_varadhan, f_dual, shuffle
from imaetool.information.mmd import mmd_to_normal
from imaetool.model import Codes, Outputs
from imaetool.objectives import infomax_vae, vmi_vae

RHO, UNITS = 0.8, 2
GAUSSIAN = -0.5 * UNITS * math.log(1 - RHO**2)  # I of two correlated standard Gaussians, twice
FLIP, SIZE = 0.15, 4
CHANNEL = math.log(SIZE) + (1 - FLIP) * math.log(1 - FLIP) + FLIP * math.log(FLIP / (SIZE - 1))


def outputs_of(z, y, logits):
    return Outputs(Codes(z, torch.zeros_like(z), ()), z, y, logits, lambda x: ())


def gaussian_pairs(count):
    """x as an image of UNITS pixels and z, each pair of coordinates with correlation RHO."""
    z = torch.randn(count, UNITS)
    x = RHO * z + math.sqrt(1 - RHO**2) * torch.randn(count, UNITS)
    return x, z


def channel_pairs(count):
    """A symbol of SIZE, and what a channel that errs with probability FLIP makes of it, one-hot."""
    symbol = torch.randint(SIZE, (count,))
    err = torch.rand(count) < FLIP
    heard = torch.where(err, (symbol + torch.randint(1, SIZE, (count,))) % SIZE, symbol)
    one_hot = torch.eye(SIZE)
    return one_hot[heard], one_hot[symbol]


def trained(critic, loss, draw, steps, lr=2e-3, batch=512):
    """The critic after ``steps`` of its own loss on fresh samples, as the training loop steps it."""
    optimizer = torch.optim.Adam(critic.parameters(), lr=lr)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = lr * (1 - step / steps)
        optimizer.zero_grad()
        loss(critic, *draw(batch)).backward()
        optimizer.step()
    return critic


def check(values, truth):
    error = 3 * values.std().item() / math.sqrt(len(values))
    assert values.mean().item() < truth + error
    assert values.mean().item() > 0.9 * truth - error
    assert error < 0.05 * truth  # or the two lines above say nothing


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("draw, truth", [(gaussian_pairs, GAUSSIAN), (channel_pairs, CHANNEL)], ids=["gaussian", "channel"])
def test_dual_bounds_of_a_trained_critic(bound, draw, truth):
    torch.manual_seed(0)

    def batch(count):
        x, z = draw(count)
        return outputs_of(z, (), x), x[:, None, None]

    width = draw(1)[1].shape[1]
    critic = infomax_vae.Critic((1, 1, width), Latents(width, ()), critic_width=64)

    def loss(critic, outputs, x):
        return infomax_vae.critic_loss(critic, outputs, x, bound=bound)

    trained(critic, loss, batch, 600)
    with torch.no_grad():
        outputs, x = batch(20_000)
        check(infomax_vae._information(critic, outputs, x, bound), truth)


def gaussian_decoder(count):
    """z, and an "image" of logits that says it with noise: I(z; logits) = GAUSSIAN."""
    x, z = gaussian_pairs(count)
    return outputs_of(z, (), x[:, :, None, None]), None


def channel_decoder(count):
    heard, symbol = channel_pairs(count)
    return outputs_of(torch.zeros(count, 0), (symbol,), 12.0 * (heard - 0.5)[:, :, None, None]), None


@pytest.mark.parametrize("draw, truth, latents", [
    (gaussian_decoder, GAUSSIAN, Latents(UNITS, ())), (channel_decoder, CHANNEL, Latents(0, (SIZE,))),
], ids=["gaussian", "channel"])
def test_barber_agakov_of_a_trained_q(draw, truth, latents):
    torch.manual_seed(0)
    critic = vmi_vae.Critic((2 if latents.continuous else SIZE, 1, 1), latents, critic_width=64)
    trained(critic, vmi_vae.critic_loss, draw, 600)
    with torch.no_grad():
        outputs, _ = draw(20_000)
        check(barber_agakov(critic.log_q(outputs), critic.entropy(outputs, "prior")), truth)


def test_best_critics_are_exact_on_the_channel():
    p = torch.full((SIZE, SIZE), FLIP / (SIZE - 1), dtype=torch.float64).fill_diagonal_(1 - FLIP) / SIZE
    t = (p * SIZE**2).log()
    best = {"f-dual": 1 + t, "dv": t + 7.0}  # dv is indifferent to a constant
    for name, bound in BOUNDS.items():
        joint, product = best[name].flatten(), best[name].flatten()
        value = (p.flatten() * joint).sum() + bound(torch.zeros(SIZE**2, dtype=torch.float64), product).mean()
        assert value.item() == pytest.approx(CHANNEL, rel=1e-12)
    log_q = (p * SIZE).log()
    assert (p * barber_agakov(log_q, math.log(SIZE))).sum().item() == pytest.approx(CHANNEL, rel=1e-12)


def test_dv_is_never_below_f_dual_for_the_same_critic():
    joint, product = torch.randn(2, 50, dtype=torch.float64)
    assert donsker_varadhan(joint, product).mean() >= f_dual(joint, product).mean()


@pytest.mark.parametrize("count", [2, 3, 10])
def test_shuffle_moves_every_row(count):
    torch.manual_seed(0)
    rows = torch.arange(count)[:, None]
    seen = {tuple(shuffle(rows).squeeze(1).tolist()) for _ in range(200)}
    assert len(seen) >= min(math.factorial(count - 1), 100)  # every cycle of 3 rows, many of 10
    for order in seen:
        assert sorted(order) == list(range(count)) and all(i != j for i, j in enumerate(order))
    with pytest.raises(ValueError, match="2 or more"):
        shuffle(rows[:1])


def test_infomax_says_a_batch_of_one_has_no_pairs():
    critic = infomax_vae.Critic((1, 1, 2), Latents(2, ()))
    with pytest.raises(UserError, match="2 or more"):
        infomax_vae.critic_loss(critic, outputs_of(torch.zeros(1, 2), (), torch.zeros(1, 2)), torch.zeros(1, 1, 1, 2))


def literal_mmd(z):
    """Kernel by kernel and pair by pair, the prior's expectations by quadrature."""
    import numpy as np

    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    n, k = len(z), len(z[0])

    def across(point, s2):  # E_r k(point, r), a product over coordinates
        return math.prod(float(weights @ np.exp(-((v - nodes) ** 2) / (2 * s2))) for v in point)

    total = 0.0
    for width in (0.25, 0.5, 1.0, 2.0, 4.0):
        s2 = width * k
        pairs = [math.exp(-sum((a - b) ** 2 for a, b in zip(z[i], z[j])) / (2 * s2)) for i in range(n) for j in range(n) if i != j]
        prior = float(sum(w * across([v] * 1, s2) for v, w in zip(nodes, weights))) ** k
        total += sum(pairs) / len(pairs) - 2 * sum(across(p, s2) for p in z) / n + prior
    return total / 5


def test_mmd_is_its_definition():
    z = torch.randn(7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 1.5 + 0.4
    assert mmd_to_normal(z).item() == pytest.approx(literal_mmd(z.tolist()), rel=1e-8)


def test_mmd_is_zero_on_average_for_the_prior_and_grows_away_from_it():
    g = torch.Generator().manual_seed(0)
    found = torch.stack([mmd_to_normal(torch.randn(64, 4, generator=g)) for _ in range(400)])
    assert abs(found.mean().item()) < 3 * found.std().item() / 20
    assert (found < 0).any()
    z = torch.randn(64, 4, generator=g)
    assert mmd_to_normal(z).item() < mmd_to_normal(z + 0.5).item() < mmd_to_normal(z + 1).item()
    assert mmd_to_normal(0.1 * z).item() > 0.01


def test_mmd_needs_two_samples():
    with pytest.raises(ValueError, match="2 samples"):
        mmd_to_normal(torch.zeros(1, 3))
    assert mmd_to_normal(torch.zeros(5, 0)).item() == 0.0
