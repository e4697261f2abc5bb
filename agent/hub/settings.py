"""All Django settings of the hub, made from its options."""

from datetime import timedelta
from typing import Any

from agent.backend.contract import BODY_LIMIT_BYTES
from agent.hub.django_threads import THREADS
from agent.hub.idle import SIGNED_IN_AT_MOST
from agent.hub.options import HubOptionError, HubOptions

# synchronous=FULL: with NORMAL a power cut takes back pushes that were answered 200.
# trusted_schema stays on: SQLite before 3.41 calls the JSON_VALID in Django's own checks unsafe.
SQLITE_PRAGMAS = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cell_size_check=ON; PRAGMA secure_delete=ON;"


def django_settings(options: HubOptions) -> dict[str, Any]:
    """What `django.conf.settings.configure` takes; reads nothing but its argument."""
    return {
        "DEBUG": False,
        "SECRET_KEY": options.secret_key,
        "ALLOWED_HOSTS": list(options.allowed_hosts),
        "ROOT_URLCONF": "agent.hub.urls",
        "DATABASES": databases(options),
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        "INSTALLED_APPS": [
            "django.contrib.admin.apps.SimpleAdminConfig",
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.messages",
            "django.contrib.sessions",
            "rest_framework",
            "rest_framework_simplejwt.token_blacklist",
            "agent.hub.integrations",
        ],
        "MIDDLEWARE": [
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "agent.hub.idle.SignOutWhenIdle",
            "django.contrib.messages.middleware.MessageMiddleware",
            "django.middleware.clickjacking.XFrameOptionsMiddleware",
        ],
        "TEMPLATES": [
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                        "agent.hub.static_files.addresses",
                    ]
                },
            }
        ],
        "USE_TZ": True,
        "TIME_ZONE": "UTC",
        "USE_I18N": False,
        # Served by agent.hub.middleware, for the pages of Django's admin; ours are named by their content.
        "STATIC_URL": "/static/",
        # A redirect would turn a push into a GET: a path without its slash is unknown instead.
        "APPEND_SLASH": False,
        "DATA_UPLOAD_MAX_MEMORY_SIZE": BODY_LIMIT_BYTES,
        # Whoever runs the hub owns logging; Django must not add handlers of its own.
        "LOGGING_CONFIG": None,
        **_sign_in(options),
        **_cookies_and_transport(options),
        **_api(options),
        "WPSA_HUB_DIR": options.directory,
        "WPSA_HUB_OPEN_PAGES": options.open_pages,
        "WPSA_HUB_LIST_SHAPE": options.list_shape,
        "WPSA_HUB_PUBLIC_URL": options.public_url,
        "WPSA_HUB_TRUSTED_PROXIES": options.trusted_proxies,
        "WPSA_HUB_HTTPS": options.https,
    }


def databases(options: HubOptions) -> dict[str, Any]:
    """Django's DATABASES; raises HubOptionError for an address of PostgreSQL that cannot be read."""
    if options.database_url:
        return {"default": postgresql(options.database_url)}
    return {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": options.directory / "hub.sqlite3",
            # Kept by each thread: opening costs as much as a query, and closing the last one writes the whole WAL back.
            "CONN_MAX_AGE": None,
            "OPTIONS": {
                "timeout": 20,
                # Taking the write lock first lets a second writer wait; upgrading a read lock fails at once.
                "transaction_mode": "IMMEDIATE",
                "init_command": SQLITE_PRAGMAS,
            },
        }
    }


def postgresql(url: str) -> dict[str, Any]:
    """Whatever libpq understands: postgresql://user:password@host:port/name?sslmode=verify-full"""
    try:
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict
    except ImportError:
        raise HubOptionError("PostgreSQL needs psycopg: pip install 'wp-structure-agent[hub]'") from None
    try:
        given = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    except ProgrammingError:
        raise HubOptionError("WPSA_HUB_DATABASE_URL must look like postgresql://user:password@host:5432/hub") from None
    if not given.get("dbname"):
        raise HubOptionError("WPSA_HUB_DATABASE_URL must name a database: postgresql://user:password@host:5432/hub")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": given.pop("dbname"),
        "USER": given.pop("user", ""),
        "PASSWORD": given.pop("password", ""),
        "HOST": given.pop("host", ""),
        "PORT": given.pop("port", ""),
        # Each request borrows one. A database that does not answer is told within seconds (503), not after minutes.
        "OPTIONS": {"connect_timeout": "5", **given, "pool": {"min_size": 1, "max_size": THREADS, "timeout": 10}},
    }


def _sign_in(options: HubOptions) -> dict[str, Any]:
    validators = ("UserAttributeSimilarity", "MinimumLength", "CommonPassword", "NumericPassword")
    return {
        "AUTH_USER_MODEL": "integrations.User",
        "PASSWORD_HASHERS": [
            "django.contrib.auth.hashers.Argon2PasswordHasher",
            "django.contrib.auth.hashers.PBKDF2PasswordHasher",
        ],
        "AUTH_PASSWORD_VALIDATORS": [
            {"NAME": f"django.contrib.auth.password_validation.{name}Validator"} for name in validators
        ],
        "LOGIN_URL": "sign-in",
        "LOGIN_REDIRECT_URL": "sites",
        "LOGOUT_REDIRECT_URL": "sign-in",
        "SESSION_COOKIE_AGE": int(SIGNED_IN_AT_MOST.total_seconds()),
        "SIMPLE_JWT": {
            "SIGNING_KEY": options.token_key,
            "ACCESS_TOKEN_LIFETIME": timedelta(minutes=5),
            "REFRESH_TOKEN_LIFETIME": timedelta(days=1),
            "ROTATE_REFRESH_TOKENS": True,
            "BLACKLIST_AFTER_ROTATION": True,
            # A changed password ends what the old one opened.
            "CHECK_REVOKE_TOKEN": True,
        },
    }


def _cookies_and_transport(options: HubOptions) -> dict[str, Any]:
    prefix = "__Host-" if options.https else ""  # browsers refuse the prefix without Secure
    return {
        "SESSION_COOKIE_NAME": f"{prefix}wpsa_session",
        "SESSION_COOKIE_SAMESITE": "Strict",
        "SESSION_COOKIE_SECURE": options.https,
        "CSRF_COOKIE_NAME": f"{prefix}wpsa_csrf",
        "CSRF_COOKIE_SAMESITE": "Strict",
        "CSRF_COOKIE_HTTPONLY": True,
        "CSRF_COOKIE_SECURE": options.https,
        "CSRF_FAILURE_VIEW": "agent.hub.refusals.csrf_failed",
        "SECURE_HSTS_SECONDS": int(timedelta(days=365).total_seconds()) if options.https else 0,
        "SECURE_HSTS_INCLUDE_SUBDOMAINS": False,
        "X_FRAME_OPTIONS": "DENY",
        # The final word on these headers is agent.hub.middleware's, so that every error carries them too.
        "SECURE_REFERRER_POLICY": "same-origin",
        "SECURE_CROSS_ORIGIN_OPENER_POLICY": "same-origin",
        "SECURE_CONTENT_TYPE_NOSNIFF": True,
    }


def _api(options: HubOptions) -> dict[str, Any]:
    rooms = "agent.hub.integrations"
    return {
        "REST_FRAMEWORK": {
            "DEFAULT_AUTHENTICATION_CLASSES": [f"{rooms}.authentication.BearerAuthentication"],
            "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
            "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
            "DEFAULT_PARSER_CLASSES": [f"{rooms}.parsers.BoundedJSONParser"],
            "DEFAULT_CONTENT_NEGOTIATION_CLASS": f"{rooms}.parsers.OnlyJSON",
            "DEFAULT_METADATA_CLASS": None,
            "DEFAULT_PAGINATION_CLASS": f"{rooms}.listing.{options.list_shape.capitalize()}Pagination",
            "EXCEPTION_HANDLER": "agent.hub.refusals.answer_exception",
            "URL_FORMAT_OVERRIDE": None,
            "UNAUTHENTICATED_USER": None,
        },
        "SPECTACULAR_SETTINGS": {
            "TITLE": "wp-structure-agent hub",
            "DESCRIPTION": "The API that an agent pushes structures to, and what the hub tells of them.",
            "VERSION": "1",
            "OAS_VERSION": "3.1.0",
            "SERVE_INCLUDE_SCHEMA": False,
            "COMPONENT_SPLIT_PATCH": False,
            "POSTPROCESSING_HOOKS": [],
            "APPEND_COMPONENTS": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
        },
    }
