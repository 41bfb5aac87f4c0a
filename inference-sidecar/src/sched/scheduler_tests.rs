use std::sync::mpsc::{Sender, channel};

use proptest::prelude::*;
use tokio::sync::mpsc::Receiver as Events;

use super::*;
use crate::exec::BLOCK_TOKENS;
use crate::sample::{Sampler, SamplingParams};
use crate::sched::fake::{FakeGenerator, VOCAB, logits_after};
use crate::sched::{FinishReason, SequenceRequest, TokenEvent};

fn scheduler(blocks: usize, rows: usize, max_running: usize) -> (Sender<Sequence>, Scheduler) {
    let (sender, arrivals) = channel();
    let config = SchedulerConfig { max_batch_tokens: rows, max_running };
    let metrics = Arc::new(Metrics::new("fake").expect("metrics"));
    (sender, Scheduler::new(Box::new(FakeGenerator::new(blocks, rows)), arrivals, config, metrics))
}

fn request(prompt: usize, max_tokens: usize, seed: u64) -> SequenceRequest {
    SequenceRequest {
        prompt: (0..prompt as u64).map(|at| ((at * 7 + seed) % VOCAB as u64) as u32).collect(),
        max_tokens,
        stop_tokens: Arc::new([3]),
        // Every other one greedy.
        sampling: Arc::new(SamplingParams { temperature: (seed % 2) as f32, ..SamplingParams::default() }),
        seed,
    }
}

/// What the answer must be, computed without any scheduling.
fn alone(request: &SequenceRequest) -> Vec<u32> {
    let mut sampler = Sampler::new(request.sampling.clone(), request.seed, &request.prompt);
    let mut tokens = request.prompt.clone();
    for _ in 0..request.max_tokens {
        let (token, _) = sampler.sample(&mut logits_after(&tokens), &mut Scratch::default());
        tokens.push(token);
        if request.stop_tokens.contains(&token) {
            break;
        }
    }
    tokens.split_off(request.prompt.len())
}

fn submit(to: &Sender<Sequence>, request: SequenceRequest) -> Events<TokenEvent> {
    let (sequence, events) = Sequence::new(request, None);
    to.send(sequence).expect("the scheduler lives");
    events
}

fn take(events: &mut Events<TokenEvent>) -> Vec<TokenEvent> {
    std::iter::from_fn(|| events.try_recv().ok()).collect()
}

fn tokens(events: &mut Events<TokenEvent>) -> Vec<u32> {
    take(events).iter().map(|event| event.token).collect()
}

/// Runs until nothing is left to do; no more than `turns`.
fn finish(scheduler: &mut Scheduler, turns: usize) {
    for _ in 0..turns {
        scheduler.waiting.extend(scheduler.arrivals.try_iter());
        if scheduler.waiting.is_empty() && scheduler.running.is_empty() {
            return;
        }
        turn(scheduler);
    }
    panic!("no end after {turns} turns");
}

fn turn(scheduler: &mut Scheduler) {
    scheduler.turn().expect("the generator works");
    let held: usize = scheduler.running.iter().map(|sequence| sequence.blocks.len()).sum();
    assert_eq!(scheduler.pool.used(), held, "a block leaked");
    assert!(!scheduler.batch.tokens.is_empty() || scheduler.running.is_empty(), "nobody got on");
}

#[test]
fn the_last_event_says_why() {
    let (sender, mut scheduler) = scheduler(64, 32, 4);
    let requests: Vec<_> = (0..40).map(|seed| request(5, 12, seed)).collect();
    let expected: Vec<_> = requests.iter().map(alone).collect();
    let mut events: Vec<_> = requests.into_iter().map(|request| submit(&sender, request)).collect();
    finish(&mut scheduler, 1000);
    let mut lengths = 0;
    for (events, expected) in events.iter_mut().zip(expected) {
        let events = take(events);
        let (last, before) = events.split_last().expect("an event");
        assert!(before.iter().all(|event| event.finish.is_none()));
        let reason = if expected.last() == Some(&3) { FinishReason::Stop } else { FinishReason::Length };
        assert_eq!(last.finish, Some(reason));
        lengths += usize::from(reason == FinishReason::Length);
    }
    assert!((1..40).contains(&lengths), "both reasons were seen");
}

#[test]
fn a_pool_too_small_for_all_preempts_and_changes_nothing() {
    // Each needs 5 blocks in the end; 8 hold one and a half.
    let (sender, mut scheduler) = scheduler(8, 64, 8);
    let requests: Vec<_> =
        (0..6).map(|seed| SequenceRequest { stop_tokens: Arc::default(), ..request(10, 70, seed) }).collect();
    let expected: Vec<_> = requests.iter().map(alone).collect();
    let mut events: Vec<_> = requests.into_iter().map(|request| submit(&sender, request)).collect();
    finish(&mut scheduler, 5000);
    assert!(scheduler.metrics.preemptions.get() > 0);
    assert_eq!(events.iter_mut().map(tokens).collect::<Vec<_>>(), expected);
    assert_eq!(scheduler.pool.used(), 0);
}

#[test]
fn a_long_prompt_does_not_hold_up_running_answers() {
    let (sender, mut scheduler) = scheduler(64, 8, 4);
    let mut first = submit(&sender, SequenceRequest { stop_tokens: Arc::default(), ..request(4, 200, 1) });
    scheduler.receive();
    turn(&mut scheduler);
    assert_eq!(take(&mut first).len(), 1);
    let mut second = submit(&sender, request(300, 5, 2));
    scheduler.receive();
    // 7 of the 8 rows are left for the prompt.
    for _ in 0..300 / 7 {
        turn(&mut scheduler);
        assert_eq!(take(&mut first).len(), 1, "a token in each step");
        assert!(take(&mut second).is_empty());
    }
    turn(&mut scheduler);
    assert_eq!(take(&mut second).len(), 1);
}

#[test]
fn who_leaves_frees_his_blocks_at_the_next_boundary() {
    let (sender, mut scheduler) = scheduler(64, 64, 4);
    let leaving = submit(&sender, request(100, 500, 1));
    let leaving_early = submit(&sender, request(10, 500, 3));
    scheduler.receive();
    turn(&mut scheduler);
    assert!(scheduler.pool.used() > 0 && !scheduler.waiting.is_empty());
    drop((leaving, leaving_early));
    turn(&mut scheduler);
    assert_eq!((scheduler.pool.used(), scheduler.waiting.len()), (0, 0));
    assert_eq!(scheduler.metrics.kv_usage.get(), 0.0);
    assert_eq!(scheduler.metrics.abandoned.get(), 2);
}

#[test]
fn a_reader_who_never_reads_holds_up_nobody() {
    let (sender, mut scheduler) = scheduler(64, 64, 4);
    let unread = SequenceRequest { stop_tokens: Arc::default(), ..request(10, 300, 1) };
    let mut events = submit(&sender, unread);
    finish(&mut scheduler, 301);
    assert_eq!((take(&mut events).len(), scheduler.pool.used()), (300, 0));
}

#[test]
fn a_generator_that_fails_ends_the_run_and_closes_every_channel() {
    let (sender, arrivals) = channel();
    let mut generator = FakeGenerator::new(64, 8);
    generator.lasts = 3;
    let config = SchedulerConfig { max_batch_tokens: 8, max_running: 1 };
    let metrics = Arc::new(Metrics::new("fake").expect("metrics"));
    let scheduler = Scheduler::new(Box::new(generator), arrivals, config, metrics);
    let mut events: Vec<_> = (0..3).map(|seed| submit(&sender, request(4, 100, seed))).collect();
    assert!(scheduler.run().is_err());
    for events in &mut events {
        while let Some(event) = events.blocking_recv() {
            assert_eq!(event.finish, None);
        }
    }
}

#[derive(Debug, Clone)]
struct Arrival {
    prompt: usize,
    max_tokens: usize,
    seed: u64,
    /// Turns after the one before.
    later: usize,
    /// The reader leaves after this many turns.
    leaves: Option<usize>,
}

fn arrival() -> impl Strategy<Value = Arrival> {
    let leaves = prop_oneof![4 => Just(None), 1 => (0usize..40).prop_map(Some)];
    (1usize..70, 1usize..50, any::<u64>(), 0usize..6, leaves)
        .prop_map(|(prompt, max_tokens, seed, later, leaves)| Arrival { prompt, max_tokens, seed, later, leaves })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever arrives when, into whatever pool: every answer is what it is alone, and all blocks come back.
    #[test]
    fn every_answer_is_what_it_is_alone(
        arrivals in prop::collection::vec(arrival(), 1..12),
        spare in 0usize..24, rows in 1usize..80, max_running in 1usize..10,
    ) {
        let most = arrivals.iter().map(|a| (a.prompt + a.max_tokens).div_ceil(BLOCK_TOKENS)).max().unwrap_or(1);
        let (sender, mut scheduler) = scheduler(most + spare, rows, max_running);
        let mut open = Vec::new();
        for Arrival { prompt, max_tokens, seed, later, leaves } in arrivals {
            for _ in 0..later {
                scheduler.waiting.extend(scheduler.arrivals.try_iter());
                turn(&mut scheduler);
                open.retain_mut(|(_, _, leaves): &mut (_, _, Option<usize>)| {
                    *leaves = leaves.map(|turns| turns.saturating_sub(1));
                    *leaves != Some(0)
                });
            }
            let request = request(prompt, max_tokens, seed);
            let expected = alone(&request);
            open.push((submit(&sender, request), expected, leaves));
        }
        finish(&mut scheduler, 20_000);
        prop_assert_eq!(scheduler.pool.used(), 0);
        for (mut events, expected, _) in open {
            prop_assert_eq!(tokens(&mut events), expected);
        }
    }
}
