"""Peak memory and speed of `imaetool encode` on 10,000 and on 70,000 PNG files of MNIST.

    python benchmarks/encode_memory.py --data-root path/to/data --model runs/imae-mnist-1 [--counts 10000 70000]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from imaetool.config import Data
from imaetool.data import open_data


def write_pngs(images: np.ndarray, folder: Path) -> None:
    """One PNG file per image (N, 1, 28, 28), a thousand to a sub-folder."""
    for i, image in enumerate(images):
        path = folder / f"{i // 1000:03d}" / f"{i:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0]).save(path)


def measure(folder: Path, model: str, suffix: str) -> tuple[float, float]:
    """(seconds, peak MiB) of encoding ``folder`` in a process of its own."""
    command = [sys.executable, "-m", "imaetool", "encode", str(folder), "-o", str(folder.parent / f"codes{suffix}"), "--model", model]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"encode failed with status {status}")
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 70_000])
    parser.add_argument("--suffixes", nargs="+", default=[".parquet", ".npz", ".csv", ".jsonl"])
    options = parser.parse_args()
    data = open_data(Data(name="mnist", root=options.data_root))
    images = np.concatenate([data.train.images, data.test.images])
    with tempfile.TemporaryDirectory() as temporary:
        for count in options.counts:
            folder = Path(temporary) / str(count) / "images"
            write_pngs(images[:count], folder)
            for suffix in options.suffixes:
                seconds, peak = measure(folder, options.model, suffix)
                print(f"{count:6,} files to {suffix}: peak {peak:,.0f} MiB, {seconds:.1f} s, {count / seconds:,.0f} images/s", flush=True)


if __name__ == "__main__":
    main()
