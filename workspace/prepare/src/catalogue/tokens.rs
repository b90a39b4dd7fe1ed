//! Text -> tokens -> ids (ItemSage, arXiv 2205.11728, section 4.1.2).
//!
//! Words are lower-cased Unicode words. A text's tokens are its words, its pairs of neighbouring
//! words, and the three-letter pieces of the words joined by single spaces; each kind has its own
//! vocabulary and range of ids.

use std::collections::HashMap;

use twinspire_job::TokenSpec;
use unicode_segmentation::UnicodeSegmentation;

/// The words of a text.
fn words(text: &str) -> Vec<String> {
    text.unicode_words().map(str::to_lowercase).collect()
}

fn bigrams(words: &[String]) -> Vec<String> {
    words.windows(2).map(|pair| pair.join(" ")).collect()
}

fn trigrams(words: &[String]) -> Vec<String> {
    let letters: Vec<char> = words.join(" ").chars().collect();
    letters.windows(3).map(|three| three.iter().collect()).collect()
}

/// The three kinds of tokens of a text, those that are switched on.
pub(super) fn text_tokens(text: &str, spec: TokenSpec) -> [Vec<String>; 3] {
    let words = words(text);
    let on =
        |size: u32, tokens: fn(&[String]) -> Vec<String>| if size > 0 { tokens(&words) } else { Vec::new() };
    let (two, three) = (on(spec.bigrams, bigrams), on(spec.trigrams, trigrams));
    [if spec.unigrams > 0 { words } else { Vec::new() }, two, three]
}

/// A token of a vocabulary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    /// Items that have it.
    pub(super) count: u64,
}

/// Items' tokens of one kind, before it is known which are kept.
#[derive(Default)]
pub(super) struct Kind {
    numbers: HashMap<String, u32>,
    counts: Vec<u64>,
    /// By number: the last item that had the token.
    seen: Vec<usize>,
    /// Numbers of all tokens, item by item.
    tokens: Vec<u32>,
    /// `[items]` where an item's tokens end.
    ends: Vec<usize>,
}

impl Kind {
    /// The next item's tokens.
    pub(super) fn item(&mut self, tokens: impl IntoIterator<Item = String>) {
        let item = self.ends.len() + 1;
        for token in tokens {
            let next = self.counts.len() as u32;
            let number = *self.numbers.entry(token).or_insert(next);
            if number == next {
                self.counts.push(0);
                self.seen.push(0);
            }
            if self.seen[number as usize] != item {
                self.seen[number as usize] = item;
                self.counts[number as usize] += 1;
            }
            self.tokens.push(number);
        }
        self.ends.push(self.tokens.len());
    }

    /// The `size` most frequent tokens (of equal ones the first in the alphabet), in the order of
    /// their ids, which begin at `base`; and every item's ids, other tokens dropped.
    pub(super) fn finish(self, size: u32, base: usize) -> (Vec<Token>, Vec<Vec<i32>>) {
        let mut all: Vec<(String, u32)> = self.numbers.into_iter().collect();
        let count = |number: u32| self.counts[number as usize];
        all.sort_unstable_by(|a, b| count(b.1).cmp(&count(a.1)).then_with(|| a.0.cmp(&b.0)));
        all.truncate(size as usize);
        let mut ids = vec![-1; self.counts.len()];
        for (place, (_, number)) in all.iter().enumerate() {
            ids[*number as usize] = (base + place) as i32;
        }
        let mut start = 0;
        let items = self.ends.iter().map(|end| {
            let tokens = &self.tokens[std::mem::replace(&mut start, *end)..*end];
            tokens.iter().map(|number| ids[*number as usize]).filter(|id| *id >= 0).collect()
        });
        let items = items.collect();
        let tokens = all.into_iter().map(|(text, number)| Token { count: count(number), text }).collect();
        (tokens, items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_words_pairs_of_words_and_three_letter_pieces() {
        let spec = TokenSpec::default();
        let [one, two, three] = text_tokens("Toy  STORY (1995)!", spec);
        assert_eq!(one, ["toy", "story", "1995"]);
        assert_eq!(two, ["toy story", "story 1995"]);
        assert_eq!(three[..4], ["toy", "oy ", "y s", " st"]);
        let [one, two, three] = text_tokens("Toy Story", TokenSpec { bigrams: 0, trigrams: 0, ..spec });
        assert_eq!((one.len(), two.len(), three.len()), (2, 0, 0));
        assert_eq!(text_tokens("Ça va, été?", spec)[0], ["ça", "va", "été"]);
    }

    #[test]
    fn vocabularies_keep_the_most_frequent_and_of_equals_the_first_in_the_alphabet() {
        let mut kind = Kind::default();
        for tokens in [vec!["b", "b", "b"], vec!["c", "a"], vec!["c", "d"]] {
            kind.item(tokens.into_iter().map(str::to_owned));
        }
        let (vocabulary, items) = kind.finish(3, 10);
        let shown: Vec<_> = vocabulary.iter().map(|token| (token.text.as_str(), token.count)).collect();
        assert_eq!(shown, [("c", 2), ("a", 1), ("b", 1)]);
        assert_eq!(items, [vec![12, 12, 12], vec![10, 11], vec![10]]);
    }
}
