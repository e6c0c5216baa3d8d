"""Questions to the system Python, answered as one line of JSON on stdout.

Run by the charm as user magnum, with QUESTION ARG… as arguments:

where                     its version and user magnum's module path; run as user nobody with user magnum's HOME
driver DIR DIST ENTRY ARG…  loads the driver that lies in DIR (or, with "", the installed one)
verify DIST ENTRY ARGS    what `verify` asks, with a service's own arguments, a list in JSON
inventory ARG…            the effective configuration without secrets, distributions, drivers
client PATH               whether the driver's client takes the kubeconfig at PATH
reach PATH                with what HTTP status its management cluster answers that client
clusters DIST ARG…        [name, uuid] of each cluster whose driver is of the distribution DIST
proof DIR ENTRY SERVICE PATH TEXT ARG…  why SERVICE would not start with the driver in DIR (or, with "", the
                          installed one) and TEXT as the fragment at PATH; null if it would
"""
import importlib.metadata
import json
import sys

# The empty entry is the current directory, which no service has on its path.
sys.path[:] = [entry for entry in sys.path if entry]
# The program itself has been read from stdin.
sys.stdin = open("/dev/null")

# What asking Keystone may take: time, and bytes of an answer.
TRUST_SECONDS = 20
TRUST_BYTES = 2 << 20


def where():
    import platform
    import site
    import sysconfig

    purelib = sysconfig.get_path("purelib")
    path = list(sys.path)
    # User magnum's own directory comes first, also when it is made later.
    user_site = site.getusersitepackages()
    if user_site not in path:
        path.insert(path.index(purelib) if purelib in path else 0, user_site)
    return {
        "version": platform.python_version(),
        "site": purelib,
        "path": [entry for entry in path if not entry.endswith(".zip")],
    }


def requirements(distribution):
    """Each requirement that does not hold here, as (requirement, version found or None)."""
    try:
        from packaging.requirements import Requirement
        from packaging.specifiers import SpecifierSet
    except ImportError:
        from pip._vendor.packaging.requirements import Requirement
        from pip._vendor.packaging.specifiers import SpecifierSet
    from_metadata = distribution.metadata["Requires-Python"]
    gaps = []
    if from_metadata:
        running = "%d.%d.%d" % sys.version_info[:3]
        if not SpecifierSet(from_metadata).contains(running):
            gaps.append(["Python " + from_metadata, running])
    for text in distribution.requires or []:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            found = None
        if found is None or not requirement.specifier.contains(found, prereleases=True):
            gaps.append([str(requirement), found])
    return gaps


def entry_point(distribution, name):
    for found in distribution.entry_points:
        if (found.group, found.name) == ("magnum.drivers", name):
            return found
    raise LookupError("No 'magnum.drivers' driver found, looking for %r" % name)


def attempt(question):
    """A question's answer, or how it failed: one failing must not silence the others."""
    try:
        return {"answer": question()}
    except BaseException as error:  # a driver may raise anything at all
        cls = type(error)
        return {"error": "%s.%s: %s" % (cls.__module__, cls.__qualname__, error)}


def driver(directory, name, entry, *arguments):
    if directory:
        sys.path.insert(0, directory)
    distribution = importlib.metadata.distribution(name)
    gaps = requirements(distribution)
    options = []
    if not gaps:
        import magnum.conf
        from magnum.common import config

        # A driver may read the configuration while it is imported. A fault in the configuration is
        # none of the driver's: then it is tried without.
        if "error" in attempt(lambda: config.parse_args(["magnum"] + list(arguments))):
            config.parse_args(["magnum"])
        loaded = entry_point(distribution, entry).load()
        loaded().provides
        # Those that it has registered by being imported, and those that it still reads here though they have moved,
        # for which oslo.config has no question.
        groups = magnum.conf.CONF._groups.values()
        moved = [old for group in groups for found in group._opts.values() for old in found["opt"].deprecated_opts]
        options = sorted(set(magnum.conf.CONF.capi_helm) | {old.name for old in moved if old.group == "capi_helm"})
    return {"version": distribution.version, "missing": gaps, "options": options}


def kind(values):
    """A kind of cluster, by which Magnum finds its driver, for people."""
    return "(%s)" % ", ".join(map(str, values))


def verify(name, entry, arguments):
    found = {}

    def loads():
        distribution = importlib.metadata.distribution(name)
        cls = entry_point(distribution, entry).load()
        return {
            "version": distribution.version,
            "class": "%s.%s" % (cls.__module__, cls.__qualname__),
            "file": sys.modules[cls.__module__].__file__,
            "missing": requirements(distribution),
            "provides": [kind(made[key] for key in ("server_type", "os", "coe")) for made in cls().provides],
        }

    def configuration():
        import magnum.conf
        from magnum.common import config

        config.parse_args(["magnum"] + json.loads(arguments))
        found["conf"] = magnum.conf.CONF
        return True

    def effective():
        conf = found["conf"]
        options = {}
        for group, option in [("drivers", "disabled_drivers")] + [
            ("capi_helm", option) for option in conf.capi_helm
        ]:
            place = conf.get_location(option, group)
            options["%s.%s" % (group, option)] = {
                "value": getattr(conf[group], option),
                "from": place and place.detail,
            }
        return options

    def enabled():
        from magnum.drivers.common.driver import Driver

        serves = {point.name: [] for point, _ in Driver.load_entry_points()}
        # The map by which Magnum looks for a cluster's driver: of two for one kind it holds one.
        for served, by in Driver.get_drivers().items():
            serves[by["entry_point_name"]].append(kind(served))
        return serves

    def kubeconfig():
        with open(found["conf"].capi_helm.kubeconfig_file, "rb") as file:
            return len(file.read())

    return {
        "loads": attempt(loads),
        "conductor": {"configuration": attempt(configuration), "effective": attempt(effective)},
        "enabled": attempt(enabled),
        "kubeconfig": attempt(kubeconfig),
        "trust": trust(),
    }


class OverLimit(Exception):
    """Not an OSError, which urllib3 takes for an address out of reach, to try the next one."""


def trust():
    """What Keystone says to the trustee domain's administrator: one request for a token, which Magnum itself makes."""
    import io
    import signal

    def late(*_):
        raise OverLimit("no answer within %d s" % TRUST_SECONDS)

    def bounded(response, **_):
        body = response.raw.read(TRUST_BYTES + 1, decode_content=True)
        if len(body) > TRUST_BYTES:
            raise OverLimit("an answer of more than %d bytes" % TRUST_BYTES)
        response.raw = io.BytesIO(body)

    signal.signal(signal.SIGALRM, late)
    try:
        from magnum.common.keystone import KeystoneClientV3

        # Later than 2026.1, Magnum makes no trusts.
        if not hasattr(KeystoneClientV3, "domain_admin_auth"):
            return {"answer": "unused"}
        # Whose context it is matters to its other requests only.
        magnum = KeystoneClientV3(None)
        session = magnum.domain_admin_session
        session.session.hooks["response"].append(bounded)
        signal.alarm(TRUST_SECONDS)
        magnum.domain_admin_auth.get_access(session)
        return {"answer": "accepted"}
    except BaseException as error:
        status = getattr(error, "http_status", 0)
        return {"answer": {"refused": status}} if status in (401, 404) else {"error": without_answer(error)}
    finally:
        signal.alarm(0)


def without_answer(error):
    """An exception's class, and what the system says. Other texts may quote a server that was given a password."""
    import requests

    shown = type(error).__name__
    if getattr(error, "http_status", 0):
        return "%s, HTTP %d" % (shown, error.http_status)
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__
    is_ours = isinstance(error, (OverLimit, OSError)) and not isinstance(error, requests.RequestException)
    return ": ".join(dict.fromkeys([shown, str(error) if is_ours else type(error).__name__]))


def inventory(*arguments):
    import magnum.conf
    from magnum.common import config

    class Lines(list):
        """What oslo.config writes to a log: every option, with its own idea of what is secret."""

        def log(self, _level, message, *values):
            self.append(message % values if values else message)

    lines = Lines()
    config.parse_args(["magnum"] + list(arguments))
    distributions = list(importlib.metadata.distributions())
    points = [point for found in distributions for point in found.entry_points if point.group == "magnum.drivers"]
    for point in points:
        # A driver registers its options when it is imported.
        attempt(point.load)
    magnum.conf.CONF.log_opt_values(lines, 0)
    return {
        "configuration": lines,
        "distributions": sorted(
            "%s==%s %s" % (found.metadata["Name"], found.version, found.locate_file("")) for found in distributions
        ),
        "drivers": sorted({"%s = %s" % (point.name, point.value) for point in points}),
    }


def client(path):
    """Makes the driver's client of a kubeconfig, up to the first packet."""
    import requests
    from magnum_capi_helm import conf, kubernetes
    from urllib3.util import ssl_

    def make():
        session = kubernetes.Client.load()
        session.prepare_request(requests.Request("GET", session.server + "/version"))
        tls = ssl_.create_urllib3_context()
        if isinstance(session.verify, str):
            tls.load_verify_locations(session.verify)
        if session.cert:
            tls.load_cert_chain(*session.cert, password="")
        return True

    conf.CONF.set_override("kubeconfig_file", path, group="capi_helm")
    made = {}
    try:
        made["answer"] = make()
    except Exception as error:
        made["error"] = without_values(error)
    return {"version": importlib.metadata.version("magnum-capi-helm"), "client": made}


def reach(path):
    """Sends one request as the driver does. Of an exception only its class is passed on: addresses may hold passwords."""
    from magnum_capi_helm import conf, kubernetes

    conf.CONF.set_override("kubeconfig_file", path, group="capi_helm")
    try:
        answer = kubernetes.Client.load().get("/version", timeout=5, allow_redirects=False, stream=True)
        return {"answer": answer.status_code}
    except Exception as error:
        return {"error": type(error).__name__}


def without_values(error):
    """An exception's class and place. Its message may quote the kubeconfig, and is left out."""
    import traceback

    shown = type(error).__name__
    mark = getattr(error, "problem_mark", None)
    if mark:
        shown += ", line %d, column %d" % (mark.line + 1, mark.column + 1)
    # OpenSSL's name for what is wrong, a constant.
    if getattr(error, "reason", None) and hasattr(error, "library"):
        shown += ", %s" % error.reason
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame.line for frame in frames if "magnum_capi_helm" in frame.filename and frame.name != "load"]
    return shown + ": " + own[-1] if own else shown


def clusters(name, *arguments):
    from magnum import objects
    from magnum.common import config, context
    from magnum.drivers.common.driver import Driver

    config.parse_args(["magnum"] + list(arguments))
    points = importlib.metadata.distribution(name).entry_points
    modules = {point.value.split(":")[0] for point in points if point.group == "magnum.drivers"}
    admin = context.make_admin_context(all_tenants=True)
    ours = {}
    found = []
    for cluster in objects.Cluster.list(admin):
        template = cluster.cluster_template
        kind = (template.server_type, template.cluster_distro, template.coe)
        if kind not in ours:
            served = attempt(lambda: type(Driver.get_driver_for_cluster(admin, cluster)).__module__)
            ours[kind] = served.get("answer") in modules
        if ours[kind]:
            found.append([cluster.name, cluster.uuid])
    return found
