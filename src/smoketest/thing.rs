//! What a run makes in the cloud.

use std::fmt;

use serde_json::Value;

/// Its kind, in the order in which they are removed: a template is in use as long as its cluster is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A cluster.
    Cluster,
    /// A cluster template.
    Template,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Cluster, Self::Template];

    /// Magnum's name for all of them, in paths and answers.
    pub fn collection(self) -> &'static str {
        match self {
            Self::Cluster => "clusters",
            Self::Template => "clustertemplates",
        }
    }
}

/// One of them, which is there or may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thing {
    /// What it is.
    pub kind: Kind,
    /// Its name, which no other has.
    pub name: String,
    /// Its id; none as long as Magnum has not told it.
    pub id: Option<String>,
}

impl Thing {
    /// One that is about to be made.
    pub fn wanted(kind: Kind, name: &str) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            id: None,
        }
    }

    /// What Magnum shows of one.
    pub fn of(kind: Kind, shown: &Value) -> Self {
        let text = |key: &str| shown[key].as_str().map(str::to_owned);
        Self {
            kind,
            name: text("name").unwrap_or_default(),
            id: text("uuid"),
        }
    }

    /// Where it is. A request whose answer was lost may have been carried out: then the name leads to it.
    pub fn path(&self) -> String {
        format!("/{}/{}", self.kind.collection(), self.ident())
    }

    /// How a person removes it.
    pub fn removed_by(&self) -> String {
        let what = match self.kind {
            Kind::Cluster => "cluster",
            Kind::Template => "cluster template",
        };
        format!("openstack coe {what} delete {}", self.ident())
    }

    fn ident(&self) -> &str {
        self.id.as_ref().unwrap_or(&self.name)
    }
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Cluster => "cluster",
            Kind::Template => "template",
        };
        let id = self.id.as_deref().unwrap_or("id unknown");
        write!(f, "{kind} {} ({id})", self.name)
    }
}
