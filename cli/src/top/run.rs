//! The loop: keys, signals and answers come in, the screen follows.

use std::{
    future::Future,
    io,
    os::fd::{AsFd, BorrowedFd},
    pin::Pin,
    time::Duration,
};

use anyhow::{Context, Result};
use futures::{StreamExt, stream::FuturesUnordered};
use nix::{
    errno::Errno,
    sys::signal::{Signal as Number, raise},
    unistd::read,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    signal::unix::{Signal, SignalKind, signal},
    time::{Interval, MissedTickBehavior, interval},
};

use super::{
    keys::{Act, press},
    look::Look,
    page, source,
    state::{Detail, News, Said, State},
    terminal::Screen,
    typed::Typed,
};
use crate::{client::Client, exit::Exit, time};

const REFRESH_EVERY: Duration = Duration::from_secs(1);
/// What is open is asked for again at each so many of these.
const DETAIL_EVERY: u32 = 2;

/// What an answer is to.
enum Heard {
    News(Result<News, String>),
    Detail(String, Box<Result<Detail, String>>),
    Done(Result<String, String>),
}

type Asked<'a> = Pin<Box<dyn Future<Output = Heard> + 'a>>;

struct Top<'a> {
    client: &'a Client,
    state: State,
    asked: FuturesUnordered<Asked<'a>>,
    /// Each is asked for again when it has come.
    asks_news: bool,
    asks_detail: bool,
    ticks: u32,
    typed: Typed,
}

/// Until the person leaves, or a signal ends it. `first` is what was asked before the screen was taken.
pub(crate) async fn run(client: &Client, first: News, look: Look) -> Result<Exit> {
    let mut signals = Signals::listen()?;
    let stdin = io::stdin();
    #[expect(deprecated, reason = "its successor is unsafe, for descriptors that may be closed; stdin stays open")]
    let keys = AsyncFd::with_interest(stdin.as_fd(), Interest::READABLE).context("cannot wait for keys")?;
    let mut refresh = interval(REFRESH_EVERY);
    refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let state = State::new(client.server(), first);
    let mut top = Top {
        client,
        state,
        asked: FuturesUnordered::new(),
        asks_news: false,
        asks_detail: false,
        ticks: 0,
        typed: Typed::default(),
    };
    let mut screen = Screen::enter()?;
    loop {
        let now = time::now();
        screen.draw(|buffer| page::draw(&top.state, look, now, buffer))?;
        let end = tokio::select! {
            end = top.next(&keys, &mut refresh) => end?,
            end = signals.next() => Some(end),
        };
        match end {
            None => {}
            Some(End::Resized) => screen.renew()?,
            Some(End::Suspended) => screen = suspend(screen)?,
            Some(End::Left(exit)) => return Ok(exit),
        }
    }
}

enum End {
    Resized,
    Suspended,
    Left(Exit),
}

/// Back to the shell, until it says that this is in front again.
fn suspend(screen: Screen) -> Result<Screen> {
    drop(screen);
    raise(Number::SIGSTOP).context("cannot stop for the shell")?;
    Screen::enter()
}

impl Top<'_> {
    /// One thing that happens.
    async fn next(&mut self, keys: &AsyncFd<BorrowedFd<'_>>, refresh: &mut Interval) -> Result<Option<End>> {
        tokio::select! {
            ready = keys.readable() => {
                let mut ready = ready.context("cannot wait for keys")?;
                let mut bytes = [0; 256];
                let count = match read(io::stdin(), &mut bytes) {
                    Err(Errno::EINTR) => return Ok(None),
                    count => count.context("cannot read keys")?,
                };
                if count == 0 {
                    // The terminal has gone.
                    return Ok(Some(End::Left(Exit::Interrupted)));
                }
                if count < bytes.len() {
                    ready.clear_ready();
                }
                for key in self.typed.keys(&bytes[..count]) {
                    if let Some(end) = press(&mut self.state, key).and_then(|act| self.act(act)) {
                        return Ok(Some(end));
                    }
                }
            }
            Some(heard) = self.asked.next() => self.hear(heard),
            _ = refresh.tick() => {
                self.ask_news();
                self.ticks = self.ticks.wrapping_add(1);
                // A long story is much to send.
                if self.ticks.is_multiple_of(DETAIL_EVERY) {
                    self.ask_detail();
                }
            }
        }
        Ok(None)
    }

    fn act(&mut self, act: Act) -> Option<End> {
        match act {
            Act::Quit => return Some(End::Left(Exit::Ok)),
            Act::Suspend => return Some(End::Suspended),
            Act::Ask => self.ask_detail(),
            Act::Cancel(job) => {
                let client = self.client;
                self.asked.push(Box::pin(async move { Heard::Done(source::cancel(client, &job).await) }));
            }
            Act::SetPriority(job, priority) => {
                let client = self.client;
                self.asked
                    .push(Box::pin(async move { Heard::Done(source::set_priority(client, &job, priority).await) }));
            }
        }
        None
    }

    fn ask_news(&mut self) {
        if std::mem::replace(&mut self.asks_news, true) {
            return;
        }
        let client = self.client;
        self.asked.push(Box::pin(async move { Heard::News(source::news(client).await) }));
    }

    fn ask_detail(&mut self) {
        let Some(opened) = &self.state.opened else { return };
        if self.asks_detail {
            return;
        }
        let (client, id, metric) = (self.client, opened.job.id.clone(), opened.metric().map(str::to_owned));
        self.asks_detail = true;
        self.asked.push(Box::pin(async move {
            let detail = source::detail(client, &id, metric.as_deref()).await;
            Heard::Detail(id, Box::new(detail))
        }));
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::News(news) => {
                self.asks_news = false;
                self.state.heard(news, time::now());
            }
            Heard::Detail(id, detail) => {
                self.asks_detail = false;
                let is_answer = detail.is_ok();
                self.state.heard_of(&id, *detail);
                // Another was opened, or another curve was chosen meanwhile. Where there was no answer, the next second asks again.
                if is_answer && self.state.opened.as_ref().is_some_and(|opened| !opened.is_known()) {
                    self.ask_detail();
                }
            }
            Heard::Done(done) => {
                let is_bad = done.is_err();
                let text = done.unwrap_or_else(|why| why);
                self.state.said = Some(Said { text, is_bad });
                self.ask_news();
            }
        }
    }
}

/// Signals that end a program, or that its terminal sends.
struct Signals {
    window: Signal,
    stop: Signal,
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen to signals");
        Ok(Self {
            window: listen(SignalKind::window_change())?,
            stop: listen(SignalKind::from_raw(Number::SIGTSTP as i32))?,
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> End {
        tokio::select! {
            _ = self.window.recv() => End::Resized,
            _ = self.stop.recv() => End::Suspended,
            _ = self.interrupt.recv() => End::Left(Exit::Interrupted),
            _ = self.terminate.recv() => End::Left(Exit::Interrupted),
            _ = self.hangup.recv() => End::Left(Exit::Interrupted),
        }
    }
}
