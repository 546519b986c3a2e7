from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.config import CanarySettings, Config, ConfigError, load_config
from authz.identity import XfccMode
from tests.test_layering import REPOSITORY


def config(tmp_path: Path, text: str, name: str = "authz.yaml", **flags: object) -> Config:
    file = tmp_path / name
    file.write_text(text)
    return load_config(file, {"policies": ("p",), **{name.replace("__", "."): value for name, value in flags.items()}})


def test_a_path_is_all_that_has_to_be_given() -> None:
    assert load_config(None, {"policies": ("policies/",)}) == Config(policies=("policies/",))


def test_a_file_sets_every_field(tmp_path: Path) -> None:
    text = """
policies: [a/, b/]
addr: ["unix:///run/authz/check.sock"]
admin_addr: 0.0.0.0:8181
transport: grpcio
entrypoint: a/b
v0_compatible: true
drain_s: 2.5
identity: {xfcc_mode: sanitize_set, trusted_proxies: ["spiffe://prod.example/ns/edge/sa/proxy"]}
cache: {size: 0, ttl_s: 1}
reload: {watch: false, poll_s: 60, compile_timeout_s: 5}
log: {format: json, level: error}
"""
    (tmp_path / "authz.yaml").write_text(text)
    loaded = load_config(tmp_path / "authz.yaml", {})
    assert (loaded.policies, loaded.addr, loaded.admin_addr) == (("a/", "b/"), ("unix:///run/authz/check.sock",), "0.0.0.0:8181")
    assert (loaded.transport, loaded.entrypoint, loaded.rego_version, loaded.drain_s) == ("grpcio", "a/b", 0, 2.5)
    assert (loaded.identity.xfcc_mode, loaded.cache.size, loaded.reload.poll_s) == (XfccMode.SANITIZE_SET, 0, 60)
    assert (loaded.log.format, loaded.log.level) == ("json", "error")


def test_json_is_read_as_well(tmp_path: Path) -> None:
    assert config(tmp_path, '{"cache": {"size": 7}}', "authz.json").cache.size == 7


def test_flags_win_over_the_file_field_by_field(tmp_path: Path) -> None:
    loaded = config(tmp_path, "cache: {size: 1, ttl_s: 9}\naddr: ['127.0.0.1:1']", cache__size=2, addr=("127.0.0.1:2",))
    assert (loaded.cache.size, loaded.cache.ttl_s, loaded.addr) == (2, 9, ("127.0.0.1:2",))


def test_an_empty_file_leaves_the_defaults(tmp_path: Path) -> None:
    assert config(tmp_path, "# nothing yet\n") == Config(policies=("p",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cache: {size: many}", "authz.yaml: field `cache.size`: expected `int`, got `str`"),
        ("cache: {size: -1}", "authz.yaml: field `cache.size`: expected `int` >= 0"),
        ("cache: {size: 1000001}", "authz.yaml: field `cache.size`: expected `int` <= 1000000"),
        ("cache: {ttl_s: 1.0e300}", "authz.yaml: field `cache.ttl_s`: expected `float` <= 31536000.0"),
        ("drain_s: 1.0e12", "authz.yaml: field `drain_s`: expected `float` <= 31536000.0"),
        ("reload: {poll_s: 1.0e300}", "authz.yaml: field `reload.poll_s`: expected `float` <= 31536000.0"),
        ("reload: {poll_s: 0.0001}", "authz.yaml: field `reload.poll_s`: expected `float` >= 0.1"),
        ("reload: {compile_timeout_s: 1.0e12}", "authz.yaml: field `reload.compile_timeout_s`: expected `float` <= 31536000.0"),
        ("cache: {ttl: 1}", "authz.yaml: unknown field `cache.ttl`"),
        ("adr: x", "authz.yaml: unknown field `adr`"),
        ("addr: x", "authz.yaml: field `addr`: expected `array`, got `str`"),
        ("addr: [1]", "authz.yaml: field `addr[0]`: expected `str`, got `int`"),
        ("addr: []", "field `addr` is empty"),
        ("identity: {xfcc_mode: trust_me}", "authz.yaml: field `identity.xfcc_mode`: invalid enum value 'trust_me'"),
        ("transport: http", "authz.yaml: field `transport`: invalid enum value 'http'"),
        ("cache: {size: 1, size: 2}", "authz.yaml:1:18: key `size` appears twice"),
        ("cache: [", "authz.yaml:2:1: not valid YAML"),
        ("[]", "authz.yaml: the configuration must be a mapping of fields"),
        ("cache: 3", "authz.yaml: field `cache`: expected `object`, got `int`"),
    ],
)
def test_a_mistake_is_one_message_that_names_file_and_field(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        config(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_a_flag_over_a_section_that_is_wrong_blames_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"authz\.yaml: field `cache`"):
        config(tmp_path, "cache: 3", cache__size=2)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "authz.yaml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"authz\.yaml: not valid UTF-8"):
        load_config(tmp_path / "authz.yaml", {})


def test_no_policy_path_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no policy path"):
        load_config(None, {})


def test_denying_what_is_stale_where_nothing_ever_is_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "authz.yaml").write_text(
        "bundles: {a: {service: s}}\nservices: {s: {url: 'http://x'}}\nactivation: {deny_when_stale: true}\n"
    )
    with pytest.raises(ConfigError, match=r"field `activation\.deny_when_stale`: no bundle has `max_age_seconds`") as caught:
        load_config(tmp_path / "authz.yaml", {})
    assert caught.value.help is not None


values = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.text(max_size=3), max_size=2)
sections = st.dictionaries(st.sampled_from(["size", "ttl_s", "format", "xfcc_mode", "watch"]), values)


@given(st.dictionaries(st.sampled_from(["cache", "addr", "log", "identity", "reload", "drain_s", "x"]), values | sections))
def test_any_document_is_a_configuration_or_one_error(tmp_path_factory: pytest.TempPathFactory, document: dict[str, object]) -> None:
    file = tmp_path_factory.getbasetemp() / "any.json"
    file.write_bytes(msgspec.json.encode(document))
    try:
        loaded = load_config(file, {"policies": ("p",)})
    except ConfigError:
        return
    assert loaded.policies == ("p",)


def test_the_readme_documents_every_field_with_its_default() -> None:
    readme = (REPOSITORY / "README.md").read_text()
    documented = dict(re.findall(r"^\| `([a-z0-9_.]+)` \|[^|]*\| `([^`]*)` \|", readme, re.M))
    assert documented == dict(_fields(Config(), ""))


def _fields(section: msgspec.Struct, prefix: str) -> list[tuple[str, str]]:
    found = []
    for name in section.__struct_fields__:
        value = getattr(section, name)
        if isinstance(value, msgspec.Struct):
            found += _fields(value, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", msgspec.json.encode(value).decode()))
    return found


def test_the_docs_name_every_field_of_a_canary_with_its_default() -> None:
    section = (REPOSITORY / "docs/bundles.md").read_text().partition("\n## Canary\n")[2].partition("\n## ")[0]
    documented = dict(re.findall(r"^\| `([a-z_]+)` \| `([^`]*)` \|", section, re.M))
    assert documented == dict(_fields(CanarySettings(), ""))


@pytest.mark.parametrize(
    ("canary", "message"),
    [
        ({"seconds": 0}, "field `canary.seconds`: expected `float` > 0.0"),
        ({"seconds": 3601}, "field `canary.seconds`: expected `float` <= 3600.0"),
        ({"checks": 0}, "field `canary.checks`: expected `int` >= 1"),
        ({"max_flip_rate": 1.5}, "field `canary.max_flip_rate`: expected `float` <= 1.0"),
        ({"max_flip_rate": "1%"}, "field `canary.max_flip_rate`: expected `float`, got `str`"),
        ({"min_checks": -1}, "field `canary.min_checks`: expected `int` >= 0"),
        ({"checks": 10, "min_checks": 11}, "field `canary.min_checks`: more than `canary.checks`"),
        ({"percent": 1}, "unknown field `canary.percent`"),
    ],
)
def test_a_canary_that_cannot_be_is_refused_by_name(tmp_path: Path, canary: dict[str, object], message: str) -> None:
    file = tmp_path / "authz.json"
    file.write_bytes(msgspec.json.encode({"canary": canary, "policies": ["p"]}))
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_config(file, {})


def test_a_canary_is_off_unless_it_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "authz.yaml"
    file.write_text("policies: [p]\n")
    assert load_config(file, {}).canary is None
    file.write_text("policies: [p]\ncanary: {max_flip_rate: 0.5}\n")
    assert load_config(file, {}).canary == CanarySettings(max_flip_rate=0.5)
