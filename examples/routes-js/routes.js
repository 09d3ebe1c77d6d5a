// A handler with routes: an order as JSON, answers and echoes that are streamed, a request to another server.

const ORDER_MAX = 1 << 20;
const COUNT_MAX = 10_000_000;

const json = (status, value) =>
    new Response(JSON.stringify(value), { status, headers: { "content-type": "application/json" } });
const refuse = (status, why) => json(status, { error: why });
const isNatural = (value) => Number.isSafeInteger(value) && value >= 0;

// The whole body as text, or null when it is longer than `most` bytes.
async function readText(body, most) {
    const decoder = new TextDecoder("utf-8", { fatal: true });
    let text = "", length = 0;
    for (const reader = body.getReader(); ;) {
        const { done, value } = await reader.read();
        if (done)
            return text + decoder.decode();
        if ((length += value.length) > most)
            return null;
        text += decoder.decode(value, { stream: true });
    }
}

async function order(request) {
    let value;
    try {
        const text = request.body ? await readText(request.body, ORDER_MAX) : "";
        if (text === null)
            return refuse(413, "the order is too long");
        value = JSON.parse(text);
    } catch {
        return refuse(400, "this is no order");
    }
    const isItem = (item) => isNatural(item?.count) && isNatural(item?.cents);
    if (typeof value?.customer !== "string" || !Array.isArray(value.items) || !value.items.every(isItem))
        return refuse(400, "this is no order");
    let pieces = 0, cents = 0;
    for (const item of value.items) {
        pieces += item.count;
        cents += item.count * item.cents;
    }
    return json(200, { customer: value.customer, pieces, cents });
}

function count(digits) {
    const last = Number(digits);
    if (!/^[0-9]+$/.test(digits) || last > COUNT_MAX)
        return refuse(400, "not a number that can be counted to");
    const encoder = new TextEncoder();
    let next = 1;
    const numbers = new ReadableStream({
        pull(controller) {
            let lines = "";
            for (; next <= last && lines.length < 4000; next++)
                lines += next + "\n";
            if (lines)
                controller.enqueue(encoder.encode(lines));
            else
                controller.close();
        },
    });
    return new Response(numbers, { headers: { "content-type": "text/plain" } });
}

// `target` is SCHEME/AUTHORITY/PATH.
async function pass(target) {
    try {
        const answer = await fetch(target.replace("/", "://"));
        return new Response(answer.body, {
            status: answer.status,
            headers: { "content-type": "application/octet-stream" },
        });
    } catch (error) {
        return refuse(502, String(error));
    }
}

async function respond(request) {
    const url = new URL(request.url), path = url.pathname + url.search;
    const get = request.method === "GET", post = request.method === "POST";
    if (get && path === "/")
        return new Response("Routes in JavaScript\n", { headers: { "content-type": "text/plain" } });
    if (post && path === "/order")
        return order(request);
    if (post && path === "/echo")
        return new Response(request.body, { headers: { "content-type": "application/octet-stream" } });
    if (["/", "/order", "/echo"].includes(path))
        return refuse(405, "not with this method");
    if (get && path.startsWith("/count/"))
        return count(path.slice("/count/".length));
    if (get && path.startsWith("/fetch/"))
        return pass(path.slice("/fetch/".length));
    return refuse(404, "no such path");
}

addEventListener("fetch", (event) => event.respondWith(respond(event.request)));
