"""What the driver's own client code makes of each kubeconfig: `driver.py VERSION DIRECTORY`, as user magnum where the
services run. Prints JSON: for each file the HTTP status of one question, or the exception."""
import json
import logging
import os
import sys
import warnings

version, directory = sys.argv[1:]
# `python3 FILE` puts FILE's directory first; the driver of this version belongs there.
sys.path[0] = f"/opt/lab/drivers/{version}"
logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")

from magnum_capi_helm import kubernetes

assert kubernetes.__file__.startswith(sys.path[0]), kubernetes.__file__
found = {}
for name in sorted(os.listdir(directory)):
    kubernetes.CONF.set_override("kubeconfig_file", os.path.join(directory, name), "capi_helm")
    try:
        client = kubernetes.Client.load()
        found[name] = str(client.get("/api/v1/namespaces/default/secrets", timeout=10).status_code)
    except Exception as error:
        found[name] = f"{type(error).__name__}: {error}"
print(json.dumps(found))
