/* The floor under every HTTP server on this machine: receive, send a constant, nothing else. It does not even
 * parse; what a server costs above it is the server's own work.
 *
 *     bench-floor BODY        serves on a free port of 127.0.0.1 and prints `Serving http://127.0.0.1:PORT`
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static int listen_any(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 1024) != 0)
        return -1;
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("Serving http://127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

static void watch(int loop, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
}

static void welcome(int loop, int listener)
{
    int one = 1;
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    watch(loop, fd);
}

int main(int argc, char **argv)
{
    static char answer[4096], request[65536];
    const char *body = argc > 1 ? argv[1] : "Hello, world!\n";
    int length = snprintf(answer, sizeof answer,
                          "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ndate: Tue, 24 Nov 2026 00:00:00 GMT\r\n"
                          "content-length: %zu\r\n\r\n%s",
                          strlen(body), body);
    int listener = listen_any();
    int loop = epoll_create1(0);
    if (listener < 0 || loop < 0 || length >= (int)sizeof answer)
        return 1;
    watch(loop, listener);
    for (;;) {
        struct epoll_event events[64];
        int count = epoll_wait(loop, events, 64, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listener)
                welcome(loop, listener);
            else if (recv(fd, request, sizeof request, 0) <= 0 || send(fd, answer, (size_t)length, MSG_NOSIGNAL) < 0)
                close(fd);
        }
    }
}
