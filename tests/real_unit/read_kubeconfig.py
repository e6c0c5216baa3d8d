"""Reads the kubeconfig over and over, as quickly as it can and slowly, and says what it saw.

From standard input: the kubeconfigs that may stand there. It goes on until there is a file
/run/enough. Once it reads, there is a file /tmp/reading.
"""
import base64
import collections
import json
import os
import sys
import threading
import time

import yaml
from OpenSSL import SSL, crypto

DIRECTORY = "/etc/magnum"


def pair_of(text):
    user = yaml.safe_load(text)["users"][0]["user"]
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
# What is one of these is also valid, with a key that belongs to its certificate.
for text in known:
    belong_together(*pair_of(text))
seen, access, faults = collections.Counter(), collections.Counter(), collections.Counter()
temporary = slow = 0
names = []


def check(text, how):
    """Whole is what is one of them to the last byte; never a word of the file in a message."""
    if text in known:
        seen[known.index(text)] += 1
    else:
        faults[f"{how}: {len(text)} bytes of none"] += 1


def read_slowly():
    """Whoever has opened the file reads it to its end, whatever takes its place meanwhile."""
    global slow
    while not os.path.exists("/run/enough"):
        with open(f"{DIRECTORY}/kubeconfig", "rb") as file:
            half = file.read(len(known[0]) // 2)
            time.sleep(0.4)
            check(half + file.read(), "slowly")
            slow += 1


slowly = threading.Thread(target=read_slowly)
slowly.start()
open("/tmp/reading", "w").close()
while not os.path.exists("/run/enough"):
    try:
        text, stat = read()
        access[str(stat)] += 1
        check(text, "quickly")
        names = os.listdir(DIRECTORY)
    except OSError as error:
        faults[f"{type(error).__name__} {error.errno}"] += 1
    # What a write puts beside it is no wider.
    for name in names:
        if not name.startswith(".magnum-capi-helm-"):
            continue
        try:
            mode = os.stat(f"{DIRECTORY}/{name}").st_mode & 0o7777
        except FileNotFoundError:
            continue
        temporary += 1
        if mode & ~0o640:
            faults[f"a temporary file of mode {mode:o}"] += 1
slowly.join()
print(json.dumps({
    "seen": [seen[0], seen[1]], "slow": slow, "access": access, "faults": faults, "temporary": temporary,
}))
