

# A part of the program, after python.py: whether a service would start.

# How long a service may take to start, in seconds.
START_LIMIT = 20
# The longest file that a start may write, in bytes.
LONGEST_FILE = 8 << 20
# How much of what a start prints is looked at, in bytes.
LONGEST_OUTPUT = 4000


def proof(directory, entry, service, path, text, *arguments):
    """Starts a service as it would start with the fragment, up to where it would serve, and has Magnum load its
    drivers then. Every try is a process of its own: a driver may end it, or never come back."""
    import importlib
    import os
    import shutil
    import tempfile

    from oslo_config import cfg

    if directory:
        sys.path.insert(0, directory)
    place = os.path.dirname(path)
    main = importlib.import_module("magnum.cmd." + service).main
    # Of a directory that this user cannot enter, the services read nothing.
    listed = sorted(os.listdir(place)) if os.access(place, os.R_OK | os.X_OK) else []
    others = [name for name in listed if name.endswith(".conf")]
    others = [name for name in others if name != os.path.basename(path)]

    def attempt_start(private, without_options=(), without_files=()):
        """Why it does not start."""
        for name in others:
            if name not in without_files:
                os.symlink(os.path.join(place, name), os.path.join(private, name))
        fragment = os.path.join(private, os.path.basename(path))
        with open(fragment, "w") as file:
            file.write(text)
        sections = {}
        cfg.ConfigParser(fragment, sections).parse()
        for group, option in without_options:
            del sections[group][option]
        with open(fragment, "w") as file:
            file.write(written(sections))
        # oslo.config reads this directory without being told to, too.
        found = cfg.find_config_dirs
        cfg.find_config_dirs = lambda *names: [private if path == place else path for path in found(*names)]
        starts(service, main, [argument.replace(place, private) for argument in arguments])
        return unread(fragment, sections, entry)

    def refusal(**without):
        private = tempfile.mkdtemp(prefix="magnum-capi-helm-")
        try:
            refused = in_a_process(lambda: attempt_start(private, **without))
        finally:
            shutil.rmtree(private, ignore_errors=True)
        if refused:
            refused["reason"] = refused["reason"].replace(private, place)
        return refused

    refused = refusal()
    if refused and not refused.get("option") and not refused.get("hangs"):
        # What it starts without is to blame.
        sections = {}
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(text)
            file.flush()
            cfg.ConfigParser(file.name, sections).parse()
        options = [(group, option) for group in sections for option in sections[group] if option not in OWN_OPTIONS]
        if options and not refusal(without_options=options):
            alone = [option for option in options if not refusal(without_options=[option])]
            refused["option"] = alone[0] if alone else options[0]
        else:
            alone = [name for name in others if not refusal(without_files=[name])]
            refused["file"] = os.path.join(place, alone[0]) if alone else None
    return refused


# Those that the charm sets, whatever the operator asks for. No Magnum registers the first.
OWN_OPTIONS = ("enabled_drivers", "disabled_drivers", "kubeconfig_file")


def written(sections):
    """The text of a fragment."""
    lines = []
    for group, options in sections.items():
        lines.append("[%s]" % group)
        for option, values in options.items():
            # The parser has taken one pair of quotes off.
            lines.append('%s = "%s"' % (option, values[-1]) if values[-1] else "%s =" % option)
    return "\n".join(lines) + "\n"


def in_a_process(question):
    """The answer of a process of its own, or how it ended."""
    import os
    import resource
    import signal
    import tempfile

    read, write = os.pipe()
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if not child:
            signal.alarm(START_LIMIT)
            resource.setrlimit(resource.RLIMIT_FSIZE, (LONGEST_FILE, LONGEST_FILE))
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            answer = attempt(question)
            os.write(write, json.dumps(answer.get("answer") or answer.get("error")).encode())
            os._exit(0)
        os.close(write)
        with open(read, "rb") as pipe:
            printed = pipe.read()
        status = os.waitpid(child, 0)[1]
        output.seek(max(0, output.seek(0, os.SEEK_END) - LONGEST_OUTPUT))
        lines = output.read().decode(errors="replace").split("\n")
    answer = json.loads(printed) if printed else ""
    if not isinstance(answer, str):
        return answer
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM:
        return {"reason": "it has not started after %d s" % START_LIMIT, "hangs": True}
    if os.WIFSIGNALED(status):
        answer = "signal %d ends it" % os.WTERMSIG(status)
    elif not answer:
        answer = "it ends with exit code %d" % os.WEXITSTATUS(status)
    # What a program that ends itself has to say is what it printed last.
    last = [line.strip() for line in lines if line.strip()][-1:] if "SystemExit" in answer or not printed else []
    return {"reason": ": ".join(last + [answer])[:LONGEST_OUTPUT]}


def starts(service, main, arguments):
    """Runs a service's program up to where it would serve."""
    import os

    import oslo_log.log
    import oslo_service.service
    import werkzeug.serving

    class Serves(BaseException):
        pass

    def serve(*_arguments, **_more):
        raise Serves

    def set_up(conf, *rest, **more):
        if conf.log_file:
            open(os.path.join(conf.log_dir or "", conf.log_file), "a").close()
        # What it logs here is not for the service's own log.
        for option, nothing in (("log_file", None), ("log_dir", None), ("use_syslog", False), ("use_journal", False)):
            conf.set_override(option, nothing)
        real_set_up(conf, *rest, **more)

    real_set_up, oslo_log.log.setup = oslo_log.log.setup, set_up
    oslo_service.service.launch = werkzeug.serving.run_simple = serve
    sys.argv = ["/usr/bin/magnum-" + service] + arguments
    try:
        main()
    except Serves:
        return
    raise RuntimeError("it ends before it serves")


def unread(fragment, sections, entry):
    """The first option of the fragment that Magnum, with its drivers loaded, does not read as it stands."""
    import magnum.conf
    from magnum.drivers.common.driver import Driver

    conf = magnum.conf.CONF
    enabled = [point.name for point, _ in Driver.load_entry_points()]
    Driver.get_drivers()
    if entry not in enabled:
        return {"reason": "Magnum's loader does not enable %s" % entry}
    # An option that has moved is read under its new name, and located where it stands.
    located = set()
    for group in conf:
        try:
            options = list(conf[group])
        except Exception:  # an option of [DEFAULT], and maybe one that is not valid
            continue
        for option in options if hasattr(conf[group], "items") else []:
            found = conf.get_location(option, group)
            if found and found.detail == fragment:
                located.add(option)
    for group, option in [(group, option) for group in sections for option in sections[group]]:
        if option == "enabled_drivers":
            continue
        name = option.replace("-", "_")
        values = conf if group == "DEFAULT" else conf[group] if group in conf else {}
        try:
            if name in values:
                values[name]
            elif name not in located:
                return {"option": (group, option), "reason": "nothing in Magnum or the driver reads it"}
        except Exception as error:
            return {"option": (group, option), "reason": str(error)}
    return None
