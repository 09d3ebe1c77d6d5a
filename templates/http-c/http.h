/* Requests and answers of wasi:http, as little of it as a handler needs; wit/ has all that there is. */
#ifndef HTTP_H
#define HTTP_H

#include <stddef.h>
#include <stdint.h>

struct http_request {
    const char *method;           /* "GET", ... */
    const char *path;             /* with what follows ?; ended by NUL, like the method */
    int32_t handle, body, stream; /* of http.c */
};

struct http_response {
    int32_t out, headers, body, stream; /* of http.c */
};

/* Yours (handler.c). */
void handle(struct http_request *request, struct http_response *response);

/* The value of a field, the first one of that name; NULL: there is none. It is yours to free. */
char *http_field(struct http_request *request, const char *name);
/* Bytes of the body, at most `size`; 0 at its end, or when it broke off. */
size_t http_read(struct http_request *request, void *bytes, size_t size);

/* Before http_begin. */
void http_header(struct http_response *response, const char *name, const char *value);
/* The status and the headers leave; without it the answer is 200, when the first bytes are written. */
void http_begin(struct http_response *response, unsigned status);
/* 0: the client went away. */
int http_write(struct http_response *response, const void *bytes, size_t size);

#endif
