//! What `tandem top` knows and shows: the newest answers, and where the person is.

use chrono::{DateTime, Utc};
use tandem_proto::v1::{Job, Series, ShowResponse, StatusResponse, Worker};

use crate::printable;

/// One answer of the coordinator.
#[derive(Clone, Debug, Default)]
pub(crate) struct News {
    pub(crate) status: StatusResponse,
    pub(crate) running: Vec<Job>,
    /// As they stand in line.
    pub(crate) waiting: Vec<Job>,
}

/// What is known of the job that is opened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Detail {
    pub(crate) shown: ShowResponse,
    /// The metric that was asked for, and what there is of it.
    pub(crate) metric: String,
    pub(crate) series: Option<Series>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pane {
    Devices,
    #[default]
    Running,
    Waiting,
}

impl Pane {
    pub(crate) const ALL: [Self; 3] = [Self::Devices, Self::Running, Self::Waiting];

    pub(crate) fn place(self) -> usize {
        self as usize
    }
}

/// What the keys mean now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    #[default]
    Look,
    Filter,
    Help,
    /// Whether to cancel is asked.
    Cancel(Named),
    /// The priority that was typed so far.
    Priority(Named, String),
}

/// A job, for a question about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) id: String,
    pub(crate) name: String,
}

impl Named {
    pub(crate) fn of(job: &Job) -> Self {
        Self { id: job.id.clone(), name: full_name(job) }
    }
}

/// A job's page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Opened {
    pub(crate) job: Named,
    pub(crate) detail: Option<Detail>,
    /// Place of the metric among those of the job.
    pub(crate) metric: usize,
    /// How many of the newest events are scrolled past.
    pub(crate) scroll: usize,
}

impl Opened {
    pub(crate) fn job(&self) -> Option<&Job> {
        self.detail.as_ref()?.shown.jobs.first()
    }

    /// Names of the metrics that it has values of, the loss first.
    pub(crate) fn metrics(&self) -> Vec<&str> {
        let metrics = self.job().and_then(|job| job.progress.as_ref()).map(|progress| progress.metrics.as_slice());
        let mut names: Vec<&str> = metrics.unwrap_or_default().iter().map(|metric| metric.name.as_str()).collect();
        names.sort_by_key(|name| !name.starts_with("loss"));
        names
    }

    /// Whether the curve that is shown has been asked for.
    pub(crate) fn is_known(&self) -> bool {
        let asked = self.detail.as_ref().map(|detail| detail.metric.as_str());
        asked.is_some() && self.metric().is_none_or(|metric| asked == Some(metric))
    }

    pub(crate) fn metric(&self) -> Option<&str> {
        let names = self.metrics();
        names.get(self.metric.min(names.len().saturating_sub(1))).copied()
    }
}

/// The coordinator does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Away {
    pub(crate) since: DateTime<Utc>,
    pub(crate) why: String,
}

/// A remark at the foot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) is_bad: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) server: String,
    pub(crate) news: News,
    pub(crate) away: Option<Away>,
    pub(crate) pane: Pane,
    /// The chosen row of each pane, by id: rows come and go.
    chosen: [String; 3],
    /// Where it was, for when it has gone.
    place: [usize; 3],
    pub(crate) filter: String,
    pub(crate) mode: Mode,
    pub(crate) opened: Option<Opened>,
    pub(crate) said: Option<Said>,
}

impl State {
    pub(crate) fn new(server: &str, news: News) -> Self {
        Self { server: server.to_owned(), news, ..Self::default() }
    }

    pub(crate) fn devices(&self) -> Vec<&Worker> {
        self.news.status.workers.iter().filter(|worker| self.wants(&worker_words(worker))).collect()
    }

    pub(crate) fn running(&self) -> Vec<&Job> {
        self.news.running.iter().filter(|job| self.wants(&job_words(job))).collect()
    }

    pub(crate) fn waiting(&self) -> Vec<&Job> {
        self.news.waiting.iter().filter(|job| self.wants(&job_words(job))).collect()
    }

    /// Each word of the filter has to be there, however it is written.
    fn wants(&self, words: &[&str]) -> bool {
        let holds = |wanted: &str| words.iter().any(|word| word.to_lowercase().contains(wanted));
        self.filter.to_lowercase().split_whitespace().all(holds)
    }

    fn ids(&self, pane: Pane) -> Vec<String> {
        match pane {
            Pane::Devices => self.devices().into_iter().map(|worker| worker.id.clone()).collect(),
            Pane::Running => self.running().into_iter().map(|job| job.id.clone()).collect(),
            Pane::Waiting => self.waiting().into_iter().map(|job| job.id.clone()).collect(),
        }
    }

    /// The row that is chosen: the same one as before where it is there still.
    pub(crate) fn row(&self, pane: Pane) -> Option<usize> {
        let ids = self.ids(pane);
        let last = ids.len().checked_sub(1)?;
        let same = ids.iter().position(|id| *id == self.chosen[pane.place()]);
        Some(same.unwrap_or(self.place[pane.place()].min(last)))
    }

    pub(crate) fn choose(&mut self, pane: Pane, row: usize) {
        let ids = self.ids(pane);
        let row = row.min(ids.len().saturating_sub(1));
        self.place[pane.place()] = row;
        self.chosen[pane.place()] = ids.get(row).cloned().unwrap_or_default();
    }

    /// The job of the chosen row: of a device, the one that it runs.
    pub(crate) fn chosen_job(&self) -> Option<Named> {
        let row = self.row(self.pane)?;
        match self.pane {
            Pane::Devices => {
                let worker = *self.devices().get(row)?;
                let name = format!("{}/{}", worker.experiment, worker.job_name);
                (!worker.job_id.is_empty()).then(|| Named { id: worker.job_id.clone(), name })
            }
            Pane::Running => self.running().get(row).map(|job| Named::of(job)),
            Pane::Waiting => self.waiting().get(row).map(|job| Named::of(job)),
        }
    }

    /// The job that a question would be about.
    pub(crate) fn subject(&self) -> Option<Named> {
        match &self.opened {
            Some(opened) => Some(opened.job.clone()),
            None => self.chosen_job(),
        }
    }

    pub(crate) fn heard(&mut self, news: Result<News, String>, now: DateTime<Utc>) {
        match news {
            Ok(news) => {
                self.news = news;
                self.away = None;
                // What is chosen is known by its id from here on.
                for pane in Pane::ALL {
                    if let Some(row) = self.row(pane) {
                        self.choose(pane, row);
                    }
                }
            }
            Err(why) => {
                let since = self.away.as_ref().map_or(now, |away| away.since);
                self.away = Some(Away { since, why });
            }
        }
    }

    /// An answer about a job: of no use where another is open by now.
    pub(crate) fn heard_of(&mut self, id: &str, detail: Result<Detail, String>) {
        let Some(opened) = self.opened.as_mut().filter(|opened| opened.job.id == id) else { return };
        match detail {
            Ok(detail) => opened.detail = Some(detail),
            Err(why) => self.said = Some(Said { text: why, is_bad: true }),
        }
    }
}

pub(crate) fn full_name(job: &Job) -> String {
    format!("{}/{}", printable::line(&job.experiment_name), printable::line(&job.name))
}

fn job_words(job: &Job) -> [&str; 6] {
    [&job.experiment_name, &job.name, &job.owner, &job.stage, &job.reason, &job.id]
}

fn worker_words(worker: &Worker) -> [&str; 6] {
    let device = worker.device.as_ref().map_or("", |device| &device.name);
    [&worker.name, &worker.host, device, &worker.owner, &worker.experiment, &worker.job_name]
}

#[cfg(test)]
pub(crate) mod tests;
