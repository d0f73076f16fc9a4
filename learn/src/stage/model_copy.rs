//! The best weights of a run so far.

use crate::encoder::Model;
use crate::flat::FlatTensors;

/// A copy of a model's parameters and statistics.
pub(super) struct ModelCopy {
    parameters: FlatTensors,
    statistics: FlatTensors,
}

impl ModelCopy {
    pub(super) fn of(model: &Model) -> Self {
        let copy = |flat: &FlatTensors| FlatTensors::over(flat.layout().clone(), flat.vector().copy());
        Self { parameters: copy(&model.parameters), statistics: copy(&model.statistics) }
    }

    pub(super) fn restore(&self, model: &mut Model) {
        model.parameters.assign(self.parameters.vector());
        model.statistics.assign(self.statistics.vector());
    }

    pub(super) fn update(&mut self, model: &Model) {
        self.parameters.assign(model.parameters.vector());
        self.statistics.assign(model.statistics.vector());
    }

    /// As a checkpoint holds it.
    pub(super) fn state(&self) -> [(&'static str, &FlatTensors); 2] {
        [("best.parameters.", &self.parameters), ("best.statistics.", &self.statistics)]
    }
}
