pub(crate) mod peer;
