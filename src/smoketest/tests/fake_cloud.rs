//! Plays Keystone and Magnum on a loopback port, for tests.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

pub const PASSWORD: &str = "hunter2";
pub const TOKEN: &str = "token-of-the-fake";

/// An answer in place of the cloud's own.
pub struct Fault {
    /// `GET /magnum/v1/clusters`: how the request begins.
    pub request: &'static str,
    pub status: u16,
    pub body: String,
    pub times: usize,
}

pub struct Existing {
    pub collection: String,
    pub id: String,
    pub name: String,
}

type Observer = Box<dyn FnMut(&str) + Send>;

#[derive(Default)]
pub struct State {
    pub faults: Vec<Fault>,
    pub existing: Vec<Existing>,
    /// Statuses and reasons of a cluster, one for each look; the last one stays.
    pub statuses: VecDeque<(&'static str, &'static str)>,
    /// Statuses of a cluster that is being deleted; then it is gone.
    pub deletion: VecDeque<(&'static str, &'static str)>,
    /// The project of the account.
    pub project: String,
    pub requests: Vec<String>,
    /// Called with each request.
    pub observer: Option<Observer>,
    is_deleting: bool,
}

pub struct FakeCloud {
    pub address: String,
    state: Arc<Mutex<State>>,
}

impl FakeCloud {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State { project: "here".into(), ..State::default() }));
        let (served, own_address) = (state.clone(), address.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that does not want the answer is a test's own affair.
                serve(stream.unwrap(), &served, &own_address).ok();
            }
        });
        Self { address, state }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Answers each request that begins with `request` with this.
    pub fn fault(&self, request: &'static str, status: u16, body: impl Into<String>) {
        self.faults(request, status, body, usize::MAX);
    }

    pub fn faults(&self, request: &'static str, status: u16, body: impl Into<String>, times: usize) {
        let body = body.into();
        self.state().faults.push(Fault { request, status, body, times });
    }

    pub fn names(&self) -> Vec<String> {
        self.state().existing.iter().map(|found| format!("{} {}", found.collection, found.name)).collect()
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>, address: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let request = line.rsplit_once(' ').map(|(request, _)| request.to_owned()).unwrap_or_default();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if header.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let (status, answer) = {
        let mut state = state.lock().unwrap();
        if let Some(observer) = &mut state.observer {
            observer(&request);
        }
        state.requests.push(request.clone());
        let fault = state.faults.iter_mut().find(|fault| fault.times > 0 && request.starts_with(fault.request));
        match fault {
            Some(fault) => {
                fault.times -= 1;
                (fault.status, fault.body.clone())
            }
            None => {
                let (status, answer) = state.answer(&request, &body, address);
                (status, answer.to_string())
            }
        }
    };
    let headers = match status {
        301 => format!("Location: {answer}\r\n"),
        _ => format!("X-Subject-Token: {TOKEN}\r\n"),
    };
    let length = answer.len();
    write!(stream, "HTTP/1.1 {status} x\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{answer}")
}

impl State {
    fn answer(&mut self, request: &str, body: &Value, address: &str) -> (u16, Value) {
        let (method, path) = request.split_once(' ').unwrap();
        if path == "/v3/auth/tokens" {
            if body["auth"]["identity"]["password"]["user"]["password"] != PASSWORD {
                return (401, json!({"error": {"message": "The request requires authentication."}}));
            }
            let url = format!("{address}/magnum");
            let endpoints = json!([{"interface": "public", "region": "R", "url": url}]);
            let catalog = json!([{"type": "container-infra", "endpoints": endpoints}]);
            return (201, json!({"token": {"project": {"id": self.project}, "catalog": catalog}}));
        }
        let path = path.strip_prefix("/magnum/v1/").unwrap();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let (collection, id) = path.split_once('/').unwrap_or((path, ""));
        let found = self.existing.iter().position(|found| [&found.id, &found.name].contains(&&id.to_owned()));
        match (method, found) {
            ("GET", None) if id.is_empty() => (200, self.page(collection, query)),
            ("POST", _) => {
                let (name, id) = (body["name"].as_str().unwrap(), format!("1d-{}", self.requests.len()));
                self.existing.push(Existing { collection: collection.into(), id: id.clone(), name: name.into() });
                self.is_deleting = false;
                (202, json!({"uuid": id, "name": name}))
            }
            ("GET", Some(index)) if collection == "clusters" => {
                let statuses = if self.is_deleting { &mut self.deletion } else { &mut self.statuses };
                let next = if self.is_deleting || statuses.len() > 1 { statuses.pop_front() } else { None };
                match next.or(statuses.front().copied()) {
                    None if self.is_deleting => {
                        self.existing.remove(index);
                        (404, json!({"errors": [{"detail": "gone"}]}))
                    }
                    shown => {
                        let (status, reason) = shown.unwrap_or(("CREATE_COMPLETE", ""));
                        let updated_at = self.requests.len();
                        (200, json!({"status": status, "status_reason": reason, "updated_at": updated_at}))
                    }
                }
            }
            ("GET", Some(_)) => (200, json!({"coe": "kubernetes", "cluster_distro": "ubuntu", "labels": {}})),
            ("DELETE", Some(_)) if collection == "clusters" => {
                self.is_deleting = true;
                (204, Value::Null)
            }
            ("DELETE", Some(index)) => {
                self.existing.remove(index);
                (204, Value::Null)
            }
            _ => (404, json!({"errors": [{"detail": "not found"}]})),
        }
    }

    /// A page of a collection, as Magnum gives it.
    fn page(&self, collection: &str, query: &str) -> Value {
        let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let (marker, most) = (value("marker"), value("limit").map_or(1000, |limit| limit.parse().unwrap()));
        let all = self.existing.iter().filter(|found| found.collection == collection);
        let rest = all.skip_while(|found| marker.is_some_and(|marker| found.id != marker));
        let rest = rest.skip(usize::from(marker.is_some())).take(most);
        let page: Vec<Value> = rest.map(|found| json!({"uuid": found.id, "name": found.name})).collect();
        let next = (page.len() == most).then_some("http://somewhere/else");
        json!({ collection: page, "next": next })
    }
}
