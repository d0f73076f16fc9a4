//! The pure heart of Tandem: no IO; time is an argument; every decision returns its reason.
pub mod spec;
