// What programs ask: readings are taken from who has a token, statistics are given to all, and notes become HTML.

const AUTH = "http://auth.spin.internal";
const STATS = "http://stats.spin.internal";

const json = (status, value) =>
    new Response(JSON.stringify(value), { status, headers: { "content-type": "application/json" } });
const refuse = (status, why) => json(status, { error: why });

// Another component's answer, or an error that says which one gave none.
async function ask(url, options) {
    try {
        return await fetch(url, options);
    } catch (error) {
        console.error(`api: ${url}: ${error}`);
        throw refuse(502, `${new URL(url).hostname} did not answer`);
    }
}

// Whose token the request has.
async function person(request) {
    const headers = {};
    for (const name of ["authorization", "cookie"])
        if (request.headers.has(name))
            headers[name] = request.headers.get(name);
    const answer = await ask(`${AUTH}/check`, { headers });
    const text = (await answer.text()).trim();
    if (answer.status !== 200)
        throw refuse(answer.status === 401 ? 401 : 502, text || "auth.spin.internal did not answer");
    return text;
}

// An answer of stats, checked to be one.
async function stats(path, options) {
    const answer = await ask(STATS + path, options);
    const text = await answer.text();
    try {
        return [answer.status, JSON.parse(text)];
    } catch {
        throw refuse(502, "stats.spin.internal did not answer");
    }
}

async function takeReadings(request) {
    const name = await person(request);
    const body = await request.arrayBuffer();
    return json(...await stats(`/readings?person=${encodeURIComponent(name)}`, { method: "POST", body }));
}

const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const escape = (text) => text.replace(/[&<>"']/g, (sign) => ENTITIES[sign]);

// A line of Markdown as HTML. What a note says is escaped first, so that only the marks below become elements.
const markdown = (text) => escape(text)
    .replace(/`([^`]+)`/g, "<code>$1</code>")
    .replace(/\*\*([^*]+)\*\*/g, "<strong>$1</strong>")
    .replace(/\*([^*]+)\*/g, "<em>$1</em>")
    .replace(/\[([^\]]+)\]\((https?:\/\/[^\s)]+)\)/g, '<a href="$2">$1</a>');

async function notes() {
    const [status, value] = await stats("/summary");
    if (status !== 200)
        return json(status, value);
    const lines = value.notes.map(({ place, person, text }) =>
        `<li>${markdown(text)} <small>${escape(person)}, ${escape(place)}</small></li>\n`);
    return new Response(`<ul>\n${lines.join("")}</ul>\n`, { headers: { "content-type": "text/html; charset=utf-8" } });
}

const ROUTES = {
    "/api/readings": ["POST", takeReadings],
    "/api/summary": ["GET", async () => json(...await stats("/summary"))],
    "/api/notes": ["GET", notes],
};

async function respond(request) {
    const path = new URL(request.url).pathname;
    if (!Object.hasOwn(ROUTES, path))
        return refuse(404, "no such path");
    const [method, handle] = ROUTES[path];
    if (request.method !== method)
        return refuse(405, "not with this method");
    try {
        return await handle(request);
    } catch (error) {
        if (error instanceof Response)
            return error;
        throw error;
    }
}

addEventListener("fetch", (event) => event.respondWith(respond(event.request)));
