use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

#[test]
fn every_task_runs_once_in_each_of_many_regions() {
    let mut pool = Pool::new(3).unwrap();
    for region in 0..2_000 {
        let tasks = region % 37;
        let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
        pool.run(tasks, |task| {
            counts[task].fetch_add(1, Ordering::Relaxed);
        });
        assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1));
    }
}

#[test]
fn a_parked_pool_wakes_up() {
    let mut pool = Pool::new(2).unwrap();
    for _ in 0..5 {
        std::thread::sleep(std::time::Duration::from_millis(5));
        let done = AtomicUsize::new(0);
        // Both tasks wait for each other, so the worker must have come.
        pool.run(2, |_| {
            done.fetch_add(1, Ordering::SeqCst);
            while done.load(Ordering::SeqCst) < 2 {
                std::thread::yield_now();
            }
        });
    }
}

#[test]
fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
    let mut pool = Pool::new(2).unwrap();
    let outcome = catch_unwind(AssertUnwindSafe(|| pool.run(8, |task| assert!(task != 5, "task five"))));
    assert!(outcome.is_err());
    let done = AtomicUsize::new(0);
    pool.run(8, |_| {
        done.fetch_add(1, Ordering::Relaxed);
    });
    assert_eq!(done.into_inner(), 8);
}

#[test]
fn parts_cover_the_output() {
    let mut pool = Pool::new(2).unwrap();
    let mut out = vec![0.0; 100];
    let parts = Parts::of(&mut out);
    pool.run(10, |task| {
        // SAFETY: each task has its own ten.
        #[allow(unsafe_code)]
        let part = unsafe { parts.part(task * 10..task * 10 + 10) };
        part.fill(task as f32);
    });
    assert!(out.iter().enumerate().all(|(i, &value)| value == (i / 10) as f32));
}
