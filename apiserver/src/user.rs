//! Who makes a request.

/// Group of administrators: everything is allowed to its members.
pub const MASTERS: &str = "system:masters";
/// Group that everyone belongs to who has shown who they are.
pub const AUTHENTICATED: &str = "system:authenticated";
/// Group of those who have not.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";
/// Prefix of the user name of a service account: `system:serviceaccount:NAMESPACE:NAME`.
pub const SERVICE_ACCOUNT_PREFIX: &str = "system:serviceaccount:";

/// Who makes a request, as client certificate, token or the embedding program says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Name, such as `system:node:edge-1`.
    pub name: String,
    /// Unique id; empty for users of certificates.
    pub uid: String,
    /// Groups, such as `system:nodes`; [`AUTHENTICATED`] is among them for everyone but the anonymous.
    pub groups: Vec<String>,
    /// What else is known, such as the pod that a token is bound to.
    pub extra: Vec<(String, String)>,
}

impl User {
    /// A user who has shown who they are, in `groups` and in [`AUTHENTICATED`].
    #[must_use]
    pub fn new(name: impl Into<String>, groups: impl IntoIterator<Item = String>) -> Self {
        let mut groups: Vec<String> = groups.into_iter().filter(|group| !group.is_empty()).collect();
        // A certificate may not make its holder anonymous or add to what the server itself decides.
        groups.retain(|group| group != UNAUTHENTICATED && group != AUTHENTICATED);
        groups.push(AUTHENTICATED.to_owned());
        Self { name: name.into(), uid: String::new(), groups, extra: Vec::new() }
    }

    /// The program that embeds the server: everything is allowed to it.
    #[must_use]
    pub fn admin() -> Self {
        Self::new("system:admin", [MASTERS.to_owned()])
    }

    /// Somebody with neither certificate nor token.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            name: "system:anonymous".to_owned(),
            uid: String::new(),
            groups: vec![UNAUTHENTICATED.to_owned()],
            extra: Vec::new(),
        }
    }

    /// A service account.
    #[must_use]
    pub fn service_account(namespace: &str, name: &str, uid: &str) -> Self {
        let groups = ["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")];
        let name = format!("{SERVICE_ACCOUNT_PREFIX}{namespace}:{name}");
        Self { uid: uid.to_owned(), ..Self::new(name, groups) }
    }

    /// Whether the user is in `group`.
    #[must_use]
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }
}
