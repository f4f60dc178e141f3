"""Start a group of real processes that run `processes.py`."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import torch

SCRIPT = Path(__file__).with_name("processes.py")


def start(what, out, size):
    """What ``size`` processes found, which meet through a free port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = {**os.environ, "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(SCRIPT.parents[2])}
    told = [out / f"{what}-{size}-{rank}.log" for rank in range(size)]
    started = []
    for rank, log in enumerate(told):
        command = [sys.executable, str(SCRIPT), what, str(out)]
        with log.open("wb") as file:
            started.append(
                subprocess.Popen(command, env={**environment, "RANK": str(rank)}, stdout=file, stderr=subprocess.STDOUT)
            )
    codes = [process.wait() for process in started]
    assert codes == [0] * size, "\n".join(log.read_text() for log in told)
    return torch.load(out / f"{what}-{size}.pt", weights_only=True)
