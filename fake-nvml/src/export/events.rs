//! Events, of which there is one kind: Xid errors.
#![expect(unsafe_code, reason = "functions that C code calls by their names")]

use std::{
    collections::BTreeMap,
    ffi::{c_uint, c_ulonglong},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use nvml_wrapper_sys::bindings::{
    nvmlDevice_t, nvmlEventData_t, nvmlEventSet_t, nvmlEventTypeXidCriticalError,
    nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT as INVALID_ARGUMENT, nvmlReturn_enum_NVML_ERROR_TIMEOUT as TIMEOUT,
    nvmlReturn_enum_NVML_SUCCESS as SUCCESS, nvmlReturn_t,
};

use super::handle::{device, index, put};
use crate::play::{Answer, of_box, of_card};

/// How often the file is looked at while somebody waits.
const LOOK: Duration = Duration::from_millis(20);

/// Of each set, by its handle: how many errors of each card were told.
static SETS: Mutex<BTreeMap<usize, BTreeMap<usize, usize>>> = Mutex::new(BTreeMap::new());

/// How many errors of each card were told to anybody: whoever asks later waits for those that come after, and for those that
/// nobody was told of yet.
static TOLD: Mutex<BTreeMap<usize, usize>> = Mutex::new(BTreeMap::new());

fn sets() -> MutexGuard<'static, BTreeMap<usize, BTreeMap<usize, usize>>> {
    SETS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlEventSetCreate(to: *mut nvmlEventSet_t) -> nvmlReturn_t {
    let made = of_box(|_| {
        let mut sets = sets();
        let handle = sets.keys().next_back().map_or(1, |last| last + 1);
        sets.insert(handle, BTreeMap::new());
        Ok(handle as nvmlEventSet_t)
    });
    // SAFETY: as NVML asks of its callers.
    unsafe { put(to, made) }
}

#[unsafe(no_mangle)]
extern "C" fn nvmlEventSetFree(set: nvmlEventSet_t) -> nvmlReturn_t {
    sets().remove(&(set as usize));
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceRegisterEvents(card: nvmlDevice_t, _kinds: c_ulonglong, set: nvmlEventSet_t) -> nvmlReturn_t {
    let known = of_card(index(card), |known| Ok(known.xids.len()));
    match (known, sets().get_mut(&(set as usize))) {
        (Err(error), _) => error,
        (Ok(_), None) => INVALID_ARGUMENT,
        (Ok(now), Some(told)) => {
            told.insert(index(card), now.min(told_of(index(card), 0)));
            SUCCESS
        }
    }
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetSupportedEventTypes(card: nvmlDevice_t, to: *mut c_ulonglong) -> nvmlReturn_t {
    let kinds = of_card(index(card), |_| Ok(nvmlEventTypeXidCriticalError.into()));
    // SAFETY: as NVML asks of its callers.
    unsafe { put(to, kinds) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlEventSetWait_v2(
    set: nvmlEventSet_t,
    to: *mut nvmlEventData_t,
    limit_ms: c_uint,
) -> nvmlReturn_t {
    let until = Instant::now() + Duration::from_millis(limit_ms.into());
    let answer = loop {
        match next(set as usize) {
            Ok(Some(event)) => break Ok(event),
            Err(error) => break Err(error),
            Ok(None) if Instant::now() >= until => break Err(TIMEOUT),
            Ok(None) => thread::sleep(LOOK),
        }
    };
    // SAFETY: as NVML asks of its callers.
    unsafe { put(to, answer) }
}

/// How many errors of a card were told to anybody, with those that are told now.
fn told_of(card: usize, now: usize) -> usize {
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    let told = told.entry(card).or_default();
    *told = (*told).max(now);
    *told
}

/// The first error that this set was not told of.
fn next(set: usize) -> Answer<Option<nvmlEventData_t>> {
    let cards: Vec<usize> = sets().get(&set).ok_or(INVALID_ARGUMENT)?.keys().copied().collect();
    for card in cards {
        let xids = of_card(card, |known| Ok(known.xids.clone()))?;
        let mut sets = sets();
        let Some(told) = sets.get_mut(&set).and_then(|told| told.get_mut(&card)) else { continue };
        if let Some(&xid) = xids.get(*told) {
            *told += 1;
            told_of(card, *told);
            return Ok(Some(nvmlEventData_t {
                device: device(card),
                eventType: nvmlEventTypeXidCriticalError.into(),
                eventData: xid,
                gpuInstanceId: c_uint::MAX,
                computeInstanceId: c_uint::MAX,
            }));
        }
        *told = (*told).min(xids.len());
    }
    Ok(None)
}
