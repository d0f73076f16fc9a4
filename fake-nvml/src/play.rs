//! Answers by the box: read when its file has changed, as late as it says, and with the errors that it says.

use std::{
    env, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{LazyLock, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use nvml_wrapper_sys::bindings::{
    nvmlReturn_enum_NVML_ERROR_DRIVER_NOT_LOADED as DRIVER_NOT_LOADED,
    nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT as INVALID_ARGUMENT, nvmlReturn_t,
};

use crate::{
    BOX_FILE,
    boxes::{Card, FakeBox},
};

/// An answer, or what NVML returns in place of one.
pub(crate) type Answer<T> = Result<T, nvmlReturn_t>;

/// What tells that a file has changed: it is replaced, or written again.
type Stamp = (u64, i64, i64, u64);

/// A counter of energy rises from its first reading on.
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

static READ: Mutex<Option<(PathBuf, Stamp, FakeBox)>> = Mutex::new(None);

/// The box as it is now. One that cannot be read is a machine without a driver.
fn current() -> Answer<FakeBox> {
    let file = env::var_os(BOX_FILE).map(PathBuf::from).ok_or(DRIVER_NOT_LOADED)?;
    let stamp = stamp(&file).ok_or(DRIVER_NOT_LOADED)?;
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    match &*read {
        Some((known, at, current)) if *known == file && *at == stamp => Ok(current.clone()),
        _ => {
            let text = fs::read(&file).map_err(|_| DRIVER_NOT_LOADED)?;
            let current: FakeBox = serde_json::from_slice(&text).map_err(|error| {
                eprintln!("fake NVML: {} is no box: {error}", file.display());
                DRIVER_NOT_LOADED
            })?;
            *read = Some((file, stamp, current.clone()));
            Ok(current)
        }
    }
}

/// Of a card that uses so much in a second; both in millijoules.
pub(crate) fn energy_so_far(a_second: u32) -> u64 {
    u64::from(a_second) * u64::try_from(BEGAN.elapsed().as_millis()).unwrap_or(u64::MAX) / 1000
}

fn stamp(file: &Path) -> Option<Stamp> {
    let seen = fs::metadata(file).ok()?;
    Some((seen.ino(), seen.mtime(), seen.mtime_nsec(), seen.len()))
}

/// One call that is about the whole box.
pub(crate) fn of_box<T>(answer: impl FnOnce(&FakeBox) -> Answer<T>) -> Answer<T> {
    let current = current()?;
    thread::sleep(Duration::from_millis(current.slow_ms));
    match current.error {
        Some(error) => Err(error),
        None => answer(&current),
    }
}

/// One call that is about a card, by its index.
pub(crate) fn of_card<T>(index: usize, answer: impl FnOnce(&Card) -> Answer<T>) -> Answer<T> {
    of_box(|current| {
        let card = current.cards.get(index).ok_or(INVALID_ARGUMENT)?;
        thread::sleep(Duration::from_millis(card.slow_ms));
        match card.error {
            Some(error) => Err(error),
            None => answer(card),
        }
    })
}
