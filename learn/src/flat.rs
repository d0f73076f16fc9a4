//! Named tensors that share one flat vector.
//!
//! A model's parameters are views into one vector, and so are its BatchNorm statistics. What treats all of them alike
//! (the sum over shards, the optimiser, a checkpoint, a broadcast) is then a few operations on that vector; what needs
//! names (layers, exports, LARS) takes the views.

use std::sync::Arc;

use tch::{Device, Kind, Tensor};

/// Views begin on a cache line (64 bytes of f32), so that kernels see the same alignment whatever comes before them.
const ALIGNMENT: i64 = 16;

/// What a named tensor is for. It decides the first values, and what LARS and weight decay do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `[out, in, height, width]`
    Convolution,
    /// `[out, in]`
    Linear,
    /// `[out]`, of a linear layer with `inputs`.
    Bias {
        inputs: i64,
    },
    NormWeight,
    NormBias,
    RunningMean,
    RunningVariance,
}

impl Role {
    /// Whether it is a matrix or a filter. SimCLR's LARS leaves the others alone.
    pub fn is_matrix(self) -> bool {
        matches!(self, Self::Convolution | Self::Linear)
    }
}

/// Where one named tensor is in the vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// As in torchvision: "layer1.0.bn1.weight".
    pub name: String,
    pub shape: Vec<i64>,
    pub role: Role,
    pub offset: i64,
}

impl Slot {
    /// Elements of the tensor.
    pub fn numel(&self) -> i64 {
        self.shape.iter().product()
    }

    /// This slot of `vector`, in its own shape; shares memory.
    pub fn view(&self, vector: &Tensor) -> Tensor {
        vector.narrow(0, self.offset, self.numel()).view(self.shape.as_slice())
    }
}

/// The slots of named tensors, in the order in which they were added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    slots: Vec<Slot>,
    len: i64,
}

impl Layout {
    /// Adds a tensor and returns its index.
    pub fn add(&mut self, name: String, shape: &[i64], role: Role) -> usize {
        let slot = Slot { name, shape: shape.to_vec(), role, offset: self.len };
        self.len += (slot.numel() + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        self.slots.push(slot);
        self.slots.len() - 1
    }

    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Elements of the vector, padding included.
    pub fn len(&self) -> i64 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// A vector and the named views into it, which share its memory.
#[derive(Debug)]
pub struct FlatTensors {
    layout: Arc<Layout>,
    vector: Tensor,
    views: Vec<Tensor>,
}

impl FlatTensors {
    /// All zeros.
    pub fn zeros(layout: Arc<Layout>, device: Device) -> Self {
        let vector = Tensor::zeros([layout.len()], (Kind::Float, device));
        Self::over(layout, vector)
    }

    /// Views into an existing vector of `layout.len()` elements.
    pub fn over(layout: Arc<Layout>, vector: Tensor) -> Self {
        let views = layout.slots().iter().map(|slot| slot.view(&vector)).collect();
        Self { layout, vector, views }
    }

    /// The same memory; the views become leaves that gradients flow to.
    pub fn with_gradients(self) -> Self {
        let views = self.views.iter().map(|view| view.detach().set_requires_grad(true)).collect();
        Self { views, ..self }
    }

    /// The same memory with leaves of its own, whose gradients are separate.
    pub fn alias(&self) -> Self {
        Self::over(self.layout.clone(), self.vector.shallow_clone()).with_gradients()
    }

    /// The same memory without gradients.
    pub fn frozen(self) -> Self {
        Self::over(self.layout, self.vector)
    }

    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    pub fn vector(&self) -> &Tensor {
        &self.vector
    }

    pub fn views(&self) -> &[Tensor] {
        &self.views
    }

    pub fn get(&self, index: usize) -> &Tensor {
        &self.views[index]
    }

    /// Overwrites everything with `vector`.
    pub fn assign(&mut self, vector: &Tensor) {
        tch::no_grad(|| self.vector.copy_(vector));
    }

    pub fn named(&self) -> impl Iterator<Item = (&Slot, &Tensor)> {
        self.layout.slots().iter().zip(&self.views)
    }
}
