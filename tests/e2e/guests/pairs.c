/* Writes and reads pairs of a key-value store, both at once:
 *
 *     /put/LABEL/KEY/VALUE/KEY/VALUE     -> done
 *     /get/LABEL/KEY/KEY                 -> a line for each: its value behind =, or nothing
 */
#include "service.h"

#define STORE "wasi:keyvalue/store@0.2.0-draft2"
#define BATCH "wasi:keyvalue/batch@0.2.0-draft2"

IMPORT(STORE, "open") void bucket_open(text_t label, size_t size, void *ret);
IMPORT(BATCH, "set-many") void set_many(int bucket, const void *pairs, size_t count, void *ret);
IMPORT(BATCH, "get-many") void get_many(int bucket, const void *keys, size_t count, void *ret);

static bool is_error(void)
{
    static const text_t names[] = {"no-such-store", "access-denied", "other"};
    if (!ret[0])
        return false;
    status = 500;
    say(names[ret[4]]);
    if (ret[4] == 2) {
        say(": ");
        say_string(ret + 8);
    }
    say("\n");
    return true;
}

/* A key and, if there is one, its value. */
static void say_found(const uint8_t *at)
{
    say_string(at);
    if (at[8]) {
        say("=");
        say_string(at + 12);
    }
    say("\n");
}

static void act(void)
{
    bucket_open(WORD(1), ret);
    if (is_error())
        return;
    int bucket = (int)word(ret + 4);
    bool put = is(0, "put");
    if (put)
        set_many(bucket, &words[2], (count - 2) / 2, ret);
    else
        get_many(bucket, &words[2], count - 2, ret);
    if (is_error())
        return;
    for (uint32_t i = 0; !put && i < word(ret + 8); i++)
        say_found((uint8_t *)word(ret + 4) + 20 * i);
    if (put)
        say("done\n");
}
