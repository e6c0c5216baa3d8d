//! A machine for tests: a temporary directory for a root, and a function that plays the programs.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

use anyhow::Result;
use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::{Account, Command, Host, Output, Root, System, bounds};

/// A temporary directory as a root file system, with the directories that every unit has.
pub struct Scratch {
    pub root: Root,
    directory: tempfile::TempDir,
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Scratch {
    pub fn new() -> Self {
        // As the program itself.
        bounds::apply().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let root = Root::open(directory.path()).unwrap();
        for path in [
            "etc",
            "etc/systemd/system",
            "etc/default",
            "usr/bin",
            "usr/local/bin",
            "usr/local/share",
            "var/lib",
            "proc",
            "run",
        ] {
            root.make_directories(Path::new(path)).unwrap();
        }
        Self { root, directory }
    }

    /// Returns the path outside of what is at `path` in the root.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.directory.path().join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Writes a file with mode 0644, and makes the directories above it.
    pub fn put(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = path.as_ref();
        self.root.make_directories(path.parent().unwrap()).unwrap();
        let path = self.path(path);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    }

    /// Puts a symbolic link at `path`.
    pub fn link(&self, path: impl AsRef<Path>, target: impl AsRef<Path>) {
        std::os::unix::fs::symlink(target, self.path(path)).unwrap();
    }

    /// Puts a named pipe at `path`.
    pub fn fifo(&self, path: impl AsRef<Path>) {
        nix::unistd::mkfifo(&self.path(path), nix::sys::stat::Mode::S_IRWXU).unwrap();
    }

    /// Puts a socket at `path`.
    pub fn socket(&self, path: impl AsRef<Path>) {
        use nix::sys::stat::{Mode, SFlag, mknod};
        mknod(&self.path(path), SFlag::S_IFSOCK, Mode::S_IRWXU, 0).unwrap();
    }

    /// Has another process take a lease on the file at `path`.
    pub fn lease(&self, path: impl AsRef<Path>) -> Lease {
        let take = "import fcntl, signal, sys\nsignal.signal(signal.SIGIO, signal.SIG_IGN)\n\
                    file = open(sys.argv[1], 'r+')\nfcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)\n\
                    print('held', flush=True)\nsys.stdin.read()";
        let mut python = std::process::Command::new("python3");
        python.args(["-c", take]).arg(self.path(path)).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut lease = Lease(python.spawn().expect("python3 is needed, to take a lease"));
        let mut said = [0; 4];
        lease.0.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
        lease
    }

    /// Puts in place of the file at `path`, one after the other, what whoever owns its directory may put there, and
    /// calls `look` with the name of each. None of it is a file of text.
    pub fn for_each_shape(&self, path: &str, mut look: impl FnMut(&'static str)) {
        type Plant = fn(&Scratch, &str);
        let shapes: [(&str, Plant); 7] = [
            ("a FIFO", |scratch, path| scratch.fifo(path)),
            ("a socket", |scratch, path| scratch.socket(path)),
            ("a link to a FIFO", |scratch, path| {
                scratch.root.remove(Path::new("/run/fifo")).unwrap();
                scratch.fifo("/run/fifo");
                scratch.link(path, scratch.path("/run/fifo"));
            }),
            // Whoever reads it waits for the kernel to say something.
            ("a link to a special file", |scratch, path| scratch.link(path, "/proc/kmsg")),
            ("a device without end", |scratch, path| scratch.link(path, "/dev/zero")),
            ("a deep tree", |scratch, path| make_deep_tree(&scratch.path(path))),
            ("bytes that are not UTF-8", |scratch, path| scratch.put(path, b"\xff\xfe[magnum.drivers]\n\xff = x\n")),
        ];
        for (name, plant) in shapes {
            self.root.remove(Path::new(path)).unwrap();
            plant(self, path);
            look(name);
        }
        self.root.remove(Path::new(path)).unwrap();
        self.put(path, "");
        let lease = self.lease(path);
        look("a file that somebody holds a lease on");
        drop(lease);
        self.root.remove(Path::new(path)).unwrap();
    }

    pub fn text(&self, path: impl AsRef<Path>) -> Option<String> {
        std::fs::read_to_string(self.path(path)).ok()
    }

    /// Makes a directory one that others than root can change, as user magnum can change its own.
    pub fn let_others_write(&self, directory: &str) {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(self.path(directory), mode).unwrap();
    }

    /// This root with `programs` for its programs.
    pub fn system(&self, programs: impl Fn(&Command) -> Option<String> + Send + Sync + 'static) -> System {
        System::new(self.root.clone(), Programs::new(programs))
    }
}

/// Makes a tree of 3,000 directories within each other, deeper than any path can name.
pub fn make_deep_tree(path: &Path) {
    let mut directory = Dir::open_ambient_dir(path.parent().unwrap(), ambient_authority()).unwrap();
    for name in std::iter::once(path.file_name().unwrap()).chain(std::iter::repeat_n("d".as_ref(), 2999)) {
        directory.create_dir(name).unwrap();
        directory = directory.open_dir(name).unwrap();
    }
}

/// Ends with this.
pub struct Lease(Child);

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

type Play = dyn Fn(&Command) -> Option<String> + Send + Sync;

/// Plays programs: the function returns what each prints, or `None` for one that fails.
pub struct Programs {
    play: Box<Play>,
    /// The command lines that were run.
    pub ran: Arc<Mutex<Vec<String>>>,
}

impl Programs {
    pub fn new(play: impl Fn(&Command) -> Option<String> + Send + Sync + 'static) -> Self {
        Self { play: Box::new(play), ran: Arc::default() }
    }
}

/// The command line as one text, for the functions that play programs.
pub fn command_line(command: &Command) -> String {
    let words = std::iter::once(&command.program).chain(&command.args);
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

impl Host for Programs {
    fn run(&self, command: &Command) -> Result<Output> {
        let line = command_line(command);
        self.ran.lock().unwrap().push(line.clone());
        let name = command.name();
        Ok(match (self.play)(command) {
            Some(printed) => Output { code: Some(0), stdout: printed.into_bytes(), name, ..Output::default() },
            None => {
                Output { code: Some(1), stderr: format!("no such program here: {line}"), name, ..Output::default() }
            }
        })
    }

    fn account(&self, name: &str) -> Result<Option<Account>> {
        match name {
            "magnum" => Ok(Some(Account { uid: 64, gid: 64, home: "/var/lib/magnum".into() })),
            _ => Ok(None),
        }
    }
}
