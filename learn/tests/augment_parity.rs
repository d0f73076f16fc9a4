//! Both executions of a view against torchvision 0.22.1, on a stored sample of its results (`parity/make_fixtures.py`).
//!
//! Pixels are in [0, 1]. Against torchvision's float path no pixel differs by more than 1e-5. Its PIL path rounds to
//! bytes after each operation; no pixel of one operation differs by more than 2/255, nor of all operations but the hue
//! by more than 5/255 (roundings are amplified by what follows). PIL keeps the hue as one byte and truncates its turn
//! to another: two steps of 1/256 of the circle, which is 12/255 in a channel of a fully saturated pixel; the mean
//! over an image stays below 3/255. That is PIL's distance from torchvision's own float path too.

#![expect(clippy::unwrap_used, reason = "the fixture is committed beside the test; panicking is how a test fails")]

use std::collections::HashSet;

use safetensors::SafeTensors;
use tandem_domain::spec::GrayWeights;
use tandem_learn::{
    augment::{Crop, Jitter, View, batched, one_by_one},
    data::Images,
};
use tch::{Device, Kind, Tensor};

const KINDS: [&str; 9] = ["crop", "flip", "brightness", "contrast", "saturation", "hue", "gray", "all but hue", "all"];

struct Fixture {
    images: Images,
    /// Image and view of each case.
    cases: Vec<(i64, View)>,
    kinds: Vec<&'static str>,
    positions: Tensor,
    float: Tensor,
    pil: Tensor,
}

fn fixture() -> Fixture {
    let bytes = include_bytes!("parity/augment.safetensors");
    let file = SafeTensors::deserialize(bytes).unwrap();
    let tensor = |name: &str, kind: Kind| {
        let view = file.tensor(name).unwrap();
        let size: Vec<i64> = view.shape().iter().map(|&length| length as i64).collect();
        Tensor::from_data_size(view.data(), &size, kind)
    };
    let pixels = file.tensor("images").unwrap();
    let images = Images::new(pixels.data(), vec![0; pixels.shape()[0]], Device::Cpu).unwrap();
    let parameters = tensor("parameters", Kind::Float);
    let rows: Vec<Vec<f32>> =
        (0..parameters.size()[0]).map(|row| Vec::try_from(parameters.get(row)).unwrap()).collect();
    Fixture {
        images,
        cases: rows.iter().map(|row| (row[0] as i64, view(row))).collect(),
        kinds: rows.iter().map(|row| KINDS[row[15] as usize]).collect(),
        positions: tensor("positions", Kind::Int16).to_kind(Kind::Int64),
        float: tensor("float", Kind::Float),
        pil: tensor("pil", Kind::Uint8).to_kind(Kind::Float) / 255.0,
    }
}

fn view(row: &[f32]) -> View {
    let [top, left, height, width] = [1, 2, 3, 4].map(|column| row[column] as usize);
    let jitter = [7, 9, 11, 13].map(|column| match row[column] as u32 {
        1 => Some(Jitter::Brightness(row[column + 1])),
        2 => Some(Jitter::Contrast(row[column + 1])),
        3 => Some(Jitter::Saturation(row[column + 1])),
        4 => Some(Jitter::Hue(row[column + 1])),
        _ => None,
    });
    View {
        crop: Crop { top, left, height, width },
        flip: row[5] != 0.0,
        jitter,
        gray: (row[6] != 0.0).then_some(GrayWeights::Luma),
    }
}

/// Largest and mean difference of each case from `expected`.
fn differences(fixture: &Fixture, made: &Tensor, expected: &Tensor) -> Vec<(f64, f64)> {
    let positions = fixture.positions.unsqueeze(1).expand([-1, 3, -1], false);
    let difference = (made.flatten(2, -1).gather(2, &positions, false) - expected).abs().to_kind(Kind::Double);
    let worst = difference.amax([1, 2].as_slice(), false);
    let mean = difference.mean_dim([1, 2].as_slice(), false, Kind::Double);
    Vec::<f64>::try_from(worst).unwrap().into_iter().zip(Vec::<f64>::try_from(mean).unwrap()).collect()
}

fn executions(fixture: &Fixture) -> [(&'static str, Tensor); 2] {
    let (samples, views): (Vec<i64>, Vec<View>) = fixture.cases.iter().copied().unzip();
    [
        ("one by one", one_by_one(&fixture.images, &samples, &views, 2)),
        ("batched", batched(&fixture.images, &samples, &views)),
    ]
}

#[test]
fn equal_to_torchvision_on_float_tensors() {
    let fixture = fixture();
    for (name, made) in executions(&fixture) {
        for (case, (difference, _)) in differences(&fixture, &made, &fixture.float).into_iter().enumerate() {
            let (kind, view) = (fixture.kinds[case], fixture.cases[case].1);
            assert!(difference < 1e-5, "{name}, case {case} ({kind}): off by {difference:e}; {view:?}");
        }
    }
}

#[test]
fn near_to_torchvision_on_pil_images() {
    /// Largest difference of a pixel and largest mean of a case, in steps of 1/255.
    fn allowed(kind: &str) -> (f64, f64) {
        match kind {
            "hue" => (12.5, 2.0),
            "all" => (14.0, 3.0),
            "all but hue" => (5.0, 2.0),
            _ => (2.0, 0.6),
        }
    }
    let fixture = fixture();
    for (name, made) in executions(&fixture) {
        for (case, (worst, mean)) in differences(&fixture, &made, &fixture.pil).into_iter().enumerate() {
            let (kind, view) = (fixture.kinds[case], fixture.cases[case].1);
            let (worst_allowed, mean_allowed) = allowed(kind);
            let near = 255.0 * worst <= worst_allowed && 255.0 * mean <= mean_allowed;
            assert!(near, "{name}, case {case} ({kind}): off by {worst}, {mean} in the mean; {view:?}");
        }
    }
}

#[test]
fn each_kind_of_case_is_in_the_fixture() {
    let kinds: HashSet<&str> = fixture().kinds.into_iter().collect();
    assert_eq!(kinds, HashSet::from(KINDS));
}
