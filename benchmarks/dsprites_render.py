"""Time the dSprites renderer: python benchmarks/dsprites_render.py"""

import os
import platform
import tempfile
import time

import numpy as np
import torch

from imaetool.data import dsprites


def seconds(call, repeats: int = 1) -> float:
    """The median wall time of `call`."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def main() -> None:
    print(f"machine {platform.machine()}, {os.cpu_count()} cores, numpy {np.__version__},"
          f" torch {torch.__version__} with {torch.get_num_threads()} threads")  # fmt: skip
    rng = np.random.default_rng(0)
    packed = np.zeros((dsprites.COUNT, dsprites.PACKED), np.uint8)
    took = seconds(lambda: dsprites.render_packed(packed), 3)
    print(f"render_packed, all {dsprites.COUNT} images: {took:.2f} s (median of 3)")

    def indices() -> np.ndarray:
        return rng.integers(0, dsprites.COUNT, 1024)

    took = seconds(lambda: dsprites.render(indices()), 20)
    print(f"render, 1024 random indices, nothing stored: {1e3 * took:.1f} ms (median of 20)")
    with tempfile.TemporaryDirectory() as folder:
        took = seconds(lambda: dsprites.open_packed(folder))
        print(f"open_packed, first time (draws and writes 377 MB): {took:.2f} s")
        took = seconds(lambda: dsprites.open_packed(folder), 20)
        print(f"open_packed, later: {1e3 * took:.2f} ms (median of 20)")
        mapped = dsprites.open_packed(folder)
        took = seconds(lambda: dsprites.unpack_torch(torch.from_numpy(mapped[indices()])), 50)
        print(f"1024 random rows of the map to float32 (1024, 1, 64, 64): {1e3 * took:.1f} ms (median of 50)")
    if torch.cuda.is_available():
        resident = torch.from_numpy(packed).cuda()

        def batch() -> None:
            dsprites.unpack_torch(resident[torch.from_numpy(indices()).cuda()])
            torch.cuda.synchronize()

        print(f"the same from GPU memory: {1e3 * seconds(batch, 50):.2f} ms (median of 50)")


if __name__ == "__main__":
    main()
