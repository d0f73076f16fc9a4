//! How fast the CPU execution is; run by hand: `cargo test -p tandem-learn --test augment_speed -- --ignored --nocapture`.
//! The benchmark beside torchvision is in `bench/`.

use std::time::Instant;

use tandem_domain::spec::Augment;
use tandem_learn::{
    augment::pairs,
    data::Images,
    random::{Purpose, Stream},
};
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
            let pair = pairs(&images, &samples, &recipe, 1, epoch, threads);
            times.push(start.elapsed().as_secs_f64() * 1e3);
            assert_eq!(pair.size(), [512, 3, 32, 32]);
        }
        times.sort_by(f64::total_cmp);
        eprintln!("{threads} threads: median {:.2} ms, best {:.2} ms", times[30], times[0]);
    }
}
