use tch::Kind;

use super::*;
use crate::flat::Role;

fn model(encoder: spec::Encoder, seed: u64) -> Model {
    Model::new(encoder, Some(spec::Head::default()), seed, Device::Cpu).unwrap()
}

/// torchvision's counts with a 3x3 stem of 3 channels (1,728 weights instead of 9,408) and without `fc`.
#[test]
fn sizes_are_torchvisions() {
    let count = |encoder| {
        let blank = Model::blank(encoder, None, Device::Cpu).unwrap();
        blank.parameters.layout().slots().iter().map(|slot| slot.numel()).sum::<i64>()
    };
    assert_eq!(count(spec::Encoder::ResNet18), 11_689_512 - 513_000 - 9_408 + 1_728);
    assert_eq!(count(spec::Encoder::ResNet34), 21_797_672 - 513_000 - 9_408 + 1_728);
    assert_eq!(count(spec::Encoder::ResNet50), 25_557_032 - 2_049_000 - 9_408 + 1_728);
    assert!(Model::blank(spec::Encoder::ResNetPaper, None, Device::Cpu).is_none());
}

#[test]
fn names_are_torchvisions() {
    let blank = Model::blank(spec::Encoder::ResNet50, Some(spec::Head::default()), Device::Cpu).unwrap();
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
    assert!(alone.allclose(&among_others, 1e-4, 1e-5, false), "evaluation looks at one image at a time");
    assert!(net.statistics.vector().equal(&before), "and leaves the statistics alone");

    let statistics = Flat::over(net.statistics.layout().clone(), before.copy());
    assert_eq!(net.project(&images, &statistics).size(), [6, 128]);
    assert!(net.statistics.vector().equal(&before) && !statistics.vector().equal(&before));
}
