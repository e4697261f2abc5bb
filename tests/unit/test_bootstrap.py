"""Settings become a working agent, and leave nothing behind."""

from pathlib import Path

import pytest
from builders import ONE_SITE, settings
from fakes import ManualClock

from agent.bootstrap import open_agent, open_backend
from agent.errors import AgentError, ConfigError, StateUnwritable
from agent.naming import chosen_sites
from agent.redact import Redactor
from agent.settings import Settings

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


async def test_looking_at_the_backend_needs_no_state(read: Settings, redactor: Redactor, state_folder: Path) -> None:
    async with open_backend(read, read.all_sites, redactor=redactor):
        pass

    assert not state_folder.exists()


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
