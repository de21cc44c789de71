"""InfoMax-VAE: a critic network measures I(x; code), and the encoder raises it (Rezaabad and Vishwanath 2019)."""

from __future__ import annotations

from math import prod
from typing import Literal

import torch
from torch import Tensor, nn

from imaetool.config import Latents
from imaetool.errors import UserError
from imaetool.information.bounds import BOUNDS, shuffle
from imaetool.model import Outputs
from imaetool.objectives.elbo import elbo_terms

__all__ = ["Critic", "critic_loss", "loss"]


class Critic(nn.Module):
    """t(x, code): images (B, C, H, W) and codes (B, K) to values (B,).

    Two hidden layers of ``critic_width`` on the flattened image beside the code; the paper says "an
    MLP" and no more. It starts near t = 1, which is what independence is worth under the f-dual bound.
    ``lr`` is the default of the setting ``critic_lr``, of its own Adam (infomax_vae appendix D).
    """

    lr = 1e-4

    def __init__(self, shape: tuple[int, int, int], latents: Latents, *, critic_width: int = 512) -> None:
        super().__init__()
        inputs = prod(shape) + latents.continuous + sum(latents.categories)
        self.layers = nn.Sequential(
            nn.Linear(inputs, critic_width), nn.ReLU(), nn.Linear(critic_width, critic_width), nn.ReLU(),
            nn.Linear(critic_width, 1),
        )
        nn.init.ones_(self.layers[-1].bias)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        return self.layers(torch.cat([x.flatten(1), code], dim=1)).squeeze(1)


def _information(critic: Critic, outputs: Outputs, x: Tensor, bound: str) -> Tensor:
    """The critic's bound on I(x; z, y): mean of (B,)."""
    if x.shape[0] < 2:
        raise UserError("infomax-vae pairs images with the codes of others: it needs training.batch_size of 2 or more")
    code = torch.cat([outputs.z, *outputs.y], dim=1)
    both = critic(torch.cat([x, x]), torch.cat([code, shuffle(code)]))
    return BOUNDS[bound](*both.chunk(2))


def critic_loss(critic: Critic, outputs: Outputs, x: Tensor, *, bound: Literal["f-dual", "dv"] = "f-dual") -> Tensor:
    """What the critic minimises, (): the negative of its bound on I(x; z, y)."""
    return -_information(critic, outputs, x, bound).mean()


def loss(
    outputs: Outputs, x: Tensor, *,
    critic: Critic, alpha: float = 10.0, beta: float = 1.0, bound: Literal["f-dual", "dv"] = "f-dual",
) -> dict[str, Tensor]:
    """The negative of E[log q(x|y,z)] - beta (KL_z + KL_y) + alpha I^(x; z, y), in nats per image.

    I^ is the critic's lower bound, f-dual (eq. 6) or "dv" (eq. 12); the product of the marginals is
    the batch re-paired. Where the code has categories they are part of it, divergence and information
    alike. Batch-coupled. Only the encoder has a gradient through I^: the critic reads x and the code.

    Arguments: outputs and x (B, C, H, W) of one batch; the critic. Settings: ``alpha``, ``beta``,
    ``bound``. Returns the loss and its terms, (B,) each. UserError on a batch of one.
    Source: infomax_vae eq. 6, 12 and algorithm 1, whose order of the two updates is the other one.
    """
    reconstruction, kl_z, kl_y = elbo_terms(outputs, x)
    information = _information(critic, outputs, x, bound)
    return {
        "loss": reconstruction + beta * (kl_z + kl_y) - alpha * information,
        "reconstruction": reconstruction,
        "kl_z": kl_z,
        "kl_y": kl_y,
        "information": information,
    }
