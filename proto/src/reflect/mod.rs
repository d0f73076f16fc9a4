//! Methods by the names of their fields, for those that speak JSON over HTTP: queries and JSON become messages, messages JSON.
//!
//! It follows the descriptors, so that a new method or field is there without a line here. How it looks:
//!
//! | in the `.proto` file | in JSON |
//! |---|---|
//! | a field | its name as it stands there; all of them, in that order |
//! | an optional field or message that is not set | `null`; of a `oneof` only the one that is set is there |
//! | an integer, of 64 bits too | a number |
//! | `double` | a number; `null` where it is not finite |
//! | an enum | its word, as in `"running"` |
//! | `google.protobuf.Timestamp` | RFC 3339 in UTC |

mod openapi;
mod read;
mod shapes;
mod written;

use prost::Message as _;
use prost_reflect::{DynamicMessage, MethodDescriptor};
use serde_json::Value;

pub use openapi::{Methods, document};
pub use read::Wrong;
use shapes::POOL;

/// A method whose request is one message.
#[derive(Clone, Debug)]
pub struct Method(MethodDescriptor);

impl Method {
    /// By its path, as in `/tandem.v1.Jobs/List`.
    #[must_use]
    pub fn of(path: &str) -> Option<Self> {
        let (service, name) = path.strip_prefix('/')?.split_once('/')?;
        let service = POOL.get_service_by_name(service)?;
        service.methods().find(|method| method.name() == name && !method.is_client_streaming()).map(Self)
    }

    /// It answers with any number of messages.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.0.is_server_streaming()
    }

    /// The bytes of a request with these fields: `target=table1`, `limit=50`, `by=encoder&by=seed`, `checkpoint.step=7`.
    ///
    /// # Errors
    /// At the first that is unknown, twice there, or no value of its kind.
    pub fn request_of_query<'q>(&self, pairs: impl IntoIterator<Item = (&'q str, &'q str)>) -> Result<Vec<u8>, Wrong> {
        let mut request = DynamicMessage::new(self.0.input());
        for (name, text) in pairs {
            read::put_text(&mut request, name, text)?;
        }
        Ok(request.encode_to_vec())
    }

    /// The bytes of a request that is JSON.
    ///
    /// # Errors
    /// At the first field that is unknown or no value of its kind.
    pub fn request_of_json(&self, json: &Value) -> Result<Vec<u8>, Wrong> {
        Ok(read::message(self.0.input(), json)?.encode_to_vec())
    }

    /// A message of the answer.
    ///
    /// # Errors
    /// Where the bytes are no such message.
    pub fn answer(&self, bytes: &[u8]) -> Result<Value, prost::DecodeError> {
        DynamicMessage::decode(self.0.output(), bytes).map(|message| written::message(&message))
    }
}

/// A request of a method by its path, of the fields of a query.
///
/// # Errors
/// As [`Method::request_of_query`], and where there is no such method.
pub fn request<'q, T: prost::Message + Default>(
    path: &str,
    pairs: impl IntoIterator<Item = (&'q str, &'q str)>,
) -> Result<T, Wrong> {
    let method = Method::of(path).ok_or_else(|| Wrong::new(format!("there is no method {path}")))?;
    let bytes = method.request_of_query(pairs)?;
    T::decode(bytes.as_slice()).map_err(|error| Wrong::new(error.to_string()))
}

#[cfg(test)]
mod tests;
