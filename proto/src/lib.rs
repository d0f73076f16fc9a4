//! The wire: generated types, and the only conversions between them and the domain.

/// Generated from `proto/tandem/v1/*.proto`.
pub mod v1 {
    #![expect(missing_docs, clippy::all, reason = "generated code")]
    tonic::include_proto!("tandem.v1");
    /// For the reflection service.
    pub const DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("tandem.v1");
}
