//! Programs that end with the process that started them.

use std::{
    ffi::{OsStr, OsString},
    process::{Command, id},
};

/// In the child: the signal is set by now, so a parent that is still there will send it; one that died before is not
/// this parent any more.
const GO_ON: &str = r#"[ "$PPID" = "$1" ] || exit 75; shift; exec "$@""#;

/// `program`, which gets `signal` (`INT`, `TERM`) when the thread that starts it ends, however that happens, and does not
/// start at all if this process ends before. `setpriv` are more options of setpriv, such as another user.
pub fn bound_command(signal: &str, setpriv: &[OsString], program: &OsStr) -> Command {
    // setpriv and a shell, not pre_exec: no unsafe code, and the death signal is set after the change of user, which
    // would clear it. Both exec, so the process id is the program's.
    let mut command = Command::new("setpriv");
    command.arg(format!("--pdeathsig={signal}")).args(setpriv);
    command.args(["--", "/bin/sh", "-c", GO_ON, "sh"]).arg(id().to_string()).arg(program);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_runs_with_its_arguments_only_under_this_parent() {
        let run = |mut command: Command| {
            let output = command.args(["%s|", "a b", "$c"]).output().unwrap();
            (output.status.code(), String::from_utf8(output.stdout).unwrap())
        };
        let program = OsStr::new("printf");
        assert_eq!(run(bound_command("TERM", &[], program)), (Some(0), "a b|$c|".to_owned()));
        // Another parent, as when ours has ended before the signal was set.
        let mut orphan = Command::new("sh");
        orphan.args(["-c", r#""$@"; exit $?"#, "sh"]);
        let bound = bound_command("TERM", &[], program);
        orphan.arg(bound.get_program()).args(bound.get_args());
        assert_eq!(run(orphan), (Some(75), String::new()));
    }
}
