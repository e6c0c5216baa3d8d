"""Which drivers does Magnum's own loader enable, and what does oslo.config make of [capi_helm]?

Run as user magnum with a service's own arguments.
"""
import json
import sys

# `python3 -c` puts the current directory first, where no service looks.
sys.path[:] = [entry for entry in sys.path if entry]

import magnum.conf
from magnum.common import config
from magnum.drivers.common.driver import Driver

config.parse_args(["magnum-conductor"] + sys.argv[1:])
loaded = {point.name: cls for point, cls in Driver.load_entry_points()}
conf = magnum.conf.CONF
print(json.dumps({
    "enabled": sorted(loaded),
    "class": {name: "%s.%s" % (cls.__module__, cls.__name__) for name, cls in loaded.items()},
    "capi_helm": {option: conf.capi_helm[option] for option in conf.capi_helm},
    "disabled": conf.drivers.disabled_drivers,
}))
