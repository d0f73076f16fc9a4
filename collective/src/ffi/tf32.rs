use super::raw;
use super::status::call;
use crate::Error;

pub(crate) fn set_tf32(allowed: bool) -> Result<(), Error> {
    // SAFETY: `message` is a place to write to.
    call("setting TF32", |message| unsafe { raw::tandem_set_tf32(allowed, message) })
}

/// Of convolutions and of matrix products.
pub(crate) fn tf32() -> Result<(bool, bool), Error> {
    let (mut convolutions, mut products) = (false, false);
    // SAFETY: all three are places to write to.
    call("reading TF32", |message| unsafe { raw::tandem_get_tf32(&mut convolutions, &mut products, message) })?;
    Ok((convolutions, products))
}
