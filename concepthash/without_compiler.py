"""Import timm and torchvision without PyTorch's compiler, which is a third of what it takes to start."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

import torch

__all__ = ["without_compiler"]


class _Asked(ModuleType):
    """Stands for a module that is imported when something is asked of it, and not before."""

    def is_compile_supported(self, device_type: str) -> bool:
        """What torchvision takes from ``torch._dynamo.utils`` at import and calls when it pools regions."""
        return bool(self.__getattr__("is_compile_supported")(device_type))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # `inspect` looks at every module that there is
            raise AttributeError(name)
        self.make_way()
        return getattr(import_module(self.__name__), name)

    def make_way(self) -> None:
        """Leave the name to the module itself."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]


def _as_it_is(function: Callable[..., Any] | None = None, recursive: bool = True, **_: Any) -> Any:
    """``torch.compiler.disable`` where nothing is compiled; timm marks one function of one network with it."""
    return function or _as_it_is


@contextmanager
def without_compiler() -> Iterator[None]:
    """Import what asks for ``torch._dynamo``, which imports sympy, torch.distributed and torch._inductor, without it.

    Who compiles a network later, or trains one, gets the compiler then.
    """
    name, disable = "torch._dynamo.utils", torch.compiler.disable
    if name in sys.modules:
        yield
        return
    asked = sys.modules[name] = _Asked(name)
    torch.compiler.disable = _as_it_is  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.compiler.disable = disable
        asked.make_way()
