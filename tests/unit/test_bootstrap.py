"""Settings become a working agent, and leave nothing behind."""

from pathlib import Path

import pytest
from builders import ONE_SITE, settings
from django.db import OperationalError
from fakes import Logs, ManualClock, answer, raw_server

from agent.bootstrap import move_in, open_agent, open_backend
from agent.errors import AgentError, ConfigError, CredentialsRefused, SiteUnreachable, StateFailed, StateUnwritable
from agent.hub.options import HubOptionError
from agent.naming import chosen_sites
from agent.outcome import Outcome
from agent.premises import open_premises, told_of_hub
from agent.redact import Redactor
from agent.settings import Settings
from agent.state.records import Result
from agent.state.store import FILE_NAME

pytestmark = pytest.mark.anyio

ANYWHERE = "127.0.0.1:0"


@pytest.fixture
def read(state_folder: Path) -> Settings:
    return settings(ONE_SITE | {"WPSA_STATE_DIR": str(state_folder)})


async def test_an_agent_knows_its_sites_its_moments_and_its_backend(
    read: Settings, redactor: Redactor, clock: ManualClock, state_folder: Path
) -> None:
    async with open_agent(read, read.all_sites, redactor=redactor, hub_listen=ANYWHERE, clock=clock.clock) as agent:
        assert [site.name for site in agent.sites] == ["shop.example"]
        assert agent.moments.keys() == {"shop.example"}
        assert agent.hub_url is None
        assert (agent.state_folder, agent.ports.clock) == (state_folder, clock.clock)


async def test_a_second_agent_on_one_state_is_refused(read: Settings, redactor: Redactor) -> None:
    async with open_agent(read, read.all_sites, redactor=redactor, hub_listen=ANYWHERE):
        with pytest.raises(StateUnwritable):
            async with open_agent(read, read.all_sites, redactor=redactor, hub_listen=ANYWHERE):
                pass


async def test_other_settings_are_no_reason_to_tell_of_a_failing_site_again(
    read: Settings, redactor: Redactor, clock: ManualClock, logs: Logs
) -> None:
    failed = Outcome("shop.example", Result.UNREADABLE, 1.0, SiteUnreachable("m", reason="refused", hint="h"))
    async with open_premises(read, read.all_sites, redactor=redactor, hub_listen=ANYWHERE) as premises:
        for _ in range(2):
            async with move_in(premises, read, read.all_sites, clock=clock.clock) as agent:
                agent.told(failed)

    assert [line["event"] for line in logs.lines].count("site.degraded") == 1


async def test_looking_at_the_backend_needs_no_state(read: Settings, redactor: Redactor, state_folder: Path) -> None:
    async with open_backend(read, read.all_sites, redactor=redactor):
        pass

    assert not state_folder.exists()


@pytest.mark.parametrize("in_toml", [False, True])
async def test_a_key_that_was_replaced_is_read_anew_and_hidden_before_it_is_used(
    redactor: Redactor, tmp_path: Path, in_toml: bool
) -> None:
    listing = answer(200, [{"id": 42, "site": 7, "platform": "wordpress"}])
    async with raw_server(answer(401), listing) as server:
        key, toml = tmp_path / "key", tmp_path / "wpsa.toml"
        key.write_text("key-of-this-year\n")
        toml.write_text('[backend]\napi_key_file = "key"\n' if in_toml else "")
        environ = {name: value for name, value in ONE_SITE.items() if name != "WPSA_BACKEND_API_KEY"}
        environ |= {"WPSA_BACKEND_URL": server.url, "WPSA_CONFIG": str(toml)}
        environ |= {} if in_toml else {"WPSA_BACKEND_API_KEY_FILE": str(key)}
        read = settings(environ)
        async with open_backend(read, read.all_sites, redactor=redactor) as backend:
            key.write_text("key-of-the-next-year\n")
            assert await backend.integration_of("shop.example") == "42"

    assert [one.headers["authorization"] for one in server.asked] == [
        "Bearer key-of-this-year", "Bearer key-of-the-next-year"
    ]  # fmt: skip
    assert redactor.hide("key-of-the-next-year") == "***"


async def test_a_key_file_that_is_being_written_leaves_the_old_key_in_force(
    redactor: Redactor, tmp_path: Path
) -> None:
    async with raw_server(answer(401)) as server:
        key = tmp_path / "key"
        key.write_text("key-of-this-year\n")
        environ = {name: value for name, value in ONE_SITE.items() if name != "WPSA_BACKEND_API_KEY"}
        read = settings(environ | {"WPSA_BACKEND_URL": server.url, "WPSA_BACKEND_API_KEY_FILE": str(key)})
        async with open_backend(read, read.all_sites, redactor=redactor) as backend:
            key.write_text("")
            with pytest.raises(CredentialsRefused):
                await backend.integration_of("shop.example")

    assert {one.headers["authorization"] for one in server.asked} == {"Bearer key-of-this-year"}


async def test_a_damaged_state_is_begun_anew_and_loudly(
    read: Settings, redactor: Redactor, state_folder: Path, logs: Logs
) -> None:
    state_folder.mkdir()
    (state_folder / FILE_NAME).write_bytes(b"no database" * 500)

    async with open_agent(read, read.all_sites, redactor=redactor, hub_listen=ANYWHERE):
        pass

    [line] = [line for line in logs.lines if line["event"] == "state.rebuilt"]
    assert line["level"] == "critical"
    assert Path(line["set_aside"]).read_bytes().startswith(b"no database")


def test_a_full_disk_below_the_hub_is_no_wrong_option_and_no_bug() -> None:
    with pytest.raises(StateFailed, match="database or disk is full") as failed, told_of_hub():
        raise OperationalError("database or disk is full")

    assert failed.value.exit_code == 74
    assert "Make room" in failed.value.hint


def test_what_the_hub_says_of_an_option_comes_with_its_own_remedy() -> None:
    with pytest.raises(ConfigError) as failed, told_of_hub():
        raise HubOptionError("the hub's option makes no sense", hint="Set it to another.")

    assert (failed.value.exit_code, failed.value.hint) == (78, "Set it to another.")


async def test_a_site_without_an_id_at_the_backend_is_refused(read: Settings, redactor: Redactor) -> None:
    [other] = chosen_sites(Settings(), ["https://other.example"])
    without = read.model_copy(update={"backend": read.backend.model_copy(update={"site_id": None})})

    with pytest.raises(ConfigError, match=r"site other\.example"):
        async with open_agent(without, [other], redactor=redactor, hub_listen=ANYWHERE):
            pass


async def test_a_stranger_is_never_pushed_into_the_configured_sites_integration(
    read: Settings, redactor: Redactor
) -> None:
    """WPSA_SITE_URL=shop WPSA_BACKEND_SITE_ID=7, then `wpsa sync https://other.example`."""
    [other] = chosen_sites(read, ["https://other.example"])

    with pytest.raises(AgentError):
        async with open_agent(read, [other], redactor=redactor, hub_listen=ANYWHERE):
            pass
