"""Check that the engine of a run is available. This module imports neither Prefect nor Dask at once."""

from importlib.util import find_spec

from tasks.config.errors import UserError

DASK_PACKAGE = "distributed>=2026.8"


def check_engine(engine: str, address: str | None) -> None:
    """Check that the engine is available, before any data is loaded.

    Raises:
        UserError: If Dask is not installed, its scheduler does not answer, or an address is given without Dask.
    """
    if engine == "processes":
        if address:
            raise UserError(
                f"dask_address: received {address!r:.120}, but engine is 'processes'. Set `engine` to 'dask'."
            )
        return
    if find_spec("distributed") is None:
        raise UserError(f"engine: 'dask' needs a package that is not installed: pip install '{DASK_PACKAGE}'")
    if address:
        from tasks.execution.dask_scheduler import check_scheduler

        check_scheduler(address)
