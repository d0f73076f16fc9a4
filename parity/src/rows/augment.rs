//! Row 1: each augmentation operation with the same drawn parameters, and the parameters' distributions.

use anyhow::Result;
use serde::Deserialize;
use serde_json::json;
use tandem_domain::spec::{Augment, GrayWeights};
use tandem_learn::augment::{Crop, Jitter, View, batched, one_by_one};
use tandem_learn::data::{IMAGE, Images};
use tandem_learn::random::{Purpose, Stream};
use tch::{Device, Kind, Tensor};

use crate::args::Part;
use crate::environment::{Environment, SEED};
use crate::exchange::{Exchange, nan_max};
use crate::peer::Peer;
use crate::row::{Bound, Row, Unit};

/// Images that the cases of each kind take in turn: natural (or drawn) ones, then artificial ones.
const IMAGES: usize = 64;
/// Cases of each kind.
const CASES: usize = 120;
/// Draws whose distribution is compared.
const DRAWS: u64 = 20_000;

const KINDS: [&str; 8] = [
    "crop and resize",
    "flip",
    "brightness",
    "contrast",
    "saturation",
    "hue",
    "grayscale",
    "all, as SimCLR draws them",
];

pub(crate) fn compare(env: &Environment) -> Result<Vec<Row>> {
    let mut peer = Peer::start(&env.python, "augment")?;
    let mut rows = operations(env, &mut peer)?;
    rows.extend(distributions(env, &mut peer)?);
    Ok(rows)
}

fn operations(env: &Environment, peer: &mut Peer) -> Result<Vec<Row>> {
    let images = images(env)?;
    let cases: Vec<(usize, i64, View)> = (0..KINDS.len())
        .flat_map(|kind| (0..CASES).map(move |case| (kind, (case % IMAGES) as i64, view(kind, case))))
        .collect();
    let samples: Vec<i64> = cases.iter().map(|case| case.1).collect();
    let views: Vec<View> = cases.iter().map(|case| case.2).collect();
    let ours = [one_by_one(&images, &samples, &views, 2), batched(&images, &samples, &views)];

    let exchange = Exchange::new()?;
    let numbers: Vec<f32> = cases.iter().flat_map(|(_, image, view)| numbers(*image, view)).collect();
    let parameters = Tensor::from_slice(&numbers).view([cases.len() as i64, -1]);
    let shown =
        if env.breaks(Part::Augment) { images.pixels.clamp_max(247) + 8 } else { images.pixels.shallow_clone() };
    exchange.write("cases", &[("images", &shown), ("parameters", &parameters)])?;
    let _: serde_json::Value = peer.ask(&json!({ "what": "apply", "folder": exchange.folder() }))?;
    let theirs = exchange.read("views")?;
    let (float, pil) = (theirs.get("float")?, theirs.get("pil")?.to_kind(Kind::Float) / 255.0);

    let mut rows = Vec::new();
    for (kind, name) in KINDS.iter().enumerate() {
        let of_kind = |views: &Tensor| views.narrow(0, (kind * CASES) as i64, CASES as i64);
        // Over both of our implementations: the largest difference of a pixel, the largest mean of an image.
        let apart = |theirs: &Tensor| {
            ours.iter().fold((0.0f64, 0.0f64), |(pixel, image), ours| {
                let difference = (of_kind(ours) - of_kind(theirs)).abs();
                let mean = difference.mean_dim([1, 2, 3].as_slice(), false, Kind::Double).max().double_value(&[]);
                (nan_max(pixel, difference.max().double_value(&[])), nan_max(image, mean))
            })
        };
        let what = format!("{name}: torchvision's tensor path");
        rows.push(Row::new(1, what, apart(float).0, Bound::AtMost(1e-5), Unit::Plain, ""));
        let (pixel, mean) = apart(&pil);
        if kind == KINDS.len() - 1 {
            // PIL rounds to bytes after each operation, and later operations amplify that: it is no reference for a
            // sequence.
            continue;
        }
        let (what, figure, note) = if *name == "hue" {
            // PIL keeps the hue in one byte and truncates its turn to another: up to 12/255 in a saturated pixel.
            // Nothing can be within 1e-5 of the tensor path and within 2/255 of PIL there.
            let own = (of_kind(float) - of_kind(&pil)).abs().max().double_value(&[]);
            let note = format!(
                "one pixel: {}; torchvision's own two paths: {}, as PIL keeps the hue in a byte",
                Unit::Bytes.show(pixel),
                Unit::Bytes.show(own)
            );
            ("torchvision on PIL, mean of an image", mean, note)
        } else {
            ("torchvision on PIL", pixel, String::new())
        };
        rows.push(Row::new(1, format!("{name}: {what}"), figure, Bound::AtMost(2.0 / 255.0), Unit::Bytes, note));
    }
    Ok(rows)
}

/// The first test images, and eight hard ones: noise, saturated colours, ties between channels, grays, black, white.
fn images(env: &Environment) -> Result<Images> {
    let natural = env.load()?.test.pixels.narrow(0, 0, IMAGES as i64 - 8).contiguous();
    let mut pixels = vec![0u8; IMAGES * IMAGE];
    natural.view(-1).copy_data(&mut pixels, (IMAGES - 8) * IMAGE);
    let mut stream = Stream::new(SEED, Purpose::Shapes, 0, 0, 99);
    for (kind, image) in pixels[(IMAGES - 8) * IMAGE..].chunks_exact_mut(IMAGE).enumerate() {
        match kind {
            0 | 1 => image.fill_with(|| stream.word() as u8),
            2 | 3 => image.fill_with(|| 255 * stream.below(2) as u8),
            4 => image.fill_with(|| 51 * stream.below(6) as u8),
            5 => {
                let plane: Vec<u8> = (0..IMAGE / 3).map(|_| stream.word() as u8).collect();
                image.copy_from_slice(&plane.repeat(3));
            }
            _ => image.fill(if kind == 6 { 0 } else { 255 }),
        }
    }
    Ok(Images::new(&pixels, vec![0; IMAGES], Device::Cpu)?)
}

/// One operation alone, stronger than SimCLR's; or everything, as SimCLR draws it.
fn view(kind: usize, case: usize) -> View {
    let recipe = if kind == KINDS.len() - 1 {
        Augment::default()
    } else {
        Augment {
            crop_area_min: 0.02,
            jitter: 1.0,
            brightness: 0.8,
            contrast: 0.8,
            saturation: 0.8,
            hue: 0.5,
            ..Augment::default()
        }
    };
    let drawn = View::draw(&recipe, SEED, kind as u32, case as u64, 0);
    let only = |wanted: fn(&Jitter) -> bool| {
        let jitter = drawn.jitter.into_iter().flatten().find(wanted);
        View { jitter: [jitter, None, None, None], ..View::default() }
    };
    match kind {
        0 => View { crop: extreme(case).unwrap_or(drawn.crop), ..View::default() },
        1 => View {
            crop: if case.is_multiple_of(2) { Crop::default() } else { drawn.crop },
            flip: true,
            ..View::default()
        },
        2 => only(|jitter| matches!(jitter, Jitter::Brightness(_))),
        3 => only(|jitter| matches!(jitter, Jitter::Contrast(_))),
        4 => only(|jitter| matches!(jitter, Jitter::Saturation(_))),
        5 => only(|jitter| matches!(jitter, Jitter::Hue(_))),
        6 => View { gray: Some(GrayWeights::Luma), ..View::default() },
        _ => drawn,
    }
}

fn extreme(case: usize) -> Option<Crop> {
    let [top, left, height, width] = match case {
        0 => [0, 0, 1, 1],
        1 => [31, 31, 1, 1],
        2 => [5, 0, 1, 32],
        3 => [0, 7, 32, 2],
        4 => [0, 0, 32, 32],
        _ => return None,
    };
    Some(Crop { top, left, height, width })
}

/// As `peers/augment.py` reads them: image, top, left, height, width, flip, gray, then number and factor of each of
/// four operations (0 none, 1 brightness, 2 contrast, 3 saturation, 4 hue).
fn numbers(image: i64, view: &View) -> Vec<f32> {
    let crop = view.crop;
    let mut row = vec![image as f32];
    row.extend([crop.top, crop.left, crop.height, crop.width].map(|pixels| pixels as f32));
    row.extend([view.flip, view.gray.is_some()].map(f32::from));
    for jitter in view.jitter {
        row.extend(match jitter {
            None => [0.0, 0.0],
            Some(Jitter::Brightness(factor)) => [1.0, factor],
            Some(Jitter::Contrast(factor)) => [2.0, factor],
            Some(Jitter::Saturation(factor)) => [3.0, factor],
            Some(Jitter::Hue(turn)) => [4.0, turn],
        });
    }
    row
}

/// The peer's Kolmogorov-Smirnov p-value for each drawn number.
#[derive(Deserialize)]
struct Likelihoods {
    /// (name, p)
    p: Vec<(String, f64)>,
    version: String,
}

fn distributions(env: &Environment, peer: &mut Peer) -> Result<Vec<Row>> {
    let (recipe, broken) = (Augment::default(), env.breaks(Part::Augment));
    let drawn = (0..DRAWS).flat_map(|sample| {
        let mut view = View::draw(&recipe, SEED, 0, sample, 0);
        if broken && sample.is_multiple_of(5) {
            view.jitter.sort_by_key(|jitter| jitter.map(|jitter| matches!(jitter, Jitter::Hue(_))));
        }
        numbers(sample as i64, &view)
    });
    let drawn: Vec<f32> = drawn.collect();
    let exchange = Exchange::new()?;
    exchange.write("draws", &[("parameters", &Tensor::from_slice(&drawn).view([DRAWS as i64, -1]))])?;
    let theirs = if broken {
        Augment {
            crop_area_min: 0.11,
            flip: 0.53,
            jitter: 0.83,
            brightness: 0.43,
            contrast: 0.43,
            saturation: 0.43,
            hue: 0.11,
            gray: 0.23,
            ..recipe
        }
    } else {
        recipe
    };
    let reply: Likelihoods = peer
        .ask(&json!({ "what": "draw", "folder": exchange.folder(), "recipe": theirs, "draws": DRAWS, "seed": SEED }))?;
    let groups: [(&str, &[&str]); 5] = [
        ("crop: area, aspect, position", &["area", "aspect", "top", "left", "bottom", "right"]),
        ("jitter: brightness, contrast, saturation", &["brightness", "contrast", "saturation"]),
        ("hue", &["hue"]),
        ("order of operations", &["order", "place of hue"]),
        ("flip, jitter at all, grayscale", &["flip", "jitter", "gray"]),
    ];
    let row = |(what, members): (&str, &[&str])| {
        let p = |name: &&str| reply.p.iter().find(|(found, _)| found == name).map_or(f64::NAN, |(_, p)| *p);
        let smallest = members.iter().map(p).fold(1.0, |a: f64, b| if b.is_nan() { b } else { a.min(b) });
        let each: Vec<String> = members.iter().map(|name| format!("{name} {:.3}", p(name))).collect();
        let note = format!("{}; {DRAWS} draws, torchvision {}", each.join(", "), reply.version);
        Row::new(1, format!("law of {what}: p (KS)"), smallest, Bound::Above(1e-3), Unit::Plain, note)
    };
    Ok(groups.into_iter().map(row).collect())
}
