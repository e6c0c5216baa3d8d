//! `cargo xtask bench`: what the charm costs a unit, measured on one.
//!
//! Three questions: what does a hook cost that finds nothing to do, of which Juju runs hundreds a day; how much
//! longer than pip alone does the charm take for the first installation; and how much longer than its one Python
//! process does `verify` take?

mod memory;
mod series;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use lab::{Exec, HookRun, ManagementCluster, Unit};

use crate::lab::{Lab, PRINCIPAL, require_root};
use crate::screen::Screen;
use crate::workspace::Workspace;
use series::Series;

/// Hooks with nothing to do.
const RUNS: usize = 50;
/// Verifications.
const VERIFICATIONS: usize = 10;
/// First installations.
const INSTALLATIONS: usize = 5;
/// What the charm may add to pip's time.
const INSTALLATION_LIMIT: Duration = Duration::from_secs(1);
/// How long `verify` may take, and how many times as long as its Python process.
const VERIFY_LIMIT: Duration = Duration::from_secs(4);
const VERIFY_FACTOR: f64 = 1.5;
/// What `driver-pin` is by default, and what pip is given.
const PIN: &str = "magnum-capi-helm==1.1.0";

/// Runs the benchmark.
///
/// # Errors
///
/// When something cannot be made ready, a hook fails or has something to do, or a limit is passed.
pub fn run(workspace: &Workspace) -> Result<()> {
    require_root("bench")?;
    let screen = Screen::of_stdout();
    screen.chapter("Making ready");
    let lab = Lab::ready(workspace)?;
    let machine = lab.boot()?;
    let kubeconfig = ManagementCluster::start(&machine)?.kubeconfig();
    let mut application = lab.application()?;
    let unit = application.add_unit(machine, PRINCIPAL)?;

    screen.chapter(&format!(
        "First installation of {PIN}, with no kubeconfig yet: {INSTALLATIONS} times each"
    ));
    screen.say("In turn, after one round that does not count; about half a minute.");
    screen.output(&installation(&unit)?);

    for run in unit.deploy()? {
        run.expect_ok()?;
    }
    let secret = application.add_secret("capi-mgmt", &[("kubeconfig", &kubeconfig)])?;
    application.grant(&secret)?;
    application.set_config(&[("kubeconfig", secret.as_ref())])?;
    unit.hook("config-changed")?.expect_ok()?;
    let (status, message) = unit.status();
    ensure!(status == "active", "the unit is {status}: {message}");

    screen.chapter(&format!(
        "A hook with nothing to do: update-status on a grafted unit, {RUNS} times"
    ));
    screen.say("About ten seconds.");
    screen.output(&converged(&unit)?);

    screen.chapter(&format!("verify on a grafted unit, {VERIFICATIONS} times"));
    screen.say("About a minute.");
    screen.output(&verification(&unit)?);
    Ok(())
}

/// The action `verify` beside the one Python process that it starts, in turn.
fn verification(unit: &Unit) -> Result<String> {
    const PROGRAM: &str = "/run/questions.py";
    let machine = unit.machine();
    machine.push(
        PROGRAM,
        include_bytes!("../../../src/unit/python.py"),
        0o644,
    )?;
    let question = format!(
        "setpriv --reuid magnum --regid magnum --init-groups env PYTHONDONTWRITEBYTECODE=1 python3 {PROGRAM} verify \
         magnum-capi-helm k8s_capi_helm_v1 \
         '[\"--config-file=/etc/magnum/magnum.conf\", \"--config-dir=/etc/magnum/magnum.conf.d\"]'"
    );
    // Services that have just started are watched for longer.
    std::thread::sleep(Duration::from_secs(6));
    let (mut whole, mut python) = (Series::default(), Series::default());
    for round in 0..=VERIFICATIONS {
        let start = Instant::now();
        machine.shell(&question)?;
        let alone = start.elapsed();
        let start = Instant::now();
        unit.action("verify", &serde_json::json!({}))?;
        if round > 0 {
            python.push(alone);
            whole.push(start.elapsed());
        }
    }
    let factor = whole.median().as_secs_f64() / python.median().as_secs_f64();
    ensure!(
        factor <= VERIFY_FACTOR && whole.median() < VERIFY_LIMIT,
        "verify takes {:?}, {factor:.2} times as long as its Python process",
        whole.median()
    );
    Ok([
        Series::heading(),
        whole.row("the action, from its start to its end"),
        python.row("its Python process alone"),
        format!("the action takes {factor:.2} times as long, by the medians"),
    ]
    .join("\n"))
}

/// The charm's install hook beside pip alone, in turn.
fn installation(unit: &Unit) -> Result<String> {
    let (mut hook, mut pip) = (Series::default(), Series::default());
    for round in 0..=INSTALLATIONS {
        let start = Instant::now();
        unit.machine().shell(&format!(
            "PIP_BREAK_SYSTEM_PACKAGES=1 pip3 install --quiet --no-deps --root-user-action=ignore {PIN}"
        ))?;
        let bare = start.elapsed();
        unit.machine().shell(
            "PIP_BREAK_SYSTEM_PACKAGES=1 pip3 uninstall --quiet --yes --root-user-action=ignore magnum-capi-helm",
        )?;
        let run = unit.hook("install")?.expect_ok()?;
        unit.hook("stop")?.expect_ok()?;
        // The first round fills the caches of the disk.
        if round > 0 {
            pip.push(bare);
            hook.push(run.wall);
        }
    }
    let added = hook.median().saturating_sub(pip.median());
    ensure!(
        added < INSTALLATION_LIMIT,
        "the charm adds {added:?} to what pip alone takes"
    );
    Ok([
        Series::heading(),
        hook.row("the install hook: pip, the look at the wheel, loading the driver"),
        pip.row("pip install --no-deps alone"),
        format!(
            "the charm adds {:.2} s, by the medians",
            added.as_secs_f64()
        ),
    ]
    .join("\n"))
}

/// Hooks on a unit where all is well.
fn converged(unit: &Unit) -> Result<String> {
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        runs.push(quiet_hook(unit)?);
    }
    let tools = runs.first().map_or(0, |run| run.tools.len());
    if runs.iter().any(|run| run.tools.len() != tools) {
        bail!("not every run called {tools} hook tools");
    }
    let count = u32::try_from(tools).context("that many hook tools")?;
    let call = one_tool_call(unit)?;
    let in_tools = call.median() * count;

    let walls: Series = runs.iter().map(|run| run.wall).collect();
    let rest: Series = runs
        .iter()
        .map(|run| run.wall.saturating_sub(in_tools))
        .collect();
    let agent: Series = runs
        .iter()
        .map(|run| run.tools.iter().map(|call| call.elapsed).sum::<Duration>())
        .collect();
    let mut empty = Series::default();
    for _ in 0..RUNS {
        empty.push(unit.hook("collect-metrics")?.expect_ok()?.wall);
    }
    let programs = programs(unit)?;
    let peak = memory::peak_of_hook(unit, "update-status")?;
    Ok([
        Series::heading(),
        walls.row("the hook, from its start to its end"),
        rest.row(&format!(
            "  without its {tools} hook tools: the charm itself"
        )),
        String::new(),
        call.row("one hook tool: its start and the way to the agent and back"),
        agent.row(&format!("the agent's own time for {tools} hook tools")),
        empty.row("a hook that the charm has no use for: the lab's way into the unit"),
        String::new(),
        format!(
            "programs started, the charm's own first: {}",
            programs.len()
        ),
        programs
            .iter()
            .map(|line| format!("  {line}"))
            .collect::<Vec<_>>()
            .join("\n"),
        format!("peak memory of the charm's process: {:.1} MB", peak),
    ]
    .join("\n"))
}

/// One hook, which must find nothing to do.
fn quiet_hook(unit: &Unit) -> Result<HookRun> {
    let run = unit.hook("update-status")?.expect_ok()?;
    ensure!(
        run.log.is_empty(),
        "it had something to do: {}",
        run.describe()
    );
    Ok(run)
}

/// A hook tool in a context that the agent does not know: it takes the whole way, and the agent does nothing.
fn one_tool_call(unit: &Unit) -> Result<Series> {
    const CALLS: u32 = 10;
    let tag = format!("unit-{}", unit.name().replace('/', "-"));
    let script = format!(
        "export JUJU_CONTEXT_ID=none JUJU_AGENT_SOCKET_ADDRESS=/var/lib/juju/agents/{tag}/agent.socket\n\
         start=$(date +%s%N)\n\
         for call in $(seq {CALLS}); do /var/lib/juju/tools/{tag}/config-get 2>/dev/null || true; done\n\
         echo $(($(date +%s%N) - start))"
    );
    (0..RUNS)
        .map(|_| {
            let printed = unit.machine().shell(&script)?;
            let nanoseconds = printed.trim().parse().context("the time of ten calls")?;
            Ok(Duration::from_nanos(nanoseconds) / CALLS)
        })
        .collect()
}

/// The command lines of all programs that one hook starts.
fn programs(unit: &Unit) -> Result<Vec<String>> {
    let (run, execs) = unit.hook_traced("update-status")?;
    run.expect_ok()?;
    let line = |exec: &Exec| {
        let name = exec.path.rsplit('/').next().unwrap_or_default();
        let arguments = exec.argv.get(1..).unwrap_or_default().join(" ");
        format!("{name} {arguments}").trim_end().to_owned()
    };
    Ok(execs.iter().map(line).collect())
}
