use proptest::prelude::*;

use super::*;

fn greedy() -> SamplingParams {
    SamplingParams { temperature: 0.0, ..SamplingParams::default() }
}

fn choose(params: &SamplingParams, logits: &[f32]) -> u32 {
    Sampler::new(params.clone().into(), 1, &[]).sample(&mut logits.to_vec(), &mut Scratch::default()).0
}

/// Tokens that 400 differently seeded samplers choose.
fn support(params: &SamplingParams, logits: &[f32]) -> std::collections::BTreeSet<u32> {
    let mut scratch = Scratch::default();
    (0..400)
        .map(|seed| Sampler::new(params.clone().into(), seed, &[]).sample(&mut logits.to_vec(), &mut scratch).0)
        .collect()
}

#[test]
fn greedy_takes_the_first_of_equals() {
    assert_eq!(choose(&greedy(), &[0.0, 3.0, 3.0, -1.0]), 1);
}

#[test]
fn a_tiny_temperature_is_greedy() {
    let params = SamplingParams { temperature: 1e-30, ..SamplingParams::default() };
    assert_eq!(choose(&params, &[0.0, 1.0, 1.0001]), 2);
}

#[test]
fn filters_leave_what_they_should() {
    // Probabilities 0.5, 0.25, 0.125, 0.125.
    let logits = [0.5f32.ln(), 0.25f32.ln(), 0.125f32.ln(), 0.125f32.ln()];
    let with = |change: fn(&mut SamplingParams)| {
        let mut params = SamplingParams::default();
        change(&mut params);
        support(&params, &logits).into_iter().collect::<Vec<_>>()
    };
    assert_eq!(with(|_| {}), [0, 1, 2, 3]);
    assert_eq!(with(|p| p.top_k = 2), [0, 1]);
    assert_eq!(with(|p| p.top_k = 3), [0, 1, 2]);
    assert_eq!(with(|p| p.top_p = 0.0), [0]);
    assert_eq!(with(|p| p.top_p = 0.6), [0, 1]);
    assert_eq!(with(|p| p.min_p = 0.4), [0, 1]);
    // Top-p works on what top-k left: 0.5 of 0.75 is two thirds.
    assert_eq!(
        with(|p| {
            p.top_k = 2;
            p.top_p = 0.66;
        }),
        [0]
    );
}

#[test]
fn draws_follow_the_probabilities() {
    let mut sampler = Sampler::new(Arc::default(), 7, &[]);
    let mut scratch = Scratch::default();
    let logits = [0.7f32.ln(), 0.3f32.ln()];
    let ones = (0..20_000).filter(|_| sampler.sample(&mut logits.to_vec(), &mut scratch).0 == 1).count();
    // Six standard deviations.
    assert!((5_600..6_400).contains(&ones), "{ones} of 20000");
}

#[test]
fn penalties_and_bias_change_the_choice() {
    let mut params = greedy();
    params.logit_bias = vec![(0, 5.0)];
    assert_eq!(choose(&params, &[0.0, 1.0]), 0);

    let again = |change: fn(&mut SamplingParams)| {
        let mut params = greedy();
        change(&mut params);
        let mut sampler = Sampler::new(params.into(), 1, &[2]);
        let mut scratch = Scratch::default();
        (0..3).map(|_| sampler.sample(&mut [1.0, 0.9, 0.95], &mut scratch).0).collect::<Vec<_>>()
    };
    assert_eq!(again(|_| {}), [0, 0, 0]);
    assert_eq!(again(|p| p.presence_penalty = 1.0), [0, 2, 1]);
    assert_eq!(again(|p| p.frequency_penalty = 0.06), [0, 2, 0]);
    // Token 2 stands in the prompt.
    assert_eq!(again(|p| p.repetition_penalty = 2.0), [0, 1, 0]);
}

#[test]
fn logprobs_are_the_models_own() {
    let mut params = SamplingParams { logprobs: Some(2), ..greedy() };
    params.logit_bias = vec![(3, 100.0)];
    let logits = [0.5f32.ln(), 0.25f32.ln(), 0.125f32.ln(), 0.125f32.ln()];
    let (token, logprobs) = Sampler::new(params.into(), 1, &[]).sample(&mut logits.to_vec(), &mut Scratch::default());
    let logprobs = logprobs.expect("asked for");
    assert_eq!(token, 3);
    assert!((logprobs.chosen - 0.125f32.ln()).abs() < 1e-6);
    assert_eq!(logprobs.top.iter().map(|top| top.0).collect::<Vec<_>>(), [0, 1]);
    assert!((logprobs.top[0].1 - 0.5f32.ln()).abs() < 1e-6);
}

#[test]
fn seeds_of_choices_differ_and_repeat() {
    let params = SamplingParams { seed: Some(5), ..SamplingParams::default() };
    let seeds: Vec<u64> = (0..4).map(|choice| params.seed_of(choice)).collect();
    assert_eq!(seeds[0], 5);
    assert_eq!(seeds.iter().collect::<std::collections::HashSet<_>>().len(), 4);
    assert_eq!(seeds, (0..4).map(|choice| params.seed_of(choice)).collect::<Vec<_>>());
}

proptest! {
    #[test]
    fn any_row_and_any_parameters_give_a_token_of_the_row(
        logits in prop::collection::vec(prop_oneof![-50f32..50.0, Just(f32::NAN), Just(f32::NEG_INFINITY)], 1..200),
        temperature in 0f32..2.0, top_p in 0f32..=1.0, top_k in 0usize..300, min_p in 0f32..=1.0, seed: u64,
    ) {
        let params = SamplingParams { temperature, top_p, top_k, min_p, logprobs: Some(3), ..SamplingParams::default() };
        let (token, logprobs) = Sampler::new(params.into(), seed, &[]).sample(&mut logits.clone(), &mut Scratch::default());
        prop_assert!((token as usize) < logits.len());
        prop_assert_eq!(logprobs.expect("asked for").top.len(), logits.len().min(3));
    }

    #[test]
    fn the_nucleus_is_the_shortest_best_run(weights in prop::collection::vec(0f32..1.0, 1..400), share in 0f32..1.0) {
        let mut kept: Vec<(u32, f32)> = weights.iter().enumerate().map(|(id, &w)| (id as u32, w)).collect();
        let mut sorted = kept.clone();
        keep_nucleus(&mut kept, share);
        sorted.sort_by(likelier);
        let wanted = total(&sorted) * f64::from(share);
        let sum = |n: usize| sorted[..n].iter().map(|c| f64::from(c.1)).sum::<f64>();
        prop_assert_eq!(&kept[..], &sorted[..kept.len()]);
        // The whole's sum depends on the order of adding by a few ulps.
        prop_assert!(sum(kept.len()) >= wanted - 1e-9);
        prop_assert!(kept.len() == 1 || sum(kept.len() - 1) < wanted + 1e-9);
    }
}
