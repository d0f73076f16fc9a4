//! The functions of `csrc/`, as declared there.

use std::ffi::{c_char, c_void};

/// `tandem::RendezvousStore`.
#[repr(C)]
pub(super) struct RendezvousStore {
    _opaque: [u8; 0],
}

/// `tandem::ProcessGroup`.
#[repr(C)]
pub(super) struct ProcessGroup {
    _opaque: [u8; 0],
}

/// `tandem::GlooDevice`.
#[repr(C)]
pub(super) struct GlooDevice {
    _opaque: [u8; 0],
}

/// `c10d::Backend`, owned.
#[repr(C)]
pub(super) struct Backend {
    _opaque: [u8; 0],
}

/// `at::Tensor*`, which is what tch's `Tensor` holds.
pub(super) type TensorPtr = *const c_void;
pub(super) type GroupPtr = *mut ProcessGroup;
pub(super) type StorePtr = *mut RendezvousStore;
pub(super) type GlooDevicePtr = *mut GlooDevice;
/// Receives a message to be freed by [`tandem_free`] where the status is not 0.
pub(super) type Message = *mut *mut c_char;

unsafe extern "C" {
    pub(super) fn tandem_free(message: *mut c_char);

    pub(super) fn tandem_set_tf32(allowed: bool, message: Message) -> i32;
    pub(super) fn tandem_get_tf32(convolutions: *mut bool, products: *mut bool, message: Message) -> i32;

    pub(super) fn tandem_store_listen(
        host: *const c_char,
        listener: i32,
        port: u16,
        timeout_ms: i64,
        store: *mut StorePtr,
        message: Message,
    ) -> i32;
    pub(super) fn tandem_store_connect(
        host: *const c_char,
        port: u16,
        timeout_ms: i64,
        store: *mut StorePtr,
        message: Message,
    ) -> i32;
    pub(super) fn tandem_store_free(store: StorePtr);

    pub(super) fn tandem_gloo_device(host: *const c_char, device: *mut GlooDevicePtr, message: Message) -> i32;
    pub(super) fn tandem_gloo_device_move_to(
        device: GlooDevicePtr,
        port: u16,
        moved: *mut bool,
        message: Message,
    ) -> i32;
    pub(super) fn tandem_gloo_device_free(device: GlooDevicePtr);

    pub(super) fn tandem_group_gloo(
        store: *const RendezvousStore,
        prefix: *const c_char,
        rank: i32,
        world_size: i32,
        device: *const GlooDevice,
        timeout_ms: i64,
        group: *mut GroupPtr,
        message: Message,
    ) -> i32;
    pub(super) fn tandem_group_nccl(
        store: *const RendezvousStore,
        prefix: *const c_char,
        main: *mut Backend,
        autograd: *mut Backend,
        group: *mut GroupPtr,
        message: Message,
    ) -> i32;
    pub(super) fn tandem_backend_free(backend: *mut Backend);
    pub(super) fn tandem_group_free(group: GroupPtr);
    pub(super) fn tandem_group_abort(group: GroupPtr, message: Message) -> i32;

    pub(super) fn tandem_refuse(group: GroupPtr, autograd: bool, message: Message) -> i32;
    pub(super) fn tandem_agree_tree_sum(group: GroupPtr, tensor: TensorPtr, shards: i64, message: Message) -> i32;
    pub(super) fn tandem_all_reduce_sum(group: GroupPtr, tensor: TensorPtr, message: Message) -> i32;
    pub(super) fn tandem_broadcast(group: GroupPtr, tensor: TensorPtr, root: i64, message: Message) -> i32;
    pub(super) fn tandem_barrier(group: GroupPtr, message: Message) -> i32;
    pub(super) fn tandem_all_gather(group: GroupPtr, tensor: TensorPtr, out: *mut *mut c_void, message: Message)
    -> i32;
    pub(super) fn tandem_shard_sum(group: GroupPtr, rows: TensorPtr, out: *mut *mut c_void, message: Message) -> i32;
    pub(super) fn tandem_convolution(
        x: TensorPtr,
        weight: TensorPtr,
        stride: i64,
        padding: i64,
        y: *mut *mut c_void,
        message: Message,
    ) -> i32;
    pub(super) fn tandem_batch_norm_relu(
        x: TensorPtr,
        residual: TensorPtr,
        scale: TensorPtr,
        shift: TensorPtr,
        running_mean: TensorPtr,
        running_variance: TensorPtr,
        momentum: f64,
        epsilon: f64,
        then: i64,
        y: *mut *mut c_void,
        message: Message,
    ) -> i32;
    pub(super) fn tandem_batch_norm_relu_jvp(
        x: TensorPtr,
        t: TensorPtr,
        residual: TensorPtr,
        residual_tangent: TensorPtr,
        scale: TensorPtr,
        shift: TensorPtr,
        running_mean: TensorPtr,
        running_variance: TensorPtr,
        momentum: f64,
        epsilon: f64,
        then: i64,
        y: *mut *mut c_void,
        y_tangent: *mut *mut c_void,
        message: Message,
    ) -> i32;
    pub(super) fn tandem_batch_norm_jvp(
        x: TensorPtr,
        t: TensorPtr,
        scale: TensorPtr,
        shift: TensorPtr,
        running_mean: TensorPtr,
        running_variance: TensorPtr,
        momentum: f64,
        epsilon: f64,
        y: *mut *mut c_void,
        y_tangent: *mut *mut c_void,
        message: Message,
    ) -> i32;
    pub(super) fn tandem_libtorch_build(
        version: *mut *mut c_char,
        build: *mut *mut c_char,
        instructions: *mut *mut c_char,
        message: Message,
    ) -> i32;
    pub(super) fn tandem_send(group: GroupPtr, tensor: TensorPtr, to: i32, message: Message) -> i32;
    pub(super) fn tandem_recv(group: GroupPtr, tensor: TensorPtr, from: i32, message: Message) -> i32;
}

/// `tandem_nccl_backend` of the plugin, looked up at run time.
pub(super) type NcclBackend = unsafe extern "C" fn(
    store: *const RendezvousStore,
    prefix: *const c_char,
    rank: i32,
    world_size: i32,
    device: i32,
    timeout_ms: i64,
    backend: *mut *mut Backend,
    message: Message,
) -> i32;
