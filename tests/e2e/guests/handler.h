/* For guests with abi.h that are handlers: a text as the answer, and its status. `ret` is where calls leave what they
 * return; who needs more or less of it says so by RET_BYTES. */
#ifndef MAYFLY_TESTS_GUESTS_HANDLER_H
#define MAYFLY_TESTS_GUESTS_HANDLER_H

#include "abi.h"

#ifndef RET_BYTES
#define RET_BYTES 128
#endif

typedef const char *text_t;

IMPORT(HTTP, "[method]incoming-request.path-with-query") void request_path(int request, void *ret);
IMPORT(HTTP, "[constructor]fields") int fields_new(void);
IMPORT(HTTP, "[constructor]outgoing-response") int response_new(int fields);
IMPORT(HTTP, "[method]outgoing-response.set-status-code") int response_status(int response, int status);
IMPORT(HTTP, "[method]outgoing-response.body") void response_body(int response, void *ret);
IMPORT(HTTP, "[static]response-outparam.set")
void outparam_set(int out, int is_err, int response, int, int64_t, int, int, int, int);
IMPORT(HTTP, "[method]outgoing-body.write") void body_write(int body, void *ret);
IMPORT(HTTP, "[static]outgoing-body.finish") void body_finish(int body, int some, int trailers, void *ret);
IMPORT(STREAMS, "[method]output-stream.blocking-write-and-flush")
void write(int stream, text_t text, size_t size, void *ret);
IMPORT(STREAMS, "[resource-drop]output-stream") void stream_drop(int stream);

/* ---- the answer ---- */

static char answer[65536];
static size_t answered;
static int status = 200;

static void say_bytes(text_t text, size_t size)
{
    for (size_t i = 0; i < size && answered < sizeof answer; i++)
        answer[answered++] = text[i];
}

static void say(text_t text)
{
    size_t size = 0;
    while (text[size])
        size++;
    say_bytes(text, size);
}

__attribute__((unused)) static void say_number(int64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
    do
        digits[--at] = (char)('0' + rest % 10);
    while (rest /= 10);
    if (number < 0)
        say("-");
    say_bytes(digits + at, sizeof digits - at);
}

/* ---- results ---- */

static _Alignas(8) uint8_t ret[RET_BYTES];

static uint32_t word(const uint8_t *at)
{
    uint32_t value;
    __builtin_memcpy(&value, at, 4);
    return value;
}

__attribute__((unused)) static int64_t number(const uint8_t *at)
{
    int64_t value;
    __builtin_memcpy(&value, at, 8);
    return value;
}

__attribute__((unused)) static void say_string(const uint8_t *at)
{
    say_bytes((text_t)word(at), word(at + 4));
}

static void respond(int out)
{
    int response = response_new(fields_new());
    response_status(response, status);
    response_body(response, ret);
    int body = (int)word(ret + 4);
    outparam_set(out, 0, response, 0, 0, 0, 0, 0, 0);
    body_write(body, ret);
    int stream = (int)word(ret + 4);
    for (size_t at = 0; at < answered; at += 4096)
        write(stream, answer + at, answered - at < 4096 ? answered - at : 4096, ret);
    stream_drop(stream);
    body_finish(body, 0, 0, ret);
}

#endif
