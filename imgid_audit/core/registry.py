"""A registry of plugins: explicit, ordered, greppable, and cheap to fill."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from imgid_audit.core.errors import InputError


class Named(Protocol):
    """What every plugin has: the name users type, and one line for `imgid-audit list`."""

    @property
    def name(self) -> str: ...

    @property
    def summary(self) -> str: ...


T = TypeVar("T", bound=Named)


class Registry(Generic[T]):
    """Plugins of one kind by name, in the order of their registration.

    A package's ``__init__`` fills its registry with one line a plugin; nothing else in the code
    names them. A plugin's file imports heavy libraries inside the function that uses them.
    """

    def __init__(self, kind: str, plugins: tuple[T, ...] = ()) -> None:
        self.kind = kind
        self._plugins: dict[str, T] = {}
        for plugin in plugins:
            self.register(plugin)

    def register(self, plugin: T) -> T:
        """Add a plugin; a name that is taken is a defect and raises `ValueError`."""
        if plugin.name in self._plugins:
            raise ValueError(f"{self.kind} {plugin.name!r} is registered twice")
        self._plugins[plugin.name] = plugin
        return plugin

    def __getitem__(self, name: str) -> T:
        try:
            return self._plugins[name]
        except KeyError:
            raise InputError(self.unknown(name)) from None

    def __contains__(self, name: object) -> bool:
        return name in self._plugins

    def __iter__(self) -> Iterator[T]:
        return iter(self._plugins.values())

    def __len__(self) -> int:
        return len(self._plugins)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._plugins)

    def unknown(self, name: str) -> str:
        """The message for a name that is not registered, with the nearest one that is."""
        from difflib import get_close_matches

        near = get_close_matches(name, self._plugins, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return f"unknown {self.kind} {name!r}: {hint}known are {', '.join(self._plugins)}"
