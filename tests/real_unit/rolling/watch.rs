//! Who answers when: each unit's API asked directly, and a steady load through a proxy.

use std::fmt;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lab::{LoadBalancer, Machine};

/// charm-magnum's backend port.
pub const PORT: u16 = 9501;
const BETWEEN_SAMPLES: Duration = Duration::from_millis(50);
/// Longer than an answer takes on any machine; one that is down refuses at once.
const PATIENCE: Duration = Duration::from_secs(60);
pub const CLIENTS: usize = 3;
/// Begins what is said of an answer that ends early.
const CUT: &str = "cut off: ";

/// One question to an API: when it was put, when it was answered, and whether well.
#[derive(Debug, Clone, Copy)]
struct Sample {
    put: Instant,
    ended: Instant,
    well: bool,
}

/// What was seen while something was done.
pub struct Seen {
    /// For each unit, the times in which its API did not answer.
    pub gaps: Vec<Vec<(Instant, Instant)>>,
    /// How many times each unit was asked.
    pub samples: Vec<usize>,
    /// Requests through the proxy, and what went wrong with those that failed.
    pub requests: usize,
    pub failures: Vec<String>,
    /// Answers that had begun when their unit's API was restarted: no proxy can ask again for these.
    pub cut: usize,
}

/// Watches the APIs of `machines` while `what` is done.
pub fn watch(machines: &[&Machine], what: impl FnOnce()) -> Seen {
    let proxy = LoadBalancer::start(machines, PORT, &mut |line| eprintln!("{line}")).unwrap();
    let done = AtomicBool::new(false);
    let direct = SocketAddr::from(([127, 0, 0, 1], PORT));
    let through = proxy.address();
    std::thread::scope(|scope| {
        let sampling: Vec<_> = machines
            .iter()
            .map(|machine| {
                let done = &done;
                scope.spawn(move || machine.in_network(|| sample(direct, done)).unwrap())
            })
            .collect();
        let load: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| requests(through, &done))).collect();
        let ending = End(&done);
        what();
        drop(ending);
        let sampled: Vec<Vec<Sample>> = sampling.into_iter().map(|s| s.join().unwrap()).collect();
        let loads: Vec<_> = load.into_iter().map(|load| load.join().unwrap()).collect();
        let failed = loads.iter().flat_map(|(_, failed)| failed);
        let (cut, failures): (Vec<_>, Vec<_>) = failed.cloned().partition(|failure| failure.starts_with(CUT));
        Seen {
            cut: cut.len(),
            failures,
            gaps: sampled.iter().map(|samples| gaps(samples)).collect(),
            samples: sampled.iter().map(Vec::len).collect(),
            requests: loads.iter().map(|(count, _)| count).sum(),
        }
    })
}

/// Ends the watch, also when the test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, (samples, gaps)) in self.samples.iter().zip(&self.gaps).enumerate() {
            let gaps: Vec<_> = gaps.iter().map(|(from, to)| *to - *from).collect();
            writeln!(f, "unit {unit}: asked {samples} times, gaps: {gaps:.2?}")?;
        }
        write!(f, "{} requests, {} failed, {} cut off", self.requests, self.failures.len(), self.cut)
    }
}

impl Seen {
    /// The moments at which two units did not answer.
    pub fn overlaps(&self) -> Vec<String> {
        let all: Vec<_> = self.gaps.iter().enumerate().collect();
        let mut found = Vec::new();
        for (one, gaps) in &all {
            for (other, others) in all.iter().skip(one + 1) {
                for (from, to) in gaps.iter() {
                    let mut others = others.iter();
                    if others.any(|(start, end)| start < to && from < end) {
                        found.push(format!("units {one} and {other} for up to {:?}", *to - *from));
                    }
                }
            }
        }
        found
    }
}

fn sample(api: SocketAddr, done: &AtomicBool) -> Vec<Sample> {
    let mut samples = Vec::new();
    while !done.load(Ordering::Relaxed) {
        let put = Instant::now();
        let well = get(api).is_ok();
        let ended = Instant::now();
        samples.push(Sample { put, ended, well });
        std::thread::sleep(BETWEEN_SAMPLES);
    }
    samples
}

/// From the first question that was not answered to the end of the next answer.
fn gaps(samples: &[Sample]) -> Vec<(Instant, Instant)> {
    let mut gaps = Vec::new();
    let mut since = None;
    for sample in samples {
        match (since, sample.well) {
            (None, false) => since = Some(sample.put),
            (Some(start), true) => {
                gaps.push((start, sample.ended));
                since = None;
            }
            _ => {}
        }
    }
    if let (Some(start), Some(last)) = (since, samples.last()) {
        gaps.push((start, last.ended));
    }
    gaps
}

fn requests(proxy: SocketAddr, done: &AtomicBool) -> (usize, Vec<String>) {
    let mut count = 0;
    let mut failed = Vec::new();
    while !done.load(Ordering::Relaxed) {
        count += 1;
        failed.extend(get(proxy).err());
        std::thread::sleep(BETWEEN_SAMPLES);
    }
    (count, failed)
}

/// One request for `/`; what is wrong when it is not answered well.
pub fn get(address: SocketAddr) -> Result<(), String> {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET / HTTP/1.0\r\nHost: magnum\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = ask().map_err(|error| error.to_string())?;
    let status = answer.split(' ').nth(1).unwrap_or_default();
    // Magnum's root document, whole.
    let length = answer.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length = length.and_then(|length| length.trim().parse::<usize>().ok());
    let body = answer.split_once("\r\n\r\n").map_or(0, |(_, body)| body.len());
    match matches!(status, "200" | "300") {
        true if answer.contains("versions") => Ok(()),
        true if length.is_some_and(|length| body < length) => Err(format!("{CUT}{answer:?}")),
        _ => Err(format!("{answer:?}")),
    }
}
