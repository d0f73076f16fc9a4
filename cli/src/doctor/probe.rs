//! What libtorch can do on this machine's cards: the worker knows, as it has libtorch.

use std::{
    io::Read,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde::Deserialize;

use super::check::Check;

const LIBTORCH: &str = "libtorch";
/// More than a worker has to say.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// As `tandem-worker probe` prints it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(super) struct Probe {
    version: String,
    /// Of its CPU half: what a small product came to.
    cpu: Option<String>,
    /// Why its CUDA half is not there; `None` if it is.
    cuda: Option<String>,
    /// Each card, in CUDA's order: why a small product fails there.
    cards: Vec<Option<String>>,
    /// Why gangs over cards cannot form.
    nccl: Option<String>,
}

/// `worker`: where the worker's program is looked for.
pub(crate) fn look(worker: Option<PathBuf>) -> Vec<Check> {
    let Some(worker) = worker else {
        let advice =
            "nothing trains on this machine without it: `make build` makes it, TANDEM_BIN_DIR names its folder";
        return vec![Check::warn(LIBTORCH, "found no tandem-worker beside this program", advice)];
    };
    let path = worker.display().to_string();
    match run(&worker) {
        Ok(probe) => judge(&probe),
        Err(why) => vec![of_failure(&path, &why)],
    }
}

fn run(worker: &PathBuf) -> Result<Probe, String> {
    let mut child = Command::new(worker)
        .arg("probe")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start it: {error}"))?;
    let read = |pipe: Option<&mut dyn Read>| {
        let mut text = Vec::new();
        if let Some(pipe) = pipe {
            // What cannot be read is as good as not said.
            let _ = pipe.take(ANSWER_BYTES_MAX).read_to_end(&mut text);
        }
        String::from_utf8_lossy(&text).into_owned()
    };
    let said = read(child.stdout.as_mut().map(|pipe| pipe as &mut dyn Read));
    let complained = read(child.stderr.as_mut().map(|pipe| pipe as &mut dyn Read));
    let ended = child.wait().map_err(|error| format!("cannot wait for it: {error}"))?;
    match serde_json::from_str(&said) {
        Ok(probe) if ended.success() => Ok(probe),
        _ => {
            // What follows an error is advice of a parser of arguments.
            let mut lines = complained.lines().filter(|line| !line.trim().is_empty());
            let error = lines.clone().find(|line| line.starts_with("error"));
            let words = error.or_else(|| lines.next_back()).unwrap_or("it says nothing");
            Err(format!("{ended}: {words}"))
        }
    }
}

fn of_failure(worker: &str, why: &str) -> Check {
    let found = format!("{worker} does not start: {why}");
    if why.contains("libtorch") || why.contains("shared libraries") {
        let advice = "it looks for libtorch in ../../.libtorch, seen from its own folder: `make setup` puts it there, or link the \
                      folder of Python's torch";
        return Check::bad(LIBTORCH, found, advice);
    }
    if why.contains("unrecognized subcommand") {
        return Check::warn(LIBTORCH, found, "that worker is of an earlier version than this program: build both anew");
    }
    Check::bad(LIBTORCH, found, "start it by hand: it says more; `dmesg` says whether the kernel killed it")
}

fn judge(probe: &Probe) -> Vec<Check> {
    let mut checks = vec![match &probe.cpu {
        None => Check::ok(LIBTORCH, format!("{} computes on this machine's processors", probe.version)),
        Some(why) => Check::bad(
            LIBTORCH,
            format!("{} does not compute on this machine's processors: {why}", probe.version),
            "it may be of another kind of processor: `make setup` fetches the right one",
        ),
    }];
    if let Some(why) = &probe.cuda {
        checks.push(Check::ok("kernels", format!("not looked at: {why}")));
        return checks;
    }
    for (index, card) in probe.cards.iter().enumerate() {
        checks.push(of_card(index, card.as_deref()));
    }
    checks.push(match &probe.nccl {
        None => Check::ok("NCCL", "it is there: gangs can have several cards"),
        Some(why) => Check::warn(
            "NCCL",
            format!("gangs over several cards cannot form: {why}"),
            "`make setup` installs it and `make build` makes libtandem_nccl.so, which stands beside the worker",
        ),
    });
    checks
}

fn of_card(index: usize, problem: Option<&str>) -> Check {
    let what = format!("kernels, CUDA device {index}");
    match problem {
        None => Check::ok(what, "a small product was right"),
        Some(why) if why.contains("no kernel image") => Check::bad(
            what,
            format!("this libtorch has none for this card: {why}"),
            "it is older or newer than libtorch was built for: 2.7 is the last with Pascal (6.x), 2.11 has the newest; \
             CONTRIBUTING.md says how to choose one",
        ),
        Some(why) if why.contains("out of memory") => Check::warn(
            what,
            format!("could not be tried: {why}"),
            "its memory is in use: try again when `nvidia-smi` shows some free",
        ),
        Some(why) => {
            Check::bad(what, why.to_owned(), "`nvidia-smi` and `dmesg | grep -i xid` say whether the card is well")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::{super::check::Grade, *};

    fn probe(json: &str) -> Vec<Check> {
        judge(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_card_without_kernels_is_said_to_be_so() {
        let checks = probe(
            r#"{"version": "2.11.0", "cards": ["CUDA error: no kernel image is available for execution on the device", null],
               "nccl": "libtandem_nccl.so is not there"}"#,
        );
        let grades: Vec<Grade> = checks.iter().map(|check| check.grade).collect();
        assert_eq!(grades, [Grade::Ok, Grade::Bad, Grade::Ok, Grade::Warn]);
        assert!(checks[1].advice.contains("Pascal"), "{checks:?}");
    }

    #[test]
    fn without_a_driver_only_the_processors_are_tried() {
        let checks = probe(r#"{"version": "2.7.1", "cuda": "no NVIDIA driver", "cards": []}"#);
        assert!(checks.iter().all(|check| check.grade == Grade::Ok) && checks.len() == 2, "{checks:?}");
    }

    #[test]
    fn a_worker_that_does_not_start_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let worker = folder.path().join("tandem-worker");
        let with = |script: &str| {
            std::fs::write(&worker, format!("#!/bin/sh\n{script}\n")).unwrap();
            std::fs::set_permissions(&worker, std::fs::Permissions::from_mode(0o755)).unwrap();
            look(Some(worker.clone())).remove(0)
        };
        let lacks = with("echo 'error while loading shared libraries: libtorch_cpu.so: cannot open' >&2; exit 127");
        assert!(lacks.grade == Grade::Bad && lacks.advice.contains("make setup"), "{lacks:?}");
        let killed = with("kill -9 $$");
        assert!(killed.found.contains("signal: 9"), "{killed:?}");
        let older = with(
            "echo \"error: unrecognized subcommand 'probe'\" >&2; echo 'For more information, try --help.' >&2; exit 2",
        );
        assert!(older.grade == Grade::Warn && older.advice.contains("anew"), "{older:?}");
        assert_eq!(with(r#"echo '{"version": "2.7.1", "cuda": "no driver", "cards": []}'"#).grade, Grade::Ok);
        assert_eq!(look(None)[0].grade, Grade::Warn);
    }
}
