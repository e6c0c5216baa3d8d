//! Requests to Keystone and to Magnum's API: each with a time and a size limit, none through a proxy.

use std::time::Duration;

use anyhow::Result;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Method, RequestBuilder};
use serde_json::{Value, json};

use super::credentials::KeystoneAccount;
use super::failure::{Failure, Link, Stage};
use super::progress::Progress;
use super::resource::CloudResource;
use crate::problem::Problem;
use crate::system::http::{self, HttpClient};
use crate::system::{Secret, limits};

/// For one answer: Magnum asks Keystone, Glance, Nova and Neutron before it gives one, and waits 60 s for its conductor
/// before it says that there is none.
const LIMIT: Duration = Duration::from_secs(90);
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

struct Answer {
    status: u16,
    token: Option<String>,
    body: Value,
}

/// An account that asks Keystone and Magnum.
pub struct CloudSession {
    client: HttpClient,
    account: KeystoneAccount,
    /// The interface of Magnum's endpoint.
    endpoint: String,
    token: Secret<String>,
    /// Magnum's address in the catalog.
    pub magnum: String,
    /// The project's id, by which a later run knows what it can see.
    pub project: String,
    pub progress: Progress,
    /// Every resource that was created, or may have been.
    pub created: Vec<CloudResource>,
}

impl CloudSession {
    /// A session that is not logged in. It trusts what the unit trusts, and the account's authority. It follows no
    /// redirect: the token would go along to wherever that leads.
    ///
    /// # Errors
    /// A [`Problem`] with the authority.
    pub fn new(account: KeystoneAccount, endpoint: String, progress: Progress) -> Result<Self> {
        let mut builder = http::direct().timeout(LIMIT).connect_timeout(CONNECT_LIMIT);
        if let Some(authority) = &account.cacert {
            let trusted = Certificate::from_pem_bundle(authority.as_bytes());
            let trusted = trusted.ok().filter(|all| !all.is_empty()).ok_or_else(|| {
                let detail = "cacert of the secret (or cafile of magnum.conf) holds no PEM certificates";
                Problem::blocked("The account's CA is not PEM", detail)
            })?;
            builder = builder.tls_certs_merge(trusted);
        }
        let client = HttpClient::new(builder.redirect(Policy::none()))?;
        Ok(Self {
            client,
            account,
            endpoint,
            progress,
            token: Secret::default(),
            magnum: String::new(),
            project: String::new(),
            created: Vec::new(),
        })
    }

    /// Asks Keystone for a token, and its catalog for Magnum.
    ///
    /// # Errors
    /// At the stage where it failed.
    pub fn log_in(&mut self) -> Result<(), Failure> {
        let account = &self.account;
        let password = account.password.expose();
        let user = json!({
            "name": account.username, "password": password, "domain": {"name": account.user_domain_name},
        });
        let project = json!({"name": account.project_name, "domain": {"name": account.project_domain_name}});
        let identity = json!({"methods": ["password"], "password": {"user": user}});
        let body = json!({"auth": {"identity": identity, "scope": {"project": project}}});
        let address = format!("{}/auth/tokens", account.auth_url);
        let request = self.client.reqwest.post(&address).json(&body);
        let answer = self.send(Stage::Token, request, &address)?;
        let (200 | 201, Some(token)) = (answer.status, answer.token) else {
            let message = message(&answer.body).replace(password, "***");
            return Err(Failure::refused(Stage::Token, answer.status, &message));
        };
        let body = &answer.body["token"];
        self.magnum = magnum_in(&body["catalog"], &self.endpoint, account.region.as_deref())
            .map_err(|message| Failure::new(Stage::Catalog, Link::Keystone, &message))?;
        self.project = body["project"]["id"].as_str().unwrap_or_default().to_owned();
        self.token = Secret::new(token);
        Ok(())
    }

    /// Takes the password and the token out of a text.
    pub fn redact(&self, text: &str) -> String {
        let text = text.replace(self.account.password.expose(), "***");
        text.replace(self.token.expose(), "***")
    }

    /// Sends a request to Magnum, for a path below its address. A token that has expired is renewed once.
    ///
    /// # Errors
    /// If there is no answer, or it is not a success.
    pub fn request(
        &mut self,
        stage: Stage,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let mut answer = self.ask(stage, method, path, body)?;
        if answer.status == 401 {
            self.log_in()?;
            answer = self.ask(stage, method, path, body)?;
        }
        match answer.status {
            200..=299 => Ok(answer.body),
            status => Err(Failure::refused(stage, status, &self.redact(&message(&answer.body)))),
        }
    }

    fn ask(&self, stage: Stage, method: &Method, path: &str, body: Option<&Value>) -> Result<Answer, Failure> {
        let address = format!("{}/{path}", self.magnum);
        let request = self.client.reqwest.request(method.clone(), &address);
        let mut request = request.header("X-Auth-Token", self.token.expose());
        if let Some(body) = body {
            request = request.json(body);
        }
        self.send(stage, request, &address)
    }

    fn send(&self, stage: Stage, request: RequestBuilder, address: &str) -> Result<Answer, Failure> {
        let no_answer =
            |is_hanging, reason: String| Failure::no_answer(stage, is_hanging, &format!("{address}: {reason}"));
        let answer = self
            .client
            .send(request)
            .map_err(|error| no_answer(error.is_timeout() && !error.is_connect(), http::reason(&error)))?;
        let status = answer.status().as_u16();
        let header = |name| Some(answer.headers().get(name)?.to_str().ok()?.to_owned());
        let (token, location) = (header("X-Subject-Token"), header("Location"));
        let bytes = self.client.wait(http::read(answer, limits::MOST_BYTES));
        let bytes = bytes.map_err(|error| no_answer(false, format!("the answer breaks off: {error}")))?;
        let body = match (location, limits::json(&bytes)) {
            (Some(to), _) if (300..400).contains(&status) => format!("it redirects to {to}").into(),
            (_, Ok(body)) => body,
            // A list that cannot be read is not an empty one.
            (_, Err(error)) if (200..300).contains(&status) && !bytes.is_empty() => {
                return Err(Failure::refused(stage, status, &format!("the answer cannot be read as JSON: {error}")));
            }
            (_, Err(_)) => String::from_utf8_lossy(&bytes).into(),
        };
        Ok(Answer { status, token, body })
    }

    /// Returns what is at `path`; `None` if nothing is.
    ///
    /// # Errors
    /// As [`CloudSession::request`].
    pub fn find(&mut self, stage: Stage, path: &str) -> Result<Option<Value>, Failure> {
        match self.request(stage, &Method::GET, path, None) {
            Err(failure) if failure.status == 404 => Ok(None),
            found => found.map(Some),
        }
    }
}

/// Returns Magnum's address in a catalog, ending in its version; or what the catalog has instead.
pub(crate) fn magnum_in(catalog: &Value, endpoint: &str, region: Option<&str>) -> Result<String, String> {
    let services = catalog.as_array().into_iter().flatten();
    let magnum = services.filter(|service| service["type"] == "container-infra");
    let mut others = Vec::new();
    for found in magnum.filter_map(|service| service["endpoints"].as_array()).flatten() {
        let [interface, of_region, url] =
            ["interface", "region", "url"].map(|key| found[key].as_str().unwrap_or_default());
        if interface == endpoint && region.is_none_or(|region| region == of_region) {
            let url = url.trim_end_matches('/');
            return Ok(format!("{}/v1", url.strip_suffix("/v1").unwrap_or(url)));
        }
        others.push(format!("{interface} in {of_region}"));
    }
    let (region, others) = (region.unwrap_or("any"), others.join(", "));
    Err(format!("no {endpoint} endpoint of container-infra in region {region}, only: {others}"))
}

/// Returns the message of an answer that is not a success: Magnum's `errors[0].detail`, Keystone's `error.message`, or
/// its text.
pub(crate) fn message(body: &Value) -> String {
    let known = [&body["errors"][0]["detail"], &body["error"]["message"], body];
    let known = known.into_iter().find_map(Value::as_str);
    known.map_or_else(|| body.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magnum_is_found_by_interface_and_region() {
        let catalog = json!([
            {"type": "image", "endpoints": [{"interface": "public", "region": "A", "url": "http://glance"}]},
            {"type": "container-infra", "endpoints": [
                {"interface": "public", "region": "A", "url": "http://a/v1"},
                {"interface": "public", "region": "B", "url": "http://b/magnum/"},
                {"interface": "internal", "region": "A", "url": "http://i/v1/"}]},
        ]);
        let found = |endpoint, region| magnum_in(&catalog, endpoint, region);
        assert_eq!(found("public", None).unwrap(), "http://a/v1");
        assert_eq!(found("public", Some("B")).unwrap(), "http://b/magnum/v1");
        assert_eq!(found("internal", Some("A")).unwrap(), "http://i/v1");
        let expected = "no internal endpoint of container-infra in region B, only: public in A, \
                        public in B, internal in A";
        assert_eq!(found("internal", Some("B")).unwrap_err(), expected);
        let error = magnum_in(&json!([]), "public", None).unwrap_err();
        assert_eq!(error, "no public endpoint of container-infra in region any, only: ");
    }

    #[test]
    fn a_message_is_where_each_service_puts_it() {
        let magnum = json!({"errors": [{"status": 400, "title": "t", "detail": "Unable to find flavor x."}]});
        assert_eq!(message(&magnum), "Unable to find flavor x.");
        let keystone = json!({"error": {"code": 401, "message": "The request", "title": "Unauthorized"}});
        assert_eq!(message(&keystone), "The request");
        assert_eq!(message(&Value::String("<h1>503</h1>".into())), "<h1>503</h1>");
        assert_eq!(message(&json!({"odd": 1})), "{\"odd\":1}");
    }
}
