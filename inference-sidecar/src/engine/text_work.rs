//! Work on text: one request may bring megabytes of it.

use std::sync::Arc;
use std::thread::available_parallelism;

use tokio::sync::Semaphore;

use crate::error::EngineError;

/// Runs work on text off the request threads, on no more threads than there are cores.
pub struct TextWork {
    threads: Arc<Semaphore>,
    /// Of those that run and those that wait.
    places: Arc<Semaphore>,
}

impl TextWork {
    /// `waiting`: how many may wait for a thread; one more is told to come back.
    pub fn new(waiting: usize) -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        let places = cores.saturating_add(waiting).min(Semaphore::MAX_PERMITS);
        TextWork { threads: Arc::new(Semaphore::new(cores)), places: Arc::new(Semaphore::new(places)) }
    }

    /// What `work` returns, once a thread was free for it.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let failed = |error: &dyn std::fmt::Display| EngineError::Internal(format!("work on the text failed: {error}"));
        let busy = |_| EngineError::Busy("too many texts wait to be turned into tokens; try again".into());
        let place = self.places.clone().try_acquire_owned().map_err(busy)?;
        let thread = self.threads.clone().acquire_owned().await.map_err(|error| failed(&error))?;
        let work = move || {
            // Held to the end of the work, which goes on when the client has left.
            let _held = (place, thread);
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| failed(&error))?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[tokio::test]
    async fn one_more_than_can_wait_is_told_to_come_back() {
        let work = TextWork { threads: Arc::new(Semaphore::new(1)), places: Arc::new(Semaphore::new(2)) };
        let (go, wait) = channel::<()>();
        let slow = work.run(move || wait.recv().map_err(|error| EngineError::Internal(error.to_string())));
        let waiting = work.run(|| Ok(1));
        let last = async {
            let refused = work.run(|| Ok(2)).await;
            go.send(()).expect("somebody waits");
            refused
        };
        let (slow, waiting, refused) = tokio::join!(slow, waiting, last);
        assert!(slow.is_ok());
        assert_eq!(waiting.expect("done"), 1);
        assert!(matches!(refused, Err(EngineError::Busy(_))));
        assert_eq!(work.run(|| Ok(3)).await.expect("done"), 3);
    }
}
