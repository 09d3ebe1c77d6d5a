/* Connections that are kept between calls: see client.h for which. Whatever happens on one while it is kept ends it: a
 * byte that nobody asked for must not become the beginning of a response. */
#include "http/call.h"

#include "base/alloc.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

struct http_idle {
    struct http_idle *next, **link;
    struct http_client *client;
    struct io_watch watch;
    struct io_timer timer;
    struct tls *tls;
    const void *tenant;
    struct str host; /* memory of its own */
    uint16_t port;
    bool secure;
};

static void unlink_idle(struct http_idle *idle)
{
    struct http_client *client = idle->client;
    *idle->link = idle->next;
    if (idle->next)
        idle->next->link = idle->link;
    else
        client->idle_tail = idle->link;
    client->idle_count--;
    io_unwatch(client->loop, &idle->watch);
    io_timer_stop(client->loop, &idle->timer);
    mem_free((void *)idle->host.ptr);
}

static void end_idle(struct http_idle *idle)
{
    unlink_idle(idle);
    tls_close(idle->tls);
    close(idle->watch.fd);
    mem_free(idle);
}

static void happened(struct io_watch *watch, unsigned events)
{
    if (events & (IO_IN | IO_END | IO_ERROR))
        end_idle(IO_OWNER(watch, struct http_idle, watch));
}

static void timed_out(struct io_timer *timer)
{
    end_idle(IO_OWNER(timer, struct http_idle, timer));
}

void idle_end_all(struct http_client *client)
{
    while (client->idle)
        end_idle(client->idle);
}

/* The response was told to be whole, and the request is: what was not sent of it when an early response came never will
 * be, and the peer would take the next request for that. */
static bool is_fit(const struct http_call *call)
{
    bool told = call->input == INPUT_LENGTH || call->input == INPUT_CHUNKED || call->of_head ||
                call->parser.status == 204 || call->parser.status == 304;
    bool sent = call->sent && call->out_at == call->out.size && !call->closed;
    return told && call->parser.keep_alive && sent && call->raw_used == 0 && call->watched &&
           !(call->tls && tls_pending(call->tls));
}

void idle_keep(struct http_call *call)
{
    struct http_client *client = call->client;
    struct http_idle *idle = is_fit(call) ? mem_alloc(1, sizeof *idle) : NULL;
    char *host = idle ? mem_alloc(1, call->host.len + 1) : NULL;
    if (!host) {
        mem_free(idle);
        return;
    }
    memcpy(host, call->host.ptr, call->host.len);
    io_unwatch(client->loop, &call->watch);
    call->watched = false;
    *idle = (struct http_idle){
        .client = client, .watch = {.ready = happened, .fd = call->watch.fd}, .timer = {.fired = timed_out}};
    if (!io_watch(client->loop, &idle->watch, NULL)) {
        mem_free(host);
        mem_free(idle);
        return;
    }
    idle->tls = call->tls;
    idle->tenant = call->tenant;
    idle->host = (struct str){host, call->host.len};
    idle->port = call->port;
    idle->secure = call->secure;
    call->tls = NULL;
    call->watch.fd = -1;
    if (client->idle_count == HTTP_IDLE_MAX)
        end_idle(client->idle);
    idle->link = client->idle_tail;
    *client->idle_tail = idle;
    client->idle_tail = &idle->next;
    client->idle_count++;
    io_timer_set(client->loop, &idle->timer, io_now_us(client->loop) + HTTP_IDLE_US);
}

static bool is_for(const struct http_idle *idle, const struct http_call *call)
{
    return idle->tenant == call->tenant && idle->port == call->port && idle->secure == call->secure &&
           str_eq(idle->host, call->host);
}

/* Nothing came, not even the end; what did may not have been told yet. */
static bool is_silent(const struct http_idle *idle)
{
    char byte;
    return recv(idle->watch.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

bool idle_take(struct http_call *call)
{
    struct http_idle *idle = call->client->idle, *found = NULL;
    for (; idle; idle = idle->next) /* the one kept last is the likeliest to be alive */
        if (is_for(idle, call))
            found = idle;
    if (found && !is_silent(found)) {
        end_idle(found);
        found = NULL;
    }
    if (!found)
        return false;
    unlink_idle(found);
    call->watch.fd = found->watch.fd;
    call->tls = found->tls;
    mem_free(found);
    call->watched = io_watch(call->client->loop, &call->watch, NULL);
    return call->watched;
}
