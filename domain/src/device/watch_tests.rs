use super::*;

const EVERY: Duration = Duration::from_secs(5);
const GIB: u64 = 1 << 30;

fn idle() -> Reading {
    Reading {
        utilization_percent: Some(0),
        memory_used: Some(12 << 20),
        memory_total: Some(11 * GIB),
        throttle: Some(1),
        ..Reading::default()
    }
}

fn process(pid: u32, memory: u64) -> Process {
    let (user, name) = ("ann".to_owned(), "python".to_owned());
    Process { pid, user, name, memory: Some(memory), since: None, is_ours: false }
}

fn seen<'s>(reading: &'s Reading, processes: &'s [Process]) -> Seen<'s> {
    Seen { reading, processes, rank_runs: false, xids: &[], memory_errors: None, is_lost: false }
}

/// A watch that is asked every few seconds.
struct Device {
    watch: Watch,
    now: Duration,
}

impl Device {
    fn new() -> Self {
        Self { watch: Watch::default(), now: Duration::from_secs(1000) }
    }

    /// One that was seen to be free.
    fn free() -> Self {
        let mut device = Self::new();
        assert_eq!(device.look(&seen(&idle(), &[])), Verdict::default());
        device
    }

    fn look(&mut self, seen: &Seen<'_>) -> Verdict {
        self.now += EVERY;
        self.watch.look(self.now, seen, &Bounds::of(EVERY))
    }

    fn looks(&mut self, times: u32, seen: &Seen<'_>) -> Vec<bool> {
        (0..times).map(|_| self.look(seen).withheld.is_some()).collect()
    }
}

#[test]
fn a_device_is_taken_after_a_while_and_free_after_a_longer_one() {
    let mut device = Device::free();
    let (busy, ann) = (Reading { memory_used: Some(3 * GIB), ..idle() }, [process(4711, 3 * GIB)]);
    assert_eq!(device.looks(3, &seen(&busy, &ann)), [false, false, true]);
    let withheld = device.look(&seen(&busy, &ann)).withheld.unwrap();
    assert_eq!(withheld, "in use by ann: python (pid 4711, 3.0 GiB)");
    assert_eq!(device.looks(8, &seen(&idle(), &[])), [true, true, true, true, true, true, false, false]);
}

#[test]
fn it_does_not_flap() {
    let mut device = Device::free();
    let (busy, quiet) = ([process(1, 2 * GIB)], [process(1, 100 << 20)]);
    let between = [process(1, 300 << 20)];
    let reading = idle();
    for _ in 0..4 {
        // Twice above, once below.
        assert_eq!(device.looks(2, &seen(&reading, &busy)), [false, false]);
        assert_eq!(device.looks(1, &seen(&reading, &quiet)), [false]);
    }
    assert_eq!(device.looks(3, &seen(&reading, &busy)), [false, false, true]);
    // Between the two bounds nothing changes, either way.
    assert_eq!(device.looks(10, &seen(&reading, &between)), [true; 10]);
    assert_eq!(device.looks(5, &seen(&reading, &quiet)), [true; 5]);
    assert_eq!(device.looks(1, &seen(&reading, &busy)), [true]);
    assert_eq!(device.looks(6, &seen(&reading, &quiet)), [true; 6], "the wait begins again");
    assert_eq!(device.looks(1, &seen(&reading, &quiet)), [false]);
    assert_eq!(device.looks(12, &seen(&reading, &between)), [false; 12]);
}

#[test]
fn the_first_look_counts_at_once() {
    let mut device = Device::new();
    let busy = Reading { memory_used: Some(9 * GIB), ..idle() };
    let withheld = device.look(&seen(&busy, &[])).withheld.unwrap();
    assert_eq!(withheld, "in use by somebody whose processes cannot be seen from here (9.0 GiB)");
    let mut working = Device::new();
    let busy = Reading { utilization_percent: Some(97), ..idle() };
    let withheld = working.look(&seen(&busy, &[])).withheld.unwrap();
    assert_eq!(
        withheld, "in use by somebody whose processes cannot be seen from here (load 97 %)",
        "no memory, but work"
    );
}

#[test]
fn a_rank_is_no_foreign_use_and_a_guest_beside_it_is() {
    let mut device = Device::free();
    let busy = Reading { memory_used: Some(9 * GIB), utilization_percent: Some(99), ..idle() };
    let running = Seen { rank_runs: true, ..seen(&busy, &[]) };
    assert_eq!(device.looks(10, &running), [false; 10]);
    let ours = [Process { is_ours: true, ..process(1, 9 * GIB) }];
    assert_eq!(device.looks(10, &seen(&busy, &ours)), [false; 10], "of another worker on this device");
    let display = [Process { is_ours: true, ..process(1, 9 * GIB) }, process(2, 200 << 20)];
    assert_eq!(device.looks(10, &Seen { processes: &display, ..running }), [false; 10]);
    let guest = [process(2, GIB)];
    assert_eq!(device.looks(3, &Seen { processes: &guest, ..running }), [false, false, true]);
}

#[test]
fn the_reason_changes_with_who_it_is_and_not_with_each_figure() {
    let (mut device, reading) = (Device::new(), idle());
    let withheld =
        |device: &mut Device, processes: &[Process]| device.look(&seen(&reading, processes)).withheld.unwrap();
    let first = withheld(&mut device, &[process(1, 2 * GIB)]);
    assert_eq!(withheld(&mut device, &[process(1, 3 * GIB)]), first);
    let two = withheld(&mut device, &[process(1, 2 * GIB), process(2, 4 * GIB), process(3, GIB)]);
    assert_eq!(two, "in use by ann: python (pid 2, 4.0 GiB) and 2 more processes");
}

#[test]
fn a_card_that_the_hardware_slows_for_long_is_ailing() {
    let mut device = Device::free();
    let hot = Reading { throttle: Some(0x48), temperature_celsius: Some(96), ..idle() };
    let warm = Reading { throttle: Some(0x24), ..idle() };
    let ailing = |device: &mut Device, times: u32, reading: &Reading| -> Option<Ailment> {
        (0..times).map(|_| device.look(&seen(reading, &[])).ailment).last().flatten()
    };
    assert_eq!(ailing(&mut device, 12, &hot), None);
    assert_eq!(ailing(&mut device, 1, &idle()), None);
    assert_eq!(ailing(&mut device, 12, &hot), None, "it was well in between");
    let began = device.now - EVERY * 11;
    let ailment = ailing(&mut device, 1, &hot).unwrap();
    assert_eq!(ailment.reason, "the card has been throttled for 60 s: slowed by hardware, too hot");
    assert_eq!((ailment.since, ailment.lasts), (began, false));
    assert_eq!(ailing(&mut device, 100, &warm), None, "a power limit, or a warm card, is no fault");
}

#[test]
fn that_a_card_is_throttled_is_told_by_the_clock_and_not_by_looks() {
    let hot = Reading { throttle: Some(0x48), ..idle() };
    for every in [Duration::from_millis(200), Duration::from_secs(7), Duration::from_secs(90)] {
        let (mut watch, bounds) = (Watch::default(), Bounds::of(every));
        let began = Duration::from_secs(5);
        let ails_at = (0..1000)
            .map(|look| began + every * look)
            .find(|now| watch.look(*now, &seen(&hot, &[]), &bounds).ailment.is_some());
        let took = ails_at.unwrap() - began;
        assert!(took >= Duration::from_secs(60) && took < Duration::from_secs(60) + every, "{every:?}: {took:?}");
    }
}

#[test]
fn what_the_hardware_says_comes_before_a_guess_whose_load_it_is() {
    let hot = Reading { utilization_percent: Some(98), throttle: Some(0x48), temperature_celsius: Some(96), ..idle() };
    let mut device = Device::new();
    let withheld = device.look(&seen(&hot, &[])).withheld.unwrap();
    assert_eq!(
        withheld,
        "slowed by its own hardware at 96 °C (slowed by hardware, too hot); perhaps in use by somebody whose processes cannot \
         be seen from here (load 98 %)"
    );
    // It changes when that does, and with no figure.
    let hotter = Reading { temperature_celsius: Some(97), ..hot };
    assert_eq!(device.look(&seen(&hotter, &[])).withheld.unwrap(), withheld);
    let cool = Reading { throttle: Some(0), ..hot };
    assert!(device.look(&seen(&cool, &[])).withheld.unwrap().starts_with("in use by somebody"));
    assert!(device.look(&seen(&hot, &[process(1, 2 * GIB)])).withheld.unwrap().starts_with("in use by ann"));
}

#[test]
fn a_card_that_failed_is_told_with_its_moment_and_a_programs_fault_is_not() {
    let (mut device, reading) = (Device::free(), idle());
    assert_eq!(device.look(&Seen { xids: &[13, 31], ..seen(&reading, &[]) }).ailment, None);
    let ailment = device.look(&Seen { xids: &[13, 79, 13], ..seen(&reading, &[]) }).ailment.unwrap();
    assert_eq!(ailment.reason, "the card failed: it has fallen off the bus (Xid 79)");
    let at = device.now;
    // It is the same one for as long as nothing new comes: whoever released the worker has seen it.
    assert_eq!(device.look(&seen(&reading, &[])).ailment, Some(Ailment { since: at, ..ailment }));
    let again = device.look(&Seen { xids: &[48], ..seen(&reading, &[]) }).ailment.unwrap();
    assert!(again.since > at && again.reason.contains("Xid 48"), "{again:?}");
}

#[test]
fn errors_of_memory_count_from_the_first_look() {
    let (mut device, reading) = (Device::new(), idle());
    let with = |count| Seen { memory_errors: count, ..seen(&reading, &[]) };
    assert_eq!(device.look(&with(Some(7))).ailment, None, "from before");
    assert_eq!(device.look(&with(None)).ailment, None);
    assert!(device.look(&with(Some(9))).ailment.unwrap().reason.contains("2 more errors"));
}

#[test]
fn a_lost_card_is_given_to_nobody_until_it_is_back() {
    let (mut device, reading) = (Device::free(), Reading::default());
    let lost = Seen { is_lost: true, ..seen(&reading, &[]) };
    let first = device.look(&lost);
    let ailment = first.ailment.unwrap();
    assert!(ailment.lasts && ailment.reason.contains("fallen off the bus"), "{ailment:?}");
    assert_eq!(first.withheld.unwrap(), ailment.reason);
    assert_eq!(device.look(&lost).ailment, Some(ailment));
    assert_eq!(device.look(&seen(&idle(), &[])), Verdict::default());
}

#[test]
fn a_policy_moves_the_bounds_and_no_look_is_enough_by_itself() {
    let own = Bounds::of(EVERY);
    let moved = own.with(GIB, 5, Duration::from_secs(60));
    assert_eq!((moved.memory, moved.utilization, moved.taken_after), (GIB, 5, Duration::from_secs(60)));
    assert!(moved.free_after >= moved.taken_after);
    assert_eq!(own.with(GIB, 5, Duration::ZERO).taken_after, own.taken_after);
}
