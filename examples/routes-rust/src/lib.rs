//! A handler with routes: an order as JSON, answers and echoes that are streamed, a request to another server.

use serde::{Deserialize, Serialize};
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingRequest, IncomingResponse, Method, OutgoingBody,
    OutgoingRequest, OutgoingResponse, ResponseOutparam, Scheme,
};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

const PART: usize = 4096; // what blocking_write_and_flush takes at once
const ORDER_MAX: usize = 1 << 20;
const COUNT_MAX: u64 = 10_000_000;

#[derive(Deserialize)]
struct Item {
    count: u64,
    cents: u64,
}

#[derive(Deserialize)]
struct Order {
    customer: String,
    items: Vec<Item>,
}

#[derive(Serialize)]
struct Receipt {
    customer: String,
    pieces: u64,
    cents: u64,
}

/// Sends the head of the answer and gives what its body is made by; false ends the body early.
fn respond(
    out: ResponseOutparam,
    status: u16,
    content_type: &[u8],
    write: impl FnOnce(&OutputStream) -> bool,
) {
    let headers = Fields::new();
    let _ = headers.append("content-type", content_type);
    let response = OutgoingResponse::new(headers);
    let _ = response.set_status_code(status);
    let body = response.body().expect("the body is taken once");
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().expect("the stream is taken once");
    let whole = write(&stream);
    drop(stream);
    if whole {
        let _ = OutgoingBody::finish(body, None);
    }
}

fn write_all(stream: &OutputStream, bytes: &[u8]) -> bool {
    bytes
        .chunks(PART)
        .all(|part| stream.blocking_write_and_flush(part).is_ok())
}

fn text(out: ResponseOutparam, status: u16, text: &str) {
    respond(out, status, b"text/plain", |stream| {
        write_all(stream, text.as_bytes())
    });
}

fn json(out: ResponseOutparam, status: u16, value: &impl Serialize) {
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    respond(out, status, b"application/json", |stream| {
        write_all(stream, &bytes)
    });
}

fn refuse(out: ResponseOutparam, status: u16, why: &str) {
    json(out, status, &serde_json::json!({ "error": why }));
}

/// All that is left of a stream, or nothing when it is longer than `most` or breaks off.
fn read_all(stream: &InputStream, most: usize) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        match stream.blocking_read(65536) {
            Ok(part) if whole.len() + part.len() <= most => whole.extend(part),
            Err(StreamError::Closed) => return Some(whole),
            _ => return None,
        }
    }
}

/// Moves what comes in to what goes out, as it comes; false when either side breaks off.
fn pass_on(from: &InputStream, to: &OutputStream) -> bool {
    loop {
        match from.blocking_read(65536) {
            Ok(part) if write_all(to, &part) => {}
            Err(StreamError::Closed) => return true,
            _ => return false,
        }
    }
}

fn order(body: IncomingBody, out: ResponseOutparam) {
    let stream = body.stream().expect("the stream is taken once");
    let Some(bytes) = read_all(&stream, ORDER_MAX) else {
        return refuse(out, 413, "the order is too long");
    };
    let Ok(order) = serde_json::from_slice::<Order>(&bytes) else {
        return refuse(out, 400, "this is no order");
    };
    let (mut pieces, mut cents) = (0u64, 0u64);
    for item in &order.items {
        pieces = pieces.saturating_add(item.count);
        cents = cents.saturating_add(item.count.saturating_mul(item.cents));
    }
    json(
        out,
        200,
        &Receipt {
            customer: order.customer,
            pieces,
            cents,
        },
    );
}

fn count(last: &str, out: ResponseOutparam) {
    let Some(last) = last.parse().ok().filter(|&last: &u64| last <= COUNT_MAX) else {
        return refuse(out, 400, "not a number that can be counted to");
    };
    respond(out, 200, b"text/plain", |stream| {
        let mut lines = String::new();
        for number in 1..=last {
            lines.push_str(&number.to_string());
            lines.push('\n');
            if lines.len() > PART - 16 {
                if !write_all(stream, lines.as_bytes()) {
                    return false;
                }
                lines.clear();
            }
        }
        write_all(stream, lines.as_bytes())
    });
}

/// `SCHEME/AUTHORITY/PATH`
fn send(target: &str) -> Result<IncomingResponse, ErrorCode> {
    let mut words = target.splitn(3, '/');
    let (scheme, authority) = (words.next(), words.next());
    let path = format!("/{}", words.next().unwrap_or_default());
    let scheme = match scheme {
        Some("https") => Scheme::Https,
        _ => Scheme::Http,
    };
    let request = OutgoingRequest::new(Fields::new());
    if request.set_scheme(Some(&scheme)).is_err()
        || request.set_authority(authority).is_err()
        || request.set_path_with_query(Some(&path)).is_err()
    {
        return Err(ErrorCode::HttpRequestUriInvalid);
    }
    let future = outgoing_handler::handle(request, None)?;
    loop {
        if let Some(answer) = future.get() {
            return answer.unwrap_or(Err(ErrorCode::InternalError(None)));
        }
        future.subscribe().block();
    }
}

fn fetch(target: &str, out: ResponseOutparam) {
    let response = match send(target) {
        Ok(response) => response,
        Err(error) => return refuse(out, 502, &format!("{error:?}")),
    };
    let body = response.consume().expect("the body is taken once");
    let stream = body.stream().expect("the stream is taken once");
    respond(out, response.status(), b"application/octet-stream", |to| {
        pass_on(&stream, to)
    });
}

fn echo(body: IncomingBody, out: ResponseOutparam) {
    let stream = body.stream().expect("the stream is taken once");
    respond(out, 200, b"application/octet-stream", |to| {
        pass_on(&stream, to)
    });
}

struct Routes;

impl Guest for Routes {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let body = || request.consume().expect("the body is taken once");
        match (request.method(), path.as_str()) {
            (Method::Get, "/") => text(out, 200, "Routes in Rust\n"),
            (Method::Post, "/order") => order(body(), out),
            (Method::Post, "/echo") => echo(body(), out),
            (_, "/" | "/order" | "/echo") => refuse(out, 405, "not with this method"),
            (Method::Get, path) => {
                if let Some(last) = path.strip_prefix("/count/") {
                    count(last, out)
                } else if let Some(target) = path.strip_prefix("/fetch/") {
                    fetch(target, out)
                } else {
                    refuse(out, 404, "no such path")
                }
            }
            _ => refuse(out, 404, "no such path"),
        }
    }
}

wasip2::http::proxy::export!(Routes);
