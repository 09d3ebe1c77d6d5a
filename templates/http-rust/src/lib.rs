use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

/// What a request is answered with.
fn answer(path: &str) -> String {
    format!("Hello from @project-name@! You asked for {path}\n")
}

struct Handler;

impl Guest for Handler {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let text = answer(&request.path_with_query().unwrap_or_default());
        let headers = Fields::new();
        let _ = headers.append("content-type", b"text/plain");

        let response = OutgoingResponse::new(headers);
        let body = response.body().expect("the body is taken once");
        ResponseOutparam::set(out, Ok(response));

        let stream = body.write().expect("the stream is taken once");
        for part in text.as_bytes().chunks(4096) {
            if stream.blocking_write_and_flush(part).is_err() {
                return; // the client went away
            }
        }
        drop(stream);
        let _ = OutgoingBody::finish(body, None);
    }
}

wasip2::http::proxy::export!(Handler);
