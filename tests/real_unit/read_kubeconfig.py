"""Reads the kubeconfig over and over, as the driver does it, and says what it saw.

From standard input: the kubeconfigs that may stand there. It goes on until there is a file
/run/enough.
"""
import collections
import json
import os
import sys

import yaml
from OpenSSL import SSL, crypto
import base64

DIRECTORY = "/etc/magnum"
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def pair_of(text):
    user = yaml.load(text, Loader=LOADER)["users"][0]["user"]
    return user["client-certificate-data"], user["client-key-data"]


def belong_together(certificate, key):
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    pem = [base64.b64decode(part, validate=True) for part in (certificate, key)]
    context.use_certificate(crypto.load_certificate(crypto.FILETYPE_PEM, pem[0]))
    context.use_privatekey(crypto.load_privatekey(crypto.FILETYPE_PEM, pem[1]))
    context.check_privatekey()


def read():
    """The whole file, with owner and mode of exactly what was read."""
    descriptor = os.open(f"{DIRECTORY}/kubeconfig", os.O_RDONLY)
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        return file.read(), (found.st_uid, found.st_gid, oct(found.st_mode & 0o7777))


known = [text.encode() for text in json.load(sys.stdin)]
pairs = [pair_of(text) for text in known]
for pair in pairs:
    belong_together(*pair)
seen, access, faults = collections.Counter(), collections.Counter(), collections.Counter()
temporary = 0
while not os.path.exists("/run/enough"):
    try:
        text, stat = read()
        access[str(stat)] += 1
        pair = pair_of(text)
        which = pairs.index(pair)
        if text != known[which]:
            raise ValueError("not whole")
        seen[which] += 1
    except (OSError, LookupError, TypeError, ValueError, yaml.YAMLError) as error:
        # Never the error's words, which may quote the file.
        faults[f"{type(error).__name__} {getattr(error, 'errno', '')}"] += 1
    # What a write puts beside it is no wider.
    for name in os.listdir(DIRECTORY):
        if not name.startswith(".magnum-capi-helm-"):
            continue
        try:
            mode = os.stat(f"{DIRECTORY}/{name}").st_mode & 0o7777
        except FileNotFoundError:
            continue
        temporary += 1
        if mode & ~0o640:
            faults[f"a temporary file of mode {mode:o}"] += 1
print(json.dumps({"seen": [seen[0], seen[1]], "access": access, "faults": faults, "temporary": temporary}))
