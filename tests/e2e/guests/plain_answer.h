/* The report as the answer to a request: for guests with plain.h that are handlers. */
#ifndef MAYFLY_TESTS_GUESTS_PLAIN_ANSWER_H
#define MAYFLY_TESTS_GUESTS_PLAIN_ANSWER_H

#include "plain.h"

IMPORT(HTTP, "[method]incoming-request.path-with-query") void request_path_into(int request, void *ret);
IMPORT(HTTP, "[constructor]fields") int fields_new(void);
IMPORT(HTTP, "[constructor]outgoing-response") int response_new(int fields);
IMPORT(HTTP, "[method]outgoing-response.body") void response_body(int response, void *ret);
IMPORT(HTTP, "[static]response-outparam.set")
void outparam_set(int out, int is_err, int response, int, int64_t, int, int, int, int);
IMPORT(HTTP, "[method]outgoing-body.write") void body_write(int body, void *ret);
IMPORT(HTTP, "[static]outgoing-body.finish") void body_finish(int body, int some, int trailers, void *ret);
IMPORT(STREAMS, "[method]output-stream.blocking-write-and-flush")
void stream_write(int stream, const char *text, size_t size, void *ret);
IMPORT(STREAMS, "[resource-drop]output-stream") void output_stream_drop(int stream);

static struct text request_path(int request)
{
    request_path_into(request, ret);
    return text_at(ret + 4);
}

static void answer_report(int out)
{
    int response = response_new(fields_new());
    response_body(response, ret);
    int body = (int)word_at(ret + 4);
    outparam_set(out, 0, response, 0, 0, 0, 0, 0, 0);
    body_write(body, ret);
    int stream = (int)word_at(ret + 4);
    for (size_t at = 0; at < reported; at += 4096)
        stream_write(stream, report + at, reported - at < 4096 ? reported - at : 4096, ret);
    output_stream_drop(stream);
    body_finish(body, 0, 0, ret);
}

#endif
