//! Work that may never end, as on a file system that hangs.

use std::{io, thread, time::Duration};

use tokio::{sync::oneshot, time::timeout};

/// A piece of work in a thread of its own, one at a time: while one hangs, no other is begun.
#[derive(Debug)]
pub(crate) struct InThread<T>(Option<oneshot::Receiver<T>>);

impl<T: Send + 'static> InThread<T> {
    pub(crate) fn new() -> Self {
        Self(None)
    }

    /// Does `work`, or goes on waiting for the piece before it that has not ended yet. `None` if that takes longer than
    /// `limit`.
    pub(crate) async fn run(
        &mut self,
        limit: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Option<T>> {
        let answer = match &mut self.0 {
            Some(answer) => answer,
            empty => {
                let (sender, receiver) = oneshot::channel();
                // Not the runtime's pool: at the end of the process that is waited for.
                thread::Builder::new().spawn(move || sender.send(work()))?;
                empty.insert(receiver)
            }
        };
        let Ok(answer) = timeout(limit, answer).await else { return Ok(None) };
        self.0 = None;
        answer.map(Some).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn work_that_hangs_is_left_alone_and_answers_later() {
        let mut thread = InThread::new();
        let (go, wait) = mpsc::channel::<()>();
        let hangs = move || {
            let _ = wait.recv();
            1
        };
        assert_eq!(thread.run(Duration::from_millis(20), hangs).await.unwrap(), None);
        assert_eq!(thread.run(Duration::from_millis(20), || panic!("one at a time")).await.unwrap(), None);
        go.send(()).unwrap();
        let long = Duration::from_secs(60);
        assert_eq!(thread.run(long, || 2).await.unwrap(), Some(1));
        assert_eq!(thread.run(long, || 2).await.unwrap(), Some(2));
        assert!(thread.run(long, || panic!("a bug")).await.is_err());
        assert_eq!(thread.run(long, || 3).await.unwrap(), Some(3));
    }
}
