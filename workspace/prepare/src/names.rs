//! Did you mean …?

/// The candidate nearest to what was written, when at most a third of its letters differ or one
/// begins with the other. Case, dashes and underscores do not count.
pub(crate) fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |name: &str| -> String {
        name.chars().filter(|c| !matches!(c, '-' | '_' | ' ' | '.')).flat_map(char::to_lowercase).collect()
    };
    let wanted = plain(written);
    candidates
        .into_iter()
        .map(|candidate| {
            let other = plain(candidate);
            let distance = strsim::damerau_levenshtein(&wanted, &other);
            let allowed = wanted.chars().count().max(other.chars().count()).div_ceil(3).min(4);
            let prefix = wanted.len() >= 3
                && other.len() >= 3
                && (other.starts_with(&wanted) || wanted.starts_with(&other));
            (candidate, distance, distance <= allowed || prefix)
        })
        .filter(|(_, _, near)| *near)
        .min_by_key(|(_, distance, _)| *distance)
        .map(|(candidate, ..)| candidate)
}
