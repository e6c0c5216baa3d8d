"""The objects of the cluster: kept in memory, written down so that a restart does not lose them.

What a client of Kubernetes can tell from a real store: 404 and 409 where they are due, resource
versions, label selectors, server-side apply that makes what is not there. No controller looks at them; what one
would say of a cluster is added when it is read, if the behaviour has controllers.
"""
import base64
import copy
import datetime
import json
import re
import threading
import uuid

import yaml

import protobuf

# By API group: the kind of each resource, and whether it lives in a namespace.
KINDS = {
    "": {
        "namespaces": ("Namespace", False),
        "nodes": ("Node", False),
        "secrets": ("Secret", True),
        "configmaps": ("ConfigMap", True),
        "services": ("Service", True),
        "serviceaccounts": ("ServiceAccount", True),
        "pods": ("Pod", True),
        "events": ("Event", True),
    },
    "apps": {"deployments": ("Deployment", True), "daemonsets": ("DaemonSet", True)},
    "batch": {"jobs": ("Job", True), "cronjobs": ("CronJob", True)},
    "apiextensions.k8s.io": {"customresourcedefinitions": ("CustomResourceDefinition", False)},
    "rbac.authorization.k8s.io": {
        "clusterroles": ("ClusterRole", False),
        "clusterrolebindings": ("ClusterRoleBinding", False),
        "roles": ("Role", True),
        "rolebindings": ("RoleBinding", True),
    },
    "authentication.k8s.io": {"selfsubjectreviews": ("SelfSubjectReview", False)},
    "authorization.k8s.io": {"selfsubjectaccessreviews": ("SelfSubjectAccessReview", False)},
    "cluster.x-k8s.io": {
        "clusters": ("Cluster", True),
        "machines": ("Machine", True),
        "machinesets": ("MachineSet", True),
        "machinedeployments": ("MachineDeployment", True),
        "machinehealthchecks": ("MachineHealthCheck", True),
    },
    "controlplane.cluster.x-k8s.io": {"kubeadmcontrolplanes": ("KubeadmControlPlane", True)},
    "bootstrap.cluster.x-k8s.io": {
        "kubeadmconfigs": ("KubeadmConfig", True),
        "kubeadmconfigtemplates": ("KubeadmConfigTemplate", True),
    },
    "infrastructure.cluster.x-k8s.io": {
        "openstackclusters": ("OpenStackCluster", True),
        "openstackmachines": ("OpenStackMachine", True),
        "openstackmachinetemplates": ("OpenStackMachineTemplate", True),
    },
    "addons.stackhpc.com": {
        "manifests": ("Manifests", True),
        "helmreleases": ("HelmRelease", True),
    },
    "addons.cluster.x-k8s.io": {"clusterresourcesets": ("ClusterResourceSet", True)},
}
MERGES = ("application/merge-patch+json", "application/strategic-merge-patch+json")
APPLY = "application/apply-patch+yaml"


class Refusal(Exception):
    def __init__(self, code, body):
        super().__init__(code)
        self.code, self.body = code, body


def status(code, reason, message, details=None):
    found = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
    return found if details is None else {**found, "details": details}


def refuse(code, reason, request, message):
    details = {"name": request.name, "group": request.group, "kind": request.resource}
    details = {key: value for key, value in details.items() if value}
    raise Refusal(code, status(code, reason, message, details))


def parse(request):
    """The object that was sent: JSON, YAML, or protobuf."""
    try:
        if request.content_type == protobuf.MEDIA_TYPE:
            posted = protobuf.decode_secret(request.body)
        elif request.content_type.endswith("json"):
            posted = json.loads(request.body)
        else:
            posted = yaml.safe_load(request.body)
    except (ValueError, IndexError, KeyError, yaml.YAMLError):
        posted = None
    if not isinstance(posted, dict):
        message = "the object provided is unrecognized: couldn't get version/kind"
        raise Refusal(400, status(400, "BadRequest", message))
    return posted


class Store:
    def __init__(self):
        self.lock = threading.Lock()
        self.revision = 1000
        self.objects = {}
        for name in ("default", "kube-system", "kube-public", "capi-system", "capo-system"):
            self.put(("", "namespaces", "", name), {"metadata": {"name": name}})

    def open(self, file):
        self.file = file
        if file.exists():
            self.revision, kept = json.loads(file.read_bytes())
            self.objects = {tuple(key): found for key, found in kept}

    def answer(self, request, may_create):
        namespaced = KINDS[request.group][request.resource][1]
        namespace = request.namespace if namespaced else ""
        key = (request.group, request.resource, namespace, request.name)
        with self.lock:
            if request.method in ("GET", "HEAD"):
                return self.read(request, key)
            if request.method == "DELETE":
                code, found = self.delete(request, key)
            else:
                code, found = self.write(request, key, parse(request), may_create)
            kept = [[list(key), found] for key, found in self.objects.items()]
            self.file.write_text(json.dumps([self.revision, kept]))
            return code, found

    def read(self, request, key):
        if request.verb == "watch":
            return 200, ""
        if request.name:
            return 200, self.shown(request, self.get(request, key))
        group, resource, namespace, _ = key
        found = [
            self.shown(request, self.objects[key])
            for key in sorted(self.selected(request, group, resource, namespace))
        ]
        metadata = {"resourceVersion": str(self.revision)}
        if "." in group and not group.endswith(".k8s.io"):
            # Lists of custom resources have it always, others only when there is more.
            metadata["continue"] = ""
        listed = {"kind": KINDS[group][resource][0] + "List", "apiVersion": version_of(request)}
        return 200, {**listed, "metadata": metadata, "items": found}

    def write(self, request, key, posted, may_create):
        group, resource, namespace, name = key
        metadata = posted.setdefault("metadata", {})
        kind = KINDS[group][resource][0]
        whole = request.method != "PATCH" or request.content_type == APPLY
        given = (posted.get("kind"), posted.get("apiVersion"))
        if whole and given != (kind, version_of(request)):
            message = f"the kind or apiVersion in the data {given} does not match the expected ones"
            refuse(400, "BadRequest", request, message)
        if request.method == "POST":
            if not metadata.get("name") and metadata.get("generateName"):
                metadata["name"] = metadata["generateName"] + uuid.uuid4().hex[:5]
            name = request.name = metadata.get("name", "")
            if not name:
                refuse(422, "Invalid", request, f"{kind}: metadata.name: Required value")
            key = (group, resource, namespace, name)
            if key in self.objects:
                message = f'{qualified(request)} "{name}" already exists'
                refuse(409, "AlreadyExists", request, message)
            return 201, self.shown(request, self.make(request, key, posted))
        if request.method == "PATCH" and request.content_type == APPLY and key not in self.objects:
            may_create()
            return 201, self.shown(request, self.make(request, key, posted))
        found = self.get(request, key)
        if metadata.get("resourceVersion", found["metadata"]["resourceVersion"]) != found["metadata"][
            "resourceVersion"
        ]:
            message = (
                f'Operation cannot be fulfilled on {qualified(request)} "{name}": the object has been '
                "modified; please apply your changes to the latest version and try again"
            )
            refuse(409, "Conflict", request, message)
        if request.method == "PUT":
            changed = posted
        elif request.content_type in (*MERGES, APPLY):
            changed = merged(found, posted)
        else:
            message = "the body of the request was in an unknown format - accepted media types include: "
            refuse(415, "UnsupportedMediaType", request, message + ", ".join((*MERGES, APPLY)))
        for field in ("uid", "creationTimestamp"):
            changed["metadata"][field] = found["metadata"][field]
        return 200, self.shown(request, self.put(key, changed))

    def make(self, request, key, posted):
        namespace = key[2]
        if namespace and ("", "namespaces", "", namespace) not in self.objects:
            details = {"name": namespace, "kind": "namespaces"}
            message = f'namespaces "{namespace}" not found'
            raise Refusal(404, status(404, "NotFound", message, details))
        return self.put(key, posted)

    def put(self, key, found):
        group, resource, namespace, name = key
        self.revision += 1
        metadata = found.setdefault("metadata", {})
        metadata["name"] = name
        if namespace:
            metadata["namespace"] = namespace
        metadata.setdefault("uid", str(uuid.uuid4()))
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata.setdefault("creationTimestamp", now)
        metadata["resourceVersion"] = str(self.revision)
        if resource == "namespaces":
            metadata.setdefault("labels", {})["kubernetes.io/metadata.name"] = name
            found["status"] = {"phase": "Active"}
        if resource == "secrets":
            data = found.setdefault("data", {}) or {}
            for field, text in (found.pop("stringData", None) or {}).items():
                data[field] = base64.b64encode(text.encode()).decode()
            found["data"] = data
            found.setdefault("type", "Opaque")
        self.objects[key] = found
        return found

    def delete(self, request, key):
        _, resource, _, name = key
        if name:
            gone = {key: self.get(request, key)}
        else:
            keys = self.selected(request, *key[:3])
            gone = {key: self.objects[key] for key in keys}
        for key in gone:
            del self.objects[key]
            if resource == "namespaces":
                inside = [inner for inner in self.objects if inner[2] == key[3]]
                for inner in inside:
                    del self.objects[inner]
        self.revision += 1
        done = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
        return 200, {**done, "details": {"name": name, "kind": resource}}

    def get(self, request, key):
        if key not in self.objects:
            refuse(404, "NotFound", request, f'{qualified(request)} "{request.name}" not found')
        return self.objects[key]

    def selected(self, request, group, resource, namespace):
        labels, fields = request.query.get("labelSelector"), request.query.get("fieldSelector")
        name = re.fullmatch(r"metadata\.name==?(.+)", fields or "")
        return [
            key
            for key, found in self.objects.items()
            if key[:2] == (group, resource)
            and namespace in ("", key[2])
            and (not name or name[1] == key[3])
            and has_labels(found["metadata"].get("labels") or {}, labels or "")
        ]

    def shown(self, request, found):
        kind = KINDS[request.group][request.resource][0]
        said = reconciled(kind, found, request.today["controllers"])
        return {**copy.deepcopy(found), **said, "kind": kind, "apiVersion": version_of(request)}


def reconciled(kind, found, controllers):
    """What the controllers of Cluster API and its addons say of an object that is as it should be."""
    if controllers not in ("finish", "fail-addons"):
        return {}
    spec = found.get("spec") or {}
    replicas = spec.get("replicas", 1)
    counts = {name: replicas for name in ("replicas", "updatedReplicas", "readyReplicas")}
    addon = "Failed" if controllers == "fail-addons" else "Deployed"
    said = {
        "Cluster": {
            "phase": "Provisioned",
            "conditions": true_of("InfrastructureReady", "ControlPlaneReady", "Ready"),
        },
        "KubeadmControlPlane": {
            **counts,
            "version": spec.get("version"),
            "conditions": true_of(
                "MachinesReady", "Ready", "EtcdClusterHealthy", "ControlPlaneComponentsHealthy"
            ),
        },
        "MachineDeployment": {**counts, "phase": "Running"},
        "Manifests": {"phase": addon},
        "HelmRelease": {"phase": addon},
    }
    return {"status": said[kind]} if kind in said else {}


def true_of(*conditions):
    return [{"type": name, "status": "True"} for name in conditions]


def qualified(request):
    return f"{request.resource}.{request.group}" if request.group else request.resource


def version_of(request):
    return f"{request.group}/{request.version}" if request.group else request.version


def merged(found, patch):
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(found) if isinstance(found, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def has_labels(labels, selector):
    """Whether labels meet a selector: `a=b,c!=d,e in (f,g),!h`."""
    for term in filter(None, re.split(r",(?![^(]*\))", selector)):
        among = re.fullmatch(r"\s*(\S+)\s+(in|notin)\s+\((.*)\)\s*", term)
        pair = re.fullmatch(r"\s*([^!=\s]+)\s*(!=|==|=)\s*(\S*)\s*", term)
        if among:
            values = [value.strip() for value in among[3].split(",")]
            good = (labels.get(among[1]) in values) == (among[2] == "in")
        elif pair:
            good = (labels.get(pair[1]) == pair[3]) == (pair[2] != "!=")
        else:
            name = term.strip()
            good = name[1:] not in labels if name.startswith("!") else name in labels
        if not good:
            return False
    return True


STORE = Store()
