"""The API server of the stand-in: TLS, who is asking, and how the cluster behaves today.

As with a real one the handshake asks for a client certificate and accepts whatever comes: what is
expired, foreign or not for clients gets 401 afterwards. Python's `ssl` cannot do that, OpenSSL's own
binding can.
"""
import base64
import http.server
import io
import json
import os
import pathlib
import socket
import time
import uuid

from OpenSSL import SSL

import answers

HERE = pathlib.Path(__file__).parent
PORT = 6443
# Which certificate is presented, by the cluster's mode; in every other mode its own.
PRESENTED = {"presents-strangers-certificate": "stranger", "presents-expired-certificate": "expired"}


def behaviour():
    """How the cluster is to behave now. The file is overwritten in place, so it may be half there."""
    for _ in range(50):
        try:
            return json.loads((HERE / "behaviour.json").read_bytes())
        except ValueError:
            time.sleep(0.01)
    raise SystemExit("behaviour.json is no JSON")


def note_fault(connection, _certificate, error, _depth, ok):
    if not ok:
        connection.get_app_data().append(error)
    return True


def make_context(name):
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.use_certificate_chain_file(str(HERE / f"{name}.crt"))
    context.use_privatekey_file(str(HERE / f"{name}.key"))
    context.load_verify_locations(str(HERE / "ca.crt"))
    context.load_client_ca(str(HERE / "ca.crt").encode())
    context.set_verify(SSL.VERIFY_PEER, note_fault)
    # A resumed session would not be verified again.
    context.set_options(SSL.OP_NO_TICKET)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_alpn_select_callback(
        lambda _, offered: b"http/1.1" if b"http/1.1" in offered else SSL.NO_OVERLAPPING_PROTOCOLS
    )
    return context


CONTEXTS = {name: make_context(name) for name in ("server", "stranger", "expired")}


class Stream(io.RawIOBase):
    """What http.server wants of a connection."""

    def __init__(self, connection):
        self.tls = connection

    def readable(self):
        return True

    def writable(self):
        return True

    def readinto(self, buffer):
        try:
            return self.tls.recv_into(buffer)
        except SSL.Error:
            return 0

    def write(self, content):
        try:
            self.tls.sendall(bytes(content))
        except SSL.Error as error:
            raise ConnectionError(str(error)) from None
        return len(content)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        # As a real server's connections, which are Go's.
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        mode = behaviour()["mode"]
        self.connection, self.rfile, self.wfile = None, io.BytesIO(), io.BytesIO()
        if mode == "silent":
            self.wait_while(mode)
        elif mode != "closes":
            self.mode = mode
            connection = SSL.Connection(CONTEXTS[PRESENTED.get(str(mode), "server")], self.request)
            connection.set_app_data([])
            connection.set_accept_state()
            try:
                connection.do_handshake()
            except SSL.Error:
                return
            self.connection = connection
            stream = Stream(connection)
            self.rfile, self.wfile = io.BufferedReader(stream), stream

    def finish(self):
        if self.connection:
            try:
                self.connection.shutdown()
            except SSL.Error:
                pass

    def serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        today = behaviour()
        mode = today["mode"]
        if mode in ("silent", "closes") or PRESENTED.get(str(mode)) != PRESENTED.get(str(self.mode)):
            # The connection is older than what now befalls the cluster.
            self.wait_while("silent")
            self.close_connection = True
            return
        user = self.authenticate(today)
        request = answers.Request(self.command, self.path, self.headers, body, user, today)
        if mode == "stalls":
            self.note(user, None)
            self.wait_while(mode)
            self.close_connection = True
            return
        if isinstance(mode, dict):
            code, content = answers.plain_status(mode["answers-with"])
        elif not user:
            code, content = answers.plain_status(401)
        else:
            code, content = answers.answer(request)
        self.note(user, code)
        self.reply(code, content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = serve

    def authenticate(self, today):
        """Name and groups of the client; None when its credentials are no good."""
        certificate = self.connection.get_peer_certificate()
        token = bearer(self.headers)
        if certificate and not self.connection.get_app_data():
            parts = certificate.get_subject().get_components()
            name = next((value for key, value in parts if key == b"CN"), b"")
            groups = [value.decode() for key, value in parts if key == b"O"]
            return name.decode(), groups + ["system:authenticated"]
        if token:
            for known in today["tokens"]:
                if known["token"] == token and not is_over(token):
                    return known["user"], known["groups"] + ["system:authenticated"]
        elif not certificate:
            return "system:anonymous", ["system:unauthenticated"]
        return None

    def note(self, user, code):
        entry = {"method": self.command, "path": self.path, "user": user and user[0], "status": code}
        log = os.open(HERE / "requests", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(log, json.dumps(entry).encode() + b"\n")
        os.close(log)

    def reply(self, code, content):
        if isinstance(content, bytes):
            kind, body = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf", content
        elif isinstance(content, str):
            kind, body = "text/plain; charset=utf-8", content.encode()
        else:
            kind, body = "application/json", json.dumps(content).encode() + b"\n"
        self.send_response_only(code)
        self.send_header("Audit-Id", str(uuid.uuid4()))
        self.send_header("Cache-Control", "no-cache, private")
        self.send_header("Content-Type", kind)
        self.send_header("Date", self.date_time_string())
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def wait_while(self, mode):
        while behaviour()["mode"] == mode:
            time.sleep(0.1)

    def log_message(self, *_):
        """The request log is the one of `note`."""


def bearer(headers):
    """The token of a request, taken apart as k8s.io/apiserver does it: the second word and no other."""
    words = headers.get("Authorization", "").strip().split(" ", 2)
    return words[1] if len(words) > 1 and words[0].lower() == "bearer" else ""


def is_over(token):
    """Whether a token is a JWT whose time is over."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return claims["exp"] <= time.time()
    except (IndexError, KeyError, TypeError, ValueError):
        return False


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 64


answers.STORE.open(HERE / "objects.json")
# All addresses: the unit has none but its loopback's, and one that is not in the certificate is of use.
server = Server(("", PORT), Handler)
(HERE / "ready").touch()
server.serve_forever()
