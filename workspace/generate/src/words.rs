//! Words that look like words, each number its own.

const CONSONANTS: &[u8; 16] = b"bdfgklmnprstvzjh";
const VOWELS: &[u8; 5] = b"aeiou";
/// Three syllables of 80 kinds each.
const WORDS: u64 = 80 * 80 * 80;

/// The word of a number; numbers below 512,000 have different words.
pub fn word(number: u64) -> String {
    // An odd multiplier without a factor 5 permutes the numbers modulo 80³.
    let mut rest = (number % WORDS) * 197_003 % WORDS;
    let mut word = String::with_capacity(6);
    for _ in 0..3 {
        let syllable = (rest % 80) as usize;
        rest /= 80;
        word.push(CONSONANTS[syllable / 5] as char);
        word.push(VOWELS[syllable % 5] as char);
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_numbers_have_different_words() {
        let words: std::collections::HashSet<_> = (0..WORDS).map(word).collect();
        assert_eq!(words.len() as u64, WORDS);
    }
}
