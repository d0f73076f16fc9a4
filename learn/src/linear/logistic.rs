//! Multinomial logistic regression with a ridge on standardised features, and the layer that it gives.

use tch::{Kind, Tensor};

use super::lbfgs::Differentiable;

/// Features with mean 0 and deviation 1 over the labelled images, in f64.
#[derive(Debug)]
pub struct Standardised {
    /// `[N, F]`
    pub features: Tensor,
    mean: Tensor,
    deviation: Tensor,
}

impl Standardised {
    /// From `[N, F]` in f32. A constant feature is only centred.
    pub fn new(features: &Tensor) -> Self {
        let features = features.to_kind(Kind::Double);
        let mean = features.mean_dim([0i64].as_slice(), false, None);
        let deviation = features.std_dim([0i64].as_slice(), false, false);
        let deviation = deviation.where_scalarother(&deviation.gt(1e-9), 1.0);
        Self { features: (features - &mean) / &deviation, mean, deviation }
    }
}

/// mean cross-entropy + ridge/2 ‖W‖² as a function of the flat `[W | b]`; W is `[C, F]`, b is `[C]` and not penalised.
#[derive(Debug)]
pub struct Logistic<'a> {
    features: &'a Tensor,
    /// `[N, C]`, one-hot.
    targets: Tensor,
    classes: i64,
    ridge: f64,
}

impl<'a> Logistic<'a> {
    /// `labels` are i64 `[N]`.
    pub fn new(data: &'a Standardised, labels: &Tensor, classes: i64, ridge: f64) -> Self {
        Self { features: &data.features, targets: labels.one_hot(classes).to_kind(Kind::Double), classes, ridge }
    }

    /// All zeros: every class equally likely.
    pub fn start(&self) -> Tensor {
        Tensor::zeros([self.classes * (self.width() + 1)], (Kind::Double, self.features.device()))
    }

    fn width(&self) -> i64 {
        self.features.size()[1]
    }

    fn split(&self, x: &Tensor) -> (Tensor, Tensor) {
        let weights = self.classes * self.width();
        (x.narrow(0, 0, weights).view([self.classes, self.width()]), x.narrow(0, weights, self.classes))
    }

    /// The solution `x` as a layer on features that are *not* standardised.
    pub fn layer(&self, x: &Tensor, data: &Standardised) -> Layer {
        let (weight, bias) = self.split(x);
        let weight = weight / &data.deviation;
        let bias = bias - weight.mv(&data.mean);
        Layer { weight: weight.to_kind(Kind::Float).contiguous(), bias: bias.to_kind(Kind::Float).contiguous() }
    }
}

impl Differentiable for Logistic<'_> {
    fn value_and_grad(&self, x: &Tensor) -> (f64, Tensor) {
        tch::no_grad(|| {
            let (weight, bias) = self.split(x);
            let logs = self.features.linear(&weight, Some(&bias)).log_softmax(1, Kind::Double);
            let count = self.features.size()[0] as f64;
            let entropy = -(&self.targets * &logs).sum(Kind::Double) / count;
            let penalty = weight.square().sum(Kind::Double) * (0.5 * self.ridge);
            let residual = (logs.exp() - &self.targets) / count;
            let weight_grad = residual.tr().matmul(self.features) + weight * self.ridge;
            let bias_grad = residual.sum_dim_intlist([0i64].as_slice(), false, None);
            ((entropy + penalty).double_value(&[]), Tensor::cat(&[weight_grad.view(-1), bias_grad], 0))
        })
    }
}

/// The linear layer that is evaluated and exported as `fc`: `[C, F]` and `[C]`, f32.
#[derive(Debug)]
pub struct Layer {
    pub weight: Tensor,
    pub bias: Tensor,
}

impl Layer {
    /// Mean cross-entropy on `[N, F]` features of images with i64 `labels`.
    pub fn cross_entropy(&self, features: &Tensor, labels: &Tensor) -> f64 {
        tch::no_grad(|| {
            let logits = features.linear(&self.weight, Some(&self.bias)).to_kind(Kind::Double);
            logits.cross_entropy_for_logits(labels).double_value(&[])
        })
    }

    /// `[N, F]` features to `[N]` classes.
    pub fn classify(&self, features: &Tensor) -> Tensor {
        tch::no_grad(|| features.linear(&self.weight, Some(&self.bias)).argmax(1, false))
    }
}

/// Share of equal elements, 0 to 1.
pub fn accuracy(guessed: &Tensor, labels: &Tensor) -> f64 {
    guessed.eq_tensor(labels).to_kind(Kind::Double).mean(None).double_value(&[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::Lbfgs;
    use tch::Device;

    /// Three overlapping clouds in four dimensions of unlike scale.
    fn clouds() -> (Tensor, Tensor) {
        tch::manual_seed(3);
        let labels = Tensor::arange(150, (Kind::Int64, Device::Cpu)).remainder(3);
        let centres = Tensor::randn([3, 4], (Kind::Float, Device::Cpu));
        let noise = Tensor::randn([150, 4], (Kind::Float, Device::Cpu));
        let scale = Tensor::from_slice(&[1f32, 100., 0.01, 5.]);
        ((centres.index_select(0, &labels) + noise) * scale + 3.0, labels)
    }

    #[test]
    fn the_optimum_is_that_of_long_gradient_descent() {
        let (features, labels) = clouds();
        let data = Standardised::new(&features);
        let problem = Logistic::new(&data, &labels, 3, 1e-2);
        let exact = Lbfgs { iterations: 200, gradient_tolerance: 1e-9, value_tolerance: 0.0, ..Lbfgs::default() };
        let found = exact.minimise(&problem, problem.start(), |_, _| true);
        let mut x = problem.start();
        for _ in 0..4000 {
            x -= problem.value_and_grad(&x).1 * 0.5;
        }
        assert!(
            (found.value - problem.value_and_grad(&x).0).abs() < 1e-9,
            "{} and {}",
            found.value,
            problem.value_and_grad(&x).0
        );
        assert!((found.x - x).abs().max().double_value(&[]) < 1e-4);
    }

    #[test]
    fn the_gradient_is_autograds() {
        let (features, labels) = clouds();
        let data = Standardised::new(&features);
        let problem = Logistic::new(&data, &labels, 3, 0.1);
        let x = Tensor::randn([15], (Kind::Double, Device::Cpu)).set_requires_grad(true);
        let (weight, bias) = problem.split(&x);
        let loss = data.features.linear(&weight, Some(&bias)).log_softmax(1, Kind::Double).nll_loss(&labels)
            + weight.square().sum(Kind::Double) * 0.05;
        let expected = Tensor::run_backward(&[&loss], &[&x], false, false).remove(0);
        let (value, gradient) = problem.value_and_grad(&x.detach());
        assert!((value - loss.double_value(&[])).abs() < 1e-12);
        assert!((gradient - expected).abs().max().double_value(&[]) < 1e-12);
    }

    /// Standardisation is folded into the layer: raw features give the standardised problem's answers.
    #[test]
    fn the_layer_takes_raw_features() {
        let (features, labels) = clouds();
        let data = Standardised::new(&features);
        let problem = Logistic::new(&data, &labels, 3, 1e-2);
        let found = Lbfgs::default().minimise(&problem, problem.start(), |_, _| true);
        let (weight, bias) = problem.split(&found.x);
        let expected = data.features.linear(&weight, Some(&bias)).argmax(1, false);
        let guessed = problem.layer(&found.x, &data).classify(&features);
        assert!(guessed.equal(&expected));
        assert!(accuracy(&guessed, &labels) > 0.6);
    }

    #[test]
    fn a_feature_that_never_changes_does_no_harm() {
        let features = Tensor::from_slice(&[7f32, 1., 7., 2., 7., 3.]).view([3, 2]);
        let data = Standardised::new(&features);
        assert!(bool::try_from(data.features.isfinite().all()).unwrap());
    }
}
