//! The wire: generated types, and the only conversions between them and the domain, JSON and bytes.
//!
//! [`v1`] is generated from `tandem/v1/*.proto`: `jobs` (submit and follow), `results` (query and fetch), `fleet`
//! (workers and state), `workers` (the stream between a worker and its coordinator), `people` (who may
//! use it, and their tokens), `notify` (who is told of what), `keeping` (what of the past is kept), `devices` (how devices are
//! and were). `build.rs` refuses a method that has no line in the table of who may call it. No other crate names prost. To add a field: give it a
//! new number in the `.proto` file, then add it to [`convert`] if the domain knows it. A number is never used again. The
//! order of fields is that in which `tandem --json` prints them; `build.rs` says how.

pub mod binary;
pub mod convert;
mod device;
mod environment;
#[cfg(feature = "reflect")]
pub mod reflect;
pub mod status;
pub mod v1;

/// The longest experiment file that a coordinator takes, for clients that would not send more.
pub use tandem_domain::plan::FILE_BYTES_MAX;

#[cfg(test)]
mod tests {
    use prost::Message;

    /// What `grpcurl list` and `grpcurl describe` are answered from.
    #[test]
    fn the_descriptor_set_describes_every_service_and_what_it_imports() {
        let set = prost_types::FileDescriptorSet::decode(super::v1::DESCRIPTOR_SET).unwrap();
        let mut services: Vec<_> = set
            .file
            .iter()
            .filter(|file| file.package() == "tandem.v1")
            .flat_map(|file| file.service.iter().map(|service| service.name()))
            .collect();
        services.sort_unstable();
        assert_eq!(
            services,
            ["Data", "Devices", "Fleet", "Jobs", "Keeping", "Notify", "People", "Policies", "Results", "Workers"]
        );
        let names: Vec<_> = set.file.iter().map(|file| file.name()).collect();
        for import in set.file.iter().flat_map(|file| &file.dependency) {
            assert!(names.contains(&import.as_str()), "{import} is not in the set");
        }
    }
}
