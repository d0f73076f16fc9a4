//! A look that ends in time, whatever hangs: a driver, a file system, a program.

use std::{thread, time::Duration};

use tokio::{sync::oneshot, time::timeout};

use super::check::Check;

/// Runs a look on a thread of its own, which is left behind if it does not come back.
pub(crate) async fn bounded(
    what: &'static str,
    limit: Duration,
    look: impl FnOnce() -> Vec<Check> + Send + 'static,
) -> Vec<Check> {
    let (answer, answered) = oneshot::channel();
    let started = thread::Builder::new().name(what.to_owned()).spawn(move || {
        // Nobody may listen any more.
        let _ = answer.send(look());
    });
    if let Err(error) = started {
        return vec![Check::bad(what, format!("cannot look: {error}"), "see how many processes this account may have")];
    }
    match timeout(limit, answered).await {
        Ok(Ok(checks)) => checks,
        Ok(Err(_)) => vec![Check::bad(what, "the look at it broke off", "this is a fault of tandem: report it")],
        Err(_) => vec![Check::bad(
            what,
            format!("does not answer within {} s", limit.as_secs()),
            "something hangs there: `dmesg` and `cat /proc/PID/stack` of this command's threads say more",
        )],
    }
}

#[cfg(test)]
mod tests {
    use super::{super::check::Grade, *};

    #[tokio::test]
    async fn what_hangs_or_breaks_is_a_line_of_its_own() {
        let quick = bounded("x", Duration::from_secs(5), || vec![Check::ok("x", "here")]).await;
        assert_eq!(quick, [Check::ok("x", "here")]);
        let hangs = bounded("the driver", Duration::from_millis(20), || {
            loop {
                thread::park();
            }
        });
        let hangs = hangs.await;
        assert!(hangs[0].grade == Grade::Bad && hangs[0].found.contains("does not answer"), "{hangs:?}");
        let broken = bounded("x", Duration::from_secs(5), || panic!("a bug")).await;
        assert!(broken[0].found.contains("broke off"), "{broken:?}");
    }
}
