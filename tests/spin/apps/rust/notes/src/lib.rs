//! Notes: their titles and texts are rows of a database, how often each was read is counted in a key-value store, and a
//! quotation comes from another server.
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use spin_sdk::http::{self, IntoResponse, Params, Request, Response, Router};
use spin_sdk::key_value::Store;
use spin_sdk::sqlite::{Connection, Value};
use spin_sdk::{http_component, variables};

#[derive(Deserialize)]
struct NewNote {
    title: String,
    text: String,
}

#[derive(Serialize)]
struct Listed {
    id: i64,
    title: String,
}

#[derive(Serialize)]
struct Note {
    id: i64,
    title: String,
    text: String,
    reads: u64,
}

#[http_component]
fn handle(request: Request) -> Result<impl IntoResponse> {
    let mut router = Router::new();
    router.get("/api/about", about);
    router.get_async("/api/quote", quote);
    router.get("/api/notes", list);
    router.post("/api/notes", add);
    router.get("/api/notes/:id", show);
    Ok(router.handle(request))
}

fn json(status: u16, value: &impl Serialize) -> Result<Response> {
    Ok(Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(serde_json::to_vec(value)?)
        .build())
}

fn database() -> Result<Connection> {
    let database = Connection::open_default()?;
    database.execute(
        "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, title TEXT NOT NULL, text TEXT NOT NULL)",
        &[],
    )?;
    Ok(database)
}

fn about(_: Request, _: Params) -> Result<Response> {
    let greeting = variables::get("greeting")?;
    json(200, &serde_json::json!({ "greeting": greeting, "from": "Rust" }))
}

async fn quote(_: Request, _: Params) -> Result<Response> {
    let request = Request::get(variables::get("quotes")?)
        .header("authorization", format!("Bearer {}", variables::get("token")?))
        .build();
    let answer: Response = http::send(request).await?;
    let found: serde_json::Value = serde_json::from_slice(answer.body())?;
    json(200, &found)
}

fn list(_: Request, _: Params) -> Result<Response> {
    let found = database()?.execute("SELECT id, title FROM notes ORDER BY id", &[])?;
    let notes: Vec<Listed> = found
        .rows()
        .map(|row| Listed {
            id: row.get("id").unwrap_or_default(),
            title: row.get::<&str>("title").unwrap_or_default().to_owned(),
        })
        .collect();
    json(200, &notes)
}

fn add(request: Request, _: Params) -> Result<Response> {
    let Ok(note) = serde_json::from_slice::<NewNote>(request.body()) else {
        return json(400, &serde_json::json!({ "error": "a note has a title and a text" }));
    };
    let found = database()?.execute(
        "INSERT INTO notes (title, text) VALUES (?, ?) RETURNING id",
        &[Value::Text(note.title.clone()), Value::Text(note.text)],
    )?;
    let id: i64 = found.rows().next().and_then(|row| row.get("id")).context("the note has an id")?;
    Ok(Response::builder()
        .status(201)
        .header("content-type", "application/json")
        .header("location", format!("/api/notes/{id}"))
        .body(serde_json::to_vec(&Listed { id, title: note.title })?)
        .build())
}

fn show(_: Request, params: Params) -> Result<Response> {
    let id: i64 = params.get("id").unwrap_or_default().parse()?;
    let found = database()?.execute("SELECT title, text FROM notes WHERE id = ?", &[Value::Integer(id)])?;
    let Some(row) = found.rows().next() else {
        return json(404, &serde_json::json!({ "error": "there is no such note" }));
    };
    let reads = count_read(id)?;
    json(
        200,
        &Note {
            id,
            title: row.get::<&str>("title").unwrap_or_default().to_owned(),
            text: row.get::<&str>("text").unwrap_or_default().to_owned(),
            reads,
        },
    )
}

fn count_read(id: i64) -> Result<u64> {
    let store = Store::open_default()?;
    let key = format!("reads-{id}");
    let reads = store.get_json::<u64>(&key)?.unwrap_or(0) + 1;
    store.set_json(&key, &reads)?;
    Ok(reads)
}
