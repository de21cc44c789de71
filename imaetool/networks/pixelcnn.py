"""A decoder that draws an image pixel by pixel: masked convolutions conditioned on the code.

p(x|code) = prod_i p(x_i | x_1 .. x_(i-1), code), pixels in reading order; the channels of one pixel
are independent given what came before. Meant for binary images. An autoregressive decoder maps
(code, x) to logits, where x is the image whose earlier pixels may be read, and offers ``sample``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imaetool.networks.conv import ConvEncoder
from imaetool.networks.mlp import Heads, Shape

__all__ = ["MaskedConv", "PixelCNN", "pixelcnn"]


class MaskedConv(nn.Conv2d):
    """A convolution that reads only pixels before its own, and its own too where ``inclusive``."""

    def __init__(self, inputs: int, outputs: int, size: int, *, inclusive: bool) -> None:
        super().__init__(inputs, outputs, size, padding=size // 2)
        mask = torch.zeros(size, size)
        mask[: size // 2] = 1
        mask[size // 2, : size // 2 + inclusive] = 1
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, h: Tensor) -> Tensor:
        return self._conv_forward(h, self.weight * self.mask, self.bias)

    def at(self, padded: Tensor, row: int, column: int) -> Tensor:
        """One pixel of ``forward``, (B, outputs), from the input with its border of zeros."""
        patch = padded[:, :, row : row + self.kernel_size[0], column : column + self.kernel_size[1]]
        return F.linear(patch.flatten(1), (self.weight * self.mask).flatten(1), self.bias)


class PixelCNN(nn.Module):
    """``depth`` masked convolutions: 7x7 without its own pixel, 3x3 residual, 1x1 to logits.

    The code adds a bias of its own to every layer but the last. Source: infomax_vae section 6.3, "12-layer
    PixelCNN" conditioned on z (van den Oord et al. 2016); it gives no widths: ``width`` 32 here.
    """

    autoregressive = True

    def __init__(self, shape: Shape, code: int, *, depth: int = 12, width: int = 32) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.first = MaskedConv(shape[0], width, 7, inclusive=False)
        self.middle = nn.ModuleList(MaskedConv(width, width, 3, inclusive=True) for _ in range(depth - 2))
        self.last = MaskedConv(width, shape[0], 1, inclusive=True)
        self.biases = nn.ModuleList(nn.Linear(code, width) for _ in range(depth - 1))

    def forward(self, code: Tensor, x: Tensor) -> Tensor:
        """Logits (B, C, H, W) of each pixel of x (B, C, H, W) given the earlier ones and the code (B, K)."""
        told = [bias(code)[:, :, None, None] for bias in self.biases]
        h = (self.first(x) + told[0]).contiguous(memory_format=torch.channels_last)  # a quarter faster on CPUs
        for layer, bias in zip(self.middle, told[1:]):
            h = h + layer(F.relu(h)) + bias
        return self.last(F.relu(h))

    @torch.no_grad()
    def sample(self, code: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Images of 0 and 1 drawn pixel by pixel given the code (B, K): (B, C, H, W).

        Each layer's values are kept, so that drawing an image costs about as much as one ``forward``.
        """
        batch, (channels, height, width) = len(code), self.shape
        told = [bias(code) for bias in self.biases]
        x = code.new_zeros(batch, channels, height + 6, width + 6)
        kept = [code.new_zeros(batch, bias.shape[1], height + 2, width + 2) for bias in told[1:]]
        uniform = torch.rand(height, width, batch, channels, generator=generator).to(code)
        for row in range(height):
            for column in range(width):
                h = self.first.at(x, row, column) + told[0]
                for layer, values, bias in zip(self.middle, kept, told[1:]):
                    values[:, :, row + 1, column + 1] = F.relu(h)
                    h = h + layer.at(values, row, column) + bias
                p = self.last.at(F.relu(h)[:, :, None, None], 0, 0).sigmoid()
                x[:, :, row + 3, column + 3] = (uniform[row, column] < p).to(x)
        return x[:, :, 3:-3, 3:-3].contiguous()


class _Residual(nn.Module):
    """Two 3x3 convolutions, the first of stride 2, beside a 1x1 of stride 2."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.around = nn.Conv2d(inputs, outputs, 1, stride=2)
        self.through = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(outputs, outputs, 3, padding=1)
        )

    def forward(self, h: Tensor) -> Tensor:
        return F.relu(self.around(h) + self.through(h))


def pixelcnn(shape: Shape, units: int, categories: int) -> tuple[nn.Module, nn.Module]:
    """A PixelCNN decoder, for binarised images of any shape (data.binarize = true).

    Encoder: "3-layer ResNet", read as three residual blocks of stride 2 with 32, 64, 128 channels,
    then heads. Source: infomax_vae section 6.3, which gives no widths.
    """
    channels, height, width = shape
    sides = [-(-side // 8) for side in (height, width)]  # each block halves, rounding up
    features = nn.Sequential(_Residual(channels, 32), _Residual(32, 64), _Residual(64, 128), nn.Flatten())
    encoder = ConvEncoder(features, Heads(128 * sides[0] * sides[1], units, categories))
    return encoder, PixelCNN(shape, units + categories)
