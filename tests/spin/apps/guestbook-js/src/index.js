// The guest book's API: entries are rows of a database, visits are counted in a key-value store, the weather comes from another
// server, and what differs between installations are variables.
import { AutoRouter, json, status } from "itty-router";
import { openDefault as openStore } from "@spinframework/spin-kv";
import { openDefault as openDatabase } from "@spinframework/spin-sqlite";
import { get as variable } from "@spinframework/spin-variables";

const router = AutoRouter({ base: "/api" });

function database() {
    const found = openDatabase();
    found.execute("CREATE TABLE IF NOT EXISTS entries (id INTEGER PRIMARY KEY, name TEXT NOT NULL, text TEXT, stars REAL)", []);
    return found;
}

const NULL = { tag: "null" };

// Integers of the database are big, and what is not there is undefined.
function plain(row) {
    return { ...row, id: Number(row.id), text: row.text ?? null };
}

router.get("/greeting/:name", ({ name }) => {
    const store = openStore();
    const visits = store.exists(`visits/${name}`) ? store.getJson(`visits/${name}`) : { count: 0 };
    visits.count += 1;
    store.setJson(`visits/${name}`, visits);
    return new Response(`${variable("greeting")}, ${name}, for the ${visits.count}. time\n`);
});

router.get("/visitors", () => openStore().getKeys().map(key => key.slice("visits/".length)).sort());

router.delete("/visitors/:name", ({ name }) => {
    openStore().delete(`visits/${name}`);
    return status(204);
});

router.get("/entries", () => database().execute("SELECT id, name, text, stars FROM entries ORDER BY id", []).rows.map(plain));

router.post("/entries", async request => {
    const { name, text = null, stars = 2.5 } = await request.json();
    if (typeof name !== "string" || name === "")
        return json({ error: "an entry has a name" }, { status: 422 });
    const made = database().execute("INSERT INTO entries (name, text, stars) VALUES (?, ?, ?) RETURNING id", [name, text === null ? NULL : String(text), stars]);
    return json({ id: Number(made.rows[0].id) }, { status: 201, headers: { location: `/api/entries/${made.rows[0].id}` } });
});

router.get("/entries/:id", ({ id }) => {
    const { rows } = database().execute("SELECT id, name, text, stars FROM entries WHERE id = ?", [Number(id)]);
    return rows.length ? plain(rows[0]) : json({ error: `there is no entry ${id}` }, { status: 404 });
});

router.get("/forecast/:city", async ({ city }) => {
    const answer = await fetch(`${variable("forecast")}/${city}?days=2`, { headers: { authorization: `Bearer ${variable("token")}` } });
    if (!answer.ok)
        return json({ error: `the forecast says ${answer.status}` }, { status: 502 });
    const { days } = await answer.json();
    return { city: decodeURIComponent(city), warmest: Math.max(...days.map(day => day.celsius)) };
});

router.get("/elsewhere", async () => {
    try {
        return await fetch("https://elsewhere.example.com/");
    } catch {
        return json({ error: "out of reach" }, { status: 403 });
    }
});

addEventListener("fetch", event => event.respondWith(router.fetch(event.request)));
