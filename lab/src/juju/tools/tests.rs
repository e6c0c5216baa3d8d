//! The hook tools without a machine: what they print, how they exit, what they leave.

mod others;
mod peers;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::juju::charm::Charm;
use crate::juju::context::HookRelation;
use crate::juju::model::{Relation, UnitState};
use crate::juju::options::Options;
use crate::juju::secrets::{SecretUri, Secrets};

#[derive(Default)]
struct Disk(BTreeMap<String, Vec<u8>>);

impl UnitFiles for Disk {
    fn write(&mut self, path: &str, content: &[u8]) -> Result<()> {
        self.0.insert(path.into(), content.into());
        Ok(())
    }
}

struct Bench {
    model: Model,
    context: HookContext,
    disk: Disk,
}

fn bench() -> Bench {
    let relation = Relation {
        id: 3,
        endpoint: "magnum".into(),
        entered: true,
        units: BTreeSet::from(["magnum/0".to_owned()]),
        settings: BTreeMap::from([("private-address".to_owned(), "10.0.0.10".to_owned())]),
        remote: BTreeMap::from([("private-address".to_owned(), "10.0.0.10".to_owned())]),
    };
    let unit = UnitState {
        status: ("waiting".into(), "for it".into()),
        principal: "magnum/0".into(),
        relation: Some(relation),
        ..UnitState::default()
    };
    let config = "options:
  pin: {type: string, default: a==1}
  url: {type: string}
  wait: {type: int, default: 3}
  drivers: {type: boolean, default: true}
";
    let model = Model {
        name: "lab".into(),
        uuid: String::new(),
        application: "probe".into(),
        charm: Charm::for_tests(Options::parse(config).unwrap(), &[("helm", "helm.bin"), ("wheel", "a.whl")]),
        config: BTreeMap::new(),
        secrets: Secrets::default(),
        resources: BTreeMap::from([("helm".to_owned(), Vec::new())]),
        leader: Some("probe/0".into()),
        application_status: ("unknown".into(), String::new()),
        units: BTreeMap::from([("probe/0".to_owned(), unit)]),
        application_settings: BTreeMap::new(),
        peers: None,
    };
    let context =
        HookContext { id: "c".into(), unit: "probe/0".into(), hook: "install".into(), ..HookContext::default() };
    Bench { model, context, disk: Disk::default() }
}

impl Bench {
    /// Exit code, standard output and standard error of a command line; `_` in a word is a space.
    fn call(&mut self, line: &str) -> (u8, String, String) {
        let argv = line.split(' ').map(|word| word.replace('_', " ")).collect();
        let request = Request { argv, ..Request::default() };
        let reply = serve(&request, &mut self.context, &mut self.model, &mut self.disk);
        (reply.code, reply.stdout, reply.stderr)
    }

    fn prints(&mut self, line: &str, expected: &str) {
        assert_eq!(self.call(line), (0, expected.into(), String::new()), "{line}");
    }

    fn fails(&mut self, line: &str, code: u8, complaint: &str) {
        assert_eq!(self.call(line), (code, String::new(), format!("ERROR {complaint}\n")), "{line}");
    }

    fn in_relation(mut self, remote_unit: Option<&str>) -> Self {
        self.context.relation = Some(HookRelation {
            endpoint: "magnum".into(),
            id: 3,
            remote_application: "magnum".into(),
            remote_unit: remote_unit.map(str::to_owned),
            departing_unit: None,
        });
        self
    }

    fn secret(&mut self) -> SecretUri {
        let content = BTreeMap::from([("kubeconfig".to_owned(), "text".to_owned())]);
        self.model.secrets.add("capi", content).unwrap()
    }
}
