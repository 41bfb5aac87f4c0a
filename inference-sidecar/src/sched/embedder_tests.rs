use std::sync::Arc;
use std::sync::mpsc::channel;

use tokio::sync::Semaphore;

use super::*;

/// The embedding is the sum of the tokens; remembers the sizes of the batches.
#[derive(Default)]
struct Sum {
    batches: Vec<usize>,
}

impl Embedder for Sum {
    fn dimensions(&self) -> usize {
        1
    }

    fn vocab(&self) -> usize {
        2
    }

    fn max_tokens(&self) -> usize {
        100
    }

    fn embed(&mut self, inputs: &[Vec<u32>]) -> Result<Vec<Vec<f32>>, EngineError> {
        self.batches.push(inputs.len());
        Ok(inputs.iter().map(|input| vec![input.iter().sum::<u32>() as f32]).collect())
    }
}

/// The embeddings of one job; `None` if nobody was there to take them.
type Answer = Option<Vec<Vec<f32>>>;

/// One job for each list of input lengths, all queued before the embedder starts; `gone` has no reader.
fn run(jobs: &[&[usize]], gone: Option<usize>, max_batch_tokens: usize) -> (Vec<Answer>, Vec<usize>) {
    let places = Arc::new(Semaphore::new(jobs.len()));
    let (sender, receiver) = channel();
    let mut replies = Vec::new();
    for (at, lengths) in jobs.iter().enumerate() {
        let (reply, answer) = oneshot::channel();
        let inputs = lengths.iter().map(|&length| vec![1; length]).collect();
        let place = places.clone().try_acquire_owned().expect("a place");
        sender.send(EmbedJob { inputs, reply, place }).expect("sent");
        replies.push((gone != Some(at)).then_some(answer));
    }
    drop(sender);
    let mut embedder = Sum::default();
    run_embedder(&mut embedder, &receiver, max_batch_tokens).expect("runs");
    assert_eq!(places.available_permits(), jobs.len());
    (replies.into_iter().map(|reply| reply.and_then(|mut r| r.try_recv().ok())).collect(), embedder.batches)
}

#[test]
fn jobs_share_batches_and_get_their_own_back() {
    let (answers, batches) = run(&[&[1, 2], &[3], &[4, 5, 6]], None, 1000);
    assert_eq!(batches, [6]);
    assert_eq!(
        answers,
        [Some(vec![vec![1.0], vec![2.0]]), Some(vec![vec![3.0]]), Some(vec![vec![4.0], vec![5.0], vec![6.0]])]
    );
}

#[test]
fn a_long_job_is_cut_and_what_fits_no_batch_goes_alone() {
    let (answers, batches) = run(&[&[4, 4, 4], &[50, 1]], None, 8);
    assert_eq!(batches, [1, 1, 2, 1]);
    assert_eq!(answers[0], Some(vec![vec![4.0]; 3]));
    assert_eq!(answers[1], Some(vec![vec![50.0], vec![1.0]]));
}

#[test]
fn who_has_left_costs_nothing() {
    let (answers, batches) = run(&[&[4], &[4, 4]], Some(0), 100);
    assert_eq!(batches, [2]);
    assert_eq!(answers, [None, Some(vec![vec![4.0]; 2])]);
}

#[test]
fn a_short_job_does_not_wait_for_a_long_one() {
    let place = || Arc::new(Semaphore::new(1)).try_acquire_owned().expect("a place");
    let (sender, receiver) = channel();
    let (reply, _long) = oneshot::channel();
    sender.send(EmbedJob { inputs: vec![vec![1; 4]; 50], reply, place: place() }).expect("sent");
    let (reply, mut short) = oneshot::channel();
    sender.send(EmbedJob { inputs: vec![vec![1; 4]], reply, place: place() }).expect("sent");
    /// Fails with the third batch.
    struct TwoBatches(Sum);
    impl Embedder for TwoBatches {
        fn dimensions(&self) -> usize {
            self.0.dimensions()
        }

        fn vocab(&self) -> usize {
            self.0.vocab()
        }

        fn max_tokens(&self) -> usize {
            self.0.max_tokens()
        }

        fn embed(&mut self, inputs: &[Vec<u32>]) -> Result<Vec<Vec<f32>>, EngineError> {
            if self.0.batches.len() == 2 {
                return Err(EngineError::Internal("enough".into()));
            }
            self.0.embed(inputs)
        }
    }
    assert!(run_embedder(&mut TwoBatches(Sum::default()), &receiver, 4).is_err());
    assert_eq!(short.try_recv().expect("answered"), [[4.0]]);
}
