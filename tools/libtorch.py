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

Nothing is installed, and neither root nor this Python's version matters. A LIBTORCH in the environment is checked,
and used instead.
"""

import os
import platform
import shutil
import sys
from pathlib import Path

from fetching import Failure, Fetcher, Wheel, alone, has_stamp, put_in_place, run, unpack

VERSION = "2.11.0"

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

REMEDY = f"""To do without the download, do one of:
  - set PIP_INDEX_URL to a PyPI mirror that this machine reaches, and try again;
  - copy these files into {{wheels}}, and try again: {{files}};
  - set LIBTORCH to an unpacked libtorch {VERSION}."""


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


def make(root: Path) -> None:
    given = os.environ.get("LIBTORCH")
    if given:
        check_given(Path(given))
        return
    home, work = root / ".libtorch", root / ".tools" / "libtorch"
    if has_stamp(home, stamp()):
        return
    check_platform()
    fetcher = Fetcher("libtorch", work / "wheels", REMEDY)
    with alone(work, say):
        if has_stamp(home, stamp()):
            return
        check_disk(work)
        wheels, made = fetcher.fetch_all(WHEELS), work / "made"
        shutil.rmtree(made, ignore_errors=True)
        unpack(wheels, made / "wheel", TAKEN, NOT_TAKEN, say)
        lay_out(made)
        put_in_place(made, home, work)
        shutil.rmtree(work / "wheels")
    say(f"{VERSION} is in {home}")


if __name__ == "__main__":
    sys.exit(run("libtorch", __doc__, make))
