"""Stands in for a management cluster's API server: TLS, a client certificate, and one answer."""
import http.server
import json
import ssl

VERSION = {"major": "1", "minor": "31", "gitVersion": "v1.31.9+stand-in"}


class Api(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        known = self.path == "/version"
        body = json.dumps(VERSION if known else {"kind": "Status", "code": 404}).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("server.crt", "server.key")
context.load_verify_locations("ca.crt")
context.verify_mode = ssl.CERT_REQUIRED
server = http.server.ThreadingHTTPServer(("127.0.0.1", 6443), Api)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
