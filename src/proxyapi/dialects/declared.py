"""Tools by the names that a provider may call them by -> as the client declared them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Literal, NamedTuple

from proxyapi.dialects.functions import as_function, spoken
from proxyapi.dialects.model import CustomTool, FunctionTool, NativeTool, Request, ToolChange

CallKind = Literal["function", "custom", "shell", "local_shell", "apply_patch", "computer", "tool_search"]


class Declared(NamedTuple):
    """A tool as the client knows it."""

    name: str
    namespace: str = ""
    kind: CallKind = "function"


def declared_tools(request: Request) -> dict[str, Declared]:
    """Only where there is more to say than the name; also tools that the conversation added on its way."""
    return dict(_declared(request))


def _declared(request: Request) -> Iterator[tuple[str, Declared]]:
    changes = (part for message in request.messages for part in message.parts if isinstance(part, ToolChange))
    for tool in chain(request.tools, *(change.added for change in changes)):
        match tool:
            case FunctionTool() if tool.namespace:
                yield spoken(tool.name, tool.namespace), Declared(tool.name, tool.namespace)
            case CustomTool():
                yield spoken(tool.name, tool.namespace), Declared(tool.name, tool.namespace, "custom")
            case NativeTool(kind="shell" | "local_shell" | "apply_patch" | "tool_search" as kind) if as_function(tool):
                # Tools of Responses that other dialects know as functions of that name.
                yield kind, Declared(kind, kind=kind)
            case _:
                pass
