//! Plays a week: at each arrival and each end the house decides anew, as the coordinator does.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use tandem_domain::{
    place::{
        FleetWorker, Habit, Needs, Offers, Outlook, Passed, Policy, QueuedJob, Quotas, RunningGang, WorkerStatus,
        forecast, in_line, make_room, place, soon_free, take_turns,
    },
    policy::HousePolicy,
    spec::Workers,
};
use uuid::Uuid;

use super::{
    WEEK,
    figures::{Figures, Wait},
    load::Load,
};

const DEVICES: u128 = 4;
/// A job's pace is measured after its first steps; until then its estimate is all that is known of its end.
const MEASURED_AFTER: f64 = 60.0;
/// A gang that is asked to stop writes its checkpoint, and what it has computed is kept.
const STOPPING: f64 = 5.0;
/// Once an hour somebody asks of each job that waits when it will start.
const ASKS: f64 = 3600.0;
/// What the house knows of how wrong its estimates are.
const WRONG_BY: f64 = 0.25;

/// Who goes first.
#[derive(Clone, Debug)]
pub enum Rule {
    /// The policy of a house: turns, and passing by estimates.
    Shared(Box<HousePolicy>),
    /// First in, first out; nobody passes.
    Fifo,
}

struct Running {
    job: usize,
    workers: Vec<Uuid>,
    since: f64,
    ends: f64,
    passed: Option<Passed>,
    stops_at: Option<f64>,
}

struct Week<'l> {
    loads: &'l [Load],
    rule: &'l Rule,
    now: f64,
    /// What is left of each.
    left: Vec<f64>,
    queue: Vec<usize>,
    running: Vec<Running>,
    /// Of each person: seconds of devices that have ended, with the moment of the end.
    used: BTreeMap<&'static str, Vec<(f64, f64)>>,
    /// When somebody asks next when its jobs will start.
    asks_at: f64,
    /// What was said of each: when, and when it would start.
    expected: BTreeMap<usize, Vec<(f64, f64)>>,
    figures: Figures,
}

/// The figures of a week. Without expectations (`expects`) it takes a fraction of the time.
pub fn run_week(loads: &[Load], rule: &Rule, expects: bool) -> Figures {
    let mut week = Week {
        loads,
        rule,
        now: 0.0,
        left: loads.iter().map(|load| load.takes).collect(),
        queue: Vec::new(),
        running: Vec::new(),
        used: BTreeMap::new(),
        asks_at: ASKS,
        expected: BTreeMap::new(),
        figures: Figures::default(),
    };
    let mut next = 0;
    loop {
        let arrival = loads.get(next).map_or(f64::INFINITY, |load| load.at);
        let asked = if expects { week.asks_at } else { f64::INFINITY };
        let moment = week.next_end().min(arrival).min(asked).min(WEEK);
        week.pass_time(moment);
        if moment >= WEEK {
            return week.close();
        }
        let mut came = Vec::new();
        while let Some(load) = loads.get(next).filter(|load| load.at <= moment) {
            debug_assert!(load.at <= week.now);
            came.push(next);
            next += 1;
        }
        week.queue.extend(&came);
        week.end();
        week.decide(expects);
    }
}

impl Week<'_> {
    fn next_end(&self) -> f64 {
        let moment = |gang: &Running| gang.stops_at.unwrap_or(f64::INFINITY).min(gang.ends);
        let promised = self.running.iter().filter_map(|gang| gang.passed.map(|passed| seconds(passed.until) + 0.001));
        let promised = promised.filter(|until| *until > self.now).fold(f64::INFINITY, f64::min);
        self.running.iter().map(moment).fold(promised, f64::min)
    }

    fn pass_time(&mut self, moment: f64) {
        let span = moment - self.now;
        let busy: usize = self.running.iter().map(|gang| gang.workers.len()).sum();
        let free = DEVICES as usize - busy;
        let fits = self.queue.iter().any(|&job| self.loads[job].ranks as usize <= free.max(1));
        self.figures.pass(span, busy as f64, fits && !self.queue.is_empty());
        self.now = moment;
    }

    fn end(&mut self) {
        let now = self.now;
        let (over, on): (Vec<_>, Vec<_>) = std::mem::take(&mut self.running)
            .into_iter()
            .partition(|gang| gang.stops_at.unwrap_or(gang.ends).min(gang.ends) <= now);
        self.running = on;
        for gang in over {
            let load = &self.loads[gang.job];
            let seconds = (now - gang.since) * gang.workers.len() as f64;
            self.used.entry(load.owner).or_default().push((now, seconds));
            self.figures.used(load.owner, seconds);
            if gang.ends > now {
                self.left[gang.job] -= now - gang.since - STOPPING;
                self.figures.stops += 1;
                self.queue.push(gang.job);
            } else {
                self.left[gang.job] = 0.0;
                self.figures.ended += 1;
            }
        }
    }

    fn decide(&mut self, expects: bool) {
        let (mut queue, running, fleet) = (self.queued(), self.gangs(), self.fleet());
        let policy = match self.rule {
            Rule::Shared(house) => {
                take_turns(&mut queue, &self.shares(house), &house.fair_share);
                Policy { margin: 1.25, quotas: Quotas::default(), ..Policy::default() }
            }
            Rule::Fifo => Policy::default(),
        };
        let now = moment(self.now);
        let stops = if let Rule::Shared(_) = self.rule {
            make_room(now, &queue, &running, &fleet, &policy)
        } else {
            Vec::new()
        };
        for stop in &stops {
            let gang = self.running.iter_mut().find(|gang| attempt(gang.job) == stop.attempt);
            if let Some(gang) = gang {
                gang.stops_at = Some(self.now + STOPPING);
            }
        }
        let soon = soon_free(now, &fleet, &running, &stops);
        let decision = place(now, &queue, &soon, &policy);
        for placement in &decision.placements {
            let job = number(placement.job);
            self.queue.retain(|other| *other != job);
            self.started(job);
            let running = Running {
                job,
                workers: placement.workers.clone(),
                since: self.now,
                ends: self.now + self.left[job],
                passed: placement.passed,
                stops_at: None,
            };
            self.running.push(running);
        }
        self.note_first_in_line(&queue);
        if expects && self.now >= self.asks_at {
            self.asks_at = self.now + ASKS;
            self.expect(&policy);
        }
    }

    /// What is expected of those that wait, after the decision about them.
    fn expect(&mut self, policy: &Policy) {
        let (queue, running, fleet) = (self.queued(), self.gangs(), self.fleet());
        let Rule::Shared(house) = self.rule else { return };
        let (used, habits) = (self.shares(house), self.habits());
        let expected = forecast(&Outlook {
            now: moment(self.now),
            queue: &queue,
            running: &running,
            fleet: &fleet,
            policy,
            used: &used,
            shares: &house.fair_share,
            habits: &habits,
            wrong_by: WRONG_BY,
        });
        for job in &queue {
            if let Some(start) = expected.get(&job.id).and_then(|expected| expected.start) {
                self.expected.entry(number(job.id)).or_default().push((self.now, seconds(start.at)));
            }
        }
    }

    fn started(&mut self, job: usize) {
        let owner = self.loads[job].owner;
        for (asked, start) in self.expected.remove(&job).unwrap_or_default() {
            self.figures.waits.push(Wait { owner, asked, expected: start - asked, waited: self.now - asked });
        }
    }

    /// Whether somebody that passed the first in line keeps it from starting after the moment at which it was to have ended.
    fn note_first_in_line(&mut self, queue: &[QueuedJob]) {
        let line = in_line(queue);
        let Some(first) = line.iter().find(|job| self.queue.contains(&number(job.id))) else { return };
        let need = self.loads[number(first.id)].ranks as usize;
        let busy: usize = self.running.iter().map(|gang| gang.workers.len()).sum();
        let grace = TimeDelta::milliseconds((1000.0 * STOPPING) as i64 + 1000);
        let late = |gang: &&Running| {
            gang.stops_at.is_none()
                && gang.passed.is_some_and(|passed| passed.job == first.id && passed.until + grace < moment(self.now))
        };
        let late: usize = self.running.iter().filter(late).map(|gang| gang.workers.len()).sum();
        if late > 0 && DEVICES as usize - busy + late >= need {
            self.figures.delayed_by_passing += 1;
        }
    }

    /// Seconds of devices that count: what was used, by its age, and what runs now to its expected end.
    fn shares(&self, house: &HousePolicy) -> BTreeMap<String, f64> {
        let half_life = house.fair_share.half_life().as_secs_f64();
        let mut shares: BTreeMap<String, f64> = BTreeMap::new();
        for (who, ended) in &self.used {
            let sum = ended.iter().map(|(at, seconds)| seconds * 0.5f64.powf((self.now - at) / half_life)).sum();
            shares.insert((*who).to_owned(), sum);
        }
        for gang in &self.running {
            let seconds = (self.known_end(gang) - gang.since) * gang.workers.len() as f64;
            *shares.entry(self.loads[gang.job].owner.to_owned()).or_default() += seconds;
        }
        shares
    }

    /// How people have submitted so far.
    fn habits(&self) -> BTreeMap<String, Habit> {
        let mut submits: BTreeMap<&str, Vec<(DateTime<Utc>, f64)>> = BTreeMap::new();
        for load in self.loads.iter().take_while(|load| load.at <= self.now) {
            let asks = load.estimate * f64::from(load.ranks);
            submits.entry(load.owner).or_default().push((moment(load.at), asks));
        }
        let habit = |(who, submits): (&str, Vec<_>)| Some((who.to_owned(), Habit::of(moment(self.now), &submits)?));
        submits.into_iter().filter_map(habit).collect()
    }

    fn known_end(&self, gang: &Running) -> f64 {
        if self.now - gang.since >= MEASURED_AFTER { gang.ends } else { gang.since + self.estimate(gang.job) }
    }

    /// Of what is left: a job that has run before was measured.
    fn estimate(&self, job: usize) -> f64 {
        let load = &self.loads[job];
        if self.left[job] < load.takes { self.left[job] } else { load.estimate }
    }

    fn queued(&self) -> Vec<QueuedJob> {
        let queued = |&job: &usize| {
            let load = &self.loads[job];
            let estimate = Duration::from_secs_f64(self.estimate(job));
            let has_estimate = matches!(self.rule, Rule::Shared(_));
            QueuedJob {
                id: id(job),
                name: String::new(),
                owner: load.owner.to_owned(),
                priority: 0,
                turn: 0,
                queued_at: moment(load.at),
                position: job as i32,
                workers: Workers { min: load.ranks, max: load.ranks },
                shards: load.ranks,
                not_before: None,
                avoid: Vec::new(),
                any_kind: false,
                missing: Vec::new(),
                needs: Needs::default(),
                estimates: has_estimate.then(|| ("cuda".to_owned(), estimate)).into_iter().collect(),
                assumed: BTreeMap::new(),
                time_left: None,
                made_room_at: None,
            }
        };
        self.queue.iter().map(queued).collect()
    }

    fn gangs(&self) -> Vec<RunningGang> {
        let gang = |gang: &Running| RunningGang {
            attempt: attempt(gang.job),
            job: id(gang.job),
            name: String::new(),
            owner: self.loads[gang.job].owner.to_owned(),
            priority: 0,
            queued_at: moment(self.loads[gang.job].at),
            position: gang.job as i32,
            avoid: Vec::new(),
            missing: Vec::new(),
            needs: Needs::default(),
            workers: gang.workers.clone(),
            wanted: Workers { min: self.loads[gang.job].ranks, max: self.loads[gang.job].ranks },
            shards: self.loads[gang.job].ranks,
            training_since: Some(moment(gang.since)),
            saved_at: None,
            seconds_left: Some(self.known_end(gang) - self.now),
            slowest: None,
            wasted_stops: 0,
            is_stopping: gang.stops_at.is_some(),
            passed: gang.passed,
            time_left: None,
        };
        self.running.iter().map(gang).collect()
    }

    fn fleet(&self) -> Vec<FleetWorker> {
        let worker = |device: u128| {
            let id = Uuid::from_u128(device);
            let gang = self.running.iter().find(|gang| gang.workers.contains(&id));
            let status = gang.map_or(WorkerStatus::Idle, |gang| WorkerStatus::Busy {
                job_name: String::new(),
                until: Some(moment(self.known_end(gang))),
            });
            FleetWorker {
                id,
                name: format!("gpu-{device}"),
                device_kind: "cuda".to_owned(),
                host: "box".to_owned(),
                device: format!("GPU-{device}"),
                offers: Offers::default(),
                status,
            }
        };
        (1..=DEVICES).map(worker).collect()
    }

    fn close(mut self) -> Figures {
        for gang in &self.running {
            self.figures.used(self.loads[gang.job].owner, (self.now - gang.since) * gang.workers.len() as f64);
        }
        for load in self.loads {
            // No job can have more of the week than is left when it comes.
            self.figures.asked(load.owner, load.takes.min(WEEK - load.at) * f64::from(load.ranks));
        }
        self.figures
    }
}

fn moment(seconds: f64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::microseconds((seconds * 1e6) as i64)
}

fn seconds(moment: DateTime<Utc>) -> f64 {
    (moment - DateTime::UNIX_EPOCH).as_seconds_f64()
}

fn id(job: usize) -> Uuid {
    Uuid::from_u128(1_000 + job as u128)
}

fn attempt(job: usize) -> Uuid {
    Uuid::from_u128(1 << 64 | job as u128)
}

fn number(id: Uuid) -> usize {
    (id.as_u128() - 1_000) as usize
}
