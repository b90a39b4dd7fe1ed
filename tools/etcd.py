#!/usr/bin/env python3
"""Puts an etcd server where the tests look for it, `.tools/etcd/bin/etcd`, from Debian's or Ubuntu's package.

An etcd in PATH that is new enough is used instead, and nothing is fetched. Nothing is installed and root is not
needed: apt fetches the package (and checks it against the signed lists), and the one program is taken out of it. A
machine without apt's lists, as containers are, gets some of its own under `.tools/`.

It is for tests only. (PyPI's newest etcd is 3.5.1, which can lose acknowledged writes when it is killed under load:
of all programs, not the one to test a store with.)
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from fetching import Failure, alone, has_stamp, put_in_place, run

# The first with what the client asks for; Ubuntu's before 24.04 is older.
OLDEST = (3, 4)
PACKAGE = "etcd-server"
STAMP = f"{PACKAGE}, {OLDEST[0]}.{OLDEST[1]} or newer\n"

REMEDY = f"""To do without the download: install etcd {OLDEST[0]}.{OLDEST[1]} or newer by other means (dnf, brew, \
its own releases), have it in PATH,
and try again. `cargo test` alone skips the tests that need it, and says so."""


def say(text: str) -> None:
    print(f"etcd: {text}", flush=True)


def version_of(etcd: "str | Path") -> "tuple[int, ...] | None":
    """(3, 4, 23), or nothing when it does not run."""
    try:
        ran = subprocess.run([str(etcd), "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.search(r"^etcd Version: (\d+)\.(\d+)\.(\d+)", ran.stdout, re.MULTILINE)
    return tuple(map(int, found.groups())) if found else None


def told(version: "tuple[int, ...]") -> str:
    return ".".join(map(str, version))


def own_lists(work: Path) -> "list[str]":
    """Options that give apt lists of its own, which anybody may write."""
    state, cache = work / "apt" / "state", work / "apt" / "cache"
    for directory in (state / "lists" / "partial", cache / "archives" / "partial"):
        directory.mkdir(parents=True, exist_ok=True)
    settings = {"Dir::State": state, "Dir::State::Lists": state / "lists", "Dir::Cache": cache}
    return [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]


def apt(arguments: "list[str]", where: Path, quiet: bool = False) -> bool:
    """Whether apt-get could do it. As root it would fetch as another user, who cannot write here."""
    command = ["apt-get", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=3", *arguments]
    return subprocess.run(command, cwd=where, capture_output=quiet, check=False).returncode == 0


def fetch(work: Path) -> Path:
    """The package's file: by the machine's own lists if it has them, by lists of ours else."""
    for program in ("apt-get", "dpkg-deb"):
        if not shutil.which(program):
            raise Failure(f"there is no {program} here to fetch it with.\n{REMEDY}")
    debs = work / "debs"
    shutil.rmtree(debs, ignore_errors=True)
    debs.mkdir(parents=True)
    say(f"fetching the package {PACKAGE} (8 MB)")
    if not apt(["download", PACKAGE], debs, quiet=True):
        say("apt's lists are missing or old; fetching some")
        options = own_lists(work)
        if not apt([*options, "update"], debs) or not apt([*options, "download", PACKAGE], debs):
            raise Failure(f"could not fetch the package {PACKAGE}: apt says why above.\n{REMEDY}")
    return next(debs.glob("*.deb"))


def make(root: Path) -> None:
    found = shutil.which("etcd")
    version = version_of(found) if found else None
    if version and version >= OLDEST:
        say(f"using {found}, {told(version)}")
        return
    home, work = root / ".tools" / "etcd", root / ".tools" / "fetching-etcd"
    if has_stamp(home, STAMP):
        return
    with alone(work, say):
        if has_stamp(home, STAMP):
            return
        package, unpacked, made = fetch(work), work / "unpacked", work / "made"
        for directory in (unpacked, made):
            shutil.rmtree(directory, ignore_errors=True)
        if subprocess.run(["dpkg-deb", "-x", str(package), str(unpacked)], check=False).returncode != 0:
            raise Failure(f"could not unpack {package}")
        (made / "bin").mkdir(parents=True)
        shutil.copy2(unpacked / "usr" / "bin" / "etcd", made / "bin" / "etcd")
        shutil.copy2(unpacked / "usr" / "share" / "doc" / PACKAGE / "copyright", made / "copyright")
        version = version_of(made / "bin" / "etcd")
        if version is None:
            raise Failure(f"the etcd of {package.name} does not run here.\n{REMEDY}")
        if version < OLDEST:
            raise Failure(f"this system's etcd is {told(version)}, too old.\n{REMEDY}")
        (made / "complete").write_text(STAMP)
        put_in_place(made, home, work)
        for directory in (unpacked, work / "debs", work / "apt"):
            shutil.rmtree(directory, ignore_errors=True)
    say(f"{told(version)} is in {home}")


if __name__ == "__main__":
    sys.exit(run("etcd", __doc__, make))
