//! A project's page in a package index: [PEP 691](https://peps.python.org/pep-0691/) JSON or
//! [PEP 503](https://peps.python.org/pep-0503/) HTML, and the one wheel on it that the charm looks for.

use std::collections::BTreeMap;
use std::str::FromStr;

use anyhow::{Result, ensure};
use pep440_rs::{Version, VersionSpecifiers};
use serde::Deserialize;

use super::PACKAGE;
use crate::system::limits::{self, MOST_NODES};

/// A file on the page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct IndexFile {
    pub filename: String,
    /// Its address, which may be relative to the page's.
    pub url: String,
    /// Its checksums, by their algorithm.
    #[serde(default)]
    pub hashes: BTreeMap<String, String>,
    pub requires_python: Option<String>,
}

/// Reads a page; `None` if it is not one of a package index.
///
/// # Errors
/// If it has more tags or values than are read.
pub fn files(content_type: &str, body: &[u8]) -> Result<Option<Vec<IndexFile>>> {
    #[derive(Deserialize)]
    struct Page {
        files: Vec<IndexFile>,
    }
    ensure!(limits::nodes(body) <= MOST_NODES, "sends a page of more than {MOST_NODES} tags or values");
    if content_type.contains("json") {
        return Ok(limits::json::<Page>(body).ok().map(|page| page.files));
    }
    let files = content_type.contains("html").then(|| anchors(&String::from_utf8_lossy(body)));
    Ok(files.filter(|files| !files.is_empty()))
}

fn anchors(page: &str) -> Vec<IndexFile> {
    let Ok(page) = tl::parse(page, tl::ParserOptions::default()) else { return Vec::new() };
    let mut files = Vec::new();
    for tag in page.nodes().iter().filter_map(tl::Node::as_tag) {
        let attribute = |name: &str| {
            let (_, value) = tag.attributes().iter().find(|(found, _)| found.eq_ignore_ascii_case(name))?;
            value.map(|value| unescaped(&value))
        };
        let Some(href) = attribute("href").filter(|_| tag.name().as_utf8_str().eq_ignore_ascii_case("a")) else {
            continue;
        };
        let (url, fragment) = href.split_once('#').unwrap_or((&href, ""));
        let path = url.split('?').next().unwrap_or_default();
        let hashes = fragment.split('&').filter_map(|hash| hash.split_once('='));
        files.push(IndexFile {
            filename: path.rsplit('/').next().unwrap_or_default().to_owned(),
            hashes: hashes.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            requires_python: attribute("data-requires-python"),
            url: url.to_owned(),
        });
    }
    files
}

/// Puts back the characters that Python's `html.escape` takes out, with which indexes write their pages.
fn unescaped(value: &str) -> String {
    let escapes = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&#39;", "'"), ("&amp;", "&")];
    escapes.iter().fold(value.to_owned(), |text, (escape, character)| text.replace(escape, character))
}

impl IndexFile {
    /// Whether it is the driver's wheel of this version, for every Python 3 and every machine, by its
    /// [name](https://packaging.python.org/en/latest/specifications/binary-distribution-format/#file-name-convention).
    pub fn is_wheel_of(&self, version: &Version) -> bool {
        let name = self.filename.replace("%2B", "+").replace("%2b", "+");
        let Some(parts) = name.strip_suffix(".whl").map(|stem| stem.split('-').collect::<Vec<_>>()) else {
            return false;
        };
        let ([name, of, python, "none", "any"] | [name, of, _, python, "none", "any"]) = parts[..] else {
            return false;
        };
        name.to_lowercase().replace('.', "_") == PACKAGE
            && Version::from_str(of).as_ref() == Ok(version)
            && python.split('.').any(|tag| tag == "py3")
    }

    /// Returns the `Requires-Python` that this Python does not meet. One that is not valid is ignored, as pip does.
    pub fn refuses(&self, python: &str) -> Option<&str> {
        let wanted: VersionSpecifiers = self.requires_python.as_ref()?.parse().ok()?;
        let running: Version = python.parse().ok()?;
        let is_met = wanted.contains(&Version::new(running.release()));
        self.requires_python.as_deref().filter(|_| !is_met)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(content_type: &str, body: &str) -> IndexFile {
        let files = files(content_type, body.as_bytes()).unwrap().unwrap();
        let [file] = &files[..] else { panic!("{files:?}") };
        file.clone()
    }

    #[test]
    fn a_page_says_the_same_in_json_and_in_html() {
        let json = r#"{"meta": {"api-version": "1.1"}, "name": "magnum-capi-helm", "files": [{
            "filename": "magnum_capi_helm-1.1.0-py3-none-any.whl", "url": "../../packages/magnum_capi_helm-1.1.0-py3-none-any.whl",
            "hashes": {"sha256": "ab"}, "requires-python": ">=3.8", "yanked": "broken", "size": 5, "core-metadata": false}]}"#;
        let html = r#"<!DOCTYPE html><html><body><h1>Links</h1><!-- <a href="no-1.whl">no</a> -->
            <A data-requires-python="&gt;=3.8"
               href="../../packages/magnum_capi_helm-1.1.0-py3-none-any.whl#sha256=ab">anything</a></body></html>"#;
        let file = only("application/vnd.pypi.simple.v1+json", json);
        assert_eq!(only("text/html; charset=utf-8", html), file);
        assert_eq!(only("application/vnd.pypi.simple.v1+html", html), file);
        for (python, refused) in [("3.7.9", Some(">=3.8")), ("3.8.0rc1", None), ("3.11.2", None), ("odd", None)] {
            assert_eq!(file.refuses(python), refused, "{python}");
        }
        let invalid = IndexFile { requires_python: Some("3.x, maybe".into()), ..file };
        assert_eq!(invalid.refuses("3.7"), None);
    }

    #[test]
    fn what_is_not_a_page_of_an_index_is_recognised() {
        for (content_type, body) in [
            ("text/html", "<h1>Sign in</h1>"),
            ("text/html", "\u{0}\u{fffd}\u{1}"),
            ("text/plain", "<a href=x.whl>"),
            ("application/json", "{\"error\": 1}"),
            ("application/json", "no JSON"),
            ("", ""),
        ] {
            assert_eq!(files(content_type, body.as_bytes()).unwrap(), None, "{content_type}: {body}");
        }
    }

    #[test]
    fn a_page_over_the_limit_is_refused_with_it() {
        for (content_type, part) in [("text/html", "<a href=x>"), ("application/json", "0,")] {
            let error = files(content_type, part.repeat(MOST_NODES + 1).as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), "sends a page of more than 50000 tags or values");
        }
    }

    #[test]
    fn only_the_wheel_of_the_very_version_is_taken() {
        let is_wheel = |name: &str| {
            let file = IndexFile { filename: format!("{name}.whl"), ..IndexFile::default() };
            file.is_wheel_of(&"1.1.0".parse().unwrap())
        };
        for name in [
            "magnum_capi_helm-1.1.0-py3-none-any",
            "magnum_capi_helm-1.1-2-py2.py3-none-any",
            "Magnum.Capi.Helm-1.1.0-py3-none-any",
        ] {
            assert!(is_wheel(name), "{name}");
        }
        for name in [
            "magnum_capi_helm-1.1.1-py3-none-any",
            "magnum_capi_helm-1.1.0.dev1-py3-none-any",
            "magnum_capi_helm-1.1.0-py2-none-any",
            "magnum_capi_helm-1.1.0-cp311-cp311-linux_x86_64",
            "magnum_capi_helm_evil-1.1.0-py3-none-any",
            "magnum_capi_helm-1.1.0",
        ] {
            assert!(!is_wheel(name), "{name}");
        }
        assert!(
            !IndexFile { filename: "magnum_capi_helm-1.1.0.tar.gz".into(), ..IndexFile::default() }
                .is_wheel_of(&"1.1.0".parse().unwrap())
        );
    }
}
