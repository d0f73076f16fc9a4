//! Spans of requests and transactions, sent by OTLP to whoever collects them. Without `--otlp` there are none, and they cost nothing.
//!
//! A span says which method or which file, who by name, and how it ended: never a token, never what was sent.

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tokio::runtime::Runtime;
use tracing::Level;
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

use crate::store::SPANS;

/// One batch of spans; what takes longer is dropped.
const SEND: Duration = Duration::from_secs(5);
/// What is left at the end may take so long.
const LAST: Duration = Duration::from_secs(2);

/// Sends spans, on threads of its own.
#[derive(Debug)]
pub struct Spans {
    provider: SdkTracerProvider,
    /// Of the connection alone: that of the coordinator has better things to do.
    _runtime: Runtime,
}

impl Spans {
    /// To a collector at `http://HOST:PORT`, which need not be there yet.
    ///
    /// # Errors
    /// When that is no such address.
    pub fn start(endpoint: &str, name: &str) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("spans")
            .enable_all()
            .build()
            .map_err(|error| format!("cannot send spans: {error}"))?;
        let exporter = {
            let _inside = runtime.enter();
            SpanExporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(SEND).build()
        };
        let exporter = exporter.map_err(|error| format!("--otlp {endpoint}: {error}"))?;
        let resource = Resource::builder()
            .with_service_name("tandem-server")
            .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attribute(opentelemetry::KeyValue::new("service.instance.id", name.to_owned()));
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build();
        Ok(Self { provider, _runtime: runtime })
    }

    /// Takes the spans of a subscriber, and nothing of its log.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("tandem-server"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target(SPANS, Level::DEBUG))
    }

    /// Sends what is left.
    pub fn stop(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(LAST) {
            tracing::debug!(%error, "the last spans were not sent");
        }
    }
}

/// Checks the option before anything is started.
pub(crate) fn endpoint(text: &str) -> Result<String, String> {
    let url = url::Url::parse(text).map_err(|error| format!("{text:?}: {error}; expected http://HOST:PORT"))?;
    match (url.scheme(), url.host_str()) {
        ("http", Some(_)) => Ok(text.to_owned()),
        ("https", _) => {
            Err("spans go to a collector of this machine or network, without TLS: http://HOST:4317".to_owned())
        }
        _ => Err(format!("{text:?}: expected http://HOST:PORT, as in http://127.0.0.1:4317")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_go_to_a_collector_by_its_address() {
        assert_eq!(endpoint("http://127.0.0.1:4317"), Ok("http://127.0.0.1:4317".to_owned()));
        for wrong in ["", "127.0.0.1:4317", "ftp://x", "https://x:4317", "http://"] {
            assert!(endpoint(wrong).unwrap_err().contains("http://"), "{wrong}");
        }
    }
}
