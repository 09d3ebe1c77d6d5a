// What a request is answered with: Request and Response are those of the Fetch API.
async function respond(request) {
    const { pathname, search } = new URL(request.url);
    return new Response(`Hello from @project-name@! You asked for ${pathname}${search}\n`, {
        headers: { "content-type": "text/plain" },
    });
}

addEventListener("fetch", (event) => event.respondWith(respond(event.request)));
