"""Runs a command once for each file of a directory: `each.py DIRECTORY NAMES COMMAND…`, with FILE for the file.
NAMES are those of the files, comma-separated, or `all`. Prints JSON: by the name of each file the exit code, stdout and stderr."""
import concurrent.futures
import json
import os
import subprocess
import sys

directory, names, *command = sys.argv[1:]
names = sorted(os.listdir(directory)) if names == "all" else names.split(",")


def ask(name):
    words = [os.path.join(directory, name) if word == "FILE" else word for word in command]
    run = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=300)
    return name, [run.returncode, run.stdout, run.stderr]


with concurrent.futures.ThreadPoolExecutor(3) as pool:
    print(json.dumps(dict(pool.map(ask, names))))
