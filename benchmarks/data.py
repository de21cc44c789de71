"""Measure the datasets: python benchmarks/data.py [folder|dsprites|kill] [--tar ARCHIVE_OF_JPEGS]

folder    10,000 JPEGs to the first batch, first and second run, against Pillow alone on the same cores
dsprites  rendering, and one batch of 1,024 random indices to float on the device
kill      kill -9 at 20 random moments of a fetch from a local server
"""

from __future__ import annotations

import argparse
import hashlib
import http.server
import os
import random
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from imaetool.config import Data
from imaetool.data import open_data
from imaetool.training.batches import Batches

CODE = "import sys; from imaetool.data.download import fetch; fetch(sys.argv[1], sys.argv[2], sha256=sys.argv[3])"


def timed(call) -> tuple[float, float]:
    """(wall seconds, processor seconds of this process, all threads)."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def pillow(files: list[Path], resized: bool) -> None:
    """Decode every file on two threads; crop and resize it too, as any user of the pictures must."""
    def one(path: Path) -> bytes | None:
        with Image.open(path) as image:
            if not resized:
                image.load()
                return None
            width, height = image.size
            top = (height - width) // 2
            image = image.convert("RGB")
            return image.resize((64, 64), Image.Resampling.LANCZOS, box=(0, top, width, top + width)).tobytes()

    with ThreadPoolExecutor(2) as pool:
        for _ in pool.map(one, files):
            pass


def first_batch(folder: Path) -> None:
    data = open_data(Data(name="folder", root=str(folder), size=64, channels=3))
    next(Batches(data.train.images, 256, 0, torch.device("cpu")).epoch(0))


def measure_folder(archive: Path, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "images"
        with tarfile.open(archive) as opened:
            opened.extractall(folder, filter="data")
        files = sorted(folder.rglob("*.jpg"))
        print(f"{len(files):,} JPEGs, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; wall (processor) seconds, best of {rounds}")
        rows: dict[str, list[tuple[float, float]]] = {}
        for number in range(rounds):  # interleaved, as others may use the machine
            os.environ["IMAETOOL_CACHE"] = f"{place}/cache{number}"
            calls = {
                "Pillow, decode only": lambda: pillow(files, False),
                "Pillow, decode, crop and resize": lambda: pillow(files, True),
                "first run to first batch": lambda: first_batch(folder),
                "second run to first batch": lambda: first_batch(folder),
            }
            for name, call in calls.items():
                rows.setdefault(name, []).append(timed(call))
        best = {name: tuple(min(column) for column in zip(*times)) for name, times in rows.items()}
        for name, (wall, cpu) in best.items():
            print(f"  {name:<33} {wall:6.2f} ({cpu:.2f})")
        (wall, cpu), (alone, alone_cpu) = best["first run to first batch"], best["Pillow, decode, crop and resize"]
        print(f"  first run reaches {100 * alone / wall:.0f} % of Pillow's speed (by processor time {100 * alone_cpu / cpu:.0f} %)")


def measure_dsprites() -> None:
    with tempfile.TemporaryDirectory() as cache:
        os.environ |= {"IMAETOOL_CACHE": cache, "IMAETOOL_OFFLINE": "1"}
        config = Data(name="dsprites", root=cache)
        print(f"dsprites, first use (renders and packs 737,280 images): {timed(lambda: open_data(config))[0]:.2f} s")
        print(f"dsprites, later: {timed(lambda: open_data(config))[0]:.2f} s")
        data = open_data(config)
        for device in ["cpu"] + ["cuda"] * torch.cuda.is_available():
            batches = Batches(data.train.images, 1024, 0, torch.device(device))
            order, times = np.random.default_rng(0), []
            for _ in range(60):
                chosen = order.integers(0, len(data.train), 1024)
                began = time.perf_counter()
                batches._take(chosen)
                if device == "cuda":
                    torch.cuda.synchronize()
                times.append(time.perf_counter() - began)
            times = np.sort(times[10:]) * 1e3
            print(f"  1,024 random indices to float on {device}: median {np.median(times):.2f} ms, worst {times[-1]:.2f} ms"
                  f" ({torch.get_num_threads()} threads)")  # fmt: skip


class Slow(http.server.BaseHTTPRequestHandler):
    """Serves server.content, with ranges, at about 20 MB/s."""

    def do_GET(self) -> None:
        content, wanted = self.server.content, self.headers.get("Range", "")
        start = int(wanted[6:-1]) if wanted else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        try:
            for at in range(start, len(content), 65_536):
                self.wfile.write(content[at : at + 65_536])
                time.sleep(0.003)
        except OSError:
            pass

    def log_message(self, *_) -> None: ...


def measure_kills(times: int) -> None:
    os.environ["IMAETOOL_OFFLINE"] = "0"
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    server.daemon_threads, server.content = True, random.Random(0).randbytes(16_000_000)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url, digest = f"http://127.0.0.1:{server.server_port}/file.bin", hashlib.sha256(server.content).hexdigest()
    pick, good, killed, resumed = random.Random(0), 0, 0, 0
    with tempfile.TemporaryDirectory() as place:
        for number in range(times):
            path = Path(place) / str(number) / "file.bin"
            command = [sys.executable, "-c", CODE, url, str(path), digest]
            process = subprocess.Popen(command)
            time.sleep(pick.uniform(0, 1.3))
            process.send_signal(signal.SIGKILL)
            killed += process.wait() == -signal.SIGKILL
            part = path.with_name(".file.bin.part")
            resumed += part.exists() and part.stat().st_size > 0
            clean = not path.exists() or path.read_bytes() == server.content
            again = subprocess.run(command, check=False).returncode == 0
            whole = again and hashlib.sha256(path.read_bytes()).hexdigest() == digest
            good += clean and whole and [p.name for p in path.parent.iterdir()] == ["file.bin"]
    server.shutdown()
    print(f"kill -9: {good} of {times} end whole, with the right checksum ({killed} were killed, {resumed} with bytes on the disk)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["folder", "dsprites", "kill"])
    shared = Path(__file__).parents[2] / "shared/data/celeba-10k/img_align_celeba_half.tar"
    parser.add_argument("--tar", type=Path, default=shared, help="an archive of JPEGs")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if "folder" in given.what:
        measure_folder(given.tar, given.rounds)
    if "dsprites" in given.what:
        measure_dsprites()
    if "kill" in given.what:
        measure_kills(20)


if __name__ == "__main__":
    main()
