//! haproxy of Debian in front of several machines, as a cluster has it in front of its units.
//!
//! It runs on the host and reaches each machine in that machine's own network (`server … namespace`). The
//! names of the networks stand in a mount namespace of its own, and are gone with it.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::{Machine, host};

/// haproxy starts in a few hundredths of a second.
const START_LIMIT: Duration = Duration::from_secs(20);
/// Gives the networks of its arguments names, and becomes haproxy.
const START: &str = "set -eu
mkdir -p /run/netns
mount -t tmpfs none /run/netns
for network; do
    count=$((${count:--1} + 1)); name=unit$count
    touch /run/netns/$name
    mount --bind $network /run/netns/$name
done
exec haproxy -db -f /dev/stdin";

/// A running haproxy.
#[derive(Debug)]
pub struct LoadBalancer {
    process: Child,
    address: SocketAddr,
}

impl LoadBalancer {
    /// In front of `port` of these machines; each is asked for `/` five times a second, and gets no requests
    /// while it does not answer. A request that a server has not begun to answer goes to another one,
    /// after 2 s when it hangs.
    ///
    /// haproxy is installed with apt when it is not there, and `progress` is told.
    pub fn start(machines: &[&Machine], port: u16, progress: &mut dyn FnMut(&str)) -> Result<Self> {
        host::ensure_root_user()?;
        if !host::is_there("haproxy") {
            host::install(&["haproxy"], progress)?;
        }
        // Free a moment ago: good enough for a test's own machine.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let networks = machines.iter().map(|machine| machine.network());
        let mut process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .args(["unshare", "--mount", "--propagation", "private"])
            .args(["bash", "-c", START, "haproxy"])
            .args(networks)
            .stdin(Stdio::piped())
            .spawn()
            .context("starting haproxy")?;
        let mut stdin = process.stdin.take().context("haproxy has no input")?;
        stdin.write_all(configuration(machines.len(), port, address).as_bytes())?;
        drop(stdin);
        let mut started = Self { process, address };
        let begin = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Some(status) = started.process.try_wait()? {
                bail!("haproxy ended with {status}; what it said stands above");
            }
            if begin.elapsed() > START_LIMIT {
                bail!("haproxy does not listen after {START_LIMIT:?}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(started)
    }

    /// Where it listens, on the host.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for LoadBalancer {
    fn drop(&mut self) {
        // It ends with this process in any case.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn configuration(servers: usize, port: u16, address: SocketAddr) -> String {
    let mut text = format!(
        "defaults
    mode http
    timeout connect 2s
    timeout check 3s
    timeout client 20s
    timeout server 2s
    retries 3
    option redispatch 1
    retry-on conn-failure empty-response response-timeout
frontend api
    bind {address}
    default_backend units
backend units
    balance roundrobin
    option httpchk GET /
    default-server check inter 200ms fall 1 rise 2
"
    );
    for number in 0..servers {
        // Writing to a string does not fail.
        writeln!(text, "    server unit{number} 127.0.0.1:{port} namespace unit{number}").unwrap_or_default();
    }
    text
}
