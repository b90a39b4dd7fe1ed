//! What an unquoted word of YAML 1.2 (core schema) is: null, true, 12, 1e-3, or text.

/// A scalar: as written, and as understood.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scalar {
    /// The text without its quotes.
    pub(crate) text: String,
    pub(crate) kind: ScalarKind,
}

/// How a scalar is understood.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ScalarKind {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text,
}

impl Scalar {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Scalar { text: text.into(), kind: ScalarKind::Text }
    }

    /// An unquoted scalar.
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        let text = text.into();
        Scalar { kind: resolve(&text), text }
    }

    /// A scalar with one of the core tags (`!!int`); none when the text does not fit the tag.
    pub(crate) fn tagged(text: &str, tag: &str) -> Option<Self> {
        let resolved = resolve(text);
        let kind = match (tag, resolved) {
            ("str", _) => ScalarKind::Text,
            ("float", ScalarKind::Int(whole)) => ScalarKind::Float(whole as f64),
            ("null", ScalarKind::Null)
            | ("bool", ScalarKind::Bool(_))
            | ("int", ScalarKind::Int(_))
            | ("float", ScalarKind::Float(_)) => resolved,
            _ => return None,
        };
        Some(Scalar { text: text.to_owned(), kind })
    }

    pub(crate) fn describe(&self) -> String {
        const LONGEST: usize = 60;
        let short: String = match self.text.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}…", &self.text[..end]),
            None => self.text.clone(),
        };
        match self.kind {
            ScalarKind::Null => "nothing (null)".into(),
            ScalarKind::Bool(value) => format!("{value}"),
            ScalarKind::Int(_) | ScalarKind::Float(_) => format!("the number {short}"),
            ScalarKind::Text if short.is_empty() => "an empty text".into(),
            ScalarKind::Text => format!("the text `{}`", short.escape_debug()),
        }
    }
}

fn resolve(text: &str) -> ScalarKind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return ScalarKind::Null,
        "true" | "True" | "TRUE" => return ScalarKind::Bool(true),
        "false" | "False" | "FALSE" => return ScalarKind::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return ScalarKind::Float(f64::NAN),
        _ => {}
    }
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return ScalarKind::Float(f64::from(sign) * f64::INFINITY);
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits(unsigned) {
        // A number past i128 is out of every range all the same.
        return ScalarKind::Int(unsigned.parse().map_or(i128::MAX, |value: i128| i128::from(sign) * value));
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(value) = text.strip_prefix(prefix).and_then(|d| u64::from_str_radix(d, radix).ok()) {
            return ScalarKind::Int(i128::from(value));
        }
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.trim_start_matches(['+', '-']))),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_float = (digits(whole) || (whole.is_empty() && digits(fraction)))
        && (fraction.is_empty() || digits(fraction))
        && exponent.is_none_or(digits);
    match (is_float, unsigned.parse::<f64>()) {
        (true, Ok(value)) => ScalarKind::Float(f64::from(sign) * value),
        _ => ScalarKind::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_are_read_by_the_core_schema() {
        for (text, kind) in [
            ("", ScalarKind::Null),
            ("~", ScalarKind::Null),
            ("true", ScalarKind::Bool(true)),
            ("yes", ScalarKind::Text),
            ("12", ScalarKind::Int(12)),
            ("-7", ScalarKind::Int(-7)),
            ("+7", ScalarKind::Int(7)),
            ("0x1f", ScalarKind::Int(31)),
            ("0o17", ScalarKind::Int(15)),
            ("1_000", ScalarKind::Text),
            ("1e-3", ScalarKind::Float(1e-3)),
            ("-1.5", ScalarKind::Float(-1.5)),
            ("1.", ScalarKind::Float(1.0)),
            (".5", ScalarKind::Float(0.5)),
            (".", ScalarKind::Text),
            ("1e", ScalarKind::Text),
            ("1.2.3", ScalarKind::Text),
            ("2014-09-30", ScalarKind::Text),
            ("infinity", ScalarKind::Text),
            ("nan", ScalarKind::Text),
            ("-.inf", ScalarKind::Float(f64::NEG_INFINITY)),
            ("18446744073709551615", ScalarKind::Int(u64::MAX as i128)),
        ] {
            assert_eq!(resolve(text), kind, "{text}");
        }
    }
}
