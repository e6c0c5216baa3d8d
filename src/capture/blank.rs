//! Takes secrets out of text: by the name of an option, by the shape of an address, and by the look
//! of a key. Rather too much than too little.

/// What stands in a secret's place.
const BLANK: &str = "(blanked)";
/// An option whose name holds one of these has a secret value.
const SECRET_NAMES: [&str; 8] = [
    "password",
    "passwd",
    "secret",
    "token",
    "credential",
    "private",
    "connection",
    "transport_url",
];
/// So many letters of base64 in a row are key material: a sha256 in hexadecimal has no more.
const LONGEST_WORD: usize = 64;

/// The text without what looks like a secret.
pub fn blanked(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        clean.push_str(&of_line(line));
    }
    clean
}

fn of_line(line: &str) -> String {
    let end = line.len() - line.trim_end_matches('\n').len();
    let (content, newline) = line.split_at(line.len() - end);
    if let Some((name, _)) = content.split_once(['=', ':'])
        && is_secret(name)
    {
        let name = &content[..=name.len()];
        return format!("{name} {BLANK}{newline}");
    }
    // Such as `Environment=OS_PASSWORD=…`, and whatever a journal's line says of an option.
    let (content, blank) = match content.match_indices('=').find(|(at, _)| {
        let name = content[..*at].rsplit(|c: char| !is_of_name(c)).next();
        name.is_some_and(is_secret)
    }) {
        Some((at, _)) => (&content[..=at], format!(" {BLANK}")),
        None => (content, String::new()),
    };
    let words = content.split_inclusive(char::is_whitespace).map(of_word);
    words.chain([blank, newline.to_owned()]).collect()
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '.'
}

/// A name with no blank within it, such as an option's; a sentence is none.
fn is_secret(name: &str) -> bool {
    let name = name.trim().to_lowercase();
    !name.contains(char::is_whitespace) && SECRET_NAMES.iter().any(|word| name.contains(word))
}

fn of_word(word: &str) -> String {
    if let Some((scheme, rest)) = word.split_once("://")
        && let Some((login, host)) = rest.split_once('@')
        && !login.contains('/')
    {
        return format!("{scheme}://{BLANK}@{host}");
    }
    let letter = |c: char| c.is_ascii_alphanumeric() || "+/=_.-".contains(c);
    let longest = word.split(|c| !letter(c)).map(str::len).max();
    // A path is long and has many short parts.
    let is_key = word.split(|c: char| !letter(c) || c == '/').any(|part| {
        part.len() > LONGEST_WORD / 2 && part.contains(|c: char| c.is_ascii_uppercase())
    });
    if longest > Some(LONGEST_WORD) && is_key {
        let blanks: String = word
            .chars()
            .rev()
            .take_while(|c| c.is_whitespace())
            .collect();
        return format!("{BLANK}{blanks}");
    }
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_and_the_rest_stays() {
        let key = "LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFWS0tLS0tCk1IY0NBUUVFSUtoQ2RPZkZ5Z0RQ";
        let path =
            "/usr/local/lib/python3.11/dist-packages/magnum_capi_helm-1.1.0.dist-info/RECORD";
        let sha256 = "ab".repeat(32);
        for (line, expected) in [
            ("password = hunter2\n", "password = (blanked)\n"),
            (
                "trustee_domain_admin_password=hunter2",
                "trustee_domain_admin_password= (blanked)",
            ),
            (
                "transport_url = rabbit://a:hunter2@h//",
                "transport_url = (blanked)",
            ),
            ("    token: hunter2\n", "    token: (blanked)\n"),
            (
                "to https://a:hunter2@h/x now\n",
                "to https://(blanked)@h/x now\n",
            ),
            ("https://token@h/x\n", "https://(blanked)@h/x\n"),
            ("https://h/x@sha256\n", "https://h/x@sha256\n"),
            (
                "Environment=\"OS_PASSWORD=hunter 2\"\n",
                "Environment=\"OS_PASSWORD= (blanked)\n",
            ),
            (
                "ExecStart=/usr/bin/x --x-password=hunter2 --y",
                "ExecStart=/usr/bin/x --x-password= (blanked)",
            ),
            (
                "Aug 01 10:00:00 h magnum[1]: admin_password=hunter2\n",
                "Aug 01 10:00:00 h magnum[1]: admin_password= (blanked)\n",
            ),
            (&format!("data {key}\n"), "data (blanked)\n"),
            (
                "helm_chart_repo = https://h/x\n",
                "helm_chart_repo = https://h/x\n",
            ),
            ("the password is wrong: no\n", "the password is wrong: no\n"),
            (path, path),
            (&sha256, &sha256),
        ] {
            assert_eq!(blanked(line), expected);
        }
    }
}
