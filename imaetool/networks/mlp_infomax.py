"""The fully connected networks of the InfoMax-VAE paper. The interface is that of ``networks.mlp``."""

from __future__ import annotations

from math import prod

from torch import Tensor, nn

from imaetool.networks.mlp import Heads, Shape

__all__ = ["mlp_infomax", "mlp_infomax_10", "mlp_infomax_2"]


class _Encoder(nn.Module):
    """Layers shared by the heads of z and y."""

    def __init__(self, features: nn.Module, heads: Heads) -> None:
        super().__init__()
        self.features, self.heads = features, heads

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        shared = self.features(x.flatten(1))
        return self.heads(shared, shared)


def _layers(inputs: int, depth: int, width: int = 1000) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(inputs, width), nn.LeakyReLU(0.2)]
        inputs = width
    return nn.Sequential(*layers)


def _build(shape: Shape, units: int, categories: int, depth: int) -> tuple[nn.Module, nn.Module]:
    encoder = _Encoder(_layers(prod(shape), 4), Heads(1000, units, categories))
    decoder = nn.Sequential(
        _layers(units + categories, depth), nn.Linear(1000, prod(shape)), nn.Unflatten(1, shape)
    )
    return encoder, decoder


def mlp_infomax(shape: Shape, units: int, categories: int) -> tuple[nn.Module, nn.Module]:
    """For 28x28 digits, on any image shape: FC 4x1000 LeakyReLU 0.2 and heads; the same back, FC pixels.

    "4x1000" is read as four layers of 1000. Source: infomax_vae table 5.
    """
    return _build(shape, units, categories, 4)


def mlp_infomax_2(shape: Shape, units: int, categories: int) -> tuple[nn.Module, nn.Module]:
    """mlp-infomax with 2 layers of 1000 in the decoder. Source: infomax_vae tables 2 and 3.

    The tables count "layers" of the generative network and keep the encoder; the layers counted are
    taken to be the hidden ones, as table 5 counts them.
    """
    return _build(shape, units, categories, 2)


def mlp_infomax_10(shape: Shape, units: int, categories: int) -> tuple[nn.Module, nn.Module]:
    """mlp-infomax with 10 layers of 1000 in the decoder. Source: infomax_vae tables 2 and 3."""
    return _build(shape, units, categories, 10)
