//! Small helpers for English in messages and documents.

/// The first sentence of a doc comment, without its full stop.
pub(crate) fn first_sentence(doc: &str) -> &str {
    let end = doc.match_indices(". ").map(|(at, _)| at).find(|at| {
        let (before, after) = (&doc[..*at], &doc[at + 2..]);
        !before.ends_with("e.g") && !before.ends_with("i.e") && after.starts_with(|c: char| !c.is_lowercase())
    });
    doc[..end.unwrap_or(doc.len())].trim_end_matches('.')
}

/// For the middle of a sentence: lower-cases the first letter unless the word is an acronym or code.
pub(crate) fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(first), Some(second)) if first.is_uppercase() && !second.is_uppercase() => {
            first.to_lowercase().chain(text[first.len_utf8()..].chars()).collect()
        }
        _ => text.to_owned(),
    }
}

/// `text` in lines of at most `width` characters, broken between words.
pub(crate) fn wrap(text: &str, width: usize) -> impl Iterator<Item = String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.into_iter()
}

/// `a: b` -> something a job may be called.
pub(crate) fn slug(text: &str) -> String {
    let dashed: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let words: Vec<&str> = dashed.split('-').filter(|word| !word.is_empty()).collect();
    let name: String = words.join("-").chars().take(63).collect();
    name.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_ends_where_a_new_one_begins() {
        assert_eq!(first_sentence("One. Two."), "One");
        assert_eq!(first_sentence("A list, e.g. one an image."), "A list, e.g. one an image");
        assert_eq!(first_sentence("Only this"), "Only this");
        assert_eq!(first_sentence("Passes. `x` follows."), "Passes");
    }

    #[test]
    fn wrapped_lines_keep_all_words() {
        assert_eq!(wrap("a bb ccc dddddd e", 5).collect::<Vec<_>>(), ["a bb", "ccc", "dddddd", "e"]);
    }

    #[test]
    fn slugs_are_names() {
        assert_eq!(slug("My Job_1!"), "my-job-1");
        assert_eq!(slug("--"), "");
    }
}
