/* MySQL between its two files: statements (mysql.c) and connections (mysql_connect.c). */
#ifndef MAYFLY_SERVICES_MYSQL_LINE_H
#define MAYFLY_SERVICES_MYSQL_LINE_H

#include "services/fiber.h"
#include "services/line.h"

#include <mariadb/mysql.h>

#define MYSQL_FUNCTIONS(X)                                                                                             \
    X(mariadb_get_infov)                                                                                               \
    X(mysql_close)                                                                                                     \
    X(mysql_error)                                                                                                     \
    X(mysql_errno)                                                                                                     \
    X(mysql_sqlstate)                                                                                                  \
    X(mysql_fetch_fields)                                                                                              \
    X(mysql_free_result)                                                                                               \
    X(mysql_get_socket)                                                                                                \
    X(mysql_init)                                                                                                      \
    X(mysql_load_plugin)                                                                                               \
    X(mysql_options)                                                                                                   \
    X(mysql_real_connect)                                                                                              \
    X(mysql_real_connect_cont)                                                                                         \
    X(mysql_real_connect_start)                                                                                        \
    X(mysql_reset_connection_cont)                                                                                     \
    X(mysql_reset_connection_start)                                                                                    \
    X(mysql_server_init)                                                                                               \
    X(mysql_stmt_affected_rows)                                                                                        \
    X(mysql_stmt_bind_param)                                                                                           \
    X(mysql_stmt_bind_result)                                                                                          \
    X(mysql_stmt_close)                                                                                                \
    X(mysql_stmt_close_cont)                                                                                           \
    X(mysql_stmt_close_start)                                                                                          \
    X(mysql_stmt_errno)                                                                                                \
    X(mysql_stmt_error)                                                                                                \
    X(mysql_stmt_execute_cont)                                                                                         \
    X(mysql_stmt_execute_start)                                                                                        \
    X(mysql_stmt_fetch_column)                                                                                         \
    X(mysql_stmt_fetch_cont)                                                                                           \
    X(mysql_stmt_fetch_start)                                                                                          \
    X(mysql_stmt_field_count)                                                                                          \
    X(mysql_stmt_init)                                                                                                 \
    X(mysql_stmt_param_count)                                                                                          \
    X(mysql_stmt_prepare_cont)                                                                                         \
    X(mysql_stmt_prepare_start)                                                                                        \
    X(mysql_stmt_result_metadata)                                                                                      \
    X(mysql_stmt_sqlstate)

struct mysql_library {
#define FIELD(name) __typeof__(&name) name;
    MYSQL_FUNCTIONS(FIELD)
#undef FIELD
    /* Called with what goes over connections. No header has it. */
    int (*ma_pvio_register_callback)(my_bool on,
                                     void (*tell)(int sent, MYSQL *mysql, const unsigned char *bytes, size_t size));
    bool loaded;
};
extern struct mysql_library my;

/* A column that is fetched. */
struct column {
    enum storage_column type;
    union {
        int64_t integer;
        double real;
    };
    unsigned long length;
    my_bool null;
};

struct mysql_line {
    struct line line;
    MYSQL *mysql, *made;
    MYSQL_STMT *statement;
    /* The call at hand: what goes on with it, what follows it, and what it waits for. */
    int (*go_on)(struct mysql_line *line, int events);
    void (*then)(struct mysql_line *line);
    int waits;
    int result;
    my_bool closed;
    MYSQL_BIND *binds, *parameters;
    struct column *columns;
    unsigned column_count;
    char *values; /* the statement, and what parameters are */
    size_t given; /* of them */
    char address[IP_TEXT_MAX], user[256], password[1024], database[256]; /* while it connects */
    /* Of one over TLS, while it connects: */
    struct fiber fiber;
    int fd; /* what it waits for */
    unsigned port;
    bool named;    /* the library knows the host's name */
    bool given_up; /* its time is over */
};

static inline struct mysql_line *mysql_of(struct line *line)
{
    return IO_OWNER(line, struct mysql_line, line);
}

void mysql_break(struct mysql_line *line, const char *text);
/* A call began or went on: 0 is its end. */
static inline void mysql_went(struct mysql_line *line, int waits)
{
    line->waits = waits;
    if (waits == 0)
        line->then(line);
}

bool mysql_load(struct err *err);
void mysql_open(struct line *base, const struct ip_endpoint *to);
/* It is opening, and the socket is ready for `found`. */
void mysql_step_opening(struct mysql_line *line, int found);
/* One that is still opening stops. */
void mysql_stop_opening(struct mysql_line *line);

#endif
