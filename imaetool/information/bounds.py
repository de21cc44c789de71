"""Lower bounds on mutual information by a second network, in nats: pure functions of its values.

The two dual forms compare a critic's values at pairs (x, z) of the joint with pairs of the product of
the marginals; such pairs are made by re-pairing a batch (``shuffle``). Each bound is the mean of what
is returned.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["BOUNDS", "barber_agakov", "donsker_varadhan", "f_dual", "shuffle"]


def shuffle(z: Tensor) -> Tensor:
    """The rows of z (B, K) in a random cycle: each row goes to another place.

    Pairs (x_i, shuffle(z)_i) are therefore of different images and exactly from the product of the
    marginals; a plain permutation leaves one row in place on average, and with a share 1/B of joint
    pairs no critic can show more than log B. ValueError on a single row.
    """
    if z.shape[0] < 2:
        raise ValueError("pairs of different images need a batch of 2 or more")
    order = torch.randperm(z.shape[0], device=z.device)
    place = torch.empty_like(order)
    place[order] = order.roll(1)
    return z[place]


def f_dual(joint: Tensor, product: Tensor) -> Tensor:
    """t(x, z) - exp(t(x, z') - 1), whose mean is at most I(x; z): (B,) twice -> (B,).

    joint, product: critic values at pairs of the joint and of the product. Tight at
    t = 1 + log p(x, z) / (p(x) p(z)). Source: infomax_vae eq. 6 (Nguyen et al. 2010).
    """
    return joint - torch.exp(product - 1)


def donsker_varadhan(joint: Tensor, product: Tensor) -> Tensor:
    """t(x, z) - log mean exp(t(x, z')), whose mean is at most I(x; z): (B,) twice -> (B,).

    Tighter than f_dual for the same critic and free of its constant; the logarithm of a batch's mean
    biases it upwards. Source: infomax_vae eq. 12.
    """
    return joint - (product.logsumexp(0) - math.log(product.shape[0]))


def barber_agakov(log_q: Tensor, entropy: Tensor | float) -> Tensor:
    """log Q(c|x) + H(c), whose mean is at most I(x; c): (B,) -> (B,).

    log_q: of any distribution Q at the code that x was made from; entropy: H(c) in nats. Tight where
    Q(c|x) = p(c|x). Source: vmi_vae eq. 5 (Barber and Agakov 2003).
    """
    return log_q + entropy


BOUNDS = {"f-dual": f_dual, "dv": donsker_varadhan}
