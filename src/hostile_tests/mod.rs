//! What an input from outside may cost at most, whatever its shape: [`TIME`], [`MEMORY`] and [`DISK`]. Every shape is
//! taken in by a process of its own, so that its peak is its own, and so that one that aborts is seen. `HOSTILE_ONLY`
//! names the kind, or a part of `KIND: SHAPE`, whose costs are then all shown.

mod chart;
mod helm;
mod index;
mod kubeconfig;
mod magnum;
mod make;
mod management;
mod options;
mod record;
mod server;
mod tools;
mod wheel;

use std::collections::BTreeMap;
use std::env;
use std::io::Write;
use std::os::unix::fs::MetadataExt as _;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::sys::resource::{Resource, UsageWho, getrusage, setrlimit};
use nix::sys::time::TimeValLike as _;

use crate::problem::{Problem, or_problem};
use crate::system::testing::Scratch;
use crate::system::{Root, System};

/// Of the processor, in an unoptimised build: other tests run beside these.
const TIME: Duration = Duration::from_secs(5);
/// Until the end, besides what a shape is waited for.
const WALL: Duration = Duration::from_secs(30);
/// In bytes, with the test program itself.
const MEMORY: u64 = 64 << 20;
/// In bytes, all that is written, even if it is removed again.
const DISK: u64 = 100_000_000;
/// A process that takes longer than this is ended, in seconds of CPU time.
const MOST_CPU: u64 = 60;
const AT_ONCE: usize = 3;
/// The fewest shapes of a kind.
const FEWEST: usize = 20;

static KINDS: [Kind; 10] = [
    wheel::KIND,
    record::KIND,
    chart::KIND,
    helm::KIND,
    kubeconfig::KIND,
    index::KIND,
    management::KIND,
    options::KIND,
    tools::KIND,
    magnum::KIND,
];

/// A kind of input.
pub struct Kind {
    name: &'static str,
    shapes: fn() -> Vec<Shape>,
    /// Takes an input in as a hook does; says why it is refused, if it is, by a [`Problem`].
    take_in: fn(&Unit) -> Result<()>,
}

/// Puts an input on the unit, or returns the server of it.
type Make = dyn Fn(&Scratch) -> Option<server::Respond> + Send + Sync;

/// One input.
pub struct Shape {
    name: &'static str,
    make: Box<Make>,
    /// How long the charm waits for a sender that is slow on purpose; with short limits, if they can be passed in.
    waits: Duration,
}

impl Shape {
    /// A file, at [`INPUT`].
    pub fn file(name: &'static str, make: impl Fn() -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::tree(name, move |scratch| scratch.put(INPUT, make()))
    }

    /// Whatever is to be on the unit.
    pub fn tree(name: &'static str, make: impl Fn(&Scratch) + Send + Sync + 'static) -> Self {
        let make = move |scratch: &Scratch| {
            make(scratch);
            None
        };
        Self { name, make: Box::new(make), waits: Duration::ZERO }
    }

    /// The bytes of a server, by the path that it is asked for.
    pub fn served(
        name: &'static str,
        respond: impl Fn(&str, &mut dyn Write) -> std::io::Result<()> + Clone + Send + Sync + 'static,
    ) -> Self {
        let make = move |_: &Scratch| Some(Box::new(respond.clone()) as server::Respond);
        Self { name, make: Box::new(make), waits: Duration::ZERO }
    }

    pub fn waiting(self, waits: Duration) -> Self {
        Self { waits, ..self }
    }
}

/// The unit that takes an input in.
pub struct Unit {
    root: Root,
    /// Of the server, if there is one.
    port: Option<u16>,
    /// Whether the sender is slow on purpose.
    waits: bool,
}

impl Unit {
    fn system(&self, play: impl Fn(&crate::system::Command) -> Option<String> + Send + Sync + 'static) -> System {
        System::new(self.root.clone(), crate::system::testing::Programs::new(play))
    }
}

/// Says that an input is refused in order, where no [`Problem`] says so itself. Any other error is a fault: it would fail
/// a hook for as long as the input is there.
pub fn refused(why: impl ToString) -> anyhow::Error {
    Problem::notice("refused", why.to_string()).into()
}

pub const INPUT: &str = "/input";
const KIND: &str = "HOSTILE_KIND";
const ROOT: &str = "HOSTILE_ROOT";
const PORT: &str = "HOSTILE_PORT";
const WAITS: &str = "HOSTILE_WAITS";
/// How the names of shapes begin that are not refused.
const GOOD: &str = "good";
const TAKEN_IN: &str = "taken in";
/// How an outcome begins that fails a hook.
const FAULT: &str = "fault: ";
/// Stands before and after what a process says of its cost.
const MARK: &str = "\u{1}cost\u{1}";

#[derive(Debug)]
struct Cost {
    wall: Duration,
    time: Duration,
    memory: u64,
    disk: u64,
    outcome: String,
}

#[test]
fn no_shape_of_any_kind_of_input_costs_more_than_its_budget() {
    let only = env::var("HOSTILE_ONLY").unwrap_or_default();
    let all: Vec<(&Kind, Shape)> =
        KINDS.iter().flat_map(|kind| (kind.shapes)().into_iter().map(move |shape| (kind, shape))).collect();
    for kind in &KINDS {
        assert!(all.iter().filter(|(of, _)| of.name == kind.name).count() >= FEWEST, "{}", kind.name);
    }
    let asked = all.iter().filter(|(kind, shape)| format!("{}: {}", kind.name, shape.name).contains(&only));
    let (working, waiting): (Vec<_>, Vec<_>) = asked.partition(|(_, shape)| shape.waits.is_zero());
    let (next, costs) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let seen = &costs;
    std::thread::scope(|scope| {
        for (kind, shape) in &waiting {
            scope.spawn(move || {
                let cost = measure(kind, shape);
                seen.lock().unwrap().push((kind.name, shape, cost));
            });
        }
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((kind, shape)) = working.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let cost = measure(kind, shape);
                    seen.lock().unwrap().push((kind.name, shape, cost));
                }
            });
        }
    });
    let costs = costs.into_inner().unwrap();
    let excess = |(kind, shape, cost): &(&str, &Shape, Result<Cost, String>)| {
        let is_within = cost.as_ref().is_ok_and(|cost| {
            let is_expected = match shape.name.starts_with(GOOD) {
                true => cost.outcome == TAKEN_IN,
                false => !cost.outcome.starts_with(FAULT),
            };
            // Whoever sends without end keeps the receiver busy for as long as that waits.
            let is_in_time = cost.time <= TIME.max(shape.waits) && cost.wall <= WALL + shape.waits;
            is_expected && is_in_time && cost.memory <= MEMORY && cost.disk <= DISK
        });
        (!is_within).then(|| format!("{kind}: {}: {cost:?}", shape.name))
    };
    let excesses: Vec<String> = costs.iter().filter_map(excess).collect();
    if !only.is_empty() {
        costs.iter().for_each(|(kind, shape, cost)| eprintln!("{kind}: {}: {cost:?}", shape.name));
    }
    report(&costs);
    assert!(excesses.is_empty(), "{}", excesses.join("\n"));
}

/// Prints the worst of each kind.
fn report(costs: &[(&str, &Shape, Result<Cost, String>)]) {
    let mut kinds: BTreeMap<&str, Vec<(&str, &Cost)>> = BTreeMap::new();
    for (kind, shape, cost) in costs.iter().filter(|(_, shape, _)| shape.waits.is_zero()) {
        if let Ok(cost) = cost {
            kinds.entry(*kind).or_default().push((shape.name, cost));
        }
    }
    for (kind, costs) in kinds {
        let worst = |of: fn(&Cost) -> u64| costs.iter().max_by_key(|(_, cost)| of(cost)).unwrap();
        let (slow, large, wide) =
            (worst(|cost| cost.time.as_millis() as u64), worst(|cost| cost.memory), worst(|cost| cost.disk));
        eprintln!(
            "{kind}: {} shapes; {:.2} s ({}); {} MiB ({}); {} MB written ({})",
            costs.len(),
            slow.1.time.as_secs_f64(),
            slow.0,
            large.1.memory >> 20,
            large.0,
            wide.1.disk / 1_000_000,
            wide.0
        );
    }
}

/// Lets a process take an input in; says why if that cannot be had.
fn measure(kind: &Kind, shape: &Shape) -> Result<Cost, String> {
    let measured = panic::catch_unwind(AssertUnwindSafe(|| run(kind, shape)));
    measured.unwrap_or_else(|panicked| Err(format!("panicked: {:?}", panicked.downcast_ref::<String>())))
}

fn run(kind: &Kind, shape: &Shape) -> Result<Cost, String> {
    let scratch = Scratch::new();
    let server = (shape.make)(&scratch).map(|respond| server::start(kind.name == management::KIND.name, respond));
    let before = on_disk(&scratch.path("/"));
    let path = format!("{}:{}", scratch.path("/bin").display(), env::var("PATH").unwrap());
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "hostile_tests::one_shape", "--nocapture", "--test-threads=1"]);
    command.envs([(KIND, kind.name), ("PATH", path.as_str())]).env(ROOT, scratch.path("/"));
    if let Some(server) = &server {
        command.env(PORT, server.port.to_string());
    }
    if !shape.waits.is_zero() {
        command.env(WAITS, "1");
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let Some(cost) = said.split(MARK).nth(1) else {
        return Err(format!("{}: {said} {}", output.status, String::from_utf8_lossy(&output.stderr)));
    };
    let mut parts = cost.splitn(5, ' ');
    let mut number = || parts.next().and_then(|part| part.parse::<u64>().ok()).unwrap();
    let [wall, time] = [number(), number()].map(Duration::from_millis);
    let (memory, written) = (number(), number());
    let disk = written.max(on_disk(&scratch.path("/")).saturating_sub(before));
    Ok(Cost { wall, time, memory, disk, outcome: parts.next().unwrap_or_default().to_owned() })
}

/// The process that takes one input in; nothing otherwise.
#[test]
fn one_shape() {
    let Ok(kind) = env::var(KIND) else { return };
    let kind = KINDS.iter().find(|known| known.name == kind).unwrap();
    setrlimit(Resource::RLIMIT_CPU, MOST_CPU, MOST_CPU).unwrap();
    let root = Root::open(PathBuf::from(env::var_os(ROOT).unwrap())).unwrap();
    let port = env::var(PORT).ok().map(|port| port.parse().unwrap());
    let unit = Unit { root, port, waits: env::var_os(WAITS).is_some() };
    let cut = |text: String| text.chars().take(200).collect::<String>();
    let (began, used, written) = (Instant::now(), used(), field("/proc/self/io", "wchar:"));
    let outcome = match or_problem((kind.take_in)(&unit)) {
        Ok(Ok(())) => TAKEN_IN.to_owned(),
        Ok(Err(problem)) => cut(problem.to_string()),
        Err(error) => cut(format!("{FAULT}{error:#}")),
    };
    let (wall, time) = (began.elapsed().as_millis(), self::used() - used);
    let written = field("/proc/self/io", "wchar:") - written;
    let memory = field("/proc/self/status", "VmHWM:") << 10;
    println!("{MARK}{wall} {time} {memory} {written} {outcome}{MARK}");
}

/// Returns the time of the processor that this process and its children have used, in milliseconds.
fn used() -> i64 {
    let of = |who| {
        let usage = getrusage(who).unwrap();
        usage.user_time().num_milliseconds() + usage.system_time().num_milliseconds()
    };
    of(UsageWho::RUSAGE_SELF) + of(UsageWho::RUSAGE_CHILDREN)
}

/// Returns a number in a file of `/proc`.
fn field(path: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(path).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Returns the bytes that a directory takes on the disk.
fn on_disk(directory: &Path) -> u64 {
    let (mut bytes, mut left) = (0, vec![directory.to_owned()]);
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().map(Result::unwrap) {
            let meta = entry.metadata().unwrap();
            bytes += meta.blocks() * 512;
            left.extend(meta.is_dir().then(|| entry.path()));
        }
    }
    bytes
}
