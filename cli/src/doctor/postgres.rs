//! Whether there is a Postgres for `tandem up`, and whether the one of this home answers.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

use super::check::Check;

const POSTGRES: &str = "Postgres";
const CONNECT: Duration = Duration::from_secs(2);

/// `dir`: the folder of the database of a home; `is_up`: something runs in that home.
pub(crate) fn look(dir: &Path, is_up: bool) -> Vec<Check> {
    let installed = tandem_local_postgres::installed(dir).map_err(|error| format!("{error:#}"));
    let port = fs::read_to_string(dir.join("port")).ok().and_then(|port| port.trim().parse::<u16>().ok());
    let answers = port.map(|port| {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        TcpStream::connect_timeout(&address, CONNECT).map(|_| port).map_err(|error| format!("{address}: {error}"))
    });
    vec![judge(installed, answers.filter(|_| is_up), &dir.join("postgres.log"))]
}

fn judge(installed: Result<String, String>, answers: Option<Result<u16, String>>, log: &Path) -> Check {
    let installed = match installed {
        Ok(installed) => installed,
        Err(why) => {
            return Check::bad(
                POSTGRES,
                why,
                "`tandem up` needs one on the machine of the coordinator; a machine of workers alone needs none",
            );
        }
    };
    match answers {
        None => Check::ok(POSTGRES, format!("{installed}; `tandem up` starts it")),
        Some(Ok(port)) => Check::ok(POSTGRES, format!("{installed}; answers on 127.0.0.1:{port}")),
        Some(Err(why)) => {
            let advice = format!("its log says why: {}", log.display());
            Check::bad(POSTGRES, format!("{installed}; runs, and does not answer at {why}"), advice)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::check::Grade, *};

    #[test]
    fn one_that_is_there_and_one_that_answers_are_two_things() {
        let log = Path::new("/h/postgres.log");
        let installed = || Ok("17 in /usr/lib/postgresql/17/bin".to_owned());
        assert_eq!(judge(installed(), None, log).grade, Grade::Ok);
        assert!(judge(installed(), Some(Ok(5433)), log).found.ends_with("127.0.0.1:5433"));
        let silent = judge(installed(), Some(Err("127.0.0.1:5433: refused".to_owned())), log);
        assert!(silent.grade == Grade::Bad && silent.advice.contains("/h/postgres.log"), "{silent:?}");
        let none = judge(Err("found no Postgres; apt-get install postgresql".to_owned()), None, log);
        assert!(none.grade == Grade::Bad && none.advice.contains("workers alone"), "{none:?}");
    }
}
