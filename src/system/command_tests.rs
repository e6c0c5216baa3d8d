//! Tests with real programs of this machine.

use super::*;

const HOST: LocalHost = LocalHost { left: || Duration::MAX };

fn sh(script: &str, limit: Duration) -> Command {
    Command::new("sh", limit).args(["-c", script])
}

fn error_of(command: &Command) -> String {
    format!("{:#}", HOST.run(command).unwrap_err())
}

#[test]
fn a_failure_names_the_program_its_exit_code_and_its_stderr() {
    let output = HOST.run(&sh("echo no such thing >&2; exit 3", Duration::from_secs(5)));
    assert_eq!(output.unwrap().failure(), "sh -c failed (exit code 3): no such thing");
}

#[test]
fn roots_programs_are_not_found_where_others_than_packages_put_them() {
    let output = HOST.run(&sh("echo $PATH", Duration::from_secs(5))).unwrap();
    assert_eq!(output.stdout, b"/usr/sbin:/usr/bin:/sbin:/bin\n");
    // Without a path to look in, a program could be found wherever this process's own PATH leads.
    let found = Command::new("sh", Duration::ZERO).prepared().unwrap();
    let path = Path::new(found.get_program());
    assert!(ROOT_PATH.split(':').any(|directory| path == Path::new(directory).join("sh")), "{path:?}");
    let setpriv = Command::new("id", Duration::ZERO).as_user("root").prepared().unwrap();
    assert!(Path::new(setpriv.get_program()).is_absolute(), "{setpriv:?}");
}

#[test]
fn when_the_time_is_over_a_program_is_killed_with_all_it_started() {
    for script in ["sleep 30 & sleep 30", "sleep 30 &", "exec >&- 2>&-; sleep 30"] {
        let began = Instant::now();
        let error = error_of(&sh(script, Duration::from_millis(200)));
        assert!(error.contains("did not end"), "{script}: {error}");
        assert!(began.elapsed() < Duration::from_secs(5), "{script}");
    }
}

#[test]
fn when_the_run_must_end_a_program_is_killed_however_long_it_may_take_by_itself() {
    let host = LocalHost { left: || Duration::ZERO };
    assert_eq!(host.run(&sh("exit 3", Duration::from_secs(60))).unwrap().code, Some(3));
    let began = Instant::now();
    for script in ["sleep 30", "exec >&- 2>&-; sleep 30"] {
        let error = format!("{:#}", host.run(&sh(script, Duration::from_secs(60))).unwrap_err());
        assert!(error.contains("did not end") && error.contains("a run of the charm ends after 600 s"), "{error}");
    }
    assert!(began.elapsed() < Duration::from_secs(15));
}

#[test]
fn output_larger_than_a_pipe_is_read_completely_and_input_is_given() {
    let input = vec![b'x'; 200_000];
    let command = sh("cat; head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2", Duration::from_secs(5));
    let output = HOST.run(&command.stdin(input)).unwrap();
    assert_eq!(output.stdout.len(), 500_000);
    assert_eq!(output.stderr.len(), STDERR_IN_ERROR);
    let ignores = sh("exit 0", Duration::from_secs(5)).stdin(vec![b'x'; 200_000]);
    assert_eq!(HOST.run(&ignores).unwrap().code, Some(0));
}

#[test]
fn variables_that_may_hold_credentials_reach_the_program_and_show_nowhere_else() {
    let secret = [("https_proxy".to_owned(), Secret::new("http://u:hunter2@h".into()))];
    let command = sh("echo $https_proxy >&2; exit 1", Duration::from_secs(5)).secret_env(secret);
    assert!(!format!("{command:?}").contains("hunter2"));
    assert!(HOST.run(&command).unwrap().stderr.contains("hunter2"));
    let prepared = command.as_user("root").prepared().unwrap();
    assert!(prepared.get_args().all(|word| !word.to_string_lossy().contains("hunter2")), "{prepared:?}");
}

#[test]
fn nobody_changes_what_a_program_is_given() {
    let change = "printf x 1<>/proc/self/fd/0; printf x >>/proc/self/fd/0; true >/proc/self/fd/0; cat";
    let output = HOST.run(&sh(change, Duration::from_secs(5)).stdin("given")).unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "given");
}

/// Only root can become another user.
#[test]
fn a_program_runs_as_a_user_whose_group_has_another_name() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let command = Command::new("id", Duration::from_secs(5)).arg("-un").as_user("nobody");
    assert_eq!(String::from_utf8_lossy(&HOST.run(&command).unwrap().stdout), "nobody\n");
}

/// It could otherwise type into root's terminal, or leave the group that is killed with it.
#[test]
fn a_program_of_another_user_has_a_session_of_its_own() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let endless = sh("sleep 9", Duration::from_secs(1)).as_user("nobody");
    assert!(error_of(&endless).contains("did not end in time"));
    let ids = sh("echo $$ $(cut -d ' ' -f 5,6 /proc/$$/stat)", Duration::from_secs(5)).as_user("nobody");
    let printed = HOST.run(&ids).unwrap().stdout;
    let ids: Vec<_> = String::from_utf8_lossy(&printed).split_whitespace().map(str::to_owned).collect();
    assert_eq!(ids, [&*ids[0]; 3]);
}

#[test]
fn a_program_that_prints_without_end_is_stopped() {
    let error = error_of(&sh("cat /dev/zero", Duration::from_secs(20)));
    assert!(error.contains("prints more than 8388608 bytes"), "{error}");
}
