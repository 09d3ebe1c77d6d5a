//! The files of the application's page.
use spin_sdk::http::{IntoResponse, Request, Response};
use spin_sdk::http_component;
use std::path::Path;

fn kind(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html",
        Some("css") => "text/css",
        _ => "application/octet-stream",
    }
}

#[http_component]
fn handle(request: Request) -> anyhow::Result<impl IntoResponse> {
    let name = match request.path() {
        "/" => "index.html",
        path => path.trim_start_matches('/'),
    };
    let path = Path::new("/").join(name);
    Ok(match std::fs::read(&path) {
        Ok(bytes) => Response::builder().status(200).header("content-type", kind(&path)).body(bytes).build(),
        Err(_) => Response::new(404, "there is no such page"),
    })
}
