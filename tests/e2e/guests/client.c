/* Sends HTTP requests and tells what came of them; and calls every function of wasi:http/types.
 *
 *     /types      checks what needs no peer: "ok", or a line for each thing that was not as the interface says
 *     /fetch?KEY=VALUE&...&url=URL    one request; the answer tells the response, see `fetch`
 *     /both?url=URL       two requests at once: the second one's response is read first
 *     /crowd?url=URL      as many at once as there may be
 *     /relay?url=URL      the body that comes in goes out, and the response's comes back, as they come
 *     /drop-...           what the interfaces forbid */
#include "answer.h"
#include "draft.h"
#include "text.h"

#include <stdlib.h>

#define TYPES(name) wasi_http_types_method_##name
#define FIELDS(name) wasi_http_types_method_fields_##name
#define REQUEST(name) wasi_http_types_method_outgoing_request_##name
#if DRAFT == DRAFT_NOVEMBER
#define OPTIONS(name) wasi_http_types_method_request_options_##name##_ms
#else
#define OPTIONS(name) wasi_http_types_method_request_options_##name
#endif

typedef wasi_http_types_borrow_outgoing_request_t request_ref;
typedef wasi_http_types_borrow_fields_t fields_ref;

static wasi_http_types_error_code_t error;
static wasi_http_types_header_error_t header_error;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            say("line %d: %s\n", __LINE__, #condition);                                                                \
    } while (0)
#define FAILS(call, wanted)                                                                                            \
    do {                                                                                                               \
        header_error.tag = 255;                                                                                        \
        if ((call) || header_error.tag != WASI_HTTP_TYPES_HEADER_ERROR_##wanted)                                       \
            say("line %d: %s is not refused as %s but %d\n", __LINE__, #call, #wanted, header_error.tag);              \
    } while (0)

static guest_string_t text_of(const char *text)
{
    return (guest_string_t){(uint8_t *)text, strlen(text)};
}

static wasi_http_types_field_value_t bytes_of(const char *text)
{
    return (wasi_http_types_field_value_t){(uint8_t *)text, strlen(text)};
}

static bool is_text(guest_string_t text, const char *wanted)
{
    return text.len == strlen(wanted) && memcmp(text.ptr, wanted, text.len) == 0;
}

static void wait_for(wasi_io_poll_own_pollable_t pollable)
{
    wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(pollable));
    wasi_io_poll_pollable_drop_own(pollable);
}

/* ---- /types ---- */

static fields_ref new_fields(void)
{
    return wasi_http_types_borrow_fields(wasi_http_types_constructor_fields());
}

static void drop_fields(fields_ref fields)
{
    wasi_http_types_fields_drop_own((wasi_http_types_own_fields_t){fields.__handle});
}

static bool append(fields_ref fields, const char *name, const char *value)
{
    guest_string_t key = text_of(name);
    wasi_http_types_field_value_t bytes = bytes_of(value);
    return FIELDS(append)(fields, &key, &bytes, &header_error);
}

static bool set(fields_ref fields, const char *name, const char *first, const char *second)
{
    guest_string_t key = text_of(name);
    wasi_http_types_field_value_t values[2] = {bytes_of(first ? first : ""), bytes_of(second ? second : "")};
    wasi_http_types_list_field_value_t list = {values, second ? 2 : first ? 1 : 0};
    return FIELDS(set)(fields, &key, &list, &header_error);
}

static bool delete(fields_ref fields, const char *name)
{
    guest_string_t key = text_of(name);
    return FIELDS(delete)(fields, &key, &header_error);
}

static size_t count(fields_ref fields, const char *name)
{
    guest_string_t key = text_of(name);
    wasi_http_types_list_field_value_t list;
    FIELDS(get)(fields, &key, &list);
    size_t found = list.len;
#if !DRAFT
    CHECK(FIELDS(has)(fields, &key) == (found > 0));
#endif
    wasi_http_types_list_field_value_free(&list);
    return found;
}

/* What all entries are, as "name=value;". */
static bool entries_are(fields_ref fields, const char *wanted)
{
    wasi_http_types_list_tuple2_field_name_field_value_t list;
    char text[256];
    size_t at = 0;
    FIELDS(entries)(fields, &list);
    for (size_t i = 0; i < list.len; i++) {
        if (at + list.ptr[i].f0.len + list.ptr[i].f1.len + 2 > sizeof text)
            return false;
        memcpy(text + at, list.ptr[i].f0.ptr, list.ptr[i].f0.len);
        at += list.ptr[i].f0.len;
        text[at++] = '=';
        memcpy(text + at, list.ptr[i].f1.ptr, list.ptr[i].f1.len);
        at += list.ptr[i].f1.len;
        text[at++] = ';';
    }
    wasi_http_types_list_tuple2_field_name_field_value_free(&list);
    return at == strlen(wanted) && memcmp(text, wanted, at) == 0;
}

static void check_fields(void)
{
    fields_ref fields = new_fields();
    CHECK(entries_are(fields, "") && count(fields, "a") == 0 && count(fields, "not a name") == 0);
    CHECK(append(fields, "X-One", "1") && append(fields, "x-one", "") && append(fields, "b", "2"));
    CHECK(count(fields, "x-ONE") == 2 && entries_are(fields, "X-One=1;x-one=;b=2;"));
    fields_ref copy = wasi_http_types_borrow_fields(FIELDS(clone)(fields));
    CHECK(set(fields, "x-one", "3", "4") && count(fields, "x-one") == 2);
    CHECK(entries_are(fields, "b=2;x-one=3;x-one=4;"));
    CHECK(set(fields, "b", NULL, NULL) && count(fields, "b") == 0);
    CHECK(delete (fields, "X-ONE") && delete (fields, "absent") && entries_are(fields, ""));
    CHECK(entries_are(copy, "X-One=1;x-one=;b=2;") && append(copy, "c", "\x80\xff")); /* values are bytes */
    FAILS(append(fields, "", "x"), INVALID_SYNTAX);
    FAILS(append(fields, "a b", "x"), INVALID_SYNTAX);
    FAILS(append(fields, "a:", "x"), INVALID_SYNTAX);
    FAILS(append(fields, "a", "x\r\ny: z"), INVALID_SYNTAX);
    FAILS(set(fields, "a\n", "x", NULL), INVALID_SYNTAX);
    FAILS(set(fields, "a", "fine", "\x01"), INVALID_SYNTAX);
    FAILS(delete (fields, "a\xc3\xa4"), INVALID_SYNTAX);
    FAILS(append(fields, "Host", "x"), FORBIDDEN);
    FAILS(append(fields, "Transfer-Encoding", "chunked"), FORBIDDEN);
    FAILS(set(fields, "connection", "close", NULL), FORBIDDEN);
    FAILS(set(fields, "Upgrade", "x", NULL), FORBIDDEN);
    FAILS(delete (fields, "keep-alive"), FORBIDDEN);
    CHECK(entries_are(fields, ""));
    drop_fields(fields);
    drop_fields(copy);
}

static bool from_list(const char *name, const char *value, wasi_http_types_own_fields_t *ret)
{
    wasi_http_types_tuple2_field_name_field_value_t entries[2] = {{text_of("A"), bytes_of("1")},
                                                                  {text_of(name), bytes_of(value)}};
    wasi_http_types_list_tuple2_field_name_field_value_t list = {entries, 2};
    return wasi_http_types_static_fields_from_list(&list, ret, &header_error);
}

static void check_from_list(void)
{
    wasi_http_types_own_fields_t own;
    CHECK(from_list("a", "2", &own) && entries_are(wasi_http_types_borrow_fields(own), "A=1;a=2;"));
    CHECK(append(wasi_http_types_borrow_fields(own), "b", "3")); /* mutable */
    wasi_http_types_fields_drop_own(own);
    FAILS(from_list("a\n", "2", &own), INVALID_SYNTAX);
    FAILS(from_list("a", "2\n", &own), INVALID_SYNTAX);
    FAILS(from_list("host", "2", &own), FORBIDDEN);
}

static void check_immutable(wasi_http_types_own_headers_t headers, const char *wanted)
{
    fields_ref fields = wasi_http_types_borrow_fields(headers);
    CHECK(entries_are(fields, wanted));
    FAILS(append(fields, "a", "x"), IMMUTABLE);
    FAILS(set(fields, "a", "x", NULL), IMMUTABLE);
    FAILS(delete (fields, "a"), IMMUTABLE);
    fields_ref copy = wasi_http_types_borrow_fields(FIELDS(clone)(fields));
    CHECK(append(copy, "mine", "x"));
    drop_fields(copy);
    drop_fields(fields);
}

static request_ref new_request(void)
{
    wasi_http_types_own_fields_t fields = wasi_http_types_constructor_fields();
    append(wasi_http_types_borrow_fields(fields), "a", "1");
    return wasi_http_types_borrow_outgoing_request(wasi_http_types_constructor_outgoing_request(fields));
}

static bool set_method(request_ref request, uint8_t tag, const char *other)
{
    wasi_http_types_method_t method = {.tag = tag};
    if (other)
        method.val.other = text_of(other);
    return REQUEST(set_method)(request, &method);
}

static void check_methods(request_ref request)
{
    wasi_http_types_method_t method;
    REQUEST(method)(request, &method);
    CHECK(method.tag == WASI_HTTP_TYPES_METHOD_GET);
    for (uint8_t tag = 0; tag < WASI_HTTP_TYPES_METHOD_OTHER; tag++) {
        CHECK(set_method(request, tag, NULL));
        REQUEST(method)(request, &method);
        CHECK(method.tag == tag);
    }
    CHECK(set_method(request, WASI_HTTP_TYPES_METHOD_OTHER, "PURGE"));
    CHECK(!set_method(request, WASI_HTTP_TYPES_METHOD_OTHER, "A B") &&
          !set_method(request, WASI_HTTP_TYPES_METHOD_OTHER, "") &&
          !set_method(request, WASI_HTTP_TYPES_METHOD_OTHER, "X\r\n"));
    REQUEST(method)(request, &method);
    CHECK(method.tag == WASI_HTTP_TYPES_METHOD_OTHER && is_text(method.val.other, "PURGE"));
    wasi_http_types_method_free(&method);
}

static bool set_path(request_ref request, const char *path)
{
    guest_string_t text = text_of(path ? path : "");
    return REQUEST(set_path_with_query)(request, path ? &text : NULL);
}

static bool set_authority(request_ref request, const char *authority)
{
    guest_string_t text = text_of(authority ? authority : "");
    return REQUEST(set_authority)(request, authority ? &text : NULL);
}

static bool set_scheme(request_ref request, uint8_t tag, const char *other)
{
    wasi_http_types_scheme_t scheme = {.tag = tag};
    if (other)
        scheme.val.other = text_of(other);
    return REQUEST(set_scheme)(request, &scheme);
}

static void check_target(request_ref request)
{
    guest_string_t text;
    wasi_http_types_scheme_t scheme;
    CHECK(!REQUEST(path_with_query)(request, &text) && !REQUEST(authority)(request, &text) &&
          !REQUEST(scheme)(request, &scheme));
    CHECK(set_path(request, "/a?b=c") && REQUEST(path_with_query)(request, &text) && is_text(text, "/a?b=c"));
    guest_string_free(&text);
    CHECK(!set_path(request, "/a b") && !set_path(request, "a") && !set_path(request, "/\n") &&
          !set_path(request, "/#x") && !set_path(request, "/\xc3\xa4") && set_path(request, "") &&
          set_path(request, "?q") && set_path(request, NULL) && !REQUEST(path_with_query)(request, &text));
    CHECK(set_authority(request, "example.com:80") && REQUEST(authority)(request, &text) &&
          is_text(text, "example.com:80"));
    guest_string_free(&text);
    CHECK(!set_authority(request, "") && !set_authority(request, "a b") && !set_authority(request, "u@h") &&
          !set_authority(request, "h:x") && !set_authority(request, "h:65536") && !set_authority(request, "[::1") &&
          !set_authority(request, "::1") && !set_authority(request, "h/p") && !set_authority(request, "h\r\nx: y") &&
          set_authority(request, "[::1]:80") && set_authority(request, "127.0.0.1") && set_authority(request, NULL) &&
          !REQUEST(authority)(request, &text));
    CHECK(set_scheme(request, WASI_HTTP_TYPES_SCHEME_HTTPS, NULL) && REQUEST(scheme)(request, &scheme) &&
          scheme.tag == WASI_HTTP_TYPES_SCHEME_HTTPS);
    CHECK(set_scheme(request, WASI_HTTP_TYPES_SCHEME_OTHER, "ws+x") && REQUEST(scheme)(request, &scheme) &&
          is_text(scheme.val.other, "ws+x"));
    wasi_http_types_scheme_free(&scheme);
    CHECK(!set_scheme(request, WASI_HTTP_TYPES_SCHEME_OTHER, "1x") &&
          !set_scheme(request, WASI_HTTP_TYPES_SCHEME_OTHER, "") &&
          !set_scheme(request, WASI_HTTP_TYPES_SCHEME_OTHER, "a b") && REQUEST(set_scheme)(request, NULL) &&
          !REQUEST(scheme)(request, &scheme));
}

static void check_request(void)
{
    request_ref request = new_request();
    wasi_http_types_own_outgoing_body_t body, second;
    check_methods(request);
    check_target(request);
    check_immutable(REQUEST(headers)(request), "a=1;");
    CHECK(REQUEST(body)(request, &body) && !REQUEST(body)(request, &second));
    wasi_http_types_own_output_stream_t stream;
    wasi_http_types_borrow_outgoing_body_t ref = wasi_http_types_borrow_outgoing_body(body);
    CHECK(TYPES(outgoing_body_write)(ref, &stream) && !TYPES(outgoing_body_write)(ref, &stream));
    CHECK(write_all(stream, (const uint8_t *)"x", 1));
    wasi_io_streams_output_stream_drop_own(stream);
    CHECK(wasi_http_types_static_outgoing_body_finish(body, NULL, &error));
    wasi_http_types_outgoing_request_drop_own((wasi_http_types_own_outgoing_request_t){request.__handle});
}

static void check_options(void)
{
    wasi_http_types_own_request_options_t own = wasi_http_types_constructor_request_options();
    wasi_http_types_borrow_request_options_t options = wasi_http_types_borrow_request_options(own);
    uint64_t value = 5;
    CHECK(!OPTIONS(connect_timeout)(options, &value) && !OPTIONS(first_byte_timeout)(options, &value) &&
          !OPTIONS(between_bytes_timeout)(options, &value));
    CHECK(OPTIONS(set_connect_timeout)(options, &(uint64_t){1}) &&
          OPTIONS(set_first_byte_timeout)(options, &(uint64_t){2}) &&
          OPTIONS(set_between_bytes_timeout)(options, &(uint64_t){3}));
    CHECK(OPTIONS(connect_timeout)(options, &value) && value == 1 && OPTIONS(first_byte_timeout)(options, &value) &&
          value == 2 && OPTIONS(between_bytes_timeout)(options, &value) && value == 3);
    CHECK(OPTIONS(set_connect_timeout)(options, NULL) && !OPTIONS(connect_timeout)(options, &value));
    wasi_http_types_request_options_drop_own(own);
}

static void check_response(void)
{
    wasi_http_types_own_outgoing_response_t own =
        wasi_http_types_constructor_outgoing_response(wasi_http_types_constructor_fields());
    wasi_http_types_borrow_outgoing_response_t response = wasi_http_types_borrow_outgoing_response(own);
    wasi_http_types_own_outgoing_body_t body, second;
    CHECK(TYPES(outgoing_response_status_code)(response) == 200);
    CHECK(!TYPES(outgoing_response_set_status_code)(response, 99) &&
          !TYPES(outgoing_response_set_status_code)(response, 1000) &&
          TYPES(outgoing_response_set_status_code)(response, 404) &&
          TYPES(outgoing_response_status_code)(response) == 404);
    check_immutable(TYPES(outgoing_response_headers)(response), "");
    CHECK(TYPES(outgoing_response_body)(response, &body) && !TYPES(outgoing_response_body)(response, &second));
    wasi_http_types_outgoing_body_drop_own(body);
    wasi_http_types_outgoing_response_drop_own(own);
}

/* False: they are not here yet. Once. */
static bool get_trailers(wasi_http_types_borrow_future_trailers_t trailers,
                         wasi_http_types_result_option_own_trailers_error_code_t *ret)
{
#if DRAFT == DRAFT_NOVEMBER
    return TYPES(future_trailers_get)(trailers, ret);
#else
    wasi_http_types_result_result_option_own_trailers_error_code_void_t result;
    if (!TYPES(future_trailers_get)(trailers, &result))
        return false;
    CHECK(!result.is_err);
    *ret = result.val.ok;
    return true;
#endif
}

/* In the draft a second look traps. */
static bool trailers_are_taken(wasi_http_types_borrow_future_trailers_t trailers)
{
#if DRAFT == DRAFT_NOVEMBER
    return true;
#else
    wasi_http_types_result_result_option_own_trailers_error_code_void_t result;
    return TYPES(future_trailers_get)(trailers, &result) && result.is_err;
#endif
}

/* The request that asked for this: POST, with a body "hello". */
static void check_incoming(wasi_http_types_borrow_incoming_request_t request)
{
    wasi_http_types_method_t method;
    wasi_http_types_scheme_t scheme;
    wasi_http_types_own_incoming_body_t body, second;
    wasi_http_types_own_input_stream_t stream, other;
    guest_string_t text;
    guest_list_u8_t part;
    wasi_io_streams_stream_error_t failure;
    TYPES(incoming_request_method)(request, &method);
    CHECK(method.tag == WASI_HTTP_TYPES_METHOD_POST);
    CHECK(TYPES(incoming_request_scheme)(request, &scheme) && scheme.tag == WASI_HTTP_TYPES_SCHEME_HTTP);
    CHECK(TYPES(incoming_request_authority)(request, &text) && is_text(text, "localhost"));
    CHECK(TYPES(incoming_request_path_with_query)(request, &text) && is_text(text, "/types"));
    check_immutable(TYPES(incoming_request_headers)(request), "content-length=5;");
    CHECK(TYPES(incoming_request_consume)(request, &body) && !TYPES(incoming_request_consume)(request, &second));
    wasi_http_types_borrow_incoming_body_t ref = wasi_http_types_borrow_incoming_body(body);
    CHECK(TYPES(incoming_body_stream)(ref, &stream) && !TYPES(incoming_body_stream)(ref, &other));
    CHECK(wasi_io_streams_method_input_stream_blocking_read(wasi_io_streams_borrow_input_stream(stream), 10, &part,
                                                            &failure) &&
          part.len == 5);
    wasi_io_streams_input_stream_drop_own(stream);
    wasi_http_types_own_future_trailers_t own = wasi_http_types_static_incoming_body_finish(body);
    wasi_http_types_borrow_future_trailers_t trailers = wasi_http_types_borrow_future_trailers(own);
    wasi_http_types_result_option_own_trailers_error_code_t result;
    wait_for(TYPES(future_trailers_subscribe)(trailers));
    CHECK(get_trailers(trailers, &result) && !result.is_err && !result.val.ok.is_some);
    CHECK(trailers_are_taken(trailers));
    wasi_http_types_future_trailers_drop_own(own);
}

/* ---- /fetch ---- */

static const char *query; /* behind the '?' */

/* The value of a key, up to the next '&'; of "url" up to the end. */
static const char *value_of(const char *key, size_t *ret_length)
{
    size_t length = strlen(key);
    for (const char *at = query; at && *at; at = strchr(at, '&') ? strchr(at, '&') + 1 : NULL) {
        if (strncmp(at, key, length) == 0 && at[length] == '=') {
            at += length + 1;
            *ret_length = strcmp(key, "url") == 0 ? strlen(at) : strcspn(at, "&");
            return at;
        }
        if (strncmp(at, "url=", 4) == 0)
            return NULL;
    }
    return NULL;
}

static bool has(const char *key)
{
    size_t length;
    return value_of(key, &length) != NULL;
}

static unsigned number_of(const char *key)
{
    size_t length;
    const char *value = value_of(key, &length);
    return value ? (unsigned)strtoul(value, NULL, 10) : 0;
}

static void say_error(const char *what, const wasi_http_types_error_code_t *code)
{
    say("%s %d", what, code->tag);
    if (code->tag == WASI_HTTP_TYPES_ERROR_CODE_DNS_ERROR && code->val.dns_error.rcode.is_some) {
        say(" ");
        say_bytes((const char *)code->val.dns_error.rcode.val.ptr, code->val.dns_error.rcode.val.len);
    }
    if (code->tag == WASI_HTTP_TYPES_ERROR_CODE_TLS_ALERT_RECEIVED && code->val.tls_alert_received.alert_id.is_some)
        say(" %u", code->val.tls_alert_received.alert_id.val);
    say("\n");
}

static void say_failure(const char *what, const wasi_io_streams_stream_error_t *failure)
{
    wasi_http_types_error_code_t code;
    if (failure->tag == WASI_IO_STREAMS_STREAM_ERROR_CLOSED)
        say("%s closed\n", what);
    else if (wasi_http_types_http_error_code(wasi_io_error_borrow_error(failure->val.last_operation_failed), &code))
        say_error(what, &code);
    else
        say("%s failed\n", what);
}

/* "https://host:port/path" */
static bool set_url(request_ref request)
{
    static char authority[512];
    size_t length, scheme;
    const char *url = value_of("url", &length), *at = url ? strstr(url, "://") : NULL;
    if (!at)
        return false;
    scheme = (size_t)(at - url);
    at += 3;
    size_t host = strcspn(at, "/?");
    memcpy(authority, at, host < sizeof authority ? host : sizeof authority - 1);
    if (scheme == 4)
        set_scheme(request, WASI_HTTP_TYPES_SCHEME_HTTP, NULL);
    else if (scheme == 3)
        set_scheme(request, WASI_HTTP_TYPES_SCHEME_OTHER, "ftp");
    return (has("noauthority") || set_authority(request, authority)) && (!at[host] || set_path(request, at + host));
}

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 7 >> 3);
}

/* The request's body: `size` bytes of the pattern, in parts of `part`. */
static void write_body(wasi_http_types_own_outgoing_body_t body)
{
    static uint8_t block[65536];
    size_t size = number_of("size"), part = has("part") ? number_of("part") : 4096, sent = 0;
    wasi_http_types_own_output_stream_t own;
    wasi_io_streams_stream_error_t failure;
    if (!TYPES(outgoing_body_write)(wasi_http_types_borrow_outgoing_body(body), &own)) {
        say("no stream\n");
        return;
    }
    wasi_io_streams_borrow_output_stream_t stream = wasi_io_streams_borrow_output_stream(own);
    while (sent < size) {
        uint64_t room = 0;
        wait_for(wasi_io_streams_method_output_stream_subscribe(stream));
        if (!wasi_io_streams_method_output_stream_check_write(stream, &room, &failure))
            break;
        size_t n = size - sent < part ? size - sent : part;
        n = n < room ? n : (size_t)room;
        for (size_t i = 0; i < n; i++)
            block[i] = pattern(sent + i);
        guest_list_u8_t list = {block, n};
        if (!wasi_io_streams_method_output_stream_write(stream, &list, &failure))
            break;
        sent += n;
    }
    if (sent < size)
        say_failure("write", &failure);
    wasi_io_streams_output_stream_drop_own(own);
    if (has("nofinish")) {
        wasi_http_types_outgoing_body_drop_own(body);
        return;
    }
    wasi_http_types_own_trailers_t trailers;
    if (has("trailers")) {
        trailers = wasi_http_types_constructor_fields();
        append(wasi_http_types_borrow_fields(trailers), "X-Trailer", "sent");
    }
    if (!wasi_http_types_static_outgoing_body_finish(body, has("trailers") ? &trailers : NULL, &error))
        say_error("finish", &error);
}

static void say_headers(wasi_http_types_own_headers_t headers)
{
    wasi_http_types_list_tuple2_field_name_field_value_t list;
    FIELDS(entries)(wasi_http_types_borrow_fields(headers), &list);
    for (size_t i = 0; i < list.len; i++) {
        say_bytes((const char *)list.ptr[i].f0.ptr, list.ptr[i].f0.len);
        say(": ");
        say_bytes((const char *)list.ptr[i].f1.ptr, list.ptr[i].f1.len);
        say("\n");
    }
    wasi_http_types_list_tuple2_field_name_field_value_free(&list);
    wasi_http_types_fields_drop_own(headers);
}

static void say_trailers(wasi_http_types_own_incoming_body_t body)
{
    wasi_http_types_own_future_trailers_t own = wasi_http_types_static_incoming_body_finish(body);
    wasi_http_types_borrow_future_trailers_t trailers = wasi_http_types_borrow_future_trailers(own);
    wasi_http_types_result_option_own_trailers_error_code_t result;
    while (!get_trailers(trailers, &result))
        wait_for(TYPES(future_trailers_subscribe)(trailers));
    if (result.is_err) {
        say_error("trailers", &result.val.err);
    } else if (result.val.ok.is_some) {
        say("trailers\n");
        say_headers(result.val.ok.val);
    }
    CHECK(trailers_are_taken(trailers));
    wasi_http_types_future_trailers_drop_own(own);
}

/* Says its length and, when it is short, its text; a long one must be the pattern. */
static void say_body(wasi_http_types_own_incoming_body_t body)
{
    wasi_http_types_own_input_stream_t own;
    wasi_io_streams_stream_error_t failure;
    guest_list_u8_t part;
    static uint8_t text[200];
    size_t length = 0, stop = has("stop") ? number_of("stop") : SIZE_MAX;
    bool same = true;
    CHECK(TYPES(incoming_body_stream)(wasi_http_types_borrow_incoming_body(body), &own));
    while (length < stop && wasi_io_streams_method_input_stream_blocking_read(wasi_io_streams_borrow_input_stream(own),
                                                                              65536, &part, &failure)) {
        for (size_t i = 0; i < part.len; i++) {
            same &= part.ptr[i] == pattern(length + i);
            if (length + i < sizeof text)
                text[length + i] = part.ptr[i];
        }
        length += part.len;
        guest_list_u8_free(&part);
    }
    say("body %u%s\n", (unsigned)length, length > sizeof text ? same ? " pattern" : " other" : "");
    if (length <= sizeof text) {
        say_bytes((const char *)text, length);
        say("\n");
    }
    if (length < stop && failure.tag != WASI_IO_STREAMS_STREAM_ERROR_CLOSED)
        say_failure("read", &failure);
    wasi_io_streams_input_stream_drop_own(own);
}

static void set_timeout(wasi_http_types_borrow_request_options_t options, const char *key,
                        bool (*set_it)(wasi_http_types_borrow_request_options_t, wasi_http_types_duration_t *))
{
    uint64_t ns = number_of(key) * 1000000ull;
    if (has(key))
        set_it(options, &ns);
}

static bool handle(wasi_http_types_own_outgoing_request_t request, wasi_http_types_own_future_incoming_response_t *ret)
{
    wasi_http_types_own_request_options_t own = wasi_http_types_constructor_request_options();
    wasi_http_types_borrow_request_options_t options = wasi_http_types_borrow_request_options(own);
    set_timeout(options, "connect", OPTIONS(set_connect_timeout));
    set_timeout(options, "first", OPTIONS(set_first_byte_timeout));
    set_timeout(options, "between", OPTIONS(set_between_bytes_timeout));
    if (wasi_http_outgoing_handler_handle(request, &own, ret, &error))
        return true;
    say_error("handle", &error);
    return false;
}

static wasi_http_types_own_outgoing_request_t url_request(void)
{
    wasi_http_types_own_fields_t headers = wasi_http_types_constructor_fields();
    size_t length;
    const char *method = value_of("method", &length);
    if (has("length")) {
        char digits[12] = {0};
        const char *value = value_of("length", &length);
        memcpy(digits, value, length < 11 ? length : 11);
        append(wasi_http_types_borrow_fields(headers), "Content-Length", digits);
    }
    append(wasi_http_types_borrow_fields(headers), "X-Guest", "here");
    wasi_http_types_own_outgoing_request_t own = wasi_http_types_constructor_outgoing_request(headers);
    request_ref request = wasi_http_types_borrow_outgoing_request(own);
    static const char *const words[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"};
    uint8_t tag = method ? WASI_HTTP_TYPES_METHOD_OTHER : WASI_HTTP_TYPES_METHOD_GET;
    char word[32] = {0};
    if (method)
        memcpy(word, method, length < 31 ? length : 31);
    for (uint8_t i = 0; method && i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i], word) == 0)
            tag = i;
    CHECK(set_method(request, tag, tag == WASI_HTTP_TYPES_METHOD_OTHER ? word : NULL));
    if (!set_url(request))
        say("bad url\n");
    return own;
}

static bool wait_response(wasi_http_types_own_future_incoming_response_t own,
                          wasi_http_types_own_incoming_response_t *ret)
{
    wasi_http_types_borrow_future_incoming_response_t future = wasi_http_types_borrow_future_incoming_response(own);
    wasi_http_types_result_result_own_incoming_response_error_code_void_t result;
    while (!TYPES(future_incoming_response_get)(future, &result))
        wait_for(TYPES(future_incoming_response_subscribe)(future));
    CHECK(!result.is_err);
    bool answered = !result.val.ok.is_err;
    if (answered)
        *ret = result.val.ok.val.ok;
    else
        say_error("error", &result.val.ok.val.err);
    CHECK(TYPES(future_incoming_response_get)(future, &result) && result.is_err); /* once */
    wasi_http_types_future_incoming_response_drop_own(own);
    return answered;
}

static void say_response(wasi_http_types_own_incoming_response_t own)
{
    wasi_http_types_borrow_incoming_response_t response = wasi_http_types_borrow_incoming_response(own);
    wasi_http_types_own_incoming_body_t body, second;
    say("status %u\n", TYPES(incoming_response_status)(response));
    say_headers(TYPES(incoming_response_headers)(response));
    CHECK(TYPES(incoming_response_consume)(response, &body) && !TYPES(incoming_response_consume)(response, &second));
    wasi_http_types_incoming_response_drop_own(own);
    if (!has("skip"))
        say_body(body);
    if (has("stop"))
        wasi_http_types_incoming_body_drop_own(body);
    else
        say_trailers(body);
}

/* One request as the query says: method, size (of the body), part, length (a content-length), trailers, early (the body
 * before the request is handed over), nofinish, connect, first, between (timeouts in ms), skip (the response's body),
 * stop (after so many bytes of it), leave (drop the future at once), url. */
static void fetch(void)
{
    wasi_http_types_own_outgoing_request_t request = url_request();
    wasi_http_types_own_outgoing_body_t body;
    wasi_http_types_own_future_incoming_response_t future;
    wasi_http_types_own_incoming_response_t response;
    bool sends = has("size");
    if (sends)
        CHECK(REQUEST(body)(wasi_http_types_borrow_outgoing_request(request), &body));
    if (sends && has("early"))
        write_body(body);
    if (!handle(request, &future))
        return;
    if (sends && !has("early"))
        write_body(body);
    if (has("leave"))
        wasi_http_types_future_incoming_response_drop_own(future);
    else if (wait_response(future, &response))
        say_response(response);
}

static void both(void)
{
    wasi_http_types_own_future_incoming_response_t first, second;
    wasi_http_types_own_incoming_response_t response;
    if (!handle(url_request(), &first) || !handle(url_request(), &second))
        return;
    if (wait_response(second, &response))
        say_response(response);
    if (wait_response(first, &response))
        say_response(response);
}

/* As many as there may be, of which none is waited for. */
static void crowd(void)
{
    wasi_http_types_own_future_incoming_response_t future;
    unsigned begun = 0;
    while (begun < 1000 && handle(url_request(), &future))
        begun++;
    say("%u requests\n", begun);
}

/* ---- /relay ---- */

static void copy_stream(wasi_http_types_own_input_stream_t in, wasi_http_types_own_output_stream_t out)
{
    uint64_t moved;
    wasi_io_streams_stream_error_t failure;
    while (wasi_io_streams_method_output_stream_blocking_splice(
        wasi_io_streams_borrow_output_stream(out), wasi_io_streams_borrow_input_stream(in), 65536, &moved, &failure))
        ;
    wasi_io_streams_input_stream_drop_own(in);
    wasi_io_streams_output_stream_drop_own(out);
}

static void relay(wasi_http_types_borrow_incoming_request_t incoming, outparam_t out)
{
    wasi_http_types_own_incoming_body_t came;
    wasi_http_types_own_outgoing_body_t goes;
    wasi_http_types_own_input_stream_t in;
    wasi_http_types_own_output_stream_t stream;
    wasi_http_types_own_outgoing_request_t request = url_request();
    wasi_http_types_own_future_incoming_response_t future;
    wasi_http_types_own_incoming_response_t response;
    REQUEST(body)(wasi_http_types_borrow_outgoing_request(request), &goes);
    if (!handle(request, &future)) {
        answer(out, 502, report);
        return;
    }
    TYPES(incoming_request_consume)(incoming, &came);
    TYPES(incoming_body_stream)(wasi_http_types_borrow_incoming_body(came), &in);
    TYPES(outgoing_body_write)(wasi_http_types_borrow_outgoing_body(goes), &stream);
    copy_stream(in, stream);
    wasi_http_types_incoming_body_drop_own(came);
    wasi_http_types_static_outgoing_body_finish(goes, NULL, &error);
    if (!wait_response(future, &response)) {
        answer(out, 502, report);
        return;
    }
    TYPES(incoming_response_consume)(wasi_http_types_borrow_incoming_response(response), &came);
    TYPES(incoming_body_stream)(wasi_http_types_borrow_incoming_body(came), &in);
    goes = start_answer(out, TYPES(incoming_response_status)(wasi_http_types_borrow_incoming_response(response)));
    TYPES(outgoing_body_write)(wasi_http_types_borrow_outgoing_body(goes), &stream);
    copy_stream(in, stream);
    wasi_http_types_incoming_body_drop_own(came);
    wasi_http_types_incoming_response_drop_own(response);
    wasi_http_types_static_outgoing_body_finish(goes, NULL, &error);
}

/* ---- what traps ---- */

static void drop_request(void)
{
    request_ref request = new_request();
    REQUEST(headers)(request);
    wasi_http_types_outgoing_request_drop_own((wasi_http_types_own_outgoing_request_t){request.__handle});
}

static void drop_body(void)
{
    request_ref request = new_request();
    wasi_http_types_own_outgoing_body_t body;
    wasi_http_types_own_output_stream_t stream;
    REQUEST(body)(request, &body);
    TYPES(outgoing_body_write)(wasi_http_types_borrow_outgoing_body(body), &stream);
    wasi_http_types_static_outgoing_body_finish(body, NULL, &error);
}

static void drop_response(void)
{
    wasi_http_types_own_future_incoming_response_t future;
    wasi_http_types_own_incoming_response_t response;
    if (!handle(url_request(), &future) || !wait_response(future, &response))
        return;
    TYPES(incoming_response_headers)(wasi_http_types_borrow_incoming_response(response));
    wasi_http_types_incoming_response_drop_own(response);
}

static void drop_stream(void)
{
    wasi_http_types_own_future_incoming_response_t future;
    wasi_http_types_own_incoming_response_t response;
    wasi_http_types_own_incoming_body_t body;
    wasi_http_types_own_input_stream_t stream;
    if (!handle(url_request(), &future) || !wait_response(future, &response))
        return;
    TYPES(incoming_response_consume)(wasi_http_types_borrow_incoming_response(response), &body);
    TYPES(incoming_body_stream)(wasi_http_types_borrow_incoming_body(body), &stream);
    wasi_http_types_static_incoming_body_finish(body);
}

static void types(void)
{
    check_fields();
    check_from_list();
    check_request();
    check_options();
    check_response();
}

#if DRAFT == DRAFT_NOVEMBER

/* The second look traps. */
static void trailers_twice(wasi_http_types_borrow_incoming_request_t request)
{
    wasi_http_types_own_incoming_body_t body;
    wasi_http_types_result_option_own_trailers_error_code_t result;
    TYPES(incoming_request_consume)(request, &body);
    wasi_http_types_own_future_trailers_t own = wasi_http_types_static_incoming_body_finish(body);
    wasi_http_types_borrow_future_trailers_t trailers = wasi_http_types_borrow_future_trailers(own);
    wait_for(TYPES(future_trailers_subscribe)(trailers));
    CHECK(get_trailers(trailers, &result) && !result.is_err);
    get_trailers(trailers, &result);
}

/* No answer. */
static void unset(request_t request, outparam_t out)
{
    wasi_http_types_incoming_request_drop_own(request);
    wasi_http_types_response_outparam_drop_own(out);
}

#endif

static const struct {
    const char *path;
    void (*run)(void);
} cases[] = {
    {"/types", types},
    {"/fetch", fetch},
    {"/both", both},
    {"/crowd", crowd},
    {"/drop-request", drop_request},
    {"/drop-body", drop_body},
    {"/drop-response", drop_response},
    {"/drop-stream", drop_stream},
};

void exports_wasi_http_incoming_handler_handle(request_t request, outparam_t out)
{
    static char text[4096];
    guest_string_t path = request_path(request);
    wasi_http_types_borrow_incoming_request_t ref = wasi_http_types_borrow_incoming_request(request);
    memcpy(text, path.ptr, path.len < sizeof text ? path.len : sizeof text - 1);
    char *mark = strchr(text, '?');
    query = mark ? mark + 1 : "";
    if (mark)
        *mark = '\0';
    if (strcmp(text, "/relay") == 0) {
        relay(ref, out);
        return;
    }
#if DRAFT == DRAFT_NOVEMBER
    if (strcmp(text, "/unset") == 0) {
        unset(request, out);
        return;
    }
    if (strcmp(text, "/trailers-twice") == 0)
        trailers_twice(ref);
#endif
    if (strcmp(text, "/types") == 0)
        check_incoming(ref);
    bool found = false;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (strcmp(cases[i].path, text) == 0) {
            cases[i].run();
            found = true;
        }
    if (!reported)
        say("ok\n");
    answer(out, found ? 200 : 404, report);
}
