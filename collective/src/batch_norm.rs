//! BatchNorm with what follows it, and its Jacobian-vector product, each as one operation with a fused backward pass.

use tch::{Device, Kind, Tensor};

use crate::then::Then;
use crate::{Error, ffi};

/// A BatchNorm's tensors, `[C]` each, and constants.
#[derive(Clone, Copy, Debug)]
pub struct BatchNorm<'a> {
    pub scale: &'a Tensor,
    pub shift: &'a Tensor,
    /// Updated by a training pass.
    pub running_mean: &'a Tensor,
    pub running_variance: &'a Tensor,
    /// Weight of a new batch in the running statistics.
    pub momentum: f64,
    pub epsilon: f64,
}

impl BatchNorm<'_> {
    /// `x` `[N, C, ...]` normalised by its own statistics, and what follows. Updates the running statistics.
    ///
    /// Images `[N, C, H, W]` and rows `[N, C]` in main memory, in f32 or f64, take one pass for the sums and one for the
    /// result, forward and backward; images come out channels-last. Everything else takes libtorch's operations, one by
    /// one. The bits do not depend on the number of threads. There are derivatives of first and second order. Fails where
    /// shapes do not fit.
    pub fn normalise(&self, x: &Tensor, then: Then<&Tensor>) -> Result<Tensor, Error> {
        let residual = then.residual();
        self.check(x, residual.map(|residual| ("residual", residual)).as_slice())?;
        if fuses(x, self.scale) {
            return ffi::batch_norm_relu(x, then, self.tensors(), self.momentum, self.epsilon);
        }
        let [scale, shift, mean, variance] = self.tensors().map(Some);
        let mut y = x.f_batch_norm(scale, shift, mean, variance, true, self.momentum, self.epsilon, true)?;
        // In place, as autograd allows: BatchNorm's backward pass needs its input, addition's nothing, ReLU's its output.
        if let Some(residual) = residual {
            y = y.f_add_(residual)?;
        }
        match then {
            Then::Nothing => Ok(y),
            Then::Relu | Then::AddRelu(_) => Ok(y.f_relu_()?),
        }
    }

    /// As [`normalise`](Self::normalise), and the derivative of the result along `t`, shaped as `x`; a residual comes
    /// with its own tangent.
    ///
    /// Both results have first derivatives by `x`, `t`, scale, shift and the residual. Fails where shapes do not fit.
    pub fn jvp(&self, x: &Tensor, t: &Tensor, then: Then<(&Tensor, &Tensor)>) -> Result<(Tensor, Tensor), Error> {
        let mut alike = vec![("t", t)];
        if let Then::AddRelu((residual, tangent)) = then {
            alike.extend([("residual", residual), ("the residual's tangent", tangent)]);
        }
        self.check(x, &alike)?;
        if fuses(x, self.scale) && t.kind() == x.kind() {
            return ffi::batch_norm_relu_jvp(x, t, then, self.tensors(), self.momentum, self.epsilon);
        }
        let (mut y, mut tangent) = ffi::batch_norm_jvp(x, t, self.tensors(), self.momentum, self.epsilon)?;
        if let Then::AddRelu((residual, residual_tangent)) = then {
            (y, tangent) = (y.f_add_(residual)?, tangent.f_add_(residual_tangent)?);
        }
        match then {
            Then::Nothing => Ok((y, tangent)),
            Then::Relu | Then::AddRelu(_) => {
                let y = y.f_relu_()?;
                // The derivative at zero is zero, as in autograd.
                let tangent = y.detach().f_threshold_backward(&tangent, 0)?;
                Ok((y, tangent))
            }
        }
    }

    fn tensors(&self) -> [&Tensor; 4] {
        [self.scale, self.shift, self.running_mean, self.running_variance]
    }

    /// The kernels do not check shapes.
    fn check(&self, x: &Tensor, alike: &[(&str, &Tensor)]) -> Result<(), Error> {
        let size = x.size();
        let channels: Vec<i64> = size.iter().skip(1).take(1).copied().collect();
        let alike = alike.iter().map(|&(name, tensor)| (name, tensor, &size));
        let by_channel = ["scale", "shift", "running mean", "running variance"].into_iter().zip(self.tensors());
        for (name, tensor, expected) in alike.chain(by_channel.map(|(name, tensor)| (name, tensor, &channels))) {
            if size.len() < 2 || tensor.size() != *expected {
                let found = tensor.size();
                return Err(Error::Invalid(format!("BatchNorm of {size:?}: {name} is {found:?}, not {expected:?}")));
            }
        }
        Ok(())
    }
}

/// Whether csrc/kernels has loops for it.
fn fuses(x: &Tensor, scale: &Tensor) -> bool {
    let kind = x.kind();
    x.device() == Device::Cpu
        && matches!(kind, Kind::Float | Kind::Double)
        && scale.kind() == kind
        && matches!(x.dim(), 2 | 4)
        && x.numel() > 0
}
