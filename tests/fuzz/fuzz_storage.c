/* Fuzz target: both ends of the protocol between workers and the processes of stores and databases. The first byte
 * chooses: what a worker sends (its requests are done, by a store and by a database), or what such a process answers
 * (to calls that wait for it). Whatever comes, each request is answered or the connection is broken, each call ends,
 * and what is given on is sound. */
#include "fuzz/fuzz.h"

#include "services/client.h"
#include "services/database.h"
#include "services/parcel.h"
#include "services/sqlite.h"
#include "services/store.h"

#include <ftw.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CALLS 4u

static void check_values(const struct storage_value *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        FUZZ_CHECK(values[i].type <= STORAGE_BLOB);
        FUZZ_CHECK(values[i].type != STORAGE_TEXT || utf8_valid(values[i].bytes.ptr, values[i].bytes.len));
    }
}

/* ---- requests ---- */

static char folder[] = "/tmp/fuzz-storage-XXXXXX";
static struct store *store;
static struct database *database;

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    return remove(path);
}

static void remove_folder(void)
{
    store_close(store);
    database_close(database);
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void open_all(void)
{
    const struct database_settings settings = {.bytes_max = 1 << 22, .statement_ms = 50};
    char path[64];
    struct err err = {0};
    if (store)
        return;
    FUZZ_CHECK(mkdtemp(folder) && atexit(remove_folder) == 0 && sqlite_load(&err));
    store = store_open(folder, 1 << 22, &err);
    snprintf(path, sizeof path, "%s/db", folder);
    FUZZ_CHECK(store && mkdir(path, 0700) == 0);
    static char kept[64];
    memcpy(kept, path, sizeof path);
    database = database_open(kept, &settings, &err);
    FUZZ_CHECK(database);
}

static void do_request(const struct frame *frame, struct buf *out)
{
    struct storage_value *values = calloc(frame->count + 1, sizeof *values);
    FUZZ_CHECK(values);
    if (frame_values(frame, values)) {
        struct frame_writer writer;
        struct err err = {0};
        bool busy;
        check_values(values, frame->count);
        frame_begin(&writer, out, FRAME_ANSWER_MAX);
        enum storage_status status = store_do(store, frame->code, values, frame->count, &writer, &err);
        FUZZ_CHECK(status > STORAGE_WAITING && status < STORAGE_STATUSES);
        FUZZ_CHECK(status == STORAGE_DONE || err.kind != ERR_NONE);
        frame_cancel(&writer);
        err = (struct err){0};
        frame_begin(&writer, out, FRAME_ANSWER_MAX);
        status = database_do(database, frame->code, values, frame->count, &writer, &busy, &err);
        FUZZ_CHECK(status == STORAGE_DONE || err.kind != ERR_NONE);
        frame_cancel(&writer);
    }
    free(values);
}

static void feed(struct frame_reader *reader, const uint8_t *data, size_t size)
{
    uint8_t *room;
    size_t part;
    while (size && frame_room(reader, &room, &part)) {
        part = part < size ? part : size;
        memcpy(room, data, part);
        frame_came(reader, part);
        data += part;
        size -= part;
    }
}

static void requests(const uint8_t *data, size_t size)
{
    struct frame_reader reader = {.max = FRAME_REQUEST_MAX};
    struct frame frame;
    struct buf out;
    struct err err = {0};
    open_all();
    buf_init(&out, FRAME_ANSWER_MAX + 4096);
    feed(&reader, data, size);
    while (frame_next(&reader, &frame) == FRAME_WHOLE)
        do_request(&frame, &out);
    if (store_changed(store))
        store_commit(store, &err);
    for (int64_t number = 0; number < 8; number++) { /* sessions that were opened */
        const struct storage_value value = storage_integer(number);
        struct frame_writer writer;
        bool busy;
        frame_begin(&writer, &out, 100);
        database_do(database, STORAGE_SESSION_END, &value, 1, &writer, &busy, &err);
        frame_cancel(&writer);
    }
    buf_free(&out);
    frame_reader_free(&reader);
}

/* ---- answers ---- */

static unsigned ended;

static void changed(struct storage_call *call)
{
    FUZZ_CHECK(call->status > STORAGE_WAITING && call->status < STORAGE_STATUSES);
    FUZZ_CHECK(call->status == STORAGE_DONE || call->count == 0);
    FUZZ_CHECK(utf8_valid(call->message.ptr, call->message.len));
    check_values(call->values, call->count);
    ended++;
}

static struct storage_call *begin(struct storage_client *client, enum storage_operation operation)
{
    const struct storage_value values[] = {storage_text(STR("key"))};
    const struct storage_request request = {.kind = STORAGE_STORE,
                                            .label = STR("a"),
                                            .operation = operation,
                                            .values = values,
                                            .count = 1,
                                            .changed = changed};
    struct storage_call *call = storage_client_face.begin(client, &request);
    FUZZ_CHECK(call);
    return call;
}

/* Stops the loop when there was nothing more to do. */
static void on_quiet(struct io_timer *timer);
struct quiet {
    struct io_timer timer;
    struct io_loop *loop;
};
static void on_quiet(struct io_timer *timer)
{
    io_stop(IO_OWNER(timer, struct quiet, timer)->loop);
}

static void turn(struct io_loop *loop)
{
    struct quiet quiet = {.timer.fired = on_quiet, .loop = loop};
    struct err err = {0};
    io_timer_set(loop, &quiet.timer, io_now_us(loop));
    FUZZ_CHECK(io_run(loop, &err));
    io_timer_stop(loop, &quiet.timer);
}

/* The stream that the client asked for, and the end that answers. */
static int give_stream(int service)
{
    struct parcel parcel;
    int fd, ends[2];
    FUZZ_CHECK(parcel_receive(service, &parcel, &fd) == PACKET_HERE && parcel.what == PARCEL_OPEN);
    FUZZ_CHECK(packet_pair(SOCK_STREAM, ends, NULL));
    parcel.what = PARCEL_OPENED;
    parcel.status = STORAGE_DONE;
    FUZZ_CHECK(parcel_send(service, &parcel, ends[1]));
    close(ends[1]);
    return ends[0];
}

static void answers(const uint8_t *data, size_t size)
{
    struct err err = {0};
    struct io_loop *loop = io_loop_new(&err);
    struct storage_client *client = storage_client_new(loop, &err);
    struct storage_call *calls[CALLS];
    int ends[2];
    ended = 0;
    FUZZ_CHECK(loop && client && packet_pair(SOCK_SEQPACKET, ends, &err) &&
               storage_client_connect(client, ends[1], &err));
    for (unsigned i = 0; i < CALLS; i++)
        calls[i] = begin(client, STORAGE_GET);
    turn(loop);
    int stream = give_stream(ends[0]);
    turn(loop);
    FUZZ_CHECK(size == 0 || send(stream, data, size < 60000 ? size : 60000, MSG_NOSIGNAL) > 0);
    turn(loop);
    storage_client_face.drop(calls[0]); /* done or not */
    close(stream);
    turn(loop);
    turn(loop);
    for (unsigned i = 1; i < CALLS; i++) {
        FUZZ_CHECK(calls[i]->status != STORAGE_WAITING);
        storage_client_face.drop(calls[i]);
    }
    FUZZ_CHECK(ended >= CALLS - 1);
    storage_client_free(client);
    io_loop_free(loop);
    close(ends[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    uint8_t *copy = fuzz_copy(data + 1, size - 1);
    if (data[0] & 1)
        answers(copy, size - 1);
    else
        requests(copy, size - 1);
    free(copy);
    return 0;
}
