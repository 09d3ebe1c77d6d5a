/* Standard output and error of a function: to the log, whole lines at a time, under the function's name, and as they
 * are to a file, if there is one. A command's are in standard.c. */
#include "wasi/object.h"

#include "base/log.h"

#include <unistd.h>

#define LINE_BYTES 4096u

static const char *const stream_names[] = {[HOST_STDOUT] = "stdout", [HOST_STDERR] = "stderr"};

/* Behind what else was written, in one piece, so that lines of others do not come between. What a file does not take is
 * in the log. */
static void write_file(int fd, const char *bytes, size_t size)
{
    if (fd > 0 && size) {
        ssize_t written = write(fd, bytes, size);
        (void)written;
    }
}

/* `ended`: by a line end, which there is room for. */
static void emit(struct host *h, enum host_stream stream, bool ended)
{
    struct host_text *line = &h->text[stream];
    int fd = h->config->text_fds[stream];
    char room[TRACE_SCOPE_SIZE];
    if (line->size && !h->config->unlogged)
        log_guest(host_scope(h, room), stream_names[stream], (struct str){line->bytes, line->size});
    if (ended && line->bytes)
        line->bytes[line->size] = '\n';
    if (line->bytes)
        write_file(fd, line->bytes, line->size + ended);
    else
        write_file(fd, "\n", ended);
    line->size = 0;
}

/* Add to the line that is not ended; a line longer than the buffer is cut into several. */
static void append(struct host *h, enum host_stream stream, struct str text)
{
    struct host_text *line = &h->text[stream];
    if (!line->bytes)
        line->bytes = arena_alloc(&h->arena, LINE_BYTES + 1);
    while (line->bytes && text.len) {
        size_t room = LINE_BYTES - line->size, n = text.len < room ? text.len : room;
        memcpy(line->bytes + line->size, text.ptr, n);
        line->size += n;
        text = str_slice(text, n, text.len);
        if (line->size == LINE_BYTES)
            emit(h, stream, false);
    }
}

void host_text_write(struct host *h, enum host_stream stream, struct str text)
{
    while (text.len) {
        size_t end = str_find(text, '\n');
        append(h, stream, str_slice(text, 0, end));
        if (end == text.len)
            return;
        emit(h, stream, true);
        text = str_slice(text, end + 1, text.len);
    }
}

void host_text_end(struct host *h)
{
    emit(h, HOST_STDOUT, h->text[HOST_STDOUT].size > 0);
    emit(h, HOST_STDERR, h->text[HOST_STDERR].size > 0);
}
