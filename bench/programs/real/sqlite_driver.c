/* SQLite fills, joins and groups tables in memory, n times, with its own allocator on a fixed heap. */
#include "bench.h"

#include "sqlite3.h"

#include <string.h>

static char heap[32 << 20] __attribute__((aligned(16)));

static int no_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
    (void)vfs, (void)name, (void)flags, (void)ret_flags;
    file->pMethods = NULL;
    return SQLITE_CANTOPEN;
}

static int same_path(sqlite3_vfs *vfs, const char *name, int size, char *ret_name)
{
    (void)vfs;
    return sqlite3_snprintf(size, ret_name, "%s", name) ? SQLITE_OK : SQLITE_ERROR;
}

static int same_random(sqlite3_vfs *vfs, int size, char *ret_bytes)
{
    (void)vfs;
    memset(ret_bytes, 7, (size_t)size);
    return size;
}

static int same_time(sqlite3_vfs *vfs, double *ret_time)
{
    (void)vfs;
    *ret_time = 2460000.5;
    return SQLITE_OK;
}

static sqlite3_vfs vfs = {.iVersion = 1,
                          .szOsFile = sizeof(sqlite3_file),
                          .mxPathname = 64,
                          .zName = "none",
                          .xOpen = no_file,
                          .xFullPathname = same_path,
                          .xRandomness = same_random,
                          .xCurrentTime = same_time};

int sqlite3_os_init(void)
{
    return sqlite3_vfs_register(&vfs, 1);
}

int sqlite3_os_end(void)
{
    return SQLITE_OK;
}

static const char script[] =
    "CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, price REAL, kind INT);"
    "CREATE TABLE sale(id INTEGER PRIMARY KEY, item INT, amount INT);"
    "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 3000)"
    " INSERT INTO item SELECT i, printf('item-%d-%x', i, i * 7919), i * 0.25, i % 13 FROM c;"
    "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 9000)"
    " INSERT INTO sale SELECT i, i * 7919 % 3000 + 1, i % 11 FROM c;"
    "CREATE INDEX sale_item ON sale(item);"
    "CREATE INDEX item_name ON item(name);"
    "UPDATE item SET price = price * 1.5 WHERE kind IN (2, 3, 5, 7) AND name LIKE '%a%';"
    "DELETE FROM sale WHERE amount = 4;"
    "SELECT kind, count(*), sum(price * amount), max(name) FROM item JOIN sale ON sale.item = item.id"
    " GROUP BY kind ORDER BY 3 DESC;"
    "SELECT substr(name, 6, 2) AS part, total(price) FROM item GROUP BY part HAVING count(*) > 3 ORDER BY part;"
    "SELECT count(*), sum(length(a.name)) FROM item a, item b WHERE b.name = replace(a.name, '-1', '-2');";

static int add_row(void *arg, int count, char **values, char **names)
{
    uint64_t *sum = arg;
    (void)names;
    for (int i = 0; i < count; i++)
        for (const char *c = values[i]; c && *c; c++)
            *sum = mix(*sum, (uint8_t)*c);
    return 0;
}

uint64_t bench(uint32_t n)
{
    uint64_t sum = 0;
    sqlite3_config(SQLITE_CONFIG_HEAP, heap, (int)sizeof heap, 32);
    for (uint32_t i = 0; i < n; i++) {
        sqlite3 *database;
        if (sqlite3_open(":memory:", &database) != SQLITE_OK ||
            sqlite3_exec(database, script, add_row, &sum, NULL) != SQLITE_OK)
            __builtin_trap();
        sqlite3_close(database);
    }
    return sum;
}
