use tandem_learn::{*, task::*, report::*}; use tandem_collective::Group; use tandem_domain::spec::*;
fn main() {
    let a: Vec<String> = std::env::args().collect(); let threads: u32 = a[1].parse().unwrap(); let epochs: u32 = a[2].parse().unwrap();
    let dir = std::path::PathBuf::from(&a[3]);
    let c = Contrastive { encoder: Encoder::ResNetTiny, epochs, batch_size: 256, temperature: 0.5, self_term: false, head: Head{hidden:0,output:64}, optimizer: Optimizer{name: OptimizerName::Sgd, lr: 0.3, weight_decay: 5e-4, warmup_epochs: epochs as f64*0.1, ..Default::default()}, augment: Augment{crop_area_min:0.2, hue:0.0, ..Default::default()}, batch_norm: BatchNorm::Shard, tikhonov: Default::default(), layerwise: None, monitor: Monitor{bank: 2048, ..Default::default()}, checkpoint_steps: 0 };
    let spec = JobSpec { name: "e".into(), dataset: Dataset::Shapes, seed: 1, workers: Workers{min:1,max:1}, shards: 2, threads, inputs: vec![], stage: Stage::Contrastive(c) };
    let mut task = Task { job_id: "j".into(), attempt_id: "a".into(), fence: 1, rank: 0, world_size: 1, spec, device: "cpu".into(), data_dir: "".into(), job_dir: dir, inputs: vec![], checkpoints: vec![], host: "".into() };
    let stop = Default::default(); let mut art = None;
    let mut rep = |e: Event| match e { Event::Metric{ref name, step, ..} if (name=="loss"||name=="lr") && step%20!=0 => {}, Event::Artifact{kind, path, sha256,..} => { println!("{kind} {sha256}"); art = Some(InputFile{kind,path,sha256}) }, e => println!("{}", serde_json::to_string(&e).unwrap()) };
    println!("{:?}", run(&task, &Group::alone(), &mut rep, &stop));
    task.inputs = vec![art.unwrap()];
    for f in [1.0, 0.1, 0.01] {
        task.spec.stage = Stage::Linear(Linear{epochs:100,label_fraction:f,solver:LinearSolver::Lbfgs,ridge:1e-3});
        let s = std::time::Instant::now();
        let mut rep = |e: Event| if let Event::Result{..} = e { println!("{e:?}") };
        println!("{f} {:?} {:.1} s", run(&task, &Group::alone(), &mut rep, &stop), s.elapsed().as_secs_f64());
    }
}
