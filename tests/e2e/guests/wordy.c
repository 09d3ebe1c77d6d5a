/* A handler whose library is a dependency:
 *
 *     /count?TEXT    words and the longest, or the trouble
 *     /bag?A+B+C     the words of the path by way of an object of the library
 *     /length        of the request's body, which the library reads
 *     /greet?NAME    by a function of the library that stands alone
 *     /probe         what the library finds of the world around it
 *     /mine          how many variables the handler itself has */
#include "plain_answer.h"

#define COUNT "test:words/count@1.2.0"

IMPORT(COUNT, "count") void count_words(const char *text, size_t size, void *ret);
IMPORT(COUNT, "length") uint64_t length_of(int stream);
IMPORT(COUNT, "[constructor]bag") int bag_new(void);
IMPORT(COUNT, "[method]bag.add") void bag_add(int bag, const char *word, size_t size);
IMPORT(COUNT, "[method]bag.all") void bag_all(int bag, void *ret);
IMPORT(COUNT, "[resource-drop]bag") void bag_drop(int bag);
IMPORT("test:words/probe@1.2.0", "report") void probe_report(void *ret);
IMPORT("$root", "greet") void greet(const char *name, size_t size, void *ret);
IMPORT("wasi:cli/environment@0.2.12", "get-environment") void get_environment(void *ret);
IMPORT(HTTP, "[method]incoming-request.consume") void request_consume(int request, void *ret);
IMPORT(HTTP, "[method]incoming-body.stream") void body_stream(int body, void *ret);

static void count(struct text text)
{
    count_words(text.ptr, text.len, ret); /* err; the trouble, or words and the longest */
    if (ret[0]) {
        say(ret[4] ? "too long" : "empty");
        return;
    }
    say_number(word_at(ret + 4));
    say(" ");
    say_text(text_at(ret + 8));
}

static void use_bag(struct text text)
{
    int bag = bag_new();
    for (size_t at = 0, end; at <= text.len; at = end + 1) {
        for (end = at; end < text.len && text.ptr[end] != '+'; end++)
            continue;
        bag_add(bag, text.ptr + at, end - at);
    }
    bag_all(bag, ret);
    struct text list = text_at(ret);
    for (size_t i = list.len; i-- > 0;) {
        say_text(text_at((const uint8_t *)list.ptr + 8 * i));
        say(i ? " " : "");
    }
    bag_drop(bag);
}

static void length(int request)
{
    request_consume(request, ret);
    body_stream((int)word_at(ret + 4), ret);
    say_number(length_of((int)word_at(ret + 4)));
}

EXPORT("wasi:http/incoming-handler@0.2.12#handle") void handle(int request, int out)
{
    struct text path = request_path(request), text = {path.ptr + path.len, 0};
    for (size_t i = 0; i < path.len && !text.len; i++)
        if (path.ptr[i] == '?')
            text = (struct text){path.ptr + i + 1, path.len - i - 1};
    if (starts(path, "/count")) {
        count(text);
    } else if (starts(path, "/bag")) {
        use_bag(text);
    } else if (starts(path, "/length")) {
        length(request);
    } else if (starts(path, "/greet")) {
        greet(text.ptr, text.len, ret);
        say_text(text_at(ret));
    } else if (starts(path, "/probe")) {
        probe_report(ret);
        say_text(text_at(ret));
    } else if (starts(path, "/mine")) {
        get_environment(ret);
        say_number(word_at(ret + 4));
    }
    answer_report(out);
}
