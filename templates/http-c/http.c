/* See http.h. The functions of wasi:http as the canonical ABI of the Component Model has them: what does not fit into
 * one result is written where the last parameter points to. Resources are numbers. */
#include "http.h"

#include <stdlib.h>
#include <string.h>

#define TYPES "wasi:http/types@0.2.10"
#define STREAMS "wasi:io/streams@0.2.10"
#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))

struct text_option { /* option<string>, or a variant with a string */
    uint8_t kind;
    const char *text;
    size_t size;
};
struct handle_result { /* result<own<...>> */
    uint8_t is_error;
    int32_t handle;
};
struct read_result { /* result<list<u8>, stream-error> */
    uint8_t is_error;
    uint8_t *bytes; /* of an error: which */
    size_t size;
};
struct list { /* list<list<u8>>, of such pairs */
    struct {
        char *text;
        size_t size;
    } *items;
    size_t count;
};
struct write_result { /* result<_, stream-error> */
    uint8_t is_error, error[11];
};
struct finish_result { /* result<_, error-code> */
    _Alignas(8) uint8_t is_error, error[39];
};
struct header_result { /* result<_, header-error> */
    uint8_t is_error, error;
};

IMPORT(TYPES, "[method]incoming-request.method") void request_method(int32_t request, struct text_option *ret);
IMPORT(TYPES, "[method]incoming-request.path-with-query") void request_path(int32_t request, struct text_option *ret);
IMPORT(TYPES, "[method]incoming-request.consume") void request_consume(int32_t request, struct handle_result *ret);
IMPORT(TYPES, "[method]incoming-body.stream") void incoming_stream(int32_t body, struct handle_result *ret);
IMPORT(STREAMS, "[method]input-stream.blocking-read")
void stream_read(int32_t stream, uint64_t size, struct read_result *ret);
IMPORT(TYPES, "[method]incoming-request.headers") int32_t request_headers(int32_t request);
IMPORT(TYPES, "[resource-drop]fields") void fields_drop(int32_t fields);
IMPORT(TYPES, "[method]fields.get") void fields_get(int32_t fields, const char *name, size_t size, struct list *ret);
IMPORT(TYPES, "[constructor]fields") int32_t fields_new(void);
IMPORT(TYPES, "[method]fields.append")
void fields_append(int32_t fields, const char *name, size_t name_size, const char *value, size_t value_size,
                   struct header_result *ret);
IMPORT(TYPES, "[constructor]outgoing-response") int32_t response_new(int32_t fields);
IMPORT(TYPES, "[method]outgoing-response.set-status-code")
int32_t response_set_status(int32_t response, uint32_t status);
IMPORT(TYPES, "[method]outgoing-response.body") void response_body(int32_t response, struct handle_result *ret);
/* The answer, or an error-code, whose parts are the parameters behind it. */
IMPORT(TYPES, "[static]response-outparam.set")
void outparam_set(int32_t out, int32_t is_error, int32_t response, int32_t a, int64_t b, int32_t c, int32_t d,
                  int32_t e, int32_t f);
IMPORT(TYPES, "[method]outgoing-body.write") void outgoing_write(int32_t body, struct handle_result *ret);
IMPORT(STREAMS, "[method]output-stream.blocking-write-and-flush")
void stream_write(int32_t stream, const void *bytes, size_t size, struct write_result *ret);
IMPORT(STREAMS, "[resource-drop]output-stream") void stream_drop(int32_t stream);
IMPORT(TYPES, "[static]outgoing-body.finish")
void outgoing_finish(int32_t body, int32_t has_trailers, int32_t trailers, struct finish_result *ret);

#define PART 4096 /* what one call writes at most */

/* Where the host puts what it returns. */
__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size)
{
    (void)old_size;
    (void)align; /* at most 8, and allocations are aligned to 16 */
    void *block = realloc(old, size ? size : 1);
    if (!block)
        __builtin_trap();
    return block;
}

static char *terminated(const char *text, size_t size)
{
    char *copy = cabi_realloc(NULL, 0, 1, size + 1);
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

static const char *method_of(int32_t request)
{
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"};
    struct text_option method;
    request_method(request, &method);
    return method.kind < sizeof names / sizeof *names ? names[method.kind] : terminated(method.text, method.size);
}

static const char *path_of(int32_t request)
{
    struct text_option path;
    request_path(request, &path);
    return path.kind ? terminated(path.text, path.size) : "/";
}

char *http_field(struct http_request *request, const char *name)
{
    struct list values;
    int32_t headers = request_headers(request->handle);
    fields_get(headers, name, strlen(name), &values);
    fields_drop(headers);
    char *first = values.count ? terminated(values.items[0].text, values.items[0].size) : NULL;
    for (size_t i = 0; i < values.count; i++)
        free(values.items[i].text);
    free(values.items);
    return first;
}

size_t http_read(struct http_request *request, void *bytes, size_t size)
{
    struct handle_result taken = {0};
    struct read_result got;
    if (!request->body) {
        request_consume(request->handle, &taken);
        request->body = taken.is_error ? -1 : taken.handle;
        if (!taken.is_error)
            incoming_stream(request->body, &taken);
        request->stream = taken.is_error ? -1 : taken.handle;
    }
    if (request->stream < 0)
        return 0;
    do {
        stream_read(request->stream, size, &got);
        if (got.is_error)
            return 0;
    } while (!got.size);
    memcpy(bytes, got.bytes, got.size);
    free(got.bytes);
    return got.size;
}

void http_header(struct http_response *response, const char *name, const char *value)
{
    struct header_result result;
    fields_append(response->headers, name, strlen(name), value, strlen(value), &result);
}

void http_begin(struct http_response *response, unsigned status)
{
    struct handle_result result;
    int32_t answer = response_new(response->headers);
    response_set_status(answer, status);
    response_body(answer, &result);
    response->body = result.handle;
    outparam_set(response->out, 0, answer, 0, 0, 0, 0, 0, 0);
    outgoing_write(response->body, &result);
    response->stream = result.handle;
}

int http_write(struct http_response *response, const void *bytes, size_t size)
{
    struct write_result result;
    if (!response->stream)
        http_begin(response, 200);
    for (const uint8_t *at = bytes; size;) {
        size_t part = size < PART ? size : PART;
        stream_write(response->stream, at, part, &result);
        if (result.is_error)
            return 0;
        at += part;
        size -= part;
    }
    return 1;
}

__attribute__((export_name("wasi:http/incoming-handler@0.2.10#handle"))) void http_handle(int32_t request, int32_t out)
{
    struct http_request asked = {method_of(request), path_of(request), request, 0, 0};
    struct http_response response = {out, fields_new(), 0, 0};
    struct finish_result result;
    handle(&asked, &response);
    if (!response.stream)
        http_begin(&response, 200);
    stream_drop(response.stream);
    outgoing_finish(response.body, 0, 0, &result);
}
