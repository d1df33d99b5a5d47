"""Every setting as a field: its type, its default and, as description, its documentation."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from msgspec import Meta, Struct, field

DATABASE_NAME = "proxyapi.db"

EXCHANGE_RATES = {"RUB": Decimal(100), "USD": Decimal(1)}
"""Units of the currency per US dollar where the operator set none."""

KEY_VARIABLES = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "google": "GEMINI_API_KEY",
    "openrouter": "OPENROUTER_API_KEY",
    "deepseek": "DEEPSEEK_API_KEY",
}
"""The providers that ship with the program, and the variable that switches each on."""

YOOKASSA_VARIABLE = "YOOKASSA_SECRET_KEY"

FALLBACKS_MAX = 3
"""Of one model: with itself four are asked, one after the other, while the client waits."""


def parse_listen(text: str) -> tuple[str, int]:
    """`HOST:PORT`, `[IPV6]:PORT` or `:PORT` as host and port. ValueError says what is expected."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65_535 or (":" in host and host[0] != "["):
        raise ValueError(f"{text!r} is not HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080")
    return host.removeprefix("[").removesuffix("]") or "0.0.0.0", int(port)


class Secret:
    """A text that no log, error or repr may show. `reveal()` where it is used, nowhere else."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "***" if self._text else "(none)"


class Tls(Struct, frozen=True, kw_only=True):
    certificate: Annotated[str, Meta(description="PEM file with the certificate and its chain.")] = ""
    key: Annotated[str, Meta(description="PEM file with the private key.")] = ""


_Count = Annotated[int, Meta(ge=1)]
_Seconds = Annotated[float, Meta(gt=0, le=86_400)]


class Limits(Struct, frozen=True, kw_only=True):
    body_bytes_max: Annotated[_Count, Meta(description="Largest request body, uploads included; above: 413.")] = (
        64 * 2**20
    )
    head_bytes_max: Annotated[_Count, Meta(description="Request line and headers together; above: 431.")] = 65_536
    headers_max: Annotated[_Count, Meta(description="Number of headers of a request.")] = 128
    reply_bytes_max: Annotated[_Count, Meta(description="Largest reply of a provider that comes as one body.")] = (
        64 * 2**20
    )
    write_buffer_bytes: Annotated[
        _Count, Meta(description="Bytes kept for a slow reader before its source is paused.")
    ] = 262_144
    link_bytes_max: Annotated[
        int,
        Meta(
            ge=0,
            description="Files of one request, all together, that are fetched for a provider that takes no addresses. "
            "0: none are.",
        ),
    ] = 20 * 2**20
    connections_per_address_max: Annotated[_Count, Meta(description="Client connections per address and worker.")] = (
        4_096
    )
    upstream_connections_max: Annotated[_Count, Meta(description="Connections to one provider per worker.")] = 10_000
    concurrent_requests_max: Annotated[
        _Count, Meta(description="Requests being answered per worker; above: 503 with Retry-After.")
    ] = 10_000
    drains_max: Annotated[
        int, Meta(ge=0, description="Replies per worker that are read to their end for clients that left (`on_gone`).")
    ] = 100
    drains_amount_max: Annotated[
        Decimal,
        Meta(description="What all of these may have on hold together, in units of the currency. 0: no bound."),
    ] = Decimal(1_000)


class Timeouts(Struct, frozen=True, kw_only=True):
    head_seconds: Annotated[_Seconds, Meta(description="For a client to send the head of a request.")] = 15.0
    body_idle_seconds: Annotated[_Seconds, Meta(description="Between two pieces of a request body.")] = 30.0
    keep_alive_seconds: Annotated[_Seconds, Meta(description="An idle client connection is kept so long.")] = 75.0
    write_stall_seconds: Annotated[_Seconds, Meta(description="A peer that reads nothing for so long is cut.")] = 60.0
    connect_seconds: Annotated[_Seconds, Meta(description="To open a connection to a provider, TLS included.")] = 10.0
    first_byte_seconds: Annotated[
        _Seconds, Meta(description="From the sent request to the first byte of the provider's answer.")
    ] = 600.0
    idle_seconds: Annotated[_Seconds, Meta(description="Between two pieces of a provider's answer.")] = 300.0
    pooled_idle_seconds: Annotated[_Seconds, Meta(description="An idle provider connection is kept so long.")] = 55.0
    drain_seconds: Annotated[_Seconds, Meta(description="For the rest of a reply whose client left.")] = 60.0
    stop_seconds: Annotated[_Seconds, Meta(description="For running requests to finish when the gateway stops.")] = 30.0


class Pause(Struct, frozen=True, kw_only=True):
    enabled: Annotated[bool, Meta(description="Pause keys that collect client errors (4xx).")] = True
    strikes: Annotated[int, Meta(ge=1, le=1_000, description="So many 4xx answers within the window …")] = 20
    window_seconds: Annotated[_Seconds, Meta(description="… of so many seconds pause the key.")] = 60.0
    steps_seconds: Annotated[
        tuple[_Seconds, ...], Meta(min_length=1, max_length=10, description="Length of the first, second, … pause.")
    ] = (60.0, 600.0, 3_600.0, 43_200.0)
    forgive_seconds: Annotated[
        _Seconds, Meta(description="After so long without a new pause the next one is a step shorter again.")
    ] = 43_200.0


class ProviderSettings(Struct, frozen=True, kw_only=True):
    enabled: Annotated[bool, Meta(description="`false` takes the provider off, whatever keys there are.")] = True
    base_url: Annotated[
        str, Meta(description="Other address than the provider's own; a provider of your own needs one.")
    ] = ""
    api_key: Annotated[Secret, Meta(description="The operator's key. Better in the environment: `api_key_env`.")] = (
        Secret("")
    )
    api_key_env: Annotated[str, Meta(description="Name of the environment variable that holds the key.")] = ""
    on_gone: Annotated[
        Literal["cancel", "drain"] | None,
        Meta(description="Client left: `cancel` the reply, or `drain` it for exact usage. Not set: by provider."),
    ] = None
    forward_headers: Annotated[
        tuple[str, ...], Meta(description="More request headers that may pass to the provider, besides the usual ones.")
    ] = ()
    credential_errors: Annotated[
        Literal["hide", "pass"],
        Meta(description="Provider refuses your key (401, 402): `hide` answers 502, `pass` shows its words."),
    ] = "hide"
    quirks: Annotated[
        dict[str, Any],
        Meta(description="What differs from the API's documentation at all models: flags of the page on quirks."),
    ] = field(default_factory=dict)
    models: Annotated[
        tuple[dict[str, Any], ...],
        Meta(description="What differs at some models: tables `[[providers.NAME.models]]` with `match` and flags."),
    ] = ()


class Sandbox(Struct, frozen=True, kw_only=True):
    enabled: Annotated[bool, Meta(description="Answer for providers without a key, and the magic models.")] = True
    pace_ms: Annotated[int, Meta(ge=0, le=60_000, description="Milliseconds between the events of a stream.")] = 0


class Hold(Struct, frozen=True, kw_only=True):
    factors: Annotated[
        dict[str, Decimal],
        Meta(description="By tokenizer family: the counted prompt × factor is held. Settling is not touched."),
    ] = field(default_factory=dict)


class Memory(Struct, frozen=True, kw_only=True):
    responses_days: Annotated[
        int,
        Meta(ge=0, le=3_650, description="Responses of providers that keep none, after their last use; 0: not kept."),
    ] = 30
    responses_bytes_max: Annotated[
        _Count, Meta(description="Of one account; the ones that were not used for the longest time go first.")
    ] = 256 * 2**20
    reasoning_hours: Annotated[
        int,
        Meta(
            ge=0,
            le=8_760,
            description="Reasoning that Chat and Gemini clients don't echo, after its last use; 0: not kept.",
        ),
    ] = 24


class YooKassa(Struct, frozen=True, kw_only=True):
    shop_id: Annotated[str, Meta(description="Number of the shop. Empty: customers cannot pay through YooKassa.")] = ""
    secret_key: Annotated[
        Secret, Meta(description="The shop's secret key. Better in the environment: `YOOKASSA_SECRET_KEY`.")
    ] = Secret("")
    return_url: Annotated[
        str,
        Meta(
            description="Page of the console that customers come back to, `https://api.example.com/console/balance/payment`."
        ),
    ] = ""
    amount_min: Annotated[Decimal, Meta(description="Smallest payment.")] = Decimal(100)
    amount_max: Annotated[Decimal, Meta(description="Largest payment.")] = Decimal(100_000)
    networks: Annotated[
        tuple[str, ...],
        Meta(description="Addresses that notices are taken from. Empty: those that YooKassa publishes."),
    ] = ()
    api_url: Annotated[str, Meta(description="Another address of the API, for tests. Empty: YooKassa's own.")] = ""


class RequestLog(Struct, frozen=True, kw_only=True):
    kept_bytes_max: Annotated[
        _Count, Meta(description="Kept of a request's body, and of an answer; what is longer is cut, and marked.")
    ] = 2**20
    account_bytes_max: Annotated[
        _Count, Meta(description="Of all bodies of one account, packed; the oldest go first.")
    ] = 2**30


class Console(Struct, frozen=True, kw_only=True):
    enabled: Annotated[bool, Meta(description="Pages for people at `/console/`, in a process of their own.")] = True
    url: Annotated[
        str,
        Meta(
            description="Where people reach the installation, as `https://api.example.com`: for links in messages, and "
            "`https` makes cookies secure. Empty: the address that it listens on."
        ),
    ] = ""
    signup: Annotated[bool, Meta(description="Strangers may open an account; there is no money on it.")] = True
    time_zone: Annotated[
        str, Meta(description="Of users who chose none, as `Europe/Moscow`; days of charts begin by it.")
    ] = "UTC"


class Mail(Struct, frozen=True, kw_only=True):
    host: Annotated[
        str, Meta(description="Server that takes messages (SMTP). Empty: they are printed, links and all.")
    ] = ""
    port: Annotated[int, Meta(ge=1, le=65_535, description="587 with `starttls`, 465 with `tls`.")] = 587
    security: Annotated[Literal["starttls", "tls", "none"], Meta(description="Of the connection to the server.")] = (
        "starttls"
    )
    user: Annotated[str, Meta(description="To sign in at the server; empty: it is not asked for.")] = ""
    password: Annotated[Secret, Meta(description="Of that user. Better in the environment: `password_env`.")] = Secret(
        ""
    )
    password_env: Annotated[str, Meta(description="Name of the environment variable that holds the password.")] = ""
    sender: Annotated[str, Meta(description="Sender of all messages, as `proxyapi <noreply@example.com>`.")] = ""


class Idempotency(Struct, frozen=True, kw_only=True):
    hours: Annotated[
        int,
        Meta(ge=0, le=720, description="An `Idempotency-Key` is remembered; 0: the header means nothing."),
    ] = 24
    answer_bytes_max: Annotated[
        int,
        Meta(
            ge=0,
            le=64 * 2**20,
            description="A larger answer is not kept; 0: none is, and a repeated request is only refused.",
        ),
    ] = 4 * 2**20
    account_bytes_max: Annotated[_Count, Meta(description="Kept answers of one account; the oldest go first.")] = (
        64 * 2**20
    )


class Settings(Struct, frozen=True, kw_only=True):
    listen: Annotated[str, Meta(description="`HOST:PORT`; `:8080` listens on every address; port 0 is any free.")] = (
        "127.0.0.1:8080"
    )
    data: Annotated[Path, Meta(description="Directory of the database; made at the first start.")] = Path(
        "proxyapi-data"
    )
    database_url: Annotated[
        Secret,
        Meta(
            description="Database elsewhere: `postgresql://USER:PASSWORD@HOST:PORT/NAME`, `sqlite:///relative/path` or "
            "`sqlite:////absolute/path`. Better in the environment: `DATABASE_URL`."
        ),
    ] = Secret("")
    currency: Annotated[
        str, Meta(pattern="^[A-Z]{3,8}$", description="Of every balance and price. Fixed once there is money.")
    ] = "RUB"
    exchange_rate: Annotated[
        Decimal, Meta(description="Units of the currency per US dollar. Required unless it is RUB (100) or USD (1).")
    ] = Decimal(0)
    markup: Annotated[Decimal, Meta(description="Added to published prices: `0.2` is 20 %.")] = Decimal(0)
    workers: Annotated[int, Meta(ge=0, le=256, description="Processes; 0 is one per processor.")] = 1
    trusted_proxies: Annotated[
        tuple[str, ...], Meta(description="Addresses or networks whose `X-Forwarded-For` is believed.")
    ] = ()
    cors_origins: Annotated[
        tuple[str, ...], Meta(description="Web origins that browsers may call from; `*` is any. Empty: CORS is off.")
    ] = ()
    access_log: Annotated[bool, Meta(description="One JSON line per request on standard error.")] = True
    tls: Tls = Tls()
    limits: Limits = Limits()
    timeouts: Timeouts = Timeouts()
    pause: Pause = Pause()
    sandbox: Sandbox = Sandbox()
    hold: Hold = Hold()
    memory: Memory = Memory()
    yookassa: YooKassa = YooKassa()
    request_log: RequestLog = RequestLog()
    console: Console = Console()
    mail: Mail = Mail()
    idempotency: Idempotency = Idempotency()
    providers: dict[str, ProviderSettings] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    fallbacks: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def url(self, port: int) -> str:
        """Where the gateway listens, as this machine reaches it. `port`: that of `listen`, or the free one it got."""
        host = self.address[0]
        shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
        return f"{'https' if self.tls.certificate else 'http'}://{shown}:{port}"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        return parse_listen(self.listen)

    @property
    def database(self) -> str:
        """The database's address, which may hold a password: `database_url`, else that of the SQLite file in `data`."""
        return self.database_url.reveal() or f"sqlite:///{quote(str(self.data / DATABASE_NAME))}"


TABLES: dict[str, type[Struct]] = {
    "tls": Tls, "limits": Limits, "timeouts": Timeouts, "pause": Pause, "sandbox": Sandbox, "hold": Hold,
    "memory": Memory, "idempotency": Idempotency, "yookassa": YooKassa, "request_log": RequestLog,
    "console": Console, "mail": Mail,
}  # fmt: skip
ENTRIES: dict[str, Any] = {"providers": ProviderSettings, "aliases": str, "fallbacks": tuple[str, ...]}
"""Tables whose keys are the operator's own names, and what each entry is."""
