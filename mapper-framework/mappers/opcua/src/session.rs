//! A session with a server: opened, watched, and closed.

use std::sync::Arc;
use std::time::Duration;

use mapper_framework::DriverError;
use opcua::client::transport::{ConnectorBuilder as _, TransportPollResult};
use opcua::client::{
    AsyncSecureChannel, ClientBuilder, ClientConfig, IdentityToken, Session, SessionBuilder,
};
use opcua::core::ResponseMessage;
use opcua::crypto::SecurityPolicy;
use opcua::types::{
    DateTime, EndpointDescription, Error, GetEndpointsRequest, MessageSecurityMode, NodeId, RequestHeader,
    StatusCode, UserTokenType,
};
use tokio::task::JoinSet;

use crate::config::{Reached, Security};
use crate::refusal;
use crate::trust::{Store, identity};

/// A server that is silent is noticed after two of these.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// How long the server keeps a session that nobody uses: we may have lost the power.
const SESSION_TIMEOUT_MS: u32 = 30_000;

/// A session. It ends with this value.
pub(crate) struct Connected {
    pub(crate) session: Arc<Session>,
    /// What keeps it alive; when this ends, so has the session.
    events: JoinSet<StatusCode>,
    _store: Store,
}

impl std::fmt::Debug for Connected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connected").field("events", &self.events.len()).finish_non_exhaustive()
    }
}

impl Connected {
    /// Opens one.
    ///
    /// # Errors
    /// When the server cannot be reached, has no such security, or does not take us.
    pub(crate) async fn open(reached: &Reached) -> Result<Self, DriverError> {
        let url = reached.url.as_str();
        let store = Store::open(reached.security.as_ref()).map_err(DriverError::Config)?;
        let token = identity(&reached.user).map_err(DriverError::Config)?;
        let config = config(reached, &store);
        let lost = |what: &str, error: &Error| {
            refusal::not_connected(url, &format!("{what}: {error}"), error.status())
        };
        let endpoints = endpoints(url, &config, &store, reached.timeout).await;
        let endpoints = endpoints.map_err(|error| lost("it cannot be reached", &error))?;
        let endpoint = choose(&endpoints, reached, &token).map_err(DriverError::Unreachable)?;
        let builder = SessionBuilder::new(&config).connect_to_endpoint_directly(endpoint);
        let session = builder
            .and_then(|builder| builder.user_identity_token(token).build(Arc::clone(&store.certificates)));
        let (session, events) = session.map_err(|error| lost("no session", &error))?;
        // One that is lost is opened anew by the framework, less and less often.
        session.disable_reconnects();
        let mut tasks = JoinSet::new();
        tasks.spawn(events.run());
        tokio::select! {
            true = session.wait_for_connection() => {}
            ended = tasks.join_next() => {
                let status = ended.and_then(Result::ok).unwrap_or(StatusCode::BadUnexpectedError);
                return Err(refusal::not_connected(url, &format!("no session: {status}"), status));
            }
        }
        Ok(Self { session, events: tasks, _store: store })
    }

    /// Why it is over, if it is.
    pub(crate) fn ended(&mut self) -> Option<StatusCode> {
        let ended = self.events.try_join_next()?;
        Some(ended.unwrap_or(StatusCode::BadUnexpectedError))
    }

    /// Closes it.
    pub(crate) async fn close(mut self, limit: Duration) {
        // The server forgets a session that was not closed by itself.
        drop(tokio::time::timeout(limit, self.session.disconnect()).await);
        self.events.shutdown().await;
    }
}

fn config(reached: &Reached, store: &Store) -> ClientConfig {
    ClientBuilder::new()
        .application_name("Skerry OPC UA mapper")
        .application_uri(store.application.as_str())
        .product_uri("urn:skerry:opcua-mapper")
        .session_name("skerry")
        .session_retry_limit(0)
        .session_timeout(SESSION_TIMEOUT_MS)
        .keep_alive_interval(KEEP_ALIVE)
        .max_failed_keep_alive_count(2)
        .request_timeout(reached.timeout)
        .recreate_subscriptions(false)
        .into_config()
}

/// What the server offers. Asked without security: this is where its certificate comes from, which is looked at afterwards.
async fn endpoints(
    url: &str,
    config: &ClientConfig,
    store: &Store,
    limit: Duration,
) -> Result<Vec<EndpointDescription>, Error> {
    let builder = SessionBuilder::new(config).connect_to_endpoint_directly(EndpointDescription::from(url))?;
    let channel = builder.build_channel(Arc::clone(&store.certificates))?;
    let connector = url.build()?;
    let late = || Error::new(StatusCode::BadTimeout, format!("no answer within {limit:?}"));
    let mut events =
        tokio::time::timeout(limit, channel.connect_no_retry(&connector)).await.map_err(|_| late())??;
    let asked = async {
        tokio::select! {
            answer = ask_endpoints(url, &channel, limit) => answer,
            status = async {
                loop {
                    if let TransportPollResult::Closed(status) = events.poll().await {
                        break status;
                    }
                }
            } => Err(Error::new(status, "it closed the connection")),
        }
    };
    tokio::time::timeout(limit, asked).await.map_err(|_| late())?
}

async fn ask_endpoints(
    url: &str,
    channel: &AsyncSecureChannel,
    limit: Duration,
) -> Result<Vec<EndpointDescription>, Error> {
    let request = GetEndpointsRequest {
        request_header: RequestHeader::new(&NodeId::null(), &DateTime::now(), channel.request_handle()),
        endpoint_url: url.into(),
        locale_ids: None,
        profile_uris: None,
    };
    match channel.send(request, limit).await? {
        ResponseMessage::GetEndpoints(response) => Ok(response.endpoints.unwrap_or_default()),
        _ => Err(Error::new(StatusCode::BadUnknownResponse, "it does not say what it offers")),
    }
}

/// The endpoint with the security that the manifest wants. It is reached where the manifest says: servers behind other addresses do
/// not know their own.
fn choose(
    endpoints: &[EndpointDescription],
    reached: &Reached,
    token: &IdentityToken,
) -> Result<EndpointDescription, String> {
    let url = &reached.url;
    let (policy, mode) = match &reached.security {
        Some(Security { policy, mode, .. }) => (*policy, *mode),
        None => (SecurityPolicy::None, MessageSecurityMode::None),
    };
    let fits = |one: &&EndpointDescription| {
        one.security_mode == mode && one.security_policy_uri.as_ref() == policy.to_uri()
    };
    let Some(endpoint) = endpoints.iter().find(fits) else {
        let mut offered: Vec<String> = endpoints.iter().map(named).collect();
        offered.sort_unstable();
        offered.dedup();
        let (wanted, offered) = (named_by(policy.to_uri(), mode), offered.join(", "));
        return Err(format!("{url}: it does not offer {wanted}, but: {offered}"));
    };
    let kind = match token {
        IdentityToken::Anonymous => UserTokenType::Anonymous,
        IdentityToken::UserName(..) => UserTokenType::UserName,
        IdentityToken::X509(..) => UserTokenType::Certificate,
        IdentityToken::IssuedToken(_) => UserTokenType::IssuedToken,
    };
    let tokens = endpoint.user_identity_tokens.as_deref().unwrap_or_default();
    if !tokens.is_empty() && !tokens.iter().any(|offered| offered.token_type == kind) {
        let offered: Vec<String> = tokens.iter().map(|offered| format!("{:?}", offered.token_type)).collect();
        return Err(format!("{url}: it takes no user of kind {kind:?} here, but: {}", offered.join(", ")));
    }
    Ok(EndpointDescription { endpoint_url: url.as_str().into(), ..endpoint.clone() })
}

fn named(endpoint: &EndpointDescription) -> String {
    named_by(endpoint.security_policy_uri.as_ref(), endpoint.security_mode)
}

fn named_by(policy: &str, mode: MessageSecurityMode) -> String {
    let policy = policy.rsplit('#').next().unwrap_or(policy);
    format!("{policy}/{mode}")
}

#[cfg(test)]
mod tests;
