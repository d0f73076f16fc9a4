use chrono::{DateTime, TimeDelta, Utc};

use super::*;

fn now() -> DateTime<Utc> {
    "2026-07-01T12:00:00Z".parse().unwrap()
}

fn ask(text: &str) -> Result<Condition, Fault> {
    let results = ["test_accuracy", "loss", "seconds", "robust_accuracy_at_0.1"].map(str::to_owned);
    let curves = ["knn_accuracy", "loss", "train_loss"].map(str::to_owned);
    condition(text, Known { results: &results, curves: &curves }, now())
}

fn fault(text: &str) -> Fault {
    ask(text).expect_err(text)
}

fn column(column: Column) -> Name {
    Name::Column(column)
}

fn compare(name: Name, op: Op, value: Value) -> Condition {
    Condition::Compare { name, op, value }
}

#[test]
fn a_question_of_the_lab_is_read() {
    let asked = ask("stage = 'linear' AND label_fraction = 0.01 and 0.6 < accuracy and age < '30d'").unwrap();
    let since = now() - TimeDelta::days(30);
    assert_eq!(
        asked,
        Condition::All(vec![
            compare(column(Column::Stage), Op::Equal, Value::Text("linear".to_owned())),
            compare(column(Column::LabelFraction), Op::Equal, Value::Number(0.01)),
            compare(column(Column::Accuracy), Op::Greater, Value::Number(0.6)),
            compare(column(Column::Created), Op::Greater, Value::Time(since)),
        ])
    );
}

#[test]
fn names_are_columns_results_parameters_and_values_of_curves() {
    let named = |text: &str| match ask(&format!("{text} > 0.5")) {
        Ok(Condition::Compare { name, .. }) => name,
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(named("accuracy"), column(Column::Accuracy));
    assert_eq!(named("test_accuracy"), Name::Result("test_accuracy".to_owned()));
    assert_eq!(named("\"robust_accuracy_at_0.1\""), Name::Result("robust_accuracy_at_0.1".to_owned()));
    assert_eq!(named("result('robust_accuracy_at_0.1')"), Name::Result("robust_accuracy_at_0.1".to_owned()));
    assert_eq!(named("optimizer.momentum"), Name::Param("optimizer.momentum".to_owned()));
    assert_eq!(named("param('contrastive.optimizer.lr')"), Name::Param("contrastive.optimizer.lr".to_owned()));
    assert_eq!(named("contrastive.augment.hue"), Name::Param("contrastive.augment.hue".to_owned()));
    assert_eq!(named("best(knn_accuracy)"), Name::Curve(Curve::Best, "knn_accuracy".to_owned()));
    assert_eq!(named("last('train_loss')"), Name::Curve(Curve::Last, "train_loss".to_owned()));
    assert_eq!(named("lambda"), column(Column::Lambda));
    let results = ["robust_accuracy_at_0.1".to_owned()];
    let known = Known { results: &results, curves: &[] };
    assert_eq!(name("robust_accuracy_at_0.1", known), Ok(Name::Result(results[0].clone())), "an order needs no quotes");
    for column in Column::ALL {
        assert_eq!(name(column.name(), known), Ok(Name::Column(*column)), "every column can be written");
    }
    for param in params() {
        assert_eq!(Known::param(param), Ok(Name::Param(param.clone())));
    }
}

#[test]
fn all_that_facts_keep_of_a_written_file_can_be_asked_by() {
    for stage in crate::plan::STAGES {
        assert!(params().iter().any(|name| name.starts_with(&format!("{stage}."))), "{stage}");
    }
    for stage in crate::plan::STAGES {
        let toml = crate::plan::template(stage).unwrap();
        for job in crate::plan::plan(&toml, "t.toml", "1").unwrap().jobs {
            for name in crate::facts::facts(&job.spec, &[]).params.keys() {
                assert!(params().contains(name), "{name}");
            }
        }
    }
}

#[test]
fn not_is_turned_inwards() {
    let asked = ask("not (accuracy > 0.5 or owner in ('ada', 'bob')) and not encoder is null").unwrap();
    assert_eq!(
        asked,
        Condition::All(vec![
            Condition::All(vec![
                compare(column(Column::Accuracy), Op::AtMost, Value::Number(0.5)),
                Condition::OneOf {
                    name: column(Column::Owner),
                    values: vec![Value::Text("ada".to_owned()), Value::Text("bob".to_owned())],
                    negated: true
                },
            ]),
            Condition::Missing { name: column(Column::Encoder), negated: true },
        ])
    );
}

#[test]
fn ages_dates_spans_and_signs() {
    let day = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    assert_eq!(
        ask("finished > '2026-06-01'").unwrap(),
        compare(column(Column::Finished), Op::Greater, Value::Time(day("2026-06-01T00:00:00Z")))
    );
    assert_eq!(
        ask("created >= '7d'").unwrap(),
        compare(column(Column::Created), Op::AtLeast, Value::Time(now() - TimeDelta::days(7)))
    );
    assert_eq!(
        ask("device_seconds > '2h'").unwrap(),
        compare(column(Column::DeviceSeconds), Op::Greater, Value::Number(7200.0))
    );
    assert_eq!(
        ask("loss > -1.5e-3").unwrap(),
        compare(Name::Result("loss".to_owned()), Op::Greater, Value::Number(-0.0015))
    );
    assert_eq!(
        ask("age between '1d' and '7d'").unwrap(),
        Condition::Between {
            name: column(Column::Created),
            low: Value::Time(now() - TimeDelta::days(7)),
            high: Value::Time(now() - TimeDelta::days(1)),
            negated: false
        }
    );
}

#[test]
fn a_mistake_points_at_its_place_and_offers_the_right_name() {
    let shown = |text: &str| fault(text).to_string();
    assert_eq!(
        shown("stage = 'linear' and acuracy > 0.6"),
        "there is no `acuracy` to ask by; did you mean `accuracy`?\n  stage = 'linear' and acuracy > 0.6\n                       ^"
    );
    for (text, at, said) in [
        ("stage = 'liner'", 8, "did you mean `linear`? Expected one of `contrastive`"),
        ("state = 'done'", 8, "expected one of `blocked`"),
        ("accuracy > ", 10, "found the end"),
        ("accuracy > 'high'", 11, "`accuracy` is a number: 'high' is none"),
        ("owner = 3", 8, "`owner` is text: write '..' instead of 3"),
        ("age < 'soon'", 6, "`soon` is no span of time"),
        ("finished > 'yesterday'", 11, "`yesterday` is no time"),
        ("momentum > 0.5", 0, "did you mean `optimizer.momentum`?"),
        ("best(kn_accuracy) > 0.5", 5, "no job has a curve `kn_accuracy`; did you mean `knn_accuracy`?"),
        ("median(loss) > 0.5", 0, "there is no median()"),
        ("train_loss < 1", 0, "write best(train_loss) or last(train_loss)"),
        ("lr > weight_decay", 5, "a name is compared with a value"),
        ("accuracy", 0, "`accuracy` alone is no condition"),
        ("accuracy = null", 11, "write accuracy IS NULL"),
        ("accuracy > 0.5; drop table jobs", 14, "without `;`"),
        ("accuracy > 0.5 -- and owner = 'ada'", 15, "no comments"),
        ("accuracy > 0.5 owner", 15, "`owner` is not understood here"),
        ("accuracy + 1 > 2", 0, "write a name first"),
        ("owner = 'ada", 8, "texts stand between"),
        ("exists (select 1)", 8, "this is not understood"),
        ("accuracy like '0.9%'", 0, "LIKE compares text"),
        ("optimizer.nesterov > true", 21, "compared by = and <>"),
        ("seed in (1, 'two')", 12, "is a number"),
    ] {
        let found = fault(text);
        assert!(found.message.contains(said), "{text}: {found}");
        assert!(found.at.is_some(), "{text}: {found}");
        assert_eq!(found.at, Some(at), "{text}: {found}");
    }
    assert!(shown("   ").contains("nothing is asked"), "{}", shown("   "));
    assert!(
        shown("xyzzy_quux = 1").contains("`label_fraction`"),
        "the list of what there is: {}",
        shown("xyzzy_quux = 1")
    );
}

#[test]
fn the_place_is_one_of_characters_in_a_text_of_several_lines() {
    let found = fault("owner = 'zoë' and\n\tacuracy > 0.6");
    assert_eq!(found.at, Some(19), "{found}");
    let long = format!("owner = '{}' and acuracy > 1", "x".repeat(300));
    let shown = fault(&long).to_string();
    let lines: Vec<&str> = shown.lines().collect();
    let arrow = lines[2].chars().position(|letter| letter == '^').unwrap();
    assert_eq!(lines[1].chars().skip(arrow).take(7).collect::<String>(), "acuracy", "{shown}");
}

#[test]
fn depth_and_size_are_bounded() {
    assert!(fault(&format!("{}seed = 1{}", "(".repeat(500), ")".repeat(500))).message.contains("too many brackets"));
    assert!(fault(&"not ".repeat(900)).message.len() < 300);
    assert!(fault(&format!("owner = '{}'", "x".repeat(5000))).message.contains("at most 4000"));
    let many = vec!["seed=1"; 101].join(" or ");
    assert!(fault(&many).message.contains("more than 100"), "{}", fault(&many));
    assert!(ask(&vec!["seed=1"; 100].join(" or ")).is_ok());
    let listed = vec!["1"; 201].join(",");
    assert!(fault(&format!("seed in ({listed})")).message.contains("at most 200"));
}

#[test]
fn the_deepest_condition_needs_half_of_a_threads_stack() {
    let nested = |depth| format!("{}seed = 1{}", "(".repeat(depth), ")".repeat(depth));
    let read = move || {
        assert!(ask(&nested(5)).is_ok() && ask(&format!("{}(seed = 1)", "not ".repeat(5))).is_ok());
        for depth in 6..60 {
            // Refused or not: it has to come back.
            let _ = ask(&nested(depth));
            let _ = ask(&format!("{}(seed = 1)", "not ".repeat(depth)));
            let _ = ask(&format!("lr > {}1", "- ".repeat(depth)));
        }
        let _ = ask(&"seed or ".repeat(499));
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(read).unwrap().join().unwrap();
}

#[test]
fn the_conditions_that_the_readme_shows_are_understood() {
    let readme = include_str!("../../../README.md");
    let shown: Vec<&str> = readme.split("--where \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(shown.len() >= 8, "{shown:?}");
    for condition in shown {
        ask(condition).unwrap_or_else(|fault| panic!("{fault}"));
    }
}
