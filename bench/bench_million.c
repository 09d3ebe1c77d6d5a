/* A client that believes nothing: keep-alive connections, one request in flight on each, every byte of every body
 * compared.
 *
 *     bench-million PORT REQUESTS CONNECTIONS PREFIX [EACH]
 *
 * Request number N asks for `/N` and wants the body `PREFIX/N\n`; with a PREFIX that ends in a newline just that, and
 * with `=BODY` all ask for `/` and want BODY. With EACH a connection ends after so many answers and another takes its
 * place. Prints one line of JSON: answers, wrong ones, connections that were lost, seconds. Exit code 1 if anything was
 * wrong.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 4096, BUFFER = 8192 };

struct connection {
    int fd;
    uint64_t number; /* of the request in flight */
    uint64_t had;    /* answers */
    size_t used;
    char bytes[BUFFER];
};

static struct connection connections[CONNECTIONS_MAX];
static struct sockaddr_in server = {.sin_family = AF_INET};
static const char *prefix;
static uint64_t wanted, each, asked, answered, wrong, lost;
static int loop;

static void ask(struct connection *c)
{
    char request[128];
    c->number = asked++;
    c->used = 0;
    int length = prefix[0] == '='
                     ? snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                     : snprintf(request, sizeof request, "GET /%lu HTTP/1.1\r\nHost: localhost\r\n\r\n", c->number);
    if (send(c->fd, request, (size_t)length, MSG_NOSIGNAL) != length)
        lost++;
}

static bool open_connection(struct connection *c)
{
    int one = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    c->had = 0;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&server, sizeof server) != 0)
        return false;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return epoll_ctl(loop, EPOLL_CTL_ADD, c->fd, &event) == 0;
}

/* The value of a header within [head, end), or NULL. */
static const char *header(const char *head, const char *end, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = head; line < end; line = strstr(line, "\r\n") + 2)
        if (strncasecmp(line, name, length) == 0 && line[length] == ':')
            return line + length + 1;
    return NULL;
}

/* Joins chunks in place. Returns the length of the body, -1 while it is incomplete. */
static long join_chunks(char *at, const char *end, char **ret_next)
{
    char *body = at;
    long total = 0;
    for (;;) {
        char *line = strstr(at, "\r\n");
        long size = strtol(at, NULL, 16);
        if (!line || size < 0 || line + 2 + size + 2 > end)
            return -1;
        memmove(body + total, line + 2, (size_t)size);
        total += size;
        at = line + 2 + size + 2;
        if (size == 0) {
            *ret_next = at;
            return total;
        }
    }
}

static bool body_right(const struct connection *c, const char *body, size_t length)
{
    char expected[512];
    if (prefix[0] == '=')
        return strlen(prefix + 1) == length && memcmp(prefix + 1, body, length) == 0;
    bool whole = prefix[0] && prefix[strlen(prefix) - 1] == '\n'; /* a body that does not depend on the path */
    int size = whole ? snprintf(expected, sizeof expected, "%s", prefix)
                     : snprintf(expected, sizeof expected, "%s/%lu\n", prefix, c->number);
    return (size_t)size == length && memcmp(expected, body, length) == 0;
}

/* True once a whole answer is there; counts it. */
static bool take_answer(struct connection *c)
{
    c->bytes[c->used] = '\0';
    char *blank = strstr(c->bytes, "\r\n\r\n");
    if (!blank)
        return false;
    char *body = blank + 4, *end = c->bytes + c->used, *next = end;
    const char *length = header(c->bytes, blank, "content-length");
    long size = length ? strtol(length, NULL, 10) : join_chunks(body, end, &next);
    if (size < 0 || (length && body + size > end))
        return false;
    answered++;
    bool whole = !length || body + size == end;
    wrong += strncmp(c->bytes, "HTTP/1.1 200 ", 13) != 0 || !whole || next != end || !body_right(c, body, (size_t)size);
    return true;
}

/* The one that takes its place is made first: the server never has none. */
static void replace(struct connection *c)
{
    int old = c->fd;
    if (!open_connection(c))
        lost++;
    close(old);
}

static void readable(struct connection *c)
{
    ssize_t got = recv(c->fd, c->bytes + c->used, BUFFER - 1 - c->used, 0);
    if (got <= 0) {
        lost++;
        close(c->fd);
        if (asked < wanted && open_connection(c))
            ask(c);
        return;
    }
    c->used += (size_t)got;
    if (!take_answer(c) || asked == wanted)
        return;
    if (++c->had == each)
        replace(c);
    ask(c);
}

static double now_s(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void serve_events(void)
{
    while (answered + lost < wanted) {
        struct epoll_event events[128];
        int count = epoll_wait(loop, events, 128, 10000);
        if (count <= 0)
            return;
        for (int i = 0; i < count; i++)
            readable(events[i].data.ptr);
    }
}

int main(int argc, char **argv)
{
    if (argc != 5 && argc != 6)
        return 2;
    server.sin_port = htons((uint16_t)strtol(argv[1], NULL, 10));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    wanted = strtoull(argv[2], NULL, 10);
    long count = strtol(argv[3], NULL, 10);
    prefix = argv[4];
    each = argc == 6 ? strtoull(argv[5], NULL, 10) : UINT64_MAX;
    loop = epoll_create1(0);
    if (count < 1 || count > CONNECTIONS_MAX || (uint64_t)count > wanted)
        return 2;
    double start = now_s();
    for (long i = 0; i < count; i++) {
        if (!open_connection(&connections[i]))
            return 1;
        ask(&connections[i]);
    }
    serve_events();
    printf("{\"answered\": %lu, \"wrong\": %lu, \"lost\": %lu, \"seconds\": %.3f}\n", answered, wrong, lost,
           now_s() - start);
    return answered == wanted && wrong == 0 && lost == 0 ? 0 : 1;
}
