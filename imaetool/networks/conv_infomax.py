"""The convolutional networks of the InfoMax-VAE paper. The interface is that of ``networks.mlp``.

Where a printed table ends in a 4x4 convolution to 2*K1 outputs of stride 1, it covers all that is
left of the image, so it is the linear head here; a head for y stands beside it. The 1x1 convolution
that a decoder starts with is a linear layer of the code.
"""

from __future__ import annotations

from torch import nn

from imaetool.errors import UserError
from imaetool.networks.conv import ConvEncoder
from imaetool.networks.mlp import Heads, Shape

__all__ = ["conv_infomax", "conv_infomax_32", "conv_infomax_64"]


def _need(name: str, shape: Shape, size: int) -> None:
    if tuple(shape[1:]) != (size, size):
        raise UserError(
            f"network {name} needs images of {size}x{size} pixels, not {shape[1]}x{shape[2]}: "
            f"give --size {size}, or choose --network auto"
        )


def _down(widths: list[int], activation: type[nn.Module], **settings) -> nn.Sequential:
    """Convolutions 4x4 of stride 2, padding 1, each with its activation, then flat."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip(widths, widths[1:]):
        layers += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), activation(**settings)]
    return nn.Sequential(*layers, nn.Flatten())


def _up(code: int, widths: list[int], odd: int | None = None) -> nn.Sequential:
    """Code to one pixel of widths[0], then transposed convolutions 4x4 of stride 2, ReLU between.

    Each doubles the side; the one numbered ``odd`` makes 2n - 1 of n.
    """
    layers: list[nn.Module] = [nn.Linear(code, widths[0]), nn.ReLU(), nn.Unflatten(1, (widths[0], 1, 1))]
    for index, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        edge = {"padding": 2, "output_padding": 1} if index == odd else {"padding": 1}
        layers += [nn.ConvTranspose2d(inputs, outputs, 4, stride=2, **edge), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def conv_infomax(shape: Shape, units: int, categories: int) -> tuple[nn.Module, nn.Module]:
    """For 28x28 images. Encoder conv 4x4 stride 2 of 28, 28, 56, 118, ReLU (sides 14, 7, 3, 1), heads.

    Decoder 1x1 conv 118, upconv 4x4 stride 2 of 118, 56, 28, 28, ReLU, and one to C. The printed
    table ends at the second 28, with no layer that makes an image; its sisters (tables 6 and 8) end
    in "4x4 upconv C, stride 2", so that layer is added: five steps of sides 2, 4, 7, 14, 28, the third
    one short of a doubling. Source: infomax_vae table 5. UserError on any other size.
    """
    _need("conv-infomax", shape, 28)
    encoder = ConvEncoder(_down([shape[0], 28, 28, 56, 118], nn.ReLU), Heads(118, units, categories))
    return encoder, _up(units + categories, [118, 118, 56, 28, 28, shape[0]], odd=2)


def conv_infomax_32(shape: Shape, units: int, categories: int) -> tuple[nn.Module, nn.Module]:
    """For 32x32 images. Encoder conv 4x4 stride 2 of 32, 32, 64, 128, ReLU, heads on what is left, 2x2.

    Decoder 1x1 conv 128, upconv 4x4 stride 2 of 128, 64, 64, 32, C, ReLU between. Source: infomax_vae
    table 6. UserError on any other size.
    """
    _need("conv-infomax-32", shape, 32)
    encoder = ConvEncoder(_down([shape[0], 32, 32, 64, 128], nn.ReLU), Heads(128 * 2 * 2, units, categories))
    return encoder, _up(units + categories, [128, 128, 64, 64, 32, shape[0]])


def conv_infomax_64(shape: Shape, units: int, categories: int) -> tuple[nn.Module, nn.Module]:
    """For 64x64 images. Encoder conv 4x4 stride 2 of 32, 64, 128, 256, LeakyReLU 0.2, heads on 4x4.

    Decoder 1x1 conv 256, upconv 4x4 stride 2 of 128, 128, 64, 32, 32, C, ReLU between. Source:
    infomax_vae table 8. UserError on any other size.
    """
    _need("conv-infomax-64", shape, 64)
    features = _down([shape[0], 32, 64, 128, 256], nn.LeakyReLU, negative_slope=0.2)
    return ConvEncoder(features, Heads(256 * 4 * 4, units, categories)), _up(
        units + categories, [256, 128, 128, 64, 32, 32, shape[0]]
    )
