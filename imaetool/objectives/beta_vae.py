"""beta-VAE: the VAE with its divergences weighed (Higgins et al. 2017)."""

from __future__ import annotations

from torch import Tensor

from imaetool.model import Outputs
from imaetool.objectives.elbo import elbo_terms

__all__ = ["loss"]


def loss(outputs: Outputs, x: Tensor, *, beta: float = 4.0) -> dict[str, Tensor]:
    """The negative of E[log q(x|y,z)] - beta (KL_z + KL_y), in nats per image.

    Arguments: outputs and x (B, C, H, W) of one batch. Setting: ``beta``, 1 for a VAE.
    Returns the loss and its terms, (B,) each. Source: joint_vae eq. 1 and 6.
    """
    reconstruction, kl_z, kl_y = elbo_terms(outputs, x)
    return {
        "loss": reconstruction + beta * (kl_z + kl_y),
        "reconstruction": reconstruction,
        "kl_z": kl_z,
        "kl_y": kl_y,
    }
