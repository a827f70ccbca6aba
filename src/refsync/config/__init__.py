"""Settings: a TOML file, overridden by ``REFSYNC_`` variables, and checked whole before anything starts.

Each mistake is told by file (or variable), key and reason, all of them in one :class:`~refsync.errors.ConfigError`.
Whether a clone is there and usable is not asked here: a fault in one clone holds only that repository.
"""

from refsync.config.crontab import next_time
from refsync.config.loading import STORE_KEYS, find_config_file, load_config, parse_config, restart_keys, sources
from refsync.config.notify import NotifySettings
from refsync.config.repository import RepositorySettings
from refsync.config.settings import Config, QueueSettings, ServeSettings
from refsync.config.values import host_and_port

__all__ = [
    "STORE_KEYS",
    "Config",
    "NotifySettings",
    "QueueSettings",
    "RepositorySettings",
    "ServeSettings",
    "find_config_file",
    "host_and_port",
    "load_config",
    "next_time",
    "parse_config",
    "restart_keys",
    "sources",
]
