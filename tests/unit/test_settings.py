"""Configuration: what is read, and errors that name the wrong key or value."""

from __future__ import annotations

import pickle
import tomllib
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from proxyapi.errors import SettingsError
from proxyapi.settings import (
    KEY_VARIABLES,
    TABLES,
    ProviderSettings,
    Secret,
    Settings,
    example_toml,
    load,
    parse_listen,
    reference_markdown,
)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "proxyapi.toml"


def _load(file: Path, text: str, **environ: str) -> Settings:
    file.write_text(text)
    return load(file, environ)


def test_nothing_needs_to_be_configured(file: Path) -> None:
    settings = load(None, {})
    assert settings.address == ("127.0.0.1", 8080)
    assert settings.database == "sqlite:///proxyapi-data/proxyapi.db"
    assert (settings.currency, settings.exchange_rate, settings.markup) == ("RUB", Decimal(100), Decimal(0))
    assert settings.providers == {}
    assert settings.sandbox.enabled
    assert settings.pause.steps_seconds == (60, 600, 3600, 43200)


def test_everything_can_be_configured(file: Path) -> None:
    (file.parent / "cert.pem").touch()
    (file.parent / "key.pem").touch()
    settings = _load(
        file,
        """
        listen = "[::1]:9000"
        data = "var"
        currency = "EUR"
        exchange_rate = "0.92"
        markup = 0.2
        workers = 4
        trusted_proxies = ["10.0.0.0/8"]
        cors_origins = ["https://app.example.com"]
        access_log = false
        [tls]
        certificate = "cert.pem"
        key = "key.pem"
        [limits]
        body_bytes_max = 1000
        [timeouts]
        connect_seconds = 2.5
        idle_seconds = 7
        [pause]
        steps_seconds = [1, 2.5]
        [sandbox]
        enabled = false
        [hold.factors]
        claude = "1.5"
        [providers.openai]
        api_key = "sk-up"
        on_gone = "drain"
        [providers.local]
        base_url = "http://127.0.0.1:11434/v1"
        [fallbacks]
        "openai/gpt-4o" = ["openrouter/openai/gpt-4o"]
        [aliases]
        fast = "openai/gpt-4o-mini"
        """,
    )
    assert settings.address == ("::1", 9000)
    assert settings.data == file.parent / "var"
    assert settings.exchange_rate == Decimal("0.92")
    assert settings.markup == Decimal("0.2")
    assert settings.tls.certificate == str(file.parent / "cert.pem")
    assert settings.limits.body_bytes_max == 1000
    assert (settings.timeouts.connect_seconds, settings.timeouts.idle_seconds) == (2.5, 7.0)
    assert settings.pause.steps_seconds == (1.0, 2.5)
    assert settings.hold.factors == {"claude": Decimal("1.5")}
    assert settings.providers["openai"].api_key.reveal() == "sk-up"
    assert settings.providers["openai"].on_gone == "drain"
    assert settings.providers["local"].base_url == "http://127.0.0.1:11434/v1"
    assert settings.aliases == {"fast": "openai/gpt-4o-mini"}
    assert settings.fallbacks == {"openai/gpt-4o": ("openrouter/openai/gpt-4o",)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[limits]\nbody_bytes_mx = 5",
            "proxyapi.toml: [limits] body_bytes_mx is not a setting; did you mean body_bytes_max?",
        ),
        ("lissten = ':80'", "proxyapi.toml: lissten is not a setting; did you mean listen?"),
        ("[limit]", "proxyapi.toml: limit is not a setting; did you mean limits?"),
        ("body_bytes_max = 5", "proxyapi.toml: body_bytes_max is not a setting; it belongs in [limits]"),
        (
            "[limits]\nconnect_seconds = 5",
            "proxyapi.toml: [limits] connect_seconds is not a setting; it belongs in [timeouts]",
        ),
        (
            "[limits]\nlisten = ':80'",
            "proxyapi.toml: [limits] listen is not a setting; it belongs at the top of the file, before the first "
            "[table]",
        ),
        ("[sandbox]\nzzz = 1", "proxyapi.toml: [sandbox] zzz is not a setting. Known are: enabled, pace_ms"),
        (
            "[limits]\nbody_bytes_max = '5'",
            'proxyapi.toml: [limits] body_bytes_max: has to be a whole number, not a text in "quotes"',
        ),
        ("[limits]\nbody_bytes_max = 0", "proxyapi.toml: [limits] body_bytes_max: has to be a whole number >= 1"),
        ("[limits]\nbody_bytes_max = true", "[limits] body_bytes_max: has to be a whole number, not true or false"),
        ("[limits]\nbody_bytes_max = 1.5", "[limits] body_bytes_max: has to be a whole number, not a decimal number"),
        ("[timeouts]\nidle_seconds = 0", "proxyapi.toml: [timeouts] idle_seconds: has to be a number > 0"),
        ("[timeouts]\nidle_seconds = nan", "proxyapi.toml is not valid TOML: nan is not a number that can be used"),
        ("access_log = 1", "proxyapi.toml: access_log: has to be true or false, not a whole number"),
        ("limits = 5", "proxyapi.toml: [limits] has to be a table"),
        ("providers = 5", "proxyapi.toml: [providers] has to be a table"),
        ("[providers]\nopenai = 5", "proxyapi.toml: [providers.openai] has to be a table"),
        ("trusted_proxies = '10.0.0.1'", "proxyapi.toml: trusted_proxies: has to be a list in [brackets]"),
        ("trusted_proxies = ['10.0.0']", "proxyapi.toml: trusted_proxies: '10.0.0' is not an IP address or a network"),
        ("cors_origins = ['example.com']", "proxyapi.toml: cors_origins: 'example.com' is not an origin"),
        ("cors_origins = ['https://a.b/']", "proxyapi.toml: cors_origins: 'https://a.b/' is not an origin"),
        ("listen = '8080'", "proxyapi.toml: listen: '8080' is not HOST:PORT, such as 127.0.0.1:8080"),
        ("listen = 'a:99999'", "proxyapi.toml: listen: 'a:99999' is not HOST:PORT"),
        ("currency = 'rub'", "proxyapi.toml: currency: has to be an upper-case code such as RUB"),
        ("currency = 'EUR'", "settings: exchange_rate is needed: how many EUR is one US dollar?"),
        ("exchange_rate = '-1'", "proxyapi.toml: exchange_rate: -1 is not a number from 0 to 1000000000"),
        ("exchange_rate = 'ten'", "proxyapi.toml: exchange_rate: has to be a decimal number"),
        ("markup = 'NaN'", "proxyapi.toml: markup: NaN is not a number"),
        ("[hold.factors]\nclaude = 0.5", "proxyapi.toml: hold.factors.claude: 0.5 is not a number from 1"),
        ("[tls]\ncertificate = 'nowhere.pem'", "nowhere.pem"),
        ("[tls]\nkey = 'proxyapi.toml'", "proxyapi.toml: tls.certificate is missing: TLS needs a certificate"),
        ("database_url = 'postgresql://h'", "proxyapi.toml: database_url has to be postgresql://USER:PASSWORD@HOST:PORT/NAME"),
        ("database_url = 'mysql://h/d'", "proxyapi.toml: database_url has to be postgresql://USER:PASSWORD@HOST:PORT/NAME"),
        ("[providers.openai]\non_gone = 'stop'", "[providers.openai] on_gone: 'stop' is not one of cancel, drain"),
        ("[providers.opnai]", "needs a base_url; did you mean openai?"),
        ("[providers.x]\nbase_url = 'h:1'", "[providers.x] base_url: 'h:1' does not start with https:// or http://"),
        ("[providers.openai]\napi_key_env = 'NOPE'", "[providers.openai] api_key_env: NOPE is not set"),
        (
            "[providers.openai]\napi_key = 'a'\napi_key_env = 'B'",
            "[providers.openai] has both api_key and api_key_env: one of them is too many",
        ),
        ("[console]\ntime_zone = 'Mars'", "proxyapi.toml: console.time_zone: 'Mars' is not a known time zone"),
        ("[console]\ntime_zone = 'Europe'", "console.time_zone: 'Europe' is not a known time zone"),
        ("[console]\ntime_zone = 'right/UTC'", "console.time_zone: 'right/UTC' is not a known time zone"),
        ("[console]\ntime_zone = '/etc/localtime'", "console.time_zone: '/etc/localtime' is not a known time zone"),
        ("[aliases]\nfast = 5", '[aliases] fast has to be a text in "quotes"'),
        ("[aliases]\nfast = 'fast'", "aliases: 'fast' has to name another model"),
        ("[fallbacks]\n'a/b' = 'c/d'", "[fallbacks] a/b has to be a list in [brackets]"),
        ("[fallbacks]\n'a/b' = [5]", '[fallbacks] a/b has to be a text in "quotes"'),
        ("[fallbacks]\n'a/b' = []", "fallbacks: 'a/b': needs 1 to 3 other models"),
        ("[fallbacks]\n'a/b' = ['a/c', 'a/d', 'a/e', 'a/f']", "fallbacks: 'a/b': needs 1 to 3 other models"),
        ("[fallbacks]\n'a/b' = ['c']", "fallbacks: 'a/b': 'c' is not vendor/name"),
        ("[fallbacks]\n'a/b' = ['a/c', 'a/b']", "fallbacks: 'a/b': 'a/b' stands there twice, or is the model itself"),
        ("listen = \nworkers = 1", "proxyapi.toml is not valid TOML: Invalid value (at line 1"),
        ("listen = ':1'\nlisten = ':2'", "proxyapi.toml is not valid TOML: Cannot overwrite a value"),
    ],
)  # fmt: skip
def test_a_wrong_key_or_value_is_named(file: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        _load(file, text)
    assert message in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(file: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml cannot be read: No such file"):
        load(Path("nowhere.toml"), {})
    with pytest.raises(SettingsError, match=r"cannot be read: Is a directory"):
        load(file.parent, {})


def test_a_file_that_is_no_text_or_far_too_long_is_refused(file: Path) -> None:
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="is not valid TOML"):
        load(file, {})
    file.write_bytes(b"#" * 1_048_577)
    with pytest.raises(SettingsError, match="it is no configuration"):
        load(file, {})


def test_the_file_of_the_current_directory_is_found_and_another_can_be_named(file: Path) -> None:
    file.write_text("workers = 2")
    other = file.with_name("other.toml")
    other.write_text("workers = 3")
    assert load(None, {}).workers == 2
    assert load(None, {"PROXYAPI_CONFIG": str(other)}).workers == 3
    assert load(file, {"PROXYAPI_CONFIG": str(other)}).workers == 2


def test_flags_win_over_the_environment_and_that_over_the_file(file: Path) -> None:
    file.write_text('listen = "127.0.0.1:1"\ndata = "file"')
    environ = {"PROXYAPI_LISTEN": "127.0.0.1:2", "PROXYAPI_DATA": "environment"}
    assert (load(file, {}).listen, load(file, {}).data) == ("127.0.0.1:1", file.parent / "file")
    assert (load(file, environ).listen, load(file, environ).data) == ("127.0.0.1:2", Path("environment"))
    flags = {"listen": "127.0.0.1:3", "data": "flag", "workers": None}
    settings = load(file, environ, flags=flags)
    assert (settings.listen, settings.data) == ("127.0.0.1:3", Path("flag"))


def test_errors_of_the_environment_and_of_flags_name_them(file: Path) -> None:
    with pytest.raises(SettingsError, match=r"^PROXYAPI_LISTEN: 'x' is not HOST:PORT"):
        load(None, {"PROXYAPI_LISTEN": "x"})
    with pytest.raises(SettingsError, match=r"^--listen: 'x' is not HOST:PORT"):
        load(None, {}, flags={"listen": "x"})


def test_the_password_of_a_database_is_never_shown() -> None:
    settings = load(None, {"DATABASE_URL": "postgresql://someone:pa55word@host:5432/name"})
    assert settings.database == "postgresql://someone:pa55word@host:5432/name"
    assert "pa55word" not in repr(settings)
    for wrong in ("postgresql://someone:pa55word@host", "postgresql://u:pa55word/@h/n", "mysql://u:pa55word@h/n"):
        with pytest.raises(SettingsError, match=r"^DATABASE_URL has to be postgresql://") as caught:
            load(None, {"DATABASE_URL": wrong})
        assert "pa55word" not in str(caught.value)


def test_a_sqlite_file_can_be_named_by_url(file: Path) -> None:
    assert load(None, {"DATABASE_URL": "sqlite:////var/lib/p.db"}).database == "sqlite:////var/lib/p.db"
    assert load(None, {"DATABASE_URL": "sqlite:///p%20q.db"}).database == "sqlite:///p%20q.db"


def test_a_relative_database_of_the_file_is_beside_it(file: Path) -> None:
    assert _load(file, 'database_url = "sqlite:///my%20db"').database == f"sqlite:///{file.parent}/my%20db"
    assert _load(file, 'database_url = "sqlite:////var/p.db"').database == "sqlite:////var/p.db"


def test_a_file_with_a_name_in_capitals_is_a_file(file: Path) -> None:
    capitals = file.with_name("CONFIG")
    capitals.write_text("lissten = 1")
    with pytest.raises(SettingsError, match=r"^CONFIG: lissten is not a setting; did you mean listen\?$"):
        load(capitals, {})


def test_the_flag_data_wins_over_a_database_of_the_file(file: Path) -> None:
    file.write_text('database_url = "sqlite:////var/lib/p.db"')
    assert load(file, {}).database == "sqlite:////var/lib/p.db"
    assert load(file, {}, flags={"data": "here"}).database == "sqlite:///here/proxyapi.db"
    assert load(file, {}, flags={"data": None}).database == "sqlite:////var/lib/p.db"


@pytest.mark.parametrize(("name", "variable"), KEY_VARIABLES.items())
def test_a_key_in_the_environment_switches_its_provider_on(file: Path, name: str, variable: str) -> None:
    settings = load(None, {variable: "sk-up"})
    assert settings.providers == {name: ProviderSettings(api_key=Secret("sk-up"))}
    assert load(None, {variable: ""}).providers == {}


def test_the_file_can_take_a_key_from_elsewhere_or_switch_a_provider_off(file: Path) -> None:
    environ = {"OPENAI_API_KEY": "usual", "MINE": "other"}
    text = '[providers.openai]\napi_key_env = "MINE"\n[providers.local]\nbase_url = "http://h"\napi_key_env = "MINE"'
    providers = _load(file, text, **environ).providers
    assert [providers[name].api_key.reveal() for name in ("openai", "local")] == ["other", "other"]
    assert _load(file, '[providers.openai]\napi_key = "file"', **environ).providers["openai"].api_key == Secret("file")
    assert not _load(file, "[providers.openai]\nenabled = false", **environ).providers["openai"].enabled
    off = _load(file, '[providers.openai]\nenabled = false\napi_key_env = "NOPE"').providers["openai"]
    assert not off.api_key


def test_secrets_are_never_shown(file: Path) -> None:
    settings = _load(file, '[providers.openai]\napi_key = "sk-very-secret"')
    secret = settings.providers["openai"].api_key
    for text in (repr(settings), str(settings), f"{secret}", f"{secret!r}", "%s" % secret, str(settings.providers)):  # noqa: UP031
        assert "sk-very-secret" not in text
    with pytest.raises(TypeError):
        msgspec.json.encode(settings.providers["openai"])
    with pytest.raises(SettingsError) as caught:
        _load(file, '[providers.openai]\napi_key = ["sk-very-secret"]')
    assert "sk-very-secret" not in str(caught.value)


def test_settings_are_values_that_can_be_sent_to_a_worker(file: Path) -> None:
    settings = _load(file, '[providers.openai]\napi_key = "sk-up"')
    assert pickle.loads(pickle.dumps(settings)) == settings
    with pytest.raises(AttributeError):
        settings.workers = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "address"),
    [(":80", ("0.0.0.0", 80)), ("localhost:0", ("localhost", 0)), ("[::]:443", ("::", 443))],
)
def test_the_address_to_listen_on_has_a_host_and_a_port(text: str, address: tuple[str, int]) -> None:
    assert parse_listen(text) == address


@pytest.mark.parametrize("text", ["", "::1", "::1:80", "host:", "host:http", "host:-1", "[::1]", "host:٣"])
def test_what_is_no_address_to_listen_on_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not HOST:PORT"):
        parse_listen(text)


def test_the_example_holds_every_setting_at_its_default(file: Path) -> None:
    lines = example_toml().splitlines()
    uncommented = "\n".join(line.removeprefix("# ") for line in lines if not line.startswith("##"))
    document = tomllib.loads(uncommented)
    assert set(document) == set(Settings.__struct_fields__)
    for name, kind in TABLES.items():
        assert set(document[name]) == set(kind.__struct_fields__)
    for name in ("tls", "providers", "aliases", "database_url"):
        del document[name]
    settings = _load(file, uncommented.split("# [providers")[0].split("[providers")[0])
    default = load(None, {})
    for name in document:
        expected = file.parent / default.data if name == "data" else getattr(default, name)
        assert getattr(settings, name) == expected


def test_the_reference_explains_every_setting() -> None:
    text = reference_markdown()
    for kind in (Settings, ProviderSettings, *TABLES.values()):
        for field in msgspec.structs.fields(kind):
            assert field.name in text
    assert all(variable in text for variable in (*KEY_VARIABLES.values(), "PROXYAPI_CONFIG", "DATABASE_URL"))


SHOP = '[yookassa]\nshop_id = "100500"\nreturn_url = "https://api.example.com/balance"\n'


def test_the_secret_of_the_shop_comes_from_the_environment_and_shows_nowhere(file: Path) -> None:
    settings = _load(file, SHOP, YOOKASSA_SECRET_KEY="live_hidden")
    assert settings.yookassa.secret_key.reveal() == "live_hidden"
    assert "live_hidden" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (SHOP, "YOOKASSA_SECRET_KEY"),
        (f'{SHOP}secret_key = "x"\napi_url = "api.example.com"', "api_url"),
        ('[yookassa]\nshop_id = "1"\nsecret_key = "x"', "return_url is missing"),
        (f'{SHOP}secret_key = "x"\namount_min = 10\namount_max = 9', "amount_min is more than amount_max"),
        (f'{SHOP}secret_key = "x"\nnetworks = ["yookassa.ru"]', "networks"),
        (f'{SHOP}secret_key = "x"\nshop = 1', "did you mean shop_id"),
    ],
)
def test_a_wrong_shop_is_named(file: Path, text: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        _load(file, text)
