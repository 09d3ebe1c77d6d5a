/* Connections to MySQL: see mysql.h.
 *
 * Plain ones are made by the library's functions that do not wait. Over TLS those wait all the same, so there a
 * connection is made by one that does, in a fiber, and it waits by a function of ours. The library is given an address
 * that was judged, and no name; but the certificate is to be for the name. So the library learns it when it has begun,
 * before it greets. */
#include "services/mysql_line.h"

#include "base/library.h"
#include "io/resolve.h"
#include "services/confine.h"
#include "services/secure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define AUTHENTICATION_PLUGIN 2 /* MYSQL_CLIENT_AUTHENTICATION_PLUGIN, whose header is not to be had alone */
#define SECURE_VERSION 30300u   /* of the library: before, its host is not memory of its own */
#define CONNECT_SECONDS 60u     /* whoever runs the loop has less patience; without any the library would not wait */

struct mysql_library my;

/* Ways of logging in that the library loads when a server asks for them: now, not in the sandbox. One that is missing
 * is missed when it is asked for. */
static void load_plugins(void)
{
    static const char *const names[] = {"caching_sha2_password", "sha256_password", "client_ed25519"};
    MYSQL *mysql = my.mysql_init(NULL);
    for (size_t i = 0; mysql && i < sizeof names / sizeof *names; i++)
        my.mysql_load_plugin(mysql, names[i], AUTHENTICATION_PLUGIN, 0);
    if (mysql)
        my.mysql_close(mysql);
}

static void tell_name(int sent, MYSQL *mysql, const unsigned char *bytes, size_t size);

bool mysql_load(struct err *err)
{
#define SYMBOL(name) {#name, (void **)&my.name},
    static const struct library_symbol symbols[] = {MYSQL_FUNCTIONS(SYMBOL) SYMBOL(ma_pvio_register_callback)};
#undef SYMBOL
    static const struct library library = {"libmariadb.so.3", "no MySQL",
                                           "install the client of MariaDB (Debian: libmariadb3)", symbols,
                                           sizeof symbols / sizeof *symbols};
    if (my.loaded)
        return true;
    secure_prepare();
    my.loaded = library_load(&library, err) && (my.mysql_server_init(0, NULL, NULL) == 0 ||
                                                err_set(err, ERR_UNSUPPORTED, "libmariadb does not start"));
    if (my.loaded) {
        load_plugins();
        my.ma_pvio_register_callback(1, tell_name);
    }
    return my.loaded;
}

static bool watch(struct mysql_line *line)
{
    struct line *base = &line->line;
    base->watch.fd = fiber_waits(&line->fiber) ? line->fd : (int)my.mysql_get_socket(line->mysql);
    if (base->watch.fd >= 0 && io_watch(base->loop, &base->watch, &base->err))
        return true;
    base->watch.fd = -1;
    return base->err.kind ? false : err_set(&base->err, ERR_SYSTEM, "the server cannot be reached");
}

static void watch_or_break(struct mysql_line *line)
{
    if (line->line.state != LINE_BROKEN && !watch(line))
        line_break(&line->line);
}

/* The socket may become another one meanwhile, or none. */
static void leave_alone(struct mysql_line *line)
{
    struct line *base = &line->line;
    if (base->watch.fd >= 0)
        io_unwatch(base->loop, &base->watch);
    base->watch.fd = -1;
}

static void connected(struct mysql_line *line)
{
    if (line->made)
        line_answer(&line->line, STORAGE_DONE);
    else
        mysql_break(line, my.mysql_error(line->mysql));
    line->line.reached = line->made || my.mysql_errno(line->mysql) < 2000 || my.mysql_errno(line->mysql) >= 3000;
}

static int go_on_connecting(struct mysql_line *line, int events)
{
    return my.mysql_real_connect_cont(&line->made, line->mysql, events);
}

/* ---- over TLS ---- */

static struct mysql_line *connecting; /* whose fiber runs */

static void set_nonblocking(struct mysql_line *line)
{
    int fd = (int)my.mysql_get_socket(line->mysql);
    if (fd >= 0)
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* Before the library encrypts anything, and when it knows its host: what it asks for TLS with goes over the connection.
 * Its name takes the place of the address, and both are the library's memory. From here on nothing may wait for the
 * socket but by `wait_ready`. */
static void tell_name(int sent, MYSQL *mysql, const unsigned char *bytes, size_t size)
{
    struct mysql_line *line = connecting;
    if (!line || line->mysql != mysql || line->named || !mysql->host || !mysql->options.host)
        return;
    char *address = mysql->host;
    mysql->host = mysql->options.host;
    mysql->options.host = address;
    line->named = true;
    set_nonblocking(line);
}

/* The library waits. Below 1: it should not wait any longer. */
static int wait_ready(my_socket fd, my_bool is_read, int timeout_ms)
{
    struct mysql_line *line = connecting;
    if (line && !line->given_up) {
        line->waits = is_read ? MYSQL_WAIT_READ : MYSQL_WAIT_WRITE;
        line->fd = (int)fd;
        fiber_wait(&line->fiber);
        if (!line->given_up)
            return 1;
    }
    errno = ETIMEDOUT;
    return 0;
}

static void connect_inside(void *arg)
{
    struct mysql_line *line = arg;
    line->made = my.mysql_real_connect(line->mysql, line->address, line->user, line->password,
                                       line->database[0] ? line->database : NULL, line->port, NULL, 0);
}

/* The fiber came back: it waits, or the connection is made or not. */
static void came_back(struct mysql_line *line)
{
    if (fiber_waits(&line->fiber))
        return;
    line->waits = 0;
    if (line->made && !line->named) {
        mysql_break(line, "the server's certificate was not held against its name");
        return;
    }
    set_nonblocking(line);
    connected(line);
}

static void go_on_inside(struct mysql_line *line)
{
    connecting = line;
    fiber_go_on(&line->fiber);
    connecting = NULL;
}

void mysql_stop_opening(struct mysql_line *line)
{
    line->given_up = true;
    while (fiber_waits(&line->fiber))
        go_on_inside(line);
}

static bool set_up_secure(struct mysql_line *line)
{
    static const unsigned seconds = CONNECT_SECONDS;
    static const my_bool yes = 1;
    char host[IO_NAME_MAX + 1];
    size_t version = 0;
    if (my.mariadb_get_infov(NULL, MARIADB_CLIENT_VERSION_ID, &version) != 0 || version < SECURE_VERSION)
        return err_set(&line->line.err, ERR_UNSUPPORTED, "TLS to MySQL takes libmariadb 3.3");
    snprintf(host, sizeof host, "%.*s", STR_ARG(line->line.target->host));
    return (my.mysql_options(line->mysql, MYSQL_OPT_CONNECT_TIMEOUT, &seconds) == 0 &&
            my.mysql_options(line->mysql, MYSQL_OPT_SSL_ENFORCE, &yes) == 0 &&
            my.mysql_options(line->mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes) == 0 &&
            my.mysql_options(line->mysql, MYSQL_OPT_SSL_CA, confine_authorities()) == 0 &&
            my.mysql_options(line->mysql, MARIADB_OPT_TLS_VERSION, "TLSv1.2,TLSv1.3") == 0 &&
            my.mysql_options(line->mysql, MARIADB_OPT_HOST, host) == 0 &&
            my.mysql_options(line->mysql, MARIADB_OPT_IO_WAIT, (const void *)wait_ready) == 0) ||
           err_memory(&line->line.err);
}

static void open_secure(struct mysql_line *line)
{
    if (!set_up_secure(line)) {
        line->line.reached = true; /* no other address would change that */
        line_break(&line->line);
        return;
    }
    connecting = line;
    bool started = fiber_start(&line->fiber, connect_inside, line, &line->line.err);
    connecting = NULL;
    if (started)
        came_back(line);
    else
        line_break(&line->line);
}

/* ---- the beginning ---- */

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

/* The text, with percent signs and their digits resolved, is this word in any case. */
static bool is_word(struct str text, const char *word)
{
    for (size_t i = 0; i < text.len; word++, i++) {
        int c = (unsigned char)text.ptr[i], low = i + 2 < text.len ? digit(text.ptr[i + 2]) : -1;
        if (c == '%' && low >= 0 && digit(text.ptr[i + 1]) >= 0) {
            c = digit(text.ptr[i + 1]) << 4 | low;
            i += 2;
        }
        if (!*word || (c >= 'A' && c <= 'Z' ? c | 0x20 : c) != *word)
            return false;
    }
    return !*word;
}

/* Encryption is asked for: ssl-mode or sslmode, with any value but "disabled". */
static bool wants_tls(struct str query)
{
    while (query.len) {
        size_t end = str_find(query, '&'), equals = str_find(str_slice(query, 0, end), '=');
        struct str name = str_slice(query, 0, equals);
        struct str value = str_slice(query, equals < end ? equals + 1 : end, end);
        if ((is_word(name, "ssl-mode") || is_word(name, "sslmode")) && !is_word(value, "disabled"))
            return true;
        query = str_slice(query, end < query.len ? end + 1 : end, query.len);
    }
    return false;
}

static bool set_up(struct mysql_line *line)
{
    static const unsigned no = 0;
    static const size_t largest = FRAME_ANSWER_MAX;
    line->mysql = my.mysql_init(NULL);
    return line->mysql && my.mysql_options(line->mysql, MYSQL_OPT_NONBLOCK, 0) == 0 &&
           my.mysql_options(line->mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4") == 0 &&
           my.mysql_options(line->mysql, MYSQL_OPT_LOCAL_INFILE, &no) == 0 &&
           my.mysql_options(line->mysql, MYSQL_OPT_MAX_ALLOWED_PACKET, &largest) == 0;
}

static void open_plain(struct mysql_line *line)
{
    line->go_on = go_on_connecting;
    line->then = connected;
    mysql_went(line, my.mysql_real_connect_start(&line->made, line->mysql, line->address, line->user, line->password,
                                                 line->database[0] ? line->database : NULL, line->port, NULL, 0));
}

void mysql_open(struct line *base, const struct ip_endpoint *to)
{
    struct mysql_line *line = mysql_of(base);
    const struct target *target = base->target;
    base->state = LINE_OPENING;
    if (!set_up(line)) {
        mysql_break(line, "out of memory");
        return;
    }
    ip_text(&to->address, line->address);
    line->port = to->port;
    snprintf(line->user, sizeof line->user, "%.*s", STR_ARG(target->user));
    snprintf(line->password, sizeof line->password, "%.*s", STR_ARG(target->password));
    snprintf(line->database, sizeof line->database, "%.*s", STR_ARG(target->path));
    if (wants_tls(target->query))
        open_secure(line);
    else
        open_plain(line);
    watch_or_break(line);
}

void mysql_step_opening(struct mysql_line *line, int found)
{
    leave_alone(line);
    if (fiber_waits(&line->fiber)) {
        go_on_inside(line);
        came_back(line);
    } else {
        mysql_went(line, line->go_on(line, found));
    }
    watch_or_break(line);
}
