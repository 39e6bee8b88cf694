"""How a call's arguments become a request: those that were given, files and frames as their content."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from rackrate import _files, _overlay
from rackrate._answer import Answer

Asked = ParamSpec("Asked")
Told = TypeVar("Told")

Model = str | os.PathLike[str] | Mapping[str, Any] | Answer
"""A preset's name, an architecture as a dict, or the path or content of a Hugging Face ``config.json``."""


def given(**arguments: object) -> dict[str, object]:
    """Keep the arguments that were given: the core fills in the rest."""
    return opened({name: value for name, value in arguments.items() if value is not None})


def opened(request: Mapping[str, object]) -> dict[str, object]:
    """Put the content of files and frames in their place."""
    readers = {"model": _files.model, "overlay": _overlay.read, "speculation": _files.drafted}
    return {name: readers[name](value) if name in readers else value for name, value in request.items()}


def refusing(core: Callable[[object], object]) -> Callable[[Callable[Asked, Told]], Callable[Asked, Told]]:
    """Let the core refuse a call whose keywords are misspelt or missing: it knows the nearest, and says so."""

    def decorate(function: Callable[Asked, Told]) -> Callable[Asked, Told]:
        parameters = inspect.signature(function).parameters
        names = list(parameters)
        needed = {name for name, one in parameters.items() if one.default is inspect.Parameter.empty}

        @functools.wraps(function)
        def call(*args: Asked.args, **kwargs: Asked.kwargs) -> Told:
            named = {*names[: len(args)], *kwargs}
            if not needed <= named <= parameters.keys():
                core(given(**dict(zip(names, args, strict=False)), **kwargs))
            return function(*args, **kwargs)

        return call

    return decorate
