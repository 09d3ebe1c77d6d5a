/* Does what the path says with a MySQL server, and answers with the outcome: as postgres.c, by versions 1 and 2. */
#include "sql.h"

#define V1 "fermyon:spin/mysql"
#define V2 "fermyon:spin/mysql@2.0.0"

IMPORT(V1, "query")
void query1(text_t address, size_t, text_t statement, size_t size, const void *params, size_t count, void *ret);
IMPORT(V1, "execute")
void execute1(text_t address, size_t, text_t statement, size_t size, const void *params, size_t count, void *ret);
IMPORT(V2, "[static]connection.open") void open2(text_t address, size_t size, void *ret);
IMPORT(V2, "[method]connection.query")
void query2(int self, text_t statement, size_t size, const void *params, size_t count, void *ret);
IMPORT(V2, "[method]connection.execute")
void execute2(int self, text_t statement, size_t size, const void *params, size_t count, void *ret);
IMPORT(V2, "[resource-drop]connection") void drop2(int self);

static void act(void)
{
    version = (int)number_of(0, 0);
    int self = 0;
    if (version == 2) {
        open2(WORD(1), ret);
        if (is_error(ret + 4))
            return;
        self = (int)word(ret + 4);
    }
    for (size_t at = 2, end; at < count; at = end + 1) {
        uint8_t *to = parameters[0];
        for (size_t i = 0; i < sizeof parameters; i++)
            to[i] = 0;
        for (end = at; end < count && !is(end, ";"); end++)
            if (end > at + 1)
                take(end, to + 16 * (end - at - 2));
        size_t size = end - at - 2;
        bool query = is(at, "query");
        if (version == 1)
            (query ? query1 : execute1)(WORD(1), WORD(at + 1), to, size, ret);
        else
            (query ? query2 : execute2)(self, WORD(at + 1), to, size, ret);
        if (is_error(ret + 4))
            continue;
        if (query)
            say_rows(ret + 4);
        else
            say("done\n");
    }
    if (version == 2)
        drop2(self);
}
