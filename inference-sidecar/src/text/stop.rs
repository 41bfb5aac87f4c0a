//! Stop strings, which may begin in one token and end in another.

/// Watches text for stop strings. Text that could be the beginning of one is held back until it is decided.
///
/// The stop string that is complete first wins (the longest of several that end together), so the result does not
/// depend on where the text was cut.
#[derive(Debug)]
pub struct StopMatcher {
    stops: Vec<String>,
    held: String,
}

/// What a piece of text led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Matched {
    /// Text that may go out.
    Text(String),
    /// A stop string is complete: the last text before it.
    Stop(String),
}

impl StopMatcher {
    /// A matcher of these strings, none of them empty.
    pub fn new(stops: Vec<String>) -> Self {
        StopMatcher { stops, held: String::new() }
    }

    /// Takes the next piece of text.
    pub fn push(&mut self, text: &str) -> Matched {
        if self.stops.is_empty() {
            return Matched::Text(text.to_owned());
        }
        self.held.push_str(text);
        let first = self.stops.iter().filter_map(|stop| self.held.find(stop).map(|at| (at + stop.len(), at))).min();
        if let Some((_, start)) = first {
            self.held.truncate(start);
            return Matched::Stop(std::mem::take(&mut self.held));
        }
        let keep = self.undecided();
        let rest = self.held.split_off(self.held.len() - keep);
        Matched::Text(std::mem::replace(&mut self.held, rest))
    }

    /// The text still held back, once no more will come.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Length of the longest end of the held text with which a stop string begins.
    fn undecided(&self) -> usize {
        let longest = |stop: &String| {
            let starts = stop.char_indices().map(|(at, _)| at).skip(1);
            starts.filter(|&len| self.held.ends_with(&stop[..len])).max().unwrap_or(0)
        };
        self.stops.iter().map(longest).max().unwrap_or(0)
    }
}

#[cfg(test)]
#[path = "stop_tests.rs"]
mod tests;
