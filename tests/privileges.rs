//! What the program gives up, seen from outside while it runs.

#![allow(clippy::unwrap_used, reason = "what cannot be read fails the test")]

use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::unistd::Uid;

const PROGRAM: &str = env!("CARGO_BIN_EXE_magnum-capi-helm");

/// The values of a line of `/proc/PID/status` or `/proc/PID/limits`.
fn values<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).split_whitespace().collect()
}

/// Waits until the fetcher connects; `None` if it ends before.
fn connection(index: &TcpListener, fetcher: &mut Child) -> Option<TcpStream> {
    index.set_nonblocking(true).unwrap();
    loop {
        match index.accept() {
            Ok((stream, _)) => return Some(stream),
            Err(_) if fetcher.try_wait().unwrap().is_some() => return None,
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

#[test]
fn the_fetcher_is_nobody_with_nothing_of_root_left() {
    let index = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut fetcher = Command::new(PROGRAM);
    fetcher.arg("fetch").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut fetcher = fetcher.spawn().unwrap();
    let source = format!(
        r#"{{"pin": "magnum-capi-helm==1.1.0", "sha256": null, "wheel": null, "index": "http://{}/simple"}}"#,
        index.local_addr().unwrap()
    );
    let request = format!(r#"{{"source": {source}, "python": "3.11.2", "proxy": []}}"#);
    let mut stdin = fetcher.stdin.take().unwrap();
    let given = stdin.write_all(request.as_bytes());
    drop(stdin);
    let Some(mut stream) = connection(&index, &mut fetcher) else {
        let said = fetcher.wait_with_output().unwrap();
        assert!(!Uid::effective().is_root(), "{said:?}");
        assert!(String::from_utf8_lossy(&said.stderr).contains("giving up the groups of root"), "{said:?}");
        return;
    };
    given.unwrap();
    let process = format!("/proc/{}", fetcher.id());
    let status = fs::read_to_string(format!("{process}/status")).unwrap();
    for name in ["Uid:", "Gid:"] {
        assert_eq!(values(&status, name), ["65534"; 4], "{name}");
    }
    assert!(values(&status, "Groups:").is_empty());
    for name in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        assert_eq!(values(&status, name), ["0000000000000000"], "{name}");
    }
    assert_eq!(values(&status, "NoNewPrivs:"), ["1"]);
    let limits = fs::read_to_string(format!("{process}/limits")).unwrap();
    assert_eq!(values(&limits, "Max file size")[..2], ["0", "0"]);
    assert_eq!(values(&limits, "Max data size")[..2], ["134217728", "134217728"]);

    stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").unwrap();
    let said = fetcher.wait_with_output().unwrap();
    let printed = String::from_utf8_lossy(&said.stdout);
    assert!(said.status.code() == Some(1) && printed.contains("says 404 Not Found"), "{said:?}");
}

#[test]
fn a_fetcher_that_cannot_become_nobody_says_so_by_its_exit_code() {
    let before: &[&str] = match Uid::effective().is_root() {
        true => &["setpriv", "--bounding-set", "-setgid"],
        false => &["env"],
    };
    let mut fetcher = Command::new(before[0]);
    fetcher.args(&before[1..]).args([PROGRAM, "fetch"]).stdin(Stdio::null());
    let said = fetcher.output().unwrap();
    assert_eq!(said.status.code(), Some(3), "{said:?}");
    assert!(String::from_utf8_lossy(&said.stderr).contains("giving up the groups of root"), "{said:?}");
}

#[test]
fn what_juju_runs_has_its_bounds_and_hands_them_on() {
    let directory = tempfile::tempdir().unwrap();
    let tool = directory.path().join("action-fail");
    let script = "#!/bin/sh\ncd \"${0%/*}\"\ncat /proc/$PPID/status /proc/$PPID/limits >program\n\
                  cat /proc/self/status /proc/self/limits >tool\n";
    fs::write(&tool, script).unwrap();
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", directory.path().display());
    let mut action = Command::new(PROGRAM);
    action.env("JUJU_DISPATCH_PATH", "actions/none").env("PATH", path);
    assert!(action.status().unwrap().success());
    for name in ["program", "tool"] {
        let text = fs::read_to_string(directory.path().join(name)).unwrap();
        assert_eq!(values(&text, "NoNewPrivs:"), ["1"], "{name}");
        assert_eq!(values(&text, "Umask:"), ["0077"], "{name}");
        assert_eq!(values(&text, "Max core file size")[..2], ["0", "0"], "{name}");
        assert_eq!(values(&text, "Max data size")[..2], ["1073741824", "1073741824"], "{name}");
    }
}
