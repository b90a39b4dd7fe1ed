//! Did you mean …?

/// The candidate nearest to what was written, if one is near enough to be a slip of the keyboard or
/// the memory: at most a third of its letters differ, or one is the start of the other.
pub(crate) fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = simplify(written);
    candidates
        .into_iter()
        .map(|candidate| {
            let other = simplify(candidate);
            let distance = strsim::damerau_levenshtein(&plain, &other);
            let prefix = plain.len() >= 3 && (other.starts_with(&plain) || plain.starts_with(&other));
            let allowed = plain.chars().count().max(other.chars().count()).div_ceil(3).min(4);
            (candidate, distance, distance <= allowed || prefix)
        })
        .filter(|(_, _, near)| *near)
        .min_by_key(|(_, distance, _)| *distance)
        .map(|(candidate, ..)| candidate)
}

/// Case, dashes and underscores are not what people get wrong about a name.
fn simplify(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_' | ' ')).flat_map(char::to_lowercase).collect()
}

/// `a, b or c`.
pub(crate) fn either<S: AsRef<str>>(names: &[S]) -> String {
    match names {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [all @ .., last] => {
            let all: Vec<&str> = all.iter().map(AsRef::as_ref).collect();
            format!("{} or {}", all.join(", "), last.as_ref())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_the_name_that_was_meant() {
        let fields = ["global_batch", "epochs", "steps", "optimizer", "warmup_steps"];
        assert_eq!(nearest("global_bacth", fields), Some("global_batch"));
        assert_eq!(nearest("globalBatch", fields), Some("global_batch"));
        assert_eq!(nearest("epoch", fields), Some("epochs"));
        assert_eq!(nearest("warmup", fields), Some("warmup_steps"));
        assert_eq!(nearest("momentum", fields), None);
    }
}
