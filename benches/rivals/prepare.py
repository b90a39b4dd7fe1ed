"""An engagement log made into user timelines by polars or pandas: the rival of `coordinator prepare`.

The core of what `prepare` does: items numbered by how often they occur, rows grouped by user and sorted
by time into lists, written as Parquet. No checks of rows, split, vocabularies or statistics.

    prepare.py polars EVENTS_DIRECTORY timelines.parquet
"""

from __future__ import annotations

import argparse
from pathlib import Path

COLUMNS = ["user_id", "item_id", "action", "timestamp", "surface", "duration"]
LISTS = ["item", "action", "timestamp", "surface", "duration"]


def with_polars(log: Path, out: Path) -> None:
    import polars as pl

    events = pl.scan_parquet(log / "events-*.parquet").select(COLUMNS)
    items = events.group_by("item_id").len().sort(["len", "item_id"], descending=[True, False])
    items = items.select("item_id", item=pl.row_index().cast(pl.Int32))
    (
        events.with_columns(pl.col("action", "surface").cast(pl.Categorical))
        .join(items, on="item_id")
        .group_by("user_id")
        .agg(pl.col(LISTS).sort_by("timestamp"))
        .sink_parquet(out)
    )


def with_pandas(log: Path, out: Path) -> None:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    events = pd.concat(
        (pd.read_parquet(file, columns=COLUMNS) for file in sorted(log.glob("events-*.parquet"))), ignore_index=True
    )
    numbers = events["item_id"].value_counts()
    numbers = pd.Series(np.arange(len(numbers), dtype=np.int32), index=numbers.index)
    events["item"] = events["item_id"].map(numbers).astype(np.int32)
    for name in ("action", "surface"):
        events[name] = pd.factorize(events[name])[0].astype(np.uint8)
    events = events.sort_values(["user_id", "timestamp"], kind="stable", ignore_index=True)
    lengths = events.groupby("user_id", sort=False).size()
    # Lists straight from offsets: `agg(list)` would make a Python object of every number.
    offsets = np.concatenate([[0], lengths.cumsum()]).astype(np.int32)
    lists = [pa.ListArray.from_arrays(pa.array(offsets), pa.array(events[name].to_numpy())) for name in LISTS]
    pq.write_table(pa.table([pa.array(lengths.index), *lists], names=["user_id", *LISTS]), out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", choices=["polars", "pandas"])
    parser.add_argument("log", type=Path, help="directory of events-*.parquet")
    parser.add_argument("out", type=Path, help="file to write")
    options = parser.parse_args()

    {"polars": with_polars, "pandas": with_pandas}[options.library](options.log, options.out)


if __name__ == "__main__":
    main()
