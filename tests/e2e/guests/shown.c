/* Answers with the request as it came: method, path, scheme and authority on a line, then each field. */
#include "plain_answer.h"

IMPORT(HTTP, "[method]incoming-request.method") void request_method(int request, void *ret);
IMPORT(HTTP, "[method]incoming-request.scheme") void request_scheme(int request, void *ret);
IMPORT(HTTP, "[method]incoming-request.authority") void request_authority(int request, void *ret);
IMPORT(HTTP, "[method]incoming-request.headers") int request_headers(int request);
IMPORT(HTTP, "[method]fields.entries") void fields_entries(int fields, void *ret);

EXPORT("wasi:http/incoming-handler@0.2.12#handle") void handle(int request, int out)
{
    static const char *const methods[] = {"GET", "HEAD", "POST"};
    request_method(request, ret);
    say(ret[0] < 3 ? methods[ret[0]] : "OTHER");
    say(" ");
    say_text(request_path(request));
    request_scheme(request, ret); /* some, and the case */
    say(ret[4] == 0 ? " http " : " https ");
    request_authority(request, ret);
    say_text(text_at(ret + 4));
    say("\n");
    fields_entries(request_headers(request), ret);
    struct text list = text_at(ret); /* name and value, two words each */
    for (size_t i = 0; i < list.len; i++) {
        const uint8_t *entry = (const uint8_t *)list.ptr + 16 * i;
        say_text(text_at(entry));
        say(": ");
        say_text(text_at(entry + 8));
        say("\n");
    }
    answer_report(out);
}
