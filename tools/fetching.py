"""What the programs that fetch things into this directory have in common: pinned wheels, and coming in whole.

What is fetched and unpacked lies in `.tools/NAME/` until it is whole, and is put in place by one rename: an
interrupted run leaves nothing that looks finished, and the next one goes on from the last whole file.
"""

import argparse
import fcntl
import fnmatch
import hashlib
import shutil
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator, NamedTuple


class Failure(Exception):
    """What to tell the person who ran this."""


class Wheel(NamedTuple):
    """A pinned file on PyPI."""

    requirement: str
    file: str
    sha256: str


# A wheel for a newer system than one of these names is none of ours.
PLATFORMS = [
    "manylinux_2_28_x86_64",
    "manylinux_2_25_x86_64",
    "manylinux_2_17_x86_64",
    "manylinux2014_x86_64",
    "manylinux1_x86_64",
]


class Fetcher:
    """Speaks to PyPI, and to the person who waits."""

    def __init__(self, name: str, wheels: Path, remedy: str) -> None:
        """`remedy` says how to do without the download; `{wheels}` and `{files}` in it are filled in."""
        self.name, self.wheels, self.remedy = name, wheels, remedy

    def say(self, text: str) -> None:
        print(f"{self.name}: {text}", flush=True)

    def fetch_all(self, wheels: "list[Wheel]") -> "list[Path]":
        """Downloads what is not there yet, for the platform it is pinned for, whatever this Python is."""
        check_pip()
        self.wheels.mkdir(parents=True, exist_ok=True)
        for wheel in wheels:
            self.fetch(wheel, wheels)
        return [self.wheels / wheel.file for wheel in wheels]

    def fetch(self, wheel: Wheel, wheels: "list[Wheel]") -> None:
        path = self.wheels / wheel.file
        if is_whole(path, wheel):
            self.say(f"{wheel.requirement} is there")
            return
        path.unlink(missing_ok=True)
        self.say(f"fetching {wheel.requirement} ({wheel.file})")
        # pip takes hashes from requirement files only.
        requirements = self.wheels / "requirement.txt"
        requirements.write_text(f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n")
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes"]
        command += ["--disable-pip-version-check", "--no-cache-dir", "--implementation", "cp"]
        command += ["--python-version", "3.12"]
        command += [option for name in PLATFORMS for option in ("--platform", name)]
        command += ["--dest", str(self.wheels), "--requirement", str(requirements)]
        status = subprocess.run(command, check=False).returncode
        if status != 0 or not is_whole(path, wheel):
            files = ", ".join(wheel.file for wheel in wheels if not (self.wheels / wheel.file).exists())
            remedy = self.remedy.format(wheels=self.wheels, files=files)
            raise Failure(f"could not fetch {wheel.requirement} ({wheel.file}): pip says why above.\n{remedy}")


def is_whole(path: Path, wheel: Wheel) -> bool:
    """Whether `path` is that wheel, to the last byte."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError:
        return False
    return digest.hexdigest() == wheel.sha256


def check_pip() -> None:
    """pip is what speaks to PyPI: it knows this machine's mirrors, proxies and certificates."""
    run = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False)
    if run.returncode != 0:
        raise Failure(f"{sys.executable} has no pip; install it (Debian and Ubuntu: apt-get install python3-pip)")


def unpack(
    wheels: "list[Path]",
    target: Path,
    taken: "list[str]",
    not_taken: "tuple[str, ...] | list[str]" = (),
    say: "Callable[[str], None]" = lambda _: None,
) -> None:
    """Takes what matches `taken` and not `not_taken` out of the wheels."""

    def matches(name: str, patterns: "tuple[str, ...] | list[str]") -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)

    def is_taken(name: str) -> bool:
        return matches(name, taken) and not matches(name, not_taken) and not name.endswith("/")

    archives = [zipfile.ZipFile(path) for path in wheels]
    members = [(archive, member) for archive in archives for member in archive.infolist() if is_taken(member.filename)]
    total = max(sum(member.file_size for _, member in members), 1)
    say(f"unpacking {len(members)} files, {total / 1e9:.1f} GB")
    done, told = 0, 0
    for archive, member in members:
        archive.extract(member, target)
        done += member.file_size
        if done * 4 // total > told:
            told = done * 4 // total
            say(f"unpacked {told * 25} %")
    for archive in archives:
        archive.close()


def has_stamp(home: Path, stamp: str) -> bool:
    """Whether `home` was made from what `stamp` says: `complete` in it is written last."""
    try:
        return (home / "complete").read_text() == stamp
    except OSError:
        return False


def put_in_place(made: Path, home: Path, work: Path) -> None:
    """Swaps what was made in for what is there, if anything."""
    old = work / "old"
    shutil.rmtree(old, ignore_errors=True)
    home.parent.mkdir(parents=True, exist_ok=True)
    if home.exists():
        home.rename(old)
    made.rename(home)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def alone(work: Path, say: "Callable[[str], None]") -> Iterator[None]:
    """Lets a second `make` wait for the first instead of working beside it."""
    work.mkdir(parents=True, exist_ok=True)
    with (work / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another run is at it; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(name: str, documentation: str, make: "Callable[[Path], None]") -> int:
    """Runs `make` on the root of the repository, or on `--root`, and tells what went wrong."""
    here = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=documentation.splitlines()[0])
    parser.add_argument("--root", type=Path, default=here, help="where things go (default: this repository)")
    root = parser.parse_args().root.resolve()
    try:
        make(root)
    except Failure as failure:
        print(f"{name}: {failure}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{name}: interrupted; the next run goes on from the last whole file", file=sys.stderr)
        return 130
    return 0
