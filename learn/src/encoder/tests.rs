use std::ops::Range;

use tandem_domain::spec::{self, BatchNorm, HeadNorm, Precision};
use tch::{Device, Kind, Tensor};

use super::*;
use crate::flat::{FlatTensors, Role};

fn model(encoder: spec::Encoder, seed: u64) -> Model {
    Model::new(encoder, Some(spec::Head::default()), seed, Device::Cpu).unwrap()
}

/// torchvision's counts with a 3x3 stem of 3 channels (1,728 weights instead of 9,408) and without `fc`.
#[test]
fn sizes_are_torchvisions() {
    let count = |encoder| {
        let blank = Model::build(encoder, None, Device::Cpu).unwrap();
        blank.parameters.layout().slots().iter().map(|slot| slot.numel()).sum::<i64>()
    };
    assert_eq!(count(spec::Encoder::ResNet18), 11_689_512 - 513_000 - 9_408 + 1_728);
    assert_eq!(count(spec::Encoder::ResNet34), 21_797_672 - 513_000 - 9_408 + 1_728);
    assert_eq!(count(spec::Encoder::ResNet50), 25_557_032 - 2_049_000 - 9_408 + 1_728);
}

/// Counted from the code behind the paper: stem, three-convolution bottlenecks, and a 1x1 convolution between stages.
#[test]
fn the_papers_net_is_thin() {
    let blank = Model::build(spec::Encoder::ResNetPaper, None, Device::Cpu).unwrap();
    let convolutions = blank.parameters.layout().slots().iter().filter(|slot| slot.role == Role::Convolution);
    let bottleneck = |width: i64| 2 * width * width / 4 + 9 * (width / 4) * (width / 4);
    let stages = 3 * bottleneck(64) + 4 * bottleneck(128) + 6 * bottleneck(256) + 3 * bottleneck(512);
    let expected = 27 * 64 + stages + 64 * 128 + 128 * 256 + 256 * 512;
    assert_eq!((convolutions.map(|slot| slot.numel()).sum::<i64>(), expected), (1_509_824, 1_509_824));
    let images = Tensor::rand([2, 3, 32, 32], (Kind::Float, Device::Cpu));
    assert_eq!(model(spec::Encoder::ResNetPaper, 1).features(&images).size(), [2, 512]);
}

/// A transition is a 1x1 convolution, BatchNorm, ReLU and the mean of each 2x2 pixels: recomputed with torch's own
/// operators from the exported names.
#[test]
fn the_papers_net_is_what_its_names_say() {
    tch::manual_seed(2);
    let net = model(spec::Encoder::ResNetPaper, 1);
    let find = |name: &str| -> Tensor {
        let flats = [&net.parameters, &net.statistics];
        let found = flats.iter().flat_map(|flat| flat.named()).find(|(slot, _)| slot.name == name);
        found.unwrap_or_else(|| panic!("no tensor {name}")).1.detach()
    };
    let unit = |x: &Tensor, conv: &str, norm: &str| {
        let weight = find(&format!("{conv}.weight"));
        let padding = weight.size()[2] / 2;
        let y = x.conv2d(&weight, None::<Tensor>, [1, 1], [padding, padding], [1, 1], 1);
        let channel = |name: &str| find(&format!("{norm}.{name}")).view([1, -1, 1, 1]);
        let scale = channel("weight") / (channel("running_var") + 1e-5).sqrt();
        (y - channel("running_mean")) * scale + channel("bias")
    };
    let block = |x: &Tensor, name: &str| {
        let y = unit(x, &format!("{name}.conv1"), &format!("{name}.bn1")).relu();
        let y = unit(&y, &format!("{name}.conv2"), &format!("{name}.bn2")).relu();
        (x + unit(&y, &format!("{name}.conv3"), &format!("{name}.bn3"))).relu()
    };
    let images = Tensor::rand([2, 3, 32, 32], (Kind::Float, Device::Cpu));
    let mut x = unit(&images, "conv1", "bn1").relu();
    for (stage, count) in [3, 4, 6, 3].into_iter().enumerate() {
        for i in 0..count {
            let name = format!("layer{}.{i}", stage + 1);
            if stage > 0 && i == 0 {
                x = unit(&x, &format!("{name}.transition.0"), &format!("{name}.transition.1")).relu();
                let side = x.size()[2] / 2;
                x = x.view([2, -1, side, 2, side, 2]).mean_dim([3i64, 5].as_slice(), false, None);
            }
            x = block(&x, &name);
        }
    }
    let expected = x.flatten(2, 3).mean_dim([2i64].as_slice(), false, None);
    let difference = (net.features(&images) - &expected).abs().max().double_value(&[]);
    assert!(difference < 1e-4 * expected.abs().max().double_value(&[]), "{difference}");
}

#[test]
fn names_are_torchvisions() {
    let blank = Model::build(spec::Encoder::ResNet50, Some(spec::Head::default().into()), Device::Cpu).unwrap();
    let names: Vec<&str> = [&blank.parameters, &blank.statistics]
        .iter()
        .flat_map(|flat| flat.layout().slots())
        .map(|slot| slot.name.as_str())
        .collect();
    let expected = [
        "conv1.weight",
        "bn1.running_mean",
        "layer1.0.conv3.weight",
        "layer1.0.downsample.0.weight",
        "layer2.0.downsample.1.running_var",
        "layer4.2.bn3.bias",
        "head.0.weight",
        "head.1.weight",
        "head.3.bias",
    ];
    assert!(expected.iter().all(|name| names.contains(name)), "{names:#?}");
    assert!(!names.contains(&"layer1.1.downsample.0.weight"));
}

/// SimCLR's heads, recomputed with torch's own operators from the names that they would have in `nn.Sequential`.
#[test]
fn a_projection_head_is_what_its_names_say() {
    let linear =
        |place: u32, bias: bool| [Some(format!("head.{place}.weight")), bias.then(|| format!("head.{place}.bias"))];
    let norm =
        |place: u32| ["weight", "bias", "running_mean", "running_var"].map(|name| format!("head.{place}.{name}"));
    for (layers, norms) in [(2, HeadNorm::Hidden), (2, HeadNorm::All), (3, HeadNorm::Hidden), (3, HeadNorm::All)] {
        let head = spec::Head { hidden: 12, output: 5, layers, norm: norms };
        let net = Model::new(spec::Encoder::ResNetTiny, Some(head), 1, Device::Cpu).unwrap();
        tch::manual_seed(3);
        for (slot, view) in net.parameters.named().chain(net.statistics.named()) {
            if slot.name.starts_with("head.") && view.dim() == 1 {
                let _ = tch::no_grad(|| view.shallow_clone().uniform_(0.3, 1.5));
            }
        }
        let find = |name: &str| {
            let named = net.parameters.named().chain(net.statistics.named());
            named.into_iter().find(|(slot, _)| slot.name == name).map(|(_, view)| view.detach())
        };
        let images = Tensor::rand([4, 3, 32, 32], (Kind::Float, Device::Cpu));
        let (mut x, mut expected) = (net.features(&images), Vec::new());
        for layer in 0..layers {
            let (place, last) = (3 * layer, layer + 1 == layers);
            let normed = !last || norms == HeadNorm::All;
            expected.extend(linear(place, !normed).into_iter().flatten());
            x = x.linear(&find(&format!("head.{place}.weight")).unwrap(), find(&format!("head.{place}.bias")));
            if normed {
                expected.extend(norm(place + 1));
                let [weight, bias, mean, variance] = norm(place + 1).map(|name| find(&name).unwrap());
                x = (x - mean) / (variance + 1e-5).sqrt() * weight + bias;
            }
            if !last {
                x = x.relu();
            }
        }
        assert!(net.evaluate(&images).allclose(&x, 1e-5, 1e-5, false), "{head:?}");
        let named = net.parameters.named().chain(net.statistics.named()).map(|(slot, _)| slot.name.clone());
        let mut names: Vec<String> = named.filter(|name| name.starts_with("head.")).collect();
        names.sort();
        expected.sort();
        assert_eq!(names, expected, "{head:?}");
    }
}

/// One layer is torchvision's `fc`, two are those of `nn.Sequential(Linear, ReLU, Linear)` in its place.
#[test]
fn a_classifier_has_the_names_of_fully_connected_layers() {
    let head = |layers| {
        let model = Model::classifier(spec::Encoder::ResNetTiny, layers, 10, 1, Device::Cpu).unwrap();
        let slots = &model.parameters.layout().slots()[model.head_slots()];
        slots.iter().map(|slot| (slot.name.clone(), slot.shape.clone())).collect::<Vec<_>>()
    };
    assert_eq!(head(1), [("fc.weight".into(), vec![10, 128]), ("fc.bias".into(), vec![10])]);
    let two = [("fc.0.weight", vec![128, 128]), ("fc.0.bias", vec![128]), ("fc.2.weight", vec![10, 128])];
    let two = two.into_iter().chain([("fc.2.bias", vec![10])]).map(|(name, shape)| (name.to_owned(), shape));
    assert_eq!(head(2), two.collect::<Vec<_>>());
}

#[test]
fn two_layers_have_a_relu_between_them() {
    let model = Model::classifier(spec::Encoder::ResNetTiny, 2, 3, 1, Device::Cpu).unwrap();
    tch::manual_seed(4);
    let images = Tensor::rand([5, 3, 32, 32], (Kind::Float, Device::Cpu));
    let [w0, b0, w2, b2] = [0, 1, 2, 3].map(|i| model.parameters.get(model.head_slots().start + i).detach());
    let hidden = (model.features(&images).matmul(&w0.tr()) + b0).clamp_min(0.0);
    assert!(hidden.eq(0.0).any().int64_value(&[]) == 1, "else this shows nothing");
    assert!(model.evaluate(&images).allclose(&(hidden.matmul(&w2.tr()) + b2), 1e-5, 1e-6, false));
}

/// Above a frozen encoder the head sees what evaluation will see, and nothing below it gets a gradient.
#[test]
fn a_frozen_encoder_is_run_as_it_is_evaluated() {
    let mut model = Model::classifier(spec::Encoder::ResNetTiny, 1, 3, 1, Device::Cpu).unwrap();
    tch::manual_seed(6);
    let images = Tensor::rand([5, 3, 32, 32], (Kind::Float, Device::Cpu));
    let statistics = FlatTensors::over(model.statistics.layout().clone(), model.statistics.vector().copy());
    model.encoder_frozen = true;
    let logits = model.project(&images, &statistics);
    assert!(logits.equal(&model.evaluate(&images)) && statistics.vector().equal(model.statistics.vector()));
    logits.sum(Kind::Float).backward();
    let reached = |slots: Range<usize>| slots.filter(|&i| model.parameters.get(i).grad().defined()).count();
    assert_eq!((reached(0..model.head_slots().start), reached(model.head_slots())), (0, 2));

    let images = images.set_requires_grad(true);
    let gradient =
        Tensor::run_backward(&[model.project(&images, &statistics).sum(Kind::Float)], &[&images], false, false);
    assert!(gradient[0].abs().max().double_value(&[]) > 0.0, "images have a gradient all the same");
}

#[test]
fn first_weights_follow_their_law_and_their_seed() {
    let net = model(spec::Encoder::ResNet18, 1);
    for (slot, view) in net.parameters.named() {
        let (mean, std) = (view.mean(Kind::Float).double_value(&[]), view.std(false).double_value(&[]));
        let expected = match slot.role {
            Role::Convolution => (2.0 / (slot.shape[0] * slot.shape[2] * slot.shape[3]) as f64).sqrt(),
            Role::Linear => 1.0 / (3.0 * slot.shape[1] as f64).sqrt(),
            Role::NormWeight => {
                assert_eq!((mean, std), (1.0, 0.0), "{}", slot.name);
                continue;
            }
            _ => continue,
        };
        assert!((std / expected - 1.0).abs() < 0.05 && mean.abs() < 0.1 * expected, "{}: {mean} {std}", slot.name);
    }
    let vector = |seed| model(spec::Encoder::ResNetTiny, seed).parameters.vector().shallow_clone();
    assert!(vector(7).equal(&vector(7)) && !vector(7).equal(&vector(8)));
}

#[test]
fn shapes_and_the_two_kinds_of_pass() {
    tch::manual_seed(1);
    let images = Tensor::rand([6, 3, 32, 32], (Kind::Float, Device::Cpu));
    let net = model(spec::Encoder::ResNetTiny, 1);
    assert_eq!(net.features(&images).size(), [6, 128]);

    let before = net.statistics.vector().copy();
    let alone = net.features(&images.narrow(0, 2, 1));
    let among_others = net.features(&images).narrow(0, 2, 1);
    assert!(alone.allclose(&among_others, 1e-4, 1e-5, false), "evaluation takes each image by itself");
    assert!(net.statistics.vector().equal(&before), "and leaves the statistics alone");

    let statistics = FlatTensors::over(net.statistics.layout().clone(), before.copy());
    assert_eq!(net.project(&images, &statistics).size(), [6, 128]);
    assert!(net.statistics.vector().equal(&before) && !statistics.vector().equal(&before));
}

/// Logits and their gradient by the pixels, for nets with every kind of unit, after BatchNorms have gone anywhere. In f64:
/// in f32 one of a million ReLUs may round to the other side, and a gradient jumps there.
#[test]
fn a_fused_network_is_the_network() {
    for encoder in [spec::Encoder::ResNetTiny, spec::Encoder::ResNetPaper, spec::Encoder::ResNet18] {
        let model = Model::classifier(encoder, 2, 7, 1, Device::Cpu).unwrap();
        let double = |flat: &FlatTensors| FlatTensors::over(flat.layout().clone(), flat.vector().to_kind(Kind::Double));
        let model = Model { parameters: double(&model.parameters), statistics: double(&model.statistics), ..model };
        tch::manual_seed(8);
        for (slot, view) in model.parameters.named().chain(model.statistics.named()) {
            let mut view = view.shallow_clone();
            match slot.role {
                Role::NormWeight | Role::RunningVariance => drop(view.uniform_(0.3, 1.5)),
                Role::NormBias | Role::RunningMean => drop(view.uniform_(-0.3, 0.3)),
                Role::Convolution | Role::Linear | Role::Bias { .. } => (),
            }
        }
        let weights = model.fuse();
        let run = |evaluate: &dyn Fn(&Tensor) -> Tensor| {
            tch::manual_seed(9);
            let images = Tensor::rand([3, 3, 32, 32], (Kind::Double, Device::Cpu)).set_requires_grad(true);
            let logits = evaluate(&images);
            let gradient = Tensor::run_backward(&[logits.square().sum(Kind::Double)], &[&images], false, false);
            [logits.detach(), gradient[0].detach()]
        };
        let (plain, fused) =
            (run(&|images| model.evaluate(images)), run(&|images| model.evaluate_fused(images, &weights)));
        for (plain, fused) in plain.iter().zip(&fused) {
            let largest = plain.abs().max().double_value(&[]);
            let apart = (plain - fused).abs().max().double_value(&[]);
            assert!(apart < 1e-9 * largest, "{encoder:?}: {apart} of {largest}");
        }
    }
}

#[test]
fn a_cpu_refuses_tf32() {
    let mut model = model(spec::Encoder::ResNetTiny, 1);
    let refusal = model.set_training(BatchNorm::default(), Precision::Tf32).unwrap_err();
    assert!(refusal.starts_with("precision = \"tf32\": Cpu has no TF32"), "{refusal}");
    assert_eq!(model.precision, Precision::F32);
}
