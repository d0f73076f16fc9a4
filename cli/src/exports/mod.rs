//! Jobs as other trackers have them: what is written, without asking anybody. [`tfevents`] is TensorBoard's file, [`run`] a run of
//! MLflow as its REST takes it.

pub(crate) mod run;
pub(crate) mod tfevents;
