"""The services of a cloud that the unit does not have: images, flavors and keypairs, networks, volume types, as far
as Magnum and the driver ask for them. It never plays Keystone or Magnum: those are real, and what goes to
/keystone or /magnum is handed on to the real API, except for the faults that a test asks for. It answers over
TLS too.

behaviour.json: {"faults": [{"method", "path" (an expression), "status", "body", "times" (-1: always)}]}
"""
import http.client
import http.server
import json
import pathlib
import re
import ssl
import threading
import time
import urllib.parse

HERE = pathlib.Path(__file__).parent
PORT, SECURE_PORT = 8774, 8443
REAL = {"magnum": 9501, "keystone": 5000}

IMAGES = [
    {"id": "11111111-1111-4111-8111-111111111111", "name": "noble-amd64", "status": "active", "os_distro": "ubuntu",
     "kube_version": "v1.31.4"},
    {"id": "22222222-2222-4222-8222-222222222222", "name": "no-distro", "status": "active"},
    {"id": "33333333-3333-4333-8333-333333333333", "name": "no-version", "status": "active", "os_distro": "ubuntu"},
    {"id": "44444444-4444-4444-8444-444444444444", "name": "coreos", "status": "active",
     "os_distro": "fedora-coreos", "kube_version": "v1.31.4"},
]
FLAVORS = [
    {"id": "1", "name": "capi-mgmt-node", "ram": 4096, "vcpus": 2, "disk": 20},
    {"id": "2", "name": "tiny", "ram": 512, "vcpus": 1, "disk": 1},
]
KEYPAIR = {"name": "capi-workload-key", "type": "ssh", "public_key": "ssh-ed25519 AAAA", "fingerprint": "0"}
NETWORKS = [
    {"id": "55555555-5555-4555-8555-555555555555", "name": "ext_net", "router:external": True},
    {"id": "66666666-6666-4666-8666-666666666666", "name": "private", "router:external": False},
]
SCHEMA = {
    "name": "image",
    "properties": {"id": {"type": "string"}, "name": {"type": ["null", "string"]}, "status": {"type": "string"}},
    "additionalProperties": {"type": "string"},
}


def behaviour():
    for _ in range(50):
        try:
            return json.loads((HERE / "behaviour.json").read_bytes())
        except ValueError:
            time.sleep(0.01)
    raise SystemExit("behaviour.json is no JSON")


USED = {}


def image(path, query):
    if path == "/v2/schemas/image":
        return 200, SCHEMA
    if path == "/v2/images":
        name = query.get("name")
        return 200, {"images": [one for one in IMAGES if name in (None, one["name"])]}
    for one in IMAGES:
        if path == f"/v2/images/{one['id']}":
            return 200, one
    return 404, "<html><body><h1>404 Not Found</h1>No image found with that ID</body></html>"


def compute(path, query):
    if path == "/v2.1/flavors/detail":
        least = int(query.get("minRam", 0))
        return 200, {"flavors": [one for one in FLAVORS if one["ram"] >= least]}
    if path == f"/v2.1/os-keypairs/{KEYPAIR['name']}":
        return 200, {"keypair": KEYPAIR}
    name = path.rpartition("/")[2]
    return 404, {"itemNotFound": {"code": 404, "message": f"Keypair {name} not found for user"}}


def network(path, query):
    if path == "/v2.0/networks":
        external = query.get("router:external")
        wanted = [one for one in NETWORKS if external in (None, str(one["router:external"]))]
        name = query.get("name")
        return 200, {"networks": [one for one in wanted if name in (None, one["name"])]}
    if path == "/v2.0/subnets":
        return 200, {"subnets": []}
    return 404, {"NeutronError": {"type": "HTTPNotFound", "message": "not here", "detail": ""}}


def volume(path, _):
    if path == "/v3/types":
        return 200, {"volume_types": [{"id": "7", "name": "standard", "is_public": True}]}
    return 404, {"itemNotFound": {"code": 404, "message": "not here"}}


SERVICES = {"image": image, "compute": compute, "network": network, "volume": volume}


class Handler(http.server.BaseHTTPRequestHandler):
    def serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.fault()
        if fault:
            self.reply(fault["status"], fault["body"])
            return
        path, _, query = self.path.partition("?")
        _, service, rest = path.split("/", 2)
        if service in REAL:
            self.hand_on(REAL[service], self.path[len(service) + 1:], body)
        elif not self.headers.get("X-Auth-Token"):
            self.reply(401, {"error": {"code": 401, "message": "no token"}})
        elif service in SERVICES:
            query = dict(urllib.parse.parse_qsl(query))
            self.reply(*SERVICES[service](f"/{rest}", query))
        else:
            self.reply(404, "nothing here")

    do_GET = do_POST = do_DELETE = do_PATCH = do_HEAD = serve

    def fault(self):
        for number, fault in enumerate(behaviour()["faults"]):
            key = (number, fault["method"], fault["path"])
            times = fault["times"]
            if fault["method"] == self.command and re.search(fault["path"], self.path):
                if times < 0 or USED.get(key, 0) < times:
                    USED[key] = USED.get(key, 0) + 1
                    return fault
        return None

    def hand_on(self, port, path, body):
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        real = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        real.request(self.command, path, body, headers)
        answer = real.getresponse()
        content = answer.read()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def reply(self, code, content):
        is_text = isinstance(content, str)
        body = content.encode() if is_text else json.dumps(content).encode()
        self.send_response_only(code)
        if 300 <= code < 400:
            self.send_header("Location", content)
        self.send_header("Content-Type", "text/html" if is_text else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """The tests have no use for it."""


plain, secure = (http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler) for port in (PORT, SECURE_PORT))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(HERE / "tls.pem", HERE / "tls.key")
secure.socket = context.wrap_socket(secure.socket, server_side=True)
threading.Thread(target=secure.serve_forever, daemon=True).start()
(HERE / "ready").touch()
plain.serve_forever()
