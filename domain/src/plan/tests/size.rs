//! Texts of the greatest size: whoever may submit may send them, and the coordinator reads them beside its other work.

use std::{fs, time::Duration};

use crate::plan::{FILE_BYTES_MAX, plan};

/// Of a processor: ten times what the slowest takes, and half of what most took while each fault was paid for with another look at the
/// whole.
const LONG: Duration = Duration::from_secs(5);

/// `head`, and `part` as often as there is room; `{}` in it is its number.
fn full(head: &str, part: &str) -> String {
    let mut text = head.to_owned();
    for i in 0.. {
        let next = part.replace("{}", &i.to_string());
        if text.len() + next.len() > FILE_BYTES_MAX {
            break;
        }
        text.push_str(&next);
    }
    text
}

/// Numbers, as the elements of a list.
fn numbers(to: usize) -> String {
    (1..=to).map(|number| number.to_string()).collect::<Vec<_>>().join(",")
}

/// What this thread has used of a processor, whatever else this machine does.
fn used() -> Duration {
    let told = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(told.split(' ').next().unwrap().parse().unwrap())
}

fn check_soon(what: &str, text: &str) {
    let began = used();
    let _ = plan(text, "test.toml", "1");
    let took = used() - began;
    assert!(took < LONG, "{took:?} for {what}");
}

#[test]
fn a_text_of_the_greatest_size_is_refused_soon() {
    let job = "name = \"n\"\ndataset = \"shapes\"\n[jobs.e]\nstage = \"contrastive\"\nencoder = \"resnet-tiny\"\nepochs = 1\nbatch_size = 64\n";
    for (head, part) in [
        ("", "=\n"),
        ("", "=="),
        ("", "\"a\": {\n"),
        ("", "a=1\n"),
        ("", "[a]\n"),
        ("", "[a]\nb{}=1\n[a]\nb{}=1\n"),
        ("", "a{}.b.c.d=1\n"),
        ("", "[[a]]\n"),
        ("", "[a.a{}]\n"),
        ("a=", "["),
        ("a=", "{a="),
        ("a", ".a"),
        ("[a", ".a"),
        ("a=[", "1,"),
        ("a=\"", "\\u0041"),
        (job, "x{}=1\n"),
        (job, "sweep.x{}=[1]\n"),
        (job, "[jobs.j{}]\n"),
        (job, "[jobs.j{}]\nfrom=\"e\"\n"),
        (job, "[jobs.j{}]\nstage=\"linear\"\nfrom=\"e\"\n"),
        (job, "[jobs.j{}]\nstage=\"linear\"\nfrom=\"j{}\"\n"),
        (job, "[jobs.j{}]\nstage=\"attack\"\nfrom=\"j{}\"\nepochs=1\n"),
        (&format!("{job}[jobs.e.sweep]\nepochs=["), "1{},"),
        (&format!("{job}[jobs.e.sweep]\nepochs=["), "1, "),
    ] {
        check_soon(&format!("{part:?} after {head:?}"), &full(head, part));
    }
}

/// What is wrong in each of a thousand variants, or of a thousand jobs, is looked at once.
#[test]
fn a_thousand_jobs_are_refused_soon() {
    let job = "stage = \"supervised\"\nencoder = \"resnet-tiny\"\nepochs = 1\nbatch_size = 64\n";
    let head = "name = \"n\"\ndataset = \"shapes\"\n";
    let thousand = format!("[jobs.e.sweep]\nseed = [{}]\n", numbers(999));
    let unknown = |count: usize| (0..count).map(|i| format!("x{i} = 1\n")).collect::<String>();
    for count in [10, 190, 20_000] {
        check_soon(
            &format!("{count} unknown keys and a sweep"),
            &format!("{head}[jobs.e]\n{job}{}{thousand}", unknown(count)),
        );
        check_soon(
            &format!("{count} unknown keys in a table and a sweep"),
            &format!("{head}[jobs.e]\n{job}{thousand}[jobs.e.optimizer]\n{}", unknown(count)),
        );
    }
    let list = format!("[{}]", numbers(999));
    let lists = (0..60).map(|i| format!("x{i} = {list}\n")).collect::<String>();
    check_soon("long lists and a sweep", &format!("{head}[jobs.e]\n{job}{lists}{thousand}"));
    let lists = format!("x = [{}]\n", vec![list.as_str(); 60].join(","));
    check_soon("a long list of lists and a sweep", &format!("{head}[jobs.e]\n{job}{lists}{thousand}"));

    let linear = |name: String, from: String| format!("[jobs.{name}]\nstage=\"linear\"\nfrom={from}\n");
    // Each starts from the next; the last from one that is wrong.
    let chain: String = (0..999).map(|i| linear(format!("j{i}"), format!("\"j{}\"", i + 1))).collect();
    check_soon("a chain from the end", &format!("{head}{chain}[jobs.j999]\nstage=\"linear\"\n"));
    check_soon("a chain to an attack", &format!("{head}{chain}[jobs.j999]\nstage=\"attack\"\nattack=\"fmn\"\n"));
    check_soon("a ring", &format!("{head}{chain}[jobs.j999]\nstage=\"linear\"\nfrom=\"j0\"\n"));
    let finetune = |i: usize| format!("[jobs.j{i}]\nstage=\"finetune\"\nepochs=1\nbatch_size=2\nfrom=\"j{}\"\n", i + 1);
    let chain: String = (0..999).map(finetune).collect();
    check_soon("a chain of wrong stages", &format!("{head}{chain}[jobs.j999]\nstage=\"contrastive\"\n"));
    // Names that are nearly others, and are none.
    let pad = "x".repeat(55);
    let misspelt: String = (0..999).map(|i| linear(format!("{pad}{i:05}"), format!("\"{i:05}{pad}\""))).collect();
    check_soon("names", &format!("{head}{misspelt}"));
    let selecting = |i: usize| format!("{}where.seed=[{}]\n", linear(format!("j{i}"), "\"e\"".into()), numbers(2000));
    let contrastive = "stage = \"contrastive\"\nencoder = \"resnet-tiny\"\nepochs = 1\nbatch_size = 64\n";
    let swept =
        format!("[jobs.e.sweep]\nseed = [{}]\n", (3000..3500).map(|i| i.to_string()).collect::<Vec<_>>().join(","));
    let many: String = (0..20).map(selecting).collect();
    check_soon("where", &format!("{head}[jobs.e]\n{contrastive}{swept}{many}"));
    let good: String = (0..995).map(|i| linear(format!("j{i}"), "\"e\"".into())).collect();
    check_soon("a good one of a thousand jobs", &format!("{head}[jobs.e]\n{contrastive}{good}"));
}
