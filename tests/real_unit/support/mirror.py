"""An index and file server that goes wrong as the first part of the path says.

usage: mirror.py SHA256_OF_USER_COLON_PASSWORD; below /auth it asks for that user and password.
"""
import base64
import hashlib
import http.server
import json
import os
import pathlib
import sys
import time

WHEELS = pathlib.Path("/srv/index/simple/magnum-capi-helm")
MADE = pathlib.Path("/srv/made")


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        way, _, rest = self.path.lstrip("/").partition("/")
        if way == "never":
            time.sleep(3600)
        elif way.isdigit():
            self.send_error(int(way))
        elif way == "garbage":
            self.answer(os.urandom(4096), "application/octet-stream")
        elif way == "noise":
            self.answer(b"<html><p>Welcome to our portal \xff\xfe", "text/html")
        elif way == "auth" and not self.is_known():
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="mirror"')
            self.end_headers()
        elif way in ("made", "half-made"):
            name, _, rest = rest.partition("/")
            self.index(MADE / name, way, rest)
        else:
            self.index(WHEELS, way, rest)

    def index(self, directory, way, rest):
        name = rest.rsplit("/", 1)[-1]
        if not name.endswith((".whl", ".bin")):
            wheels = sorted(directory.glob("*.whl"))
            hashes = {wheel.name: hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels}
            if way == "lies":
                hashes = {wheel: "0" * 64 for wheel in hashes}
            if way == "json":
                files = [
                    {"filename": wheel, "url": wheel, "hashes": {"sha256": digest}}
                    for wheel, digest in hashes.items()
                ]
                page = {"meta": {"api-version": "1.0"}, "name": "magnum-capi-helm", "files": files}
                kind = "application/vnd.pypi.simple.v1+json"
                return self.answer(json.dumps(page).encode(), kind)
            announce = way not in ("cut", "made")
            links = "".join(
                '<a href="%s%s">%s</a>\n' % (wheel, "#sha256=" + digest if announce else "", wheel)
                for wheel, digest in hashes.items()
            )
            return self.answer(b"<!DOCTYPE html><html><body>" + links.encode(), "text/html")
        file = directory / name
        if not file.is_file():
            return self.send_error(404)
        content = file.read_bytes()
        half = content[: len(content) // 2]
        if way in ("half", "half-made"):
            self.answer(half, "application/octet-stream", len(content))
        else:
            self.answer(half if way == "cut" else content, "application/octet-stream")

    def is_known(self):
        kind, _, given = self.headers.get("Authorization", "").partition(" ")
        known = hashlib.sha256(base64.b64decode(given)).hexdigest() == sys.argv[1]
        return kind == "Basic" and known

    def answer(self, content, kind, length=None):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length or len(content)))
        self.end_headers()
        self.wfile.write(content)


http.server.ThreadingHTTPServer(("127.0.0.1", 8091), Handler).serve_forever()
