//! A program in a terminal of a size, whose screen is looked at.

use std::{
    fs::{self, File},
    io::{Read, Write},
    os::fd::{AsFd, OwnedFd},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use nix::{
    pty::{Winsize, openpty},
    sys::{
        signal::{Signal, kill},
        termios::{LocalFlags, tcgetattr},
    },
    unistd::Pid,
};
use tokio::{
    process::{Child, Command},
    sync::Notify,
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Pty {
    child: Child,
    keys: File,
    /// Open until it was looked at: nobody can ask a terminal that has gone.
    side: OwnedFd,
    seen: Arc<Mutex<vt100::Parser>>,
    changed: Arc<Notify>,
}

impl Pty {
    pub(crate) fn spawn(command: Command, size: (u16, u16)) -> Self {
        Self::of_kind("xterm-256color", command, size)
    }

    /// One that says of itself that it knows no escapes.
    pub(crate) fn dumb(command: Command, size: (u16, u16)) -> Self {
        Self::of_kind("dumb", command, size)
    }

    /// One that does not say how large it is, as some containers and notebooks have them.
    pub(crate) fn without_size(command: Command) -> Self {
        let size = Winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
        Self::of_size("xterm-256color", command, size, (200, 50))
    }

    fn of_kind(term: &str, command: Command, (columns, rows): (u16, u16)) -> Self {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        Self::of_size(term, command, size, (columns, rows))
    }

    fn of_size(term: &str, mut command: Command, size: Winsize, (columns, rows): (u16, u16)) -> Self {
        let pty = openpty(Some(&size), None).unwrap();
        let side = || Stdio::from(pty.slave.try_clone().unwrap());
        command.env("TERM", term).env_remove("NO_COLOR");
        let child = command.stdin(side()).stdout(side()).stderr(side()).spawn().unwrap();
        let mut screen = File::from(pty.master);
        let keys = screen.try_clone().unwrap();
        let (seen, changed) = (Arc::new(Mutex::new(vt100::Parser::new(rows, columns, 0))), Arc::new(Notify::new()));
        let (parser, tell) = (seen.clone(), changed.clone());
        thread::spawn(move || {
            let mut some = [0; 4096];
            while let Ok(read @ 1..) = screen.read(&mut some) {
                parser.lock().unwrap().process(&some[..read]);
                tell.notify_one();
            }
        });
        Self { child, keys, side: pty.slave, seen, changed }
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().unwrap().cast_signed())
    }

    /// Waits until the screen is so; returns what is on it.
    pub(crate) async fn until(&self, is_so: impl Fn(&vt100::Screen) -> bool) -> String {
        let waited = timeout(PATIENCE, async {
            loop {
                {
                    let parser = self.seen.lock().unwrap();
                    if is_so(parser.screen()) {
                        return parser.screen().contents();
                    }
                }
                self.changed.notified().await;
            }
        });
        match waited.await {
            Ok(contents) => contents,
            Err(_) => panic!("never so; on the screen is:\n{}", self.seen.lock().unwrap().screen().contents()),
        }
    }

    pub(crate) async fn until_shown(&self, words: &str) -> String {
        self.until(|screen| screen.contents().contains(words)).await
    }

    /// As the shell wants it: lines are echoed, the cursor is seen, the screen is the one from before.
    pub(crate) async fn until_given_back(&self) {
        self.until(|screen| !screen.alternate_screen() && !screen.hide_cursor()).await;
        let flags = tcgetattr(self.side.as_fd()).unwrap().local_flags;
        assert!(flags.contains(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG));
    }

    pub(crate) async fn ended(&mut self) -> ExitStatus {
        timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap()
    }

    pub(crate) async fn until_stopped(&self) {
        let stat = format!("/proc/{}/stat", self.pid());
        let is_stopped = || fs::read_to_string(&stat).unwrap().rsplit(") ").next().unwrap().starts_with('T');
        let waited = timeout(PATIENCE, async {
            while !is_stopped() {
                tokio::task::yield_now().await;
            }
        });
        waited.await.unwrap();
    }

    pub(crate) fn resize(&self, (columns, rows): (u16, u16)) {
        let size = rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        self.seen.lock().unwrap().screen_mut().set_size(rows, columns);
        rustix::termios::tcsetwinsize(&self.side, size).unwrap();
        // It has no terminal that controls it, which would send this.
        self.signal(Signal::SIGWINCH);
    }
}
