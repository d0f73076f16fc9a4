use std::time::Duration;

use super::*;
use crate::access::role::PersonRole;

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn an_empty_file_is_the_policy_of_a_house_that_has_set_none() {
    let policy = HousePolicy::parse("").unwrap();
    assert_eq!(policy, HousePolicy::default());
    assert_eq!(policy.fair_share.half_life(), 7 * 24 * HOUR);
    assert!(policy.limits_of("ann").may_queue("ann", 1_000_000, 1).is_ok());
    assert!(policy.may_give(PersonRole::Submitter, 100).is_ok());
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
        ("[limits", "line"),
    ];
    for (text, expected) in cases {
        let said = HousePolicy::parse(text).unwrap_err();
        assert!(said.contains(expected), "{text:?}: {said}");
    }
    assert!(HousePolicy::parse(&"#".repeat(BYTES_MAX + 1)).unwrap_err().contains("bytes"));
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
    assert_eq!(limits.time_of(None), Ok(Some(HOUR)));
    assert_eq!(limits.time_of(Some(HOUR / 2)), Ok(Some(HOUR / 2)));
    assert!(limits.time_of(Some(2 * HOUR)).unwrap_err().contains("2h is more than the 1h"));
    assert!(limits.time_of(Some(Duration::from_secs(1))).unwrap_err().contains("1m or more"));
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
