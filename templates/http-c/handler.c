#include "http.h"

#include <string.h>

static void put(struct http_response *response, const char *text)
{
    http_write(response, text, strlen(text));
}

/* What a request is answered with. */
void handle(struct http_request *request, struct http_response *response)
{
    http_header(response, "content-type", "text/plain");
    http_begin(response, 200);
    put(response, "Hello from @project-name@! You asked for ");
    put(response, request->path);
    put(response, "\n");
}
