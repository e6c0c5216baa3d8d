"""What the API answers: discovery, who am I, may I, and the objects that it keeps in memory.

Codes, reasons and messages are those of kube-apiserver 1.31.
"""
import datetime
import re
import urllib.parse

from objects import KINDS, STORE, Refusal, parse, status

VERSION = {
    "major": "1",
    "minor": "31",
    "gitVersion": "v1.31.9",
    "gitTreeState": "clean",
    "platform": "linux/amd64",
}
REASONS = {
    400: ("BadRequest", "the server rejected our request for an unknown reason"),
    401: ("Unauthorized", "Unauthorized"),
    403: ("Forbidden", "forbidden"),
    429: ("TooManyRequests", "the server has received too many requests, please try again later"),
    500: ("InternalError", "Internal error occurred: etcdserver: request timed out"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
}
PUBLIC = ("/version", "/version/", "/healthz", "/livez", "/readyz")
DISCOVERY = ("/api", "/apis", "/openapi")
NOT_FOUND = (404, "404 page not found\n")
REVIEWS = ("selfsubjectreviews", "selfsubjectaccessreviews")


class Request:
    """One request, taken apart as the API server does it."""

    def __init__(self, method, path, headers, body, user, today):
        path, _, query = path.partition("?")
        # As behind Rancher, whose clusters are paths of one server.
        path = re.sub(r"^/k8s/clusters/[^/]+", "", path)
        self.method, self.path, self.body, self.today = method, path, body, today
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        self.content_type = (headers.get("Content-Type") or "application/json").partition(";")[0]
        self.user, self.groups = user or (None, [])
        parts = [urllib.parse.unquote(part) for part in path.strip("/").split("/")]
        self.group = self.version = self.namespace = self.name = self.subresource = ""
        self.resource = None
        if parts[0] == "api" and len(parts) > 2:
            self.version, rest = parts[1], parts[2:]
        elif parts[0] == "apis" and len(parts) > 3:
            self.group, self.version, rest = parts[1], parts[2], parts[3:]
        else:
            return
        if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
            self.namespace, rest = rest[1], rest[2:]
        elif rest[0] == "namespaces" and len(rest) > 1:
            self.namespace = rest[1]
        self.resource, self.name, self.subresource = (rest + ["", ""])[:3]

    @property
    def verb(self):
        one = bool(self.name)
        if self.method in ("GET", "HEAD"):
            if self.query.get("watch") in ("1", "true"):
                return "watch"
            return "get" if one else "list"
        if self.method == "DELETE":
            return "delete" if one else "deletecollection"
        return {"POST": "create", "PUT": "update", "PATCH": "patch"}[self.method]

    def attributes(self, verb=None):
        return {
            "verb": verb or self.verb,
            "group": self.group,
            "resource": self.resource,
            "subresource": self.subresource,
            "namespace": self.namespace,
            "name": self.name,
        }


def plain_status(code):
    reason, message = REASONS.get(code, ("", "unknown"))
    return code, status(code, reason, message)


def answer(request):
    try:
        if request.resource is None:
            return non_resource(request)
        authorize(request, request.verb)
        if request.version not in served(request).get(request.group, []):
            return NOT_FOUND
        if request.resource in REVIEWS:
            return review(request)
        if request.resource not in KINDS.get(request.group, {}):
            return NOT_FOUND
        return STORE.answer(request, lambda: authorize(request, "create"))
    except Refusal as refusal:
        return refusal.code, refusal.body


def served(request):
    return {"": ["v1"], **request.today["groups"]}


# Who may do what.


def authorize(request, verb):
    attributes = request.attributes(verb)
    if allows(request, attributes):
        return
    what = request.resource + (f"/{request.subresource}" if request.subresource else "")
    kind = f"{request.resource}.{request.group}" if request.group else request.resource
    name = f' "{request.name}"' if request.name else ""
    where = f'in the namespace "{request.namespace}"' if request.namespace else "at the cluster scope"
    message = (
        f'{kind}{name} is forbidden: User "{request.user}" cannot {verb} resource "{what}" '
        f'in API group "{request.group}" {where}'
    )
    details = {"name": request.name, "group": request.group, "kind": request.resource}
    details = {key: value for key, value in details.items() if value}
    raise Refusal(403, status(403, "Forbidden", message, details))


def allows(request, attributes):
    """Why an access to a resource is allowed, as RBAC says it; None when it is not."""
    if "system:masters" in request.groups:
        return "system:masters"
    authenticated = "system:authenticated" in request.groups
    if authenticated and attributes["resource"] in REVIEWS and attributes["verb"] == "create":
        return 'RBAC: allowed by ClusterRoleBinding "system:basic-user" of ClusterRole "system:basic-user"'
    subresource = attributes.get("subresource")
    resource = attributes.get("resource", "")
    wanted = f"{resource}/{subresource}" if subresource else resource
    for rule in rules_of(request):
        if (
            matches(rule["verbs"], attributes.get("verb", ""))
            and matches(rule["api_groups"], attributes.get("group", ""))
            and (matches(rule["resources"], wanted) or f"*/{subresource}" in rule["resources"])
            and (not rule["namespace"] or rule["namespace"] == attributes.get("namespace", ""))
        ):
            return f'RBAC: allowed by a binding to "{rule["subject"]}"'
    return None


def allows_path(request, path, verb):
    if "system:masters" in request.groups or path in PUBLIC:
        return True
    if "system:authenticated" in request.groups and verb in ("get", "head"):
        if any(path == root or path.startswith(root + "/") for root in DISCOVERY):
            return True
    return any(
        matches(rule["verbs"], verb)
        and any(
            path == url or url.endswith("*") and path.startswith(url[:-1])
            for url in rule["non_resource_urls"]
        )
        for rule in rules_of(request)
    )


def rules_of(request):
    mine = [request.user, *request.groups]
    return [rule for rule in request.today["rules"] if rule["subject"] in mine]


def matches(allowed, wanted):
    return "*" in allowed or wanted in allowed


# Who am I, and may I.


def review(request):
    if request.method != "POST":
        message = "the server does not allow this method on the requested resource"
        return 405, status(405, "MethodNotAllowed", message)
    posted = parse(request)
    kind = KINDS[request.group][request.resource][0]
    group_version = f"{request.group}/{request.version}"
    if posted.get("kind", kind) != kind or posted.get("apiVersion", group_version) != group_version:
        message = f"the object provided is unrecognized (must be of type {kind})"
        return 400, status(400, "BadRequest", message)
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    answered = {"kind": kind, "apiVersion": group_version, "metadata": {"creationTimestamp": now}}
    if request.resource == "selfsubjectreviews":
        who = {"username": request.user, "groups": request.groups}
        return 201, {**answered, "status": {"userInfo": who}}
    spec = posted.get("spec") or {}
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if (resource is None) == (path is None):
        message = (
            f'{kind}.{request.group} "" is invalid: spec.resourceAttributes: Invalid value: "null": '
            "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        )
        return 422, status(422, "Invalid", message)
    if path is not None:
        why = allows_path(request, path.get("path", ""), path.get("verb", "")) and "RBAC: allowed"
    else:
        why = allows(request, {"verb": "", "resource": "", **resource})
    verdict = {"allowed": True, "reason": why} if why else {"allowed": False}
    return 201, {**answered, "spec": spec, "status": verdict}


# Discovery.


def non_resource(request):
    path = request.path
    verb = request.method.lower()
    if not allows_path(request, path, verb):
        message = f'forbidden: User "{request.user}" cannot {verb} path "{path}"'
        return 403, status(403, "Forbidden", message, {})
    if request.method not in ("GET", "HEAD"):
        return NOT_FOUND
    groups = served(request)
    parts = path.strip("/").split("/")
    if parts == ["version"]:
        return 200, VERSION
    if path in PUBLIC:
        return 200, "ok"
    if parts == ["openapi", "v2"]:
        # A document without schemas, as protobuf: helm wants it, and then has nothing to check against.
        return 200, b""
    if parts == ["api"]:
        addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1:6443"}]
        listed = {"kind": "APIVersions", "versions": ["v1"]}
        return 200, {**listed, "serverAddressByClientCIDRs": addresses}
    if parts == ["apis"]:
        listed = [api_group(name, versions) for name, versions in groups.items() if name and versions]
        return 200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}
    if parts[0] == "apis" and len(parts) == 2 and groups.get(parts[1]):
        return 200, {"kind": "APIGroup", "apiVersion": "v1", **api_group(parts[1], groups[parts[1]])}
    if parts[0] in ("api", "apis"):
        group, version = ("", parts[1]) if parts[0] == "api" else (parts[1], parts[-1])
        if version in groups.get(group, []):
            return 200, resource_list(group, version)
    return NOT_FOUND


def api_group(name, versions):
    listed = [
        {"groupVersion": f"{name}/{version}", "version": version}
        for version in sorted(versions, key=priority)
    ]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def priority(version):
    """Kubernetes' order of versions: stable ones, betas, alphas; the newest of each first."""
    found = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if not found:
        return (3, 0, 0, version)
    major, stage, minor = found.groups()
    return ({None: 0, "beta": 1, "alpha": 2}[stage], -int(major), -int(minor or 0), version)


def resource_list(group, version):
    resources = [
        {
            "name": name,
            "singularName": kind.lower(),
            "namespaced": namespaced,
            "kind": kind,
            "verbs": ["create"]
            if name in REVIEWS
            else "create delete deletecollection get list patch update watch".split(),
        }
        for name, (kind, namespaced) in KINDS.get(group, {}).items()
    ]
    group_version = f"{group}/{version}" if group else version
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": resources,
    }
