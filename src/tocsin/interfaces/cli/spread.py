"""Options that several commands share: a command names them as one parameter, and typer sees them all."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from typer.models import ArgumentInfo

Command = Callable[..., None]


def spread(command: Command, name: str, options: Mapping[str, tuple[Any, Any]], called: Command) -> Command:
    """`called` with the signature and the words of `command`, in which `options` (annotation and default by name) stand for the parameter `name`.

    Arguments come first, as typer wants them; `called` is given every option by its name.
    """
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        given = [(parameter.annotation, parameter.default, parameter.name)]
        if parameter.name == name:
            given = [(annotation, default, option) for option, (annotation, default) in options.items()]
        parameters += [
            inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            for annotation, default, option in given
        ]
    parameters.sort(key=lambda p: not any(isinstance(a, ArgumentInfo) for a in getattr(p.annotation, "__metadata__", ())))
    called.__name__, called.__doc__, called.__module__ = command.__name__, command.__doc__, command.__module__
    called.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": None}
    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return called
