//! Both executions of a view against torchvision 0.22.1, on a stored sample of its results (`parity/make_fixtures.py`).
//!
//! Against its float path 1e-5 (a pixel is in [0, 1]). Against PIL 2/255 for one operation, because PIL rounds to bytes
//! after the operation and has other weights of gray in the last digits; more for the hue, which PIL keeps as one byte
//! of the circle and a byte of saturation, and for whole views, where such roundings are amplified by what follows.

use std::collections::HashMap;

use safetensors::SafeTensors;
use tandem_learn::{
    augment::{Crop, Jitter, View, batched, one_by_one},
    data::Images,
};
use tch::{Device, Kind, Tensor};

const KINDS: [&str; 8] = ["crop", "flip", "brightness", "contrast", "saturation", "hue", "gray", "all"];

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
        positions: tensor("positions", Kind::Int64),
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
    View { crop: Crop { top, left, height, width }, flip: row[5] != 0.0, jitter, gray: row[6] != 0.0 }
}

/// Largest difference of each case from `expected`.
fn differences(fixture: &Fixture, made: &Tensor, expected: &Tensor) -> Vec<f64> {
    let positions = fixture.positions.unsqueeze(1).expand([-1, 3, -1], false);
    let made = made.flatten(2, -1).gather(2, &positions, false);
    let worst = (made - expected).abs().amax([1, 2].as_slice(), false);
    Vec::try_from(worst.to_kind(Kind::Double)).unwrap()
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
        for (case, difference) in differences(&fixture, &made, &fixture.float).into_iter().enumerate() {
            let (kind, view) = (fixture.kinds[case], fixture.cases[case].1);
            assert!(difference < 1e-5, "{name}, case {case} ({kind}): off by {difference:e}; {view:?}");
        }
    }
}

#[test]
fn near_to_torchvision_on_pil_images() {
    let allowed = |kind: &str| match kind {
        "hue" => 8.0,
        "all" => 12.0,
        _ => 2.0,
    };
    let fixture = fixture();
    for (name, made) in executions(&fixture) {
        let mut worst: HashMap<&str, f64> = HashMap::new();
        for (&kind, difference) in fixture.kinds.iter().zip(differences(&fixture, &made, &fixture.pil)) {
            let worst = worst.entry(kind).or_default();
            *worst = worst.max(255.0 * difference);
        }
        assert_eq!(worst.len(), KINDS.len(), "each kind has its cases");
        for (kind, worst) in worst {
            assert!(worst <= allowed(kind) + 1e-3, "{name}, {kind}: off by {worst}/255, allowed {}", allowed(kind));
        }
    }
}
