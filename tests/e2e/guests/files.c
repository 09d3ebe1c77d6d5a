/* A command component that calls every function of wasi:filesystem, wasi:cli, wasi:io, wasi:clocks and wasi:random, one
 * deed of the table at the end per run, errors included. It says which check failed. tests/e2e/wasi.py prepares
 * what it finds: the directories `rw` and `ro`. No libc that would need WASI itself: nothing but the bindings. */
#include "guest.h"
#include "draft.h"

#include <string.h>

typedef wasi_filesystem_types_own_descriptor_t file;
typedef wasi_filesystem_types_error_code_t code;
typedef wasi_filesystem_types_own_input_stream_t input;
typedef wasi_filesystem_types_own_output_stream_t output;
typedef wasi_io_streams_stream_error_t stream_error;

#define FILE_CALL(name) wasi_filesystem_types_method_descriptor_##name
#define IN_CALL(name) wasi_io_streams_method_input_stream_##name
#define OUT_CALL(name) wasi_io_streams_method_output_stream_##name
#define BORROW wasi_filesystem_types_borrow_descriptor
#define IN wasi_io_streams_borrow_input_stream
#define OUT wasi_io_streams_borrow_output_stream
#define POLL wasi_io_poll_borrow_pollable

#define READ WASI_FILESYSTEM_TYPES_DESCRIPTOR_FLAGS_READ
#define WRITE WASI_FILESYSTEM_TYPES_DESCRIPTOR_FLAGS_WRITE
#define MUTATE WASI_FILESYSTEM_TYPES_DESCRIPTOR_FLAGS_MUTATE_DIRECTORY
#define CREATE WASI_FILESYSTEM_TYPES_OPEN_FLAGS_CREATE
#define DIRECTORY WASI_FILESYSTEM_TYPES_OPEN_FLAGS_DIRECTORY
#define EXCLUSIVE WASI_FILESYSTEM_TYPES_OPEN_FLAGS_EXCLUSIVE
#define TRUNCATE WASI_FILESYSTEM_TYPES_OPEN_FLAGS_TRUNCATE
#define FOLLOW WASI_FILESYSTEM_TYPES_PATH_FLAGS_SYMLINK_FOLLOW
#define E(name) WASI_FILESYSTEM_TYPES_ERROR_CODE_##name
#define TYPE(name) WASI_FILESYSTEM_TYPES_DESCRIPTOR_TYPE_##name
#define DONE 255 /* no error */
#define HUGE UINT64_MAX
#define HALF ((uint64_t)1 << 63)

static guest_list_string_t arguments;
static file rw, ro;

/* ---- saying ---- */

static void say_bytes(const uint8_t *bytes, size_t size)
{
    static output out;
    stream_error error;
    if (!out.__handle)
        out = wasi_cli_stdout_get_stdout();
    while (size) {
        guest_list_u8_t part = {(uint8_t *)bytes, size < 4096 ? size : 4096};
        if (!OUT_CALL(blocking_write_and_flush)(OUT(out), &part, &error))
            return;
        bytes += part.len;
        size -= part.len;
    }
}

static void say(const char *text)
{
    say_bytes((const uint8_t *)text, strlen(text));
}

static void say_number(uint64_t number)
{
    char text[24], *at = text + sizeof text;
    *--at = '\0';
    do
        *--at = (char)('0' + number % 10);
    while (number /= 10);
    say(at);
}

static bool failed(int line, const char *what, int got)
{
    say("files.c:");
    say_number((uint64_t)line);
    say(": ");
    say(what);
    say(": ");
    say_number((uint64_t)got);
    say("\n");
    return false;
}

#define CHECK(condition)                                                                                               \
    do                                                                                                                 \
        if (!(condition))                                                                                              \
            return failed(__LINE__, #condition, 0);                                                                    \
    while (0)
/* What a call answered: DONE or an error. */
#define EXPECT(call, wanted)                                                                                           \
    do {                                                                                                               \
        int got_ = (call);                                                                                             \
        if (got_ != (wanted))                                                                                          \
            return failed(__LINE__, #call, got_);                                                                      \
    } while (0)

/* ---- calls as one number: DONE or the error ---- */

static guest_string_t string(const char *text)
{
    return (guest_string_t){(uint8_t *)text, strlen(text)};
}

#define ANSWER(call) ((call) ? DONE : (int)error)

static int open_at(file at, uint8_t follow, const char *path, uint8_t open, uint8_t flags, file *ret)
{
    guest_string_t name = string(path);
    code error;
#if DRAFT == DRAFT_OCTOBER
    return ANSWER(FILE_CALL(open_at)(BORROW(at), follow, &name, open, flags, 0, ret, &error));
#else
    return ANSWER(FILE_CALL(open_at)(BORROW(at), follow, &name, open, flags, ret, &error));
#endif
}

static void close_file(file f)
{
    wasi_filesystem_types_descriptor_drop_own(f);
}

/* Opens and closes. */
static int try_open(file at, uint8_t follow, const char *path, uint8_t open, uint8_t flags)
{
    file f;
    int got = open_at(at, follow, path, open, flags, &f);
    if (got == DONE)
        close_file(f);
    return got;
}

static int write_at(file f, const char *text, uint64_t offset)
{
    guest_list_u8_t bytes = {(uint8_t *)text, strlen(text)};
    uint64_t size;
    code error;
    return FILE_CALL(write)(BORROW(f), &bytes, offset, &size, &error) ? size == bytes.len ? DONE : 254 : (int)error;
}

/* 254: other bytes, or another end. */
static int read_at(file f, uint64_t size, uint64_t offset, const char *text, bool end)
{
    guest_tuple2_list_u8_bool_t got;
    code error;
    if (!FILE_CALL(read)(BORROW(f), size, offset, &got, &error))
        return (int)error;
    return got.f0.len == strlen(text) && memcmp(got.f0.ptr, text, got.f0.len) == 0 && got.f1 == end ? DONE : 254;
}

static int stat_at(file at, uint8_t follow, const char *path, wasi_filesystem_types_descriptor_stat_t *ret)
{
    guest_string_t name = string(path);
    code error;
    return ANSWER(FILE_CALL(stat_at)(BORROW(at), follow, &name, ret, &error));
}

static int type_at(file at, uint8_t follow, const char *path)
{
    wasi_filesystem_types_descriptor_stat_t stat;
    int got = stat_at(at, follow, path, &stat);
    return got == DONE ? (int)stat.type : 100 + got;
}

#define PATH_CALL(name)                                                                                                \
    static int name(file at, const char *path)                                                                         \
    {                                                                                                                  \
        guest_string_t text = string(path);                                                                            \
        code error;                                                                                                    \
        return ANSWER(FILE_CALL(name)(BORROW(at), &text, &error));                                                     \
    }
PATH_CALL(create_directory_at)
PATH_CALL(remove_directory_at)
PATH_CALL(unlink_file_at)

static int symlink_at(file at, const char *target, const char *path)
{
    guest_string_t old = string(target), new = string(path);
    code error;
    return ANSWER(FILE_CALL(symlink_at)(BORROW(at), &old, &new, &error));
}

static int link_at(file at, uint8_t follow, const char *path, file to, const char *new_path)
{
    guest_string_t old = string(path), new = string(new_path);
    code error;
    return ANSWER(FILE_CALL(link_at)(BORROW(at), follow, &old, BORROW(to), &new, &error));
}

static int rename_at(file at, const char *path, file to, const char *new_path)
{
    guest_string_t old = string(path), new = string(new_path);
    code error;
    return ANSWER(FILE_CALL(rename_at)(BORROW(at), &old, BORROW(to), &new, &error));
}

/* 254: another text. */
static int readlink_at(file at, const char *path, const char *text)
{
    guest_string_t name = string(path), got;
    code error;
    if (!FILE_CALL(readlink_at)(BORROW(at), &name, &got, &error))
        return (int)error;
    return got.len == strlen(text) && memcmp(got.ptr, text, got.len) == 0 ? DONE : 254;
}

static int set_size(file f, uint64_t size)
{
    code error;
    return ANSWER(FILE_CALL(set_size)(BORROW(f), size, &error));
}

typedef wasi_filesystem_types_new_timestamp_t new_time;

static new_time at_time(uint64_t seconds, uint32_t nanoseconds)
{
    new_time time = {.tag = WASI_FILESYSTEM_TYPES_NEW_TIMESTAMP_TIMESTAMP};
    time.val.timestamp.seconds = seconds;
    time.val.timestamp.nanoseconds = nanoseconds;
    return time;
}

static int set_times(file f, new_time access, new_time modification)
{
    code error;
    return ANSWER(FILE_CALL(set_times)(BORROW(f), &access, &modification, &error));
}

static int set_times_at(file at, uint8_t follow, const char *path, new_time access, new_time modification)
{
    guest_string_t name = string(path);
    code error;
    return ANSWER(FILE_CALL(set_times_at)(BORROW(at), follow, &name, &access, &modification, &error));
}

static int hash_at(file at, uint8_t follow, const char *path, wasi_filesystem_types_metadata_hash_value_t *ret)
{
    guest_string_t name = string(path);
    code error;
    return ANSWER(FILE_CALL(metadata_hash_at)(BORROW(at), follow, &name, ret, &error));
}

static int advise(file f, uint64_t offset, uint64_t length, uint8_t advice)
{
    code error;
    return ANSWER(FILE_CALL(advise)(BORROW(f), offset, length, advice, &error));
}

static int synced(file f)
{
    code error;
    if (!FILE_CALL(sync)(BORROW(f), &error))
        return (int)error;
    return ANSWER(FILE_CALL(sync_data)(BORROW(f), &error));
}

static int read_stream(file f, uint64_t offset, input *ret)
{
    code error;
    return ANSWER(FILE_CALL(read_via_stream)(BORROW(f), offset, ret, &error));
}

static int write_stream(file f, uint64_t offset, output *ret)
{
    code error;
    return ANSWER(FILE_CALL(write_via_stream)(BORROW(f), offset, ret, &error));
}

static int append_stream(file f, output *ret)
{
    code error;
    return ANSWER(FILE_CALL(append_via_stream)(BORROW(f), ret, &error));
}

static int flags_of(file f)
{
    wasi_filesystem_types_descriptor_flags_t flags;
    code error;
    return FILE_CALL(get_flags)(BORROW(f), &flags, &error) ? flags : 100 + error;
}

static int type_of(file f)
{
    wasi_filesystem_types_descriptor_type_t type;
    code error;
    return FILE_CALL(get_type)(BORROW(f), &type, &error) ? type : 100 + error;
}

static int status_of(file f, wasi_filesystem_types_descriptor_stat_t *ret)
{
    code error;
    return ANSWER(FILE_CALL(stat)(BORROW(f), ret, &error));
}

static bool same(file a, file b)
{
    return FILE_CALL(is_same_object)(BORROW(a), BORROW(b));
}

/* ---- what is known ---- */

static bool same_time(wasi_clocks_wall_clock_datetime_t a, wasi_clocks_wall_clock_datetime_t b)
{
    return a.seconds == b.seconds && a.nanoseconds == b.nanoseconds;
}

static bool deed_known(void)
{
    wasi_filesystem_types_descriptor_stat_t stat, other;
    wasi_filesystem_types_metadata_hash_value_t hash, hash_too;
    file f, again, folder;
    code error;
    CHECK(flags_of(rw) == (READ | MUTATE) && flags_of(ro) == READ);
    CHECK(type_of(rw) == TYPE(DIRECTORY));
    EXPECT(open_at(rw, 0, "hello", 0, READ, &f), DONE);
    CHECK(flags_of(f) == READ && type_of(f) == TYPE(REGULAR_FILE));
    EXPECT(status_of(f, &stat), DONE);
    CHECK(stat.type == TYPE(REGULAR_FILE) && stat.size == 12 && stat.link_count == 1);
    CHECK(stat.data_modification_timestamp.is_some && stat.data_modification_timestamp.val.seconds == 1000000000 &&
          stat.data_modification_timestamp.val.nanoseconds == 123456789);
    CHECK(stat.data_access_timestamp.is_some && stat.data_access_timestamp.val.seconds == 1100000000);
    CHECK(stat.status_change_timestamp.is_some && stat.status_change_timestamp.val.seconds > 1100000000);
    EXPECT(stat_at(rw, 0, "hello", &other), DONE);
    CHECK(stat.type == other.type && stat.size == other.size && stat.link_count == other.link_count &&
          same_time(stat.data_access_timestamp.val, other.data_access_timestamp.val) &&
          same_time(stat.data_modification_timestamp.val, other.data_modification_timestamp.val) &&
          same_time(stat.status_change_timestamp.val, other.status_change_timestamp.val));
    EXPECT(stat_at(rw, 0, "old", &other), DONE);
    CHECK(!other.data_modification_timestamp.is_some); /* before 1970: no datetime says that */
    CHECK(type_at(rw, 0, "link") == TYPE(SYMBOLIC_LINK) && type_at(rw, FOLLOW, "link") == TYPE(REGULAR_FILE));
    CHECK(type_at(rw, 0, "sub") == TYPE(DIRECTORY) && type_at(rw, 0, "pipe") == TYPE(FIFO));
    CHECK(type_at(rw, 0, "socket") == TYPE(SOCKET));
    CHECK(type_at(rw, FOLLOW, "sub/up/hello") == TYPE(REGULAR_FILE)); /* through a link that stays inside */
    EXPECT(open_at(rw, FOLLOW, "link", 0, READ, &again), DONE);
    EXPECT(open_at(rw, 0, "sub", DIRECTORY, READ, &folder), DONE);
    CHECK(flags_of(folder) == (READ | MUTATE));
    CHECK(same(f, again) && same(f, f) && same(rw, rw) && !same(f, folder) && !same(rw, folder) && !same(rw, ro));
    EXPECT(ANSWER(FILE_CALL(metadata_hash)(BORROW(f), &hash, &error)), DONE);
    EXPECT(hash_at(rw, 0, "hello", &hash_too), DONE);
    CHECK(hash.lower == hash_too.lower && hash.upper == hash_too.upper);
    EXPECT(hash_at(rw, FOLLOW, "link", &hash_too), DONE);
    CHECK(hash.lower == hash_too.lower && hash.upper == hash_too.upper);
    EXPECT(hash_at(rw, 0, "link", &hash_too), DONE);
    CHECK(hash.lower != hash_too.lower && hash.upper != hash_too.upper);
    EXPECT(hash_at(rw, 0, "absent", &hash_too), E(NO_ENTRY));
    close_file(folder);
    close_file(again);
    close_file(f);
    return true;
}

/* ---- contents by offset ---- */

static bool deed_contents(void)
{
    guest_tuple2_list_u8_bool_t got;
    code error;
    file f, reader, writer, none;
    EXPECT(open_at(rw, 0, "new", CREATE | EXCLUSIVE, READ | WRITE, &f), DONE);
    EXPECT(try_open(rw, 0, "new", CREATE | EXCLUSIVE, READ | WRITE), E(EXIST));
    EXPECT(write_at(f, "0123456789", 0), DONE);
    EXPECT(write_at(f, "", 5), DONE);
    EXPECT(write_at(f, "xy", 4), DONE);
    EXPECT(read_at(f, 100, 0, "0123xy6789", true), DONE);
    EXPECT(read_at(f, 10, 0, "0123xy6789", false), DONE);
    EXPECT(read_at(f, 4, 2, "23xy", false), DONE);
    EXPECT(read_at(f, 0, 0, "", false), DONE);
    EXPECT(read_at(f, 5, 10, "", true), DONE);
    EXPECT(read_at(f, HUGE, 8, "89", true), DONE);
    EXPECT(read_at(f, HUGE, HALF - 1, "", true), DONE);
    EXPECT(read_at(f, 1, HALF, "", true), E(INVALID));
    EXPECT(read_at(f, HUGE, HUGE, "", true), E(INVALID));
    EXPECT(write_at(f, "z", HALF), E(INVALID));
    EXPECT(write_at(f, "z", HUGE), E(INVALID));
    EXPECT(write_at(f, "zz", HALF - 1), E(FILE_TOO_LARGE));
    EXPECT(write_at(f, "z", HALF - 2), E(FILE_TOO_LARGE));
    EXPECT(write_at(f, "!", 1023), DONE); /* beyond the end: zeroes before it */
    CHECK(FILE_CALL(read)(BORROW(f), 2000, 0, &got, &error) && got.f0.len == 1024 && got.f1);
    for (size_t i = 10; i < 1023; i++)
        CHECK(got.f0.ptr[i] == 0);
    wasi_filesystem_types_descriptor_stat_t stat;
    EXPECT(status_of(f, &stat), DONE);
    CHECK(stat.size == 1024);
    EXPECT(set_size(f, 3), DONE);
    EXPECT(read_at(f, 9, 0, "012", true), DONE);
    EXPECT(set_size(f, HALF), E(FILE_TOO_LARGE));
    EXPECT(set_size(f, HUGE), E(FILE_TOO_LARGE));
    for (uint8_t i = 0; i <= WASI_FILESYSTEM_TYPES_ADVICE_NO_REUSE; i++)
        EXPECT(advise(f, 0, 3, i), DONE);
    EXPECT(advise(f, HALF, 1, 0), E(INVALID));
    EXPECT(advise(f, 0, HUGE, 0), E(INVALID));
    EXPECT(synced(f), DONE);
    EXPECT(open_at(rw, 0, "new", 0, READ, &reader), DONE);
    EXPECT(open_at(rw, 0, "new", 0, WRITE | WASI_FILESYSTEM_TYPES_DESCRIPTOR_FLAGS_DATA_INTEGRITY_SYNC, &writer), DONE);
    EXPECT(open_at(rw, 0, "new", 0, 0, &none), DONE);
    EXPECT(write_at(reader, "w", 0), E(BAD_DESCRIPTOR));
    EXPECT(set_size(reader, 0), E(BAD_DESCRIPTOR));
    EXPECT(synced(reader), DONE);
    EXPECT(read_at(writer, 1, 0, "", false), E(BAD_DESCRIPTOR));
    EXPECT(write_at(writer, "w", 0), DONE);
    EXPECT(read_at(none, 1, 0, "", false), E(BAD_DESCRIPTOR));
    EXPECT(write_at(none, "w", 0), E(BAD_DESCRIPTOR));
    EXPECT(read_at(reader, 9, 0, "w12", true), DONE);
    close_file(none);
    close_file(writer);
    close_file(reader);
    EXPECT(unlink_file_at(rw, "new"), DONE);
    EXPECT(read_at(f, 9, 0, "w12", true), DONE); /* it lives until it is closed */
    close_file(f);
    return true;
}

/* Directories have no contents, files no paths below them. */
static bool deed_wrong_kind(void)
{
    file f, folder;
    input in;
    output out;
    code error;
    wasi_filesystem_types_own_directory_entry_stream_t list;
    wasi_filesystem_types_descriptor_stat_t stat;
    wasi_filesystem_types_metadata_hash_value_t hash;
    new_time now = {.tag = WASI_FILESYSTEM_TYPES_NEW_TIMESTAMP_NOW};
    EXPECT(open_at(rw, 0, "hello", 0, READ | WRITE, &f), DONE);
    EXPECT(open_at(rw, 0, "sub", 0, READ, &folder), DONE);
    EXPECT(read_at(folder, 1, 0, "", false), E(BAD_DESCRIPTOR));
    EXPECT(write_at(folder, "x", 0), E(BAD_DESCRIPTOR));
    EXPECT(set_size(folder, 0), E(BAD_DESCRIPTOR));
    EXPECT(advise(folder, 0, 0, 0), E(BAD_DESCRIPTOR));
    EXPECT(read_stream(folder, 0, &in), E(BAD_DESCRIPTOR));
    EXPECT(write_stream(folder, 0, &out), E(BAD_DESCRIPTOR));
    EXPECT(append_stream(folder, &out), E(BAD_DESCRIPTOR));
    EXPECT(synced(folder), DONE);
    EXPECT(ANSWER(FILE_CALL(read_directory)(BORROW(f), &list, &error)), E(NOT_DIRECTORY));
    EXPECT(try_open(f, 0, "x", 0, READ), E(NOT_DIRECTORY));
    EXPECT(stat_at(f, 0, "x", &stat), E(NOT_DIRECTORY));
    EXPECT(hash_at(f, 0, "x", &hash), E(NOT_DIRECTORY));
    EXPECT(set_times_at(f, 0, "x", now, now), E(NOT_DIRECTORY));
    EXPECT(create_directory_at(f, "x"), E(NOT_DIRECTORY));
    EXPECT(remove_directory_at(f, "x"), E(NOT_DIRECTORY));
    EXPECT(unlink_file_at(f, "x"), E(NOT_DIRECTORY));
    EXPECT(symlink_at(f, "x", "y"), E(NOT_DIRECTORY));
    EXPECT(readlink_at(f, "x", ""), E(NOT_DIRECTORY));
    EXPECT(link_at(rw, 0, "hello", f, "y"), E(NOT_DIRECTORY));
    EXPECT(link_at(f, 0, "hello", rw, "y"), E(NOT_DIRECTORY));
    EXPECT(rename_at(rw, "hello", f, "y"), E(NOT_DIRECTORY));
    EXPECT(try_open(rw, 0, "sub", 0, READ | WRITE), E(IS_DIRECTORY));
    EXPECT(try_open(rw, 0, "sub", TRUNCATE, READ), E(IS_DIRECTORY));
    EXPECT(try_open(rw, 0, "hello", DIRECTORY, READ), E(NOT_DIRECTORY));
    EXPECT(try_open(rw, 0, "hello/x", 0, READ), E(NOT_DIRECTORY));
    EXPECT(try_open(rw, 0, "x", CREATE | DIRECTORY, READ), E(INVALID));
    EXPECT(try_open(rw, 0, "pipe", 0, READ), E(NO_SUCH_DEVICE));
    EXPECT(try_open(rw, 0, "socket", 0, READ), E(NO_SUCH_DEVICE));
    close_file(folder);
    close_file(f);
    return true;
}

/* ---- times ---- */

static bool deed_times(void)
{
    const new_time keep = {.tag = WASI_FILESYSTEM_TYPES_NEW_TIMESTAMP_NO_CHANGE},
                   now = {.tag = WASI_FILESYSTEM_TYPES_NEW_TIMESTAMP_NOW};
    wasi_filesystem_types_descriptor_stat_t stat, link;
    file f;
    EXPECT(open_at(rw, 0, "times", CREATE, READ, &f), DONE);
    EXPECT(set_times(f, at_time(5, 6), at_time(7, 999999999)), DONE);
    EXPECT(status_of(f, &stat), DONE);
    CHECK(stat.data_access_timestamp.val.seconds == 5 && stat.data_access_timestamp.val.nanoseconds == 6);
    CHECK(stat.data_modification_timestamp.val.seconds == 7 &&
          stat.data_modification_timestamp.val.nanoseconds == 999999999);
    EXPECT(set_times(f, keep, now), DONE);
    EXPECT(status_of(f, &stat), DONE);
    CHECK(stat.data_access_timestamp.val.seconds == 5 && stat.data_modification_timestamp.val.seconds > 1000000000);
    EXPECT(set_times(f, at_time(0, 1000000000), keep), E(INVALID));
    EXPECT(set_times(f, keep, at_time(HUGE, 0)), E(OVERFLOW));
    EXPECT(set_times(rw, keep, keep), DONE);
    EXPECT(symlink_at(rw, "times", "times-link"), DONE);
    EXPECT(set_times_at(rw, FOLLOW, "times-link", at_time(1, 2), at_time(3, 4)), DONE);
    EXPECT(set_times_at(rw, 0, "times-link", at_time(11, 0), at_time(13, 0)), DONE);
    EXPECT(stat_at(rw, 0, "times", &stat), DONE);
    EXPECT(stat_at(rw, 0, "times-link", &link), DONE);
    CHECK(stat.data_modification_timestamp.val.seconds == 3 && link.data_modification_timestamp.val.seconds == 13);
    EXPECT(set_times_at(rw, 0, "absent", now, now), E(NO_ENTRY));
    EXPECT(set_times_at(rw, 0, "times", at_time(1, HUGE & 0xffffffff), now), E(INVALID));
    EXPECT(unlink_file_at(rw, "times-link"), DONE);
    EXPECT(unlink_file_at(rw, "times"), DONE);
    close_file(f);
    return true;
}

/* ---- paths ---- */

static bool deed_paths(void)
{
    char long_name[300], long_path[5000];
    wasi_filesystem_types_descriptor_stat_t stat;
    file folder;
    memset(long_name, 'n', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    for (size_t i = 0; i < sizeof long_path; i++)
        long_path[i] = i % 2 ? '/' : '.';
    long_path[sizeof long_path - 1] = '\0';
    EXPECT(create_directory_at(rw, "d"), DONE);
    EXPECT(create_directory_at(rw, "d"), E(EXIST));
    EXPECT(create_directory_at(rw, "hello"), E(EXIST));
    EXPECT(create_directory_at(rw, "no/d"), E(NO_ENTRY));
    EXPECT(create_directory_at(rw, ""), E(NO_ENTRY));
    EXPECT(create_directory_at(rw, "d/e"), DONE);
    EXPECT(open_at(rw, 0, "d", DIRECTORY, READ, &folder), DONE);
    EXPECT(try_open(folder, 0, "f", CREATE, WRITE), DONE); /* a directory may be changed where it was granted so */
    EXPECT(try_open(rw, 0, "d/f", CREATE | EXCLUSIVE, WRITE), E(EXIST));
    EXPECT(try_open(rw, 0, "d/f", TRUNCATE, READ), DONE);
    EXPECT(try_open(rw, 0, "d/g", 0, READ), E(NO_ENTRY));
    EXPECT(try_open(rw, 0, "", 0, READ), E(NO_ENTRY));
    EXPECT(try_open(rw, 0, ".", 0, READ), DONE);
    EXPECT(try_open(rw, 0, "d/..", 0, READ), DONE);
    EXPECT(try_open(rw, 0, long_name, CREATE, READ), E(NAME_TOO_LONG));
    EXPECT(try_open(rw, 0, long_path, 0, READ), E(NAME_TOO_LONG));
    EXPECT(create_directory_at(rw, long_name), E(NAME_TOO_LONG));
    EXPECT(remove_directory_at(rw, "d"), E(NOT_EMPTY));
    EXPECT(remove_directory_at(rw, "d/f"), E(NOT_DIRECTORY));
    EXPECT(remove_directory_at(rw, "d/x"), E(NO_ENTRY));
    EXPECT(unlink_file_at(rw, "d/e"), E(IS_DIRECTORY));
    EXPECT(unlink_file_at(rw, "d/x"), E(NO_ENTRY));
    EXPECT(link_at(rw, 0, "d/f", folder, "f2"), DONE);
    EXPECT(stat_at(folder, 0, "f2", &stat), DONE);
    CHECK(stat.link_count == 2);
    EXPECT(link_at(rw, 0, "d/f", folder, "f2"), E(EXIST));
    EXPECT(link_at(rw, 0, "d/x", folder, "f3"), E(NO_ENTRY));
    EXPECT(link_at(rw, 0, "d/e", folder, "f3"), E(NOT_PERMITTED));
    EXPECT(link_at(rw, FOLLOW, "d/f", folder, "f3"), E(INVALID));
    EXPECT(symlink_at(folder, "f2", "s"), DONE);
    EXPECT(symlink_at(folder, "f2", "s"), E(EXIST));
    EXPECT(readlink_at(folder, "s", "f2"), DONE);
    EXPECT(readlink_at(folder, "f", ""), E(INVALID));
    EXPECT(readlink_at(folder, "x", ""), E(NO_ENTRY));
    EXPECT(try_open(folder, 0, "s", 0, READ), E(LOOP));
    EXPECT(try_open(folder, FOLLOW, "s", 0, READ), DONE);
    EXPECT(rename_at(rw, "d/f", folder, "e/f"), DONE);
    EXPECT(rename_at(rw, "d/f", folder, "e/f"), E(NO_ENTRY));
    EXPECT(rename_at(rw, "d/f2", folder, "e"), E(IS_DIRECTORY));
    EXPECT(rename_at(folder, "e", folder, "f2"), E(NOT_DIRECTORY));
    EXPECT(rename_at(rw, "d", folder, "e/d"), E(INVALID));
    EXPECT(rename_at(folder, "f2", folder, "e/f"), DONE); /* two names of one file: nothing happens */
    EXPECT(unlink_file_at(folder, "f2"), DONE);
    EXPECT(unlink_file_at(folder, "s"), DONE);
    EXPECT(unlink_file_at(folder, "e/f"), DONE);
    EXPECT(remove_directory_at(folder, "e"), DONE);
    EXPECT(remove_directory_at(rw, "d"), DONE);
    EXPECT(create_directory_at(folder, "x"), E(NO_ENTRY)); /* it is gone */
    close_file(folder);
    return true;
}

/* Nothing leads out of what was granted. */
static bool deed_refused(void)
{
    static const char *const ways[] = {"..",      "../x",     "sub/../../x",     "/etc/passwd",
                                       "/",       "absolute", "absolute/passwd", "above",
                                       "above/x", "sub/out/x"};
    wasi_filesystem_types_descriptor_stat_t stat;
    wasi_filesystem_types_metadata_hash_value_t hash;
    new_time now = {.tag = WASI_FILESYSTEM_TYPES_NEW_TIMESTAMP_NOW};
    file folder;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        EXPECT(try_open(rw, FOLLOW, ways[i], 0, READ), E(NOT_PERMITTED));
        EXPECT(try_open(rw, FOLLOW, ways[i], CREATE, WRITE), E(NOT_PERMITTED));
        EXPECT(stat_at(rw, FOLLOW, ways[i], &stat), E(NOT_PERMITTED));
        EXPECT(hash_at(rw, FOLLOW, ways[i], &hash), E(NOT_PERMITTED));
        EXPECT(set_times_at(rw, FOLLOW, ways[i], now, now), E(NOT_PERMITTED));
    }
    for (size_t i = 0; i < 5; i++) {
        EXPECT(create_directory_at(rw, ways[i]), E(NOT_PERMITTED));
        EXPECT(remove_directory_at(rw, ways[i]), E(NOT_PERMITTED));
        EXPECT(unlink_file_at(rw, ways[i]), E(NOT_PERMITTED));
        EXPECT(symlink_at(rw, "hello", ways[i]), E(NOT_PERMITTED));
        EXPECT(readlink_at(rw, ways[i], ""), E(NOT_PERMITTED));
        EXPECT(link_at(rw, 0, ways[i], rw, "x"), E(NOT_PERMITTED));
        EXPECT(link_at(rw, 0, "hello", rw, ways[i]), E(NOT_PERMITTED));
        EXPECT(rename_at(rw, ways[i], rw, "x"), E(NOT_PERMITTED));
        EXPECT(rename_at(rw, "hello", rw, ways[i]), E(NOT_PERMITTED));
    }
    EXPECT(symlink_at(rw, "/etc/passwd", "x"), E(NOT_PERMITTED));
    EXPECT(readlink_at(rw, "absolute", "/etc"), E(NOT_PERMITTED));
    EXPECT(readlink_at(rw, "above", "../x"), DONE);
    EXPECT(try_open(rw, FOLLOW, "loop", 0, READ), E(LOOP));
    EXPECT(stat_at(rw, FOLLOW, "loop/x", &stat), E(LOOP));
    EXPECT(open_at(rw, 0, "sub", 0, READ, &folder), DONE);
    EXPECT(try_open(folder, 0, "../hello", 0, READ), E(NOT_PERMITTED)); /* nor out of what was opened */
    EXPECT(try_open(folder, FOLLOW, "up/hello", 0, READ), E(NOT_PERMITTED));
    close_file(folder);
    guest_string_t nul = {(uint8_t *)"hello\0x", 7};
    code error;
    EXPECT(ANSWER(FILE_CALL(stat_at)(BORROW(rw), 0, &nul, &stat, &error)), E(INVALID));
    return true;
}

/* What was granted to be read only. */
static bool deed_read_only(void)
{
    new_time now = {.tag = WASI_FILESYSTEM_TYPES_NEW_TIMESTAMP_NOW};
    file f, folder;
    output out;
    EXPECT(open_at(ro, 0, "kept", 0, READ, &f), DONE);
    EXPECT(read_at(f, 100, 0, "kept\n", true), DONE);
    EXPECT(write_at(f, "x", 0), E(READ_ONLY));
    EXPECT(set_size(f, 0), E(READ_ONLY));
    EXPECT(set_times(f, now, now), E(READ_ONLY));
    EXPECT(write_stream(f, 0, &out), E(READ_ONLY));
    EXPECT(append_stream(f, &out), E(READ_ONLY));
    EXPECT(synced(f), DONE);
    EXPECT(try_open(ro, 0, "kept", 0, READ | WRITE), E(READ_ONLY));
    EXPECT(try_open(ro, 0, "kept", TRUNCATE, READ), E(READ_ONLY));
    EXPECT(try_open(ro, 0, "kept", CREATE, READ), E(READ_ONLY));
    EXPECT(try_open(ro, 0, "folder", 0, READ | MUTATE), E(READ_ONLY));
    EXPECT(open_at(ro, 0, "folder", 0, READ, &folder), DONE);
    CHECK(flags_of(folder) == READ);
    EXPECT(try_open(folder, 0, "x", CREATE, WRITE), E(READ_ONLY));
    EXPECT(create_directory_at(folder, "x"), E(READ_ONLY));
    EXPECT(synced(folder), DONE);
    EXPECT(create_directory_at(ro, "x"), E(READ_ONLY));
    EXPECT(remove_directory_at(ro, "folder"), E(READ_ONLY));
    EXPECT(unlink_file_at(ro, "kept"), E(READ_ONLY));
    EXPECT(symlink_at(ro, "kept", "x"), E(READ_ONLY));
    EXPECT(link_at(ro, 0, "kept", ro, "x"), E(READ_ONLY));
    EXPECT(link_at(ro, 0, "kept", rw, "x"), E(READ_ONLY));
    EXPECT(rename_at(ro, "kept", ro, "x"), E(READ_ONLY));
    EXPECT(rename_at(ro, "kept", rw, "x"), E(READ_ONLY));
    EXPECT(rename_at(rw, "hello", ro, "x"), E(READ_ONLY));
    EXPECT(set_times(ro, now, now), E(READ_ONLY));
    EXPECT(set_times_at(ro, 0, "kept", now, now), E(READ_ONLY));
    close_file(folder);
    close_file(f);
    return true;
}

/* The third directory is another grant of the same place. */
static bool deed_two_grants(void)
{
    wasi_filesystem_preopens_list_tuple2_own_descriptor_string_t granted;
    wasi_filesystem_preopens_get_directories(&granted);
    CHECK(granted.len == 3);
    file third = granted.ptr[2].f0;
    CHECK(same(third, rw));
    EXPECT(rename_at(rw, "hello", third, "x"), E(CROSS_DEVICE));
    EXPECT(link_at(rw, 0, "hello", third, "x"), E(CROSS_DEVICE));
    return true;
}

/* ---- listings ---- */

static bool deed_listing(void)
{
    wasi_filesystem_types_own_directory_entry_stream_t list, other;
    wasi_filesystem_types_option_directory_entry_t entry;
    code error;
    int entries = 0, broken = 0, sum = 0;
    bool first = true;
    file folder;
    EXPECT(open_at(rw, 0, "many", 0, READ, &folder), DONE);
    EXPECT(ANSWER(FILE_CALL(read_directory)(BORROW(folder), &list, &error)), DONE);
    EXPECT(ANSWER(FILE_CALL(read_directory)(BORROW(folder), &other, &error)), DONE);
    close_file(folder); /* listings do not need it any more */
    for (;;) {
        if (!wasi_filesystem_types_method_directory_entry_stream_read_directory_entry(
                wasi_filesystem_types_borrow_directory_entry_stream(first ? other : list), &entry, &error)) {
            CHECK(error == E(ILLEGAL_BYTE_SEQUENCE));
            broken += !first;
        } else if (!entry.is_some) {
            break;
        } else if (!first) {
            CHECK(entry.val.name.len && entry.val.name.ptr[0] != '.');
            entries++;
            sum += entry.val.name.len == 3 && entry.val.type == TYPE(REGULAR_FILE);
            CHECK((entry.val.name.len == 6) == (entry.val.type == TYPE(DIRECTORY)));
        }
        first = false;
    }
    for (int i = 0; i < 3; i++) { /* the end stays the end */
        CHECK(wasi_filesystem_types_method_directory_entry_stream_read_directory_entry(
            wasi_filesystem_types_borrow_directory_entry_stream(list), &entry, &error));
        CHECK(!entry.is_some);
    }
    CHECK(entries == 501 && broken == 1 && sum == 500);
    wasi_filesystem_types_directory_entry_stream_drop_own(list);
    wasi_filesystem_types_directory_entry_stream_drop_own(other);
    for (int i = 0; i < 20000; i++) { /* nothing piles up */
        EXPECT(ANSWER(FILE_CALL(read_directory)(BORROW(rw), &list, &error)), DONE);
        wasi_filesystem_types_directory_entry_stream_drop_own(list);
    }
    return true;
}

/* ---- streams ---- */

static bool check_input(file f)
{
    stream_error error;
    guest_list_u8_t bytes;
    guest_list_u32_t ready;
    uint64_t size;
    input in;
    EXPECT(read_stream(f, HALF, &in), E(INVALID));
    EXPECT(read_stream(f, 2, &in), DONE);
    CHECK(IN_CALL(read)(IN(in), 0, &bytes, &error) && bytes.len == 0);
    CHECK(IN_CALL(read)(IN(in), 3, &bytes, &error) && bytes.len == 3 && memcmp(bytes.ptr, "cde", 3) == 0);
    CHECK(IN_CALL(skip)(IN(in), 2, &size, &error) && size == 2);
    CHECK(IN_CALL(blocking_skip)(IN(in), 1, &size, &error) && size == 1);
    wasi_io_poll_own_pollable_t pollable = IN_CALL(subscribe)(IN(in));
    CHECK(wasi_io_poll_method_pollable_ready(POLL(pollable)));
    wasi_io_poll_method_pollable_block(POLL(pollable));
    wasi_io_poll_borrow_pollable_t both[] = {POLL(pollable), POLL(pollable)};
    wasi_io_poll_list_borrow_pollable_t list = {both, 2};
    wasi_io_poll_poll(&list, &ready);
    CHECK(ready.len == 2 && ready.ptr[0] == 0 && ready.ptr[1] == 1);
    wasi_io_poll_pollable_drop_own(pollable);
    CHECK(IN_CALL(blocking_read)(IN(in), HUGE, &bytes, &error) && bytes.len == 2 && memcmp(bytes.ptr, "ij", 2) == 0);
    CHECK(!IN_CALL(read)(IN(in), 1, &bytes, &error) && error.tag == WASI_IO_STREAMS_STREAM_ERROR_CLOSED);
    CHECK(!IN_CALL(blocking_read)(IN(in), 1, &bytes, &error) && error.tag == WASI_IO_STREAMS_STREAM_ERROR_CLOSED);
    CHECK(!IN_CALL(skip)(IN(in), 1, &size, &error) && error.tag == WASI_IO_STREAMS_STREAM_ERROR_CLOSED);
    wasi_io_streams_input_stream_drop_own(in);
    return true;
}

static bool put(output out, const char *text)
{
    guest_list_u8_t bytes = {(uint8_t *)text, strlen(text)};
    uint64_t room;
    stream_error error;
    return OUT_CALL(check_write)(OUT(out), &room, &error) && room >= bytes.len &&
           OUT_CALL(write)(OUT(out), &bytes, &error);
}

static bool check_output(file f)
{
    stream_error error;
    guest_list_u8_t bytes = {(uint8_t *)"BC", 2};
    uint64_t room;
    output out, end;
    EXPECT(write_stream(f, HUGE, &out), E(INVALID));
    EXPECT(write_stream(f, 1, &out), DONE);
    CHECK(OUT_CALL(blocking_write_and_flush)(OUT(out), &bytes, &error));
    EXPECT(append_stream(f, &end), DONE);
    CHECK(put(end, "end") && put(out, "DE"));
    wasi_io_poll_own_pollable_t pollable = OUT_CALL(subscribe)(OUT(out));
    CHECK(wasi_io_poll_method_pollable_ready(POLL(pollable)));
    wasi_io_poll_pollable_drop_own(pollable);
    CHECK(OUT_CALL(check_write)(OUT(end), &room, &error) && room >= 4096);
    CHECK(OUT_CALL(write_zeroes)(OUT(end), 2, &error));
    CHECK(OUT_CALL(blocking_write_zeroes_and_flush)(OUT(end), 1, &error));
    CHECK(OUT_CALL(flush)(OUT(out), &error) && OUT_CALL(blocking_flush)(OUT(out), &error));
    wasi_io_streams_output_stream_drop_own(out);
    wasi_io_streams_output_stream_drop_own(end);
    guest_tuple2_list_u8_bool_t got;
    code why;
    CHECK(FILE_CALL(read)(BORROW(f), 100, 0, &got, &why));
    CHECK(got.f0.len == 16 && memcmp(got.f0.ptr, "aBCDEfghijend\0\0\0", 16) == 0);
    return true;
}

#if DRAFT == DRAFT_OCTOBER

/* The source goes with each call. */
static bool check_splice(file f)
{
    stream_error error;
    uint64_t size;
    input in;
    output out;
    file copy;
    EXPECT(open_at(rw, 0, "copy", CREATE | TRUNCATE, READ | WRITE, &copy), DONE);
    EXPECT(write_stream(copy, 0, &out), DONE);
    EXPECT(read_stream(f, 0, &in), DONE);
    CHECK(OUT_CALL(splice)(OUT(out), in, 4, &size, &error) && size == 4);
    EXPECT(read_stream(f, 4, &in), DONE);
    CHECK(OUT_CALL(blocking_splice)(OUT(out), in, 3, &size, &error) && size == 3);
    EXPECT(read_stream(f, 7, &in), DONE);
    CHECK(OUT_CALL(forward)(OUT(out), in, &size, &error) && size == 9);
    EXPECT(read_stream(f, 100, &in), DONE);
    CHECK(OUT_CALL(forward)(OUT(out), in, &size, &error) && size == 0);
    EXPECT(read_stream(f, 100, &in), DONE);
    CHECK(!OUT_CALL(splice)(OUT(out), in, 1, &size, &error) && error.tag == WASI_IO_STREAMS_STREAM_ERROR_CLOSED);
    CHECK(put(out, "!")); /* only the input is closed */
    wasi_io_streams_output_stream_drop_own(out);
    EXPECT(read_at(copy, 13, 0, "aBCDEfghijend", false), DONE);
    EXPECT(read_at(copy, 9, 16, "!", true), DONE);
    EXPECT(write_stream(copy, HALF - 1, &out), DONE);
    EXPECT(read_stream(f, 0, &in), DONE);
    CHECK(!OUT_CALL(forward)(OUT(out), in, &size, &error) &&
          error.tag == WASI_IO_STREAMS_STREAM_ERROR_LAST_OPERATION_FAILED);
    wasi_io_streams_error_drop_own(error.val.last_operation_failed);
    wasi_io_streams_output_stream_drop_own(out);
    close_file(copy);
    EXPECT(unlink_file_at(rw, "copy"), DONE);
    return true;
}

/* What no later version has. */
static bool deed_given_up(void)
{
    guest_string_t name = string("hello");
    wasi_filesystem_types_access_type_t exists = {.tag = WASI_FILESYSTEM_TYPES_ACCESS_TYPE_EXISTS};
    code error;
    file f;
    EXPECT(open_at(rw, 0, "hello", 0, READ, &f), DONE);
    EXPECT(ANSWER(FILE_CALL(access_at)(BORROW(rw), 0, &name, &exists, &error)), E(UNSUPPORTED));
    EXPECT(ANSWER(FILE_CALL(change_file_permissions_at)(BORROW(rw), 0, &name, 1, &error)), E(UNSUPPORTED));
    EXPECT(ANSWER(FILE_CALL(change_directory_permissions_at)(BORROW(rw), 0, &name, 1, &error)), E(UNSUPPORTED));
    EXPECT(ANSWER(FILE_CALL(lock_shared)(BORROW(f), &error)), E(UNSUPPORTED));
    EXPECT(ANSWER(FILE_CALL(lock_exclusive)(BORROW(f), &error)), E(UNSUPPORTED));
    EXPECT(ANSWER(FILE_CALL(try_lock_shared)(BORROW(f), &error)), E(UNSUPPORTED));
    EXPECT(ANSWER(FILE_CALL(try_lock_exclusive)(BORROW(f), &error)), E(UNSUPPORTED));
    EXPECT(ANSWER(FILE_CALL(unlock)(BORROW(f), &error)), E(UNSUPPORTED));
    close_file(f);
    return true;
}

/* A stream that something depends on cannot be handed over. */
static bool deed_trap_forward(void)
{
    file f;
    input in;
    uint64_t size;
    stream_error error;
    EXPECT(open_at(rw, 0, "hello", 0, READ, &f), DONE);
    EXPECT(read_stream(f, 0, &in), DONE);
    IN_CALL(subscribe)(IN(in));
    return OUT_CALL(forward)(OUT(wasi_cli_stderr_get_stderr()), in, &size, &error);
}

#else

static bool check_splice(file f)
{
    stream_error error;
    uint64_t size;
    input in;
    output out;
    file copy;
    EXPECT(open_at(rw, 0, "copy", CREATE | TRUNCATE, READ | WRITE, &copy), DONE);
    EXPECT(read_stream(f, 0, &in), DONE);
    EXPECT(write_stream(copy, 0, &out), DONE);
    close_file(copy); /* streams do not need it any more */
    CHECK(OUT_CALL(splice)(OUT(out), IN(in), 4, &size, &error) && size == 4);
    CHECK(OUT_CALL(blocking_splice)(OUT(out), IN(in), HUGE, &size, &error) && size == 12);
    CHECK(!OUT_CALL(splice)(OUT(out), IN(in), 1, &size, &error) && error.tag == WASI_IO_STREAMS_STREAM_ERROR_CLOSED);
    CHECK(!OUT_CALL(blocking_splice)(OUT(out), IN(in), 1, &size, &error));
    CHECK(put(out, "!")); /* only the input is closed */
    wasi_io_streams_input_stream_drop_own(in);
    wasi_io_streams_output_stream_drop_own(out);
    EXPECT(open_at(rw, 0, "copy", 0, READ, &copy), DONE);
    EXPECT(read_at(copy, 13, 0, "aBCDEfghijend", false), DONE);
    EXPECT(read_at(copy, 9, 16, "!", true), DONE);
    close_file(copy);
    EXPECT(unlink_file_at(rw, "copy"), DONE);
    return true;
}

#endif

#if DRAFT == DRAFT_OCTOBER
#define ERROR(name) wasi_io_streams_##name
#else
#define ERROR(name) wasi_io_error_##name
#endif

/* A write that fails closes the stream and says why. */
static bool check_failure(file f)
{
    stream_error error;
    guest_list_u8_t bytes = {(uint8_t *)"zz", 2};
    guest_string_t text;
    uint64_t room;
    code why;
    output out;
    EXPECT(write_stream(f, HALF - 1, &out), DONE);
    CHECK(OUT_CALL(check_write)(OUT(out), &room, &error));
    CHECK(!OUT_CALL(write)(OUT(out), &bytes, &error));
    CHECK(error.tag == WASI_IO_STREAMS_STREAM_ERROR_LAST_OPERATION_FAILED);
    ERROR(borrow_error_t) borrowed = ERROR(borrow_error)(error.val.last_operation_failed);
    CHECK(wasi_filesystem_types_filesystem_error_code(borrowed, &why) && why == E(FILE_TOO_LARGE));
    ERROR(method_error_to_debug_string)(borrowed, &text);
    CHECK(text.len == 14 && memcmp(text.ptr, "File too large", 14) == 0);
    ERROR(error_drop_own)(error.val.last_operation_failed);
    CHECK(!OUT_CALL(check_write)(OUT(out), &room, &error) && error.tag == WASI_IO_STREAMS_STREAM_ERROR_CLOSED);
    CHECK(!OUT_CALL(write)(OUT(out), &bytes, &error) && error.tag == WASI_IO_STREAMS_STREAM_ERROR_CLOSED);
    CHECK(!OUT_CALL(flush)(OUT(out), &error) && error.tag == WASI_IO_STREAMS_STREAM_ERROR_CLOSED);
    wasi_io_streams_output_stream_drop_own(out);
    return true;
}

static bool deed_streams(void)
{
    file f;
    EXPECT(open_at(rw, 0, "stream", CREATE, READ | WRITE, &f), DONE);
    EXPECT(write_at(f, "abcdefghij", 0), DONE);
    bool done = check_input(f) && check_output(f) && check_splice(f) && check_failure(f);
    close_file(f);
    EXPECT(unlink_file_at(rw, "stream"), DONE);
    return done;
}

/* As many as there is room for, then an error that ends nothing. */
static bool deed_many_open(void)
{
    static file files[2000];
    uint32_t count = 0;
    int got = DONE;
    while (count < 2000 && got == DONE)
        got = open_at(rw, 0, "hello", 0, READ, &files[count++]);
    EXPECT(got, E(INSUFFICIENT_MEMORY));
    for (uint32_t i = 0; i + 1 < count; i++)
        close_file(files[i]);
    EXPECT(try_open(rw, 0, "hello", 0, READ), DONE);
    return true;
}

/* ---- wasi:cli and the rest ---- */

static void say_string(guest_string_t text)
{
    say_bytes(text.ptr, text.len);
}

static bool deed_args(void)
{
    for (size_t i = 2; i < arguments.len; i++) {
        say_string(arguments.ptr[i]);
        say("\n");
    }
    return true;
}

static bool deed_env(void)
{
    guest_list_tuple2_string_string_t variables;
    guest_string_t folder;
    wasi_cli_environment_get_environment(&variables);
    for (size_t i = 0; i < variables.len; i++) {
        say_string(variables.ptr[i].f0);
        say("=");
        say_string(variables.ptr[i].f1);
        say("\n");
    }
    CHECK(!wasi_cli_environment_initial_cwd(&folder));
    return true;
}

static bool deed_cat(void)
{
    input in = wasi_cli_stdin_get_stdin();
    output out = wasi_cli_stdout_get_stdout();
    stream_error error;
    uint64_t size;
#if DRAFT == DRAFT_OCTOBER
    CHECK(OUT_CALL(forward)(OUT(out), in, &size, &error));
#else
    while (OUT_CALL(blocking_splice)(OUT(out), IN(in), HUGE, &size, &error))
        continue;
    CHECK(error.tag == WASI_IO_STREAMS_STREAM_ERROR_CLOSED);
    wasi_io_streams_input_stream_drop_own(in);
#endif
    wasi_io_streams_output_stream_drop_own(out);
    return true;
}

static bool deed_error(void)
{
    output out = wasi_cli_stderr_get_stderr();
    CHECK(put(out, "to standard error\n"));
    wasi_io_streams_output_stream_drop_own(out);
    return true;
}

/* Bit by bit: which of the streams are terminals. */
static bool deed_terminals(void)
{
    wasi_cli_terminal_stdin_own_terminal_input_t in;
    wasi_cli_terminal_stdout_own_terminal_output_t out;
    uint32_t found = 0;
    if (wasi_cli_terminal_stdin_get_terminal_stdin(&in)) {
        wasi_cli_terminal_input_terminal_input_drop_own(in);
        found |= 1;
    }
    if (wasi_cli_terminal_stdout_get_terminal_stdout(&out)) {
        wasi_cli_terminal_output_terminal_output_drop_own(out);
        found |= 2;
    }
    if (wasi_cli_terminal_stderr_get_terminal_stderr(&out)) {
        wasi_cli_terminal_output_terminal_output_drop_own(out);
        found |= 4;
    }
    say_number(found);
    return true;
}

/* What is there first: input or the end of 100 ms. Nothing to read is an empty read, not an end. */
static bool deed_wait(void)
{
    input in = wasi_cli_stdin_get_stdin();
    wasi_io_poll_own_pollable_t readable = IN_CALL(subscribe)(IN(in)),
                                timer = wasi_clocks_monotonic_clock_subscribe_duration(100000000);
    wasi_io_poll_borrow_pollable_t both[] = {POLL(readable), POLL(timer)};
    wasi_io_poll_list_borrow_pollable_t list = {both, 2};
    guest_list_u32_t ready;
    guest_list_u8_t bytes;
    stream_error error;
    CHECK(IN_CALL(read)(IN(in), 10, &bytes, &error) && bytes.len == 0);
    wasi_io_poll_poll(&list, &ready);
    CHECK(ready.len == 1 && ready.ptr[0] == 1);
    say("nothing\n");
    wasi_io_poll_method_pollable_block(POLL(readable));
    CHECK(IN_CALL(read)(IN(in), 10, &bytes, &error) && bytes.len > 0);
    say_bytes(bytes.ptr, bytes.len);
    CHECK(!IN_CALL(blocking_read)(IN(in), 10, &bytes, &error));
    wasi_io_poll_pollable_drop_own(timer);
    wasi_io_poll_pollable_drop_own(readable);
    wasi_io_streams_input_stream_drop_own(in);
    return true;
}

static bool deed_clocks(void)
{
    wasi_clocks_wall_clock_datetime_t now, step;
    uint64_t before = wasi_clocks_monotonic_clock_now();
    CHECK(wasi_clocks_monotonic_clock_resolution() > 0);
    wasi_io_poll_own_pollable_t pollable = wasi_clocks_monotonic_clock_subscribe_instant(before + 20000000);
    wasi_io_poll_method_pollable_block(POLL(pollable));
    CHECK(wasi_clocks_monotonic_clock_now() >= before + 20000000);
    wasi_io_poll_pollable_drop_own(pollable);
    wasi_clocks_wall_clock_now(&now);
    wasi_clocks_wall_clock_resolution(&step);
    CHECK(now.seconds > 1700000000 && step.seconds + step.nanoseconds > 0);
#if DRAFT != DRAFT_NOVEMBER
    wasi_clocks_timezone_timezone_display_t zone;
    wasi_clocks_timezone_display(&now, &zone);
    CHECK(zone.utc_offset == 0 && zone.name.len == 3 && !zone.in_daylight_saving_time);
    CHECK(wasi_clocks_timezone_utc_offset(&now) == 0);
#endif
    return true;
}

static bool deed_random(void)
{
    guest_list_u8_t bytes, others;
    guest_tuple2_u64_u64_t seed;
    wasi_random_random_get_random_bytes(32, &bytes);
    wasi_random_insecure_get_insecure_random_bytes(32, &others);
    wasi_random_insecure_seed_insecure_seed(&seed);
    CHECK(bytes.len == 32 && others.len == 32 && memcmp(bytes.ptr, others.ptr, 32) != 0);
    CHECK(wasi_random_random_get_random_u64() != wasi_random_insecure_get_insecure_random_u64());
    CHECK(seed.f0 != seed.f1);
    return true;
}

/* ---- ends ---- */

#if !DRAFT
static bool deed_exit(void)
{
    uint32_t status = 0;
    for (size_t i = 0; i < arguments.ptr[2].len; i++)
        status = status * 10 + arguments.ptr[2].ptr[i] - '0';
    wasi_cli_exit_exit_with_code((uint8_t)status);
    return false;
}
#endif

static bool deed_exit_ok(void)
{
    wasi_cli_exit_result_void_void_t status = {.is_err = false};
    wasi_cli_exit_exit(&status);
    return false;
}

static bool deed_exit_error(void)
{
    wasi_cli_exit_result_void_void_t status = {.is_err = true};
    wasi_cli_exit_exit(&status);
    return true;
}

static bool deed_good(void)
{
    return true;
}

static bool deed_bad(void)
{
    return false;
}

static bool deed_sleep(void)
{
    wasi_io_poll_own_pollable_t pollable = wasi_clocks_monotonic_clock_subscribe_duration(HUGE);
    wasi_io_poll_method_pollable_block(POLL(pollable));
    return true;
}

static bool deed_read_forever(void)
{
    file f;
    guest_tuple2_list_u8_bool_t got;
    code error;
    EXPECT(open_at(rw, 0, "hello", 0, READ, &f), DONE);
    for (;;) {
        CHECK(FILE_CALL(read)(BORROW(f), 1, 0, &got, &error));
        guest_list_u8_free(&got.f0);
    }
}

static bool deed_wait_input(void)
{
    guest_list_u8_t bytes;
    stream_error error;
    return IN_CALL(blocking_read)(IN(wasi_cli_stdin_get_stdin()), 1, &bytes, &error);
}

static bool deed_write_forever(void)
{
    for (;;)
        say("a line that nobody reads\n");
}

/* ---- each of these traps ---- */

static bool deed_trap_closed(void)
{
    file f;
    EXPECT(open_at(rw, 0, "hello", 0, READ, &f), DONE);
    close_file(f);
    return flags_of(f) == READ;
}

static bool deed_trap_other_kind(void)
{
    input in = wasi_cli_stdin_get_stdin();
    return flags_of((file){in.__handle}) == READ;
}

static bool deed_trap_text(void)
{
    return try_open(rw, 0, "\xff\xfe", 0, READ) == DONE;
}

static bool deed_trap_child(void)
{
    file f;
    input in;
    EXPECT(open_at(rw, 0, "hello", 0, READ, &f), DONE);
    EXPECT(read_stream(f, 0, &in), DONE);
    IN_CALL(subscribe)(IN(in));
    wasi_io_streams_input_stream_drop_own(in);
    return true;
}

static bool deed_trap_permit(void)
{
    file f;
    output out;
    guest_list_u8_t bytes = {(uint8_t *)"x", 1};
    stream_error error;
    EXPECT(open_at(rw, 0, "hello", 0, WRITE, &f), DONE);
    EXPECT(write_stream(f, 0, &out), DONE);
    return OUT_CALL(write)(OUT(out), &bytes, &error);
}

static bool deed_trap_blocking(void)
{
    static uint8_t large[4097];
    guest_list_u8_t bytes = {large, sizeof large};
    stream_error error;
    return OUT_CALL(blocking_write_and_flush)(OUT(wasi_cli_stdout_get_stdout()), &bytes, &error);
}

static bool deed_trap_range(void)
{
    guest_string_t beyond = {(uint8_t *)0xfffffff0, 64};
    wasi_filesystem_types_descriptor_stat_t stat;
    code error;
    return FILE_CALL(stat_at)(BORROW(rw), 0, &beyond, &stat, &error);
}

/* ---- the table ---- */

static const struct deed {
    const char *name;
    bool (*run)(void);
} deeds[] = {
    {"known", deed_known},
    {"contents", deed_contents},
    {"wrong-kind", deed_wrong_kind},
    {"times", deed_times},
    {"paths", deed_paths},
    {"refused", deed_refused},
    {"read-only", deed_read_only},
    {"two-grants", deed_two_grants},
    {"listing", deed_listing},
    {"streams", deed_streams},
    {"many-open", deed_many_open},
    {"args", deed_args},
    {"env", deed_env},
    {"cat", deed_cat},
    {"error", deed_error},
    {"terminals", deed_terminals},
    {"wait", deed_wait},
    {"clocks", deed_clocks},
    {"random", deed_random},
#if !DRAFT
    {"exit", deed_exit},
#endif
#if DRAFT == DRAFT_OCTOBER
    {"given-up", deed_given_up},
    {"trap-forward", deed_trap_forward},
#endif
    {"exit-ok", deed_exit_ok},
    {"exit-error", deed_exit_error},
    {"good", deed_good},
    {"bad", deed_bad},
    {"sleep", deed_sleep},
    {"read-forever", deed_read_forever},
    {"wait-input", deed_wait_input},
    {"write-forever", deed_write_forever},
    {"trap-closed", deed_trap_closed},
    {"trap-other-kind", deed_trap_other_kind},
    {"trap-text", deed_trap_text},
    {"trap-child", deed_trap_child},
    {"trap-permit", deed_trap_permit},
    {"trap-blocking", deed_trap_blocking},
    {"trap-range", deed_trap_range},
};

static void find_directories(void)
{
    wasi_filesystem_preopens_list_tuple2_own_descriptor_string_t granted;
    wasi_filesystem_preopens_get_directories(&granted);
    for (size_t i = 0; i < granted.len; i++) {
        guest_string_t name = granted.ptr[i].f1;
        if (name.len == 2 && memcmp(name.ptr, "rw", 2) == 0)
            rw = granted.ptr[i].f0;
        else if (name.len == 2 && memcmp(name.ptr, "ro", 2) == 0)
            ro = granted.ptr[i].f0;
    }
}

bool exports_wasi_cli_run_run(void)
{
    wasi_cli_environment_get_arguments(&arguments);
    find_directories();
    for (size_t i = 0; arguments.len > 1 && i < sizeof deeds / sizeof *deeds; i++)
        if (strlen(deeds[i].name) == arguments.ptr[1].len &&
            memcmp(deeds[i].name, arguments.ptr[1].ptr, arguments.ptr[1].len) == 0)
            return deeds[i].run();
    say("no such deed\n");
    return false;
}
