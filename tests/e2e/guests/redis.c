/* Does what the path says with a Redis server, and answers with the outcome:
 *
 *     /2/ADDRESS/get|set|incr|del|sadd|smembers|srem|publish|execute/WORD...     in one connection; more behind a ;
 *     /1/ADDRESS/the same                                                        without connections
 *
 * An argument of execute that begins with # is a number. */
#include "service.h"

#define NEW "fermyon:spin/redis@2.0.0"
#define OLD "fermyon:spin/redis"

IMPORT(NEW, "[static]connection.open") void new_open(text_t address, size_t size, void *ret);
IMPORT(NEW, "[method]connection.publish")
void new_publish(int self, text_t channel, size_t size, text_t payload, size_t payload_size, void *ret);
IMPORT(NEW, "[method]connection.get") void new_get(int self, text_t key, size_t size, void *ret);
IMPORT(NEW, "[method]connection.set")
void new_set(int self, text_t key, size_t size, text_t value, size_t value_size, void *ret);
IMPORT(NEW, "[method]connection.incr") void new_incr(int self, text_t key, size_t size, void *ret);
IMPORT(NEW, "[method]connection.del") void new_del(int self, const void *keys, size_t count, void *ret);
IMPORT(NEW, "[method]connection.sadd")
void new_sadd(int self, text_t key, size_t size, const void *values, size_t count, void *ret);
IMPORT(NEW, "[method]connection.smembers") void new_smembers(int self, text_t key, size_t size, void *ret);
IMPORT(NEW, "[method]connection.srem")
void new_srem(int self, text_t key, size_t size, const void *values, size_t count, void *ret);
IMPORT(NEW, "[method]connection.execute")
void new_execute(int self, text_t command, size_t size, const void *arguments, size_t count, void *ret);
IMPORT(NEW, "[resource-drop]connection") void new_drop(int self);

IMPORT(OLD, "publish")
void old_publish(text_t address, size_t, text_t channel, size_t size, text_t payload, size_t payload_size, void *ret);
IMPORT(OLD, "get") void old_get(text_t address, size_t, text_t key, size_t size, void *ret);
IMPORT(OLD, "set")
void old_set(text_t address, size_t, text_t key, size_t size, text_t value, size_t value_size, void *ret);
IMPORT(OLD, "incr") void old_incr(text_t address, size_t, text_t key, size_t size, void *ret);
IMPORT(OLD, "del") void old_del(text_t address, size_t, const void *keys, size_t count, void *ret);
IMPORT(OLD, "sadd")
void old_sadd(text_t address, size_t, text_t key, size_t size, const void *values, size_t count, void *ret);
IMPORT(OLD, "smembers") void old_smembers(text_t address, size_t, text_t key, size_t size, void *ret);
IMPORT(OLD, "srem")
void old_srem(text_t address, size_t, text_t key, size_t size, const void *values, size_t count, void *ret);
IMPORT(OLD, "execute")
void old_execute(text_t address, size_t, text_t command, size_t size, const void *arguments, size_t count, void *ret);

/* ---- arguments ---- */

static struct {
    uint32_t tag, fill;
    union {
        int64_t number;
        struct {
            text_t text;
            size_t size;
        };
    };
} arguments[WORDS];

static size_t take_arguments(size_t from, size_t end)
{
    for (size_t i = from; i < end; i++) {
        bool is_number = words[i].size && words[i].text[0] == '#';
        arguments[i - from].tag = !is_number;
        if (is_number) {
            arguments[i - from].number = number_of(i, 1);
        } else {
            arguments[i - from].text = words[i].text;
            arguments[i - from].size = words[i].size;
        }
    }
    return end - from;
}

/* ---- results; `at`: where the payload of the result is ---- */

static void say_member(uint32_t at)
{
    say_string((uint8_t *)at);
    say("\n");
}

static void say_members(const uint8_t *at)
{
    for (uint32_t i = 0; i < word(at + 4); i++)
        say_member(word(at) + 8 * i);
}

static void say_results(const uint8_t *at)
{
    for (uint32_t i = 0; i < word(at + 4); i++) {
        const uint8_t *result = (uint8_t *)word(at) + 16 * i;
        switch (result[0]) {
        case 0: say("nil"); break;
        case 1:
            say("status ");
            say_string(result + 8);
            break;
        case 2:
            say("number ");
            say_number(number(result + 8));
            break;
        default: say("bytes "); say_string(result + 8);
        }
        say("\n");
    }
}

static bool is_error(const uint8_t *at)
{
    static const text_t names[] = {"invalid-address", "too-many-connections", "type-error", "other"};
    if (!ret[0])
        return false;
    status = 500;
    say(names[at[0]]);
    if (at[0] == 3) {
        say(": ");
        say_string(at + 4);
    }
    say("\n");
    return true;
}

static void say_count(uint32_t value)
{
    say_number(value);
    say("\n");
}

/* ---- 2.0.0 ---- */

static void say_done(void)
{
    if (!is_error(ret + 4))
        say("done\n");
}

static void do_new(int self, size_t at, size_t end)
{
    size_t rest = end - at - 1;
    if (is(at, "get")) {
        new_get(self, WORD(at + 1), ret);
        if (is_error(ret + 4))
            return;
        if (ret[4])
            say_string(ret + 8);
        say(ret[4] ? "\n" : "nothing\n");
    } else if (is(at, "set")) {
        new_set(self, WORD(at + 1), WORD(at + 2), ret);
        say_done();
    } else if (is(at, "publish")) {
        new_publish(self, WORD(at + 1), WORD(at + 2), ret);
        say_done();
    } else if (is(at, "incr")) {
        new_incr(self, WORD(at + 1), ret);
        if (is_error(ret + 8))
            return;
        say_number(number(ret + 8));
        say("\n");
    } else if (is(at, "del")) {
        new_del(self, &words[at + 1], rest, ret);
        if (!is_error(ret + 4))
            say_count(word(ret + 4));
    } else if (is(at, "sadd")) {
        new_sadd(self, WORD(at + 1), &words[at + 2], rest - 1, ret);
        if (!is_error(ret + 4))
            say_count(word(ret + 4));
    } else if (is(at, "srem")) {
        new_srem(self, WORD(at + 1), &words[at + 2], rest - 1, ret);
        if (!is_error(ret + 4))
            say_count(word(ret + 4));
    } else if (is(at, "smembers")) {
        new_smembers(self, WORD(at + 1), ret);
        if (!is_error(ret + 4))
            say_members(ret + 4);
    } else {
        new_execute(self, WORD(at + 1), arguments, take_arguments(at + 2, end), ret);
        if (!is_error(ret + 4))
            say_results(ret + 4);
    }
}

static void do_all(void)
{
    new_open(WORD(1), ret);
    if (is_error(ret + 4))
        return;
    int self = (int)word(ret + 4);
    for (size_t at = 2, end; at < count; at = end + 1) {
        for (end = at; end < count && !is(end, ";");)
            end++;
        do_new(self, at, end);
    }
    new_drop(self);
}

/* ---- without a version ---- */

static bool is_old_error(void)
{
    if (!ret[0])
        return false;
    status = 500;
    say("error\n");
    return true;
}

static void say_old_number(void)
{
    if (is_old_error())
        return;
    say_number(number(ret + 8));
    say("\n");
}

static void do_old(void)
{
    if (is(2, "get")) {
        old_get(WORD(1), WORD(3), ret);
        if (is_old_error())
            return;
        say_string(ret + 4);
        say("\n");
    } else if (is(2, "set")) {
        old_set(WORD(1), WORD(3), WORD(4), ret);
        if (!is_old_error())
            say("done\n");
    } else if (is(2, "publish")) {
        old_publish(WORD(1), WORD(3), WORD(4), ret);
        if (!is_old_error())
            say("done\n");
    } else if (is(2, "incr")) {
        old_incr(WORD(1), WORD(3), ret);
        say_old_number();
    } else if (is(2, "del")) {
        old_del(WORD(1), &words[3], count - 3, ret);
        say_old_number();
    } else if (is(2, "sadd")) {
        old_sadd(WORD(1), WORD(3), &words[4], count - 4, ret);
        say_old_number();
    } else if (is(2, "srem")) {
        old_srem(WORD(1), WORD(3), &words[4], count - 4, ret);
        say_old_number();
    } else if (is(2, "smembers")) {
        old_smembers(WORD(1), WORD(3), ret);
        if (!is_old_error())
            say_members(ret + 4);
    } else {
        old_execute(WORD(1), WORD(3), arguments, take_arguments(4, count), ret);
        if (!is_old_error())
            say_results(ret + 4);
    }
}

static void act(void)
{
    if (is(0, "2"))
        do_all();
    else
        do_old();
}
