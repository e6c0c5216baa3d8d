//! The cleaner of a run: what cleans up when the run cannot.
//!
//! `juju cancel-task` kills an action (SIGKILL), which nobody can refuse. So before anything is made, this
//! program is started once more, in a systemd unit of its own, which outlives the run and Juju's agent. It
//! waits for the run's last word. When the run ends without one, it removes what bears the unit's name.
//! The account it does so with reaches it through a pipe: it stands in no file, argument or environment.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::api::{self, Session};
use super::credentials::Credentials;
use super::leftovers;
use super::names::{self, Names};
use super::story::Story;
use crate::unit::{command, process};

/// The systemd unit, and so where its words are found.
pub const UNIT: &str = "magnum-capi-helm-smoketest";
/// The command by which it is started.
pub const COMMAND: &str = "smoketest-cleaner";
/// The run's last word.
const RELEASED: &[u8] = b"released";
/// Longer than any run: what can be given as timeout, and its deletions.
const LIMIT: Duration = Duration::from_secs(48 * 3600);
/// The key, beside those of a secret, of the endpoint that is used.
const ENDPOINT: &str = "endpoint";
/// How long a run may take to end after its last word.
const END_LIMIT: Duration = Duration::from_secs(60);
/// Keystone or Magnum may be away for a moment: that may be why the run has ended.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_secs(30);
/// How long the conductor may take to make of a request something that can be seen.
const TAKEN_LIMIT: Duration = Duration::from_secs(15);

/// A cleaner, from the run's side. When it is dropped without a word, it goes to work.
#[derive(Debug)]
pub struct Cleaner {
    word: Sender<Vec<u8>>,
    started: JoinHandle<Result<()>>,
}

impl Cleaner {
    /// Posts it.
    ///
    /// # Errors
    /// When this program cannot be found.
    pub fn post(credentials: &Credentials, endpoint: &str) -> Result<Self> {
        let program = process::own_program()?;
        let mut given = credentials.as_secret();
        given.insert(ENDPOINT.to_owned(), endpoint.to_owned());
        let mut line = serde_json::to_vec(&given)?;
        line.push(b'\n');
        let (word, rest) = mpsc::channel();
        let run = command::run("systemd-run", LIMIT)
            .args(["--quiet", "--collect", "--pipe", &format!("--unit={UNIT}")])
            // With --pipe all that it says would go where the run's own words go.
            .args(["systemd-cat", "--identifier", UNIT, "--"])
            .arg(program)
            .arg(COMMAND)
            .stdin(&line)
            .then(rest);
        let started = std::thread::spawn(move || run.stdout().map(drop));
        Ok(Self { word, started })
    }

    /// There is nothing to clean up, or nothing that it could do better.
    ///
    /// # Errors
    /// When it did not run.
    pub fn release(self) -> Result<()> {
        // Fails only when it is gone already, which the next line tells.
        self.word.send(RELEASED.to_vec()).ok();
        let ended = self.started.join();
        ended.unwrap_or_else(|_| bail!("the thread of the cleaner panicked"))
    }

    /// Leaves what is left to it; whether it is there.
    pub fn take_over(self) -> bool {
        !self.started.is_finished()
    }
}

/// The cleaner itself.
///
/// # Errors
/// When something stays, or cannot be asked for.
pub fn wait() -> Result<()> {
    let mut input = BufReader::new(std::io::stdin());
    let mut line = String::new();
    input.read_line(&mut line)?;
    // The parser's message could quote the password.
    let given: BTreeMap<String, String> = serde_json::from_str(&line)
        .ok()
        .context("this command is for the action smoketest alone")?;
    let mut word = Vec::new();
    input.read_to_end(&mut word)?;
    if word == RELEASED {
        return Ok(());
    }
    let began = Instant::now();
    let _alone = loop {
        match names::alone() {
            Ok(lock) => break lock,
            Err(error) if began.elapsed() > END_LIMIT => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(200)),
        }
    };
    let credentials = Credentials::of_secret(&given)?;
    let endpoint = given.get(ENDPOINT).context("no endpoint is given")?;
    let mut story = Story::new(|line| Ok(writeln!(std::io::stdout(), "{line}")?));
    story.tell("a smoketest has ended without removing what it made");
    let client = api::client(&credentials)?;
    let mut names = Names::choose()?;
    let mut clear = || {
        let mut session = Session::open(&client, &credentials, endpoint)?;
        leftovers::clear(&mut session, &mut names, &mut story)
    };
    patiently(&mut clear)?;
    // What was asked for last shows only when the conductor has taken it up.
    std::thread::sleep(TAKEN_LIMIT);
    let stuck = patiently(&mut clear)?;
    match stuck.failure {
        Some(failure) => Err(failure.into()),
        None => {
            story.tell("nothing is left");
            Ok(())
        }
    }
}

/// Tries until it is done, but not for ever.
fn patiently<T>(act: &mut dyn FnMut() -> Result<T>) -> Result<T> {
    for _ in 1..TRIES {
        match act() {
            Err(error) => tracing::warn!("{error:#}; trying again"),
            done => return done,
        }
        std::thread::sleep(PAUSE);
    }
    act()
}
