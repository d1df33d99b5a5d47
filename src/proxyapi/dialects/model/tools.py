"""Tools that a request offers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Raw, Struct, field

from proxyapi.dialects.model.values import ABSENT, CacheMark
from proxyapi.dialects.model.vocabulary import DialectName, ServerToolKind


class FunctionTool(Struct, frozen=True, kw_only=True, tag="function"):
    name: str
    """As the client declared it; targets with narrower rules get a reversible alias."""
    description: str = ""
    """Empty and absent are the same."""
    parameters: Raw = ABSENT
    """JSON Schema as received; ABSENT: takes nothing."""
    strict: bool | None = None
    """Bind arguments to the schema."""
    result: Raw = ABSENT
    """Schema of the result (R `output_schema`, G `responseJsonSchema`)."""
    namespace: str = ""
    """R namespace it belongs to."""
    namespace_description: str = ""
    """Description of that namespace."""
    defer_loading: bool | None = None
    """Hidden until tool search finds it (R, M)."""
    asynchronous: bool | None = None
    """R `async`, G `behavior: NON_BLOCKING`."""
    allowed_callers: tuple[str, ...] = ()
    """`direct`, `programmatic`, `code_execution_…`."""
    examples: tuple[Raw, ...] = ()
    """M `input_examples`."""
    stream_arguments_eagerly: bool | None = None
    """M `eager_input_streaming`."""
    cache: CacheMark | None = None
    """M `cache_control` on the tool."""


class CustomTool(Struct, frozen=True, kw_only=True, tag="custom"):
    """Takes free text, perhaps bound by a grammar."""

    name: str
    """As declared."""
    description: str = ""
    """As declared."""
    syntax: Literal["text", "lark", "regex"] = "text"
    """Kind of `grammar`; `text` is unbound."""
    grammar: str = ""
    """Grammar definition."""
    namespace: str = ""
    """R namespace."""
    namespace_description: str = ""
    """Description of that namespace."""


class Location(Struct, frozen=True):
    city: str = ""
    """Free text."""
    region: str = ""
    """Free text."""
    country: str = ""
    """ISO 3166-1 alpha-2."""
    timezone: str = ""
    """IANA name."""


class WebSearch(Struct, frozen=True, kw_only=True, tag="web_search"):
    wire_type: str = ""
    """Wire type with its version, for its own dialect."""
    allowed_domains: tuple[str, ...] = ()
    """Only these."""
    blocked_domains: tuple[str, ...] = ()
    """Not these (G `excludeDomains`)."""
    uses_max: int | None = None
    """M `max_uses`."""
    context_size: Literal["low", "medium", "high"] | None = None
    """C and R `search_context_size`."""
    live: bool | None = None
    """R `external_web_access`. False: what the provider's index has, not the web of this moment."""
    location: Location | None = None
    """Where the user is."""
    native: Raw = ABSENT
    """The tool object as received, for its own dialect."""


class FileSearch(Struct, frozen=True, kw_only=True, tag="file_search"):
    stores: tuple[str, ...]
    """Vector stores or file search stores; they exist at one provider only."""
    results_max: int | None = None
    """R `max_num_results`, G `topK`."""
    native: Raw = ABSENT
    """As received."""


class Mcp(Struct, frozen=True, kw_only=True, tag="mcp"):
    label: str
    """R `server_label`, M and G `name`."""
    url: str = ""
    """Server address."""
    authorization: str = ""
    """Bearer token for the server."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Other headers."""
    allowed_tools: tuple[str, ...] | None = None
    """None: all."""
    approval: Literal["always", "never"] | None = None
    """R `require_approval`."""
    native: Raw = ABSENT
    """As received."""


class Computer(Struct, frozen=True, kw_only=True, tag="computer"):
    wire_type: str = ""
    """`computer_20251124`, `computer_use_preview`…"""
    width: int | None = None
    """Pixels."""
    height: int | None = None
    """Pixels."""
    environment: str = ""
    """R and G."""
    native: Raw = ABSENT
    """As received."""


class NativeTool(Struct, frozen=True, kw_only=True, tag="native"):
    """Any other server tool or typed client tool."""

    kind: ServerToolKind | Literal["unknown"]
    """Canonical kind, for refusing by name."""
    dialect: DialectName
    """The only dialect it can be written to."""
    wire_type: str
    """Wire `type`."""
    body: Raw
    """As received."""


Tool = FunctionTool | CustomTool | WebSearch | FileSearch | Mcp | Computer | NativeTool


class ToolChoice(Struct, frozen=True, kw_only=True):
    mode: Literal["auto", "none", "required", "validated"] = "auto"
    """`validated` is G's: text or a call, calls bound to the schema."""
    names: tuple[str, ...] = ()
    """With `required`: one name forces that tool. With more, or with `auto`: the allowed subset."""
    server_tool: str = ""
    """R: a hosted tool by type."""
    parallel: bool | None = None
    """C and R `parallel_tool_calls`, M not `disable_parallel_tool_use`. G has none."""
