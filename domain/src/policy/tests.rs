use std::time::Duration;

use super::*;
use crate::access::role::PersonRole;

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn what_is_stored_and_says_nothing_is_the_policy_of_a_house_that_has_set_none() {
    let policy = HousePolicy::parse("").unwrap();
    assert_eq!(policy, HousePolicy::default());
    assert_eq!(policy.fair_share.half_life(), 7 * 24 * HOUR);
    assert!(policy.limits_of("ann").may_queue("ann", 1_000_000, 1).is_ok());
    assert!(policy.may_give(PersonRole::Submitter, 10).is_ok() && policy.may_give(PersonRole::Admin, 100).is_ok());
    assert!(policy.may_give(PersonRole::Submitter, 11).unwrap_err().contains("a submitter give -10 to 10"));
}

#[test]
fn what_is_written_is_read_again() {
    let text = r#"
        [fair_share]
        half_life = "2d12h"
        weights = { ann = 2.0, "login:bob" = 0.5 }
        [priorities]
        submitter = [-10, 10]
        [limits]
        running_devices = 2
        max_time = "12h"
        hold = "4h"
        [people.ann]
        running_devices = 3
        [foreign_use]
        memory_mb = 100
        after = "1m"
        [retention]
        checkpoints_after = "14d"
        keep_best = 3
    "#;
    let policy = HousePolicy::parse(text).unwrap();
    assert_eq!(HousePolicy::parse(&policy.to_toml()).unwrap(), policy);
    assert_eq!(policy.limits_of("ann").running_devices, Some(3));
    assert_eq!(policy.limits_of("ann").max_time, Some(12 * HOUR), "what is left out is as for everybody");
    assert_eq!(policy.limits_of("eve").running_devices, Some(2));
    assert_eq!((policy.fair_share.weight("ann"), policy.fair_share.weight("eve")), (2.0, 1.0));
    assert!(policy.may_give(PersonRole::Submitter, 11).unwrap_err().contains("a submitter give -10 to 10"));
    assert!(policy.may_give(PersonRole::Admin, 11).is_ok());
}

#[test]
fn a_wrong_file_is_told_where_and_why() {
    let cases = [
        ("fair_shares = 1", "fair_shares"),
        ("[fair_share]\nhalf_life = \"7\"", "as in 90m or 1d12h"),
        ("[fair_share]\nhalf_life = \"5m\"", "1h or more"),
        ("[fair_share]\nweights = { ann = 0 }", "fair_share.weights.ann"),
        ("[fair_share]\nweights = { \"Ann Smith\" = 1.0 }", "nobody's name"),
        ("[priorities]\nsubmitter = [5, -5]", "priorities.submitter"),
        ("[priorities]\nsubmitter = [-1000, 5]", "from -100 to 100"),
        ("[priorities]\nadmin = [-5, 5]", "a submitter may not"),
        ("[limits]\nrunning_devices = 0", "tandem user disable"),
        ("[limits]\nrunning_devices = -1", "running_devices"),
        ("[limits]\ndevice_hours_a_week = nan", "device_hours_a_week"),
        ("[people.ann]\nmax_time = \"1s\"", "people.ann.max_time"),
        ("[people.ann]\nholds = 1", "holds"),
        ("[foreign_use]\nutilization = 101", "per cent"),
        ("[limits]\nstored_gb = -1.0", "limits.stored_gb"),
        ("[retention]\ncheckpoints_after = \"5m\"", "`retention.checkpoints_after`: expected 1h or more"),
        ("[retention]\npoints = 3", "`retention.points` = 3: expected 10 to 1000000"),
        ("[retention]\narchive_after = \"90d\"\ndelete_after = \"30d\"", "sooner than `archive_after`"),
        ("[retention]\nkeep = 3", "unknown key `keep`"),
        ("[limits", "policy:1:8: not valid TOML"),
    ];
    for (text, expected) in cases {
        let said = HousePolicy::parse(text).unwrap_err();
        assert!(said.contains(expected), "{text:?}: {said}");
    }
    assert!(HousePolicy::parse(&"#".repeat(BYTES_MAX + 1)).unwrap_err().contains("bytes"));
}

#[test]
fn all_mistakes_are_told_at_once_each_with_its_place() {
    let text = "[limits]\nqueued_jobs = -1\nqueued = 3\nmax_time = \"1s\"\n[fair_share]\nweights = { ann = 0, bob = \"x\" }\n\
                [priorities]\nsubmitter = [5, 10]\nadmin = \"all\"\n[people.ann]\nhold = 5\n[limit]\nhold = \"1h\"\n";
    let said = HousePolicy::check(text, "ours.toml").unwrap_err().to_string();
    let places: Vec<&str> = said.lines().skip(1).map(|line| line.split(": ").next().unwrap()).collect();
    let expected = ["2:15", "3:1", "4:12", "6:19", "6:28", "8:13", "9:9", "11:8", "12:2"];
    assert_eq!(places, expected.map(|place| format!("ours.toml:{place}")), "{said}");
    assert!(said.starts_with("9 mistakes in ours.toml\n"), "{said}");
    for words in
        ["unknown key `queued`", "leaves out 0", "unknown key `limit` at the top of the file; did you mean `limits`?"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!said.contains("experiment"), "{said}");
    let twice = HousePolicy::check("[limits]\n[limits]\n", "ours.toml").unwrap_err().to_string();
    assert!(twice.starts_with("ours.toml:2:") && twice.contains("stands twice"), "{twice}");
}

#[test]
fn a_file_that_says_nothing_ends_no_limit_by_mistake() {
    for empty in ["", "# [limits]\n# queued_jobs = 5", "[limits]\n[people.ann]"] {
        let said = HousePolicy::check(empty, "p").unwrap_err().to_string();
        assert!(said.starts_with("p:1:1: ") && said.contains("tandem policy show 0"), "{empty:?}: {said}");
    }
    let default = HousePolicy::default().effective().to_toml();
    assert!(HousePolicy::check(&default, "p").is_ok(), "the way back is open");
}

#[test]
fn what_is_in_force_is_not_read_more_strictly_than_when_it_was_set() {
    let text = "[priorities]\nsubmitter = [5, 10]";
    assert!(HousePolicy::check(text, "p").unwrap_err().to_string().contains("leaves out 0"));
    assert_eq!(HousePolicy::parse(text).unwrap().priorities.submitter, (5, 10));
}

#[test]
fn what_a_policy_changes_is_said_by_key() {
    let read = |text| HousePolicy::parse(text).unwrap();
    let old = read("[limits]\nqueued_jobs = 5\nhold = \"12h\"\n[people.ann]\nmax_time = \"2h\"");
    let new = read("[limits]\nqueued_jobs = 3\nrunning_devices = 2\n[priorities]\nsubmitter = [-5, 5]");
    let expected = [
        "limits.queued_jobs: 3, was 5",
        "limits.running_devices: 2, was not set",
        "people.ann.max_time: not set any more, was \"2h\"",
        "priorities.submitter: [-5, 5], was [-10, 10]",
    ];
    assert_eq!(changes(&old, &new), expected);
    assert_eq!(changes(&new, &new), [""; 0]);
}

#[test]
fn a_limit_refuses_with_what_it_is_and_what_to_do() {
    let limits = Limits {
        queued_jobs: Some(10),
        max_time: Some(HOUR),
        hold: Some(2 * HOUR),
        held_devices: Some(1),
        ..Limits::default()
    };
    assert!(limits.may_queue("ann", 4, 6).is_ok());
    assert!(
        limits.may_queue("ann", 5, 6).unwrap_err().contains("ann has 5 waiting jobs, and this brings 6 more, of 10")
    );
    assert!(limits.may_take(None).is_ok() && limits.may_take(Some(HOUR)).is_ok());
    assert!(limits.may_take(Some(2 * HOUR)).unwrap_err().contains("2h is more than the 1h"));
    assert!(limits.may_take(Some(Duration::from_secs(1))).unwrap_err().contains("1m or more"));
    assert!(limits.may_hold("ann", HOUR, 0).is_ok());
    assert!(limits.may_hold("ann", 3 * HOUR, 0).unwrap_err().contains("3h is longer than the 2h"));
    assert!(limits.may_hold("ann", HOUR, 1).unwrap_err().contains("tandem unhold"));
}

#[test]
fn spans_of_time() {
    for (text, seconds) in [("90m", 5400), ("1d12h", 129_600), ("2w", 1_209_600), ("45s", 45), ("0s", 0)] {
        assert_eq!(span::parse(text), Ok(Duration::from_secs(seconds)), "{text}");
    }
    for wrong in ["", "h", "5", "5x", "-1h", "1.5h", "1h5", "99999999999999999999d", "4000d"] {
        assert!(span::parse(wrong).is_err(), "{wrong}");
    }
    assert_eq!(span::show(Duration::from_secs(129_600)), "1d12h");
    assert_eq!(span::show(Duration::from_secs(90_061)), "1d1h");
    assert_eq!(span::show(Duration::ZERO), "0s");
}

#[test]
fn a_job_may_train_as_long_as_it_was_asked_to_and_as_the_policy_allows_now() {
    let limits = Limits { max_time: Some(2 * HOUR), ..Limits::default() };
    assert_eq!(limits.longest(None), Some(2 * HOUR));
    assert_eq!(limits.longest(Some(HOUR)), Some(HOUR));
    assert_eq!(limits.longest(Some(3 * HOUR)), Some(2 * HOUR), "the policy came later");
    assert_eq!(Limits::default().longest(Some(3 * HOUR)), Some(3 * HOUR));
    assert_eq!(limits.has_no_time("ann", Some(HOUR), HOUR / 2), None);
    let own = limits.has_no_time("ann", Some(HOUR), HOUR).unwrap();
    assert!(own.contains("of 1h that it may; more: --max-time"), "{own}");
    let houses = limits.has_no_time("ann", Some(3 * HOUR), 2 * HOUR).unwrap();
    assert!(houses.contains("2h is all that the policy allows ann") && houses.contains("[people.ann]"), "{houses}");
}

#[test]
fn nothing_goes_by_age_unless_a_policy_says_so() {
    assert!(!HousePolicy::parse("").unwrap().retention.removes());
    assert!(!HousePolicy::parse("[retention]\nkeep_best = 5").unwrap().retention.removes());
    let policy = HousePolicy::parse("[retention]\npoints_after = \"90d\"\nkeep_younger = \"100d\"").unwrap();
    assert!(policy.retention.removes());
    assert_eq!(policy.retention.at_least(90 * 24 * HOUR), 100 * 24 * HOUR);
}

#[test]
fn who_stores_more_than_the_policy_allows_is_told_what_to_delete() {
    let limits = Limits { stored_gb: Some(1.5), ..Limits::default() };
    assert!(limits.may_store("ann", 1_500_000_000).is_ok());
    let said = limits.may_store("ann", 2_000_000_000).unwrap_err();
    assert!(said.contains("ann's jobs take 2.0 GB, of 1.5 GB"), "{said}");
    assert!(said.contains("tandem delete EXPERIMENT") && said.contains("tandem usage --stored"), "{said}");
    assert!(Limits::default().may_store("ann", u64::MAX).is_ok());
    let zero = Limits { stored_gb: Some(0.0), ..Limits::default() };
    assert!(zero.may_store("ann", 0).is_ok() && zero.may_store("ann", 1).is_err());
}
