"""Authenticates as an API server does: the certificate first, then the token, else anonymous. In the directory of
the material, TLS with a client certificate that is asked for and judged only after the handshake; a second port
that knows only its name, one without TLS, and a proxy."""
import base64
import datetime
import http.server
import json
import socket
import socketserver
import threading

from cryptography import x509
from OpenSSL import SSL, crypto
from urllib3.contrib.pyopenssl import WrappedSocket

with open("ca.crt", "rb") as file:
    CA = crypto.load_certificate(crypto.FILETYPE_PEM, file.read())


def trusted(certificate, chain):
    store = crypto.X509Store()
    store.add_cert(CA)
    usage = x509.ExtendedKeyUsage
    try:
        crypto.X509StoreContext(store, certificate, chain).verify_certificate()
        known = certificate.to_cryptography().extensions.get_extension_for_class(usage).value
        return x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH in known
    except (crypto.X509StoreContextError, x509.ExtensionNotFound) as error:
        return isinstance(error, x509.ExtensionNotFound)


def known(token):
    with open("opaque") as file:
        if token == file.read():
            return True
    try:
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        return claims.get("exp", 2**40) > datetime.datetime.utcnow().timestamp()
    except (ValueError, IndexError):
        return False


class Api(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def status(self):
        path = self.path.removeprefix("/k8s/clusters/c-m-x7").partition("?")[0]
        status = self.who(path)
        return 404 if status == 200 and path not in ("/version", "/api/v1/namespaces/default/secrets") else status

    def who(self, path):
        tried = False
        peer = getattr(self.connection, "connection", None)
        certificate = peer.get_peer_certificate() if peer else None
        if certificate:
            tried = True
            if trusted(certificate, peer.get_peer_cert_chain()):
                return 200
        # As k8s.io/apiserver's bearertoken takes it apart.
        words = self.headers.get("Authorization", "").strip().split(" ", 2)
        if len(words) > 1 and words[0].lower() == "bearer" and words[1]:
            tried = True
            if known(words[1]):
                return 200
        if tried:
            return 401
        return 200 if path == "/version" else 403

    def do_GET(self):
        status = self.status()
        if status != 200:
            body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status,
                    "reason": {401: "Unauthorized", 403: "Forbidden", 404: "NotFound"}[status],
                    "message": {401: "Unauthorized", 403: "system:anonymous cannot", 404: "not found"}[status]}
        elif "/version" in self.path:
            body = {"major": "1", "minor": "31", "gitVersion": "v1.31.9"}
        else:
            body = {"kind": "SecretList", "apiVersion": "v1", "metadata": {}, "items": []}
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    context = None

    def finish_request(self, request, address):
        if self.context:
            request.settimeout(10)
            connection = SSL.Connection(self.context, request)
            connection.set_accept_state()
            request.setblocking(True)
            connection.do_handshake()
            request = WrappedSocket(connection, request)
        self.RequestHandlerClass(request, address, self)

    def shutdown_request(self, request):
        request.close()

    def handle_error(self, *_):
        pass


class Server6(Server):
    address_family = socket.AF_INET6


def context(name):
    made = SSL.Context(SSL.TLS_SERVER_METHOD)
    made.use_certificate_file(name + ".crt")
    made.use_privatekey_file(name + ".key")
    made.set_verify(SSL.VERIFY_PEER, lambda *_: True)
    made.set_session_id(b"management")
    made.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    return made


class Proxy(socketserver.StreamRequestHandler):
    def handle(self):
        target = self.rfile.readline().split()[1].decode()
        while self.rfile.readline().strip():
            pass
        host, port = target.rsplit(":", 1)
        far = socket.create_connection((host, int(port)))
        self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")

        def carry(source, sink):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        back = threading.Thread(target=carry, args=(far, self.connection), daemon=True)
        back.start()
        carry(self.connection, far)
        back.join()


servers = [Server(("127.0.0.1", 6443), Api), Server6(("::1", 6443), Api), Server(("127.0.0.1", 6444), Api)]
for server, name in zip(servers, ("server", "server", "named")):
    server.context = context(name)
servers.append(Server(("127.0.0.1", 6480), Api))
socketserver.ThreadingTCPServer.daemon_threads = True
servers.append(socketserver.ThreadingTCPServer(("127.0.0.1", 3128), Proxy))
for server in servers[1:]:
    threading.Thread(target=server.serve_forever, daemon=True).start()
servers[0].serve_forever()
