"""A management cluster that knows its version, and nothing else. Asks for a client certificate."""
import http.server
import json
import ssl


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        known = self.path == "/version"
        body = json.dumps({"gitVersion": "v1.31.9"} if known else {}).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("server.crt", "server.key")
context.load_verify_locations("ca.crt")
context.verify_mode = ssl.CERT_REQUIRED
server = http.server.ThreadingHTTPServer(("127.0.0.1", 6443), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
