//! Machines: a booted unit, made of a cached root, a layer of its own in memory, and a container with
//! systemd as PID 1.
//!
//! Everything a machine is made of is held by its keeper (`keeper.sh`), a process that lets go of it
//! when the pipe from this process closes. So nothing stays behind when this process ends, whether it
//! returns, panics, is interrupted or is killed.

mod children;
mod files;
mod network;
mod process;

use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::host::{self, lock};
use crate::root::{HOST_ID_OF_ROOT, Root};
pub(crate) use children::child_of;
use children::container_of;

/// Directory of the machines of this host, one below it for each.
const STATE: &str = "/run/magnum-capi-helm-lab";

/// A machine that has not booted after this long will not.
const BOOT_LIMIT: Duration = Duration::from_secs(60);

/// Names machines of one process apart.
static COUNTER: AtomicU32 = AtomicU32::new(0);

/// One booted unit. Dropping it removes everything it was made of, in about a tenth of a second.
#[derive(Debug)]
pub struct Machine {
    hostname: String,
    directory: PathBuf,
    keeper: Child,
    /// Closing this tells the keeper to let go.
    keeper_input: Option<ChildStdin>,
    /// Why there is no container any more, in the keeper's words.
    ended: Arc<Mutex<Option<String>>>,
    leader: Mutex<i32>,
    /// Keeps the root's directory in the cache.
    _root: Root,
}

impl Machine {
    /// Boot a fresh machine from `root`: about a second. Magnum needs some more:
    /// [`Machine::wait_for_magnum`].
    pub fn boot(root: &Root, hostname: &str) -> Result<Self> {
        host::ensure_root_user()?;
        host::allow_many_inotify_instances()?;
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        ensure!(!hostname.is_empty() && hostname.chars().all(legal), "not a host name: {hostname:?}");
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{hostname}.{}-{number}", std::process::id());

        let mut keeper = Command::new("setsid")
            .args(["unshare", "--mount", "--propagation", "private"])
            .args(["--pid", "--fork", "--kill-child=KILL", "--mount-proc"])
            .args(["bash", "-c", include_str!("keeper.sh"), "keeper"])
            .arg(STATE)
            .arg(root.path())
            .arg(&name)
            .arg(HOST_ID_OF_ROOT.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the machine's keeper")?;
        let keeper_input = keeper.stdin.take();
        let output = keeper.stdout.take().context("the keeper has no output")?;
        let ended = Arc::new(Mutex::new(None));
        follow(output, Arc::clone(&ended));
        let machine = Self {
            hostname: hostname.into(),
            directory: PathBuf::from(STATE).join(&name),
            keeper,
            keeper_input,
            ended,
            leader: Mutex::new(0),
            _root: root.clone(),
        };
        machine.wait_for_boot(0, &["running"])?;
        Ok(machine)
    }

    #[must_use]
    pub fn hostname(&self) -> &str {
        &self.hostname
    }

    /// The host's process id of PID 1 inside: the handle on the machine's namespaces, for debugging
    /// by hand (`nsenter -t PID -a`). It changes when the machine reboots.
    #[must_use]
    pub fn leader(&self) -> i32 {
        *lock(&self.leader)
    }

    /// The host's process id of the keeper.
    #[must_use]
    pub fn keeper(&self) -> i32 {
        self.keeper.id().cast_signed()
    }

    /// Limit the inotify instances of everything on the machine together; the limit before. It ends with the machine's
    /// user namespace.
    pub fn limit_inotify_instances(&self, limit: u32) -> Result<u32> {
        let leader = self.leader().to_string();
        let script = "cd /proc/sys/user; cat max_inotify_instances; echo $0 >max_inotify_instances";
        let mut command = Command::new("nsenter");
        command.args(["--user", "--target", &leader, "--", "sh", "-ec", script, &limit.to_string()]);
        let before = host::run(&mut command, Duration::from_secs(10))?.stdout;
        before.trim().parse().with_context(|| format!("not a limit: {before:?}"))
    }

    /// Reboot: processes, `/run` and `/tmp` are lost, everything else stays.
    pub fn reboot(&self) -> Result<()> {
        let before = self.leader();
        let asked = self.run(&["systemctl", "reboot"])?;
        // The reboot may overtake the answer.
        ensure!(asked.ok() || asked.code.is_none() || asked.code == Some(255), "systemctl reboot: {}", asked.stderr);
        self.wait_for_boot(before, &["running", "degraded"])
    }

    /// Wait until Magnum's API answers HTTP on the port that magnum.conf names, and the conductor is
    /// active: about two seconds after the boot.
    pub fn wait_for_magnum(&self) -> Result<()> {
        let end = Instant::now() + BOOT_LIMIT;
        while Instant::now() < end {
            if self.magnum_answers()? {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let state = self.run(&["systemctl", "status", "--no-pager", "--full", "magnum-api", "magnum-conductor"])?;
        bail!("Magnum did not come up in {BOOT_LIMIT:?}:\n{}", state.stdout)
    }

    /// Whether Magnum's API answers HTTP on the port that magnum.conf names, and the conductor is
    /// active, at this moment.
    pub fn magnum_answers(&self) -> Result<bool> {
        let conf = String::from_utf8_lossy(&self.read("/etc/magnum/magnum.conf")?).into_owned();
        let port = api_port(&conf).unwrap_or(9511);
        // A process for each question would slow down what it asks about.
        let answer = self.in_network(|| http_status(port))?;
        Ok(answer.is_ok_and(|status| (200..400).contains(&status))
            && self.run(&["systemctl", "is-active", "--quiet", "magnum-conductor"])?.ok())
    }

    /// Wait for a leader other than `before` whose systemd says one of `states`.
    fn wait_for_boot(&self, before: i32, states: &[&str]) -> Result<()> {
        let end = Instant::now() + BOOT_LIMIT;
        let mut state = String::from("no PID 1");
        while Instant::now() < end {
            if let Some(how) = &*lock(&self.ended) {
                state.clone_from(how);
                break;
            }
            if let Some(leader) = container_of(self.keeper()).filter(|leader| *leader != before) {
                *lock(&self.leader) = leader;
                // Before systemd's own socket is there, asking costs more than looking.
                if PathBuf::from(format!("/proc/{leader}/root/run/dbus/system_bus_socket")).exists() {
                    let asked = self.run(&["timeout", "60", "systemctl", "is-system-running", "--wait"])?;
                    state = asked.stdout.trim().to_owned() + asked.stderr.trim();
                    if states.contains(&state.as_str()) {
                        return Ok(());
                    }
                    if state == "degraded" {
                        let failed = self.run(&["systemctl", "--failed", "--no-legend", "--plain"])?;
                        bail!("{} booted, but units failed:\n{}", self.hostname, failed.stdout);
                    }
                }
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let console = fs::read(self.in_keeper("layer/console.log")).unwrap_or_default();
        let console = String::from_utf8_lossy(&console).into_owned();
        let tail: Vec<&str> = console.lines().rev().take(20).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        Err(anyhow!("{} did not boot: {state}\n{}", self.hostname, tail.join("\n")))
    }

    /// A path in the machine's directory, as seen through the keeper's mounts.
    fn in_keeper(&self, path: &str) -> PathBuf {
        let inside = self.directory.strip_prefix("/").unwrap_or(&self.directory).join(path);
        PathBuf::from(format!("/proc/{}/root", self.keeper.id())).join(inside)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.keeper_input.take());
        let end = Instant::now() + Duration::from_secs(20);
        while Instant::now() < end {
            if !matches!(self.keeper.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        eprintln!("lab: the keeper of {} does not end; the next machine will clean up after it", self.hostname);
        // With the keeper everything dies but its empty cgroups.
        self.keeper.kill().ok();
        self.keeper.wait().ok();
    }
}

/// Note in `ended` what the keeper says when the container has ended, or cannot be started.
fn follow(output: impl std::io::Read + Send + 'static, ended: Arc<Mutex<Option<String>>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            *lock(&ended) = (line != "started").then_some(line);
        }
    });
}

/// The HTTP status with which `/` is answered on this port.
fn http_status(port: u16) -> std::io::Result<u16> {
    let mut connection = TcpStream::connect(("127.0.0.1", port))?;
    connection.set_read_timeout(Some(Duration::from_secs(5)))?;
    connection.write_all(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut line = String::new();
    BufReader::new(connection).read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| std::io::Error::other(format!("no HTTP: {line}")))
}

/// `port` in section `[api]` of a magnum.conf.
fn api_port(conf: &str) -> Option<u16> {
    let mut section = "";
    let mut port = None;
    for line in conf.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if section == "[api]"
            && let Some((key, value)) = line.split_once('=')
            && key.trim() == "port"
        {
            port = value.trim().parse().ok();
        }
    }
    port
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_that_of_the_api_section() {
        assert_eq!(api_port("[x]\nport = 1\n[api]\n# port = 2\nhost = a\nport=9501\n[y]\nport=3\n"), Some(9501));
        assert_eq!(api_port("[api]\nhost = a\n"), None);
        assert_eq!(api_port(include_str!("../recipe/magnum.conf")), Some(9501));
    }
}
