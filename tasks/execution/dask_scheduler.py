"""Check that a Dask scheduler is running and has workers."""

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor

from distributed import Security
from distributed.comm.core import connect

from tasks.config.errors import UserError

RESPONSE_SECONDS = 10


def check_scheduler(address: str) -> None:
    """Check that a scheduler answers and has workers, before any data is loaded.

    Args:
        address: Address of the scheduler, such as `tcp://host:8786`.

    Raises:
        UserError: If it does not answer, or has no workers.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        with ThreadPoolExecutor(1) as thread:  # this thread may have a running event loop
            workers = thread.submit(asyncio.run, _count_workers(address)).result()
    except Exception as error:  # a server that is no scheduler may send anything, and Dask raise any error for it
        reason = f"nothing for {RESPONSE_SECONDS} seconds" if isinstance(error, TimeoutError) else str(error)
        raise UserError(
            f"No Dask scheduler answers at {address}, the value of `dask_address` "
            f"({' '.join(reason.split())[:200] or type(error).__name__}). Start one with `dask scheduler`, "
            "or omit `dask_address`: the run then starts a cluster of its own on this machine."
        ) from None
    if not workers:
        raise UserError(f"The Dask scheduler at {address} has no workers. Start workers with `dask worker {address}`.")


async def _count_workers(address: str) -> int:
    """Return the number of workers of a scheduler. If it has none, wait for one for up to `RESPONSE_SECONDS`.

    A `Client` would wait for minutes for a server that accepts connections and sends nothing.

    Raises:
        TimeoutError: If the server does not answer.
        Exception: Any error that Dask raises for a server that is no scheduler.
    """
    deadline = time.monotonic() + RESPONSE_SECONDS
    while True:
        answer = await _identity(address)
        if not isinstance(answer, dict) or answer.get("type") != "Scheduler":
            raise ValueError("the server is not a Dask scheduler")
        if answer["workers"] or time.monotonic() > deadline:
            return len(answer["workers"])
        await asyncio.sleep(0.5)


async def _identity(address: str) -> object:
    """Return a server's answer to Dask's identity request."""
    async with asyncio.timeout(RESPONSE_SECONDS):
        options = Security().get_connection_args("client")
        comm = await connect(address, timeout=RESPONSE_SECONDS, **options)
        try:
            await comm.write({"op": "identity", "reply": True})
            return await comm.read()
        finally:
            comm.abort()
