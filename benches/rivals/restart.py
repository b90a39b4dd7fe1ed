"""Recovery as people have it in PyTorch: torchrun restarts every process, which load the last checkpoint.

The model and the batch are those of sasrec.py, on DistributedDataParallel over Gloo. One process is killed with
SIGKILL when training is under way. Counted is from there to the first step done since, which is with all processes,
and to the first one that had not been done before. Rank 0 survives, the machine does, and the log has been read and
grouped before: processes that are started again load that.

    restart.py events.csv.gz --order position --max-len 50 --batch 256 --dropout 0.4 --processes 2 --every 20 --kill-at 30

Prints one JSON object.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler

sys.path.insert(0, str(Path(__file__).parent))  # `-P` leaves it out.

from sasrec import SASRec, Sequences, model_parser, read_timelines  # noqa: E402

HUNG = 300  # Seconds.


def train(options: argparse.Namespace) -> None:
    """A process that torchrun started, for the first time or again."""
    torch.manual_seed(7)
    torch.set_num_threads(options.threads)
    dist.init_process_group("gloo")
    rank, size = dist.get_rank(), dist.get_world_size()
    (options.work / f"pid-{rank}").write_text(str(os.getpid()))

    timelines, items = pickle.loads((options.work / "timelines").read_bytes())
    dataset = Sequences([items for items in timelines if len(items) >= 4], options.max_len)
    sampler = DistributedSampler(dataset, seed=7)
    loader = DataLoader(dataset, batch_size=options.batch // size, sampler=sampler)
    sasrec = SASRec(items, options.max_len, options.width, options.layers, options.heads, options.dropout)
    optimizer = torch.optim.Adam(sasrec.parameters())
    checkpoint, step = options.work / "checkpoint.pt", 0
    if checkpoint.exists():
        saved = torch.load(checkpoint)
        sasrec.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        step = saved["step"]
    model = DistributedDataParallel(sasrec)

    steps = (options.work / "steps").open("a", buffering=1)
    epoch, done_in_epoch = divmod(step, len(loader))
    while True:
        sampler.set_epoch(epoch)
        for number, (inputs, targets, lengths) in enumerate(loader):
            if number < done_in_epoch:
                continue
            optimizer.zero_grad()
            model(inputs, targets, lengths).backward()
            optimizer.step()
            step += 1
            if rank == 0:
                print(step, time.time(), file=steps)
                if step % options.every == 0:
                    part = checkpoint.with_suffix(".part")
                    state = {"model": sasrec.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
                    torch.save(state, part)
                    part.rename(checkpoint)
        epoch, done_in_epoch = epoch + 1, 0


def steps_done(work: Path) -> list[tuple[int, float]]:
    path = work / "steps"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(int(step), float(at)) for step, at in (line.split() for line in lines if line.count(" ") == 1)]


def strike(options: argparse.Namespace) -> dict[str, float]:
    """Trains, kills the last process, and looks how training goes on."""
    work = options.work
    (work / "timelines").write_bytes(pickle.dumps(read_timelines(options.log, options.order)))
    torchrun = [sys.executable, "-P", "-m", "torch.distributed.run", "--nnodes=1", "--max-restarts=3"]
    rendezvous = ["--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0", f"--nproc-per-node={options.processes}"]
    program = [__file__, *sys.argv[1:], "--work", str(work), "--train"]
    # In a store shared with torchrun, processes that were started again may meet those before them
    # (https://github.com/pytorch/pytorch/issues/135712).
    environment = os.environ | {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    run = subprocess.Popen([*torchrun, *rendezvous, *program], stdout=sys.stderr, env=environment)

    def wait_for(what: str, found: Callable[[], tuple[int, float] | None]) -> tuple[int, float]:
        by = time.monotonic() + HUNG
        while (there := found()) is None:
            if run.poll() is not None or time.monotonic() > by:
                raise SystemExit(f"restart.py: {what} did not come")
            time.sleep(0.02)
        return there

    try:
        wait_for("training", lambda: next((at for at in steps_done(work) if at[0] >= options.kill_at), None))
        victim = int((work / f"pid-{options.processes - 1}").read_text())
        killed = time.time()
        os.kill(victim, signal.SIGKILL)
        time.sleep(0.1)  # A step may have been under way.
        before = steps_done(work)
        furthest = max(step for step, _ in before)
        first = wait_for("a step", lambda: next(iter(steps_done(work)[len(before) :]), None))
        new = wait_for("a new step", lambda: next((at for at in steps_done(work) if at[0] > furthest), None))
        return {
            "first_step_s": first[1] - killed,
            "all_back_s": first[1] - killed,
            "new_step_s": new[1] - killed,
            "steps_to_new": furthest - first[0] + 2,
        }
    finally:
        run.kill()
        run.wait()
        # torchrun gives its processes sessions of their own.
        for pid in work.glob("pid-*"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid.read_text()), signal.SIGKILL)


def parse() -> argparse.Namespace:
    parser = model_parser(__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1, help="of each process")
    parser.add_argument("--every", type=int, default=20, help="steps between checkpoints")
    parser.add_argument("--kill-at", type=int, required=True, help="the step after which a process is killed")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--train", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parse()
    if options.train:
        return train(options)
    with tempfile.TemporaryDirectory() as work:
        options.work = Path(work)
        print(json.dumps(strike(options)), flush=True)


if __name__ == "__main__":
    main()
