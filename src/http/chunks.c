/* See chunks.h. One step per element of the coding; a step that lacks bytes leaves them. The trailer
 * section is taken in one step, when all of it is there, so that its views point into one buffer. */
#include "http/chunks.h"

#include "base/alloc.h"

#include <string.h>

void http_chunks_begin(struct http_chunks *chunks)
{
    memset(chunks, 0, offsetof(struct http_chunks, trailers));
}

struct http_field *http_chunks_room(struct http_chunks *chunks, int *ret_status)
{
    *ret_status = chunks->trailer_count == HTTP_MAX_TRAILERS ? 431 : 500;
    if (chunks->trailer_count == HTTP_MAX_TRAILERS)
        return NULL;
    if (!chunks->trailers)
        chunks->trailers = mem_resize(NULL, HTTP_MAX_TRAILERS, sizeof *chunks->trailers);
    return chunks->trailers ? &chunks->trailers[chunks->trailer_count] : NULL;
}

void http_chunks_free(struct http_chunks *chunks)
{
    mem_free(chunks->trailers);
    chunks->trailers = NULL;
}

struct raw {
    char *at, *end;
};

static int step_size(struct http_chunks *chunks, struct raw *raw, uint64_t max, struct buf *body)
{
    size_t line;
    uint64_t size;
    int status = http_parse_chunk(raw->at, (size_t)(raw->end - raw->at), &line, &size);
    if (status != 0)
        return status;
    if (size > max - chunks->total)
        return 413;
    chunks->total += size;
    raw->at += line;
    chunks->left = size;
    chunks->state = size ? CHUNKS_DATA : CHUNKS_TRAILERS;
    return 0;
}

static int step_data(struct http_chunks *chunks, struct raw *raw, uint64_t max, struct buf *body)
{
    size_t here = (size_t)(raw->end - raw->at);
    if (here > chunks->left)
        here = (size_t)chunks->left;
    if (!buf_append(body, raw->at, here))
        return 500;
    raw->at += here;
    chunks->left -= here;
    if (chunks->left)
        return HTTP_PARSE_MORE;
    chunks->state = CHUNKS_DATA_END;
    return 0;
}

static int step_data_end(struct http_chunks *chunks, struct raw *raw, uint64_t max, struct buf *body)
{
    size_t here = (size_t)(raw->end - raw->at);
    if (memcmp(raw->at, "\r\n", here < 2 ? here : 2) != 0)
        return 400;
    if (here < 2)
        return HTTP_PARSE_MORE;
    raw->at += 2;
    chunks->state = CHUNKS_SIZE;
    return 0;
}

/* One line of the section; 0 with *ret_last set for the empty one. */
static int trailer_line(struct http_chunks *chunks, struct raw *raw, bool *ret_last)
{
    size_t here = (size_t)(raw->end - raw->at);
    char *feed = here ? memchr(raw->at, '\n', here) : NULL;
    if (!feed)
        return HTTP_PARSE_MORE;
    if (feed == raw->at || feed[-1] != '\r')
        return 400;
    size_t length = (size_t)(feed - raw->at) - 1;
    *ret_last = length == 0;
    int lacking = 0;
    struct http_field *field = length ? http_chunks_room(chunks, &lacking) : NULL;
    if (length && !field)
        return lacking;
    if (length && http_parse_field(raw->at, length, field) != 0)
        return 400;
    chunks->trailer_count += length != 0;
    raw->at = feed + 1;
    return 0;
}

static int step_trailers(struct http_chunks *chunks, struct raw *raw, uint64_t max, struct buf *body)
{
    struct raw from = *raw;
    bool last = false;
    chunks->trailer_count = 0;
    while (!last) {
        int status = trailer_line(chunks, &from, &last);
        if (status != 0)
            return status;
    }
    raw->at = from.at;
    return 0;
}

typedef int step_fn(struct http_chunks *chunks, struct raw *raw, uint64_t max, struct buf *body);
static step_fn *const steps[] = {
    [CHUNKS_SIZE] = step_size,
    [CHUNKS_DATA] = step_data,
    [CHUNKS_DATA_END] = step_data_end,
    [CHUNKS_TRAILERS] = step_trailers,
};

int http_chunks_decode(struct http_chunks *chunks, char *bytes, size_t size, uint64_t max, struct buf *body,
                       size_t *ret_used)
{
    struct raw raw = {bytes, bytes + size};
    enum chunks_state state;
    int status;
    do {
        state = chunks->state;
        status = steps[state](chunks, &raw, max, body);
    } while (status == 0 && state != CHUNKS_TRAILERS);
    *ret_used = (size_t)(raw.at - bytes);
    return status;
}
