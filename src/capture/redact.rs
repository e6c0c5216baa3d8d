//! Takes secrets out of text: by the name of an option, by the shape of a URL or a header, and by the look of a key.
//! Rather too much than too little, and in a time that grows with the text's length: whoever writes logs decides what
//! is in it.

use std::borrow::Cow;

use crate::system::http;

const REDACTED: &str = "(redacted)";
/// In names with secret values wherever a colon follows.
const STRONG: [&str; 5] = ["password", "passwd", "secret", "token", "authorization"];
/// In names with secret values where a colon can only follow a name, and not a sentence: "no new connection: refused".
const WEAK: [&str; 4] = ["credential", "private", "connection", "transport_url"];
/// A sha256 in hexadecimal has 64 letters, and no longer word is shown that looks like a key.
const LONGEST_WORD: usize = 64;
/// A part between slashes with more letters and a capital is no directory's name and no checksum in hexadecimal.
const LONGEST_NAME: usize = 32;
const BLANK: [char; 2] = [' ', '\t'];

/// Returns the text without what looks like a secret.
pub fn redact(text: &str) -> String {
    let text = without_private_keys(text);
    let mut is_continued = false;
    let lines = text.split_inclusive('\n').map(|line| {
        // A value of oslo.config's goes on in the indented lines below it.
        if is_continued && line.starts_with(BLANK) {
            return format!(" {REDACTED}\n");
        }
        is_continued = begins_secret(line);
        let line = http::redact_urls(&without_values(line), "(redacted)@");
        let words = line.split_inclusive(|c: char| !is_of_base64(c)).map(|piece| {
            let word = piece.trim_end_matches(|c: char| !is_of_base64(c));
            match looks_like_key(word) {
                true => Cow::Owned([REDACTED, &piece[word.len()..]].concat()),
                false => Cow::Borrowed(piece),
            }
        });
        words.collect::<String>()
    });
    lines.collect()
}

/// Whether a line is a secret option without its value.
fn begins_secret(line: &str) -> bool {
    let name = line.trim_end().strip_suffix(['=', ':']).unwrap_or_default().trim_end().to_ascii_lowercase();
    name.ends_with("_key") || STRONG.iter().chain(&WEAK).any(|sign| name.contains(sign))
}

/// Takes out private keys in PEM. One whose beginning or end a journal's limits have cut off reaches to the text's own.
fn without_private_keys(text: &str) -> String {
    let is_of_label = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == ' ';
    let (mut kept, mut from, mut is_in_key) = (String::new(), 0, false);
    for (at, label) in text.match_indices("PRIVATE KEY-----") {
        let head = text[from..at].trim_end_matches(is_of_label);
        let kind = &text[from + head.len()..at];
        let Some(before) = head.strip_suffix("-----") else { continue };
        if kind.starts_with("END ") {
            if !is_in_key {
                kept = REDACTED.to_owned();
            }
            is_in_key = false;
        } else if kind.starts_with("BEGIN ") && !is_in_key {
            kept.extend([before, REDACTED]);
            is_in_key = true;
        } else {
            continue;
        }
        from = at + label.len();
    }
    if !is_in_key {
        kept.push_str(&text[from..]);
    }
    kept
}

/// Takes the values of options with secret names out of a line, and the tokens of headers.
fn without_values(line: &str) -> String {
    let (mut kept, mut rest, mut is_first) = (String::new(), line, true);
    while let Some(start) = rest.find(is_of_name) {
        let length = rest[start..].find(|c: char| !is_of_name(c)).unwrap_or(rest.len() - start);
        let (gap, word, after) = (&rest[..start], &rest[start..start + length], &rest[start + length..]);
        is_first &= gap.trim_matches(BLANK).is_empty();
        kept.extend([gap, word]);
        rest = after;
        if let Some((stays, goes)) = value(word, after, is_first).or_else(|| token(word, after)) {
            kept.extend([stays, " ", REDACTED]);
            rest = &after[stays.len() + goes.len()..];
        }
        is_first &= word == "-";
    }
    kept + rest
}

/// Splits what follows a name before and after its secret value: in a line of JSON or Python only the value goes,
/// otherwise the rest of the line.
fn value<'a>(name: &str, after: &'a str, is_first: bool) -> Option<(&'a str, &'a str)> {
    let name = name.to_ascii_lowercase();
    let stem = name.strip_suffix("_data").or(name.strip_suffix("-data")).unwrap_or(&name);
    let is_strong = stem.ends_with("_key") || stem.ends_with("-key") || STRONG.iter().any(|sign| name.contains(sign));
    // Credentials of a proxy need no scheme before them.
    let is_proxy = name.ends_with("_proxy") && after.contains('@');
    if !is_strong && !is_proxy && !WEAK.iter().any(|sign| name.contains(sign)) {
        return None;
    }
    let colon = |text: &'a str| text.trim_start_matches(BLANK).strip_prefix(':');
    let quoted = after.trim_start_matches('\\').strip_prefix(['"', '\'']).and_then(colon);
    let plain = colon(after).filter(|_| is_strong || is_first);
    let assigned = || after.trim_start_matches(['\\', '"', '\'', ' ', '\t']).strip_prefix('=');
    let (stays, goes) = after.split_at(after.len() - quoted.or(plain).or_else(assigned)?.len());
    let value = goes.trim_start_matches(BLANK);
    if value.trim_start().is_empty() {
        return None;
    }
    let string = quoted.and_then(|_| string(value)).map(|length| goes.len() - value.len() + length);
    Some((stays, &goes[..string.unwrap_or(goes.trim_end_matches('\n').len())]))
}

/// Returns the length of the string literal that a text begins with.
fn string(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|quote| ['"', '\''].contains(quote))?;
    let mut is_escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            end if end == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Splits what follows `Bearer` or `Basic` before and after its token.
fn token<'a>(word: &str, after: &'a str) -> Option<(&'a str, &'a str)> {
    let scheme = word.rsplit(['-', '.']).next().unwrap_or_default();
    if !["bearer", "basic"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return None;
    }
    let token = after.trim_start_matches(BLANK);
    let length = token.find(|c: char| c.is_whitespace() || "\"',;".contains(c)).unwrap_or(token.len());
    let blanks = after.len() - token.len();
    (blanks > 0 && length >= 8).then(|| ("", &after[..blanks + length]))
}

fn looks_like_key(word: &str) -> bool {
    let is_key = |part: &str| part.len() > LONGEST_NAME && part.contains(|c: char| c.is_ascii_uppercase());
    word.len() > LONGEST_WORD && word.split('/').any(is_key)
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || ['_', '.', '-'].contains(&c)
}

fn is_of_base64(c: char) -> bool {
    is_of_name(c) || ['+', '/', '='].contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_redacted(cases: &[(&str, &str)]) {
        for (text, expected) in cases {
            assert_eq!(redact(text), *expected);
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
            ("Environment=https_proxy=u:hunter2@h:1 A=b\n", "Environment=https_proxy= (redacted)\n"),
            (
                "Environment=HTTP_PROXY=http://h:1 HELM_KUBETOKEN=hunter2",
                "Environment=HTTP_PROXY=http://h:1 HELM_KUBETOKEN= (redacted)",
            ),
            ("encryption_key = hunter2", "encryption_key = (redacted)"),
            ("at AWS_SECRET_ACCESS_KEY=hunter2\r\n", "at AWS_SECRET_ACCESS_KEY= (redacted)\n"),
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
            ("req {'X-Auth-Token': '{SHA256}ab', \"x\": 1}", "req {'X-Auth-Token': (redacted), \"x\": 1}"),
            (
                "{'password': 'x', 'token': 'y', 'z': 'unclosed",
                "{'password': (redacted), 'token': (redacted), 'z': 'unclosed",
            ),
            ("{'password': 'unclosed", "{'password': (redacted)"),
            (r#"'{\"password\": \"x\"}'"#, r#"'{\"password\": (redacted)"#),
        ]);
    }

    #[test]
    fn what_goes_on_below_a_secret_option_goes_too() {
        assert_redacted(&[
            (
                "admin_password =\n  hunter2\n\thunter3\nuser = a\n",
                "admin_password =\n (redacted)\n (redacted)\nuser = a\n",
            ),
            ("hosts =\n  a\n", "hosts =\n  a\n"),
        ]);
    }

    #[test]
    fn passwords_in_urls_and_headers_go() {
        assert_redacted(&[
            ("to https://a:hunter2@h/x now\n", "to https://(redacted)@h/x now\n"),
            ("https://token@h/x\n", "https://(redacted)@h/x\n"),
            ("at rabbit://a:p/w@h1:1,b:q@h2:1// ok", "at rabbit://(redacted)@h2:1// ok"),
            ("(https://me@corp:hunter2@h)", "(https://(redacted)@h)"),
            ("db://a:p@w/x@h/d?y=z", "db://(redacted)@h/d?y=z"),
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
            (r"'-----BEGIN RSA PRIVATE KEY-----\nMHc\n-----END RSA PRIVATE KEY-----\n', 1", r"'(redacted)\n', 1"),
            (r"'-----BEGIN PRIVATE KEY-----\nMHc", "'(redacted)"),
            (
                "-----BEGIN PRIVATE KEY-----M-----BEGIN PRIVATE KEY-----M-----END PRIVATE KEY-----BEGIN PRIVATE KEY-----a",
                "(redacted)BEGIN PRIVATE KEY-----a",
            ),
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
            "ssh_key_file = /etc/key, keypair = k, primary_keys: 3",
            "basic auth, Basic: x, bearer of news",
            "PRIVATE KEY----- and -----END PUBLIC KEY-----",
            &sha256,
        ] {
            assert_redacted(&[(text, text)]);
        }
    }
    #[test]
    fn the_time_grows_with_the_length_whatever_a_text_is_made_of() {
        const LENGTH: usize = 20_000;
        for part in [
            "A/",
            "password ",
            "password\\",
            "'token':'x',",
            "'token':'",
            "connection: ",
            "bearer ",
            "a://b/",
            "a://b@",
            "-----BEGIN PRIVATE KEY-----",
            "PRIVATE KEY-----",
        ] {
            let text = part.repeat(LENGTH / part.len()) + "@" + &" ".repeat(10 * LENGTH);
            let began = std::time::Instant::now();
            assert!(redact(&text).len() <= 3 * text.len(), "{part}");
            // It is a moment; comparing each place with each takes more than ten seconds.
            assert!(began.elapsed().as_secs() < 5, "{part}: {:?}", began.elapsed());
        }
    }
}
