from django.apps import AppConfig


class IntegrationsConfig(AppConfig):
    name = "agent.hub.integrations"
    label = "integrations"
