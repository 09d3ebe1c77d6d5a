/* Bodies there and back: a server that does nothing but echo, and a client that sends a long body, reads the answer
 * meanwhile and compares every byte.
 *
 *     bench-echo serve                   on a free port of 127.0.0.1; prints `Serving http://127.0.0.1:PORT`
 *     bench-echo send PORT PATH BYTES    prints the seconds that it took; 1 when a byte is wrong
 *
 * Bodies have a content-length on the way there. On the way back they may be chunked, as whoever answers likes.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PART 65536u

static bool send_all(int fd, const char *bytes, size_t size)
{
    while (size) {
        ssize_t n = send(fd, bytes, size, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        bytes += n;
        size -= (size_t)n;
    }
    return true;
}

/* The head into `head`, what came behind it to its start; its size, or -1. */
static ssize_t read_head(int fd, char *head, size_t room, size_t *ret_used)
{
    size_t used = 0;
    while (used < room - 1) {
        ssize_t n = recv(fd, head + used, room - 1 - used, 0);
        if (n <= 0)
            return -1;
        used += (size_t)n;
        head[used] = '\0';
        char *end = strstr(head, "\r\n\r\n");
        if (end) {
            *ret_used = used;
            return end + 4 - head;
        }
    }
    return -1;
}

/* ---- the server ---- */

/* It answers when it has all: a proxy may stop sending a request when its answer begins. */
static bool echo_one(int fd, const char *head, size_t head_size, size_t used)
{
    const char *length = strcasestr(head, "content-length:");
    size_t size = length ? strtoull(length + 15, NULL, 10) : 0, at = used - head_size;
    char answer[128];
    char *body = malloc(size + 1);
    bool done = body && at <= size;
    if (done)
        memcpy(body, head + head_size, at);
    for (ssize_t n; done && at < size; at += (size_t)n)
        done = (n = recv(fd, body + at, size - at, 0)) > 0;
    int line = snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\ncontent-length: %zu\r\n\r\n", size);
    done = done && send_all(fd, answer, (size_t)line) && send_all(fd, body, size);
    free(body);
    return done;
}

static void *echo(void *arg)
{
    static _Thread_local char bytes[PART];
    int fd = (int)(intptr_t)arg;
    size_t used = 0;
    for (ssize_t head; (head = read_head(fd, bytes, sizeof bytes, &used)) > 0;)
        if (!echo_one(fd, bytes, (size_t)head, used))
            break;
    close(fd);
    return NULL;
}

static int serve(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 64) != 0)
        return 1;
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("Serving http://127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (int fd; (fd = accept(listener, NULL, NULL)) >= 0;) {
        pthread_t thread;
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (pthread_create(&thread, NULL, echo, (void *)(intptr_t)fd) == 0)
            pthread_detach(thread);
    }
    return 1;
}

/* ---- the client ---- */

struct sending {
    int fd;
    uint64_t bytes;
};

/* The body repeats a row of a length that divides no buffer, so that a part in the wrong place is noticed. */
#define ROW 65521u
static char row[ROW + PART];

static void *send_body(void *arg)
{
    const struct sending *sending = arg;
    for (uint64_t at = 0; at < sending->bytes;) {
        uint64_t left = sending->bytes - at;
        size_t size = left < PART ? (size_t)left : PART;
        if (!send_all(sending->fd, row + at % ROW, size))
            return NULL;
        at += size;
    }
    return NULL;
}

/* What the answer's body says, with chunks taken off. */
struct reading {
    int fd;
    char bytes[PART];
    size_t at, used;
};

static bool fill(struct reading *r)
{
    ssize_t n = recv(r->fd, r->bytes, sizeof r->bytes, 0);
    r->at = 0;
    r->used = n > 0 ? (size_t)n : 0;
    return n > 0;
}

static int next_byte(struct reading *r)
{
    if (r->at == r->used && !fill(r))
        return -1;
    return (unsigned char)r->bytes[r->at++];
}

/* The size of the next chunk; `first`: no chunk's end stands before it. */
static uint64_t next_chunk(struct reading *r, bool first)
{
    char line[32];
    size_t size = 0;
    for (int skip = first ? 0 : 2; skip; skip--)
        next_byte(r);
    for (int byte; (byte = next_byte(r)) >= 0 && byte != '\n' && size < sizeof line - 1;)
        line[size++] = (char)byte;
    line[size] = '\0';
    return strtoull(line, NULL, 16);
}

static bool compare(struct reading *r, uint64_t *at, uint64_t size)
{
    while (size) {
        if (r->at == r->used && !fill(r))
            return false;
        size_t part = r->used - r->at < size ? r->used - r->at : (size_t)size;
        if (memcmp(r->bytes + r->at, row + *at % ROW, part) != 0)
            return false;
        r->at += part;
        *at += part;
        size -= part;
    }
    return true;
}

static bool read_answer(struct reading *r, uint64_t bytes)
{
    uint64_t at = 0;
    ssize_t head = read_head(r->fd, r->bytes, sizeof r->bytes, &r->used);
    if (head < 0 || strncmp(r->bytes, "HTTP/1.1 200", 12) != 0)
        return false;
    bool chunked = strcasestr(r->bytes, "transfer-encoding: chunked") != NULL;
    r->at = (size_t)head;
    if (!chunked)
        return compare(r, &at, bytes);
    uint64_t size;
    for (bool first = true; (size = next_chunk(r, first)) > 0; first = false)
        if (at + size > bytes || !compare(r, &at, size))
            return false;
    return at == bytes;
}

static int send_and_compare(int port, const char *path, uint64_t bytes)
{
    static struct reading reading;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    struct sending sending = {socket(AF_INET, SOCK_STREAM, 0), bytes};
    struct timespec began, ended;
    char head[256];
    pthread_t sender;
    for (size_t i = 0; i < sizeof row; i++)
        row[i] = (char)((i % ROW) * 2654435761u >> 13);
    clock_gettime(CLOCK_MONOTONIC, &began);
    int size = snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nhost: localhost\r\ncontent-length: %llu\r\n\r\n", path,
                        (unsigned long long)bytes);
    if (connect(sending.fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        !send_all(sending.fd, head, (size_t)size) || pthread_create(&sender, NULL, send_body, &sending) != 0)
        return 1;
    reading.fd = sending.fd;
    bool right = read_answer(&reading, bytes);
    if (!right)
        fprintf(stderr, "the answer is another one, or ends early\n");
    shutdown(sending.fd, SHUT_RDWR);
    pthread_join(sender, NULL);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    printf("%.3f\n", (double)(ended.tv_sec - began.tv_sec) + (double)(ended.tv_nsec - began.tv_nsec) / 1e9);
    return right ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "serve") == 0)
        return serve();
    if (argc == 5 && strcmp(argv[1], "send") == 0)
        return send_and_compare((int)strtol(argv[2], NULL, 10), argv[3], strtoull(argv[4], NULL, 10));
    fprintf(stderr, "usage: bench-echo serve | send PORT PATH BYTES\n");
    return 2;
}
