//! The handler: `POST /LIMIT` with a text; the library that it imports counts the words.

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use wasip2::io::streams::StreamError;

wit_bindgen::generate!({ world: "front", path: "wit" });

use mayfly::examples::words;

const TEXT_MAX: usize = 16 << 20;

fn text_of(request: &IncomingRequest) -> Option<String> {
    let body = request.consume().ok()?;
    let stream = body.stream().ok()?;
    let mut text = Vec::new();
    loop {
        match stream.blocking_read(65536) {
            Ok(part) if text.len() + part.len() <= TEXT_MAX => text.extend(part),
            Err(StreamError::Closed) => return String::from_utf8(text).ok(),
            _ => return None,
        }
    }
}

/// One line with the count and the longest word, then a line for each of the words that occur most.
fn answer(request: &IncomingRequest) -> (u16, String) {
    let path = request.path_with_query().unwrap_or_default();
    let Ok(limit) = path.trim_start_matches('/').parse() else {
        return (400, "the path is how many words to show\n".into());
    };
    let Some(text) = text_of(request) else {
        return (400, "the body is text in UTF-8, 16 MiB at most\n".into());
    };
    match words::summarize(&text, limit) {
        Ok(summary) => {
            let mut lines = format!("{} words, longest: {}\n", summary.words, summary.longest);
            for word in summary.most {
                lines.push_str(&format!("{} {}\n", word.times, word.text));
            }
            (200, lines)
        }
        Err(why) => (422, why + "\n"),
    }
}

struct Words;

impl Guest for Words {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let (status, text) = answer(&request);
        let headers = Fields::new();
        let _ = headers.append("content-type", b"text/plain; charset=utf-8");
        let response = OutgoingResponse::new(headers);
        let _ = response.set_status_code(status);
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

wasip2::http::proxy::export!(Words);
