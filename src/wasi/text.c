/* Standard output and error of a function: to the log, whole lines at a time, under the function's name. A command's
 * are in standard.c. */
#include "wasi/object.h"

#include "base/log.h"

#define LINE_BYTES 4096u

static const char *const stream_names[] = {[HOST_STDOUT] = "stdout", [HOST_STDERR] = "stderr"};

static void emit(struct host *h, enum host_stream stream)
{
    struct host_text *line = &h->text[stream];
    char room[TRACE_SCOPE_SIZE];
    if (line->size)
        log_guest(host_scope(h, room), stream_names[stream], (struct str){line->bytes, line->size});
    line->size = 0;
}

/* Add to the line that is not ended; a line longer than the buffer is cut into several. */
static void append(struct host *h, enum host_stream stream, struct str text)
{
    struct host_text *line = &h->text[stream];
    if (!line->bytes)
        line->bytes = arena_alloc(&h->arena, LINE_BYTES);
    while (line->bytes && text.len) {
        size_t room = LINE_BYTES - line->size, n = text.len < room ? text.len : room;
        memcpy(line->bytes + line->size, text.ptr, n);
        line->size += n;
        text = str_slice(text, n, text.len);
        if (line->size == LINE_BYTES)
            emit(h, stream);
    }
}

void host_text_write(struct host *h, enum host_stream stream, struct str text)
{
    while (text.len) {
        size_t end = str_find(text, '\n');
        append(h, stream, str_slice(text, 0, end));
        if (end == text.len)
            return;
        emit(h, stream);
        text = str_slice(text, end + 1, text.len);
    }
}

void host_text_end(struct host *h)
{
    emit(h, HOST_STDOUT);
    emit(h, HOST_STDERR);
}
