//! The wire: generated types, and the only conversions between them and the domain.
//!
//! [`v1`] is generated from `tandem/v1/*.proto`: `jobs` (submit and follow), `results` (query and fetch), `fleet`
//! (workers and state), `workers` (the stream between a worker and its coordinator). No other crate names prost. To add
//! a field: give it a new number in the `.proto`, then convert it in [`convert`] if the domain has it. Numbers are
//! never reused.

pub mod convert;
pub mod status;

/// Generated from `proto/tandem/v1/*.proto`.
pub mod v1 {
    #![expect(clippy::allow_attributes, reason = "generated code")]
    tonic::include_proto!("tandem.v1");
    /// For the reflection service.
    pub const DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("tandem.v1");
}

#[cfg(test)]
mod tests {
    use prost::Message;

    /// `grpcurl list` and `grpcurl describe` read it.
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
        assert_eq!(services, ["Fleet", "Jobs", "Results", "Workers"]);
        let names: Vec<_> = set.file.iter().map(|file| file.name()).collect();
        for import in set.file.iter().flat_map(|file| &file.dependency) {
            assert!(names.contains(&import.as_str()), "{import} is not in the set");
        }
    }
}
