"""``with`` and ``async with`` for what holds connections."""

from __future__ import annotations

from typing_extensions import Self


class Closing:
    """A context manager, of either kind, around ``close`` and ``aclose``."""

    def close(self) -> None:
        """Close the connections."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """:meth:`close`, from inside an event loop."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
