/* See wagi.h. What the head says becomes a response as handlers make it; what follows is its body, which goes out as
 * theirs do. */
#include "wasi/wagi.h"

#include "base/log.h"

#define HEAD_MAX ((size_t)65536)
#define OWN_VARIABLES 24u /* beside those of fields */

/* ---- what it is given ---- */

struct variables {
    struct host *h;
    struct tuple_str_str *items;
    uint32_t count;
    bool failed;
};

static struct str added_field(const struct http_added *added, struct str name)
{
    for (uint32_t i = 0; i < added->count; i++)
        if (str_eq(added->items[i].name, name))
            return added->items[i].value;
    return STR("");
}

static struct str field_of(const struct http_request *request, struct str name)
{
    for (uint32_t i = 0; i < request->field_count; i++)
        if (str_eq(request->fields[i].name, name))
            return request->fields[i].value;
    return STR("");
}

static bool has_variable(const struct variables *all, struct str name, uint32_t from)
{
    for (uint32_t i = from; i < all->count; i++)
        if (str_eq(all->items[i].f0, name))
            return true;
    return false;
}

/* Texts of components are UTF-8. */
static void put(struct variables *all, struct str name, struct str value)
{
    bool good = utf8_valid(value.ptr, value.len);
    if (!name.ptr)
        all->failed = true;
    else
        all->items[all->count++] = (struct tuple_str_str){name, good ? value : STR("CORRUPT VALUE")};
}

/* `before` and the name in upper case, '-' as '_'; ptr NULL: no memory. */
static struct str variable_name(struct variables *all, struct str before, struct str name)
{
    char *text = arena_alloc(&all->h->scratch, before.len + name.len + 1);
    if (!text)
        return (struct str){NULL, 0};
    memcpy(text, before.ptr, before.len);
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        text[before.len + i] = (char)(c == '-' ? '_' : c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    }
    return (struct str){text, before.len + name.len};
}

static int hex_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

/* Without %XX, where what comes out is text. */
static struct str decoded(struct host *h, struct str path)
{
    char *text = arena_alloc(&h->scratch, path.len + 1);
    size_t size = 0;
    for (size_t i = 0; text && i < path.len; i++) {
        int high = path.ptr[i] == '%' && i + 2 < path.len ? hex_of(path.ptr[i + 1]) : -1;
        int low = high >= 0 ? hex_of(path.ptr[i + 2]) : -1;
        text[size++] = low >= 0 ? (char)(high * 16 + low) : path.ptr[i];
        i += low >= 0 ? 2 : 0;
    }
    bool good = text && utf8_valid(text, size) && !memchr(text, '\0', size);
    return good ? (struct str){text, size} : path;
}

static struct str without_port(struct str address)
{
    for (size_t i = address.len; i > 0 && address.ptr[i - 1] != ']'; i--)
        if (address.ptr[i - 1] == ':')
            return str_slice(address, 0, i - 1);
    return address;
}

static struct str prefix_of(struct str route)
{
    bool wild = route.len >= 4 && str_eq(str_slice(route, route.len - 4, route.len), STR("/..."));
    return wild ? str_slice(route, 0, route.len - 4) : route;
}

static struct str query_of(const struct http_request *request)
{
    size_t at = str_find(request->target, '?');
    return at < request->target.len ? str_slice(request->target, at + 1, request->target.len) : STR("");
}

/* Variables that CGI has, and Spin's. */
static void put_request(struct variables *all, const struct http_added *added)
{
    const struct http_request *request = all->h->request;
    struct str path_info = added_field(added, STR("spin-path-info")), host = without_port(request->authority);
    struct str client = without_port(added_field(added, STR("spin-client-addr")));
    struct str port =
        str_slice(request->authority, host.len + (host.len < request->authority.len), request->authority.len);
    put(all, STR("AUTH_TYPE"), STR(""));
    put(all, STR("CONTENT_TYPE"), field_of(request, STR("content-type")));
    put(all, STR("GATEWAY_INTERFACE"), STR("CGI/1.1"));
    put(all, STR("QUERY_STRING"), query_of(request));
    put(all, STR("REMOTE_ADDR"), client);
    put(all, STR("REMOTE_HOST"), client);
    put(all, STR("REMOTE_USER"), STR(""));
    put(all, STR("REQUEST_METHOD"), request->method);
    put(all, STR("SCRIPT_NAME"), prefix_of(added_field(added, STR("spin-matched-route"))));
    put(all, STR("X_RAW_PATH_INFO"), path_info);
    put(all, STR("PATH_TRANSLATED"), decoded(all->h, path_info));
    put(all, STR("SERVER_NAME"), host.len ? host : STR("localhost"));
    put(all, STR("SERVER_PORT"), port.len ? port : str_eq(request->scheme, STR("https")) ? STR("443") : STR("80"));
    put(all, STR("SERVER_PROTOCOL"), STR("HTTP/1.1"));
    put(all, STR("SERVER_SOFTWARE"), STR("WAGI/1"));
}

/* RFC 3875, section 4.1.2: of a body whose length is known. */
static void put_length(struct variables *all)
{
    const struct http_request *request = all->h->request;
    struct str given = field_of(request, STR("content-length"));
    if (given.len || !request->coming)
        put(all, STR("CONTENT_LENGTH"), given.len ? given : STR("0"));
}

/* spin-path-info is PATH_INFO, the others are X_..., as Spin calls them. */
static void put_added(struct variables *all, const struct http_added *added)
{
    static const struct str spin = STR("spin-");
    for (uint32_t i = 0; i < added->count && !all->failed; i++) {
        struct str name = added->items[i].name;
        bool path = str_eq(name, STR("spin-path-info"));
        if (str_starts(name, spin))
            put(all, path ? STR("PATH_INFO") : variable_name(all, STR("X_"), str_slice(name, spin.len, name.len)),
                path ? decoded(all->h, added->items[i].value) : added->items[i].value);
    }
}

/* RFC 3875, section 4.1.18: what has a variable of its own, or is nobody's business, is left out; of fields with one
 * name the first counts. */
static void put_fields(struct variables *all)
{
    const struct http_request *request = all->h->request;
    uint32_t first = all->count;
    for (uint32_t i = 0; i < request->field_count && !all->failed; i++) {
        struct str name = request->fields[i].name;
        struct str variable = variable_name(all, STR("HTTP_"), name);
        if (!str_eq(name, STR("authorization")) && !str_eq(name, STR("connection")) && !str_eq(name, STR("proxy")) &&
            !(variable.ptr && has_variable(all, variable, first)))
            put(all, variable, request->fields[i].value);
    }
}

static void put_configured(struct variables *all)
{
    const struct host_config *config = all->h->config;
    for (size_t i = 0; i < config->environment_count; i++)
        if (!has_variable(all, config->environment[i].name, 0))
            put(all, config->environment[i].name, config->environment[i].value);
}

bool wagi_environment(struct host *h, struct list_tuple_str_str *ret)
{
    struct http_added added = {.arena = &h->scratch};
    struct variables all = {.h = h};
    uint32_t fields = h->request ? h->request->field_count : 0;
    size_t most = OWN_VARIABLES + HTTP_ADDED_MAX + fields + h->config->environment_count;
    if (!h->request)
        return request_lost(h);
    all.items = ARENA_ARRAY(&h->scratch, struct tuple_str_str, most);
    if (!all.items || (h->face->added && !h->face->added(h->exchange, &added)))
        return host_no_memory(h);
    put_request(&all, &added);
    put_length(&all);
    put_added(&all, &added);
    put_fields(&all);
    put_configured(&all);
    *ret = (struct list_tuple_str_str){all.items, all.count};
    return !all.failed || host_no_memory(h);
}

/* Words of the manifest's `argv`, after the path and the words of the query took their places. */
bool wagi_arguments(struct host *h, struct list_str *ret)
{
    static const struct str script = STR("${SCRIPT_NAME}"), args = STR("${ARGS}");
    struct str argv = *h->config->wagi_argv, query = h->request ? query_of(h->request) : STR("");
    struct str target = h->request ? h->request->target : STR("");
    struct str path = str_slice(target, 0, str_find(target, '?'));
    size_t size = 0, most = (argv.len / args.len + 1) * (query.len + path.len + 1) + argv.len + 1;
    char *text = arena_alloc(&h->scratch, most);
    struct str *words = ARENA_ARRAY(&h->scratch, struct str, most);
    if (!text || !words)
        return host_no_memory(h);
    for (size_t i = 0; i < argv.len;) {
        struct str rest = str_slice(argv, i, argv.len);
        bool is_script = str_starts(rest, script), is_args = str_starts(rest, args);
        struct str part = is_script ? path : is_args ? query : str_slice(rest, 0, 1);
        for (size_t k = 0; k < part.len; k++)
            text[size++] = is_args && part.ptr[k] == '&' ? ' ' : part.ptr[k];
        i += is_script ? script.len : is_args ? args.len : 1;
    }
    *ret = (struct list_str){words, 0};
    for (size_t at = 0; at <= size;) {
        struct str word =
            str_slice((struct str){text, size}, at, at + str_find((struct str){text + at, size - at}, ' '));
        words[ret->len++] = word;
        at += word.len + 1;
    }
    return true;
}

/* ---- what it says ---- */

struct host_wagi {
    char head[HEAD_MAX];
    size_t size;
    bool failed;
    struct wasi_http_outgoing_body *body; /* NULL: still in the head */
};

static bool complain(struct host *h, const char *what)
{
    char room[TRACE_SCOPE_SIZE];
    h->wagi->failed = true;
    log_line(LOG_ERROR, host_scope(h, room), "wagi: %s", what);
    return true;
}

static struct str trim(struct str text)
{
    while (text.len && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
        text = str_slice(text, 1, text.len);
    while (text.len && strchr(" \t\r", text.ptr[text.len - 1]))
        text.len--;
    return text;
}

/* "404 Not Found"; what is no status is an error of this function's. */
static unsigned read_status(struct str value)
{
    struct str code = str_slice(value, 0, str_find(value, ' '));
    unsigned status = 0;
    for (size_t i = 0; i < code.len; i++)
        status = code.ptr[i] >= '0' && code.ptr[i] <= '9' && status < 1000 ? status * 10 + (unsigned)(code.ptr[i] - '0')
                                                                           : 1000;
    return status >= 200 && status <= 999 ? status : 502;
}

/* One line of the head. False: trap. */
static bool take_line(struct host *h, struct str line, struct wasi_http_outgoing_response *response, bool *sufficient)
{
    size_t colon = str_find(line, ':');
    struct str name = trim(str_slice(line, 0, colon)),
               value = trim(str_slice(line, colon + (colon < line.len), line.len));
    if (colon == line.len || !http_is_token(name) || !http_is_value(value))
        return line.len == 0 || complain(h, "a line of the head is no field");
    if (http_is_same(name, STR("status"))) {
        *sufficient = true;
        response->status = read_status(value);
        return true;
    }
    bool location = http_is_same(name, STR("location"));
    *sufficient |= location || http_is_same(name, STR("content-type"));
    if (location && response->status == 0)
        response->status = 302;
    return fields_append(h, response->fields, name, value);
}

/* The head is whole: it becomes the response. */
static bool take_head(struct host *h, struct str head)
{
    struct wasi_http_outgoing_response *response = HOST_NEW(h, struct wasi_http_outgoing_response, NULL);
    struct wasi_http_outgoing_body *body = HOST_NEW(h, struct wasi_http_outgoing_body, NULL);
    bool sufficient = false;
    if (!response || !body || !wasi_http_types_fields_constructor(h, &response->fields))
        return false;
    while (head.len) {
        size_t end = str_find(head, '\n');
        if (!take_line(h, trim(str_slice(head, 0, end)), response, &sufficient))
            return false;
        head = str_slice(head, end + (end < head.len), head.len);
    }
    if (!sufficient)
        return complain(h, "the head has neither content-type nor location nor status");
    response->status = response->status ? response->status : 200;
    response->body = body;
    body->sized = fields_length(response->fields, &body->length);
    h->response = response;
    h->response_state = RESPONSE_SET;
    h->wagi->body = body;
    return true;
}

/* Where the head ends: behind an empty line, from `from` on; 0: not yet. */
static size_t head_end(const char *head, size_t from, size_t size)
{
    for (size_t i = from; i < size; i++)
        if (head[i] == '\n' &&
            (i == 0 || head[i - 1] == '\n' || (head[i - 1] == '\r' && (i == 1 || head[i - 2] == '\n'))))
            return i + 1;
    return 0;
}

/* What belongs to the head, and how much of `bytes` that is. False: trap. */
static bool gather(struct host *h, struct str bytes, size_t *ret_used)
{
    struct host_wagi *wagi = h->wagi;
    size_t before = wagi->size, room = HEAD_MAX - before, n = bytes.len < room ? bytes.len : room;
    memcpy(wagi->head + before, bytes.ptr, n);
    wagi->size += n;
    size_t end = head_end(wagi->head, before, wagi->size);
    *ret_used = end ? end - before : n;
    if (end)
        return take_head(h, (struct str){wagi->head, end});
    return wagi->size < HEAD_MAX || complain(h, "the head has no end");
}

static bool make_wagi(struct host *h)
{
    if (!h->wagi)
        h->wagi = arena_alloc(&h->arena, sizeof *h->wagi);
    return h->wagi || host_no_memory(h);
}

static size_t wagi_room(struct host *h, struct wasi_io_output_stream *s)
{
    s->body = h->wagi ? h->wagi->body : NULL;
    return s->body ? output_body.room(h, s) : HOST_STREAM_BYTES;
}

static bool wagi_write(struct host *h, struct wasi_io_output_stream *s, struct str bytes,
                       struct wasi_io_error **ret_why)
{
    size_t used = 0;
    if (!make_wagi(h) || (!h->wagi->body && !h->wagi->failed && bytes.len && !gather(h, bytes, &used)))
        return false;
    if (h->wagi->failed)
        return true;
    s->body = h->wagi->body;
    return !s->body || used == bytes.len || output_body.write(h, s, str_slice(bytes, used, bytes.len), ret_why);
}

const struct output_kind output_wagi = {wagi_room, wagi_write, NULL, false};

void wagi_end(struct host *h, bool well)
{
    struct wasi_http_outgoing_body *body = h->wagi ? h->wagi->body : NULL;
    if (body && well && !h->wagi->failed)
        body->state = body->sized && body->written != body->length ? BODY_CORRUPT : BODY_FINISHED;
    else if (well && !(h->wagi && h->wagi->failed) && make_wagi(h))
        complain(h, "nothing was written to standard output, or no head");
}
