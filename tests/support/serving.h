/* A server of HTTP in a thread of its own, for tests that are its clients over real sockets. */
#ifndef MAYFLY_TESTS_SUPPORT_SERVING_H
#define MAYFLY_TESTS_SUPPORT_SERVING_H

#include "http/server.h"

#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

struct serving {
    struct io_loop *loop; /* the service may use it, in its calls */
    struct http_server *server;
    const struct http_service *service;
    const struct http_limits *limits;
    struct tls_context *tls;
    sem_t ready;
    bool started;
    struct io_watch control;
    int control_in, listen_fd;
    struct sockaddr_in address;
    pthread_t thread;
    atomic_bool drained;
};

/* 0, or -1. `tls` NULL: plain. What is pointed to lives as long. */
int serving_start(struct serving *s, const struct http_service *service, const struct http_limits *limits,
                  struct tls_context *tls);
int serving_stop(struct serving *s);
void serving_drain(struct serving *s);
/* The nth allocation from now on fails, with all behind it; 0: none does. */
void serving_fail_at(struct serving *s, unsigned char nth);
/* A connected socket that waits five seconds at most when it reads. */
int serving_connect(const struct serving *s);
/* How many connections the server has, once it is that many or a second has passed. */
uint32_t serving_connections(const struct serving *s, uint32_t wanted);

#endif
