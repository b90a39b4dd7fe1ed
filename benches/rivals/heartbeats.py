"""The rival of the coordinator: its sessions as a plain `grpc.aio` server has them.

Welcomes workers, remembers when each was last heard of, ends a session when the worker has closed its
side. No jobs, no state store: `bench-pool` with `--jobs 0` is its load. Says where it listens on standard
error, and serves until it is told to end.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "proto" / "proto"))
messages, services = grpc.protos_and_services("twinspire/v1/coordination.proto")

HEARTBEAT_MS = 2000

# All workers come at once; by default calls are turned away when more than 1,000 wait to be taken, or when one
# has waited for 30 seconds.
WAITING = 100_000
OPTIONS = [
    ("grpc.server.max_pending_requests", WAITING),
    ("grpc.server.max_pending_requests_hard_limit", WAITING),
    ("grpc.server_max_unrequested_time_in_server", 600),
]


@dataclass
class Worker:
    name: str
    heard: float


class Coordinator(services.CoordinatorServicer):
    def __init__(self) -> None:
        self.workers: dict[int, Worker] = {}
        self.next = 1

    async def Session(self, said: AsyncIterator, context: grpc.aio.ServicerContext) -> AsyncIterator:
        session, self.next = self.next, self.next + 1
        try:
            async for message in said:
                match message.WhichOneof("body"):
                    case "register":
                        self.workers[session] = Worker(message.register.name, time.monotonic())
                        welcome = messages.Welcome(session=session, heartbeat_ms=HEARTBEAT_MS)
                        yield messages.CoordinatorMessage(welcome=welcome)
                    case "heartbeat":
                        self.workers[session].heard = time.monotonic()
        finally:
            self.workers.pop(session, None)


async def main() -> None:
    server = grpc.aio.server(options=OPTIONS)
    services.add_CoordinatorServicer_to_server(Coordinator(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"listening on 127.0.0.1:{port}, process {os.getpid()}", file=sys.stderr, flush=True)
    end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    await end.wait()
    await server.stop(grace=None)


if __name__ == "__main__":
    asyncio.run(main())
