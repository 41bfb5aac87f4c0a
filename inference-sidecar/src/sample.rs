//! From one row of logits to one token.
//!
//! Order, as vLLM's: logit bias, penalties, then greedy choice at temperature 0, else temperature, min-p, top-k, top-p
//! and a draw. Log-probabilities are those of the model itself, before any of this.
//!
//! A [`Sampler`] belongs to one sequence and owns its random numbers, so what it draws does not depend on the batch.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Below this temperature the choice is greedy: dividing by it would overflow.
const GREEDY_BELOW: f32 = 1e-5;

/// How to choose tokens. Built by [`crate::request`], which checks the ranges.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplingParams {
    /// 0 = greedy.
    pub temperature: f32,
    /// Smallest set of tokens whose probabilities reach this sum; 1 = all.
    pub top_p: f32,
    /// The k likeliest tokens; 0 = all.
    pub top_k: usize,
    /// Tokens at least this likely relative to the likeliest; 0 = all.
    pub min_p: f32,
    /// Taken off the logit of every token generated already.
    pub presence_penalty: f32,
    /// Taken off once for each time the token was generated.
    pub frequency_penalty: f32,
    /// Divides positive logits (multiplies negative ones) of tokens in prompt or answer; 1 = none.
    pub repetition_penalty: f32,
    /// Added to these tokens' logits.
    pub logit_bias: Vec<(u32, f32)>,
    /// Makes the draws reproducible.
    pub seed: Option<u64>,
    /// Report log-probabilities: of the chosen token and of this many likeliest ones.
    pub logprobs: Option<usize>,
}

impl Default for SamplingParams {
    fn default() -> Self {
        SamplingParams {
            temperature: 1.0,
            top_p: 1.0,
            top_k: 0,
            min_p: 0.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            repetition_penalty: 1.0,
            logit_bias: Vec::new(),
            seed: None,
            logprobs: None,
        }
    }
}

impl SamplingParams {
    /// Seed of choice number `choice` of a request: its own stream for each, and choice 0 is what `n: 1` would give.
    pub fn seed_of(&self, choice: usize) -> u64 {
        let base = self.seed.unwrap_or_else(rand::random);
        if choice == 0 { base } else { split_mix(base.wrapping_add(choice as u64)) }
    }

    fn penalises(&self) -> bool {
        self.presence_penalty != 0.0 || self.frequency_penalty != 0.0 || self.repetition_penalty != 1.0
    }
}

/// SplitMix64's output function, which spreads neighbouring seeds apart.
fn split_mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Natural logarithms of probabilities at one position.
#[derive(Debug, Clone, PartialEq)]
pub struct Logprobs {
    /// Of the chosen token.
    pub chosen: f32,
    /// The likeliest tokens, best first.
    pub top: Vec<(u32, f32)>,
}

/// One sequence's way of choosing.
#[derive(Debug)]
pub struct Sampler {
    params: Arc<SamplingParams>,
    rng: StdRng,
    /// Times each token was generated; kept only where a penalty needs it.
    generated: HashMap<u32, u32>,
    prompt: HashSet<u32>,
}

/// Working memory that one thread lends to all its samplers.
#[derive(Debug, Default)]
pub struct Scratch {
    candidates: Vec<(u32, f32)>,
}

impl Sampler {
    /// A sampler for a sequence that begins with `prompt`.
    pub fn new(params: Arc<SamplingParams>, seed: u64, prompt: &[u32]) -> Self {
        let prompt = if params.repetition_penalty != 1.0 { prompt.iter().copied().collect() } else { HashSet::new() };
        Sampler { params, rng: StdRng::seed_from_u64(seed), generated: HashMap::new(), prompt }
    }

    /// Chooses the next token. `logits` is one row, and is spent by the call.
    pub fn sample(&mut self, logits: &mut [f32], scratch: &mut Scratch) -> (u32, Option<Logprobs>) {
        let raw = self.params.logprobs.map(|top| (top, logits.to_vec()));
        self.adjust(logits);
        let token = if self.params.temperature < GREEDY_BELOW {
            arg_max(logits)
        } else {
            self.draw(logits, &mut scratch.candidates)
        };
        if self.params.penalises() {
            *self.generated.entry(token).or_default() += 1;
        }
        (token, raw.map(|(top, row)| logprobs(&row, token, top, &mut scratch.candidates)))
    }

    fn adjust(&self, logits: &mut [f32]) {
        for &(token, bias) in &self.params.logit_bias {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit += bias;
            }
        }
        if self.params.repetition_penalty != 1.0 {
            for &token in self.prompt.iter().chain(self.generated.keys().filter(|t| !self.prompt.contains(t))) {
                if let Some(logit) = logits.get_mut(token as usize) {
                    let by = self.params.repetition_penalty;
                    *logit = if *logit > 0.0 { *logit / by } else { *logit * by };
                }
            }
        }
        for (&token, &times) in &self.generated {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit -= self.params.presence_penalty + self.params.frequency_penalty * times as f32;
            }
        }
    }

    fn draw(&mut self, logits: &[f32], candidates: &mut Vec<(u32, f32)>) -> u32 {
        let best = arg_max(logits);
        let peak = logits.get(best as usize).copied().unwrap_or_default();
        let scale = self.params.temperature.recip();
        let weight = |logit: f32| ((logit - peak) * scale).exp();
        candidates.clear();
        candidates.extend(logits.iter().enumerate().map(|(token, &logit)| (token as u32, weight(logit))));
        if self.params.min_p > 0.0 {
            // The likeliest token has weight 1.
            candidates.retain(|c| c.1 >= self.params.min_p);
        }
        if self.params.top_k > 0 {
            keep_likeliest(candidates, self.params.top_k);
        }
        if self.params.top_p < 1.0 {
            keep_nucleus(candidates, self.params.top_p);
        }
        let mut left = self.rng.random::<f64>() * total(candidates);
        for &(token, weight) in candidates.iter() {
            left -= f64::from(weight);
            if left < 0.0 {
                return token;
            }
        }
        // Rounding ate the last candidate's share, or the row held no finite number.
        best
    }
}

fn total(candidates: &[(u32, f32)]) -> f64 {
    candidates.iter().map(|c| f64::from(c.1)).sum()
}

/// The likeliest token; the lowest number among equals.
fn arg_max(logits: &[f32]) -> u32 {
    let mut best = (0, f32::NEG_INFINITY);
    for (token, &logit) in logits.iter().enumerate() {
        if logit > best.1 {
            best = (token as u32, logit);
        }
    }
    best.0
}

/// Best first; the lowest number among equals, so that the order is total.
fn likelier(a: &(u32, f32), b: &(u32, f32)) -> Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

fn keep_likeliest(candidates: &mut Vec<(u32, f32)>, k: usize) {
    if k < candidates.len() {
        if k > 0 {
            candidates.select_nth_unstable_by(k - 1, likelier);
        }
        candidates.truncate(k);
    }
}

/// Keeps the shortest best-first run whose sum reaches `share` of the whole. Sorts no more of the list than it needs:
/// a vocabulary is long and a nucleus short.
fn keep_nucleus(candidates: &mut Vec<(u32, f32)>, share: f32) {
    let wanted = total(candidates) * f64::from(share);
    let (mut sum, mut sorted) = (0.0, 0);
    let mut run = 64;
    while sorted < candidates.len() {
        let (_, rest) = candidates.split_at_mut(sorted);
        let run_len = run.min(rest.len());
        if run_len < rest.len() {
            rest.select_nth_unstable_by(run_len - 1, likelier);
        }
        let (head, _) = rest.split_at_mut(run_len);
        head.sort_unstable_by(likelier);
        for (at, candidate) in head.iter().enumerate() {
            sum += f64::from(candidate.1);
            if sum >= wanted {
                candidates.truncate(sorted + at + 1);
                return;
            }
        }
        sorted += run_len;
        run *= 4;
    }
}

fn logprobs(row: &[f32], chosen: u32, top: usize, candidates: &mut Vec<(u32, f32)>) -> Logprobs {
    let peak = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = row.iter().map(|&logit| f64::from((logit - peak).exp())).sum();
    let log_sum = peak + sum.ln() as f32;
    candidates.clear();
    candidates.extend(row.iter().enumerate().map(|(token, &logit)| (token as u32, logit - log_sum)));
    let chosen = candidates.get(chosen as usize).map_or(f32::NEG_INFINITY, |c| c.1);
    keep_likeliest(candidates, top);
    candidates.sort_unstable_by(likelier);
    Logprobs { chosen, top: candidates.clone() }
}

#[cfg(test)]
#[path = "sample_tests.rs"]
mod tests;
