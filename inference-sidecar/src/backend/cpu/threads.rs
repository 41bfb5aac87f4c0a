//! The CPU backend's thread pool: parallel regions of a few microseconds, thousands of them a second.
//!
//! A region's tasks are claimed one by one from a counter, so that a thread that the system has put aside holds nobody
//! up with tasks that others could do. Between regions workers spin a little, then park.
#![allow(
    unsafe_code,
    reason = "a region lends its closure and disjoint parts of one output to threads that outlive it"
)]

use std::any::Any;
use std::cell::UnsafeCell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, Thread};

/// Looks at the state before a worker parks: some hundred microseconds, more than the longest serial part of a step.
const SPINS: u32 = 2_000;

/// `Shared::state`: region number, an open flag, and how many workers are in the region.
const REGION: u64 = 1 << 32;
const OPEN: u64 = 1 << 31;
const INSIDE: u64 = OPEN - 1;

/// What a region runs: its number of tasks, and the closure that does one.
#[derive(Clone, Copy)]
struct Region {
    tasks: usize,
    run: *const (dyn Fn(usize) + Sync),
}

struct Shared {
    state: AtomicU64,
    next: AtomicUsize,
    region: UnsafeCell<Option<Region>>,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    stop: AtomicBool,
}

// SAFETY: `region` is written only by `Pool::run`, while the state is closed and no worker is inside; workers read it
// only when they are inside.
unsafe impl Sync for Shared {}
// SAFETY: as above; the pointer in `region` is used only while `Pool::run` keeps its target alive.
unsafe impl Send for Shared {}

/// Threads that run parallel regions together with the caller.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<(Thread, JoinHandle<()>)>,
    parked: Arc<Vec<AtomicBool>>,
}

impl Pool {
    /// A pool of `threads` threads, the caller of `run` included; 0 = one per core.
    pub fn new(threads: usize) -> std::io::Result<Self> {
        let threads = if threads == 0 { std::thread::available_parallelism()?.get() } else { threads };
        let shared = Arc::new(Shared {
            state: AtomicU64::new(0),
            next: AtomicUsize::new(0),
            region: UnsafeCell::new(None),
            panic: Mutex::new(None),
            stop: AtomicBool::new(false),
        });
        let parked: Arc<Vec<AtomicBool>> = Arc::new((1..threads).map(|_| AtomicBool::new(false)).collect());
        let mut pool = Self { shared, workers: Vec::new(), parked };
        for index in 1..threads {
            let (shared, parked) = (pool.shared.clone(), pool.parked.clone());
            let handle = std::thread::Builder::new()
                .name(format!("engine-{index}"))
                .spawn(move || shared.work(parked.get(index - 1)))?;
            pool.workers.push((handle.thread().clone(), handle));
        }
        Ok(pool)
    }

    /// Threads, the caller included.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Runs `task(0)`, …, `task(tasks - 1)`, in any order on any thread, and returns when all are done. Regions do not
    /// nest: a task must not call `run`.
    pub fn run(&mut self, tasks: usize, task: impl Fn(usize) + Sync) {
        if self.workers.is_empty() || tasks <= 1 {
            (0..tasks).for_each(task);
            return;
        }
        let shared = &*self.shared;
        let borrowed: &(dyn Fn(usize) + Sync) = &task;
        // SAFETY: only the lifetime changes; this function does not return before every worker has left the region.
        let run: &'static (dyn Fn(usize) + Sync) = unsafe { std::mem::transmute(borrowed) };
        // SAFETY: the state is closed and nobody is inside (this function waited for that), and `&mut self` keeps
        // other callers out.
        unsafe { *shared.region.get() = Some(Region { tasks, run }) };
        shared.next.store(0, Ordering::Relaxed);
        let region = (shared.state.load(Ordering::Relaxed) & !(OPEN | INSIDE)).wrapping_add(REGION);
        shared.state.store(region | OPEN, Ordering::SeqCst);
        for ((thread, _), parked) in self.workers.iter().zip(&*self.parked) {
            if parked.load(Ordering::SeqCst) {
                thread.unpark();
            }
        }
        shared.claim(Region { tasks, run });
        // Whoever has not come in by now is too late; wait for those inside.
        shared.state.fetch_and(!OPEN, Ordering::AcqRel);
        let mut spins = 0;
        while shared.state.load(Ordering::Acquire) & INSIDE != 0 {
            spins += 1;
            if spins > SPINS { std::thread::yield_now() } else { std::hint::spin_loop() }
        }
        let panic = shared.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// Runs `each(row, values)` on every row of `data`, in `tasks` runs of rows.
    pub fn run_rows(&mut self, data: &mut [f32], width: usize, tasks: usize, each: impl Fn(usize, &mut [f32]) + Sync) {
        let rows = data.len().checked_div(width).unwrap_or(0);
        let parts = Parts::of(data);
        self.run(tasks, |task| {
            for row in rows * task / tasks..rows * (task + 1) / tasks {
                // SAFETY: the runs do not overlap, and the task holds one row at a time.
                each(row, unsafe { parts.part(row * width..(row + 1) * width) });
            }
        });
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for (thread, handle) in self.workers.drain(..) {
            thread.unpark();
            let _ = handle.join(); // a task's panic was passed on by `run`
        }
    }
}

impl Shared {
    /// Does tasks until none is left to claim. A panic is kept for `run`'s caller.
    fn claim(&self, region: Region) {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            loop {
                let task = self.next.fetch_add(1, Ordering::Relaxed);
                if task >= region.tasks {
                    return;
                }
                // SAFETY: the caller is `run` itself, or a worker for which `run` waits.
                unsafe { (*region.run)(task) };
            }
        }));
        if let Err(panic) = outcome {
            *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
        }
    }

    /// Comes into the open region, if it is another than the one this worker was in last.
    fn enter(&self, last: u64) -> Option<u64> {
        let state = self.state.load(Ordering::SeqCst);
        let region = state / REGION;
        let enter = state & OPEN != 0 && region != last;
        let entered =
            enter && self.state.compare_exchange(state, state + 1, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        entered.then_some(region)
    }

    fn work(&self, parked: Option<&AtomicBool>) {
        let Some(parked) = parked else { return };
        let mut last = 0;
        let mut idle = 0;
        while !self.stop.load(Ordering::Relaxed) {
            if let Some(region) = self.enter(last) {
                last = region;
                // SAFETY: this worker is inside, so `run` does not write.
                if let Some(region) = unsafe { *self.region.get() } {
                    self.claim(region);
                }
                self.state.fetch_sub(1, Ordering::Release);
                idle = 0;
            } else if idle < SPINS {
                idle += 1;
                std::hint::spin_loop();
            } else {
                // `run` opens, then looks at the flag; we raise the flag, then look whether it is open.
                parked.store(true, Ordering::SeqCst);
                let state = self.state.load(Ordering::SeqCst);
                let nothing_new = state & OPEN == 0 || state / REGION == last;
                if nothing_new && !self.stop.load(Ordering::SeqCst) {
                    std::thread::park();
                }
                parked.store(false, Ordering::SeqCst);
                idle = 0;
            }
        }
    }
}

/// One output that the tasks of a region fill, each its own part.
pub struct Parts<'a> {
    start: *mut f32,
    length: usize,
    _lent: std::marker::PhantomData<&'a mut [f32]>,
}

// SAFETY: a part is handed out as `&mut` under the promise of `part`, that no two overlap.
unsafe impl Sync for Parts<'_> {}

impl<'a> Parts<'a> {
    /// Takes the whole output for the length of a region.
    pub fn of(whole: &'a mut [f32]) -> Self {
        Self { start: whole.as_mut_ptr(), length: whole.len(), _lent: std::marker::PhantomData }
    }

    /// One part, cut to what there is.
    ///
    /// # Safety
    /// Parts that are held at the same time must not overlap.
    #[allow(clippy::mut_from_ref, reason = "that is what it is for; see Safety")]
    pub unsafe fn part(&self, range: Range<usize>) -> &mut [f32] {
        let end = range.end.min(self.length);
        let start = range.start.min(end);
        // SAFETY: within the slice that is lent to `self`; the caller promises that nobody else holds this part.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), end - start) }
    }
}

#[cfg(test)]
#[path = "threads_tests.rs"]
mod tests;
