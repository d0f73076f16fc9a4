//! How fast the CPU execution is; run by hand: `cargo test -p tandem-learn --test augment_speed -- --ignored --nocapture`.
//! The benchmark beside torchvision is in `bench/`.

use std::time::Instant;

use tandem_domain::spec::Augment;
use tandem_learn::{augment::views, data::Images, random::{Purpose, Stream}};
use tch::Device;

#[test]
#[ignore = "a measurement, not a check"]
fn two_views_of_256_images() {
    let mut stream = Stream::new(1, Purpose::Shapes, 0, 0, 0);
    let pixels: Vec<u8> = (0..1024 * 3072).map(|_| stream.word() as u8).collect();
    let images = Images::new(&pixels, vec![0; 1024], Device::Cpu).unwrap();
    let recipe = Augment::default();
    for threads in [1, 2] {
        let mut times = Vec::new();
        for epoch in 0..60 {
            let samples: Vec<i64> = (0..256).map(|i| (i * 37 + i64::from(epoch)) % 1024).collect();
            let start = Instant::now();
            let pair = [0, 1].map(|view| views(&images, &samples, view, &recipe, 1, epoch, threads));
            times.push(start.elapsed().as_secs_f64() * 1e3);
            assert!(pair[0] != pair[1]);
        }
        times.sort_by(f64::total_cmp);
        eprintln!("{threads} threads: median {:.2} ms, best {:.2} ms", times[30], times[0]);
    }
}

#[test]
#[ignore = "x"]
fn gather_ways() {
    let images = tch::Tensor::zeros([1024, 3, 32, 32], (tch::Kind::Uint8, Device::Cpu));
    let samples: Vec<i64> = (0..256).map(|i| (i * 37) % 1024).collect();
    let mut bytes = vec![0u8; 256 * 3072];
    for _ in 0..5 {
        let t = Instant::now();
        for (s, b) in samples.iter().zip(bytes.chunks_exact_mut(3072)) { images.get(*s).copy_data(b, 3072); }
        let a = t.elapsed();
        let t = Instant::now();
        for (s, b) in samples.chunks(8).zip(bytes.chunks_mut(8 * 3072)) { let n = b.len(); images.index_select(0, &tch::Tensor::from_slice(s)).copy_data(b, n); }
        let c = t.elapsed();
        tch::set_num_threads(1);
        let t = Instant::now();
        images.index_select(0, &tch::Tensor::from_slice(&samples)).copy_data(&mut bytes, 256 * 3072);
        let d = t.elapsed();
        eprintln!("get {a:?} chunk {c:?} whole {d:?}");
    }
}
