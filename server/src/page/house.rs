//! What the handlers of pages share.

use std::sync::Arc;

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::live::Lives;
use crate::{
    access::{Gate, cookie::Cookies},
    rpc::Admission,
    sharing::outlook::Outlooks,
    store::Store,
    store_folder::StoreFolder,
};

#[derive(Clone)]
pub(crate) struct House {
    pub(crate) store: Store,
    pub(crate) gate: Arc<Gate>,
    pub(crate) cookies: Cookies,
    pub(crate) admission: Admission,
    pub(crate) outlooks: Outlooks,
    pub(crate) folder: StoreFolder,
    pub(crate) lives: Lives,
    /// Streams end when it is cancelled ...
    pub(crate) closing: CancellationToken,
    /// ... and are waited for here.
    pub(crate) streams: TaskTracker,
}
