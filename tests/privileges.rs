//! What the program gives up, seen from outside while it runs.

#![allow(clippy::unwrap_used, reason = "what cannot be read fails the test")]

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use magnum_capi_helm::system::{self, System};
use nix::unistd::Uid;

const PROGRAM: &str = env!("CARGO_BIN_EXE_magnum-capi-helm");
/// Set for a process that plays a hook.
const HOOK: &str = "PRIVILEGES_HOOK";

/// The values of a line of `/proc/PID/status` or `/proc/PID/limits`.
fn values<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).split_whitespace().collect()
}

/// Looks again and again, for five seconds.
fn eventually<T>(look: impl Fn() -> Option<T>) -> Option<T> {
    (0..1000).find_map(|_| {
        std::thread::sleep(Duration::from_millis(5));
        look()
    })
}

/// Returns the process with this program that another one has started.
fn started_by(parent: u32, program: &str) -> Option<String> {
    let tasks = fs::read_dir(format!("/proc/{parent}/task")).ok()?;
    let children = |task: fs::DirEntry| fs::read_to_string(task.path().join("children")).unwrap_or_default();
    let children: String = tasks.map_while(Result::ok).map(children).collect();
    let runs = |pid: &&str| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == program);
    children.split_whitespace().find(runs).map(str::to_owned)
}

/// Kills a process, and asserts that another one, which it has started, ends too.
fn assert_ends_with(mut parent: Child, started: &str) {
    let state = || fs::read_to_string(format!("/proc/{started}/stat")).ok();
    assert!(state().is_some(), "it does not run");
    parent.kill().unwrap();
    parent.wait().unwrap();
    // Nobody may wait for it.
    let has_ended = || state().is_none_or(|state| state.contains(") Z ")).then_some(());
    assert!(eventually(has_ended).is_some(), "it goes on");
}

/// Returns a request to ask this index.
fn request(index: &TcpListener) -> String {
    let source = format!(
        r#"{{"pin": "magnum-capi-helm==1.1.0", "sha256": null, "wheel": null, "index": "http://{}/simple"}}"#,
        index.local_addr().unwrap()
    );
    format!(r#"{{"source": {source}, "python": "3.11.2", "proxy": []}}"#)
}

/// Waits until the fetcher connects; `None` if it, or what has started it, ends before.
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
    let mut stdin = fetcher.stdin.take().unwrap();
    let given = stdin.write_all(request(&index).as_bytes());
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
    assert_eq!(values(&limits, "Max open files")[..2], ["64", "64"]);

    stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").unwrap();
    let said = fetcher.wait_with_output().unwrap();
    let printed = String::from_utf8_lossy(&said.stdout);
    assert!(said.status.code() == Some(1) && printed.contains("says 404 Not Found"), "{said:?}");
}

#[test]
fn the_fetcher_ends_with_its_parent() {
    let index = TcpListener::bind("127.0.0.1:0").unwrap();
    let given = tempfile::NamedTempFile::new().unwrap();
    fs::write(given.path(), request(&index)).unwrap();
    let mut parent = Command::new("sh");
    parent.args(["-c", "\"$0\" fetch <\"$1\" & echo $!; wait", PROGRAM]).arg(given.path()).stdout(Stdio::piped());
    let mut parent = parent.spawn().unwrap();
    let mut fetcher = String::new();
    let mut printed = BufReader::new(parent.stdout.take().unwrap());
    printed.read_line(&mut fetcher).unwrap();
    let Some(_stream) = connection(&index, &mut parent) else {
        assert!(!Uid::effective().is_root(), "the fetcher has ended");
        return;
    };
    assert_ends_with(parent, fetcher.trim());
}

/// The hook of the next test; nothing otherwise.
#[test]
fn a_hook_runs_a_program_as_another_user() {
    if env::var_os(HOOK).is_some() {
        let sleep = system::Command::new("sleep", Duration::from_secs(60)).arg("60").as_user("nobody");
        System::local().unwrap().run(&sleep).unwrap();
    }
}

/// Only root can become another user.
#[test]
fn a_program_of_another_user_ends_with_the_hook_that_has_started_it() {
    if !Uid::effective().is_root() {
        return;
    }
    let mut hook = Command::new(env::current_exe().unwrap());
    hook.args(["--exact", "a_hook_runs_a_program_as_another_user"]).env(HOOK, "").stdout(Stdio::null());
    let hook = hook.spawn().unwrap();
    let sleep = eventually(|| started_by(hook.id(), "sleep")).expect("the hook starts its program");
    assert_ends_with(hook, &sleep);
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
