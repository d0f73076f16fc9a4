//! When those that wait will start, as far as estimates say.
//!
//! The line is played through ahead of time, several times, with each duration drawn from what estimates have been wrong by:
//! each job goes into the earliest gap that holds it, in the order of the line. The middle of these runs is what is expected, and
//! their tenth and ninetieth of a hundred are its spread. What people will submit meanwhile is taken from their
//! [habits](Habit).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{
    gang,
    habit::Habit,
    model::{FleetWorker, Policy, QueuedJob, RunningGang, WorkerStatus, in_line},
    needs::Needs,
    turns::{device_seconds, take_turns},
};
use crate::{
    policy::{FairShare, Order},
    spec::Workers,
};

/// How often the line is played through; odd, so that there is a middle.
const DRAWS: u64 = 11;
/// Jobs that are looked at one by one. Those behind them are only counted.
const LOOKED_AT: usize = 250;
/// What a job takes of which nobody knows.
const UNKNOWN: Duration = Duration::from_secs(600);
/// Seconds of a device that somebody asks for at once, of jobs that nobody has submitted yet ...
const SLICE: f64 = 1800.0;
/// ... and the most of these of one person, about.
const TO_COME_MAX: f64 = 60.0;

/// What is expected of one that waits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    /// Its place in the line, from 1.
    pub place: u32,
    /// When it starts; `None` where nobody can say, as no device can have it.
    pub start: Option<Start>,
}

/// When something is expected to start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Start {
    pub at: DateTime<Utc>,
    /// Of ten such jobs one starts sooner than `early`, and one later than `late`.
    pub early: DateTime<Utc>,
    pub late: DateTime<Utc>,
}

/// What a forecast is made from.
pub struct Outlook<'a> {
    pub now: DateTime<Utc>,
    pub queue: &'a [QueuedJob],
    pub running: &'a [RunningGang],
    /// As for [`place`](super::place).
    pub fleet: &'a [FleetWorker],
    pub policy: &'a Policy,
    /// As for [`take_turns`].
    pub used: &'a BTreeMap<String, f64>,
    pub shares: &'a FairShare,
    pub habits: &'a BTreeMap<String, Habit>,
    /// The standard deviation of ln(time taken / time estimated); 0 where estimates are right.
    pub wrong_by: f64,
}

/// What is expected of each job of the queue, in the line that they make now.
pub fn forecast(outlook: &Outlook<'_>) -> BTreeMap<Uuid, Expected> {
    let Outlook { now, policy, .. } = *outlook;
    let known = gang::one_per_device(outlook.fleet, |_| false);
    let known = known.into_iter().filter_map(|worker| Some((worker.clone(), comes_free(now, worker)?)));
    let (ready, free): (Vec<FleetWorker>, Vec<f64>) =
        known.map(|(worker, free)| (FleetWorker { status: WorkerStatus::Idle, ..worker }, free)).unzip();
    let devices = Devices { workers: ready.iter().collect(), free, policy };
    let kinds = gang::Kinds::of(&devices.workers, policy);
    let ever_free = devices.free.iter().filter(|free| free.is_finite()).count();
    let mut line = [outlook.queue, &still_to_come(outlook, ever_free)].concat();
    take_turns(&mut line, outlook.used, outlook.shares);
    let wanted: Vec<Wanted<'_>> =
        in_line(&line).into_iter().map(|job| Wanted::of(now, job, &devices, &kinds)).collect();
    let draws: Vec<Vec<Option<f64>>> = (0..DRAWS)
        .map(|draw| play(&wanted, outlook.running, &devices, &Errors { draw, wrong_by: outlook.wrong_by }))
        .collect();
    let here = wanted.iter().enumerate().filter(|(_, wanted)| !is_to_come(wanted.job));
    let expected = (1..).zip(here).map(|(place, (at, wanted))| {
        let mut starts: Vec<f64> = draws.iter().filter_map(|starts| starts[at]).collect();
        starts.sort_by(f64::total_cmp);
        let of = |tenths: usize| after(now, starts[(starts.len() - 1) * tenths / 10]);
        let start = (!starts.is_empty()).then(|| Start { at: of(5), early: of(1), late: of(9) });
        (wanted.job.id, Expected { place, start })
    });
    expected.collect()
}

/// Jobs that nobody has submitted yet: of each person what it will have asked for by the time that those who wait now have had
/// their turns, if it goes on as it has lately.
fn still_to_come(outlook: &Outlook<'_>, devices: usize) -> Vec<QueuedJob> {
    let waiting: f64 = outlook.queue.iter().map(device_seconds).sum();
    let rate = |habit: &Habit| habit.asks / habit.every.as_seconds_f64().max(1.0);
    let busy: f64 = outlook.habits.values().map(rate).sum();
    if waiting <= 0.0 || devices == 0 || outlook.shares.order == Order::FirstCome {
        return Vec::new();
    }
    // They come while the line gets shorter, and make it longer.
    let horizon = waiting / (devices as f64 - busy).max(0.25 * devices as f64);
    let mut jobs = Vec::new();
    for (who, habit) in outlook.habits {
        let every = habit.every.as_seconds_f64().max(1.0);
        let mut comes = seconds(habit.next - outlook.now);
        let times = ((horizon - comes) / every).ceil().clamp(0.0, TO_COME_MAX);
        let slice = SLICE.max(habit.asks * times / TO_COME_MAX);
        for _ in 0..times as u32 {
            let (count, at) = ((habit.asks / slice).round().max(1.0), after(outlook.now, comes));
            let takes = Duration::try_from_secs_f64(habit.asks / count).unwrap_or_default();
            jobs.extend((0..count as u32).map(|_| to_come(who, at, takes, outlook.fleet)));
            comes += every;
        }
    }
    jobs
}

fn to_come(who: &str, at: DateTime<Utc>, takes: Duration, fleet: &[FleetWorker]) -> QueuedJob {
    let kinds: BTreeSet<&str> = fleet.iter().map(|worker| worker.device_kind.as_str()).collect();
    QueuedJob {
        id: Uuid::nil(),
        name: String::new(),
        owner: who.to_owned(),
        priority: 0,
        turn: 0,
        queued_at: at,
        position: 0,
        workers: Workers { min: 1, max: 1 },
        shards: 1,
        not_before: Some(at),
        avoid: Vec::new(),
        any_kind: false,
        missing: Vec::new(),
        needs: Needs::default(),
        estimates: kinds.into_iter().map(|kind| (kind.to_owned(), takes)).collect(),
        assumed: BTreeMap::new(),
        time_left: None,
        made_room_at: None,
    }
}

fn is_to_come(job: &QueuedJob) -> bool {
    job.id.is_nil()
}

/// When a worker can have something new: never, as far as is known, if it is waited for and nobody knows how long; `None` if it
/// is not waited for.
fn comes_free(now: DateTime<Utc>, worker: &FleetWorker) -> Option<f64> {
    match &worker.status {
        WorkerStatus::Idle => Some(0.0),
        WorkerStatus::Busy { until: Some(until), .. } | WorkerStatus::Held { until } => Some(seconds(*until - now)),
        WorkerStatus::Busy { until: None, .. } => Some(UNKNOWN.as_secs_f64()),
        // Jobs of its kind wait for it, and nobody knows how long others use it.
        WorkerStatus::Withheld { .. } => Some(f64::INFINITY),
        WorkerStatus::Draining
        | WorkerStatus::Drained
        | WorkerStatus::Quarantined
        | WorkerStatus::Unfit
        | WorkerStatus::Lost => None,
    }
}

/// A job, the devices that can have it, and how long it takes there.
struct Wanted<'q> {
    job: &'q QueuedJob,
    devices: BTreeSet<usize>,
    need: usize,
    takes: f64,
    not_before: f64,
    most: Option<u32>,
}

impl<'q> Wanted<'q> {
    fn of(now: DateTime<Utc>, job: &'q QueuedJob, devices: &Devices<'_>, kinds: &gang::Kinds<'_>) -> Self {
        // Those that cannot read its input now are asked again later.
        let mut moments: Vec<DateTime<Utc>> = job.missing.iter().map(|missing| missing.until.max(now)).collect();
        moments.push(now);
        moments.sort_unstable();
        let at = |moment| {
            let able = gang::able(moment, job, &devices.workers);
            let kind = match able.len() == devices.workers.len() {
                true => kinds.for_job(job).map(str::to_owned),
                false => gang::Kinds::of(&able, devices.policy).for_job(job).map(str::to_owned),
            };
            (moment, able, kind)
        };
        let found = moments.into_iter().map(at).find(|(.., kind)| kind.is_some());
        let (from, able, kind) = found.unwrap_or_else(|| at(now));
        let able: BTreeSet<Uuid> = able.into_iter().map(|worker| worker.id).collect();
        let is_barred = devices.policy.quotas.bars(&job.owner);
        let can = |worker: &FleetWorker| {
            !is_barred && kind.as_ref() == Some(&worker.device_kind) && able.contains(&worker.id)
        };
        let ever_free = |at: &usize| devices.free[*at].is_finite();
        let places = (0..devices.workers.len()).filter(ever_free).filter(|&at| can(devices.workers[at])).collect();
        let takes = kind.and_then(|kind| job.takes(&kind)).unwrap_or(UNKNOWN);
        let need = job.workers.world_sizes(job.shards).next().unwrap_or(job.workers.min);
        Self {
            job,
            devices: places,
            need: need as usize,
            takes: takes.as_secs_f64(),
            not_before: seconds(job.not_before.map_or(from, |until| until.max(from)) - now),
            most: devices.policy.quotas.limit(&job.owner),
        }
    }
}

/// The devices that can have something, now or later, and in how many seconds each is free.
struct Devices<'f> {
    workers: Vec<&'f FleetWorker>,
    free: Vec<f64>,
    policy: &'f Policy,
}

impl Devices<'_> {
    /// A gang of these, `None` if they are too few or too far apart.
    fn gang(&self, free: &[usize], need: usize) -> Option<Vec<usize>> {
        if self.policy.across_hosts || need == 1 {
            return (free.len() >= need).then(|| free[..need].to_vec());
        }
        let mut hosts: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for &at in free {
            hosts.entry(&self.workers[at].host).or_default().push(at);
        }
        let host = hosts.into_values().find(|host| host.len() >= need)?;
        Some(host[..need].to_vec())
    }
}

/// What durations are wrong by in one run.
struct Errors {
    draw: u64,
    wrong_by: f64,
}

impl Errors {
    /// The factor of one job or worker.
    fn of(&self, id: Uuid) -> f64 {
        // The middle run is that of the estimates themselves.
        if self.draw == 0 {
            return 1.0;
        }
        let bits = id.as_u128() as u64 ^ (id.as_u128() >> 64) as u64;
        let uniform = |salt: u64| (mixed(bits ^ mixed(self.draw * 2 + salt)) >> 11) as f64 / (1u64 << 53) as f64;
        let radius = (-2.0 * (1.0 - uniform(0)).ln()).sqrt();
        (self.wrong_by * radius * (std::f64::consts::TAU * uniform(1)).cos()).exp()
    }
}

/// SplitMix64: numbers that look drawn, and are the same whenever this is asked.
fn mixed(seed: u64) -> u64 {
    let mut bits = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Seconds from now until each of the line starts.
fn play(line: &[Wanted<'_>], running: &[RunningGang], devices: &Devices<'_>, errors: &Errors) -> Vec<Option<f64>> {
    let free = devices.workers.iter().zip(&devices.free).map(|(worker, free)| free.max(0.0) * errors.of(worker.id));
    let mut free: Vec<f64> = free.collect();
    let mut by_owner: BTreeMap<&str, Vec<(f64, f64, usize)>> = BTreeMap::new();
    for gang in running {
        // All workers of a gang are free at once.
        let most = gang.time_left.map_or(f64::INFINITY, seconds);
        let own = by_owner.entry(&gang.owner).or_default();
        for at in (0..free.len()).filter(|&at| gang.workers.contains(&devices.workers[at].id)) {
            free[at] = cut(devices.free[at].max(0.0), errors.of(gang.attempt), most);
            own.push((0.0, free[at], 1));
        }
    }
    let known: Vec<f64> = free.iter().copied().filter(|free| free.is_finite()).collect();
    let before: f64 = known.iter().sum();
    let mut calendar = Calendar::new(free);
    let mut starts = Vec::with_capacity(line.len());
    for wanted in line.iter().take(LOOKED_AT) {
        let most = wanted.job.time_left.map_or(f64::INFINITY, |left| left.as_secs_f64());
        let takes = cut(wanted.takes, errors.of(wanted.job.id), most);
        let own = by_owner.entry(&wanted.job.owner).or_default();
        let slot = calendar.earliest(wanted, takes, own, |free| devices.gang(free, wanted.need));
        if let Some((start, gang)) = &slot {
            calendar.put(gang, *start, start + takes);
            own.push((*start, start + takes, gang.len()));
        }
        starts.push(slot.map(|(start, _)| start));
    }
    starts.extend(behind(line, starts.len(), before, known.len()));
    starts
}

/// What a job takes in one run. Estimates are wrong, maximum times are not: one that its time has cut already is that time.
fn cut(estimate: f64, error: f64, most: f64) -> f64 {
    if estimate < most { (estimate * error).min(most) } else { most }
}

/// Of those too far behind to be looked at one by one: the work before them, over all devices. What has not come counts if it comes
/// before they start.
fn behind(line: &[Wanted<'_>], looked_at: usize, free: f64, devices: usize) -> Vec<Option<f64>> {
    let work = |wanted: &Wanted<'_>| wanted.takes * wanted.need as f64;
    let mut here = free;
    let mut to_come: Vec<(f64, f64)> = Vec::new();
    let mut starts = Vec::new();
    for (at, wanted) in line.iter().enumerate() {
        if at >= looked_at {
            let until =
                |start: f64| to_come.iter().filter(|(comes, _)| *comes < start).map(|(_, work)| work).sum::<f64>();
            let first = here / devices.max(1) as f64;
            let start = (0..4).fold(first, |start, _| (here + until(start)) / devices.max(1) as f64);
            starts.push((devices > 0 && wanted.devices.len() >= wanted.need).then_some(start));
        }
        match is_to_come(wanted.job) {
            true => to_come.push((wanted.not_before, work(wanted))),
            false => here += work(wanted),
        }
    }
    starts
}

/// When each device is taken, in the order of time.
struct Calendar {
    taken: Vec<Vec<(f64, f64)>>,
}

impl Calendar {
    fn new(free: Vec<f64>) -> Self {
        Self { taken: free.into_iter().map(|at| vec![(f64::NEG_INFINITY, at)]).collect() }
    }

    /// The first moment at which a gang is free for as long as it takes, and its devices: those whose gap ends soonest, so that
    /// longer gaps are left.
    fn earliest(
        &self,
        wanted: &Wanted<'_>,
        takes: f64,
        own: &[(f64, f64, usize)],
        choose: impl Fn(&[usize]) -> Option<Vec<usize>>,
    ) -> Option<(f64, Vec<usize>)> {
        if wanted.devices.len() < wanted.need {
            return None;
        }
        let ends = wanted.devices.iter().flat_map(|&at| self.taken[at].iter().map(|(_, end)| *end));
        let own_ends = own.iter().map(|(_, end, _)| *end);
        let mut moments: Vec<f64> = ends.chain(own_ends).map(|end| end.max(wanted.not_before)).collect();
        moments.sort_by(f64::total_cmp);
        moments.dedup();
        moments.into_iter().find_map(|start| {
            let running: usize =
                own.iter().filter(|(from, to, _)| *from <= start && start < *to).map(|(.., count)| count).sum();
            if wanted.most.is_some_and(|most| running + wanted.need > most as usize) {
                return None;
            }
            let mut gaps: Vec<(f64, usize)> =
                wanted.devices.iter().filter_map(|&at| Some((self.gap(at, start, takes)?, at))).collect();
            gaps.sort_by(|(a, i), (b, j)| a.total_cmp(b).then(i.cmp(j)));
            let free: Vec<usize> = gaps.into_iter().map(|(_, at)| at).collect();
            choose(&free).map(|gang| (start, gang))
        })
    }

    /// When the gap of a device ends that holds so long from `start`.
    fn gap(&self, device: usize, start: f64, takes: f64) -> Option<f64> {
        let taken = &self.taken[device];
        let next = taken.partition_point(|(from, _)| *from <= start);
        let is_free = taken[..next].last().is_none_or(|(_, end)| *end <= start);
        let end = taken.get(next).map_or(f64::INFINITY, |(from, _)| *from);
        (is_free && start + takes <= end).then_some(end)
    }

    fn put(&mut self, gang: &[usize], start: f64, end: f64) {
        for &device in gang {
            let taken = &mut self.taken[device];
            let place = taken.partition_point(|(from, _)| *from <= start);
            taken.insert(place, (start, end));
        }
    }
}

fn seconds(span: TimeDelta) -> f64 {
    span.as_seconds_f64().max(0.0)
}

fn after(now: DateTime<Utc>, seconds: f64) -> DateTime<Utc> {
    let millis = (seconds * 1000.0).clamp(0.0, 1e14) as i64;
    now.checked_add_signed(TimeDelta::milliseconds(millis)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
