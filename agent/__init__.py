"""wp-structure-agent: tells a backend what a WordPress site contains, read from outside."""

__version__ = "0.1.0"
