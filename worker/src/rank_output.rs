//! Parses what a rank writes to stdout, into what is reported to the coordinator.

use std::{path::Path, time::Duration};

use tandem_learn::report::Event;
use tandem_proto::v1::{
    ArtifactEvent, CheckpointEvent, LogEvent, MetricEvent, NoteEvent, PhaseEvent, ProgressEvent, ResultEvent,
    rank_event::Event as Kind,
};

/// One line of stdout.
#[derive(Debug, PartialEq)]
pub(crate) enum RankOutput {
    /// Rank 0 waits for the others here.
    Rendezvous { host: String, port: u16 },
    /// The rank works; `slowest` is the time of its slowest unit of work so far. Not reported.
    KeepAlive { slowest: Duration },
    /// What the coordinator knows already.
    Known,
    /// For the outbox.
    Event(Kind),
}

/// Parses one line. Paths below `store` become relative to it, since the coordinator and other workers may mount it
/// elsewhere. A line that is no event, printed by some library, becomes a line of the log.
pub(crate) fn parse(line: &str, store: &Path) -> RankOutput {
    let event = match serde_json::from_str(line) {
        Ok(Event::Rendezvous { host, port }) => return RankOutput::Rendezvous { host, port },
        Ok(Event::KeepAlive { slowest_ms }) => {
            return RankOutput::KeepAlive { slowest: Duration::from_millis(slowest_ms) };
        }
        Ok(Event::Phase { name, first_step }) => Kind::Phase(PhaseEvent { name, first_step }),
        Ok(Event::Progress { step, steps, epoch, epochs, images_per_second, seconds_left }) => {
            Kind::Progress(ProgressEvent { step, steps, epoch, epochs, images_per_second, seconds_left })
        }
        Ok(Event::Metric { name, step, value }) => Kind::Metric(MetricEvent { name, step, value }),
        Ok(Event::Checkpoint { step, path, sha256, bytes, state_sha256 }) => {
            Kind::Checkpoint(CheckpointEvent { step, path: relative(&path, store), sha256, bytes, state_sha256 })
        }
        // It chose them, or nobody knew them.
        Ok(Event::Images { .. }) => return RankOutput::Known,
        Ok(Event::Environment(environment)) => Kind::Environment(Box::new((*environment).into())),
        Ok(Event::Artifact { kind, name, path, sha256, bytes }) => {
            Kind::Artifact(ArtifactEvent { kind, name, uri: relative(&path, store), sha256, bytes })
        }
        Ok(Event::Result { name, value }) => Kind::Result(ResultEvent { name, value }),
        Ok(Event::Log { line }) => Kind::Log(LogEvent { line }),
        Ok(Event::Note { kind, message }) => Kind::Note(NoteEvent { kind, message }),
        Err(_) => Kind::Log(LogEvent { line: line.to_owned() }),
    };
    RankOutput::Event(event)
}

/// Whether the event shows that the rank works. Logs and notes do not: a rank that hangs may say so, and a library may
/// warn for ever.
pub(crate) fn is_work(event: &Kind) -> bool {
    !matches!(event, Kind::Log(_) | Kind::Note(_))
}

fn relative(path: &Path, store: &Path) -> String {
    path.strip_prefix(store).unwrap_or(path).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(event: &Event) -> String {
        serde_json::to_string(event).unwrap()
    }

    #[test]
    fn files_in_the_store_are_named_from_its_root() {
        let path = "/srv/store/jobs/7/artifacts/encoder.safetensors".into();
        let (kind, name, sha256) = ("encoder".to_owned(), "encoder.safetensors".to_owned(), "ab".to_owned());
        let artifact = line(&Event::Artifact { kind, name, path, sha256, bytes: 9 });
        let RankOutput::Event(Kind::Artifact(output)) = parse(&artifact, Path::new("/srv/store")) else {
            panic!("{artifact}")
        };
        assert_eq!((output.uri.as_str(), output.bytes), ("jobs/7/artifacts/encoder.safetensors", 9));
    }

    #[test]
    fn the_rendezvous_is_not_a_report() {
        let rendezvous = line(&Event::Rendezvous { host: "127.0.0.1".to_owned(), port: 4321 });
        let output = parse(&rendezvous, Path::new("/"));
        assert_eq!(output, RankOutput::Rendezvous { host: "127.0.0.1".to_owned(), port: 4321 });
    }

    #[test]
    fn a_keep_alive_is_not_a_report_and_log_lines_are_not_work() {
        let keep_alive = line(&Event::KeepAlive { slowest_ms: 1500 });
        assert_eq!(parse(&keep_alive, Path::new("/")), RankOutput::KeepAlive { slowest: Duration::from_millis(1500) });
        let works = |line: &str| match parse(line, Path::new("/")) {
            RankOutput::Event(kind) => is_work(&kind),
            RankOutput::Rendezvous { .. } | RankOutput::KeepAlive { .. } | RankOutput::Known => panic!("{line}"),
        };
        assert!(works(&line(&Event::Phase { name: "data".to_owned(), first_step: 0 })));
        assert!(works(&line(&Event::Metric { name: "loss".to_owned(), step: 3, value: 1.0 })));
        assert!(!works(&line(&Event::Note { kind: "hangs".to_owned(), message: "in backward".to_owned() })));
        assert!(!works("a library prints"));
        let images = line(&Event::Images { sha256: "ab".to_owned() });
        assert_eq!(parse(&images, Path::new("/")), RankOutput::Known);
    }

    #[test]
    fn a_line_that_is_no_event_is_logged() {
        for noise in ["a library prints", "{\"event\":\"unheard of\"}", ""] {
            assert_eq!(parse(noise, Path::new("/")), RankOutput::Event(Kind::Log(LogEvent { line: noise.to_owned() })));
        }
    }

    #[test]
    fn a_value_that_json_cannot_hold_stops_nothing() {
        // serde_json writes NaN as null; the line is then no event, and is kept as text.
        let metric = line(&Event::Metric { name: "loss".to_owned(), step: 3, value: f64::NAN });
        assert!(matches!(parse(&metric, Path::new("/")), RankOutput::Event(Kind::Log(_))));
    }
}
