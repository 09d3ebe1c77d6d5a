// The handler: `POST /LIMIT` with a text; the library that it imports counts the words.
import { summarize } from "mayfly:examples/words";

const TEXT_MAX = 16 << 20;
const say = (status, text) =>
    new Response(text, { status, headers: { "content-type": "text/plain; charset=utf-8" } });

async function respond(request) {
    const limit = new URL(request.url).pathname.slice(1);
    if (!/^[0-9]{1,9}$/.test(limit))
        return say(400, "the path is how many words to show\n");
    let text;
    try {
        const bytes = await request.arrayBuffer();
        if (bytes.byteLength > TEXT_MAX)
            throw new RangeError("too long");
        text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch {
        return say(400, "the body is text in UTF-8, 16 MiB at most\n");
    }
    try {
        const { words, longest, most } = summarize(text, Number(limit));
        const lines = most.map(({ times, text }) => `${times} ${text}\n`);
        return say(200, `${words} words, longest: ${longest}\n${lines.join("")}`);
    } catch (error) {
        return say(422, `${error.payload ?? error}\n`);
    }
}

addEventListener("fetch", (event) => event.respondWith(respond(event.request)));
