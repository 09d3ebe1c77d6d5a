/* See sqlite.h. */
#include "services/sqlite.h"

#include "base/library.h"

#include <stdio.h>
#include <sys/stat.h>

#define PAGE_BYTES 4096u
#define JOURNAL_KEPT_BYTES 4194304

struct sqlite_library sqlite;

static bool find(struct err *err)
{
#define SYMBOL(name) {"sqlite3_" #name, (void **)&sqlite.name},
    static const struct library_symbol symbols[] = {SQLITE_FUNCTIONS(SYMBOL)};
#undef SYMBOL
    static const struct library library = {"libsqlite3.so.0", "no key-value stores and no databases",
                                           "install SQLite 3 (Debian: libsqlite3-0)", symbols,
                                           sizeof symbols / sizeof *symbols};
    return library_load(&library, err);
}

bool sqlite_load(struct err *err)
{
    char byte;
    if (sqlite.loaded)
        return true;
    if (!find(err))
        return false;
    if (sqlite.initialize() != SQLITE_OK)
        return err_set(err, ERR_UNSUPPORTED, "SQLite does not start");
    sqlite.randomness(1, &byte); /* reads its seed now */
    sqlite.loaded = true;
    return true;
}

bool sqlite_fail(sqlite3 *db, struct err *err)
{
    int code = db ? sqlite.extended_errcode(db) & 0xff : SQLITE_NOMEM;
    if (code == SQLITE_NOMEM)
        return err_memory(err);
    return err_set(err, code == SQLITE_FULL ? ERR_LIMIT : ERR_SYSTEM, "%s", sqlite.errmsg(db));
}

bool sqlite_run(sqlite3 *db, const char *text, struct err *err)
{
    return sqlite.exec(db, text, NULL, NULL, NULL) == SQLITE_OK || sqlite_fail(db, err);
}

bool sqlite_prepare(sqlite3 *db, const char *text, sqlite3_stmt **ret_statement, struct err *err)
{
    return sqlite.prepare_v2(db, text, -1, ret_statement, NULL) == SQLITE_OK || sqlite_fail(db, err);
}

/* Nothing in a file is believed: not its schema, nor what it says of its pages. */
static bool set_up(sqlite3 *db, uint64_t bytes_max, struct err *err)
{
    char text[400];
    snprintf(text, sizeof text,
             "PRAGMA page_size = %u; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;"
             "PRAGMA mmap_size = 0; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;"
             "PRAGMA journal_size_limit = %d; PRAGMA max_page_count = %llu;",
             PAGE_BYTES, JOURNAL_KEPT_BYTES, (unsigned long long)(bytes_max / PAGE_BYTES));
    sqlite.db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite.db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    sqlite.busy_timeout(db, 2000); /* while another one of us leaves */
    bool done = sqlite_run(db, text, err);
    sqlite.busy_timeout(db, 0);
    return done;
}

bool sqlite_open(const char *folder, uint64_t bytes_max, sqlite3 **ret_db, struct err *err)
{
    char path[1200];
    sqlite3 *db = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
    snprintf(path, sizeof path, "%s/data.sqlite", folder);
    if (sqlite.open_v2(path, &db, flags, NULL) != SQLITE_OK || !set_up(db, bytes_max, err)) {
        if (err && !err->kind)
            sqlite_fail(db, err);
        sqlite.close_v2(db);
        return false;
    }
    *ret_db = db;
    return true;
}
