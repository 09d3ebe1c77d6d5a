/* wasi:http of the two drafts of WASI 0.2: what they have otherwise than the final version, made of that one's
 * functions.
 *
 * The draft of 2023-10-18 has four errors, each with a text, where the final version has a code for each reason: a code
 * becomes the fitting one of the four, with the code's name. Where it has no error to give (fields, constructors, the
 * end of a body), what the final version refuses traps. */
#include "wasi/gen/wasi_http_0_2_0_rc_2023_10_18.h"
#include "wasi/gen/wasi_http_0_2_0_rc_2023_11_10.h"
#include "wasi/object.h"

#define NS_PER_MS UINT64_C(1000000)

typedef struct wasi_http_fields fields_t;
typedef struct wasi_http_0_2_0_rc_2023_10_18_types_error error_t;
typedef struct option_wasi_http_0_2_0_rc_2023_10_18_types_request_options options_t;
typedef struct option_result_result_option_wasi_http_fields_wasi_http_types_error_code_void trailers_result;
typedef struct option_result_result_wasi_http_incoming_response_wasi_http_types_error_code_void response_result;

/* ---- errors ---- */

static const struct code_row {
    struct str name;
    enum wasi_http_0_2_0_rc_2023_10_18_types_error_tag tag;
} code_rows[] = {
#define CODE(code, name, as)                                                                                           \
    [WASI_HTTP_TYPES_ERROR_CODE_##code] = {{name, sizeof(name) - 1}, WASI_HTTP_0_2_0_RC_2023_10_18_TYPES_ERROR_##as},
#include "wasi/drafts_http.def"
#undef CODE
};

static error_t error_of(const struct wasi_http_types_error_code *code)
{
    const struct code_row *row = &code_rows[code->tag];
    return (error_t){.tag = row->tag, .invalid_url = row->name}; /* where the texts of the others are, too */
}

/* What the final version refuses and the draft cannot say. */
static bool refuse_fields(struct host *h, const char *call, const struct wasi_http_types_header_error *error)
{
    static const char *const why[] = {
        [WASI_HTTP_TYPES_HEADER_ERROR_INVALID_SYNTAX] = "a name or value that cannot be one",
        [WASI_HTTP_TYPES_HEADER_ERROR_FORBIDDEN] = "a field that only the host may set",
        [WASI_HTTP_TYPES_HEADER_ERROR_IMMUTABLE] = "the fields cannot be changed",
    };
    return host_trap(h, "%s: %s", call, why[error->tag]);
}

/* ---- fields ---- */

bool wasi_http_0_2_0_rc_2023_10_18_types_fields_constructor(struct host *h, struct list_tuple_str_list_u8 entries,
                                                            fields_t **ret)
{
    struct result_wasi_http_fields_wasi_http_types_header_error made = {0};
    if (!wasi_http_types_fields_from_list(h, entries, &made))
        return false;
    if (made.err)
        return refuse_fields(h, "new fields", &made.error);
    *ret = made.ok;
    return true;
}

bool wasi_http_0_2_0_rc_2023_10_18_types_fields_set(struct host *h, fields_t *self, struct str name,
                                                    struct list_list_u8 value)
{
    struct result_void_wasi_http_types_header_error done = {0};
    return wasi_http_types_fields_set(h, self, name, value, &done) &&
           (!done.err || refuse_fields(h, "fields.set", &done.error));
}

bool wasi_http_0_2_0_rc_2023_10_18_types_fields_delete(struct host *h, fields_t *self, struct str name)
{
    struct result_void_wasi_http_types_header_error done = {0};
    return wasi_http_types_fields_delete(h, self, name, &done) &&
           (!done.err || refuse_fields(h, "fields.delete", &done.error));
}

bool wasi_http_0_2_0_rc_2023_10_18_types_fields_append(struct host *h, fields_t *self, struct str name,
                                                       struct list_u8 value)
{
    struct result_void_wasi_http_types_header_error done = {0};
    return wasi_http_types_fields_append(h, self, name, value, &done) &&
           (!done.err || refuse_fields(h, "fields.append", &done.error));
}

/* ---- outgoing-request: what later is set one by one comes with the constructor ---- */

bool wasi_http_0_2_0_rc_2023_10_18_types_outgoing_request_constructor(
    struct host *h, const struct wasi_http_types_method *method, const struct option_str *path_with_query,
    const struct option_wasi_http_types_scheme *scheme, const struct option_str *authority, fields_t *headers,
    struct wasi_http_outgoing_request **ret)
{
    struct result_void_void done = {0};
    fields_t *copy; /* the guest keeps its own */
    if (!wasi_http_types_fields_clone(h, headers, &copy) ||
        !wasi_http_types_outgoing_request_constructor(h, copy, ret) ||
        !wasi_http_types_outgoing_request_set_method(h, *ret, method, &done))
        return false;
    if (done.err)
        return host_trap(h, "new outgoing-request: no valid method");
    if (!wasi_http_types_outgoing_request_set_path_with_query(h, *ret, path_with_query, &done))
        return false;
    if (done.err)
        return host_trap(h, "new outgoing-request: no valid path-with-query");
    if (!wasi_http_types_outgoing_request_set_scheme(h, *ret, scheme, &done))
        return false;
    if (done.err)
        return host_trap(h, "new outgoing-request: no valid scheme");
    if (!wasi_http_types_outgoing_request_set_authority(h, *ret, authority, &done))
        return false;
    return !done.err || host_trap(h, "new outgoing-request: no valid authority");
}

bool wasi_http_0_2_0_rc_2023_10_18_types_outgoing_request_write(struct host *h, struct wasi_http_outgoing_request *self,
                                                                struct result_wasi_http_outgoing_body_void *ret)
{
    return wasi_http_types_outgoing_request_body(h, self, ret);
}

/* ---- outgoing-response ---- */

bool wasi_http_0_2_0_rc_2023_10_18_types_outgoing_response_constructor(struct host *h, uint16_t status_code,
                                                                       fields_t *headers,
                                                                       struct wasi_http_outgoing_response **ret)
{
    struct result_void_void done = {0};
    fields_t *copy;
    if (!wasi_http_types_fields_clone(h, headers, &copy) ||
        !wasi_http_types_outgoing_response_constructor(h, copy, ret) ||
        !wasi_http_types_outgoing_response_set_status_code(h, *ret, status_code, &done))
        return false;
    return !done.err || host_trap(h, "new outgoing-response: %u is no status", status_code);
}

bool wasi_http_0_2_0_rc_2023_10_18_types_outgoing_response_write(struct host *h,
                                                                 struct wasi_http_outgoing_response *self,
                                                                 struct result_wasi_http_outgoing_body_void *ret)
{
    return wasi_http_types_outgoing_response_body(h, self, ret);
}

bool wasi_http_0_2_0_rc_2023_10_18_types_outgoing_body_finish(struct host *h, struct wasi_http_outgoing_body *this,
                                                              const struct option_wasi_http_fields *trailers)
{
    struct result_void_wasi_http_types_error_code done = {0};
    if (!wasi_http_types_outgoing_body_finish(h, this, trailers, &done))
        return false;
    return !done.err || host_trap(h, "outgoing-body.finish: not as many bytes as content-length says");
}

/* The reason does not tell the status that stands for it: all are the function's own failure. */
bool wasi_http_0_2_0_rc_2023_10_18_types_response_outparam_set(
    struct host *h, struct wasi_http_response_outparam *param,
    const struct result_wasi_http_outgoing_response_wasi_http_0_2_0_rc_2023_10_18_types_error *response)
{
    struct result_wasi_http_outgoing_response_wasi_http_types_error_code final = {.err = response->err};
    if (response->err)
        final.error.tag = WASI_HTTP_TYPES_ERROR_CODE_INTERNAL_ERROR;
    else
        final.ok = response->ok;
    return wasi_http_types_response_outparam_set(h, param, &final);
}

/* ---- outgoing-handler ---- */

static struct option_u64 ns_of(const struct option_u32 *ms)
{
    return (struct option_u64){ms->some, ms->some ? ms->value * NS_PER_MS : 0};
}

static bool take_options(struct host *h, const options_t *options, struct option_wasi_http_request_options *ret)
{
    struct result_void_void done;
    ret->some = options->some;
    if (!options->some)
        return true;
    const struct option_u64 connect = ns_of(&options->value.connect_timeout_ms),
                            first = ns_of(&options->value.first_byte_timeout_ms),
                            between = ns_of(&options->value.between_bytes_timeout_ms);
    return wasi_http_types_request_options_constructor(h, &ret->value) &&
           wasi_http_types_request_options_set_connect_timeout(h, ret->value, &connect, &done) &&
           wasi_http_types_request_options_set_first_byte_timeout(h, ret->value, &first, &done) &&
           wasi_http_types_request_options_set_between_bytes_timeout(h, ret->value, &between, &done);
}

bool wasi_http_0_2_0_rc_2023_10_18_outgoing_handler_handle(
    struct host *h, struct wasi_http_outgoing_request *request, const options_t *options,
    struct result_wasi_http_future_incoming_response_wasi_http_0_2_0_rc_2023_10_18_types_error *ret)
{
    struct result_wasi_http_future_incoming_response_wasi_http_types_error_code done = {0};
    struct option_wasi_http_request_options taken = {0};
    if (!take_options(h, options, &taken) || !wasi_http_outgoing_handler_handle(h, request, &taken, &done))
        return false;
    ret->err = done.err;
    if (done.err)
        ret->error = error_of(&done.error);
    else
        ret->ok = done.ok;
    return true;
}

bool wasi_http_0_2_0_rc_2023_10_18_types_future_incoming_response_get(
    struct host *h, struct wasi_http_future_incoming_response *self,
    struct option_result_result_wasi_http_incoming_response_wasi_http_0_2_0_rc_2023_10_18_types_error_void *ret)
{
    response_result got = {0};
    if (!wasi_http_types_future_incoming_response_get(h, self, &got))
        return false;
    ret->some = got.some;
    ret->value.err = got.value.err;
    if (!got.some || got.value.err)
        return true;
    ret->value.ok.err = got.value.ok.err;
    if (got.value.ok.err)
        ret->value.ok.error = error_of(&got.value.ok.error);
    else
        ret->value.ok.ok = got.value.ok.ok;
    return true;
}

/* ---- future-trailers: neither draft can say that they were taken before ---- */

static bool get_trailers(struct host *h, struct wasi_http_future_trailers *self, trailers_result *ret)
{
    if (!wasi_http_types_future_trailers_get(h, self, ret))
        return false;
    return !ret->some || !ret->value.err || host_trap(h, "the trailers were taken before");
}

/* None are empty ones. */
bool wasi_http_0_2_0_rc_2023_10_18_types_future_trailers_get(
    struct host *h, struct wasi_http_future_trailers *self,
    struct option_result_wasi_http_fields_wasi_http_0_2_0_rc_2023_10_18_types_error *ret)
{
    trailers_result got = {0};
    if (!get_trailers(h, self, &got))
        return false;
    ret->some = got.some;
    if (!got.some)
        return true;
    ret->value.err = got.value.ok.err;
    if (got.value.ok.err) {
        ret->value.error = error_of(&got.value.ok.error);
        return true;
    }
    ret->value.ok = got.value.ok.ok.value;
    return got.value.ok.ok.some || wasi_http_types_fields_constructor(h, &ret->value.ok);
}

bool wasi_http_0_2_0_rc_2023_11_10_types_future_trailers_get(
    struct host *h, struct wasi_http_future_trailers *self,
    struct option_result_option_wasi_http_fields_wasi_http_types_error_code *ret)
{
    trailers_result got = {0};
    if (!get_trailers(h, self, &got))
        return false;
    ret->some = got.some;
    if (got.some)
        ret->value = got.value.ok;
    return true;
}

/* ---- request-options of 2023-11-10: their names say ms, their type a duration, which it is ---- */

#define TIMEOUT(name)                                                                                                  \
    bool wasi_http_0_2_0_rc_2023_11_10_types_request_options_##name##_ms(                                              \
        struct host *h, struct wasi_http_request_options *self, struct option_u64 *ret)                                \
    {                                                                                                                  \
        return wasi_http_types_request_options_##name(h, self, ret);                                                   \
    }                                                                                                                  \
    bool wasi_http_0_2_0_rc_2023_11_10_types_request_options_set_##name##_ms(                                          \
        struct host *h, struct wasi_http_request_options *self, const struct option_u64 *ms,                           \
        struct result_void_void *ret)                                                                                  \
    {                                                                                                                  \
        return wasi_http_types_request_options_set_##name(h, self, ms, ret);                                           \
    }
TIMEOUT(connect_timeout)
TIMEOUT(first_byte_timeout)
TIMEOUT(between_bytes_timeout)
#undef TIMEOUT
