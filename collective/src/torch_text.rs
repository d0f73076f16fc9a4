//! What libtorch's messages mean. Most of its exceptions are of one type, and through tch and autograd all of them are
//! text: so this table is the one place that reads it. What is not in it stays [`Error::Torch`], of which nobody knows
//! the cause.

use tch::TchError;

use crate::Error;

type Meaning = fn(String) -> Error;

/// Written by `marker()` in csrc/status.cpp, in front of an error that passes through autograd. What follows is its text.
const MARKERS: [(&str, Meaning); 6] = [
    ("collective peer lost: ", Error::PeerLost),
    ("collective timeout: ", Error::Timeout),
    ("collective invalid: ", Error::Invalid),
    ("collective unequal: ", Error::Unequal),
    ("collective host memory: ", Error::HostMemory),
    ("collective device memory: ", Error::DeviceMemory),
];

/// The first line whose phrase occurs counts: an exact phrase stands above one that it contains.
///
/// Not here, on purpose: "could not create a primitive" (oneDNN says it for a lack of memory, for a sandbox that forbids
/// generated code, and for operands that it cannot handle), and "an illegal memory access was encountered" and
/// "device-side assert triggered", which a program's error can cause as well as a device's.
const PHRASES: [(&str, Meaning); 35] = [
    // c10's allocators; the second is that of other systems than Linux.
    ("DefaultCPUAllocator: can't allocate memory", Error::HostMemory),
    ("DefaultCPUAllocator: not enough memory", Error::HostMemory),
    ("std::bad_alloc", Error::HostMemory),
    ("Cannot allocate memory", Error::HostMemory),
    ("CUDA out of memory", Error::DeviceMemory),
    ("CUDA error: out of memory", Error::DeviceMemory),
    ("cudaErrorMemoryAllocation", Error::DeviceMemory),
    ("CUBLAS_STATUS_ALLOC_FAILED", Error::DeviceMemory),
    ("CUDNN_STATUS_ALLOC_FAILED", Error::DeviceMemory),
    // Of the CUDA runtime, as cudaGetErrorString() writes them.
    ("uncorrectable ECC error", Error::Device),
    ("uncorrectable NVLink error", Error::Device),
    ("unspecified launch failure", Error::Device),
    ("the launch timed out and was terminated", Error::Device),
    ("hardware stack error", Error::Device),
    ("an illegal instruction was encountered", Error::Device),
    ("CUDA-capable device(s) is/are busy or unavailable", Error::Device),
    ("no CUDA-capable device is detected", Error::Device),
    ("CUDA driver error", Error::Device),
    ("CUDA unknown error", Error::Device),
    ("CUDA error: unknown error", Error::Device),
    ("CUDA error: initialization error", Error::Device),
    ("system not yet initialized", Error::Device),
    ("CUDNN_STATUS_NOT_INITIALIZED", Error::Device),
    ("CUBLAS_STATUS_NOT_INITIALIZED", Error::Device),
    ("CUDA driver version is insufficient", Error::Unavailable),
    ("no kernel image is available for execution", Error::Unavailable),
    ("invalid device ordinal", Error::Unavailable),
    // Of NCCL.
    ("remote process exited or there was a network error", Error::PeerLost),
    ("Watchdog caught collective operation timeout", Error::Timeout),
    // Shapes: only the spec, or this program, can be the cause.
    ("shapes cannot be multiplied", Error::Invalid),
    ("must match the size of tensor", Error::Invalid),
    ("Sizes of tensors must match", Error::Invalid),
    ("is invalid for input of size", Error::Invalid),
    ("Kernel size can't be greater than actual input size", Error::Invalid),
    ("Given groups=", Error::Invalid),
];

/// The error that libtorch's `text` tells of.
pub(crate) fn error(text: &str) -> Error {
    if let Some((meaning, detail)) =
        MARKERS.iter().find_map(|(marker, meaning)| Some((meaning, text.split_once(marker)?.1)))
    {
        return meaning(plain(detail));
    }
    let meaning = PHRASES.iter().find(|(phrase, _)| text.contains(phrase)).map_or(Error::Torch as Meaning, |row| row.1);
    meaning(plain(text))
}

impl From<TchError> for Error {
    fn from(error: TchError) -> Self {
        match error {
            TchError::Torch(text) => self::error(&text),
            other => Self::Torch(other.to_string()),
        }
    }
}

impl Error {
    /// From the message of a panic, if libtorch's error is in it: tch's operators panic in their short form.
    pub fn from_panic(message: &str) -> Option<Self> {
        of_panic(message).map(|text| error(&text))
    }
}

/// libtorch's text in the message of tch's panic: "called `Result::unwrap()` on an `Err` value: Torch("...")".
fn of_panic(message: &str) -> Option<String> {
    let (_, quoted) = message.split_once("`Err` value: Torch(\"")?;
    // As Debug writes it.
    Some(quoted.trim_end_matches("\")").replace("\\n", "\n").replace("\\\"", "\"").replace("\\'", "'"))
}

/// For people: without the C++ frames, without the places in libtorch's sources, on one line.
fn plain(text: &str) -> String {
    // What an allocator throws goes straight over to the frames.
    let text =
        ["Exception raised from", "frame #0:"].iter().fold(text, |text, end| text.split(end).next().unwrap_or(text));
    // "[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: ...": the condition says nothing either.
    let text = match text.split_once("[enforce fail at ") {
        Some((before, after)) => {
            let told = after.split_once("] ").map_or(after, |(_, told)| told);
            let told = told.split_once(". ").filter(|(condition, _)| condition.contains("==")).map_or(told, |t| t.1);
            format!("{before}{told}")
        }
        None => text.to_owned(),
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What the memory of a device held when it did not suffice, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceMemory {
    pub total: u64,
    pub free: u64,
    /// Of this process.
    pub own: u64,
}

/// From c10's "CUDA out of memory": "Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 8.00 GiB of which 1.00 GiB
/// is free. Including non-PyTorch memory, this process has 3.00 GiB memory in use. Of the allocated memory ...".
pub fn device_memory(text: &str) -> Option<DeviceMemory> {
    let after = |phrase: &str| text.split_once(phrase).and_then(|(_, rest)| bytes(rest));
    let own = after("this process has ").or_else(|| {
        // In a container NVML may not know this process: then what the allocator holds is all that is known.
        let (before, _) = text.split_once(" is reserved by PyTorch")?;
        Some(after("Of the allocated memory ")? + bytes(before.rsplit_once("and ")?.1)?)
    });
    Some(DeviceMemory { total: after("total capacity of ")?, free: after("of which ")?, own: own? })
}

/// How much c10's allocator for the CPU was asked for: "you tried to allocate 4294967296 bytes".
pub fn tried_bytes(text: &str) -> Option<u64> {
    bytes(text.split_once("you tried to allocate ")?.1)
}

/// "2.00 GiB ..." in bytes.
fn bytes(text: &str) -> Option<u64> {
    let mut words = text.split_whitespace();
    let (number, unit) = (words.next()?.parse::<f64>().ok()?, words.next()?);
    let scale = match unit.trim_end_matches(['.', ',', ';', '(']) {
        "bytes" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return None,
    };
    Some((number * f64::from(1u32 << scale)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn an_error_that_came_through_autograd_keeps_its_kind() {
        let lost = error("collective peer lost: Connection closed by peer");
        assert_eq!(lost, Error::PeerLost("Connection closed by peer".into()));
        assert_eq!(error("collective host memory: std::bad_alloc"), Error::HostMemory("std::bad_alloc".into()));
    }

    #[test]
    fn libtorchs_messages_say_what_happened_or_nothing() {
        let cases: [(&str, Meaning); 15] = [
            (
                "[enforce fail at alloc_cpu.cpp:119] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to \
                 allocate 67108864 bytes. Error code 12 (Cannot allocate memory)",
                Error::HostMemory,
            ),
            ("std::bad_alloc", Error::HostMemory),
            (
                "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 8.00 GiB",
                Error::DeviceMemory,
            ),
            ("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported", Error::DeviceMemory),
            ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", Error::DeviceMemory),
            ("CUDA error: uncorrectable ECC error encountered", Error::Device),
            ("CUDA error: unspecified launch failure", Error::Device),
            ("CUDA error: the launch timed out and was terminated", Error::Device),
            ("CUDA error: no kernel image is available for execution on the device", Error::Unavailable),
            ("NCCL error: remote process exited or there was a network error", Error::PeerLost),
            ("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)", Error::Invalid),
            (
                "The size of tensor a (3) must match the size of tensor b (4) at non-singleton dimension 1",
                Error::Invalid,
            ),
            ("could not create a primitive", Error::Torch),
            ("CUDA error: an illegal memory access was encountered", Error::Torch),
            ("something that no version has said before", Error::Torch),
        ];
        for (text, meaning) in cases {
            let found = error(text);
            assert_eq!(std::mem::discriminant(&found), std::mem::discriminant(&meaning(String::new())), "{found:?}");
        }
    }

    #[test]
    fn people_see_no_frames_and_no_source_files() {
        let text = "[enforce fail at alloc_cpu.cpp:119] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to \
                    allocate 64 bytes. Error code 12 (Cannot allocate memory)\nException raised from alloc_cpu at \
                    /pytorch/c10/core/impl/alloc_cpu.cpp:119 (most recent call first):\nframe #0: c10::Error::Error";
        let expected = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 64 bytes. Error code 12 (Cannot \
                        allocate memory)";
        assert_eq!(error(text), Error::HostMemory(expected.into()));
        let straight = text.replace(
            "Exception raised from alloc_cpu at /pytorch/c10/core/impl/alloc_cpu.cpp:119 (most recent \
                                     call first):\n",
            "",
        );
        assert_eq!(error(&straight), Error::HostMemory(expected.into()));
        // The same through a panic.
        let panic = format!("called `Result::unwrap()` on an `Err` value: {:?}", tch::TchError::Torch(text.into()));
        assert_eq!(Error::from_panic(&panic), Some(Error::HostMemory(expected.into())));
        assert_eq!(Error::from_panic("index out of bounds: the len is 3 but the index is 4"), None);
    }

    #[test]
    fn a_real_error_of_libtorch_is_read() {
        let ones = |size| tch::Tensor::ones([size, size], (tch::Kind::Float, tch::Device::Cpu));
        let error = Error::from(ones(2).f_matmul(&ones(3)).unwrap_err());
        assert!(matches!(&error, Error::Invalid(text) if !text.contains("frame #")), "{error:?}");
        // 2^60 floats are more than any machine has.
        let huge = tch::Tensor::f_empty([1 << 30, 1 << 28], (tch::Kind::Float, tch::Device::Cpu)).unwrap_err();
        let Error::HostMemory(text) = Error::from(huge) else { panic!("not understood") };
        assert!(!text.contains("frame #") && tried_bytes(&text) == Some(1 << 60), "{text}");
    }

    #[test]
    fn who_held_the_memory_of_a_device_is_in_the_message() {
        let text = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 8.00 GiB of which 1.00 GiB \
                    is free. Process 17 has 4.00 GiB memory in use. Including non-PyTorch memory, this process has 3.00 \
                    GiB memory in use. Of the allocated memory 2.50 GiB is allocated by PyTorch, and 256.00 MiB is reserved \
                    by PyTorch but unallocated.";
        assert_eq!(device_memory(text), Some(DeviceMemory { total: 8 * GIB, free: GIB, own: 3 * GIB }));
        let unseen = text.replace("Including non-PyTorch memory, this process has 3.00 GiB memory in use. ", "");
        assert_eq!(device_memory(&unseen).map(|memory| memory.own), Some(5 * GIB / 2 + GIB / 4));
        assert_eq!(device_memory("CUDA error: out of memory"), None);
    }
}
