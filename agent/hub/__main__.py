"""Django's management commands for the hub: `python -m agent.hub migrate`, `createsuperuser`, `add_site` …"""

import os
import sys

from agent.hub.configure import configure
from agent.hub.options import HubOptionError, HubOptions


def main() -> None:
    from django.core.management import execute_from_command_line

    try:
        configure(HubOptions.from_environment(os.environ))
    except HubOptionError as error:
        sys.exit(f"error: {error}")
    execute_from_command_line(["python -m agent.hub", *sys.argv[1:]])


if __name__ == "__main__":
    main()
