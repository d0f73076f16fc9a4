//! `/files/ID`: the bytes of what a job left.

use axum::{
    Extension,
    body::Body,
    extract::{Path, State},
    http::{HeaderValue, header},
    response::IntoResponse,
};
use tandem_domain::access::Identity;
use tokio::sync::mpsc;
use tokio_stream::{StreamExt, wrappers::ReceiverStream};

use super::{
    answer::{Answer, person},
    house::House,
};
use crate::{error::Error, query::fetch, store::unsigned};

pub(super) async fn file(
    State(house): State<House>,
    Extension(who): Extension<Identity>,
    Path(id): Path<String>,
) -> Answer {
    person(Some(&who))?;
    let held = house.admission.stream()?;
    let find = async {
        let mut conn = house.store.reader().await.map_err(Error::from)?;
        Ok(fetch::find(&mut conn, &id).await?)
    };
    let artifact = house.admission.call(find).await?;
    let open = fetch::open(&house.folder.root, &artifact).await?;
    let (sender, receiver) = mpsc::channel(4);
    house.streams.spawn(fetch::send(open, 0, sender, house.closing.clone()));
    let chunks = ReceiverStream::new(receiver).map(move |chunk| {
        let _held = &held;
        chunk.inspect_err(|error| tracing::warn!(%error, "a file that is handed out is cut"))
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::CONTENT_LENGTH, HeaderValue::from(unsigned(artifact.bytes))),
        (header::CONTENT_DISPOSITION, disposition(&artifact.name)),
    ];
    Ok((headers, Body::from_stream(chunks)).into_response())
}

/// Kept as a file and never shown; a rank chose the name.
fn disposition(name: &str) -> HeaderValue {
    let plain = |char: char| if char.is_ascii_alphanumeric() || "._-".contains(char) { char } else { '_' };
    let name: String = name.chars().take(100).map(plain).collect();
    let name = name.trim_start_matches('.');
    let text = format!("attachment; filename=\"{}\"", if name.is_empty() { "file" } else { name });
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("attachment"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_a_file_is_a_name_and_nothing_else() {
        for (name, kept) in [
            ("encoder.safetensors", "encoder.safetensors"),
            ("../../etc/passwd", "_.._etc_passwd"),
            ("a\"; b=\r\nc", "a___b___c"),
            ("..", "file"),
        ] {
            assert_eq!(disposition(name), format!("attachment; filename=\"{kept}\""), "{name:?}");
        }
    }
}
