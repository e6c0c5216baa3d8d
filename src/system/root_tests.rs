//! Tests of looking and reading.

use crate::system::Backups;
use crate::system::testing::Scratch;

use super::*;

const PATH: &str = "/etc/magnum/kubeconfig";

fn scratch() -> Scratch {
    let scratch = Scratch::new();
    scratch.put(PATH, "theirs");
    scratch
}

#[test]
fn no_link_is_followed_at_the_end_of_a_path_or_on_the_way() {
    let scratch = scratch();
    let root = &scratch.root;
    scratch.link("/etc/magnum/link", scratch.path(PATH));
    scratch.link("/etc/way", scratch.path("/etc/magnum"));
    let (end, way) = (Path::new("/etc/magnum/link"), Path::new("/etc/way/kubeconfig"));
    assert_eq!(root.inspect(end).unwrap(), Entry::Other("a symbolic link"));
    assert_eq!(root.inspect(way).unwrap(), Entry::Absent);
    assert!(root.read(end).is_err() && root.read(way).is_err());
    assert!(root.write(way, b"ours", Access::PUBLIC).is_err());
    assert_eq!(root.names(Path::new("/etc/way")).unwrap(), [""; 0]);
    assert!(root.below(Path::new("/etc/way")).unwrap().is_none());
    root.write(end, b"ours", Access::PUBLIC).unwrap();
    root.remove(Path::new("/etc/way")).unwrap();
    assert_eq!(scratch.text(PATH).as_deref(), Some("theirs"));
    assert!(root.read(Path::new("/etc/../etc/passwd")).is_err());
}

#[test]
fn a_fifo_and_a_file_over_the_limit_are_named_and_never_waited_for() {
    let scratch = scratch();
    let root = &scratch.root;
    let (fifo, large) = (Path::new("/etc/magnum/fifo"), Path::new("/etc/magnum/large"));
    scratch.fifo(fifo);
    fs::File::create(scratch.path(large)).unwrap().set_len(SIZE_LIMIT + 1).unwrap();
    assert_eq!(root.inspect(fifo).unwrap(), Entry::Other("a special file"));
    assert!(root.read(fifo).is_err());
    assert_eq!(root.inspect(large).unwrap(), Entry::Other("a file of more than 8 MiB"));
    assert!(format!("{:#}", root.read(large).unwrap_err()).contains("more than 8 MiB"));
}

#[test]
fn a_file_that_somebody_holds_a_lease_on_is_named_never_waited_for_and_gives_way() {
    let scratch = scratch();
    let (root, path) = (&scratch.root, Path::new(PATH));
    root.make_state_directory().unwrap();
    let _lease = scratch.lease(PATH);
    assert_eq!(root.inspect(path).unwrap(), Entry::Other(LEASED));
    assert!(root.read(path).is_err());
    Backups::default().back_up(root, path).unwrap();
    assert_eq!(root.inspect(path).unwrap(), Entry::Absent);
}

#[test]
fn nothing_but_a_regular_file_is_read_whatever_stands_there() {
    let scratch = scratch();
    let (root, path) = (&scratch.root, Path::new(PATH));
    scratch.for_each_shape(PATH, |shape| {
        let is_file = matches!(root.inspect(path).unwrap(), Entry::File(_));
        assert_eq!(is_file, shape == "bytes that are not UTF-8", "{shape}");
        let read = [root.read(path).is_ok(), root.read_text(path).is_ok()];
        assert_eq!(read, [is_file; 2], "{shape}");
        assert_eq!(root.names(path).is_ok_and(|names| names.is_empty()), shape != "a deep tree", "{shape}");
    });
}

#[test]
fn a_program_behind_links_is_resolved_within_the_root() {
    let scratch = scratch();
    scratch.put("/usr/bin/python3.11", "");
    scratch.link("/usr/bin/python3", "python3.11");
    scratch.link("/usr/local/bin/python", "../../bin/python3");
    scratch.link("/usr/bin/loop", "loop");
    let resolve = |path: &str| scratch.root.resolve(Path::new(path));
    assert_eq!(resolve("/usr/local/bin/python").unwrap(), Path::new("/usr/bin/python3.11"));
    assert_eq!(resolve("/usr/bin/loop").unwrap(), Path::new("/usr/bin/loop"));
}

/// Only root can give files away.
#[test]
fn of_any_number_of_temporary_files_some_are_named_and_those_of_root_first() {
    let scratch = scratch();
    let root = &scratch.root;
    let temporary = |name: &str| format!("/etc/magnum/{TEMPORARY_PREFIX}{name}");
    for index in 0..2 * MOST_TEMPORARIES {
        scratch.put(temporary(&index.to_string()), "");
    }
    assert_eq!(root.temporaries(Path::new("/etc/magnum")).unwrap().len(), MOST_TEMPORARIES);
    if nix::unistd::geteuid().is_root() {
        for index in 0..2 * MOST_TEMPORARIES {
            std::os::unix::fs::chown(scratch.path(temporary(&index.to_string())), Some(64), None).unwrap();
        }
        scratch.put(temporary("last"), "");
        assert_eq!(root.temporaries(Path::new("/etc/magnum")).unwrap()[0], Path::new(&temporary("last")));
    }
}

#[test]
fn a_path_that_root_cannot_replace_is_named() {
    let failed = |errno: Errno| at::<()>("renaming", Path::new("/x"), Err(errno.into())).unwrap_err();
    assert_eq!(failed(Errno::EBUSY).downcast::<Mounted>().unwrap().0, Path::new("/x"));
    assert!(!failed(Errno::EIO).is::<Mounted>());
}
