//! A convolution whose weight's gradient is a matrix product on small maps.

use tch::{Device, Kind, Tensor};

use crate::{Error, ffi};

/// `x` `[N, C, H, W]` under the square kernel `weight` `[O, C, K, K]`, without bias.
///
/// On a CPU in f32 or f64, where the result has at most 8 x 8 pixels, the gradient by the weight is a matrix product with the
/// patches under the kernel; everything else is libtorch's. There are derivatives of first and second order. Fails where
/// shapes do not fit.
pub fn convolution(x: &Tensor, weight: &Tensor, stride: i64, padding: i64) -> Result<Tensor, Error> {
    let can =
        x.device() == Device::Cpu && matches!(x.kind(), Kind::Float | Kind::Double) && x.dim() == 4 && x.numel() > 0;
    // Without a gradient by the weight there is nothing of ours in it.
    if can && weight.requires_grad() {
        return ffi::convolution(x, weight, stride, padding);
    }
    Ok(x.f_conv2d(weight, None::<Tensor>, [stride; 2], [padding; 2], [1; 2], 1)?)
}
