use proptest::prelude::*;

use super::*;

/// The text before the stop string that is complete first, found the slow way.
fn expected(text: &str, stops: &[String]) -> (String, bool) {
    for (at, c) in text.char_indices() {
        let seen = &text[..at + c.len_utf8()];
        if let Some(longest) = stops.iter().filter(|stop| seen.ends_with(*stop)).map(String::len).max() {
            return (seen[..seen.len() - longest].to_owned(), true);
        }
    }
    (text.to_owned(), false)
}

fn run(pieces: &[&str], stops: &[String]) -> (String, bool) {
    let mut matcher = StopMatcher::new(stops.to_vec());
    let mut out = String::new();
    for piece in pieces {
        match matcher.push(piece) {
            Matched::Text(text) => out.push_str(&text),
            Matched::Stop(text) => return (out + &text, true),
        }
    }
    (out + &matcher.finish(), false)
}

#[test]
fn a_stop_string_over_three_pieces_is_cut_off() {
    assert_eq!(run(&["one <", "en", "d> two"], &["<end>".into()]), ("one ".into(), true));
}

#[test]
fn text_that_only_begins_like_a_stop_string_comes_out_in_the_end() {
    assert_eq!(run(&["a <en"], &["<end>".into()]), ("a <en".into(), false));
}

#[test]
fn text_is_not_held_longer_than_needed() {
    let mut matcher = StopMatcher::new(vec!["xyz".into()]);
    assert_eq!(matcher.push("abx"), Matched::Text("ab".into()));
    assert_eq!(matcher.push("q"), Matched::Text("xq".into()));
}

proptest! {
    #[test]
    fn the_result_does_not_depend_on_the_split(
        text in "[abé ]{0,24}",
        stops in prop::collection::vec("[abé]{1,4}", 0..4),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        at.retain(|&cut| text.is_char_boundary(cut));
        at.extend([0, text.len()]);
        at.sort_unstable();
        let pieces: Vec<&str> = at.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
        prop_assert_eq!(run(&pieces, &stops), expected(&text, &stops));
    }
}
