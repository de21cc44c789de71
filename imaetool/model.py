"""The auto-encoder: images to codes (z, y) and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imaetool.config import Latents
from imaetool.errors import UserError
from imaetool.information.densities import sample_categorical, sample_gaussian
from imaetool.information.vat import frozen_statistics
from imaetool.registry import resolve

__all__ = ["Autoencoder", "Codes", "Outputs"]

_SLACK = 1e-4  # what resizing in floats may leave [0, 1] by
LOG_VAR_RANGE = (-9.0, 4.0)  # outside it sparse images (dSprites) drive the variances to overflow; no gradient leads back in


@dataclass(frozen=True)
class Codes:
    """What the encoder says of a batch: N(mu, exp(log_var)) for z, logits for each category."""

    mu: Tensor  # (B, K1)
    log_var: Tensor  # (B, K1)
    category_logits: tuple[Tensor, ...]  # one (B, K2) for each categorical variable

    @property
    def probabilities(self) -> tuple[Tensor, ...]:
        """p(y|x) of each categorical variable, (B, K2)."""
        return tuple(logits.softmax(-1) for logits in self.category_logits)

    @property
    def categories(self) -> tuple[Tensor, ...]:
        """The most probable value of each categorical variable, (B,)."""
        return tuple(logits.argmax(-1) for logits in self.category_logits)


@dataclass(frozen=True)
class Outputs:
    """One pass of the auto-encoder over a batch, and the functions an objective may call again."""

    codes: Codes
    z: Tensor  # (B, K1), sampled
    y: tuple[Tensor, ...]  # relaxed one-hot samples, one (B, K2) for each categorical variable
    logits: Tensor  # (B, C, H, W), pixel logits
    predict: Callable[[Tensor], tuple[Tensor, ...]]  # images -> category logits; BatchNorm left as it is

    def detach(self) -> Outputs:
        """The same values, from which no gradient flows back."""
        codes = self.codes
        held = Codes(codes.mu.detach(), codes.log_var.detach(), tuple(v.detach() for v in codes.category_logits))
        return Outputs(held, self.z.detach(), tuple(v.detach() for v in self.y), self.logits.detach(), self.predict)


class Autoencoder(nn.Module):
    """An encoder and a decoder joined by a code of units z and categorical variables y.

    Arguments: network, a name in the registry; shape (C, H, W); latents.
    """

    def __init__(self, network: str, shape: tuple[int, int, int], latents: Latents) -> None:
        super().__init__()
        self.network, self.shape, self.latents = network, tuple(shape), latents
        build = resolve("network", network)
        self.encoder, self.decoder = build(self.shape, latents.continuous, sum(latents.categories))
        self.autocast = False  # bf16 inside the two networks, so codes and logits are rounded to it; their type is always fp32

    @property
    def autoregressive(self) -> bool:
        """Whether the decoder reads the image's earlier pixels beside the code."""
        return getattr(self.decoder, "autoregressive", False)

    def _cast(self, x: Tensor):
        return torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=self.autocast)

    def encode(self, x: Tensor | np.ndarray) -> Codes:
        """Images (B, C, H, W) to Codes: a tensor or an array, floats in [0, 1] or uint8, brought to the model's device.

        UserError for images of another shape, type or range.
        """
        return self._encode(_checked(x, self.shape, next(self.parameters())))

    def _encode(self, x: Tensor) -> Codes:
        """Floats (B, C, H, W) to Codes, unchecked: what training calls, whose moves may leave [0, 1]."""
        with self._cast(x):
            mu, log_var, logits = self.encoder(x)
        log_var = log_var.float().clamp(*LOG_VAR_RANGE)
        split = logits.float().split(list(self.latents.categories), dim=1) if self.latents.categories else ()
        return Codes(mu.float(), log_var, tuple(split))

    def decode_logits(self, z: Tensor, y: tuple[Tensor, ...] = (), x: Tensor | None = None) -> Tensor:
        """z (B, K1) and one (B, K2) for each categorical variable to pixel logits (B, C, H, W).

        A decoder that is ``autoregressive`` reads the earlier pixels of x, the image whose logits are
        wanted; without x it draws one, and gives the logits along that draw. Others leave x unread.
        """
        code = torch.cat([z, *y], dim=1).to(next(self.parameters()).device)
        with self._cast(code):
            if not self.autoregressive:
                return self.decoder(code).float()
            if x is None:
                x = self.decoder.sample(code, torch.Generator().manual_seed(0))  # the same pixel noise every time
            return self.decoder(code, x).float()

    def decode(self, z: Tensor, y: tuple[Tensor, ...] = ()) -> Tensor:
        """The mean image of a code: (B, K1) and one-hot (B, K2) each, to (B, C, H, W) in [0, 1]."""
        return self.decode_logits(z, y).sigmoid()

    def forward(self, x: Tensor) -> Outputs:
        """Encode, sample the code, decode; x is not checked."""
        codes = self._encode(x)
        z = sample_gaussian(codes.mu, codes.log_var)
        y = tuple(sample_categorical(logits, self.latents.temperature) for logits in codes.category_logits)
        heard = tuple(v.detach() for v in y) if self.latents.detach_categories else y
        return Outputs(codes, z, y, self.decode_logits(z, heard, x), self._predict)

    def _predict(self, x: Tensor) -> tuple[Tensor, ...]:
        with frozen_statistics(self):
            return self._encode(x).category_logits

    def one_hot(self, *values: Tensor) -> tuple[Tensor, ...]:
        """Category values (B,), one for each categorical variable, as one-hot floats."""
        return tuple(F.one_hot(v.long(), size).float() for v, size in zip(values, self.latents.categories, strict=True))

    @torch.no_grad()
    def reconstruct(self, x: Tensor | np.ndarray) -> Tensor:
        """The mean image of the code without noise, z = mu and y = argmax: (B, C, H, W) in [0, 1]. x is encode's."""
        codes = self.encode(x)
        return self.decode(codes.mu, self.one_hot(*codes.categories))

    @torch.no_grad()
    def sample(self, count: int, *, category: int | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Images of codes drawn from the prior, (count, C, H, W); ``category`` fixes the first y."""
        device = next(self.parameters()).device
        z = torch.randn(count, self.latents.continuous, generator=generator).to(device)
        values = [torch.randint(size, (count,), generator=generator).to(device) for size in self.latents.categories]
        if category is not None and values:
            values[0] = torch.full_like(values[0], category)
        y = self.one_hot(*values)
        return self.decoder.sample(torch.cat([z, *y], 1), generator) if self.autoregressive else self.decode(z, y)


def _checked(x: Tensor | np.ndarray, shape: tuple[int, int, int], like: Tensor) -> Tensor:
    """Images as floats (B, C, H, W) of the type and on the device of ``like``; floats that are so already come back as they are.

    uint8 is divided by 255. UserError where x is no batch of images of ``shape`` (C, H, W), or leaves [0, 1].
    """
    wanted = f"(B, {', '.join(map(str, shape))})"
    if not isinstance(x, (Tensor, np.ndarray)):
        raise UserError(f"images must be a tensor or a numpy array {wanted}, not {type(x).__name__}")
    if tuple(x.shape[1:]) != shape or x.ndim != 4:
        raise UserError(f"the model reads images of shape {wanted}, not {tuple(x.shape)}")
    if isinstance(x, np.ndarray) and (x.dtype == np.uint8 or x.dtype.kind == "f"):
        x = torch.tensor(np.ascontiguousarray(x, np.uint8 if x.dtype == np.uint8 else np.float32))
    if isinstance(x, np.ndarray) or not (x.dtype == torch.uint8 or x.is_floating_point()):
        raise UserError(f"images must be floats in [0, 1] or uint8, not {x.dtype}")
    if x.dtype == torch.uint8:
        return x.to(like) / 255
    x = x.to(like)
    low, high = (v.item() for v in x.detach().aminmax()) if x.numel() else (0.0, 1.0)
    if not -_SLACK <= low <= high <= 1 + _SLACK:  # NaN is in no range
        found = f"not from {low:.4g} to {high:.4g}: divide by what stands for white, or give uint8" if low <= high else "and these hold NaN"
        raise UserError(f"images must be floats in [0, 1], {found}")
    return x
