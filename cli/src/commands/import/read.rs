//! Reads the folder that `tandem-worker local` wrote to, and refuses what a coordinator would: before anything is sent.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, ErrorKind},
    path::{Path, PathBuf},
};

use anyhow::{Error, Result};
use sha2::{Digest, Sha256};
use tandem_domain::{
    LEARN_VERSION,
    local::{LEDGER, LocalFile, LocalPoint, LocalRun, METRICS, POINTS_MAX},
    plan::{PlannedJob, plan},
};
use tandem_proto::{
    convert::timestamp,
    v1::{ArtifactEvent, ImportBegin, ImportedJob, ResultEvent},
};

use crate::exit::{Exit, Failure};

/// Everything that is sent.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) begin: ImportBegin,
    pub(super) jobs: Vec<ImportedJob>,
    /// Of each job: points by metric and step.
    pub(super) curves: Vec<Curves>,
    /// What a person should know.
    pub(super) notes: Vec<String>,
    /// All files, in the order in which `jobs` name them.
    pub(super) files: Vec<(PathBuf, u64)>,
}

pub(super) type Curves = BTreeMap<String, BTreeMap<u64, f64>>;

impl Parcel {
    pub(super) fn points(&self) -> u64 {
        self.curves.iter().flat_map(BTreeMap::values).map(|curve| curve.len() as u64).sum()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, bytes)| bytes).sum()
    }
}

pub(super) fn read(out: &Path, toml: String, file_name: String) -> Result<Parcel> {
    let planned = plan(&toml, &file_name, LEARN_VERSION)
        .map_err(|error| Failure::error(Exit::BadExperiment, error.to_string()))?;
    let mut all = Sha256::new();
    all.update(&toml);
    let (mut jobs, mut curves, mut files, mut notes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for job in &planned.jobs {
        let folder = out.join(&job.spec.name);
        let run = ledger(&folder, job, &file_name)?;
        all.update(serde_json::to_vec(&run)?);
        let mut artifacts = Vec::new();
        for file in &run.artifacts {
            let path = place(file, &folder);
            let (sha256, bytes) = sum(&path)?;
            if sha256 != file.sha256 {
                let why = format!(
                    "{} has the SHA-256 {sha256}, and {sha} when job `{}` wrote it: it was changed since; compute it again in \
                     another folder",
                    path.display(),
                    job.spec.name,
                    sha = file.sha256,
                );
                return Err(Failure::error(Exit::Damaged, why));
            }
            let of_path = || path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let name = if file.name.is_empty() { of_path() } else { file.name.clone() };
            artifacts.push(ArtifactEvent { kind: file.kind.clone(), name, uri: String::new(), sha256, bytes });
            files.push((path, bytes));
        }
        let (curve, note) = points(&folder.join(METRICS))?;
        for (metric, points) in &curve {
            all.update(metric);
            points.iter().for_each(|(step, value)| all.update([step.to_le_bytes(), value.to_le_bytes()].concat()));
        }
        // An attack's curves are in its files.
        if curve.is_empty() && job.spec.stage.name() != "attack" {
            notes.push(format!(
                "job `{}` comes without its curves: {METRICS} holds none of their points",
                job.spec.name
            ));
        }
        curves.push(curve);
        notes.extend(note);
        jobs.push(ImportedJob {
            name: job.spec.name.clone(),
            content_key: run.content_key,
            images: run.images,
            environment: run.environment.map(Into::into),
            began: run.began.map(timestamp),
            ended: run.ended.map(timestamp),
            results: run.results.into_iter().map(|(name, value)| ResultEvent { name, value }).collect(),
            artifacts,
        });
    }
    let count = u32::try_from(jobs.len())?;
    let begin = ImportBegin { toml, file_name, jobs: count, sha256: format!("{:x}", all.finalize()) };
    let parcel = Parcel { begin, jobs, curves, notes, files };
    if parcel.points() > POINTS_MAX as u64 {
        let why = format!("its curves have {} points; at most {POINTS_MAX} are brought in at once", parcel.points());
        return Err(Failure::error(Exit::BadExperiment, why));
    }
    Ok(parcel)
}

/// Of a folder that was moved, versions before wrote where a file had been: it lies at the same place in the folder.
fn place(file: &LocalFile, folder: &Path) -> PathBuf {
    let told = file.place(folder);
    let within = file.path.iter().skip_while(|part| *part != "artifacts").collect::<PathBuf>();
    let moved = folder.join(&within);
    if !told.exists() && within.iter().count() > 1 && moved.exists() { moved } else { told }
}

/// What is done of one job, which is all of it.
fn ledger(folder: &Path, job: &PlannedJob, file_name: &str) -> Result<LocalRun> {
    let (path, name) = (folder.join(LEDGER), &job.spec.name);
    let go_on =
        format!("`tandem-worker local {file_name} --out {}` goes on with it", folder.with_file_name("").display());
    let bytes = std::fs::read(&path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            let why = format!("job `{name}` of {file_name} has not begun: there is no {}; {go_on}", path.display());
            Failure::error(Exit::NotFound, why)
        }
        _ => unread(&path, &error),
    })?;
    let run: LocalRun = serde_json::from_slice(&bytes)
        .map_err(|error| Failure::error(Exit::Damaged, format!("{} is damaged: {error}", path.display())))?;
    if run.content_key != job.content_key {
        let why = format!(
            "{} is of a job `{name}` with other parameters than {file_name} has, or of another version of training: name the file \
             that was run, and use programs of one version",
            path.display()
        );
        return Err(Failure::error(Exit::BadExperiment, why));
    }
    if !run.finished {
        return Err(Failure::error(
            Exit::Temporary,
            format!("job `{name}` has not finished in {}; {go_on}", folder.display()),
        ));
    }
    Ok(run)
}

/// The curves, and what is to be said of them.
fn points(path: &Path) -> Result<(Curves, Option<String>)> {
    let (mut curves, mut broken) = (Curves::new(), 0);
    let file = match File::open(path) {
        Ok(file) => file,
        // Of an attack there are none.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok((curves, None)),
        Err(error) => return Err(unread(path, &error)),
    };
    for line in BufReader::new(file).lines() {
        let line = line.map_err(|error| unread(path, &error))?;
        match serde_json::from_str::<LocalPoint>(&line) {
            Ok(LocalPoint { metric, step, value }) => {
                curves.entry(metric).or_default().insert(step, value.unwrap_or(f64::NAN));
            }
            Err(_) if line.is_empty() => {}
            // A call that was killed ended within a line.
            Err(_) => broken += 1,
        }
    }
    let note = (broken > 0).then(|| {
        let (lines, are) = if broken == 1 { ("line", "is no point") } else { ("lines", "are no points") };
        format!("{}: {broken} {lines} {are} of a curve, as where a call was killed: left out", path.display())
    });
    Ok((curves, note))
}

fn sum(path: &Path) -> Result<(String, u64)> {
    let mut hasher = Sha256::new();
    let bytes = File::open(path).and_then(|mut file| std::io::copy(&mut file, &mut hasher));
    let bytes = bytes.map_err(|error| unread(path, &error))?;
    Ok((format!("{:x}", hasher.finalize()), bytes))
}

fn unread(path: &Path, error: &std::io::Error) -> Error {
    let exit = match error.kind() {
        ErrorKind::PermissionDenied => Exit::NotAllowed,
        _ => Exit::NotFound,
    };
    Failure::error(exit, format!("cannot read {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOML: &str = "name = \"here\"\ndataset = \"shapes\"\n[jobs.encoder]\nstage = \"contrastive\"\n\
    encoder = \"resnet-tiny\"\nepochs = 2\nbatch_size = 64\n";

    /// A folder in which `encoder` has finished.
    fn finished(change: impl FnOnce(&mut LocalRun)) -> tempfile::TempDir {
        let out = tempfile::tempdir().unwrap();
        let folder = out.path().join("encoder");
        std::fs::create_dir_all(folder.join("artifacts")).unwrap();
        std::fs::write(folder.join("artifacts/e.safetensors"), b"abc").unwrap();
        let planned = plan(TOML, "here.toml", LEARN_VERSION).unwrap();
        let file = tandem_domain::local::LocalFile {
            kind: "encoder".into(),
            name: "e.safetensors".into(),
            path: "artifacts/e.safetensors".into(),
            sha256: format!("{:x}", Sha256::digest(b"abc")),
        };
        let mut run = LocalRun {
            content_key: planned.jobs[0].content_key.clone(),
            finished: true,
            results: [("loss".to_owned(), 0.5)].into(),
            artifacts: vec![file],
            ..LocalRun::default()
        };
        change(&mut run);
        std::fs::write(folder.join(LEDGER), serde_json::to_vec(&run).unwrap()).unwrap();
        out
    }

    fn parcel(out: &tempfile::TempDir) -> Result<Parcel> {
        read(out.path(), TOML.to_owned(), "here.toml".to_owned())
    }

    #[test]
    fn the_last_value_of_a_step_counts_and_half_a_line_does_not() {
        let out = finished(|_| ());
        let lines = "{\"metric\":\"loss\",\"step\":1,\"value\":2.0}\n{\"metric\":\"loss\",\"step\":2,\"value\":3.0}\n\
            {\"metric\":\"loss\",\"step\":1,\"value\":1.5}\n{\"metric\":\"loss\",\"step\":3,\"value\":null}\n\
            {\"metr{\"metric\":\"loss\",\"step\":4,\"value\":1.0}\n\n{\"metr";
        std::fs::write(out.path().join("encoder").join(METRICS), lines).unwrap();
        let parcel = parcel(&out).unwrap();
        let loss: Vec<(u64, f64)> = parcel.curves[0]["loss"].iter().map(|(step, value)| (*step, *value)).collect();
        assert_eq!(
            (&loss[..2], loss[2].1.is_nan(), parcel.points(), parcel.bytes()),
            (&[(1, 1.5), (2, 3.0)][..], true, 3, 3)
        );
        assert_eq!(parcel.jobs[0].artifacts[0].name, "e.safetensors");
        assert!(parcel.notes[0].contains("2 lines are no points of a curve"), "{:?}", parcel.notes);
    }

    #[test]
    fn a_folder_that_an_earlier_version_wrote_may_be_moved() {
        let out = finished(|run| run.artifacts[0].path = "/gone/out/encoder/artifacts/e.safetensors".into());
        assert_eq!(parcel(&out).unwrap().files[0].0, out.path().join("encoder/artifacts/e.safetensors"));
    }

    #[test]
    fn what_is_not_whole_or_of_another_file_is_refused_with_what_to_do() {
        let refused = |out: &tempfile::TempDir| parcel(out).unwrap_err().to_string();
        let why = refused(&finished(|run| run.finished = false));
        assert!(why.contains("job `encoder` has not finished") && why.contains("goes on with it"), "{why}");
        let why = refused(&finished(|run| run.content_key = "x".to_owned()));
        assert!(why.contains("other parameters than here.toml has"), "{why}");
        let why = refused(&tempfile::tempdir().unwrap());
        assert!(why.contains("job `encoder` of here.toml has not begun"), "{why}");
        let out = finished(|_| ());
        std::fs::write(out.path().join("encoder/artifacts/e.safetensors"), b"abd").unwrap();
        let why = refused(&out);
        assert!(why.contains("has the SHA-256 a52d") && why.contains("changed since"), "{why}");
        let out = finished(|_| ());
        std::fs::rename(out.path().join("encoder/artifacts"), out.path().join("encoder/elsewhere")).unwrap();
        assert!(refused(&out).contains("e.safetensors"), "{}", refused(&out));
    }
}
