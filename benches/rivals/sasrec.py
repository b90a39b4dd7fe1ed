"""SASRec as people write it in PyTorch: the rival of a training job.

Model and batch are those of manifests/amazon-beauty.yaml and manifests/ml-1m.yaml: an item table that
is also the output layer, learned positions, a pre-norm causal transformer, softmax over the whole
catalogue, Adam. Sequences are padded to the same length and come from a DataLoader; several processes
are DistributedDataParallel over Gloo, each with its part of the global batch.

    sasrec.py events.csv.gz --order position --max-len 50 --batch 256 --dropout 0.4 --epochs 20 --evaluate

Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import socket
import statistics
import time
from pathlib import Path

import numpy as np
import polars as pl
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset, DistributedSampler, RandomSampler

IGNORED = -100  # Target of padding: `F.cross_entropy`'s default `ignore_index`.


def read_timelines(path: Path, order: str) -> tuple[list[np.ndarray], int]:
    """Item numbers of each user in `order`, and how many items there are. Rows without an order are left out."""
    columns = ["user_id", "item_id", order]
    log = pl.read_parquet(path, columns=columns) if path.suffix == ".parquet" else pl.read_csv(path, columns=columns)
    log = log.drop_nulls(order).with_columns(item=pl.col("item_id").rank("dense").cast(pl.Int64) - 1)
    users = log.sort(order).group_by("user_id", maintain_order=True).agg("item")
    return [np.array(items) for items in users["item"].to_list()], log["item"].n_unique()


class Sequences(Dataset):
    """A user's newest `max_len` training actions and the action after each, padded at the end."""

    def __init__(self, timelines: list[np.ndarray], max_len: int) -> None:
        self.timelines = timelines
        self.max_len = max_len

    def __len__(self) -> int:
        return len(self.timelines)

    def __getitem__(self, user: int) -> tuple[Tensor, Tensor, int]:
        items = torch.from_numpy(self.timelines[user][:-2][-self.max_len - 1 :])  # The last two are held out.
        length = len(items) - 1
        inputs = torch.zeros(self.max_len, dtype=torch.long)
        targets = torch.full((self.max_len,), IGNORED)
        inputs[:length] = items[:-1]
        targets[:length] = items[1:]
        return inputs, targets, length


class Block(nn.Module):
    """Pre-norm transformer layer. Keys have no bias, as in BEiT: its gradient would be exactly zero."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width, eps=1e-6)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.query_bias = nn.Parameter(torch.zeros(width))
        self.value_bias = nn.Parameter(torch.zeros(width))
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width, eps=1e-6),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(4 * width, width),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        users, length, width = x.shape
        bias = torch.cat((self.query_bias, torch.zeros_like(self.query_bias), self.value_bias))  # [3 width]
        qkv = F.linear(self.attention_norm(x), self.qkv.weight, bias)  # [users, length, 3 width]
        qkv = qkv.view(users, length, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # [users, heads, length, width / heads] each
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.dropout(self.out(mixed.transpose(1, 2).reshape(users, length, width)))
        return x + self.feed_forward(x)


class SASRec(nn.Module):
    """Padding stands at the end of rows, where a causal transformer never looks at it."""

    def __init__(self, items: int, max_len: int, width: int, layers: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.items = nn.Embedding(items, width)
        self.positions = nn.Embedding(max_len, width)  # Counted back from the newest action.
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.Sequential(*(Block(width, heads, dropout) for _ in range(layers)))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=width**-0.5)
            elif isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def encode(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """`[users, length] -> [users, length, width]`, before the last norm."""
        from_newest = (lengths[:, None] - 1 - torch.arange(inputs.shape[1])).clamp(min=0)
        return self.blocks(self.dropout(self.items(inputs) + self.positions(from_newest)))

    def forward(self, inputs: Tensor, targets: Tensor, lengths: Tensor) -> Tensor:
        """Mean loss over all positions that have a target."""
        x = self.encode(inputs, lengths)
        valid = targets != IGNORED
        logits = self.norm(x[valid]) @ self.items.weight.T  # [positions, items]
        return F.cross_entropy(logits, targets[valid])

    def score(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Scores of all items after the newest action: `[users, items]`."""
        x = self.encode(inputs, lengths)[torch.arange(len(inputs)), lengths - 1]
        return self.norm(x) @ self.items.weight.T


@torch.no_grad()
def evaluate(model: SASRec, timelines: list[np.ndarray], max_len: int) -> dict[str, float]:
    """HR@10 and NDCG@10 of every user's last item among all items but those seen."""
    model.eval()
    hits, gains = 0, 0.0
    for start in range(0, len(timelines), 256):
        users = timelines[start : start + 256]
        histories = [torch.from_numpy(items[:-1]) for items in users]
        newest = [history[-max_len:] for history in histories]
        inputs = nn.utils.rnn.pad_sequence(newest, batch_first=True)
        scores = model.score(inputs, torch.tensor([len(items) for items in newest]))
        targets = torch.tensor([items[-1] for items in users])
        wanted = scores.gather(1, targets[:, None])
        for row, seen in zip(scores, histories):
            row[seen] = -math.inf
        ranks = (scores > wanted).sum(1)
        hit = ranks < 10
        hits += int(hit.sum())
        gains += float((1 / (ranks[hit] + 2).log2()).sum())
    return {"hr@10": hits / len(timelines), "ndcg@10": gains / len(timelines)}


def train(rank: int, options: argparse.Namespace, port: int) -> None:
    """One process of `options.processes`; the first prints the result."""
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    distributed = options.processes > 1
    if distributed:
        dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=options.processes)

    timelines, items = read_timelines(options.log, options.order)
    dataset = Sequences([items for items in timelines if len(items) >= 4], options.max_len)
    sampler = DistributedSampler(dataset, seed=options.seed) if distributed else RandomSampler(dataset)
    loader = DataLoader(
        dataset,
        batch_size=options.batch // options.processes,
        sampler=sampler,
        num_workers=options.loader_workers,
        persistent_workers=options.loader_workers > 0,
    )
    epochs = options.epochs or math.ceil(options.steps / len(loader))
    steps = min(options.steps or math.inf, epochs * len(loader))

    sasrec = SASRec(items, options.max_len, options.width, options.layers, options.heads, options.dropout)
    model = DistributedDataParallel(sasrec) if distributed else sasrec
    optimizer = torch.optim.Adam(model.parameters(), lr=options.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)

    model.train()
    step, epoch_losses, step_seconds = 0, [], []
    users, tokens, measured_from = 0, 0, time.perf_counter()
    for epoch in range(epochs):
        if distributed:
            sampler.set_epoch(epoch)
        losses = []
        for inputs, targets, lengths in loader:
            began = time.perf_counter()
            optimizer.zero_grad()
            loss = model(inputs, targets, lengths)
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            step += 1
            if step > options.warmup:
                users += len(inputs)
                tokens += int(lengths.sum())
                step_seconds.append(time.perf_counter() - began)
            else:
                measured_from = time.perf_counter()
            if step == steps:
                break
        epoch_losses.append(statistics.fmean(losses))
    elapsed = time.perf_counter() - measured_from

    totals = torch.tensor([users, tokens, *epoch_losses], dtype=torch.float64)
    if distributed:
        dist.all_reduce(totals)
    if rank == 0:
        result = {
            "rows_per_s": totals[0].item() / elapsed,
            "tokens_per_s": totals[1].item() / elapsed,
            "step_ms": 1000 * statistics.median(step_seconds),
            "seconds": elapsed,
            "steps": step,
            "loss": (totals[2:] / options.processes).tolist(),
            "max_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        if options.evaluate:
            result |= evaluate(sasrec, timelines, options.max_len)
        print(json.dumps(result), flush=True)
    if distributed:
        dist.barrier()
        dist.destroy_process_group()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def model_parser(what: str | None) -> argparse.ArgumentParser:
    """Arguments that say which log, which model and which batch."""
    parser = argparse.ArgumentParser(description=what, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path, help="events as .parquet, .csv or .csv.gz")
    parser.add_argument("--order", required=True, help="column of a row's place in its user's history")
    parser.add_argument("--max-len", type=int, required=True, help="newest actions read")
    parser.add_argument("--batch", type=int, required=True, help="users a step, over all processes")
    parser.add_argument("--dropout", type=float, required=True)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--heads", type=int, default=2)
    return parser


def parse() -> argparse.Namespace:
    parser = model_parser(__doc__)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=7)
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--epochs", type=int)
    length.add_argument("--steps", type=int)
    parser.add_argument("--warmup", type=int, default=5, help="first steps, which are not timed")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2, help="of each process")
    parser.add_argument("--loader-workers", type=int, default=1, help="DataLoader processes of each process")
    parser.add_argument("--evaluate", action="store_true", help="rank the test items when trained")
    return parser.parse_args()


def main() -> None:
    options = parse()
    if options.processes == 1:
        train(0, options, 0)
    else:
        os.environ["OMP_NUM_THREADS"] = str(options.threads)
        mp.spawn(train, args=(options, free_port()), nprocs=options.processes)


if __name__ == "__main__":
    main()
