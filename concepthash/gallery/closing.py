"""Things that are closed at the end of a ``with``, whatever happened in it."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import TypeVar

__all__ = ["Closing"]

C = TypeVar("C", bound="Closing")


class Closing(ABC):
    """A context manager that gives itself and calls `close`."""

    def __enter__(self: C) -> C:
        """Give the thing itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Let go of all that is held."""
