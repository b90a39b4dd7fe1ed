"""`make bench`: Twinspire beside its rivals, on the same work, in turns.

A round runs every contestant once; a ratio is taken inside a round, so that what else the machine does
falls on all alike. The table shows medians over the rounds and the range of the ratios; JSON with every
figure goes to runs/bench/.

    python3 benches/run.py --only training --quick
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RIVALS = ROOT / "benches" / "rivals"
WORK = ROOT / "runs" / "bench"
CORES = len(os.sched_getaffinity(0))
TWINSPIRE = "twinspire"
BENCHMARKS = ["training", "loss", "prepare", "coordinator", "recovery"]

Figures = dict[str, float]


@dataclass(frozen=True)
class Measure:
    """A figure Twinspire gives, and whichever rivals can. A ratio above 1 says that Twinspire is the better one."""

    key: str
    label: str
    more_is_better: bool = False

    def ratio(self, ours: float, rival: float) -> float:
        return ours / rival if self.more_is_better else rival / ours


@dataclass(frozen=True)
class Case:
    """One piece of work and who does it; the first contestant is Twinspire."""

    name: str
    measures: list[Measure]
    contestants: dict[str, Callable[[], Figures]]


class Failed(Exception):
    """A contestant could not do its work."""


def run(command: list[str | Path]) -> tuple[str, Figures]:
    """Standard output of a command, its seconds, and the peak memory of the largest of its processes."""
    WORK.mkdir(parents=True, exist_ok=True)
    log = WORK / "stderr.txt"
    began = time.perf_counter()
    with log.open("w") as errors:
        try:
            process = subprocess.Popen(list(map(str, command)), cwd=ROOT, stdout=subprocess.PIPE, stderr=errors)
        except OSError as error:
            raise Failed(f"{error}: `cargo build --workspace` makes Twinspire's programs, `make rivals` its rivals'")
        with process.stdout as pipe:
            output = pipe.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-12:])
        raise Failed(f"{' '.join(map(str, command))}\nended with {process.returncode}:\n{tail}")
    return output, {"seconds": time.perf_counter() - began, "peak_mb": usage.ru_maxrss / 1024}


def run_json(command: list[str | Path]) -> Figures:
    """What a program says of itself in its last line, beside what `run` saw of it."""
    output, seen = run(command)
    return seen | json.loads(output.splitlines()[-1])


@contextmanager
def serving(command: list[str | Path]) -> Iterator[tuple[str, int]]:
    """A server while it is used: the address that it says it listens on, and its process."""
    log = WORK / "server.txt"
    with log.open("w") as errors:
        try:
            process = subprocess.Popen(list(map(str, command)), cwd=ROOT, stdout=errors, stderr=errors)
        except OSError as error:
            raise Failed(f"{error}: `cargo build --workspace` makes Twinspire's programs, `make rivals` its rivals'")
    try:
        by = time.monotonic() + 30
        while not (found := re.search(r"listening on ([\d.]+:\d+)", log.read_text(errors="replace"))):
            if process.poll() is not None or time.monotonic() > by:
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-12:])
                raise Failed(f"{' '.join(map(str, command))}\ndoes not serve:\n{tail}")
            time.sleep(0.05)
        yield f"http://{found[1]}", process.pid
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Benches:
    """The benchmarks, each a list of cases."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.quick: bool = options.quick
        self.program: Path = options.programs / "coordinator"
        self.rival: list[str | Path] = [options.python, "-P"]

    # Training -----------------------------------------------------------------------------------------

    def training(self) -> Iterator[Case]:
        """Steps of the jobs in manifests/ beside the same model and batch in PyTorch."""
        jobs = [
            ("amazon-beauty", "amazon-beauty/events.csv.gz", 20 if self.quick else 60),
            ("ml-1m", "ml-1m/events.parquet", 10 if self.quick else 30),
        ]
        for job, log, steps in jobs:
            path = self.options.data / log
            if not path.exists():
                say(f"training: {job} skipped: there is no {path} (--data)")
                continue
            for processes in (1, 2):
                yield self.training_case(job, path, steps, processes)

    def training_case(self, job: str, log: Path, steps: int, processes: int) -> Case:
        manifest = f"manifests/{job}.yaml"
        overrides = [f"--set=log.uri={log}"]
        spec = json.loads(run([self.program, "validate", manifest, *overrides, "--output", "json"])[0])
        warmup = 5
        threads = max(1, CORES // processes)

        def twinspire() -> Figures:
            settings = {
                "runs": WORK / "work",
                "train.epochs": "null",
                "train.steps": steps,
                "train.log_every": warmup,
                "train.threads": threads,
                "evaluate.every_epochs": 0,
                "evaluate.best": "last",
                "device": "cpu",
                **{f"export.{what}": "false" for what in spec["export"] if what != "uri"},
            }
            overridden = [f"--set={field}={value}" for field, value in settings.items()]
            command = [self.program, "local", manifest, f"--workers={processes}", "--fresh", *overrides]
            _, seen = run([*command, *overridden])
            lines = (WORK / "work" / spec["name"] / "metrics.jsonl").read_text().splitlines()
            windows = [record for record in map(json.loads, lines) if record["kind"] == "train"][1:]
            # Windows are of equally many rows: the mean is the harmonic one.
            rows_per_s = statistics.harmonic_mean([window["rows_per_s"] for window in windows])
            return seen | {"rows_per_s": rows_per_s, "loss": windows[-1]["loss"]}

        def pytorch() -> Figures:
            flags = {
                **model_flags(spec),
                "lr": spec["train"]["optimizer"]["lr"],
                "steps": steps,
                "warmup": warmup,
                "processes": processes,
                "threads": threads,
            }
            given = [f"--{flag}={value}" for flag, value in flags.items()]
            return run_json([*self.rival, RIVALS / "sasrec.py", log, *given])

        measures = [Measure("rows_per_s", "rows/s", more_is_better=True), Measure("peak_mb", "MB, largest process")]
        layout = f"{processes} worker{'s'[: processes > 1]} x {threads} thread{'s'[: threads > 1]}"
        return Case(f"training {job}, {layout}", measures, {TWINSPIRE: twinspire, "pytorch": pytorch})

    # Loss ---------------------------------------------------------------------------------------------

    def loss(self) -> Iterator[Case]:
        """Softmax of 4096 rows against many negatives: forward, backward, memory."""
        measures = [Measure("seconds", "s"), Measure("added_mb", "MB added")]
        for negatives in (4096, 16384) if self.quick else (4096, 8192, 16384, 32768, 65536):
            flags = [f"--negatives={negatives}", f"--threads={CORES}"]
            yield Case(
                f"loss, {negatives} negatives",
                measures,
                {
                    TWINSPIRE: lambda flags=flags: run_json([self.options.programs / "bench-loss", *flags]),
                    "pytorch": lambda flags=flags: run_json([*self.rival, RIVALS / "loss_memory.py", *flags]),
                },
            )

    # Prepare ------------------------------------------------------------------------------------------

    def prepare(self) -> Iterator[Case]:
        """A generated log made into timelines."""
        events = self.options.events or (2_000_000 if self.quick else 20_000_000)
        log = WORK / f"log-{events}"
        job = log / "job.yaml"  # Written last.
        if not job.exists():
            say(f"prepare: generating {events:,} events")
            size = [f"--users={max(1000, events // 50)}", f"--items={max(1000, events // 200)}", f"--events={events}"]
            run([self.program, "generate", log, *size, "--vector-dim=4"])
        out = WORK / "work" / "prepare"

        def emptied() -> Path:
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            return out

        def twinspire() -> Figures:
            # Only the log, as the rivals.
            only_ids = ["--set=catalogue=null", "--set=towers.item.encoder=id", "--set=towers.item.id_embedding=table"]
            return run([self.program, "prepare", job, f"--set=runs={emptied()}", *only_ids])[1]

        def rival(library: str) -> Figures:
            return run([*self.rival, RIVALS / "prepare.py", library, log, emptied() / "timelines.parquet"])[1]

        yield Case(
            f"prepare, {events:,} events",
            [Measure("seconds", "s"), Measure("peak_mb", "MB, largest process")],
            {TWINSPIRE: twinspire, "polars": lambda: rival("polars"), "pandas": lambda: rival("pandas")},
        )

    # Coordinator --------------------------------------------------------------------------------------

    def coordinator(self) -> Iterator[Case]:
        """Sessions of simulated workers, jobs assigned to them, and the plan of a very large dataset."""
        yield self.sessions_case(2_000 if self.quick else 10_000)
        yield self.plan_case(100_000 if self.quick else 1_000_000)

    def sessions_case(self, workers: int) -> Case:
        connections, jobs = 200, 20 if self.quick else 200
        say(f"coordinator: {workers:,} sessions share {connections} connections; load and server share {CORES} cores")

        def load(url: str, pid: int, jobs: int) -> Figures:
            flags = [f"--workers={workers}", f"--connections={connections}", f"--jobs={jobs}"]
            return run_json([self.options.programs / "bench-pool", url, f"--pid={pid}", *flags])

        def twinspire() -> Figures:
            state = WORK / "work" / "pool"
            shutil.rmtree(state, ignore_errors=True)
            flags = ["--listen=127.0.0.1:0", f"--state={state / 'state.redb'}", f"--runs={state / 'runs'}"]
            with serving([self.program, "serve", *flags]) as (url, pid):
                return load(url, pid, jobs)

        def grpc_aio() -> Figures:
            with serving([*self.rival, RIVALS / "heartbeats.py"]) as (url, pid):
                return load(url, pid, 0)

        measures = [
            Measure("register_s", "s to register all"),
            Measure("heartbeats_per_s", "heartbeats/s handled", more_is_better=True),
            Measure("cpu_us_per_heartbeat", "us of server CPU/heartbeat"),
            Measure("idle_cores", "cores at a heartbeat each 2 s"),
            Measure("memory_mb", "MB with all registered"),
            Measure("assign_p50_ms", "ms submit to 64 assigned, p50"),
            Measure("assign_p99_ms", "ms submit to 64 assigned, p99"),
        ]
        return Case(f"coordinator, {workers:,} workers", measures, {TWINSPIRE: twinspire, "grpc.aio": grpc_aio})

    def plan_case(self, shards: int) -> Case:
        manifest = WORK / f"manifest-{shards}.json"
        ours = self.options.programs / "bench-plan"
        if not manifest.exists():
            part = manifest.with_suffix(".part")
            run([ours, part, f"--create={shards}"])
            part.rename(manifest)
        measures = [
            Measure("read_s", "s to read the manifest"),
            Measure("plan_s", "s to plan a lane's epoch"),
            Measure("lookup_us", "us to look a step up"),
            Measure("peak_mb", "MB, process"),
        ]
        rivals = {
            library: lambda library=library: run_json([*self.rival, RIVALS / "plan.py", library, manifest])
            for library in ("numpy", "pytorch")
        }
        contestants = {TWINSPIRE: lambda: run_json([ours, manifest]), **rivals}
        return Case(f"plan, {shards:,} shards, 64 lanes", measures, contestants)

    # Recovery -----------------------------------------------------------------------------------------

    def recovery(self) -> Iterator[Case]:
        """A worker is killed in the midst of training: how soon the others go on, and what they do again."""
        log = self.options.data / "amazon-beauty/events.csv.gz"
        if not log.exists():
            return say(f"recovery: skipped: there is no {log} (--data)")
        manifest, overrides = "manifests/amazon-beauty.yaml", [f"--set=log.uri={log}"]
        spec = json.loads(run([self.program, "validate", manifest, *overrides, "--output", "json"])[0])
        # Halfway between two checkpoints, as a fault comes on average.
        processes, every, kill_at = 2, 20, 30

        def twinspire() -> Figures:
            settings = {
                "runs": WORK / "work",
                "name": "struck",
                "workers": f"{{min: 1, max: {processes}}}",
                "train.threads": 1,
                "train.log_every": 1,
                "checkpoint.every_steps": every,
                "evaluate.every_epochs": 0,
                "evaluate.best": "last",
                "device": "cpu",
            }
            overridden = [f"--set={field}={value}" for field, value in settings.items()]
            command = [self.program, "local", manifest, "--fresh", *overrides, *overridden]
            return strike(command, WORK / "work" / "struck" / "metrics.jsonl", processes, kill_at)

        def torchrun() -> Figures:
            flags = {**model_flags(spec), "processes": processes, "every": every, "kill-at": kill_at}
            given = [f"--{flag}={value}" for flag, value in flags.items()]
            return run_json([*self.rival, RIVALS / "restart.py", log, *given])

        measures = [
            Measure("first_step_s", "s from kill -9 to the next step"),
            Measure("all_back_s", "s to the next step of all processes"),
            Measure("new_step_s", "s to the next step not done before"),
            Measure("steps_to_new", "steps to the first one not done before"),
        ]
        name = f"recovery, amazon-beauty, 1 of {processes} workers killed"
        yield Case(name, measures, {TWINSPIRE: twinspire, "torchrun": torchrun})


def model_flags(spec: dict) -> dict[str, object]:
    """A job's model and batch, as the rivals are told them."""
    user = spec["towers"]["user"]
    return {
        "order": spec["log"]["columns"]["order"],
        "max-len": user["max_actions"],
        "batch": spec["train"]["global_batch"],
        "dropout": user["dropout"],
        "width": user["d_model"],
        "layers": user["layers"],
        "heads": user["heads"],
    }


def strike(command: list[str | Path], metrics: Path, processes: int, kill_at: int) -> Figures:
    """Starts a local run, kills one of its workers once `kill_at` steps are done, and looks how training goes on."""

    def steps() -> list[int]:
        lines = metrics.read_text().splitlines() if metrics.exists() else []
        records = [json.loads(line) for line in lines if line.endswith("}")]
        return [record["step"] for record in records if record["kind"] == "train"]

    def wait_for(what: str, there: Callable[[], bool]) -> float:
        by = time.monotonic() + 300
        while not there():
            if process.poll() is not None or time.monotonic() > by:
                raise Failed(f"{' '.join(map(str, command))}\n{what} did not come")
            time.sleep(0.02)
        return time.time()

    WORK.mkdir(parents=True, exist_ok=True)
    metrics.unlink(missing_ok=True)
    with (WORK / "stderr.txt").open("w") as errors:
        process = subprocess.Popen(list(map(str, command)), cwd=ROOT, stdout=errors, stderr=errors)
    try:
        wait_for("training", lambda: max(steps(), default=0) >= kill_at)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        workers = [int(child) for child in children if "worker" in Path(f"/proc/{child}/cmdline").read_text()]
        killed = time.time()
        os.kill(workers[-1], signal.SIGKILL)
        time.sleep(0.05)  # A step may have been under way.
        before = steps()
        # A step that is done again takes its line's place: there are fewer lines for a moment.
        first = wait_for("a step", lambda: len(steps()) != len(before) and steps()[-1:] != before[-1:])
        redone = max(0, before[-1] - steps()[-1] + 1)
        new = wait_for("a new step", lambda: steps()[-1] > before[-1])
        errors = WORK / "stderr.txt"
        wait_for("the other worker", lambda: errors.read_text().count(f"on {processes} workers)") > 1)
        last = steps()[-1]
        back = wait_for("a step of all", lambda: steps()[-1] > last)
        times = {"first_step_s": first, "new_step_s": new, "all_back_s": back}
        return {name: at - killed for name, at in times.items()} | {"steps_to_new": redone + 1}
    finally:
        process.kill()
        process.wait()


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def measure(case: Case, rounds: int) -> dict[str, list[Figures]]:
    """Figures of every contestant, one a round."""
    figures: dict[str, list[Figures]] = {name: [] for name in case.contestants}
    for number in range(1, rounds + 1):
        for name, contestant in case.contestants.items():
            say(f"{case.name}: round {number} of {rounds}: {name}")
            figures[name].append(contestant())
    return figures


def rows(case: Case, figures: dict[str, list[Figures]]) -> Iterator[dict]:
    """One row a measure and rival that has it; one a measure that no rival has."""
    rivals = list(case.contestants)[1:]
    for what in case.measures:
        ours = [figure[what.key] for figure in figures[TWINSPIRE]]
        row = {"case": case.name, "measure": what.label, "twinspire": statistics.median(ours)}
        having = [rival for rival in rivals if all(what.key in figure for figure in figures[rival])]
        if not having:
            yield row | {"rival": None, "against": None, "ratio": None, "lowest": None, "highest": None}
        for rival in having:
            theirs = [figure[what.key] for figure in figures[rival]]
            ratios = [what.ratio(a, b) for a, b in zip(ours, theirs)]
            yield row | {
                "rival": statistics.median(theirs),
                "against": rival,
                "ratio": statistics.median(ratios),
                "lowest": min(ratios),
                "highest": max(ratios),
            }


def table(results: list[dict]) -> str:
    def number(value: float) -> str:
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"

    lines = [("case", "measure", "twinspire", "rival", "against", "times better", "range")]
    for row in results:
        if row["against"] is None:
            lines.append((row["case"], row["measure"], number(row["twinspire"]), "-", "-", "-", "-"))
            continue
        values = (number(row["twinspire"]), number(row["rival"]), row["against"], f"{row['ratio']:.2f}")
        lines.append((row["case"], row["measure"], *values, f"{row['lowest']:.2f} - {row['highest']:.2f}"))
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)


def cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=BENCHMARKS, action="append", help="may be repeated")
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--rounds", type=int, help="3, or 1 when quick")
    parser.add_argument("--events", type=int, help="of the log for prepare: 20 million, or 2 when quick")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="logs to train on")
    parser.add_argument("--programs", type=Path, default=ROOT / "target" / "debug", help="Twinspire's programs")
    parser.add_argument("--python", type=Path, default=ROOT / ".tools" / "rivals" / "bin" / "python")
    return parser.parse_args()


def main() -> int:
    options = parse()
    benches = Benches(options)
    results, runs, failed = [], {}, []
    loads = [os.getloadavg()[0]]
    for name in options.only or BENCHMARKS:
        try:
            for case in getattr(benches, name)():
                figures = measure(case, options.rounds or (1 if options.quick else 3))
                runs[case.name] = figures
                results.extend(rows(case, figures))
                loads.append(os.getloadavg()[0])
        except Failed as failure:
            say(f"{name}: {failure}")
            failed.append(name)
    if results:
        print(table(results))
        written = datetime.datetime.now(datetime.timezone.utc)
        report = {
            "written": written.isoformat(timespec="seconds"),
            "machine": {"cpu": cpu(), "cores": CORES, "load": loads},
            "quick": options.quick,
            "failed": failed,
            "results": results,
            "runs": runs,
        }
        path = WORK / f"{written:%Y%m%d-%H%M%S}.json"
        path.write_text(json.dumps(report, indent=1) + "\n")
        print(f"\n{path.relative_to(ROOT)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
