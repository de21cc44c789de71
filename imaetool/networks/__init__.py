"""Networks by name, and which one suits an image shape when nobody has chosen."""

__all__ = ["choose_network"]


def choose_network(shape: tuple[int, int, int]) -> str:
    """The network for images (C, H, W): convolutions at 32, 64, 128..., else the paper's MLPs."""
    _, height, width = shape
    if height == width >= 32 and height & (height - 1) == 0:
        return "conv-joint"
    return "mlp-imae" if height * width <= 32 * 32 else "mlp-imae-64"
