//! The proxy in front of several machines, on real ones.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use lab::{LoadBalancer, Machine, Release, ensure_root};

/// charm-magnum's backend port.
const PORT: u16 = 9501;
/// Longer than the proxy takes to see that a machine hangs.
const HANGS: Duration = Duration::from_secs(5);

#[test]
#[ignore = "needs root and the lab: cargo xtask test"]
fn what_a_hanging_machine_has_accepted_goes_to_another_once_it_is_killed() {
    let root = ensure_root(Release::Caracal, &mut |line| eprintln!("{line}")).unwrap();
    let machines = ["magnum-0", "magnum-1"].map(|name| Machine::boot(&root, name).unwrap());
    for machine in &machines {
        machine.wait_for_magnum().unwrap();
    }
    let [hanging, serving] = &machines;
    let told = &mut |line: &str| eprintln!("{line}");
    let proxy = LoadBalancer::start(&[hanging, serving], PORT, told).unwrap();
    let address = proxy.address();

    hanging
        .shell("systemctl kill --signal=STOP magnum-api")
        .unwrap();
    let waited: Vec<Duration> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..8).map(|_| scope.spawn(move || ask(address))).collect();
        std::thread::sleep(HANGS);
        // At no time does the other keep anybody waiting.
        assert!(ask(address) < HANGS);
        hanging
            .shell("systemctl kill --signal=KILL magnum-api")
            .unwrap();
        let waits = clients.into_iter().map(|client| client.join().unwrap());
        waits.collect()
    });
    let late = waited.iter().filter(|wait| **wait >= HANGS).count();
    assert!(late > 0, "the hanging one got none: {waited:?}");
    assert!(late < waited.len(), "it got all: {waited:?}");
}

/// Asks for the root document, and how long that took.
fn ask(address: SocketAddr) -> Duration {
    let asked = Instant::now();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(4 * HANGS)).unwrap();
    stream
        .write_all(b"GET / HTTP/1.0\r\nHost: magnum\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("versions"), "{answer}");
    asked.elapsed()
}
