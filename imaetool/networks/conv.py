"""Convolutional encoders and decoders of the papers. The interface is that of ``networks.mlp``."""

from __future__ import annotations

from torch import Tensor, nn

from imaetool.errors import UserError
from imaetool.networks.mlp import Heads, Shape

__all__ = ["ConvEncoder", "conv_joint"]


class ConvEncoder(nn.Module):
    """Convolutions, then features shared by the heads of z and y."""

    def __init__(self, features: nn.Module, heads: Heads) -> None:
        super().__init__()
        self.features, self.heads = features, heads

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        shared = self.features(x)
        return self.heads(shared, shared)


def conv_joint(shape: Shape, units: int, categories: int) -> tuple[nn.Module, nn.Module]:
    """Convolutions 4x4 of stride 2 and their mirror, for square images of 32, 64, 128... pixels.

    Encoder conv 32, (32 if 64x64), 64, 64, ReLU, FC 256 ReLU, heads; decoder FC 256, FC 64*4*4,
    transposed convolutions back (64 if 64x64), 32, 32, C. Each further doubling of the side adds
    one more 32-channel layer. Source: joint_vae appendix B, whose text can also be read as 32, 32, 64 at
    32x32. UserError on any other size.
    """
    channels, height, width = shape
    if height != width or height < 32 or height & (height - 1):
        raise UserError(
            f"network conv-joint needs square images of 32, 64 or 128 pixels, not {height}x{width}: "
            "give --size 32 or --size 64, or choose --network mlp-imae"
        )
    extra = height.bit_length() - 6  # 0 at 32, 1 at 64
    down = [32] * (1 + extra) + [64, 64]
    layers: list[nn.Module] = []
    for inputs, outputs in zip([channels, *down], down):
        layers += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), nn.ReLU()]
    features = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 4 * 4, 256), nn.ReLU())
    up = [64] * (1 + extra) + [32, 32]
    mirror: list[nn.Module] = []
    for inputs, outputs in zip(up, [*up[1:], channels]):
        mirror += [nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1), nn.ReLU()]
    decoder = nn.Sequential(
        nn.Linear(units + categories, 256), nn.ReLU(), nn.Linear(256, 64 * 4 * 4), nn.ReLU(),
        nn.Unflatten(1, (64, 4, 4)), *mirror[:-1],
    )
    return ConvEncoder(features, Heads(256, units, categories)), decoder
