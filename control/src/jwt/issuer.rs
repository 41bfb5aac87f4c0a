//! One issuer: its keys, when they are fetched, and who waits for them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};
use weirgate_config::snapshot::JwtIssuer;

use super::fetch::{Fetched, Fetcher, PATIENCE};
use super::keys::KeySet;

/// How often a token with an unknown key id can lead to a fetch.
const ASK_AT_MOST_EVERY: Duration = Duration::from_secs(10);
/// Keys that could not be fetched again are trusted for this long.
const LONGEST_OUTAGE: Duration = Duration::from_hours(24);
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(60);

pub(super) struct Issuer {
    pub config: JwtIssuer,
    held: ArcSwapOption<Held>,
    schedule: Mutex<Schedule>,
    /// Wakes the keeper before the time.
    asked: Notify,
    /// Changes after each fetch, good or not.
    rounds: watch::Sender<()>,
    /// The configuration has dropped or changed it.
    retired: AtomicBool,
}

/// Keys as last fetched.
struct Held {
    keys: Arc<KeySet>,
    since: Instant,
}

struct Schedule {
    /// When to fetch; in the past while a fetch is wanted or under way.
    due: Instant,
    last: Option<Instant>,
    failures: u32,
}

impl Issuer {
    pub fn new(config: JwtIssuer) -> Self {
        Issuer {
            config,
            held: ArcSwapOption::empty(),
            schedule: Mutex::new(Schedule { due: Instant::now(), last: None, failures: 0 }),
            asked: Notify::new(),
            rounds: watch::Sender::new(()),
            retired: AtomicBool::new(false),
        }
    }

    /// With changed rules and the keys that an issuer with the same source had.
    pub fn with_keys_of(config: JwtIssuer, before: &Issuer) -> Self {
        let new = Issuer::new(config);
        new.held.store(before.held.load_full());
        new
    }

    /// Makes all verdicts that came from it void.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    /// Whether a verdict that was made with these keys still holds.
    pub fn trusts(&self, keys: &Arc<KeySet>) -> bool {
        !self.retired.load(Ordering::Acquire) && self.keys().is_some_and(|now| Arc::ptr_eq(&now, keys))
    }

    fn keys(&self) -> Option<Arc<KeySet>> {
        let held = self.held.load();
        held.as_ref().filter(|held| held.since.elapsed() < LONGEST_OUTAGE).map(|held| held.keys.clone())
    }

    /// The keys, if there is the one that a token names (`None`: any); fetched first if there is not and they may be old.
    pub async fn keys_with(&self, id: Option<&str>) -> Option<Arc<KeySet>> {
        let known = || self.keys().filter(|keys| keys.knows(id));
        if let Some(keys) = known() {
            return Some(keys);
        }
        // Before asking, so that the end of that fetch cannot be missed.
        let mut round = self.rounds.subscribe();
        if self.ask() {
            let _ = timeout(PATIENCE, round.changed()).await;
        }
        known()
    }

    /// Whether a fetch is coming. The many who ask at once get one; nobody gets one soon after another.
    fn ask(&self) -> bool {
        let mut schedule = self.schedule();
        let now = Instant::now();
        if schedule.due > now {
            if schedule.last.is_some_and(|last| now - last < ASK_AT_MOST_EVERY) {
                return false;
            }
            schedule.due = now;
            self.asked.notify_one();
        }
        true
    }

    /// Fetches whenever it is time. Everything about the next fetch is in the schedule, so this can be dropped and begun again.
    pub async fn keep_fresh(&self, fetcher: &Fetcher) {
        loop {
            let due = self.schedule().due;
            tokio::select! {
                () = sleep_until(due) => self.refresh(fetcher).await,
                () = self.asked.notified() => {}
            }
        }
    }

    async fn refresh(&self, fetcher: &Fetcher) {
        self.schedule().last = Some(Instant::now());
        let outcome = fetcher.keys(&self.config).await;
        {
            let mut schedule = self.schedule();
            let wait = match outcome {
                Ok(fetched) => self.take(fetched, &mut schedule),
                Err(why) => self.keep(&why, &mut schedule),
            };
            schedule.due = Instant::now() + wait;
        }
        self.rounds.send_replace(());
    }

    fn take(&self, fetched: Fetched, schedule: &mut Schedule) -> Duration {
        if schedule.failures > 0 {
            log::info!("the keys of {} can be fetched again", self.config.issuer);
        }
        schedule.failures = 0;
        // The same keys stay the same value, so that verdicts made with them hold.
        let same = self.held.load().as_ref().map(|held| held.keys.clone()).filter(|old| **old == fetched.keys);
        let keys = same.unwrap_or_else(|| {
            log::info!("{} has {} keys that can verify tokens", self.config.issuer, fetched.keys.len());
            Arc::new(fetched.keys)
        });
        self.held.store(Some(Arc::new(Held { keys, since: Instant::now() })));
        fetched.good_for
    }

    fn keep(&self, why: &str, schedule: &mut Schedule) -> Duration {
        if schedule.failures == 0 {
            let so_far = match self.keys() {
                Some(_) => "the keys fetched before are used for up to 24 hours",
                None => "its tokens are refused until then",
            };
            log::warn!("the keys of {} cannot be fetched: {why}; trying on, {so_far}", self.config.issuer);
        }
        let wait = FIRST_RETRY.saturating_mul(1 << schedule.failures.min(16)).min(LAST_RETRY);
        schedule.failures = schedule.failures.saturating_add(1);
        wait
    }

    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
