"""What a person pastes where the agent is to run: an environment file, a compose file, two commands. Pure."""

import re
import shlex
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from agent.hub.options import is_loopback

IMAGE: Final = "wpsa"


@dataclass(frozen=True, slots=True)
class Handover:
    """One site's agent. Every value fits into all three notations as it is: no space, quote or dollar."""

    site_id: int
    site_url: str
    hub_url: str
    """As the person's own browser reaches the hub, without a slash at the end."""
    api_key: str = field(repr=False)

    @property
    def is_local(self) -> bool:
        """Whether the hub is reached on this machine alone, so that the agent has to run here as well."""
        host = urlsplit(self.hub_url).hostname or ""
        # Browsers know every name below localhost as this machine.
        return is_loopback(host) or host.endswith(".localhost")

    @property
    def is_in_clear(self) -> bool:
        """Whether the key travels to another machine without TLS."""
        return self.hub_url.startswith("http:") and not self.is_local

    @property
    def options(self) -> dict[str, str]:
        insecure = {"WPSA_BACKEND_ALLOW_INSECURE_HTTP": "true"} if self.is_in_clear else {}
        return {
            "WPSA_SITE_URL": self.site_url,
            "WPSA_BACKEND_URL": self.hub_url,
            "WPSA_BACKEND_SITE_ID": str(self.site_id),
            "WPSA_BACKEND_API_KEY": self.api_key,
            **insecure,
        }

    @property
    def environment_file(self) -> str:
        return "".join(f"{name}={value}\n" for name, value in self.options.items())

    @property
    def command(self) -> str:
        """For a machine with Python. In front of the command, not as arguments, which process lists show."""
        options = " ".join(f"{name}={shlex.quote(value)}" for name, value in self.options.items())
        return f"{options} wpsa run"

    @property
    def docker_command(self) -> str:
        network = "--network host " if self.is_local else ""
        return (
            f"docker run --detach --name {self.container} --restart on-failure {network}--env-file wpsa.env "
            f"--volume {self.container}:/var/lib/wpsa --read-only --cap-drop ALL --security-opt no-new-privileges "
            f"{IMAGE}"
        )

    @property
    def compose_file(self) -> str:
        # A container's own loopback is another one: on this machine it shares the machine's.
        network = "    network_mode: host\n" if self.is_local else ""
        return (
            f"name: {self.container}\n"
            "services:\n"
            "  wpsa:\n"
            f"    image: {IMAGE}\n"
            "    restart: on-failure\n"
            f"{network}"
            "    env_file: wpsa.env\n"
            "    volumes:\n"
            "      - state:/var/lib/wpsa\n"
            "    read_only: true\n"
            "    cap_drop: [ALL]\n"
            '    security_opt: ["no-new-privileges:true"]\n'
            "    pids_limit: 100\n"
            "    mem_limit: 256m\n"
            "    stop_grace_period: 5s\n"
            "volumes:\n"
            "  state:\n"
        )

    @property
    def container(self) -> str:
        """Its own for each site, so that several agents live side by side."""
        host = re.sub(r"[^a-z0-9]+", "-", (urlsplit(self.site_url).hostname or "").lower()).strip("-")
        return f"wpsa-{host}-{self.site_id}"[:60] if host else f"wpsa-{self.site_id}"
