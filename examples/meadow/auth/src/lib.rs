//! Who is who: people join and log in, and others of the application ask whose token a request carries.
//!
//! A password is kept as PBKDF2-HMAC-SHA256 of it, under a salt of its own. A token is NAME.EXPIRY.TAG, where TAG is
//! HMAC-SHA256 of what stands before it, and is kept nowhere: who knows the secret can check it.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use wasip2::clocks::wall_clock;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use wasip2::io::streams::StreamError;
use wasip2::random::random::get_random_bytes;

use fermyon::spin::{key_value::Store, variables};

wit_bindgen::generate!({
    path: ["../../../wit/fermyon-spin-v2.wit", "auth.wit"],
    world: "mayfly:meadow/needs",
    generate_all,
});

const FORM_MAX: usize = 4096;
const PASSWORD_MIN: usize = 8;
const ROUNDS: u32 = 20_000;
const VALID_SECONDS: u64 = 3600;
const SALT: usize = 16;
const KEY: usize = 32;

/// An answer: a status, fields and a text.
struct Answer(u16, Vec<(&'static str, String)>, String);

fn text(status: u16, text: &str) -> Answer {
    Answer(status, vec![], format!("{text}\n"))
}

/// What goes wrong through no fault of who asks.
fn broken(what: &str) -> Answer {
    eprintln!("auth: {what}");
    text(500, "this does not work now")
}

fn secret(name: &str) -> Result<String, Answer> {
    match variables::get(name) {
        Ok(value) if !value.is_empty() => Ok(value),
        _ => Err(broken(&format!("the variable {name} has no value"))),
    }
}

fn store() -> Result<Store, Answer> {
    Store::open("default").map_err(|error| broken(&format!("the store: {error:?}")))
}

fn now() -> u64 {
    wall_clock::now().seconds
}

// ---- tokens ----

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || text.len() % 2 != 0 {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

fn signer(key: &str) -> Hmac<Sha256> {
    Hmac::new_from_slice(key.as_bytes()).expect("a key may have any length")
}

fn sign(key: &str, name: &str, expiry: u64) -> String {
    let claim = format!("{name}.{expiry}");
    let tag = signer(key).chain_update(&claim).finalize().into_bytes();
    format!("{claim}.{}", hex(&tag))
}

/// Whose token it is, if it is one and still counts.
fn holder<'a>(key: &str, token: &'a str, now: u64) -> Option<&'a str> {
    let (claim, tag) = token.rsplit_once('.')?;
    let verified = signer(key).chain_update(claim).verify_slice(&unhex(tag)?);
    let (name, expiry) = claim.rsplit_once('.')?;
    (verified.is_ok() && expiry.parse::<u64>().ok()? > now).then_some(name)
}

// ---- passwords ----

fn stretch(password: &str, salt: &[u8]) -> [u8; KEY] {
    pbkdf2::pbkdf2_hmac_array::<Sha256, KEY>(password.as_bytes(), salt, ROUNDS)
}

/// What is kept of a password.
fn keep(password: &str) -> Vec<u8> {
    let mut kept = get_random_bytes(SALT as u64);
    let key = stretch(password, &kept);
    kept.extend(key);
    kept
}

/// Takes as long for any other password.
fn is_kept(kept: &[u8], password: &str) -> bool {
    if kept.len() != SALT + KEY {
        return false;
    }
    let key = stretch(password, &kept[..SALT]);
    let differs = kept[SALT..]
        .iter()
        .zip(key)
        .fold(0, |all, (a, b)| all | (a ^ b));
    std::hint::black_box(differs) == 0
}

// ---- what a form says ----

/// A value of a form, application/x-www-form-urlencoded.
fn field(form: &str, name: &str) -> Option<String> {
    let pairs = form
        .trim_end()
        .split('&')
        .filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.into_iter().find(|(key, _)| *key == name)?;
    let mut bytes = Vec::new();
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => unhex(std::str::from_utf8(&[rest.next()?, rest.next()?]).ok()?)?[0],
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn name_and_password(form: &str) -> Result<(String, String), Answer> {
    let name = field(form, "name").unwrap_or_default();
    let password = field(form, "password").unwrap_or_default();
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if name.is_empty() || name.len() > 32 || !name.bytes().all(fits) {
        return Err(text(400, "a name is up to 32 small letters and digits"));
    }
    if password.len() < PASSWORD_MIN {
        return Err(text(400, "a password has at least 8 bytes"));
    }
    Ok((name, password))
}

/// A token, for programs in the body, and for browsers in a cookie.
fn welcome(name: &str) -> Result<Answer, Answer> {
    let token = sign(&secret("secret")?, name, now() + VALID_SECONDS);
    let cookie =
        format!("token={token}; Path=/; Max-Age={VALID_SECONDS}; HttpOnly; SameSite=Strict");
    let fields = vec![("location", "/".into()), ("set-cookie", cookie)];
    Ok(Answer(303, fields, format!("{token}\n")))
}

// ---- what can be asked ----

fn join(form: &str) -> Result<Answer, Answer> {
    let (name, password) = name_and_password(form)?;
    if field(form, "invite") != Some(secret("invite")?) {
        return Err(text(403, "who joins needs the invite"));
    }
    // Of two who join under one name in the same moment the later one's password counts.
    let (store, key) = (store()?, format!("person:{name}"));
    match store.exists(&key) {
        Ok(false) => {}
        Ok(true) => return Err(text(409, "there is somebody of this name")),
        Err(error) => return Err(broken(&format!("{error:?}"))),
    }
    store
        .set(&key, &keep(&password))
        .map_err(|error| broken(&format!("{error:?}")))?;
    welcome(&name)
}

fn login(form: &str) -> Result<Answer, Answer> {
    let (name, password) = name_and_password(form)?;
    let kept = store()?
        .get(&format!("person:{name}"))
        .map_err(|error| broken(&format!("{error:?}")))?;
    // Of somebody who is not there as much is done, so that the time does not tell.
    let kept = kept.unwrap_or_else(|| vec![0; SALT + KEY]);
    if !is_kept(&kept, &password) {
        return Err(text(401, "no such name and password"));
    }
    welcome(&name)
}

/// The name of whose token the request has, in `Authorization: Bearer` or in a cookie.
fn check(fields: &Fields) -> Result<Answer, Answer> {
    let bearer = fields.get("authorization").into_iter().filter_map(|value| {
        let value = String::from_utf8(value).ok()?;
        Some(value.strip_prefix("Bearer ")?.trim().to_owned())
    });
    let cookies = fields.get("cookie").into_iter().flat_map(|value| {
        let value = String::from_utf8(value).unwrap_or_default();
        let tokens = value
            .split(';')
            .filter_map(|one| one.trim().strip_prefix("token="));
        tokens.map(str::to_owned).collect::<Vec<_>>()
    });
    let key = secret("secret")?;
    let token = bearer.chain(cookies).next().unwrap_or_default();
    match holder(&key, &token, now()) {
        Some(name) => Ok(text(200, name)),
        None => Err(text(401, "log in first")),
    }
}

fn body_of(request: &IncomingRequest) -> Result<String, Answer> {
    let body = request.consume().expect("the body is taken once");
    let stream = body.stream().expect("the stream is taken once");
    let mut whole = Vec::new();
    loop {
        match stream.blocking_read(FORM_MAX as u64) {
            Ok(part) if whole.len() + part.len() <= FORM_MAX => whole.extend(part),
            Ok(_) => return Err(text(413, "the form is too long")),
            Err(StreamError::Closed) => break,
            Err(_) => return Err(text(400, "the form broke off")),
        }
    }
    String::from_utf8(whole).map_err(|_| text(400, "the form is no text"))
}

fn answer(request: &IncomingRequest) -> Result<Answer, Answer> {
    let path = request.path_with_query().unwrap_or_default();
    match (request.method(), path.as_str()) {
        (Method::Post, "/join") => join(&body_of(request)?),
        (Method::Post, "/login") => login(&body_of(request)?),
        (Method::Get, "/check") => check(&request.headers()),
        (_, "/join" | "/login" | "/check") => Err(text(405, "not with this method")),
        _ => Err(text(404, "no such path")),
    }
}

struct Auth;

impl Guest for Auth {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let Answer(status, more, text) = answer(&request).unwrap_or_else(|error| error);
        let headers = Fields::new();
        let _ = headers.append("content-type", b"text/plain");
        for (name, value) in more {
            let _ = headers.append(name, value.as_bytes());
        }
        let response = OutgoingResponse::new(headers);
        let _ = response.set_status_code(status);
        let body = response.body().expect("the body is taken once");
        ResponseOutparam::set(out, Ok(response));
        let stream = body.write().expect("the stream is taken once");
        let _ = stream.blocking_write_and_flush(text.as_bytes());
        drop(stream);
        let _ = OutgoingBody::finish(body, None);
    }
}

wasip2::http::proxy::export!(Auth);
