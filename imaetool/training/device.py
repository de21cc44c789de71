"""Which device and which precision a run takes."""

from __future__ import annotations

import time
from contextlib import contextmanager

import torch

from imaetool.errors import UserError

__all__ = ["choose_device", "choose_precision", "few_threads_for_small_images"]

_SMALL = 16 * 16 * 3  # numbers in an image up to which a step is too short to share among threads


def choose_device(name: str = "auto") -> torch.device:
    """CUDA, then MPS, then CPU; UserError where the one asked for is absent."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    if name.partition(":")[0] not in ("cpu", "cuda", "mps"):
        raise UserError(f"device {name!r} cannot be used here: give auto, cpu, cuda or mps")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(f"device {name!r} cannot be used here ({_why(name, error)}): try --device cpu") from error
    return device


def _why(name: str, error: Exception) -> str:
    present = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}.get(name.partition(":")[0], lambda: True)()
    return str(error).splitlines()[0][:200] if present else "this machine, or this torch, has none"


def choose_precision(name: str, device: torch.device) -> str:
    """"bf16" where the hardware multiplies it fast, else "fp32"; a given name is taken as it is."""
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp32"
    return "bf16" if device.type == "cpu" and _cpu_multiplies_bf16_fast() else "fp32"


@contextmanager
def few_threads_for_small_images(shape: tuple[int, int, int]):
    """Within: one thread if images (C, H, W) are so small that handing work to a second costs what it saves.

    On a machine with other work to do, threads that wait for each other at every operation of such a
    step make it several times slower.
    """
    before = torch.get_num_threads()
    if shape[0] * shape[1] * shape[2] <= _SMALL:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _cpu_multiplies_bf16_fast() -> bool:
    """Whether a bf16 matrix product takes less than two thirds of the time of an fp32 one, tried."""
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        a = torch.ones(768, 768, dtype=dtype)
        a @ a
        best = float("inf")
        for _ in range(5):
            start = time.perf_counter()
            a @ a
            best = min(best, time.perf_counter() - start)
        seconds[dtype] = best
    return seconds[torch.bfloat16] < seconds[torch.float32] / 1.5
