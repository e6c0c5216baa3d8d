"""Fill Keystone as charm-keystone and charm-magnum do, through its own API, in this process.

The catalogue, the account of Magnum, its trustee domain (what charm-magnum's action `domain-setup` makes),
and a tenant with an account. Run as user keystone, after `keystone-manage bootstrap`.
"""
import sys

sys.argv = ["keystone-wsgi-public"]
from keystone.server.wsgi import initialize_public_application  # noqa: E402

from werkzeug.test import Client  # noqa: E402

# Where the lab's stand-in answers for the services that are not here.
STAND_IN = "http://localhost:8774"
ENDPOINTS = {
    "image": {"public": f"{STAND_IN}/image"},
    "compute": {"public": f"{STAND_IN}/compute/v2.1"},
    "network": {"public": f"{STAND_IN}/network"},
    "volumev3": {"public": f"{STAND_IN}/volume/v3"},
    # The internal one is where the stand-in can get in between.
    "container-infra": {"public": "http://localhost:9501/v1", "internal": f"{STAND_IN}/magnum/v1"},
}

client = Client(initialize_public_application())
token = None


def call(method, path, body=None):
    headers = {"X-Auth-Token": token} if token else {}
    answer = client.open(f"/v3{path}", method=method, json=body, headers=headers)
    if answer.status_code >= 300:
        raise SystemExit(f"{method} {path}: {answer.status}: {answer.get_data(as_text=True)}")
    return answer


def make(kind, **fields):
    return call("POST", f"/{kind}s", {kind: fields}).get_json()[kind]["id"]


admin = {"name": "admin", "domain": {"id": "default"}, "password": "lab-admin-password"}
scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
identity = {"methods": ["password"], "password": {"user": admin}}
answer = call("POST", "/auth/tokens", {"auth": {"identity": identity, "scope": scope}})
token = answer.headers["X-Subject-Token"]

roles = {role["name"]: role["id"] for role in call("GET", "/roles").get_json()["roles"]}

for kind, endpoints in ENDPOINTS.items():
    service = make("service", type=kind, name=kind)
    for interface, url in endpoints.items():
        make("endpoint", service_id=service, interface=interface, url=url, region_id="RegionOne")

services = make("domain", name="service_domain")
project = make("project", name="services", domain_id=services)
user = make("user", name="magnum", password="lab-magnum-password", domain_id=services)
call("PUT", f"/projects/{project}/users/{user}/roles/{roles['admin']}")

trustees = make("domain", name="magnum")
user = make("user", name="magnum_domain_admin", password="lab-trustee-password", domain_id=trustees)
call("PUT", f"/domains/{trustees}/users/{user}/roles/{roles['admin']}")

tenants = make("domain", name="tenants")
project = make("project", name="smoke", domain_id=tenants)
for name, role in (("smoker", "member"), ("onlooker", "reader")):
    user = make("user", name=name, password=f"lab-{name}-password", domain_id=tenants)
    call("PUT", f"/projects/{project}/users/{user}/roles/{roles[role]}")
