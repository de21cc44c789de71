"""VAE: the variational auto-encoder, its code continuous, categorical or both (Kingma and Welling 2014)."""

from __future__ import annotations

from torch import Tensor

from imaetool.model import Outputs
from imaetool.objectives.elbo import elbo_terms

__all__ = ["loss"]


def loss(outputs: Outputs, x: Tensor) -> dict[str, Tensor]:
    """The negative of E[log q(x|y,z)] - KL_z - KL_y, in nats per image.

    Arguments: outputs and x (B, C, H, W) of one batch. Returns the loss and its terms, (B,) each.
    Source: vmi_vae eq. 1, 9 and 10.
    """
    reconstruction, kl_z, kl_y = elbo_terms(outputs, x)
    return {
        "loss": reconstruction + kl_z + kl_y,
        "reconstruction": reconstruction,
        "kl_z": kl_z,
        "kl_y": kl_y,
    }
