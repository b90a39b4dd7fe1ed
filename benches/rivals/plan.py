"""The rivals of the plan: one lane's share of an epoch's shards, in a permutation of (seed, epoch).

`numpy` does what Twinspire does: it cuts the permuted sequence of rows into lanes and can say which shard
a step is in. `pytorch` does what DistributedSampler does: it deals whole shards, however many rows they
have, and nothing but counting says where a step is. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time

import numpy as np

SEED = 7


class Numpy:
    def __init__(self, rows: np.ndarray, lanes: int) -> None:
        self.rows, self.lanes, self.total = rows, lanes, int(rows.sum())

    def lane(self, epoch: int, lane: int) -> tuple[np.ndarray, np.ndarray]:
        """Shards of a lane, and where in the epoch's sequence of rows each ends."""
        order = np.random.default_rng((SEED, epoch)).permutation(len(self.rows))
        ends = np.cumsum(self.rows[order])
        first, end = (cut * self.total // self.lanes for cut in (lane, lane + 1))
        places = slice(np.searchsorted(ends, first, "right"), np.searchsorted(ends, end, "left") + 1)
        return order[places], ends[places]

    def lookup_us(self, share: tuple[np.ndarray, np.ndarray], lane: int, batch: int, lookups: int) -> float:
        shards, ends = share
        first, rows = lane * self.total // self.lanes, self.total // self.lanes
        steps = -(-rows // batch)
        asked = [random.getrandbits(31) for _ in range(lookups)]
        began = time.perf_counter()
        for step in asked:
            shards[np.searchsorted(ends, first + step % steps * batch, "right")]
        return (time.perf_counter() - began) * 1e6 / lookups


class PyTorch:
    def __init__(self, rows: np.ndarray, lanes: int) -> None:
        from torch.utils.data import DistributedSampler

        shards = range(len(rows))
        self.samplers = [DistributedSampler(shards, lanes, lane, seed=SEED) for lane in range(lanes)]

    def lane(self, epoch: int, lane: int) -> list[int]:
        self.samplers[lane].set_epoch(epoch)
        return list(self.samplers[lane])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", choices=["numpy", "pytorch"])
    parser.add_argument("manifest")
    parser.add_argument("--lanes", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--lookups", type=int, default=100_000)
    options = parser.parse_args()

    began = time.perf_counter()
    with open(options.manifest, "rb") as file:
        manifest = json.load(file)
    rows = np.array([shard["rows"] for shard in manifest["shards"]], dtype=np.int64)
    figures = {"read_s": time.perf_counter() - began}

    lane = options.lanes // 2
    planner = {"numpy": Numpy, "pytorch": PyTorch}[options.library](rows, options.lanes)
    seconds = []
    for epoch in range(options.epochs):
        began = time.perf_counter()
        share = planner.lane(epoch, lane)
        seconds.append(time.perf_counter() - began)
    figures["plan_s"] = statistics.median(seconds)
    if isinstance(planner, Numpy):
        figures["lookup_us"] = planner.lookup_us(share, lane, 16, options.lookups)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
