/* A handler that gets a request as a value and returns its response as one, as Spin's first interface has it:
 *
 *     /echo            the body
 *     /big/N           N bytes
 *     /status/N        nothing but a status
 *     /fields          headers that may not be set beside some that may
 *     /malformed       a header that is none
 *     /short           fewer bytes than content-length says
 *     /trap
 *     /send/METHOD/URL what a server answers: body and header x-pass go on to it; its status, headers and body
 *     everything else  what the request was
 */
#include "plain.h"

typedef const char *text_t;

struct pair {
    struct text name, value;
};

IMPORT("fermyon:spin/http", "send-request")
void send_request(int method, text_t uri, size_t uri_size, const struct pair *headers, size_t header_count,
                  const struct pair *params, size_t param_count, int has_body, text_t body, size_t body_size,
                  void *ret);

static struct {
    uint16_t status;
    uint32_t has_headers;
    const struct pair *headers;
    size_t header_count;
    uint32_t has_body;
    struct text body;
} response;
_Static_assert(sizeof response == 28, "as the canonical ABI has it");

static const char *const methods[] = {"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"};

static size_t length(const char *text)
{
    size_t size = 0;
    while (text[size])
        size++;
    return size;
}

static struct text text_of(const char *text)
{
    return (struct text){text, length(text)};
}

static struct text behind(struct text text, const char *prefix)
{
    size_t size = length(prefix);
    return (struct text){text.ptr + size, text.len - size};
}

static uint32_t number_of(struct text text)
{
    uint32_t number = 0;
    for (size_t i = 0; i < text.len; i++)
        number = number * 10 + (uint32_t)(text.ptr[i] - '0');
    return number;
}

static void give_headers(const struct pair *headers, size_t count)
{
    response.has_headers = 1;
    response.headers = headers;
    response.header_count = count;
}

static void give_body(struct text body)
{
    response.has_body = 1;
    response.body = body;
}

static void say_headers(const struct pair *headers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        say_text(headers[i].name);
        say(": ");
        say_text(headers[i].value);
        say("\n");
    }
}

static void tell(int method, struct text uri, const struct pair *headers, size_t header_count, size_t param_count,
                 int has_body, struct text body)
{
    static struct pair plain;
    uint64_t sum = 0;
    for (size_t i = 0; i < body.len; i++)
        sum += (uint8_t)body.ptr[i];
    say(methods[method]);
    say(" ");
    say_text(uri);
    say(" params ");
    say_number(param_count);
    say(has_body ? " body " : " no body ");
    say_number(body.len);
    say(" sum ");
    say_number(sum);
    say("\n");
    say_headers(headers, header_count);
    plain = (struct pair){text_of("content-type"), text_of("text/plain")};
    give_headers(&plain, 1);
    give_body((struct text){report, reported});
}

/* METHOD/URL */
static void send(struct text what, const struct pair *headers, size_t count, struct text body)
{
    static struct pair pass[2];
    size_t passed = 0, slash = 0;
    int method = 0;
    while (slash < what.len && what.ptr[slash] != '/')
        slash++;
    for (int i = 0; i < 7; i++)
        if (starts(what, methods[i]) && length(methods[i]) == slash)
            method = i;
    for (size_t i = 0; i < count; i++)
        if (starts(headers[i].name, "x-pass"))
            pass[passed++] = headers[i];
    pass[passed++] = (struct pair){text_of("connection"), text_of("upgrade")}; /* not for guests to say */
    send_request(method, what.ptr + slash + 1, what.len - slash - 1, pass, passed, 0, 0, body.len > 0, body.ptr,
                 body.len, ret);
    if (ret[0]) {
        say("error ");
        say_number(ret[4]);
    } else {
        say("status ");
        say_number((uint64_t)(ret[4] | ret[5] << 8));
        say("\n");
        if (ret[8])
            say_headers((const struct pair *)(size_t)word_at(ret + 12), word_at(ret + 16));
        say(ret[20] ? "\n" : "no body");
        if (ret[20])
            say_text(text_at(ret + 24));
    }
    give_body((struct text){report, reported});
}

static struct text many(uint32_t size)
{
    char *bytes = cabi_realloc(0, 0, 1, size);
    for (uint32_t i = 0; i < size; i++)
        bytes[i] = (char)('a' + i % 23);
    return (struct text){bytes, size};
}

EXPORT("fermyon:spin/inbound-http#handle-request")
void *handle_request(int method, text_t uri_text, size_t uri_size, const struct pair *headers, size_t header_count,
                     const struct pair *params, size_t param_count, int has_body, text_t body_text, size_t body_size)
{
    static struct pair fields[4];
    struct text uri = {uri_text, uri_size}, body = {body_text, has_body ? body_size : 0};
    response.status = 200;
    if (starts(uri, "/echo"))
        give_body(body);
    else if (starts(uri, "/big/"))
        give_body(many(number_of(behind(uri, "/big/"))));
    else if (starts(uri, "/status/"))
        response.status = (uint16_t)number_of(behind(uri, "/status/"));
    else if (starts(uri, "/trap"))
        __builtin_trap();
    else if (starts(uri, "/send/"))
        send(behind(uri, "/send/"), headers, header_count, body);
    else if (!starts(uri, "/fields") && !starts(uri, "/malformed") && !starts(uri, "/short"))
        tell(method, uri, headers, header_count, param_count, has_body, body);
    if (starts(uri, "/fields")) {
        fields[0] = (struct pair){text_of("x-one"), text_of("1")};
        fields[1] = (struct pair){text_of("connection"), text_of("close")};
        fields[2] = (struct pair){text_of("transfer-encoding"), text_of("chunked")};
        fields[3] = (struct pair){text_of("x-one"), text_of("2")};
        give_headers(fields, 4);
        give_body(text_of("fields"));
    } else if (starts(uri, "/malformed")) {
        fields[0] = (struct pair){text_of("x-one"), text_of("a\nb: c")};
        give_headers(fields, 1);
    } else if (starts(uri, "/short")) {
        fields[0] = (struct pair){text_of("content-length"), text_of("10")};
        give_headers(fields, 1);
        give_body(text_of("short"));
    }
    return &response;
}
