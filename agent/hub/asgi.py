"""The hub for anyone's ASGI server: `uvicorn agent.hub.asgi:application`, options from `WPSA_HUB_*`.

Run `python -m agent.hub migrate` first, or start it with `wpsa hub`, which does.
"""

import os

from agent.hub.configure import configure
from agent.hub.middleware import build_application
from agent.hub.options import HubOptions

configure(HubOptions.from_environment(os.environ))
application = build_application()
