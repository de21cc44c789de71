"""JointVAE: divergences held to capacities that grow while training (Dupont 2018)."""

from __future__ import annotations

import math

from torch import Tensor

from imaetool.information.marginals import category_information
from imaetool.model import Outputs
from imaetool.objectives.elbo import elbo_terms

__all__ = ["loss"]


def loss(
    outputs: Outputs,
    x: Tensor,
    *,
    smoothness: Tensor | float = 0.0,
    gamma_z: float = 30.0,
    gamma_y: float = 30.0,
    capacity_z: float = 5.0,
    capacity_y: float = 5.0,
    balance: float = 0.0,
) -> dict[str, Tensor]:
    """The negative of E[log q(x|y,z)] - gamma_z |KL_z - C_z| - gamma_y |KL_y - C_y|, in nats per image.

    KL_z and KL_y are means over the batch, as the bound on information that they stand for is, and
    the distance to the capacity is taken of the mean. C_y is never above the sum of log K2 over the
    categorical variables, the most that KL_y can be.

    Arguments: outputs and x (B, C, H, W) of one batch; ``smoothness`` (B,) the weighted penalty.
    Settings: ``gamma_z``, ``gamma_y``; the
    capacities ``capacity_z`` and ``capacity_y``, usually schedules {start, end, iterations};
    ``balance``, ours, the weight of KL(mean p(y|x) || uniform): a full C_y is met as well when all
    images share one category, and agreement under small moves even asks for that. Returns the loss
    and its terms, (B,) or scalar; ``category_loss`` is what depends on p(y|x) alone. Source: joint_vae eq. 7, where balance is 0.
    """
    reconstruction, kl_z, kl_y = elbo_terms(outputs, x)
    most = sum(math.log(logits.shape[-1]) for logits in outputs.codes.category_logits)
    held_z = gamma_z * (kl_z.mean() - (capacity_z if outputs.z.shape[1] else 0.0)).abs()  # ()
    held_y = gamma_y * (kl_y.mean() - min(capacity_y, most)).abs()  # ()
    marginal_kl = most - sum(category_information(v)[0] for v in outputs.codes.category_logits)  # ()
    category_loss = held_y + balance * marginal_kl + smoothness  # () or (B,)
    return {
        "loss": reconstruction + held_z + category_loss,
        "reconstruction": reconstruction,
        "kl_z": kl_z,
        "kl_y": kl_y,
        "marginal_kl_y": kl_z.new_zeros(()) + marginal_kl,
        "category_loss": kl_z.new_zeros(()) + category_loss,
    }
