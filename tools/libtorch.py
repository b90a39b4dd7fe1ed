#!/usr/bin/env python3
"""Puts libtorch where the build looks for it, `.libtorch/`, from the wheels on PyPI.

    .libtorch/
      wheel/           what is taken out of the wheels, as it lies in them
        torch/lib/       libtorch_cpu.so; libtorch_cuda.so, which a machine with a GPU opens at run time
        torch/include/
        nvidia/cu13/lib/ libcudart.so.13, libcupti.so.13, which libtorch_cpu.so needs even without a GPU
      include          -> wheel/torch/include
      lib/             links to the libraries that programs are linked with: no libtorch_cuda among them
      build-version    2.11.0, which torch-sys compares with its own
      complete         the pins that this was made from; written last

Nothing is installed, and neither root nor this Python's version matters. What is fetched and unpacked lies in
`.tools/libtorch/` until it is whole, and becomes `.libtorch/` by one rename: an interrupted run leaves nothing
that looks finished, and the next one goes on from the last whole wheel. A LIBTORCH in the environment is checked,
and used instead.
"""

import argparse
import fcntl
import fnmatch
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, NamedTuple

VERSION = "2.11.0"


class Wheel(NamedTuple):
    """A pinned file on PyPI."""

    requirement: str
    file: str
    sha256: str


WHEELS = [
    Wheel(
        f"torch=={VERSION}",
        "torch-2.11.0-cp312-cp312-manylinux_2_28_x86_64.whl",
        "0f68f4ac6d95d12e896c3b7a912b5871619542ec54d3649cf48cc1edd4dd2756",
    ),
    Wheel(
        "nvidia-cuda-runtime==13.0.96",
        "nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
    ),
    Wheel(
        "nvidia-cuda-cupti==13.0.85",
        "nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl",
        "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
    ),
]

# A wheel for a newer system than one of these names is none of ours.
PLATFORMS = ["manylinux_2_28_x86_64", "manylinux_2_25_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"]

# What is taken out of the wheels. libtorch_python.so needs a Python, and nothing here has one.
TAKEN = ["torch/lib/*.so*", "torch/include/*", "nvidia/*/lib/*.so*", "*.dist-info/licenses/*"]
NOT_TAKEN = ["*/libtorch_python.so"]

# lib/NAME -> its target. torch-sys links `torch` too, whose own library would pull in libtorch_cuda.
LIBRARIES = {
    "libc10.so": "../wheel/torch/lib/libc10.so",
    "libgomp.so.1": "../wheel/torch/lib/libgomp.so.1",
    "libshm.so": "../wheel/torch/lib/libshm.so",
    "libtorch.so": "libtorch_cpu.so",
    "libtorch_cpu.so": "../wheel/torch/lib/libtorch_cpu.so",
    "libtorch_global_deps.so": "../wheel/torch/lib/libtorch_global_deps.so",
    "libcudart.so.13": "../wheel/nvidia/cu13/lib/libcudart.so.13",
    "libcupti.so.13": "../wheel/nvidia/cu13/lib/libcupti.so.13",
}

# The wheels, and what is unpacked of them, side by side for a moment.
DISK_NEEDED = 1_800_000_000

REMEDY = """To do without the download, do one of:
  - set PIP_INDEX_URL to a PyPI mirror that this machine reaches, and try again;
  - copy these files into {wheels}, and try again: {files};
  - set LIBTORCH to an unpacked libtorch {version}."""


class Failure(Exception):
    """What to tell the person who ran this."""


def say(text: str) -> None:
    print(f"libtorch: {text}", flush=True)


def check_given(libtorch: Path) -> None:
    """Whether a LIBTORCH that somebody set is one that this project builds with."""
    if not libtorch.is_absolute():
        raise Failure(f"LIBTORCH={libtorch} must be an absolute path: every crate is built in a directory of its own")
    for part in ["include/torch/csrc/distributed/c10d/ProcessGroupGloo.hpp", "lib/libtorch_cpu.so", "lib/libc10.so"]:
        if not (libtorch / part).exists():
            raise Failure(
                f"LIBTORCH={libtorch} has no {part}; set it to an unpacked libtorch {VERSION}, "
                "or unset it to have one fetched"
            )
    version = version_of(libtorch)
    if version not in (None, VERSION):
        raise Failure(f"LIBTORCH={libtorch} is version {version}; this project builds with {VERSION}")
    say(f"using LIBTORCH={libtorch}")


def version_of(libtorch: Path) -> "str | None":
    """The version without its `+cpu`, as far as the directory tells."""
    try:
        return (libtorch / "build-version").read_text().strip().split("+")[0]
    except OSError:
        pass
    try:
        header = (libtorch / "include/torch/headeronly/version.h").read_text()
    except OSError:
        return None
    numbers = dict(line.split()[1:3] for line in header.splitlines() if line.startswith("#define TORCH_VERSION_"))
    parts = [numbers.get(f"TORCH_VERSION_{part}") for part in ("MAJOR", "MINOR", "PATCH")]
    return None if None in parts else ".".join(parts)


def check_platform() -> None:
    """Whether the wheels can run here."""
    system, machine = platform.system(), platform.machine()
    if (system, machine) != ("Linux", "x86_64"):
        raise Failure(f"the pinned wheels are for Linux on x86_64, not {system} on {machine}; set LIBTORCH instead")
    libc, version = platform.libc_ver()
    if libc != "glibc" or tuple(map(int, version.split(".")[:2])) < (2, 28):
        raise Failure(f"the pinned wheels need glibc 2.28 or newer, not {libc or 'another libc'} {version}")


def check_disk(where: Path) -> None:
    free = shutil.disk_usage(where).free
    if free < DISK_NEEDED:
        raise Failure(f"{where} has {free / 1e9:.1f} GB free, and {DISK_NEEDED / 1e9:.1f} GB are needed")


def stamp() -> str:
    """The pins, as they stand in `complete`: other pins are another libtorch."""
    return "".join(f"{wheel.requirement} sha256:{wheel.sha256}\n" for wheel in WHEELS)


def is_complete(home: Path) -> bool:
    try:
        return (home / "complete").read_text() == stamp()
    except OSError:
        return False


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


def fetch(wheel: Wheel, wheels: Path) -> None:
    """Downloads one wheel, for the platform it is pinned for, whatever this Python is."""
    path = wheels / wheel.file
    if is_whole(path, wheel):
        say(f"{wheel.requirement} is there")
        return
    path.unlink(missing_ok=True)
    say(f"fetching {wheel.requirement} ({wheel.file})")
    # pip takes hashes from requirement files only.
    requirements = wheels / "requirement.txt"
    requirements.write_text(f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    command += ["--disable-pip-version-check", "--no-cache-dir", "--implementation", "cp", "--python-version", "3.12"]
    command += [option for name in PLATFORMS for option in ("--platform", name)]
    command += ["--dest", str(wheels), "--requirement", str(requirements)]
    status = subprocess.run(command, check=False).returncode
    if status != 0 or not is_whole(path, wheel):
        files = ", ".join(wheel.file for wheel in WHEELS if not (wheels / wheel.file).exists())
        remedy = REMEDY.format(wheels=wheels, files=files, version=VERSION)
        raise Failure(f"could not fetch {wheel.requirement} ({wheel.file}): pip says why above.\n{remedy}")


def check_pip() -> None:
    """pip is what speaks to PyPI: it knows this machine's mirrors, proxies and certificates."""
    run = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False)
    if run.returncode != 0:
        raise Failure(f"{sys.executable} has no pip; install it (Debian and Ubuntu: apt-get install python3-pip)")


def is_taken(name: str) -> bool:
    def matches(patterns: "list[str]") -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)

    return matches(TAKEN) and not matches(NOT_TAKEN) and not name.endswith("/")


def unpack(wheels: "list[Path]", target: Path) -> None:
    """Takes what is needed out of the wheels."""
    archives = [zipfile.ZipFile(path) for path in wheels]
    members = [(archive, member) for archive in archives for member in archive.infolist() if is_taken(member.filename)]
    total = sum(member.file_size for _, member in members)
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


def lay_out(home: Path) -> None:
    """Makes the view of the unpacked wheels that torch-sys and the linker look at."""
    (home / "include").symlink_to("wheel/torch/include")
    (home / "lib").mkdir()
    for name, target in LIBRARIES.items():
        (home / "lib" / name).symlink_to(target)
    for name, target in LIBRARIES.items():
        if not (home / "lib" / name).exists():
            raise Failure(f"the wheels have no {target}: this program and its pins do not fit together")
    (home / "build-version").write_text(f"{VERSION}\n")
    (home / "complete").write_text(stamp())


def put_in_place(made: Path, home: Path, work: Path) -> None:
    """Swaps the new libtorch in for what is there, if anything."""
    old = work / "old"
    shutil.rmtree(old, ignore_errors=True)
    if home.exists():
        home.rename(old)
    made.rename(home)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def alone(work: Path) -> Iterator[None]:
    """Lets a second `make` wait for the first instead of working beside it."""
    with (work / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another run is at it; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make(root: Path) -> None:
    home, work = root / ".libtorch", root / ".tools" / "libtorch"
    if is_complete(home):
        return
    check_platform()
    wheels, made = work / "wheels", work / "made"
    wheels.mkdir(parents=True, exist_ok=True)
    with alone(work):
        if is_complete(home):
            return
        check_pip()
        check_disk(work)
        for wheel in WHEELS:
            fetch(wheel, wheels)
        shutil.rmtree(made, ignore_errors=True)
        unpack([wheels / wheel.file for wheel in WHEELS], made / "wheel")
        lay_out(made)
        put_in_place(made, home, work)
        shutil.rmtree(wheels)
    say(f"{VERSION} is in {home}")


def main() -> int:
    here = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=here, help="where .libtorch goes (default: this repository)")
    root = parser.parse_args().root.resolve()
    try:
        given = os.environ.get("LIBTORCH")
        if given:
            check_given(Path(given))
        else:
            make(root)
    except Failure as failure:
        print(f"libtorch: {failure}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"libtorch: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("libtorch: interrupted; the next run goes on from the last whole wheel", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
