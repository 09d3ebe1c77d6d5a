/* Fuzz target: a URL, and where a server there leads, each a line. What is asked of a server is fit for a request, a
 * link without a scheme or a host stays at its server, and no path of one that was joined has steps. */
#include "fuzz/fuzz.h"

#include "deploy/url.h"

static bool is_within(struct str inner, struct str outer)
{
    return inner.len == 0 || (inner.ptr >= outer.ptr && inner.ptr + inner.len <= outer.ptr + outer.len);
}

static void check_target(const struct url *url, struct buf *room)
{
    if (!url_target(url, room))
        return;
    FUZZ_CHECK(room->size && room->data[0] == '/');
    for (size_t i = 0; i < room->size; i++)
        FUZZ_CHECK(room->data[i] > ' ' && room->data[i] < 0x7f && room->data[i] != '#');
}

static bool has_steps(struct str path)
{
    while (path.len) {
        size_t end = 1 + str_find(str_slice(path, 1, path.len), '/');
        struct str segment = str_slice(path, 1, end);
        if (str_eq(segment, STR(".")) || str_eq(segment, STR("..")))
            return true;
        path = str_slice(path, end, path.len);
    }
    return false;
}

static void check_joined(const struct url *base, struct str location, struct buf *joined)
{
    struct url to;
    bool joins = url_join(base, location, joined);
    FUZZ_CHECK(joins || joined->full);
    bool plain =
        location.len && (location.ptr[0] == '?' || (location.ptr[0] == '/' && !str_starts(location, STR("//"))));
    if (!joins || !plain || !url_parse((struct str){(const char *)joined->data, joined->size}, &to))
        return;
    FUZZ_CHECK(to.secure == base->secure && str_eq(to.authority, base->authority));
    FUZZ_CHECK(!has_steps(str_slice(to.rest, 0, str_find(to.rest, '?'))));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = fuzz_copy(data, size);
    struct str text = {(const char *)copy, size};
    size_t end = str_find(text, '\n');
    struct str first = str_slice(text, 0, end), second = str_slice(text, end + (end < size), size);
    char room[URL_SHOWN];
    struct buf target, joined;
    struct url url;
    buf_init(&target, 4 * URL_MAX);
    buf_init(&joined, URL_MAX);
    FUZZ_CHECK(strlen(url_shown(text, room)) < URL_SHOWN);
    if (url_parse(first, &url)) {
        FUZZ_CHECK(is_within(url.authority, first) && is_within(url.host, first) && is_within(url.rest, first));
        FUZZ_CHECK(url.host.len && url.port);
        check_target(&url, &target);
        check_joined(&url, second, &joined);
    }
    buf_free(&target);
    buf_free(&joined);
    free(copy);
    return 0;
}
