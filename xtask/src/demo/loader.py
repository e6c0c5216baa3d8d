"""Prints which drivers Magnum's own loader enables with a service's arguments, as one line of JSON."""
import importlib.metadata
import json
import sys

from magnum.common import config

config.parse_args(["magnum"] + sys.argv[1:])

from magnum.drivers.common import driver  # noqa: E402  (reads the configuration)

try:
    version = importlib.metadata.version("magnum-capi-helm")
except importlib.metadata.PackageNotFoundError:
    version = None
enabled = sorted(entry.name for entry, _ in driver.Driver.load_entry_points())
print(json.dumps({"enabled": enabled, "version": version}))
