/* A library of words, with all that it might ask of its host; see words.wit. WASI is the version that it asks in, also
 * a draft; OCTOBER that of 2023-10-18. What it shares with others (streams) is of the final one. */
#include "plain.h"

#ifndef WASI
#define WASI "0.2.12"
#endif
#define COUNT "test:words/count@1.2.3"
#define WORD_MAX 100u
#define BAG_MAX 16u

IMPORT("[export]" COUNT, "[resource-new]bag") int bag_handle(void *bag);
IMPORT("wasi:cli/environment@" WASI, "get-environment") void get_environment(void *ret);
IMPORT("wasi:cli/environment@" WASI, "initial-cwd") void initial_cwd(void *ret);
IMPORT("wasi:filesystem/preopens@" WASI, "get-directories") void get_directories(void *ret);
IMPORT("fermyon:spin/key-value@2.0.0", "[static]store.open") void store_open(const char *label, size_t size, void *ret);
IMPORT("fermyon:spin/variables@2.0.0", "get") void variable_get(const char *name, size_t size, void *ret);
#ifdef OCTOBER
IMPORT("wasi:http/types@" WASI, "[constructor]fields") int fields_new(const void *entries, size_t count);
IMPORT("wasi:http/types@" WASI, "[constructor]outgoing-request")
int request_new(int method, const char *other, size_t other_size, int has_path, const char *path, size_t path_size,
                int has_scheme, int scheme, const char *name, size_t name_size, int has_authority,
                const char *authority, size_t size, int fields);
IMPORT("wasi:http/outgoing-handler@" WASI, "handle")
void http_handle(int request, int some, int has_connect, int connect, int has_first, int first, int has_between,
                 int between, void *ret);
#else
IMPORT("wasi:http/types@" WASI, "[constructor]fields") int fields_new(void);
IMPORT("wasi:http/types@" WASI, "[constructor]outgoing-request") int request_new(int fields);
IMPORT("wasi:http/types@" WASI, "[method]outgoing-request.set-scheme")
int request_set_scheme(int request, int some, int scheme, const char *other, size_t size);
IMPORT("wasi:http/types@" WASI, "[method]outgoing-request.set-authority")
int request_set_authority(int request, int some, const char *text, size_t size);
IMPORT("wasi:http/outgoing-handler@" WASI, "handle") void http_handle(int request, int some, int options, void *ret);
#endif
IMPORT(STREAMS, "[method]input-stream.blocking-read") void stream_read(int stream, uint64_t size, void *ret);
IMPORT(STREAMS, "[resource-drop]input-stream") void stream_drop(int stream);

struct bag {
    struct text words[BAG_MAX];
    size_t count;
};

static void *take(size_t size)
{
    return cabi_realloc(NULL, 0, 8, size);
}

static uint32_t answer[4]; /* what a function returns */

/* ---- count ---- */

EXPORT(COUNT "#count") void *count(const char *text, size_t size)
{
    struct text longest = {text, 0};
    uint32_t words = 0;
    for (size_t at = 0, end; at < size; at = end + 1) {
        for (end = at; end < size && text[end] != '+'; end++)
            continue;
        words += end > at;
        if (end - at > longest.len)
            longest = (struct text){text + at, end - at};
    }
    answer[0] = words == 0 || longest.len > WORD_MAX;
    answer[1] = answer[0] ? words > 0 : words; /* the trouble: empty, too-long */
    answer[2] = (uint32_t)(size_t)longest.ptr;
    answer[3] = longest.len;
    return answer;
}

EXPORT(COUNT "#length") uint64_t length(int stream)
{
    uint64_t length = 0;
    for (;;) {
        stream_read(stream, 65536, ret);
        if (ret[0])
            break;
        length += text_at(ret + 4).len;
    }
    stream_drop(stream);
    return length;
}

EXPORT(COUNT "#[constructor]bag") int bag_new(void)
{
    struct bag *bag = take(sizeof *bag);
    bag->count = 0;
    return bag_handle(bag);
}

EXPORT(COUNT "#[method]bag.add") void bag_add(struct bag *bag, const char *word, size_t size)
{
    if (bag->count < BAG_MAX)
        bag->words[bag->count++] = (struct text){word, size};
}

EXPORT(COUNT "#[method]bag.all") void *bag_all(struct bag *bag)
{
    answer[0] = (uint32_t)(size_t)bag->words;
    answer[1] = bag->count;
    return answer;
}

/* ---- what stands alone ---- */

static void *return_report(void)
{
    answer[0] = (uint32_t)(size_t)report;
    answer[1] = reported;
    return answer;
}

EXPORT("greet") void *greet(const char *name, size_t size)
{
    reported = 0;
    say("greetings, ");
    say_text((struct text){name, size});
    return return_report();
}

EXPORT("hello") void *hello(const char *name, size_t size)
{
    reported = 0;
    say("hello, ");
    say_text((struct text){name, size});
    return return_report();
}

/* ---- the world ---- */

static void say_named(const char *name, uint32_t number)
{
    say(name);
    say_number(number);
    say("\n");
}

static void probe_http(void)
{
#ifdef OCTOBER
    int request = request_new(0, "", 0, 0, "", 0, 1, 0, "", 0, 1, "127.0.0.1:1", 11, fields_new(answer, 0));
    http_handle(request, 0, 0, 0, 0, 0, 0, 0, ret);
    if (ret[0]) {
        say_named("http error ", ret[4]);
        say_text(text_at(ret + 8));
        say("\n");
    } else {
        say("http sent\n");
    }
#else
    int request = request_new(fields_new());
    request_set_scheme(request, 1, 0, "", 0);
    request_set_authority(request, 1, "127.0.0.1:1", 11);
    http_handle(request, 0, 0, ret);
    if (ret[0])
        say_named("http error ", ret[8]); /* the payload is aligned to eight bytes */
    else
        say("http sent\n");
#endif
}

EXPORT("test:words/probe@1.2.3#report") void *probe(void)
{
    reported = 0;
    get_environment(ret);
    say_named("variables ", word_at(ret + 4));
    initial_cwd(ret);
    say_named("cwd ", ret[0]);
    get_directories(ret);
    say_named("directories ", word_at(ret + 4));
    probe_http();
    store_open("default", 7, ret);
    if (ret[0])
        say_named("store error ", ret[4]);
    else
        say("store opened\n");
    variable_get("greeting", 8, ret);
    say(ret[0] ? "variable error: " : "variable ");
    say_text(text_at(ret + (ret[0] ? 8 : 4))); /* of an error: its case, and a text */
    say("\n");
    return return_report();
}
