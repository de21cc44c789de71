"""VMI-VAE: a second network recovers part of the code from the decoder's output (Serdega and Kim 2020)."""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor, nn
from torch.nn.functional import log_softmax

from imaetool.config import Latents
from imaetool.errors import UserError
from imaetool.information.bounds import barber_agakov
from imaetool.information.densities import gaussian_log_density
from imaetool.information.marginals import category_information, log_marginals
from imaetool.model import Outputs
from imaetool.objectives.elbo import elbo_terms

__all__ = ["Critic", "critic_loss", "loss"]

_LOG_VAR = (-9.0, 4.0)  # of the Gaussian Q: a density has no upper bound of its own


class Critic(nn.Module):
    """Q(c|xhat): what the decoded image says of the code, with two hidden layers of ``critic_width``.

    ``target`` says what c is: "categories", every categorical variable; "units", the first
    ``target_units`` units of z, a Gaussian Q (the paper's (z1, z2)); "auto", categories where the code
    has any. ``lr`` is the default of the setting ``critic_lr``; the paper gives none.
    UserError where the code lacks the target.
    """

    lr = 1e-3

    def __init__(
        self, shape: tuple[int, int, int], latents: Latents, *,
        target: Literal["auto", "categories", "units"] = "auto", target_units: int = 2, critic_width: int = 400,
    ) -> None:
        super().__init__()
        self.target = target if target != "auto" else ("categories" if latents.categories else "units")
        if self.target == "categories" and not latents.categories:
            raise UserError("target = 'categories': the code has none; give --categories 10, or --set target=units")
        self.units = min(target_units, latents.continuous) if target == "auto" else target_units
        if self.target == "units" and not 1 <= self.units <= latents.continuous:
            raise UserError(f"objective.target_units = {target_units}: the code has {latents.continuous} units")
        self.sizes = list(latents.categories)
        outputs = sum(self.sizes) if self.target == "categories" else 2 * self.units
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(math.prod(shape), critic_width), nn.ReLU(),
            nn.Linear(critic_width, critic_width), nn.ReLU(), nn.Linear(critic_width, outputs),
        )

    def log_q(self, outputs: Outputs) -> Tensor:
        """log Q(c|xhat) at the sampled code, xhat the decoder's mean image: (B,)."""
        said = self.layers(outputs.logits.sigmoid())
        if self.target == "categories":
            pairs = zip(outputs.y, said.split(self.sizes, dim=1), strict=True)
            return sum((y * log_softmax(logits, dim=1)).sum(1) for y, logits in pairs)
        mu, log_var = said.split(self.units, dim=1)
        return gaussian_log_density(outputs.z[:, : self.units], mu, log_var.clamp(*_LOG_VAR)).sum(1)

    def entropy(self, outputs: Outputs, entropy: str) -> Tensor | float:
        """H(c) of the prior, a constant, or of the batch's aggregate posterior: () or (B,)."""
        codes = outputs.codes
        if self.target == "categories":
            if entropy == "prior":
                return sum(map(math.log, self.sizes))
            return sum(category_information(logits)[0] for logits in codes.category_logits)
        if entropy == "prior":
            return 0.5 * self.units * math.log(2 * math.pi * math.e)
        part = slice(None, self.units)
        return -log_marginals(outputs.z[:, part], codes.mu[:, part], codes.log_var[:, part])[0]


def critic_loss(critic: Critic, outputs: Outputs, x: Tensor) -> Tensor:
    """What Q minimises, (): its cross-entropy at the codes that the images were decoded from."""
    return -critic.log_q(outputs).mean()


def loss(
    outputs: Outputs, x: Tensor, *,
    critic: Critic, smoothness: Tensor | float = 0.0, weight: float = 10.0, entropy: float = 1.0, code_entropy: Literal["prior", "batch"] = "prior",
) -> dict[str, Tensor]:
    """The negative of ELBO + weight (E[log Q(c|xhat)] + H(c)), in nats per image.

    c is sampled with the rest of the code (a relaxed one-hot y weighs log Q of every value), decoded,
    and read back by Q from the decoder's output; gradients reach decoder and encoder through xhat and
    the encoder through c as well.

    Arguments: outputs and x (B, C, H, W) of one batch; the critic, Q; ``smoothness`` (B,) the weighted
    penalty. Settings: ``weight``, the
    paper's lambda; ``code_entropy``, "prior" for H(c) the prior's constant, as in the paper, or "batch" for
    that of the aggregate posterior, estimated from the batch: the term that eq. 5 has, and what keeps
    all images from sharing one category (batch-coupled then); ``entropy`` multiplies H(c) within the
    loss, 1 in the paper. Returns the loss and its terms, (B,) each; ``category_loss`` is all but the
    reconstruction and KL_z. Source: vmi_vae eq. 6 to 12.
    """
    reconstruction, kl_z, kl_y = elbo_terms(outputs, x)
    log_q, entropy_batch = critic.log_q(outputs), critic.entropy(outputs, "batch")  # (B,)
    information = barber_agakov(log_q, entropy_batch)  # (B,), a bound whatever the loss takes for H(c)
    entropy_c = entropy_batch if code_entropy == "batch" else critic.entropy(outputs, "prior")
    category_loss = kl_y - weight * (log_q + entropy * entropy_c) + smoothness  # (B,)
    return {
        "loss": reconstruction + kl_z + category_loss,
        "reconstruction": reconstruction,
        "kl_z": kl_z,
        "kl_y": kl_y,
        "information": information,
        "category_loss": category_loss,
    }
