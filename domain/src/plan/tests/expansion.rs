//! What a right file becomes.

use super::{ENCODER, planned};
use crate::images::KnownImages;
use crate::plan::{Plan, PlannedJob};
use crate::spec::{Draw, ImageCounts, Stage, Workers};

fn names(plan: &Plan) -> Vec<&str> {
    plan.jobs.iter().map(|job| job.spec.name.as_str()).collect()
}

fn job<'p>(plan: &'p Plan, name: &str) -> &'p PlannedJob {
    plan.jobs.iter().find(|job| job.spec.name == name).unwrap_or_else(|| panic!("{name} in {:?}", names(plan)))
}

#[test]
fn the_page_of_the_design() {
    let plan = planned(
        r#"
        seed = 3
        workers = 4
        shards = 4
        [jobs.encoder]
        stage = "contrastive"
        encoder = "resnet50"
        epochs = 100
        batch_size = 512             # images; 2 views each
        temperature = 0.5
        optimizer = { name = "lars", lr = 1.0, weight_decay = 1e-6, warmup_epochs = 10, schedule = "cosine" }
        tikhonov = { lambda = 0.0, method = "exact" }
        [jobs.linear]
        stage = "linear"
        from = "encoder"
        epochs = 100
        [jobs.linear.sweep]
        label_fraction = [1.0, 0.1, 0.01]
        [jobs.supervised]
        stage = "supervised"
        encoder = "resnet50"
        epochs = 200
        [jobs.supervised.sweep]
        label_fraction = [1.0, 0.1, 0.01]
        [jobs.attack]
        stage = "attack"
        from = ["linear", "supervised"]
        where = { label_fraction = 1.0 }
        attack = "plb"
        norm = "l2"
        "#,
    );
    assert_eq!(
        names(&plan),
        [
            "encoder",
            "linear[label_fraction=1.0]",
            "linear[label_fraction=0.1]",
            "linear[label_fraction=0.01]",
            "supervised[label_fraction=1.0]",
            "supervised[label_fraction=0.1]",
            "supervised[label_fraction=0.01]",
            "attack[from=linear,label_fraction=1.0]",
            "attack[from=supervised,label_fraction=1.0]",
        ]
    );
    let encoder = job(&plan, "encoder");
    assert_eq!((encoder.spec.seed, encoder.spec.shards), (3, 4));
    assert_eq!(encoder.refusal, None);
    assert_eq!(job(&plan, "attack[from=linear,label_fraction=1.0]").spec.inputs, ["linear[label_fraction=1.0]"]);
    let linear = job(&plan, "linear[label_fraction=0.1]");
    assert_eq!((linear.spec.workers, linear.spec.shards), (Workers { min: 1, max: 1 }, 1));
    let Stage::Linear(stage) = &linear.spec.stage else { panic!("{:?}", linear.spec.stage) };
    assert_eq!(stage.label_fraction, 0.1);
    assert!(plan.jobs.iter().all(|job| job.refusal.is_none()), "every stage can run");
}

/// A stored spec always has the key, and one without it means 100.
#[test]
fn l_bfgs_may_make_500_iterations_where_a_file_says_nothing() {
    let epochs = |own: &str| {
        let plan = planned(&format!("{ENCODER}[jobs.a]\nstage = \"linear\"\nfrom = \"encoder\"\n{own}"));
        let Stage::Linear(stage) = &job(&plan, "a").spec.stage else { panic!("no linear stage") };
        stage.epochs
    };
    assert_eq!((epochs(""), epochs("epochs = 100"), epochs("solver = \"sgd\"")), (500, 100, 100));
    let stored: Stage = serde_json::from_str(r#"{"stage": "linear"}"#).unwrap();
    let Stage::Linear(stored) = stored else { panic!("no linear stage") };
    assert_eq!(stored.epochs, 100);
}

#[test]
fn jobs_stand_after_their_inputs_whatever_the_order_of_the_file() {
    let plan = planned(&format!("[jobs.a]\nstage = \"linear\"\nfrom = \"encoder\"\n{ENCODER}"));
    assert_eq!(names(&plan), ["encoder", "a"]);
}

#[test]
fn sweeps_multiply_and_dependants_inherit_what_tells_their_input_apart() {
    let plan = planned(&format!(
        "{ENCODER}
        optimizer = {{ name = \"sgd\" }}
        [jobs.encoder.sweep]
        seed = [1, 2]
        optimizer.lr = [0.1, 1]
        [jobs.linear]
        stage = \"linear\"
        from = \"encoder\"
        where = {{ optimizer.lr = 1.0 }}
        sweep.label_fraction = [1.0, 0.1]"
    ));
    assert_eq!(
        names(&plan),
        [
            "encoder[seed=1,optimizer.lr=0.1]",
            "encoder[seed=1,optimizer.lr=1]",
            "encoder[seed=2,optimizer.lr=0.1]",
            "encoder[seed=2,optimizer.lr=1]",
            "linear[seed=1,optimizer.lr=1,label_fraction=1.0]",
            "linear[seed=1,optimizer.lr=1,label_fraction=0.1]",
            "linear[seed=2,optimizer.lr=1,label_fraction=1.0]",
            "linear[seed=2,optimizer.lr=1,label_fraction=0.1]",
        ]
    );
    let Stage::Contrastive(stage) = &plan.jobs[1].spec.stage else { panic!("{:?}", plan.jobs[1]) };
    assert_eq!((stage.optimizer.lr, stage.optimizer.momentum), (1.0, 0.9), "the swept table keeps its other keys");
    assert_eq!(plan.jobs[6].spec.seed, 2, "a job without a seed has that of its input");
}

#[test]
fn one_key_swept_in_two_jobs_says_whose_it_is() {
    let text = ENCODER.replace("epochs = 20\n", "");
    let plan = planned(&format!(
        "{text}
        sweep.epochs = [10, 20]
        [jobs.linear]
        stage = \"linear\"
        from = \"encoder\"
        sweep.epochs = [100]"
    ));
    assert_eq!(names(&plan)[2..], ["linear[encoder.epochs=10,epochs=100]", "linear[encoder.epochs=20,epochs=100]"]);
}

#[test]
fn where_also_knows_what_is_not_swept_and_takes_lists() {
    let body = |filter: &str| {
        let supervised = "[jobs.s]\nstage = \"supervised\"\nencoder = \"resnet18\"\nepochs = 20\n";
        let attack = "[jobs.a]\nstage = \"attack\"\nfrom = \"s\"\nattack = \"pgd\"\nnorm = \"linf\"\n";
        format!("{supervised}sweep.label_fraction = [1, 0.1, 0.01]\n{attack}where = {{ {filter} }}")
    };
    let names = |filter| names(&planned(&body(filter)))[3..].join(" ");
    assert_eq!(names("encoder = \"resnet18\", label_fraction = 1"), "a[label_fraction=1]");
    assert_eq!(names("label_fraction = [0.1, 1.0]"), "a[label_fraction=1] a[label_fraction=0.1]");
}

#[test]
fn gangs() {
    let gang = |top: &str, own: &str| {
        let spec = planned(&format!("{top}\n{ENCODER}{own}")).jobs.remove(0).spec;
        (spec.workers.to_string(), spec.shards, spec.threads)
    };
    assert_eq!(gang("", ""), ("1".to_owned(), 1, 1));
    assert_eq!(gang("workers = \"1..4\"", ""), ("1..4".to_owned(), 4, 1), "shards: the largest of workers");
    assert_eq!(gang("workers = 2\nshards = 8\nthreads = 2", ""), ("2".to_owned(), 8, 2));
    assert_eq!(gang("workers = 2\nthreads = 2", "workers = 4\nthreads = 1"), ("4".to_owned(), 4, 1));
}

#[test]
fn content_keys_follow_inputs_but_not_names() {
    let plan = |encoder: &str, epochs: u32| {
        let text = ENCODER.replace("encoder]", &format!("{encoder}]")).replace("20", &epochs.to_string());
        let plan = planned(&format!("{text}[jobs.linear]\nstage = \"linear\"\nfrom = \"{encoder}\""));
        plan.jobs.into_iter().map(|job| job.content_key).collect::<Vec<_>>()
    };
    assert_eq!(plan("encoder", 20), plan("other", 20));
    let (a, b) = (plan("encoder", 20), plan("encoder", 21));
    assert!(a[0] != b[0] && a[1] != b[1], "a linear job on another encoder is another job");
}

#[test]
fn images_that_are_known_change_the_keys_of_all_jobs_on_them_and_leave_the_others() {
    let text = format!("{ENCODER}[jobs.linear]\nstage = \"linear\"\nfrom = \"encoder\"");
    let known = |sha: &str| {
        let images = KnownImages { sha256: sha.to_owned(), counts: None };
        [(planned(&text).jobs[0].spec.dataset.to_string(), images)].into()
    };
    let keys = |sha: &str| {
        let mut plan = planned(&text);
        plan.set_images(&known(sha), "1");
        plan.jobs
    };
    let plain = planned(&text).jobs;
    let (cats, dogs) = (keys("ab"), keys("cd"));
    for ((cats, dogs), plain) in cats.iter().zip(&dogs).zip(&plain) {
        assert_ne!(cats.content_key, dogs.content_key);
        assert_eq!(cats.key_without_images.as_ref(), Some(&plain.content_key));
        assert_eq!(cats.images.as_deref(), Some("ab"));
    }
    let mut unknown = planned(&text);
    unknown.set_images(&std::collections::HashMap::new(), "1");
    assert_eq!(unknown.jobs, plain);
}

#[test]
fn a_folder_that_a_worker_has_read_is_estimated_as_a_set_of_that_size() {
    let text = |dataset: &str| {
        format!(
            "name = \"x\"\ndataset = \"{dataset}\"\n{ENCODER}[jobs.linear]\nstage = \"linear\"\nfrom = \"encoder\"\n\
             [jobs.attack]\nstage = \"attack\"\nfrom = \"linear\"\nattack = \"pgd\"\nnorm = \"l2\"\n"
        )
    };
    let of_size = |train: u64| {
        let mut plan = crate::plan::plan(&text("folder:mine"), "x.toml", "1").unwrap();
        let counts = Some(ImageCounts { train, test: 10_000, classes: 10 });
        plan.set_images(&[("folder:mine".to_owned(), KnownImages { sha256: "ab".into(), counts })].into(), "1");
        plan.jobs
    };
    let cifar = crate::plan::plan(&text("cifar10"), "x.toml", "1").unwrap().jobs;
    for (folder, cifar) in of_size(50_000).iter().zip(&cifar) {
        assert_eq!((folder.estimate, &folder.refusal), (cifar.estimate, &None));
    }
    let few = of_size(63);
    let refusal = few[0].refusal.as_deref().unwrap_or_default();
    assert_eq!(
        refusal,
        "`batch_size`: a batch of 64 is larger than the training set of folder:mine, which has 63 images"
    );
    assert!(few[1].refusal.is_none() && few[2].estimate.images == 10_000);

    // A classifier on fewer images than a batch takes them all; one that has no label of some class is refused.
    let classifier = |own: &str| {
        let text = format!(
            "name = \"x\"\ndataset = \"folder:mine\"\n[jobs.s]\nstage = \"supervised\"\nencoder = \"resnet18\"\n{own}"
        );
        let mut plan = crate::plan::plan(&text, "x.toml", "1").unwrap();
        let counts = Some(ImageCounts { train: 72, test: 9, classes: 3 });
        plan.set_images(&[("folder:mine".to_owned(), KnownImages { sha256: "ab".into(), counts })].into(), "1");
        plan.jobs.pop().unwrap().refusal
    };
    assert_eq!(classifier("batch_size = 500"), None);
    let refusal = classifier("label_fraction = 0.001").unwrap_or_default();
    assert!(refusal.starts_with("`label_fraction`: a label fraction of 0.001 leaves no image of a class"), "{refusal}");
}

fn warmup(epochs: u32, optimizer: &str) -> f64 {
    let plan = planned(&format!(
        "[jobs.encoder]\nstage = \"contrastive\"\nencoder = \"resnet18\"\nbatch_size = 64\nepochs = {epochs}\n{optimizer}"
    ));
    let Stage::Contrastive(stage) = &plan.jobs[0].spec.stage else { panic!("{plan:?}") };
    stage.optimizer.warmup_epochs
}

#[test]
fn a_default_warm_up_fits_the_training_and_a_written_one_is_kept() {
    assert_eq!([1000, 100, 50, 5].map(|epochs| warmup(epochs, "")), [10.0, 10.0, 5.0, 0.5]);
    assert_eq!(warmup(5, "optimizer = { lr = 0.3 }"), 0.5);
    assert_eq!(warmup(5, "optimizer = { warmup_epochs = 5 }"), 5.0);
    let plan = planned(&format!("{ENCODER}\n[jobs.encoder.sweep]\noptimizer.warmup_epochs = [1, 20]"));
    let stored = plan.jobs.iter().map(|job| serde_json::to_value(&job.spec.stage).unwrap());
    assert_eq!(stored.map(|stage| stage["optimizer"]["warmup_epochs"].clone()).collect::<Vec<_>>(), [1.0, 20.0]);
}

const ATTACK: &str = r#"
[jobs.sup]
stage = "supervised"
encoder = "resnet18"
[jobs.attack]
stage = "attack"
from = "sup"
attack = "plb"
norm = "l2"
"#;

/// The draw and its seed, and the content key, of an attack with these keys.
fn drawn(head: &str, keys: &str) -> (Option<Draw>, Option<u64>, String) {
    let plan = planned(&format!("{head}\n{ATTACK}\n{keys}"));
    let job = plan.jobs.last().expect("an attack");
    let Stage::Attack(stage) = &job.spec.stage else { panic!("{job:?}") };
    (stage.draw, stage.draw_seed, job.content_key.clone())
}

#[test]
fn all_attacks_of_an_experiment_draw_by_its_seed() {
    let (draw, seed, _) = drawn("seed = 7", "images = 64");
    assert_eq!((draw, seed), (Some(Draw::Balanced), Some(7)));
    let (_, seed, _) = drawn("seed = 7", "images = 64\nseed = 3");
    assert_eq!(seed, Some(7), "whatever the attack's own seed");
    let (_, seed, _) = drawn("seed = 7", "images = 64\ndraw_seed = 3");
    assert_eq!(seed, Some(3));
}

/// `tests/tests/kept.rs` shows it with a database of an earlier version.
#[test]
fn an_attack_on_all_images_or_on_the_first_ones_is_stored_as_before_and_any_other_is_another_job() {
    for keys in ["", "images = 0", "images = 64\ndraw = \"first\""] {
        let (draw, seed, _) = drawn("", keys);
        assert_eq!((draw, seed), (None, None), "{keys}");
    }
    let plan = planned(&format!("{ATTACK}images = 64\ndraw = \"first\""));
    let stored = serde_json::to_value(&plan.jobs[1].spec.stage).expect("JSON");
    assert!(stored.get("draw").is_none() && stored.get("draw_seed").is_none(), "{stored}");
    let key = |keys: &str| drawn("", keys).2;
    assert_ne!(key("images = 64"), key("images = 64\ndraw = \"first\""));
    assert_ne!(key("images = 64"), key("images = 64\ndraw_seed = 2"));
}
