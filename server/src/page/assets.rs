//! The files of the page: a stylesheet, a script, an icon. Each has its checksum in its name, so that it may be kept for good.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};

pub(crate) struct Asset {
    /// `/assets/tandem.0123456789abcdef.css`
    pub(crate) path: String,
    kind: &'static str,
    text: &'static str,
}

impl Asset {
    fn new(extension: &str, kind: &'static str, text: &'static str) -> Self {
        let sum: String = Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { path: format!("/assets/tandem.{sum}.{extension}"), kind, text }
    }
}

pub(crate) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("css", "text/css; charset=utf-8", include_str!("../../assets/tandem.css")));
pub(crate) static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("js", "text/javascript; charset=utf-8", include_str!("../../assets/tandem.js")));
pub(crate) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("svg", "image/svg+xml", include_str!("../../assets/tandem.svg")));

pub(super) async fn asset(Path(name): Path<String>) -> Response {
    let all = [&*STYLE, &*SCRIPT, &*ICON];
    let Some(asset) = all.into_iter().find(|asset| asset.path.ends_with(&format!("/{name}"))) else {
        // Of another version of this coordinator, whose page will be loaded anew.
        return (StatusCode::NOT_FOUND, "there is no such file; load the page again\n").into_response();
    };
    let keep = HeaderValue::from_static("public, max-age=31536000, immutable");
    ([(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind)), (header::CACHE_CONTROL, keep)], asset.text)
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_small_and_nothing_comes_from_elsewhere() {
        assert!(SCRIPT.text.lines().count() <= 100);
        for asset in [&*STYLE, &*SCRIPT] {
            assert!(!asset.text.contains("://"), "{}", asset.path);
        }
        assert!(!SCRIPT.text.contains("eval") && !SCRIPT.text.contains(".style"), "the policy forbids it");
    }
}
