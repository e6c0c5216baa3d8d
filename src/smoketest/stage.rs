//! Where in its course a run is.

/// A step of a run, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Keystone is asked for a token.
    Token,
    /// Magnum is looked up in the catalogue.
    Catalogue,
    /// What earlier runs left is removed.
    Leftovers,
    /// The template is made.
    TemplateCreate,
    /// It is looked at.
    TemplateShow,
    /// The cluster is asked for.
    ClusterCreate,
    /// It is being made.
    ClusterWait,
    /// It is deleted.
    ClusterDelete,
    /// The template is deleted.
    TemplateDelete,
    /// Everything went well.
    Done,
}

impl Stage {
    /// Its name in the results.
    pub fn id(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Catalogue => "catalogue",
            Self::Leftovers => "leftovers",
            Self::TemplateCreate => "template-create",
            Self::TemplateShow => "template-show",
            Self::ClusterCreate => "cluster-create",
            Self::ClusterWait => "cluster-wait",
            Self::ClusterDelete => "cluster-delete",
            Self::TemplateDelete => "template-delete",
            Self::Done => "done",
        }
    }
}
