/* What answers of both versions of HTTP have in common: which have content, and what they say of its length. */
#include "http/connection.h"

bool exchange_has_content(const struct http_exchange *x, unsigned status)
{
    return status != 204 && status != 205 && status != 304 && !str_eq(x->parser.request.method, STR("HEAD"));
}

bool exchange_declared(const struct http_field *fields, size_t count, uint64_t *ret_length)
{
    for (size_t i = 0; i < count; i++)
        if (http_is_same(fields[i].name, STR("content-length")))
            return http_read_length(fields[i].value, ret_length);
    return false;
}

/* RFC 9110 section 8.6: no content-length in a 204; HEAD and 304 may tell what a GET would have. */
void exchange_frame_nothing(struct http_head *head, size_t body)
{
    head->framing = HTTP_FRAME_NONE;
    if (head->status == 204)
        return;
    if (exchange_declared(head->fields, head->count, &head->length)) {
        head->framing = HTTP_FRAME_LENGTH;
        return;
    }
    if (head->status != 205 && body == 0)
        return;
    head->framing = HTTP_FRAME_LENGTH;
    head->length = head->status == 205 ? 0 : body;
}

struct str exchange_plain(unsigned status, char room[EXCHANGE_PLAIN_SIZE], struct http_head *ret_head)
{
    static const struct http_field fields[] = {{{"content-type", 12}, {"text/plain; charset=utf-8", 25}},
                                               {{"retry-after", 11}, {"1", 1}}};
    struct http_out body = {room, 0, EXCHANGE_PLAIN_SIZE};
    struct str reason = http_reason(status);
    *ret_head = (struct http_head){.status = status, .fields = fields, .count = status == 503 ? 2 : 1};
    http_out_number(&body, status, 10);
    http_out_append(&body, " ", 1);
    http_out_append(&body, reason.ptr, reason.len);
    http_out_append(&body, "\n", 1);
    return (struct str){room, body.size};
}
