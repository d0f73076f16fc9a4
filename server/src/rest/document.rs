//! `/api/v1/openapi.json`: what is offered by URL, in OpenAPI's words.

use std::sync::LazyLock;

use axum::Json;
use serde_json::{Value, json};
use tandem_domain::access::urls::{AT, READS, WRITES};
use tandem_proto::reflect::{self, Methods};
use tandem_tables::Format;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document = reflect::document(Methods { reads: READS, writes: WRITES }, AT, env!("CARGO_PKG_VERSION"));
    // The same parameters as the method that answers it.
    let asked = document["paths"][format!("{AT}Results/Ask")]["get"]["parameters"].clone();
    for format in Format::ALL {
        let ending = format.ending();
        let file = |operation: &str, summary: &str, parameters: Value| {
            json!({ "get": {
                "operationId": format!("{operation}{}", ending.to_uppercase()), "tags": ["Files"], "summary": summary,
                "parameters": parameters,
                "responses": {
                    "200": { "description": "The file.", "content": { format.media_type(): {} } },
                    "default": { "$ref": "#/components/responses/Problem" },
                },
            } })
        };
        let summary = "The jobs that Results/Ask answers with, all pages as one file: up to 50000 rows, and a header \
                       Tandem-Next-Cursor where there are more.";
        document["paths"][format!("/results.{ending}")] = file("results", summary, asked.clone());
        let query = |name: &str, schema: Value, words: &str| json!({ "name": name, "in": "query", "schema": schema, "description": words });
        let parameters = json!([
            { "name": "id", "in": "path", "required": true, "schema": { "type": "string" }, "description": "A job or experiment." },
            query("name", json!({ "type": "array", "items": { "type": "string" } }), "Which curves; all without it."),
            query("points", json!({ "type": "integer", "minimum": 4 }), "At most so many points of each; the extremes stay."),
        ]);
        document["paths"][format!("/jobs/{{id}}/curves.{ending}")] =
            file("curves", "The points of a job's curves as a file: job, metric, step, value.", parameters);
    }
    document["paths"]["/files/{id}"] = json!({ "get": {
        "operationId": "file", "tags": ["Files"], "summary": "The bytes of an artifact, whose id Jobs/Show has.",
        "parameters": [{ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } }],
        "responses": {
            "200": { "description": "The file.", "content": { "application/octet-stream": {} } },
            "default": { "description": "Why not, in words.", "content": { "text/plain": {} } },
        },
    } });
    document
});

pub(super) async fn document() -> Json<&'static Value> {
    Json(&DOCUMENT)
}
