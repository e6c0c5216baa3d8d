//! Requests to Keystone and to Magnum's API: each with a time limit, none through a proxy.

use std::time::Duration;

use anyhow::Result;
use reqwest::blocking::{Client, RequestBuilder};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Method};
use serde_json::{Value, json};

use super::chain::Link;
use super::credentials::{Credentials, Hidden};
use super::failure::{Failure, one_line};
use super::stage::Stage;
use crate::http;
use crate::problem::Problem;
use crate::settings::without_credentials;

/// For one answer: Magnum asks Keystone, Glance, Nova and Neutron before it gives one, and waits 60 s for
/// its conductor before it says that there is none.
const LIMIT: Duration = Duration::from_secs(90);
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// What Keystone gave: a token, and where Magnum is.
#[derive(Debug, Clone)]
struct Login {
    token: Hidden,
    magnum: String,
}

/// An account that has logged in.
#[derive(Debug)]
pub struct Session<'a> {
    client: &'a Client,
    credentials: &'a Credentials,
    endpoint: &'a str,
    login: Login,
    /// The id of the project, by which a later run tells what it can see.
    pub project: String,
}

/// No answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// Why.
    pub reason: String,
    /// Whether somebody is there, who takes the question and does not answer.
    pub is_hanging: bool,
}

/// An HTTP answer.
struct Answer {
    status: u16,
    token: Option<String>,
    body: Value,
}

/// A client that trusts what the unit trusts, and the authority that is given. It follows no redirect:
/// the token would go along to wherever that leads.
///
/// # Errors
/// A [`Problem`] with the authority.
pub fn client(credentials: &Credentials) -> Result<Client> {
    let mut builder = http::direct()
        .timeout(LIMIT)
        .connect_timeout(CONNECT_LIMIT)
        .redirect(Policy::none());
    if let Some(authority) = &credentials.authority {
        let trusted = Certificate::from_pem_bundle(authority.as_bytes());
        let trusted = trusted.ok().filter(|all| !all.is_empty());
        let trusted = trusted.ok_or_else(|| {
            Problem::blocked("cacert (or cafile of magnum.conf) holds no PEM certificates")
        })?;
        builder = builder.tls_certs_merge(trusted);
    }
    Ok(builder.build()?)
}

impl<'a> Session<'a> {
    /// Asks Keystone for a token, and its catalogue for Magnum.
    ///
    /// # Errors
    /// At the stage where it happened.
    pub fn open(
        client: &'a Client,
        credentials: &'a Credentials,
        endpoint: &'a str,
    ) -> Result<Self, Failure> {
        let (login, project) = log_in(client, credentials, endpoint)?;
        Ok(Self {
            client,
            credentials,
            endpoint,
            login,
            project,
        })
    }

    /// Magnum's address in the catalogue.
    pub fn magnum(&self) -> &str {
        &self.login.magnum
    }

    /// Takes what must not show out of a text.
    pub fn blanked(&self, text: &str) -> String {
        [&self.credentials.password, &self.login.token]
            .into_iter()
            .fold(text.to_owned(), |text, hidden| {
                text.replace(hidden.reveal(), "***")
            })
    }

    /// Puts one question to Magnum. A token that is over is renewed once.
    ///
    /// # Errors
    /// When there is no answer, or one that is no success.
    pub fn ask(
        &mut self,
        stage: Stage,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        for renewed in [false, true] {
            let address = format!("{}{path}", self.login.magnum);
            let mut request = self.client.request(method.clone(), &address);
            request = request.header("X-Auth-Token", self.login.token.reveal());
            if let Some(body) = body {
                request = request.json(body);
            }
            let answer =
                send(request).map_err(|silence| Failure::silent(stage, &address, &silence))?;
            match answer.status {
                200..=299 => return Ok(answer.body),
                401 if !renewed => {
                    let (login, _) = log_in(self.client, self.credentials, self.endpoint)?;
                    self.login = login;
                }
                status => {
                    let said = self.blanked(&message(&answer.body));
                    return Err(Failure::refused(stage, status, &said));
                }
            }
        }
        Err(Failure::refused(stage, 401, "a fresh token is refused"))
    }

    /// Whether something is there; what it is, if so.
    ///
    /// # Errors
    /// As [`Session::ask`].
    pub fn look(&mut self, stage: Stage, path: &str) -> Result<Option<Value>, Failure> {
        match self.ask(stage, &Method::GET, path, None) {
            Ok(found) => Ok(Some(found)),
            Err(failure) if failure.status == 404 => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

fn log_in(client: &Client, who: &Credentials, endpoint: &str) -> Result<(Login, String), Failure> {
    let user = json!({"name": who.username, "password": who.password.reveal(),
        "domain": {"name": who.user_domain_name}});
    let project = json!({"name": who.project_name, "domain": {"name": who.project_domain_name}});
    let body = json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": user}},
        "scope": {"project": project},
    }});
    let address = format!("{}/auth/tokens", who.auth_url);
    let answer = send(client.post(&address).json(&body))
        .map_err(|silence| Failure::silent(Stage::Token, &address, &silence))?;
    let (201 | 200, Some(token)) = (answer.status, answer.token) else {
        let said = message(&answer.body).replace(who.password.reveal(), "***");
        return Err(Failure::refused(Stage::Token, answer.status, &said));
    };
    let token_body = &answer.body["token"];
    let magnum = magnum_in(&token_body["catalog"], endpoint, who.region.as_deref())
        .map_err(|what| Failure::at(Stage::Catalogue, Link::Catalogue, what))?;
    let token = Hidden::new(token);
    let project = token_body["project"]["id"].as_str().unwrap_or_default();
    Ok((Login { token, magnum }, project.to_owned()))
}

/// Magnum's address in a catalogue, ending in its version; or what the catalogue has instead.
fn magnum_in(catalog: &Value, endpoint: &str, region: Option<&str>) -> Result<String, String> {
    let services = catalog.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut there = Vec::new();
    for service in services
        .iter()
        .filter(|service| service["type"] == "container-infra")
    {
        for found in service["endpoints"].as_array().into_iter().flatten() {
            let of = |key: &str| found[key].as_str().unwrap_or_default();
            if of("interface") == endpoint && region.is_none_or(|region| of("region") == region) {
                let address = of("url").trim_end_matches('/');
                return Ok(match address.ends_with("/v1") {
                    true => address.to_owned(),
                    false => format!("{address}/v1"),
                });
            }
            there.push(format!("{} in {}", of("interface"), of("region")));
        }
    }
    let region = region.map_or_else(String::new, |region| format!(" in region {region}"));
    Err(if there.is_empty() {
        "the catalogue has no service of type container-infra".to_owned()
    } else {
        format!(
            "the catalogue has no {endpoint} endpoint of container-infra{region}, only: {}",
            there.join(", ")
        )
    })
}

fn send(request: RequestBuilder) -> Result<Answer, Silence> {
    let silence = |error: reqwest::Error| Silence {
        reason: http::reason(&error),
        is_hanging: error.is_timeout() && !error.is_connect(),
    };
    let answer = request.send().map_err(silence)?;
    let status = answer.status().as_u16();
    let token = answer.headers().get("X-Subject-Token");
    let token = token
        .and_then(|token| token.to_str().ok())
        .map(str::to_owned);
    let elsewhere = answer.headers().get("Location");
    let elsewhere = elsewhere
        .and_then(|address| address.to_str().ok())
        .filter(|_| (300..400).contains(&status))
        .map(|address| format!("it leads to {}", without_credentials(address)));
    let text = answer.text().map_err(silence)?;
    let text = elsewhere.unwrap_or(text);
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok(Answer {
        status,
        token,
        body,
    })
}

/// What an answer that is no success says: Magnum's `errors[0].detail`, Keystone's `error.message`, or
/// its text.
fn message(body: &Value) -> String {
    let known = [&body["errors"][0]["detail"], &body["error"]["message"]];
    let known = known.into_iter().find_map(|said| said.as_str());
    one_line(
        &known
            .or(body.as_str())
            .map_or_else(|| body.to_string(), str::to_owned),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue() -> Value {
        json!([
            {"type": "image", "endpoints": [{"interface": "public", "region": "A", "url": "http://glance"}]},
            {"type": "container-infra", "endpoints": [
                {"interface": "public", "region": "A", "url": "http://a/v1"},
                {"interface": "public", "region": "B", "url": "http://b/magnum/"},
                {"interface": "internal", "region": "A", "url": "http://i/v1/"}]},
        ])
    }

    #[test]
    fn magnum_is_found_by_interface_and_region() {
        let found = |endpoint, region| magnum_in(&catalogue(), endpoint, region);
        assert_eq!(found("public", None).unwrap(), "http://a/v1");
        assert_eq!(found("public", Some("B")).unwrap(), "http://b/magnum/v1");
        assert_eq!(found("internal", Some("A")).unwrap(), "http://i/v1");
        let told = found("internal", Some("B")).unwrap_err();
        let expected = "the catalogue has no internal endpoint of container-infra in region B, only: \
                        public in A, public in B, internal in A";
        assert_eq!(told, expected);
        let told = magnum_in(&json!([]), "public", None).unwrap_err();
        assert_eq!(told, "the catalogue has no service of type container-infra");
    }

    #[test]
    fn a_message_is_what_each_service_calls_so() {
        let magnum = json!({"errors": [{"status": 400, "title": "t", "detail": "Unable to find\nflavor x."}]});
        assert_eq!(message(&magnum), "Unable to find flavor x.");
        let keystone =
            json!({"error": {"code": 401, "message": "The request", "title": "Unauthorized"}});
        assert_eq!(message(&keystone), "The request");
        assert_eq!(
            message(&Value::String("<h1>503</h1>".into())),
            "<h1>503</h1>"
        );
        assert_eq!(
            message(&Value::String("x".repeat(5000))).len(),
            super::super::failure::MESSAGE_LIMIT
        );
    }
}
