"""What helm makes of each kubeconfig: `helm.py DIRECTORY`, as user magnum where the services run. The driver runs
helm with the very same file. Prints JSON: for each file "200", or what helm said."""
import concurrent.futures
import json
import os
import subprocess
import sys

directory = sys.argv[1]


def ask(name):
    command = ["/usr/local/bin/helm", "list", "--namespace=default", "--kubeconfig", os.path.join(directory, name)]
    try:
        run = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=30)
    except subprocess.TimeoutExpired:
        return name, "no answer in 30 s"
    return name, "200" if run.returncode == 0 else run.stderr.strip()


with concurrent.futures.ThreadPoolExecutor(2) as pool:
    print(json.dumps(dict(pool.map(ask, sorted(os.listdir(directory))))))
