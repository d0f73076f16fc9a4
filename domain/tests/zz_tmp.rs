use std::time::Instant;
use tandem_domain::plan::plan;
#[test]
fn hostile() {
    let head = "name = \"t\"\ndataset = \"cifar10\"\n";
    let enc = "[jobs.e]\nstage = \"contrastive\"\nencoder = \"resnet18\"\nepochs = 20\nbatch_size = 64\n";
    let n = 250_000;
    let fill = |f: &dyn Fn(usize) -> String| { let mut s = String::new(); let mut i = 0; while s.len() < n { s += &f(i); i += 1; } s };
    let nums = |a: usize, b: usize| (a..b).map(|i| i.to_string()).collect::<Vec<_>>().join(",");
    let cases: Vec<(&str, String)> = vec![
        ("long alpha", format!("{head}{enc}layerwise={{alpha=[{}]}}\nsweep.seed=[{}]", fill(&|i| format!("{i},")), nums(0,999))),
        ("long where", format!("{head}{enc}sweep.seed=[{}]\n[jobs.l]\nstage=\"linear\"\nfrom=\"e\"\nwhere.seed=[{}]\nsweep.epochs=[{}]\n", nums(0,1), nums(0,40000), nums(1,999))),
        ("alpha sweep", format!("{head}{enc}sweep.layerwise.alpha=[{}]", (0..1000).map(|i| format!("[{}{i}]", "0,".repeat(60))).collect::<Vec<_>>().join(","))),
        ("full grid", format!("{head}{enc}sweep.seed=[{}]\n[jobs.l]\nstage=\"linear\"\nfrom=\"e\"\nsweep.epochs=[{}]\n", nums(0,30), nums(1,32))),
    ];
    for (name, text) in cases {
        let start = Instant::now();
        let result = plan(&text, "f", "1").map(|p| p.jobs.len()).map_err(|e| e.to_string().chars().take(200).collect::<String>());
        println!("{name}: {} bytes {:?} {result:?}", text.len(), start.elapsed());
    }
}
