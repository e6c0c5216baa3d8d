//! Takes secrets out of text: by the name of an option, by the shape of a URL or a header, and by the look of a key.
//! Rather too much than too little.

use anyhow::Result;
use regex_lite::{Captures, Regex};

const REDACTED: &str = "(redacted)";
/// Names with secret values wherever a colon follows.
const STRONG: &str = r"[\w.-]*(?:password|passwd|secret|token|authorization)[\w.-]*|[\w.-]*[_-]key(?:[_-]data)?";
/// Names with secret values where a colon can only follow a name, and not a sentence: "no new connection: refused".
const WEAK: &str = r"[\w.-]*(?:credential|private|connection|transport_url)[\w.-]*";
/// A part between slashes with more letters and a capital is no directory's name and no checksum in hexadecimal.
const LONGEST_NAME: usize = 32;

pub struct Redactor {
    /// A pattern, and what replaces it.
    patterns: Vec<(Regex, &'static str)>,
    long_words: Regex,
}

impl Redactor {
    /// # Errors
    /// If a pattern is not valid: never, as the tests show.
    pub fn new() -> Result<Self> {
        let name = format!("(?:{STRONG}|{WEAK})");
        // In a line of JSON or Python only the value goes; otherwise the rest of the line.
        let pair = format!(
            r#"(?im)(?P<item>{name}\\*["'][ \t]*:)[ \t]*(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|(?P<line>^[ \t]*(?:-[ \t]+)?{name}[ \t]*:|(?:{STRONG})[ \t]*:|{name}\\*["'][ \t]*:|{name}[\\"' \t]*=)[ \t]*\S.*$"#
        );
        let patterns = [
            // A private key whose beginning or end a journal's limits have cut off reaches to the text's own.
            (r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)", REDACTED),
            (r"(?s)\A.*-----END [A-Z0-9 ]*PRIVATE KEY-----", REDACTED),
            (&pair, "${item}${line} (redacted)"),
            (r#"(?i)\b(bearer|basic)[ \t]+[^\s"',;]{8,}"#, "$1 (redacted)"),
            // A password may contain a slash or another @.
            (r"(?i)([a-z][a-z0-9+.-]*://)(?:[^\s/:]*:\S*|[^\s/:@]*)@", "$1(redacted)@"),
        ];
        let patterns = patterns.map(|(pattern, replacement)| Ok((Regex::new(pattern)?, replacement)));
        Ok(Self {
            patterns: patterns.into_iter().collect::<Result<_>>()?,
            // A sha256 in hexadecimal has 64 letters.
            long_words: Regex::new(r"[A-Za-z0-9+/=_.-]{65,}")?,
        })
    }

    /// Returns the text without what looks like a secret.
    pub fn redact(&self, text: &str) -> String {
        let text = self.patterns.iter().fold(text.to_owned(), |text, (pattern, replacement)| {
            pattern.replace_all(&text, *replacement).into_owned()
        });
        let long_word = |word: &Captures| {
            let is_key = |part: &str| part.len() > LONGEST_NAME && part.contains(|c: char| c.is_ascii_uppercase());
            match word[0].split('/').any(is_key) {
                true => REDACTED.to_owned(),
                false => word[0].to_owned(),
            }
        };
        self.long_words.replace_all(&text, long_word).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_redacted(cases: &[(&str, &str)]) {
        let redactor = Redactor::new().unwrap();
        for (text, expected) in cases {
            assert_eq!(redactor.redact(text), *expected);
        }
    }

    #[test]
    fn the_values_of_options_with_secret_names_go() {
        assert_redacted(&[
            ("password = hunter2\nx = 1\n", "password = (redacted)\nx = 1\n"),
            ("trustee_domain_admin_password=hunter2", "trustee_domain_admin_password= (redacted)"),
            ("connection = mysql://a:hunter2@h", "connection = (redacted)"),
            ("    token: hunter2\n", "    token: (redacted)\n"),
            ("  - client-key-data: aHVudGVyMg==\n", "  - client-key-data: (redacted)\n"),
            ("encryption_key = hunter2", "encryption_key = (redacted)"),
            ("Environment=\"OS_PASSWORD=hunter 2\"\n", "Environment=\"OS_PASSWORD= (redacted)\n"),
            ("ExecStart=/usr/bin/x --x-password=hunter2 --y", "ExecStart=/usr/bin/x --x-password= (redacted)"),
            ("Aug 01 h magnum[1]: admin_password=hunter2\n", "Aug 01 h magnum[1]: admin_password= (redacted)\n"),
            ("Aug 01 h magnum[1]: X-Auth-Token: hunter2\n", "Aug 01 h magnum[1]: X-Auth-Token: (redacted)\n"),
        ]);
    }

    #[test]
    fn the_values_of_json_and_python_go_in_the_middle_of_a_line() {
        assert_redacted(&[
            (r#"sent {"password": "x\"y", "user": "a"} to"#, r#"sent {"password": (redacted), "user": "a"} to"#),
            ("{'user': 'a', 'auth_token': 'x'}", "{'user': 'a', 'auth_token': (redacted)}"),
            (r#"{"private_key":"x","b":1}"#, r#"{"private_key": (redacted),"b":1}"#),
            ("{'password': b'x', 'y': 'z'}", "{'password': (redacted)"),
            (r#"{"secret": {"a": "x"}, "b": 1}"#, r#"{"secret": (redacted)"#),
            (r#"'{\"password\": \"x\"}'"#, r#"'{\"password\": (redacted)"#),
        ]);
    }

    #[test]
    fn passwords_in_urls_and_headers_go() {
        assert_redacted(&[
            ("to https://a:hunter2@h/x now\n", "to https://(redacted)@h/x now\n"),
            ("https://token@h/x\n", "https://(redacted)@h/x\n"),
            ("at rabbit://a:p/w@h1:1,b:q@h2:1// ok", "at rabbit://(redacted)@h2:1// ok"),
            ("(https://me@corp:hunter2@h)", "(https://(redacted)@h)"),
            ("GET / Bearer eyJhbGciOi.x-y_z, ok", "GET / Bearer (redacted), ok"),
            ("-H 'Authorize: basic dXNlcjpodW50ZXIy'", "-H 'Authorize: basic (redacted)'"),
        ]);
    }

    #[test]
    fn keys_go_with_all_their_lines() {
        let key = "LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFWS0tLS0tCk1IY0NBUUVFSUtoQ2RPZkZ5Z0RQ";
        assert_redacted(&[
            (&format!("data {key}\n"), "data (redacted)\n"),
            ("a\n-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----\nb", "a\n(redacted)\nb"),
            ("a -----BEGIN PRIVATE KEY-----\nMHc\nMHc", "a (redacted)"),
            ("MHc\n-----END PRIVATE KEY-----\nb", "(redacted)\nb"),
        ]);
    }

    #[test]
    fn what_is_not_secret_stays() {
        let sha256 = "ab".repeat(32);
        for text in [
            "https://h/x@sha256\n",
            "helm_chart_repo = https://h/x\n",
            "the password is wrong: no\n",
            "Failed to establish a new connection: [Errno 111] Connection refused",
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
            "/usr/local/lib/python3.11/dist-packages/magnum_capi_helm-1.1.0.dist-info/RECORD",
            "password =\n",
            &sha256,
        ] {
            assert_redacted(&[(text, text)]);
        }
    }
}
