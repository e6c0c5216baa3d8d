"""Harms parts of the graft at random and waits until each is as it was. One JSON line per drift.

Arguments: how many, the seed, the site directory, the files, comma-separated.
"""

import hashlib
import json
import os
import random
import shutil
import stat
import subprocess
import sys
import time

COUNT, SEED, SITE, FILES = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4].split(",")
DRIVER = [os.path.join(SITE, name) for name in os.listdir(SITE) if name.startswith("magnum_capi_helm")]
DIRECTORIES = sorted({os.path.dirname(path) for path in FILES if "override.conf" in path or "conf.d" in path})
SERVICES = ["magnum-api", "magnum-conductor"]
# A conductor that is stopped while it starts takes 15 s.
PATIENCE = 600
chance = random.Random(SEED)


def look(path, whole=None):
    """Kind, owner, mode and content of whatever is there; without its content when the rest is not as
    `whole` has it: hashing helm takes longer than putting it right."""
    try:
        meta = os.lstat(path)
        if not stat.S_ISREG(meta.st_mode):
            return (stat.S_IFMT(meta.st_mode), meta.st_uid, meta.st_gid, stat.S_IMODE(meta.st_mode))
        content = None
        known = (stat.S_IFREG, meta.st_uid, meta.st_gid, stat.S_IMODE(meta.st_mode))
        if whole is not None and known != whole[:4]:
            return known
        if meta.st_size < 1 << 20 or meta.st_size == BIG.get(path):
            with open(path, "rb") as file:
                content = hashlib.sha256(file.read()).hexdigest()
        return (*known, content)
    except OSError as error:
        return type(error).__name__


BIG = {path: os.path.getsize(path) for path in FILES}


def tree(paths):
    found = {}
    for path in paths:
        found[path] = look(path)
        if stat.S_ISDIR(found[path][0]) if isinstance(found[path], tuple) else False:
            for directory, directories, names in os.walk(path):
                directories[:] = [name for name in directories if name != "__pycache__"]
                for name in names + directories:
                    inside = os.path.join(directory, name)
                    found[inside] = look(inside)
    return found


def driver():
    names = [name for name in os.listdir(SITE) if name.startswith("magnum_capi_helm")]
    return tree(os.path.join(SITE, name) for name in names)


def main_pids():
    shown = subprocess.run(
        ["systemctl", "show", "--property=MainPID", "--value", *SERVICES],
        capture_output=True, text=True, check=True,
    )
    return shown.stdout.split()


def at_rest():
    """Whether no run of the guard is under way or waits, such as the one that sees what a restart has read."""
    running = ["list-units", "--state=activating,active,deactivating", "magnum-capi-helm-guard*.service"]
    shown = [
        subprocess.run(["systemctl", *words, "--no-legend"], capture_output=True, text=True, check=True).stdout
        for words in (running, ["list-jobs"])
    ]
    return not shown[0] and "magnum" not in shown[1]


def have_read_it():
    """Whether both services have read their configuration: then they hold their socket and their database."""
    try:
        return all(len(os.listdir("/proc/%s/fd" % pid)) >= 8 for pid in main_pids())
    except OSError:
        return False


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)


def append(path):
    with open(path, "ab") as file:
        file.write(b"# mine\n")


def another(path):
    beside = os.path.join("/root", "another")
    with open(beside, "w") as file:
        file.write("another\n")
    shutil.move(beside, path)


def link(path):
    shutil.copy2(path, "/root/copy")
    os.remove(path)
    os.symlink("/root/copy", path)


def dangle(path):
    remove(path)
    os.symlink("/nowhere", path)


def directory(path):
    remove(path)
    os.mkdir(path)
    open(os.path.join(path, "inside"), "w").close()


def away(path):
    os.rename(path, path + ".away")


def a_file(path):
    remove(path)
    open(path, "w").close()


HARM = {
    "deleted": os.remove,
    "appended to": append,
    "emptied": lambda path: open(path, "w").close(),
    "another moved over it": another,
    "mode": lambda path: os.chmod(path, 0o666),
    "owner": lambda path: os.chown(path, 65534, 65534),
    "a link to a copy": link,
    "a link to nowhere": dangle,
    "a directory": directory,
}
HARM_TO_DIRECTORIES = {
    "removed": shutil.rmtree,
    "moved away": away,
    "a file": a_file,
    "a link to nowhere": dangle,
}


def pick(number):
    """What is harmed, how, and how all of it looks from outside: first the driver, later anything."""
    if number == 0 or chance.random() < 0.05:
        files = [path for path in driver() if os.path.isfile(path)]
        return chance.choice(files), HARM, lambda _=None: driver()
    if chance.random() < 0.1:
        path = chance.choice(DIRECTORIES)
        return path, HARM_TO_DIRECTORIES, lambda _=None: tree([path])
    path = chance.choice(FILES)
    return path, HARM, lambda whole=None: look(path, whole)


for number in range(COUNT):
    path, kinds, seen = pick(number)
    kind = chance.choice(list(kinds))
    whole, pids = seen(), main_pids()
    began = time.monotonic()
    try:
        kinds[kind](path)
    except OSError:
        pass  # Put right in the middle of it.
    while seen(whole) != whole and time.monotonic() - began < PATIENCE:
        time.sleep(0.001)
    seconds = time.monotonic() - began
    if seconds >= PATIENCE:
        sys.exit("%s of %s is still there after %d s" % (kind, path, seconds))
    time.sleep(chance.random() * 0.2)
    is_driver = path.startswith(SITE)
    if is_driver:
        # It is loaded anew: a drift in the middle of that would say nothing of the guard, and Magnum that does not find
        # its conf.d ends.
        until = time.monotonic() + PATIENCE
        while any(pid in ["0", *pids] for pid in main_pids()) or not have_read_it() or not at_rest():
            if time.monotonic() > until:
                sys.exit("the services have not been restarted")
            time.sleep(0.2)
    restarted = [name for name, old, new in zip(SERVICES, pids, main_pids()) if old != new]
    remove(path + ".away")
    print(json.dumps({"path": path, "harm": kind, "seconds": round(seconds, 4),
                      "driver": is_driver, "restarted": restarted}), flush=True)
