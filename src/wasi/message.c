/* See message.h. */
#include "wasi/message.h"

const uint8_t http_token_lower[256] = {
    ['!'] = '!',
    ['#'] = '#',
    ['$'] = '$',
    ['%'] = '%',
    ['&'] = '&',
    ['\''] = '\'',
    ['*'] = '*',
    ['+'] = '+',
    ['-'] = '-',
    ['.'] = '.',
    ['^'] = '^',
    ['_'] = '_',
    ['`'] = '`',
    ['|'] = '|',
    ['~'] = '~',
#define LETTER(upper, lower) [upper] = lower, [lower] = lower,
    LETTER('A', 'a') LETTER('B', 'b') LETTER('C', 'c') LETTER('D', 'd') LETTER('E', 'e') LETTER('F', 'f')
        LETTER('G', 'g') LETTER('H', 'h') LETTER('I', 'i') LETTER('J', 'j') LETTER('K', 'k') LETTER('L', 'l')
            LETTER('M', 'm') LETTER('N', 'n') LETTER('O', 'o') LETTER('P', 'p') LETTER('Q', 'q') LETTER('R', 'r')
                LETTER('S', 's') LETTER('T', 't') LETTER('U', 'u') LETTER('V', 'v') LETTER('W', 'w') LETTER('X', 'x')
                    LETTER('Y', 'y') LETTER('Z', 'z')
#undef LETTER
                        ['0'] = '0',
    ['1'] = '1',
    ['2'] = '2',
    ['3'] = '3',
    ['4'] = '4',
    ['5'] = '5',
    ['6'] = '6',
    ['7'] = '7',
    ['8'] = '8',
    ['9'] = '9',
};

#define EVERY(byte) (UINT64_C(0x0101010101010101) * (byte))

static bool is_control(char c)
{
    return c != '\t' && ((uint8_t)c < 0x20 || c == 0x7f);
}

/* Marks, by their high bits, the bytes below 0x20 and those that are 0x7f: the lowest mark is exact. */
static uint64_t mark_controls(uint64_t word)
{
    uint64_t del = word ^ EVERY(0x7f);
    return (((word - EVERY(0x20)) & ~word) | ((del - EVERY(1)) & ~del)) & EVERY(0x80);
}

/* The first byte from `p` on that no field value may hold, or `end`. Machines are little-endian here:
 * the lowest byte of a word is the first. */
const char *http_skip_value(const char *p, const char *end)
{
    while (end - p >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        uint64_t marks = mark_controls(word);
        if (!marks) {
            p += 8;
            continue;
        }
        p += __builtin_ctzll(marks) / 8;
        if (*p != '\t')
            return p;
        p++;
    }
    while (p < end && !is_control(*p))
        p++;
    return p;
}

static const char *skip_token(const char *p, const char *end)
{
    while (p < end && http_token_lower[(uint8_t)*p])
        p++;
    return p;
}

bool http_is_token(struct str name)
{
    return name.len && skip_token(name.ptr, name.ptr + name.len) == name.ptr + name.len;
}

bool http_is_value(struct str value)
{
    return value.len == 0 || http_skip_value(value.ptr, value.ptr + value.len) == value.ptr + value.len;
}

bool http_is_same(struct str text, struct str lower)
{
    if (text.len != lower.len)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (http_token_lower[(uint8_t)text.ptr[i]] != (uint8_t)lower.ptr[i])
            return false;
    return true;
}

bool http_read_length(struct str value, uint64_t *ret_length)
{
    uint64_t length = 0;
    for (size_t i = 0; i < value.len; i++) {
        unsigned digit = (unsigned)(uint8_t)value.ptr[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(length, 10, &length) || __builtin_add_overflow(length, digit, &length))
            return false;
    }
    *ret_length = length;
    return value.len > 0;
}
