//! What follows BatchNorm.

/// What follows BatchNorm in the same pass over memory.
#[derive(Clone, Copy, Debug)]
pub enum Then<R> {
    Nothing,
    Relu,
    /// The addition of a residual, shaped as BatchNorm's input, and ReLU.
    AddRelu(R),
}

impl<R> Then<R> {
    /// The same, with what `of` makes of the residual.
    pub fn map<T>(self, of: impl FnOnce(R) -> T) -> Then<T> {
        match self {
            Self::Nothing => Then::Nothing,
            Self::Relu => Then::Relu,
            Self::AddRelu(residual) => Then::AddRelu(of(residual)),
        }
    }

    pub(crate) fn residual(self) -> Option<R> {
        match self {
            Self::AddRelu(residual) => Some(residual),
            Self::Nothing | Self::Relu => None,
        }
    }

    /// `tandem::Then`.
    pub(crate) fn code(&self) -> i64 {
        match self {
            Self::Nothing => 0,
            Self::Relu => 1,
            Self::AddRelu(_) => 2,
        }
    }
}
