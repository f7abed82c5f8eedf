//! The shapes that names, labels and keys may have; each function returns the real server's sentence.
//!
//! Source: "Object Names and IDs" and "Labels and Selectors" in the Kubernetes documentation.

/// RFC 1123 label: `edge-1`. At most 63 characters.
pub fn dns_label(text: &str) -> Result<(), String> {
    limit(text, 63)?;
    if is_label(text) {
        return Ok(());
    }
    Err("a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start \
         and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
         '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
        .to_owned())
}

/// RFC 1123 subdomain: labels joined by dots. At most 253 characters.
pub fn dns_subdomain(text: &str) -> Result<(), String> {
    limit(text, 253)?;
    if text.split('.').all(is_label) {
        return Ok(());
    }
    Err("a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and \
         must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
         '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
        .to_owned())
}

/// RFC 1035 label, which services have: as [`dns_label`], and starting with a letter.
pub fn service_name(text: &str) -> Result<(), String> {
    limit(text, 63)?;
    if is_label(text) && text.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Ok(());
    }
    Err("a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
         character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
         validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
        .to_owned())
}

/// The key of a label or annotation: `name` or `example.com/name`.
pub fn label_key(text: &str) -> Result<(), String> {
    let (prefix, name) = match text.rsplit_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    if let Some(prefix) = prefix {
        if prefix.is_empty() {
            return Err("prefix part must be non-empty".to_owned());
        }
        dns_subdomain(prefix).map_err(|detail| format!("prefix part {detail}"))?;
    }
    if name.is_empty() {
        return Err("name part must be non-empty".to_owned());
    }
    limit(name, 63).map_err(|detail| format!("name part {detail}"))?;
    if is_qualified(name) {
        return Ok(());
    }
    Err("name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
         alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
         '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
        .to_owned())
}

/// The value of a label; may be empty.
pub fn label_value(text: &str) -> Result<(), String> {
    limit(text, 63)?;
    if text.is_empty() || is_qualified(text) {
        return Ok(());
    }
    Err("a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
         start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used \
         for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
        .to_owned())
}

/// A key of a config map or secret: a file name.
pub(super) fn data_key(text: &str) -> Result<(), String> {
    limit(text, 253)?;
    match text {
        "." | ".." => Err(format!("must not be '{text}'")),
        _ if text.starts_with("..") => Err("must not start with '..'".to_owned()),
        _ if !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)) => {
            Ok(())
        }
        _ => Err("a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. \
                  'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
            .to_owned()),
    }
}

/// The name of a port: RFC 6335 service name.
pub(super) fn port_name(text: &str) -> Result<(), String> {
    limit(text, 15)?;
    if !text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
        return Err("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !text.contains(|c: char| c.is_ascii_lowercase()) {
        return Err("must contain at least one letter (a-z)".to_owned());
    }
    if text.contains("--") {
        return Err("must not contain consecutive hyphens".to_owned());
    }
    if text.starts_with('-') || text.ends_with('-') {
        return Err("must not begin or end with a hyphen".to_owned());
    }
    Ok(())
}

fn limit(text: &str, most: usize) -> Result<(), String> {
    if text.len() > most { Err(format!("must be no more than {most} characters")) } else { Ok(()) }
}

fn is_label(text: &str) -> bool {
    let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(lower) && text.ends_with(lower) && text.chars().all(|c| lower(c) || c == '-')
}

fn is_qualified(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric();
    text.starts_with(plain) && text.ends_with(plain) && text.chars().all(|c| plain(c) || "-_.".contains(c))
}
