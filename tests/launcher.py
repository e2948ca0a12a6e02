"""Commands in two processes of `accelerate launch` on the CPU, of one machine or of two that are both this one."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from app_process import free_port

ROOT = Path(__file__).resolve().parents[1]
Finished = subprocess.CompletedProcess[str]


def run(*arguments: str) -> Finished:
    """Run Python with these arguments, as it is."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT, env=environment, timeout=300
    )


def launch(*arguments: str, machines: int = 1, device: str = "--multi_gpu") -> list[Finished]:
    """Run a script, or ``-m`` a module, in two processes; what the launcher of each machine ended with.

    ``--multi_gpu`` starts them on CPUs, too, where the command itself says that it wants these; ``--cpu`` starts one.
    """
    given = {
        "num_machines": machines,
        "num_processes": 2,
        "main_process_ip": "127.0.0.1",
        "main_process_port": free_port(),
        "mixed_precision": "no",
        "dynamo_backend": "no",
    }
    options = [text for name, value in given.items() for text in (f"--{name}", str(value))]
    command = ["-m", "accelerate.commands.launch", device, *options]
    with ThreadPoolExecutor(machines) as pool:
        ranks = range(machines)
        return list(pool.map(lambda rank: run(*command, "--machine_rank", str(rank), *arguments), ranks))


def launched(*arguments: str, machines: int = 1) -> str:
    """What the first machine printed, where all went well."""
    finished = launch(*arguments, machines=machines)
    assert [one.returncode for one in finished] == [0] * machines, "\n".join(one.stderr for one in finished)
    return finished[0].stdout
