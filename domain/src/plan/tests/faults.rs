//! What a wrong file is told.

use super::ENCODER;
use crate::plan::{FILE_BYTES_MAX, SpecError, plan};

pub(super) fn faults(text: &str) -> Vec<SpecError> {
    match plan(text, "wrong.toml", "1") {
        Err(errors) => errors.faults,
        Ok(plan) => panic!("accepted as {} jobs:\n{text}", plan.jobs.len()),
    }
}

/// The only fault of a file.
fn fault(text: &str) -> SpecError {
    let mut faults = faults(text);
    let last = faults.pop();
    assert!(faults.is_empty(), "more than one fault: {faults:?} {last:?}");
    last.unwrap()
}

/// The only fault of a file with this body after a valid head of two lines.
pub(super) fn body(body: &str) -> SpecError {
    fault(&format!("name = \"test\"\ndataset = \"cifar10\"\n{body}"))
}

/// The message of a file whose encoder has these lines too.
fn encoder(lines: &str) -> String {
    let removed: Vec<_> = lines.lines().filter_map(|line| line.split_once(" =")).map(|(key, _)| key).collect();
    let kept = ENCODER.lines().filter(|line| !removed.iter().any(|key| line.starts_with(&format!("{key} ="))));
    body(&format!("{}\n{lines}\n", kept.collect::<Vec<_>>().join("\n"))).message
}

fn linear(lines: &str) -> String {
    body(&format!("{ENCODER}[jobs.linear]\nstage = \"linear\"\n{lines}\n")).message
}

#[test]
fn the_place_is_the_key_or_the_value() {
    let text = "name = \"test\"\ndataset = \"cifar10\"\n[jobs.encoder]\nstage = \"contrastive\"\n  epoch = 3\n\
                encoder = \"resnet18\"\nbatch_size = 4\n";
    let error = fault(text);
    assert_eq!(error.to_string(), "wrong.toml:5:3: unknown key `epoch` in [jobs.encoder]; did you mean `epochs`?");
    assert_eq!((error.line, error.column, error.key.as_str()), (5, 3, "jobs.encoder.epoch"));

    let error = body("[jobs.encoder]\nstage = \"contrastive\"\nencoder = \"resnet18\"\nepochs = 0\nbatch_size = 4\n");
    assert_eq!(error.to_string(), "wrong.toml:6:10: `epochs` = 0: expected a whole number from 1 to 100000");
    assert_eq!(error.key, "jobs.encoder.epochs");

    let error = body(&format!("{ENCODER}optimizer = {{ lr = 0.1,  momentun = 0.9 }}"));
    assert_eq!(error.message, "unknown key `momentun` in [jobs.encoder.optimizer]; did you mean `momentum`?");
    assert_eq!((error.line, error.column), (9, 26));
}

#[test]
fn keys() {
    for (message, expected) in [
        (linear("form = \"encoder\""), "unknown key `form` in [jobs.linear]; did you mean `from`?"),
        (encoder("temprature = 1"), "unknown key `temprature` in [jobs.encoder]; did you mean `temperature`?"),
        (
            body(&format!("worker = 3\n{ENCODER}")).message,
            "unknown key `worker` at the top of the file; did you mean `workers`?",
        ),
        (body("[jobs.x]\nstge = \"linear\"").message, "unknown key `stge` in [jobs.x]; did you mean `stage`?"),
        (
            body("[jobs.x]\nepochs = 1").message,
            "missing key `stage` in [jobs.x]; expected one of contrastive, supervised, linear, finetune, attack",
        ),
        (
            body("[jobs.x]\nstage = \"contrastive\"\nencoder = \"resnet18\"\nbatch_size = 4").message,
            "missing key `epochs` in [jobs.x]; expected a whole number from 1 to 100000",
        ),
        (body("").message, "missing key `jobs` at the top of the file; expected at least one table [jobs.NAME]"),
        (body("[jobs]").message, "the experiment has no job; write at least one table [jobs.NAME]"),
        (
            encoder("head = { depth = 2 }"),
            "unknown key `depth` in [jobs.encoder.head]; expected one of `hidden`, `output`, `layers`, `norm`",
        ),
    ] {
        assert_eq!(message, expected);
    }
}

#[test]
fn words() {
    for (message, expected) in [
        (
            body(&format!("{ENCODER}[jobs.x]\nstage = \"lineal\"\nfrom = \"encoder\"")).message,
            "unknown stage \"lineal\" in [jobs.x]; did you mean `linear`?",
        ),
        (
            encoder("encoder = \"resnet19\""),
            "unknown `encoder` \"resnet19\"; did you mean `resnet18`? Expected one of \
          `resnet18`, `resnet34`, `resnet50`, `resnet-tiny`, `resnet-paper`",
        ),
        (
            encoder("optimizer = { name = \"rmsprop\" }"),
            "unknown `optimizer.name` \"rmsprop\"; expected one of `sgd`, `lars`, `adam`",
        ),
        (
            fault(&format!("name = \"x\"\ndataset = \"cifr\"\n{ENCODER}")).message,
            "unknown dataset `cifr`: expected cifar10, cifar100, shapes or folder:NAME",
        ),
        (
            fault(&format!("name = \"A b\"\ndataset = \"cifar10\"\n{ENCODER}")).message,
            "\"A b\" is no valid name: expected 1 to 64 of a-z, 0-9, `-` and `_`, no `-` first",
        ),
    ] {
        assert_eq!(message, expected);
    }
    fault(&format!("name = \"x\"\ndataset = \"folder:../secret\"\n{ENCODER}"));
    body(&format!("{ENCODER}[jobs.\"a b\"]\nstage = \"linear\"\nfrom = \"encoder\""));
    let long = fault(&format!("name = \"{}\"\ndataset = \"cifar10\"\n{ENCODER}", "x".repeat(65))).message;
    assert!(long.contains("x\".. (65 bytes) is no valid name"), "{long}");
}

#[test]
fn types_and_ranges() {
    for (message, expected) in [
        (encoder("epochs = \"many\""), "`epochs` = \"many\": expected a whole number from 1 to 100000"),
        (encoder("epochs = 1.5"), "`epochs` = 1.5: expected a whole number from 1 to 100000"),
        (encoder("epochs = -1"), "`epochs` = -1: expected a whole number from 1 to 100000"),
        (
            encoder("epochs = 99999999999999999999999"),
            "`epochs` = 99999999999999999999999: expected a whole number from 1 to 100000",
        ),
        (encoder("temperature = 0"), "`temperature` = 0: expected a number above 0, at most 100"),
        (encoder("temperature = nan"), "`temperature` = nan: expected a number above 0, at most 100"),
        (encoder("self_term = 1"), "`self_term` = 1: expected true or false"),
        (encoder("optimizer = \"lars\""), "`optimizer` = \"lars\": expected a table"),
        (encoder("head = { layers = 4 }"), "`head.layers` = 4: expected a whole number from 2 to 3"),
        (encoder("validation = 0.6"), "`validation` = 0.6: expected a number from 0 to 0.5"),
        (
            encoder("views = \"appart\""),
            "unknown `views` \"appart\"; did you mean `apart`? Expected one of `together`, `apart`",
        ),
        (encoder("optimizer = { lr = 0 }"), "`optimizer.lr` = 0: expected a number above 0, at most 1000000"),
        (encoder("augment = { flip = 1.1 }"), "`augment.flip` = 1.1: expected a number from 0 to 1"),
        (encoder("layerwise = { alpha = 1 }"), "`layerwise.alpha` = 1: expected a list"),
        (encoder("layerwise = { alpha = [-1] }"), "`layerwise.alpha` = -1: expected a number from 0 to 1000000"),
        (
            encoder("encoder = 18"),
            "`encoder` = 18: expected one of resnet18, resnet34, resnet50, resnet-tiny, resnet-paper",
        ),
        (
            body(&format!("seed = 9007199254740992\n{ENCODER}")).message,
            "`seed` = 9007199254740992: expected a whole number from 0 to 9007199254740991",
        ),
        (body("name = 1").message, "`name` stands twice; keep one of them, or give the second another name"),
        (fault(&format!("name = 1\ndataset = \"cifar10\"\n{ENCODER}")).message, "`name` = 1: expected a string"),
        (
            fault(&format!("name = \"a\"\ndataset = \"cifar10\"\nseed = [1, 2]\n{ENCODER}")).message,
            "`seed` = a list: expected a whole number from 0 to 9007199254740991; for a job of each, write `seed = [..]` in \
             [jobs.NAME.sweep]",
        ),
        (body("jobs = 3").message, "`jobs` = 3: expected tables [jobs.NAME]"),
        (body("[jobs]\nx = 3").message, "`jobs.x` must be a table: [jobs.x]"),
        (
            linear("from = \"encoder\"\nlabel_fraction = 0"),
            "`label_fraction` = 0: expected a number above 0, at most 1",
        ),
        (linear("from = 3"), "`from` = 3: expected the name of a job, or a list of names"),
    ] {
        assert_eq!(message, expected);
    }
    for workers in ["0", "65", "\"4..1\"", "\"1-4\"", "\"..\"", "1.0", "[1]"] {
        let message = encoder(&format!("workers = {workers}"));
        assert!(
            message.ends_with("expected a whole number from 1 to 64, or a range of them such as \"1..4\""),
            "{message}"
        );
    }
}

#[test]
fn shards_of_one_image_need_the_others_statistics() {
    let text = format!("{ENCODER}shards = 64\n");
    super::planned(&format!("{text}batch_norm = \"global\""));
    assert!(encoder("shards = 64").contains("BatchNorm needs at least 2"));
}

#[test]
fn values_that_do_not_go_together() {
    for (message, expected) in [
        (encoder("shards = 3"), "a batch of 64 images cannot be split into 3 equal shards"),
        (encoder("shards = 64"), "64 shards of a batch of 64 hold one image each; BatchNorm needs at least 2"),
        (
            encoder("workers = 3\nshards = 4"),
            "3 workers cannot share 4 shards equally: the number of workers must divide that of shards",
        ),
        (encoder("batch_size = 65536"), "a batch of 65536 is larger than the training set of cifar10, which has 50000 images"),
        (encoder("optimizer = { warmup_epochs = 21 }"), "a warm-up of 21 epochs is longer than the training of 20"),
        (encoder("monitor = { bank = 10 }"), "20 neighbours are more than the bank of 10 images"),
        (
            encoder("layerwise = { alpha = [1, 0.1, 2, 3] }"),
            "the weights must grow with depth (eqs. 4, 5); `force = true` accepts others",
        ),
        (encoder("layerwise = { alpha = [0.1, 1] }"), "expected 4 weights, one for each stage; found 2"),
        (encoder("layerwise = {}"), "expected either `alpha`, a list of weights, or `ratio`"),
        (
            encoder("layerwise = { ratio = 10, beta_ratio = 10 }"),
            "`beta_ratio` scales `tikhonov.lambda`, which is 0; set it, or list `beta`",
        ),
        (
            encoder("layerwise = { ratio = 10 }\ntikhonov = { lambda = 1 }"),
            "with `layerwise`, the penalties of eq. (5) take the place of `tikhonov.lambda`: write `layerwise.beta_ratio` \
             or `layerwise.beta`, or leave lambda out",
        ),
        (
            linear("from = \"encoder\"\nlabel_fraction = 0.00009"),
            "a label fraction of 0.00009 leaves no image of a class: cifar10 has 5000 of each; use at least 0.0001",
        ),
        (
            body("[jobs.s]\nstage = \"supervised\"\nencoder = \"resnet18\"\nlabel_fraction = 0.00005").message,
            "a label fraction of 0.00005 leaves no image of a class: cifar10 has 5000 of each; use at least 0.0001",
        ),
        (
            fault("name = \"x\"\ndataset = \"shapes\"\n[jobs.s]\nstage = \"supervised\"\nencoder = \"resnet18\"\nlabel_fraction = 0.0004").message,
            "a label fraction of 0.0004 leaves no image of a class: shapes has 1000 of each; use at least 0.0005",
        ),
        (
            body("[jobs.s]\nstage = \"supervised\"\nencoder = \"resnet18\"\nlabel_fraction = 0.0002\nbatch_size = 2").message,
            "a label fraction of 0.0002 leaves 1 image of each class, and none to train on beside those that are held out; \
             write `validation = 0.0`",
        ),
        (
            linear("from = \"encoder\"\noptimizer = { lr = 0.1 }"),
            "`optimizer` is for `solver = \"sgd\"`; remove it, or write that",
        ),
        (
            body("[jobs.s]\nstage = \"supervised\"\nencoder = \"resnet18\"\nsteps = 5\nepochs = 5").message,
            "`steps` and `epochs` are two budgets; keep one of them",
        ),
    ] {
        assert_eq!(message, expected);
    }
}

#[test]
fn a_share_of_the_images_that_leaves_no_batch() {
    assert_eq!(
        body(&format!("{}batch_size = 45000\nvalidation = 0.2", ENCODER.replace("batch_size = 64\n", ""))).message,
        "a share of 0.2 holds out 10000 of the 50000 images of cifar10, and fewer than a batch of 45000 are left to train on"
    );
    assert_eq!(
        encoder("validation = 0.00002"),
        "a share of 0.00002 holds out 1 of the 50000 images of cifar10; hold out 2 at least"
    );
}

/// And one that a swept variant reads is right.
#[test]
fn keys_that_nothing_would_read() {
    let attack = |lines: &str| {
        let input = "[jobs.s]\nstage = \"supervised\"\nencoder = \"resnet18\"\n";
        let text = format!("{input}[jobs.a]\nstage = \"attack\"\nfrom = \"s\"\nnorm = \"l2\"\n{lines}");
        plan(&format!("name = \"x\"\ndataset = \"cifar10\"\n{text}"), "x.toml", "1")
            .err()
            .map(|errors| errors.faults[0].message.clone())
    };
    for (lines, key) in [
        ("attack = \"plb\"\nsteps = 20", "steps"),
        ("attack = \"plb\"\nplb = { outer = 5 }", "plb.outer"),
        ("attack = \"fab\"\nplb = { early_stop = false }", "plb"),
        ("attack = \"apgd\"\nloss = \"margin\"", "loss"),
        ("attack = \"square\"\npreset = \"paper\"", "preset"),
        ("attack = \"pgd\"\npreset = \"paper\"\nrestarts = 5", "restarts"),
    ] {
        let message = attack(lines).unwrap_or_else(|| panic!("accepted: {lines}"));
        assert!(message.starts_with(&format!("`{key}` is for ")), "{message}");
    }
    for lines in [
        "attack = \"plb\"\nplb = { early_stop = false }",
        "attack = \"plb\"\npreset = \"paper\"\nplb = { outer = 5 }",
        "attack = \"best-of\"\nsteps = 5\nplb = { steps = \"published\", outer = 5 }",
        "steps = 20\nsweep.attack = [\"plb\", \"pgd\"]",
    ] {
        assert_eq!(attack(lines), None, "{lines}");
    }
    for (lines, key) in [
        ("tikhonov = { lambda = 1, h = 0.1 }", "tikhonov.h"),
        ("tikhonov = { lambda = 1, scaling = \"per_sample\", rescale = true }", "tikhonov.rescale"),
        (
            "tikhonov = { lambda = 1, scaling = \"batch_sum\" }\nlayerwise = { ratio = 2, beta_ratio = 2 }",
            "tikhonov.scaling",
        ),
        ("tikhonov = { lambda = 1 }\nlayerwise = { ratio = 2, beta = [1, 2, 3, 4] }", "tikhonov.lambda"),
        ("augment = { gray = 0.0, gray_weights = \"mean\" }", "augment.gray_weights"),
    ] {
        let message = encoder(lines);
        assert!(message.starts_with(&format!("`{key}` is for ")), "{message}");
    }
    let supervised =
        "[jobs.s]\nstage = \"supervised\"\nencoder = \"resnet18\"\ntikhonov = { lambda = 1, rescale = true }";
    assert!(body(supervised).message.starts_with("`tikhonov.rescale` is for eq. (3)"));
    assert!(linear("from = \"encoder\"\nsolver = \"sgd\"\nridge = 0.1").starts_with("`ridge` is for "));
}

#[test]
fn the_graph() {
    for (message, expected) in [
        (linear("from = \"encodr\""), "no job is named `encodr`; did you mean `encoder`?"),
        (
            linear(""),
            "missing key `from` in [jobs.linear]: a linear job starts from a job of stage contrastive, such as \
             `from = \"encoder\"`",
        ),
        (encoder("from = \"encoder\""), "a contrastive job starts from nothing: remove `from`"),
        (linear("from = \"linear\""), "jobs start from each other in a circle: linear -> linear"),
        (linear("from = [\"encoder\", \"encoder\"]"), "`encoder` stands twice in `from`"),
        (
            linear("from = \"encoder\"\n[jobs.a]\nstage = \"linear\"\nfrom = \"linear\""),
            "a linear job starts from a job of stage contrastive, but `linear` is linear",
        ),
        (encoder("where = { epochs = 1 }"), "`where` selects among the jobs named in `from`, and there is none"),
    ] {
        assert_eq!(message, expected);
    }
    let error = body(&format!("{ENCODER}[jobs.linear]\nstage = \"linear\"\nfrom = [\"encoder\", \"linear\"]"));
    assert_eq!(error.message, "jobs start from each other in a circle: linear -> linear");
    assert_eq!((error.key.as_str(), error.line, error.column), ("jobs.linear.from", 11, 20));
}

#[test]
fn sweeps() {
    let sweep = |lines: &str| linear(&format!("from = \"encoder\"\n[jobs.linear.sweep]\n{lines}"));
    for (message, expected) in [
        (sweep("label_fraction = 0.1"), "`label_fraction` in a sweep needs a list of at least one value"),
        (sweep("label_fraction = []"), "`label_fraction` in a sweep needs a list of at least one value"),
        (sweep("label_fraction = [1, 0.1, 1.0]"), "`label_fraction` = 1.0 stands twice in the sweep"),
        (sweep("label_fraction = [1, 2]"), "`label_fraction` = 2: expected a number above 0, at most 1"),
        (
            sweep("label_fractoin = [1]"),
            "unknown key `label_fractoin` in [jobs.linear]; did you mean `label_fraction`?",
        ),
        (sweep("workers = [1, 2]"), "`workers` cannot be swept: results do not depend on it"),
        (sweep("stage = [\"linear\"]"), "`stage` cannot be swept: write one job for each"),
        (
            encoder("optimizer = { lr = 1 }\nsweep.optimizer.lr = [1, 2]"),
            "`optimizer.lr` stands both in [jobs.encoder] and in its sweep; keep one of them",
        ),
        (
            encoder("sweep.optimizer = [{ lr = 1 }]"),
            "`optimizer` cannot be swept as a table; sweep its keys: \"optimizer.KEY\" = [..]",
        ),
        (encoder("sweep.epochs.lr = [1]"), "`epochs.lr` cannot be swept: `epochs` is no table in [jobs.encoder]"),
        (encoder("sweep = 3"), "`sweep` must be a table: [jobs.encoder.sweep]"),
        (
            linear("from = \"encoder\"\nwhere = { label_fraction = 1 }"),
            "`encoder` has no key `label_fraction` to select by",
        ),
        (
            linear("from = \"encoder\"\nwhere = { epochs = 3 }"),
            "`where` leaves no variant of `encoder`: its `epochs` is 20",
        ),
    ] {
        assert_eq!(message, expected);
    }
    // The place is the value in the sweep, not the job.
    let error = body(&format!("{ENCODER}[jobs.encoder.sweep]\nthreads = [\n  1,\n  0,\n]"));
    assert_eq!((error.line, error.column), (12, 3), "{error}");
}

#[test]
fn long_lists_and_what_they_expand_to_are_bounded() {
    let list = |count: usize| (1..=count).map(|i| i.to_string()).collect::<Vec<_>>().join(", ");
    let attack = |lines: &str| {
        let linear = "[jobs.linear]\nstage = \"linear\"\nfrom = \"encoder\"";
        body(&format!(
            "{ENCODER}[jobs.attack]\nstage = \"attack\"\nfrom = \"linear\"\nattack = \"plb\"\n{lines}\n{linear}\n"
        ))
    };
    let long = attack(&format!("norm = \"l2\"\nradii = [{}]", list(8000)));
    assert_eq!(long.message, "`radii` is a list of 8000 values: expected at most 1000");
    assert_eq!((long.line, long.key.as_str()), (14, "jobs.attack.radii"));
    let milestones = encoder(&format!("optimizer = {{ milestones = [{}] }}", "0.5, ".repeat(1001)));
    assert_eq!(milestones, "`optimizer.milestones` is a list of 1001 values: expected at most 1000");

    let radii = (1..=1000).map(|i| format!("0.12345{i:04}")).collect::<Vec<_>>().join(", ");
    let large = attack(&format!("norm = \"l2\"\nradii = [{radii}]\nsweep.seed = [{}]", list(998)));
    assert!(large.message.starts_with("the experiment expands to more than 8388608 bytes"), "{}", large.message);
    assert_eq!(large.key, "jobs.attack");
    let named = attack(&format!("norm = \"l2\"\nsweep.radii = [[{radii}]]"));
    assert!(named.message.starts_with("the values of a sweep make a name of "), "{}", named.message);
}

#[test]
fn sizes() {
    let list = |count: usize| (1..=count).map(|i| i.to_string()).collect::<Vec<_>>().join(",");
    let too_many = "the experiment expands to more than 1000 jobs; split it or sweep less";
    assert_eq!(encoder(&format!("sweep.seed = [{}]", list(1001))), too_many);
    let two = format!("sweep.seed = [{}]\nsweep.checkpoint_steps = [{}]", list(100), list(11));
    assert_eq!(encoder(&two), too_many);
    let chain = format!(
        "{ENCODER}sweep.seed = [{}]\n[jobs.linear]\nstage = \"linear\"\nfrom = \"encoder\"\nsweep.epochs = [{}]",
        list(40),
        list(25)
    );
    assert_eq!(body(&chain).message, too_many, "40 encoders and 1000 linear jobs");
    let message = fault(&"#".repeat(FILE_BYTES_MAX + 1)).message;
    assert_eq!(message, "the file has 262145 bytes; expected at most 262144");
}

#[test]
fn not_toml_at_all() {
    let error = fault("name = \"x\"\ndataset = cifar10\n");
    assert_eq!((error.line, error.column), (2, 11), "{error}");
    assert!(error.message.starts_with("not valid TOML: "), "{error}");
    for text in ["", "\u{feff}", "[", "= 1", "a.b.c = [[[", "name = \"\u{0}\"", "[jobs.x]\n[jobs.x]"] {
        assert!(!faults(text).is_empty());
    }
}

proptest::proptest! {
    /// Whatever stands in the file: an answer, no panic, and a place inside the file.
    #[test]
    fn any_edit_of_a_file_is_answered(at in 0usize..400, cut in 0usize..20, insert in "[a-z0-9\\[\\]{}=\",.\n ]{0,8}") {
        let text = format!(
            "name = \"test\"\ndataset = \"shapes\"\nworkers = \"1..2\"\n{ENCODER}optimizer = {{ lr = 1.0 }}\n\
             sweep.seed = [1, 2]\n[jobs.linear]\nstage = \"linear\"\nfrom = [\"encoder\"]\nwhere = {{ seed = 1 }}\n"
        );
        let start = at.min(text.len());
        let end = (start + cut).min(text.len());
        let edited = [&text[..start], &insert, &text[end..]].concat();
        if let Err(error) = plan(&edited, "edited.toml", "1") {
            let lines = edited.matches('\n').count() + 1;
            proptest::prop_assert!(!error.faults.is_empty());
            for fault in error.faults {
                proptest::prop_assert!((1..=lines).contains(&fault.line) && !fault.message.is_empty());
            }
        }
    }
}
