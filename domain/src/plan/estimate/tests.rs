//! Counts by hand, ratios that the paper's methods have, and memory that was measured.

use super::super::tests::{ENCODER, planned};
use super::Estimate;

fn of(body: &str) -> Estimate {
    planned(body).jobs.pop().unwrap().estimate
}

fn encoder(own: &str) -> Estimate {
    of(&format!("{ENCODER}{own}"))
}

fn supervised(own: &str) -> Estimate {
    of(&format!("[jobs.s]\nstage = \"supervised\"\nencoder = \"resnet18\"\n{own}"))
}

fn near(ours: f64, expected: f64, tolerance: f64) {
    assert!((ours / expected - 1.0).abs() < tolerance, "{ours} is not within {tolerance} of {expected}");
}

#[test]
fn contrastive_work_is_that_of_published_figures() {
    let plain = encoder("monitor = { every_epochs = 0 }");
    assert_eq!((plain.images_per_epoch, plain.steps, plain.images), (49_984, 20 * 781, 20 * 49_984));
    // 3.33 GFLOP a view (performance figures of ResNet-18 on 32x32), two views.
    near(plain.gflop, 3.33 * 2.0 * 49_984.0 * 20.0, 0.03);
    // The monitor looks at 4096 + 1024 images an epoch, forward only.
    near(encoder("").gflop - plain.gflop, 1.11 * 5120.0 * 20.0, 0.03);
}

#[test]
fn what_is_held_out_is_not_trained_on_but_looked_at() {
    let look = "monitor = { every_epochs = 0 }\n";
    let (all, kept) = (encoder(look), encoder(&format!("{look}validation = 0.05")));
    // 47,500 images: 742 batches of 64. The others are evaluated in two views, after each of 20 epochs.
    assert_eq!((kept.images_per_epoch, kept.steps), (742 * 64, 20 * 742));
    near(kept.gflop, all.gflop * (742.0 * 64.0) / 49_984.0 + 1.11 * 2.0 * 2500.0 * 20.0, 0.001);
}

#[test]
fn a_deeper_head_costs_its_layers() {
    let weights = |own: &str| encoder(&format!("head = {{ hidden = 100, output = 10{own} }}")).parameters;
    assert_eq!(weights(", layers = 3") - weights(""), 100 * 100 + 2 * 100);
    assert_eq!(weights(", norm = \"all\"") - weights(""), 10, "scale and shift in place of a bias");
}

#[test]
fn penalties_cost_what_their_passes_cost() {
    let ratio = |own: &str| {
        let look = "monitor = { every_epochs = 0 }\n";
        encoder(&format!("{look}{own}")).gflop / encoder(look).gflop
    };
    near(ratio("tikhonov = { lambda = 1 }"), 8.0 / 3.0, 1e-9);
    near(ratio("tikhonov = { lambda = 1, method = \"finite-difference\" }"), 2.0, 1e-9);
    near(ratio("recompute = \"shards\""), 4.0 / 3.0, 1e-9);
    near(ratio("tikhonov = { lambda = 1 }\nrecompute = \"shards\""), 9.0 / 3.0, 1e-9);
    near(ratio("layerwise = { ratio = 10 }"), 1.0, 2e-3);
    // Stages of ResNet-18 end after 27, 52, 76 and 100 % of its work.
    near(ratio("tikhonov = { lambda = 1 }\nlayerwise = { ratio = 10, beta_ratio = 10 }"), 1.0 + 5.0 / 3.0 * 2.55, 0.02);
}

#[test]
fn one_shard_at_a_time_needs_the_memory_of_one() {
    let large = ENCODER.replace("= 64", "= 1024").replace("resnet18", "resnet50");
    let memory = |own: &str| of(&format!("{large}shards = 8\n{own}")).memory_bytes as f64;
    // 2048 views of 27.5 MB, or 256 of them.
    near(memory("") - memory("recompute = \"shards\""), 1792.0 * 27.5e6, 0.03);
    // ResNet-50 with 1,024 images on four GPUs of 11 GB (issue 3).
    let own = of(&format!("workers = 4\nshards = 8\n{large}recompute = \"shards\"")).memory_bytes;
    assert!(own < 11 << 30, "{own}");
}

#[test]
fn a_budget_in_steps_stands_whatever_the_labels() {
    for fraction in ["1.0", "0.1", "0.01"] {
        let estimate = supervised(&format!("steps = 3000\nlabel_fraction = {fraction}"));
        assert_eq!((estimate.steps, estimate.images), (3000, 3000 * 128));
    }
    // 50,000 less a tenth that is held out: 351 batches of 128.
    let epochs = supervised("epochs = 3");
    assert_eq!((epochs.steps, epochs.images_per_epoch), (3 * 351, 351 * 128));
    let all = supervised("epochs = 3\nvalidation = 0.0");
    assert_eq!(all.steps, 3 * 390);
    // A batch larger than what is left is what is left: 450 images.
    let few = supervised("epochs = 3\nlabel_fraction = 0.01\nbatch_size = 512");
    assert_eq!((few.steps, few.images), (3, 3 * 450));
}

#[test]
fn supervised_work_and_its_penalties() {
    let plain = supervised("steps = 1000\nvalidation = 0.0");
    // 1.11 GFLOP forward; the test set is seen twice, by the last and by the best weights.
    near(plain.gflop, 1.11 * (3.0 * 128_000.0 + 20_000.0), 0.03);
    let exact = supervised("steps = 1000\nvalidation = 0.0\ntikhonov = { lambda = 1 }");
    near(exact.gflop - plain.gflop, 1.11 * 5.0 * 128_000.0, 0.03);
    assert!(exact.memory_bytes > plain.memory_bytes);
}

#[test]
fn a_head_that_moves_alone_is_cheaper() {
    let finetune = |own: &str| of(&format!("{ENCODER}[jobs.f]\nstage = \"finetune\"\nfrom = \"encoder\"\n{own}"));
    let (all, head) = (finetune("epochs = 4"), finetune("epochs = 4\nhead_epochs = 2.0"));
    assert_eq!(all.steps, head.steps);
    near(all.gflop - head.gflop, 1.11 * 2.0 * 2.0 * 351.0 * 128.0, 0.03);
    let one = finetune("epochs = 4\nhead_layers = 1");
    assert_eq!(all.parameters - one.parameters, 513 * 512);
}

#[test]
fn linear_stages_go_forward_only() {
    let linear = |own: &str| of(&format!("{ENCODER}[jobs.l]\nstage = \"linear\"\nfrom = \"encoder\"\n{own}"));
    let lbfgs = linear("label_fraction = 0.1\nridge = 0.001");
    assert_eq!((lbfgs.steps, lbfgs.images), (500, 5_000));
    near(lbfgs.gflop, 1.11 * (2.0 * 5_000.0 + 10_000.0), 0.1);
    assert!(linear("label_fraction = 0.1").gflop > lbfgs.gflop, "a ridge is looked for");
    let sgd = linear("solver = \"sgd\"\nepochs = 10\nlabel_fraction = 0.1");
    assert_eq!((sgd.steps, sgd.images), (90, 9 * 512 * 10));
    near(sgd.gflop, 1.11 * (9.0 * 512.0 * 10.0 + 10_000.0), 0.03);
}

#[test]
fn attacks_count_passes() {
    let attack = |own: &str| {
        let input = "[jobs.s]\nstage = \"supervised\"\nencoder = \"resnet18\"\nsteps = 1\n";
        of(&format!("{input}[jobs.a]\nstage = \"attack\"\nfrom = \"s\"\nnorm = \"l2\"\n{own}"))
    };
    let pgd = attack("attack = \"pgd\"\nsteps = 20\nimages = 1000\nradii = [0.25, 0.5]");
    assert_eq!((pgd.steps, pgd.images), (40, 1000));
    // 40 gradients of two passes, for three fifths times the mean of a half and a quarter, and a look at the clean
    // image.
    near(pgd.gflop, 0.79 * 1.11 * (1000.0 * (0.225 * 40.0 * 2.0 + 1.0) + 20_000.0), 0.03);
    let twice = attack("attack = \"pgd\"\nsteps = 20\nrestarts = 2\nimages = 1000\nradii = [0.25, 0.5]");
    assert_eq!(twice.steps, 80);
    let plb = attack("attack = \"plb\"\nimages = 1000");
    assert_eq!(plb.steps, 900);
    assert_eq!(attack("attack = \"plb\"").images, 10_000, "all of the test set");
    let patient = attack("attack = \"plb\"\nimages = 1000\nplb = { early_stop = false }");
    assert!(patient.gflop > 10.0 * plb.gflop, "without an early stop all 900 steps are made");
    let best = attack("attack = \"best-of\"\nimages = 1000");
    assert!(best.gflop > plb.gflop + pgd.gflop);
    assert!(attack("attack = \"plb\"\nbatch_size = 1000").memory_bytes > plb.memory_bytes);
}

/// `peak_memory_bytes` of ranks on a CPU, in MB.
#[test]
fn memory_is_that_of_processes_that_were_measured() {
    // Measured with an image folder of 4 MB in place of CIFAR-10's 184.
    let contrastive = |encoder: &str, batch_size: u32, own: &str| {
        let estimate = of(&format!(
            "[jobs.e]\nstage = \"contrastive\"\nencoder = \"{encoder}\"\nepochs = 1\nbatch_size = {batch_size}\n\
             head = {{ hidden = 128, output = 64 }}\noptimizer = {{ name = \"sgd\" }}\n{own}"
        ));
        estimate.memory_bytes as f64 / 1e6 - 180.0
    };
    let alone = "monitor = { every_epochs = 0 }";
    for (estimate, measured) in [
        (contrastive("resnet-tiny", 128, alone), 582.0),
        (contrastive("resnet-tiny", 128, ""), 622.0),
        (contrastive("resnet-tiny", 256, ""), 848.0),
        (contrastive("resnet18", 64, alone), 1364.0),
        (contrastive("resnet18", 64, ""), 1785.0),
        (contrastive("resnet-tiny", 256, &format!("{alone}\ntikhonov = {{ lambda = 0.1 }}")), 1394.0 - 184.0),
        (
            contrastive(
                "resnet-tiny",
                256,
                &format!("{alone}\ntikhonov = {{ lambda = 0.1, method = \"finite-difference\" }}"),
            ),
            // Side by side with the exact penalty it takes 0.79 of that.
            0.79 * (1394.0 - 184.0),
        ),
        // With all of CIFAR-10: here the peak is that of reading.
        (contrastive("resnet-tiny", 16, alone) + 180.0, 509.0),
    ] {
        near(estimate, measured, 0.15);
    }
    let attack = |method: &str| {
        let input = "[jobs.s]\nstage = \"supervised\"\nencoder = \"resnet-tiny\"\nsteps = 1\n";
        let own = format!("attack = \"{method}\"\nnorm = \"l2\"\nimages = 1000");
        of(&format!("{input}[jobs.a]\nstage = \"attack\"\nfrom = \"s\"\n{own}")).memory_bytes as f64 / 1e6
    };
    near(attack("plb"), 610.0, 0.15);
    near(attack("pgd"), 683.0, 0.15);
    let classifiers = [
        ("[jobs.s]\nstage = \"supervised\"\nencoder = \"resnet-tiny\"\nsteps = 60", 0.0, 710.0),
        // With shapes, 37 MB, on two ranks.
        ("workers = 2\n[jobs.s]\nstage = \"supervised\"\nencoder = \"resnet-tiny\"\nsteps = 60", 147.0, 576.0),
    ];
    for (body, less, measured) in classifiers {
        near(of(body).memory_bytes as f64 / 1e6 - less, measured, 0.15);
    }
    let tiny = "[jobs.encoder]\nstage = \"contrastive\"\nencoder = \"resnet-tiny\"\nepochs = 1\nbatch_size = 256\n";
    let linear =
        of(&format!("{tiny}[jobs.l]\nstage = \"linear\"\nfrom = \"encoder\"\nlabel_fraction = 0.2\nridge = 0.1"));
    near(linear.memory_bytes as f64 / 1e6 - 147.0, 470.0, 0.15);
}

#[test]
fn nothing_is_claimed_of_a_folder() {
    let text = "name = \"x\"\ndataset = \"folder:mine\"\n[jobs.s]\nstage = \"supervised\"\nencoder = \"resnet18\"\n";
    for steps in ["", "steps = 10"] {
        let plan = crate::plan::plan(&format!("{text}{steps}"), "x.toml", "2").unwrap();
        assert_eq!(plan.jobs[0].estimate, Estimate::default());
    }
}

#[test]
fn work_names_what_makes_a_step_dear() {
    let work = |body: &str| planned(body).jobs.pop().unwrap().work;
    assert_eq!(work(ENCODER), "contrastive resnet18");
    assert_eq!(work(&format!("{ENCODER}tikhonov = {{ lambda = 1 }}")), "contrastive resnet18 exact");
    let other = format!("{ENCODER}batch_norm = \"global\"\nprecision = \"bf16\"");
    assert_eq!(work(&other), "contrastive resnet18 global bf16");
    assert_eq!(work(&format!("{ENCODER}views = \"apart\"")), "contrastive resnet18 apart");
    let layers =
        "layerwise = { ratio = 10, beta_ratio = 2 }\ntikhonov = { lambda = 1, method = \"finite-difference\" }";
    assert_eq!(work(&format!("{ENCODER}{layers}")), "contrastive resnet18 layerwise finite-difference");
    let attack = "[jobs.a]\nstage = \"attack\"\nfrom = \"s\"\nattack = \"apgd-t\"\nnorm = \"linf\"\n";
    let supervised = "[jobs.s]\nstage = \"supervised\"\nencoder = \"resnet-tiny\"\n";
    assert_eq!(work(&format!("{supervised}{attack}")), "attack resnet-tiny apgd-t linf");
    let linear = "[jobs.l]\nstage = \"linear\"\nfrom = \"encoder\"\nsolver = \"sgd\"\n";
    assert_eq!(work(&format!("{ENCODER}{linear}")), "linear resnet18 sgd");
}
