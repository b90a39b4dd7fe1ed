"""Dense cross-entropy over many negatives: the rival of the tiled softmax.

One size a process, so that peak memory is that of the size. Forward and backward of
`F.cross_entropy(users @ candidates.T / temperature, positives)`; candidate i is row i's positive.
Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time

import torch
import torch.nn.functional as F


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4096)
    parser.add_argument("--negatives", type=int, required=True, help="columns, at least the rows")
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--temperature", type=float, default=0.07)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()

    torch.manual_seed(7)
    torch.set_num_threads(options.threads)
    users = F.normalize(torch.randn(options.rows, options.dim)).requires_grad_()
    candidates = F.normalize(torch.randn(options.negatives, options.dim)).requires_grad_()
    positives = torch.arange(options.rows)
    before = peak_mb()

    seconds = []
    for _ in range(options.repeats + 1):  # The first one warms up.
        began = time.perf_counter()
        users.grad = candidates.grad = None
        loss = F.cross_entropy(users @ candidates.T / options.temperature, positives)
        loss.backward()
        seconds.append(time.perf_counter() - began)
    result = {
        "seconds": statistics.median(seconds[1:]),
        "added_mb": peak_mb() - before,
        "peak_mb": peak_mb(),
        "loss": loss.item(),
        "gradient_norm": candidates.grad.norm().item(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
