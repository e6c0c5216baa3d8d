"""Give every file below / to the 65,536 ids from the argument on, whichever range it is in now. Run in the root.

It is what LXD does with the root of a container.
"""
import os
import stat
import sys

base = int(sys.argv[1])


def shift(path):
    found = os.lstat(path)
    if "security.capability" in os.listxattr(path, follow_symlinks=False):
        sys.exit(f"{path} has file capabilities, which would be lost")
    os.lchown(path, base + found.st_uid % 65536, base + found.st_gid % 65536)
    # chown(2) takes setuid and setgid away.
    if not stat.S_ISLNK(found.st_mode):
        os.chmod(path, stat.S_IMODE(found.st_mode))


shift("/")
for directory, directories, files in os.walk("/"):
    for name in directories + files:
        shift(os.path.join(directory, name))
