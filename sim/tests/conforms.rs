//! The modelled database answers as the server's does, to the script that both are held to; and the script notices the
//! rules that are left out of the model.

use tandem_sim::{
    Broken,
    conformance::{Model, play, scenarios},
};

#[test]
fn the_model_answers_as_the_script_says() {
    let wrong: Vec<String> =
        scenarios().iter().filter_map(|scenario| play(scenario, &mut Model::new(scenario, None)).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The rules of the database. Others are those of coordinators, workers and ranks.
const NOTICED: [Broken; 13] = [
    Broken::NoFence,
    Broken::ShortLease,
    Broken::NoUniqueLease,
    Broken::NoTermCheck,
    Broken::NoSequence,
    Broken::LostRequeue,
    Broken::NoRenewalAtOpen,
    Broken::AckOver,
    Broken::UnknownIsTheJobs,
    Broken::MissingInputCounts,
    Broken::QuarantineBlindly,
    Broken::ReleaseForgetsNothing,
    Broken::OneWindow,
];

#[test]
fn every_rule_of_the_database_that_is_left_out_is_noticed() {
    for broken in NOTICED {
        let noticed =
            scenarios().iter().any(|scenario| play(scenario, &mut Model::new(scenario, Some(broken))).is_err());
        assert!(noticed, "no scenario notices {broken:?}");
    }
}
