"""Every network's shapes, the widths of its table, its errors; what a PixelCNN may read."""

import pytest
import torch
from torch import nn

from imaetool.config import Data, Latents
from imaetool.data import ImageData, Split
from imaetool.errors import UserError
from imaetool.model import Autoencoder
from imaetool.networks import pixelcnn
from imaetool.registry import NETWORKS, resolve

# name: image shape, z units, widths of the encoder's layers without heads, and of the decoder's
DIGIT, COLOUR = (1, 28, 28), (3, 64, 64)
TABLES = {
    "mlp-imae": (DIGIT, [500, 500, 500], [500, 500, 784]),
    "mlp-imae-64": ((1, 64, 64), [1200, 1200, 1200, 1200], [1200, 1200, 1200, 4096]),
    "mlp-narrow-64": ((1, 64, 64), [512, 512, 512, 512], [512, 512, 512, 4096]),
    "mlp-infomax": (DIGIT, [1000] * 4, [1000] * 4 + [784]),
    "mlp-infomax-2": (DIGIT, [1000] * 4, [1000] * 2 + [784]),
    "mlp-infomax-4": (DIGIT, [1000] * 4, [1000] * 4 + [784]),
    "mlp-infomax-10": (DIGIT, [1000] * 4, [1000] * 10 + [784]),
    "conv-joint": (COLOUR, [32, 32, 64, 64, 256], [256, 1024, 64, 32, 32, 3]),
    "conv-infomax": (DIGIT, [28, 28, 56, 118], [118, 118, 56, 28, 28, 1]),
    "conv-infomax-32": ((3, 32, 32), [32, 32, 64, 128], [128, 128, 64, 64, 32, 3]),
    "conv-infomax-64": (COLOUR, [32, 64, 128, 256], [256, 128, 128, 64, 32, 32, 3]),
    "pixelcnn": (DIGIT, None, None),
}
SQUARE = {"conv-infomax": 28, "conv-infomax-32": 32, "conv-infomax-64": 64}


def widths(module):
    """Outputs of every layer with weights, in order."""
    kinds = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
    return [getattr(m, "out_features", None) or m.out_channels for m in module.modules() if isinstance(m, kinds)]


def test_the_table_names_every_network():
    assert set(TABLES) == set(NETWORKS)


@pytest.mark.parametrize("latents", [Latents(7, (10,)), Latents(7, ()), Latents(0, (4, 3))], ids=str)
@pytest.mark.parametrize("name", TABLES)
def test_shapes(name, latents):
    shape = TABLES[name][0]
    torch.manual_seed(0)
    model = Autoencoder(name, shape, latents)
    outputs = model(torch.rand(3, *shape).round())
    assert outputs.logits.shape == (3, *shape)
    assert outputs.codes.mu.shape == outputs.codes.log_var.shape == (3, latents.continuous)
    assert [v.shape for v in outputs.codes.category_logits] == [(3, k) for k in latents.categories]
    outputs.logits.sum().backward()
    assert all(p.grad is not None for p in model.decoder.parameters())


@pytest.mark.parametrize("name", [n for n in TABLES if TABLES[n][1]])
def test_widths_are_those_of_the_tables(name):
    shape, encoder_widths, decoder_widths = TABLES[name]
    encoder, decoder = resolve("network", name)(shape, 7, 10)
    assert widths(encoder) == [*encoder_widths, 14, 10]  # 2 K1 and K2
    assert widths(decoder) == decoder_widths


@pytest.mark.parametrize("name", TABLES)
def test_every_category_starts_alive(name):
    shape = TABLES[name][0]
    torch.manual_seed(0)
    model = Autoencoder(name, shape, Latents(2, (10,)))
    p = model.encode(torch.rand(4, *shape)).probabilities[0]
    assert (p - 0.1).abs().max() < 0.02


@pytest.mark.parametrize("name", SQUARE)
def test_wrong_size_says_what_to_do(name):
    size = SQUARE[name]
    with pytest.raises(UserError, match=f"{size}x{size}.*--size {size}") as error:
        Autoencoder(name, (1, size, size - 2), Latents(2, ()))
    assert "\n" not in str(error.value)
    assert Autoencoder(name, (1, size, size), Latents(2, ())).shape == (1, size, size)  # any channels


def test_32_pixel_variant_drops_one_layer_at_each_end():
    encoder, decoder = resolve("network", "conv-joint")((1, 32, 32), 10, 10)
    assert widths(encoder) == [32, 64, 64, 256, 20, 10] and widths(decoder) == [256, 1024, 32, 32, 1]


# --- PixelCNN ---


def bold(shape, code=3, depth=12, width=8):
    """A PixelCNN whose weights are large enough for a pixel's influence to reach as far as it can."""
    torch.manual_seed(0)
    decoder = pixelcnn.PixelCNN(shape, code, depth=depth, width=width).double()
    for p in decoder.parameters():
        nn.init.normal_(p, std=0.5)
    return decoder


@pytest.mark.parametrize("shape", [(1, 6, 5), (2, 4, 4)], ids=str)
def test_pixel_i_never_depends_on_pixels_i_and_later(shape):
    decoder, code = bold(shape), torch.randn(1, 3, dtype=torch.float64)
    x = torch.rand(1, *shape, dtype=torch.float64, requires_grad=True)
    logits = decoder(code, x)
    pixels = shape[1] * shape[2]
    read = torch.zeros(pixels, pixels, dtype=torch.bool)
    for i in range(pixels):
        (g,) = torch.autograd.grad(logits.flatten(2)[0, :, i].sum(), x, retain_graph=True)
        read[i] = g.abs().sum(1).flatten() > 0
    assert not read.triu().any()  # exact zeros on and above the diagonal
    assert all(read[i, i - 1] for i in range(1, pixels) if i % shape[2])  # and its left neighbour is read
    assert all(read[i, i - shape[2]] for i in range(shape[2], pixels))  # as the one above


def test_changing_later_pixels_changes_no_earlier_logit():
    decoder, code = bold((1, 6, 5)), torch.randn(4, 3, dtype=torch.float64)
    x = torch.rand(4, 1, 6, 5, dtype=torch.float64)
    before = decoder(code, x).flatten(1)
    for i in (0, 7, 29):
        other = x.flatten(1).clone()
        other[:, i:] = torch.rand_like(other[:, i:])
        after = decoder(code, other.view_as(x)).flatten(1)
        assert torch.equal(after[:, : i + 1], before[:, : i + 1])
    assert not torch.equal(decoder(code + 1, x), decoder(code, x))


def test_sampling_draws_each_pixel_from_its_own_conditional():
    decoder, code = bold((2, 5, 4)), torch.randn(6, 3, dtype=torch.float64)
    images = decoder.sample(code, torch.Generator().manual_seed(4))
    uniform = torch.rand(5, 4, 6, 2, generator=torch.Generator().manual_seed(4)).permute(2, 3, 0, 1)
    assert torch.equal(images, (uniform < decoder(code, images).sigmoid()).double())
    assert 0.05 < images.mean() < 0.95 and set(images.unique().tolist()) == {0.0, 1.0}


def test_a_pixel_model_decodes_the_same_twice_and_samples_ones_and_zeros():
    torch.manual_seed(0)
    model = Autoencoder("pixelcnn", (1, 8, 8), Latents(2, (3,))).eval()
    z, y = torch.randn(5, 2), model.one_hot(torch.tensor([0, 1, 2, 0, 1]))
    assert model.autoregressive and torch.equal(model.decode(z, y), model.decode(z, y))
    images = model.sample(5, category=1, generator=torch.Generator().manual_seed(1))
    assert images.shape == (5, 1, 8, 8) and set(images.unique().tolist()) <= {0.0, 1.0}
    x = torch.rand(5, 1, 8, 8).round()
    assert torch.equal(model.decode_logits(z, y, x), model.decoder(torch.cat([z, *y], 1), x))
    assert not Autoencoder("mlp-imae", (1, 8, 8), Latents(2, (3,))).autoregressive


def test_twelve_layers():
    decoder = pixelcnn.PixelCNN((1, 28, 28), 2)
    assert sum(isinstance(m, pixelcnn.MaskedConv) for m in decoder.modules()) == 12


def test_binarize_thresholds_both_splits(monkeypatch):
    import numpy as np

    from imaetool import data as data_module, registry

    images = np.array([0, 127, 128, 255], dtype=np.uint8).reshape(2, 1, 1, 2)
    whole = ImageData("toy", Split(images, labels=np.array([1, 2])), Split(images[:1]))
    monkeypatch.setattr(registry, "resolve", lambda kind, name: lambda config: whole)
    found = data_module.open_data(Data(name="toy", binarize=True))
    assert found.train.images.ravel().tolist() == [0, 0, 255, 255] and found.test.images.ravel().tolist() == [0, 0]
    assert found.train.images.dtype == np.uint8 and found.train.labels.tolist() == [1, 2]
    assert data_module.open_data(Data(name="toy")) is whole
