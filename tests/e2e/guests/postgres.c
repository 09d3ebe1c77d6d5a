/* Does what the path says with a PostgreSQL server, and answers with the outcome:
 *
 *     /VERSION/ADDRESS/query|execute/STATEMENT[/PARAMETER...]     in one connection; more behind a ;
 *
 * VERSION is 1 (without connections, and so one statement), 2 or 3. A parameter is a letter and its value: b0 and b1
 * booleans, c s i l of 8 to 64 bits, u without a sign, f d floating, t text, x bytes, n null; of 3 also D (date) and T
 * (time) of words with commas, S (date and time), U (seconds). */
#include "sql.h"

#define V1 "fermyon:spin/postgres"
#define V2 "fermyon:spin/postgres@2.0.0"
#define V3 "spin:postgres/postgres@3.0.0"

IMPORT(V1, "query")
void query1(text_t address, size_t, text_t statement, size_t size, const void *params, size_t count, void *ret);
IMPORT(V1, "execute")
void execute1(text_t address, size_t, text_t statement, size_t size, const void *params, size_t count, void *ret);
#define CONNECTION(version, number)                                                                                    \
    IMPORT(version, "[static]connection.open") void open##number(text_t address, size_t size, void *ret);              \
    IMPORT(version, "[method]connection.query")                                                                        \
    void query##number(int self, text_t statement, size_t size, const void *params, size_t count, void *ret);          \
    IMPORT(version, "[method]connection.execute")                                                                      \
    void execute##number(int self, text_t statement, size_t size, const void *params, size_t count, void *ret);        \
    IMPORT(version, "[resource-drop]connection") void drop##number(int self);
CONNECTION(V2, 2)
CONNECTION(V3, 3)

static void say_changes(void)
{
    if (is_error(ret + 8))
        return;
    say_number(number(ret + 8));
    say(" rows\n");
}

static void act(void)
{
    version = (int)number_of(0, 0);
    int self = 0;
    if (version != 1) {
        (version == 3 ? open3 : open2)(WORD(1), ret);
        if (is_error(ret + 4))
            return;
        self = (int)word(ret + 4);
    }
    for (size_t at = 2, end; at < count; at = end + 1) {
        size_t wide = version == 3 ? 24 : 16;
        uint8_t *to = parameters[0];
        for (size_t i = 0; i < sizeof parameters; i++)
            to[i] = 0;
        for (end = at; end < count && !is(end, ";"); end++)
            if (end > at + 1)
                take(end, to + wide * (end - at - 2));
        size_t size = end - at - 2;
        bool query = is(at, "query");
        if (version == 1)
            (query ? query1 : execute1)(WORD(1), WORD(at + 1), to, size, ret);
        else if (version == 2)
            (query ? query2 : execute2)(self, WORD(at + 1), to, size, ret);
        else
            (query ? query3 : execute3)(self, WORD(at + 1), to, size, ret);
        if (!query)
            say_changes();
        else if (!is_error(ret + 4))
            say_rows(ret + 4);
    }
    if (version == 3)
        drop3(self);
    else if (version == 2)
        drop2(self);
}
