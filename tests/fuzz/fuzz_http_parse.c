/* Fuzz target: the request parser and the decoder of chunked bodies. The first byte chooses where the bytes are cut in
 * two: however they arrive, the same ones are accepted. (What is refused may be refused later, when a line feed shows
 * that the line is no good.) */
#include "fuzz/fuzz.h"

#include "http/chunks.h"
#include "http/parse.h"

static void check_view(struct str view, const char *bytes, size_t size)
{
    static const char *const constants[] = {"http", "https", "*", "/", NULL};
    for (size_t i = 0; constants[i]; i++)
        if (str_eq(view, str_of(constants[i])))
            return;
    FUZZ_CHECK(view.len == 0 || (view.ptr >= bytes && view.len <= size && view.ptr + view.len <= bytes + size));
}

static void check_request(const struct http_parser *parser, const char *bytes, size_t size)
{
    const struct http_request *r = &parser->request;
    FUZZ_CHECK(parser->at <= size);
    check_view(r->method, bytes, size);
    check_view(r->target, bytes, size);
    check_view(r->authority, bytes, size);
    FUZZ_CHECK(http_is_token(r->method) && r->target.len > 0);
    for (uint32_t i = 0; i < r->field_count; i++) {
        check_view(r->fields[i].name, bytes, size);
        check_view(r->fields[i].value, bytes, size);
        FUZZ_CHECK(http_is_token(r->fields[i].name) && http_is_value(r->fields[i].value));
    }
}

/* Parse a copy of exactly that size, in two steps. */
static int parse(struct http_parser *parser, const uint8_t *data, size_t size, size_t cut)
{
    char *bytes = malloc(size + 1);
    FUZZ_CHECK(bytes);
    memcpy(bytes, data, size);
    http_parse_begin(parser, 0);
    int status = http_parse_head(parser, bytes, cut);
    if (status == HTTP_PARSE_MORE)
        status = http_parse_head(parser, bytes, size);
    if (status == HTTP_PARSE_DONE)
        check_request(parser, bytes, size);
    free(bytes);
    return status;
}

static int decode(const uint8_t *data, size_t size, size_t cut, struct buf *body)
{
    struct http_chunks chunks = {0};
    size_t used = 0, more = 0;
    char *bytes = malloc(size + 1);
    FUZZ_CHECK(bytes);
    memcpy(bytes, data, size);
    http_chunks_begin(&chunks);
    int status = http_chunks_decode(&chunks, bytes, cut, 1000, body, &used);
    FUZZ_CHECK(used <= cut);
    if (status == HTTP_PARSE_MORE)
        status = http_chunks_decode(&chunks, bytes + used, size - used, 1000, body, &more);
    FUZZ_CHECK(used + more <= size && body->size <= 1000);
    http_chunks_free(&chunks);
    free(bytes);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_parser one, two;
    if (size == 0)
        return 0;
    size_t cut = data[0] % size;
    data++;
    size--;
    int whole = parse(&one, data, size, size), parts = parse(&two, data, size, cut);
    FUZZ_CHECK((whole == HTTP_PARSE_DONE) == (parts == HTTP_PARSE_DONE));
    if (whole == HTTP_PARSE_DONE)
        FUZZ_CHECK(one.at == two.at && one.body == two.body && one.length == two.length &&
                   one.keep_alive == two.keep_alive);
    struct buf first, second;
    buf_init(&first, 1000);
    buf_init(&second, 1000);
    int decoded = decode(data, size, size, &first), cut_decoded = decode(data, size, cut, &second);
    FUZZ_CHECK((decoded == HTTP_PARSE_DONE) == (cut_decoded == HTTP_PARSE_DONE));
    if (decoded == HTTP_PARSE_DONE)
        FUZZ_CHECK(first.size == second.size && (first.size == 0 || memcmp(first.data, second.data, first.size) == 0));
    buf_free(&first);
    buf_free(&second);
    return 0;
}
