use std::ptr;

use tch::Tensor;

use super::process_group::{owned, pointer};
use super::raw;
use super::status::call;
use crate::Error;
use crate::norm::BatchNorm;

pub(crate) fn moving_norm(norm: &BatchNorm<'_>, x: &Tensor, t: &Tensor) -> Result<(Tensor, Tensor), Error> {
    let (mut y, mut rate) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: all tensors are alive; libtorch checks kinds and shapes and throws; `y` and `rate` are places to write to.
    call("BatchNorm along a direction", |message| unsafe {
        raw::tandem_moving_norm(
            pointer(x),
            pointer(t),
            pointer(norm.scale),
            pointer(norm.shift),
            pointer(norm.running_mean),
            pointer(norm.running_variance),
            norm.momentum,
            norm.epsilon,
            &mut y,
            &mut rate,
            message,
        )
    })?;
    Ok((owned(y), owned(rate)))
}
