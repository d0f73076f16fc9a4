use tch::*; use std::time::Instant; use tandem_learn::{encoder::*, flat::*}; use tandem_domain::spec;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let threads: i32 = a[1].parse().unwrap(); let n: i64 = a[2].parse().unwrap(); let cl = a[3] == "cl"; let enc = if a.len()>4 && a[4]=="r18" { spec::Encoder::ResNet18 } else { spec::Encoder::ResNetTiny };
    tch::set_num_threads(threads);
    let m = Model::new(enc, Some(spec::Head{hidden:0,output:64}), 1, Device::Cpu).unwrap();
    let x = Tensor::rand([n,3,32,32], (Kind::Float, Device::Cpu));
    let x = if cl { x.permute([0,2,3,1]).contiguous().permute([0,3,1,2]) } else { x };
    let (mut tf, mut tb) = (vec![], vec![]);
    for _ in 0..8 {
        let s = Instant::now();
        let z = m.project(&x, &m.statistics);
        let f = s.elapsed(); let s = Instant::now();
        let l = (&z * &z.detach()).sum(Kind::Float);
        let g = Tensor::run_backward(&[l], m.parameters.views(), false, false);
        let b = s.elapsed();
        tf.push(f.as_secs_f64()*1e3); tb.push(b.as_secs_f64()*1e3);
        drop(g);
    }
    tf.sort_by(|a,b| a.total_cmp(b)); tb.sort_by(|a,b| a.total_cmp(b));
    println!("threads {threads} n {n} cl {cl}: fwd {:.1} bwd {:.1} ms median; min {:.1} {:.1}; {:.0} images/s (min)", tf[4], tb[4], tf[0], tb[0], n as f64/((tf[0]+tb[0])/1e3));
}
