/* See words.h. */
#include "app/words.h"

static bool wrong(struct err *err, const char *what, const char *remedy)
{
    err_set(err, ERR_INVALID, "%s", what);
    return err_remedy(err, "%s", remedy);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

/* ---- ids ---- */

static const char *wrong_word(struct str word, bool lower)
{
    if (word.len == 0)
        return "an empty word";
    if (!is_lower(word.ptr[0]) && !is_upper(word.ptr[0]))
        return "a word that does not begin with a letter";
    for (size_t i = 0; i < word.len; i++) {
        char c = word.ptr[i];
        if (!is_lower(c) && !is_upper(c) && !is_digit(c))
            return "a character that is neither letter nor digit";
        if (is_upper(c) && lower)
            return "a capital letter";
        if (!is_digit(c) && is_upper(c) != is_upper(word.ptr[0]))
            return "a word in mixed case";
    }
    return NULL;
}

/* What is wrong with words that `dash` separates, or NULL. */
static const char *wrong_words(struct str text, char dash, bool lower)
{
    const char *what = text.len > WORDS_ID_MAX ? "more than 256 bytes" : NULL;
    if (!what && str_find(text, dash == '-' ? '_' : '-') < text.len)
        what = dash == '-' ? "'_' where '-' must be" : "'-' where '_' must be";
    while (!what) {
        size_t end = str_find(text, dash);
        what = wrong_word(str_slice(text, 0, end), lower);
        if (end == text.len)
            break;
        text = str_slice(text, end + 1, text.len);
    }
    return what;
}

bool words_kebab(struct str text, struct err *err)
{
    const char *what = wrong_words(text, '-', false);
    return !what || wrong(err, what, "an id is words of letters and digits with '-' between them: front-end, api2");
}

bool words_variable(struct str text, struct err *err)
{
    const char *what = wrong_words(text, '_', true);
    return !what ||
           wrong(err, what, "a variable is words of small letters and digits with '_' between them: api_token");
}

bool words_label(struct str text, struct err *err)
{
    const char *what = wrong_words(text, '-', false);
    if (what && wrong_words(text, '_', false))
        return wrong(err, what, "a label is words of letters and digits, with '-' or '_' between them");
    return true;
}

/* ---- versions ---- */

/* Digits up to something else; no zero in front of others. */
static bool take_number(struct str *text, uint64_t *ret)
{
    uint64_t value = 0;
    size_t at = 0;
    for (; at < text->len && is_digit(text->ptr[at]); at++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text->ptr[at] - '0'), &value))
            return false;
    if (at == 0 || (at > 1 && text->ptr[0] == '0'))
        return false;
    *text = str_slice(*text, at, text->len);
    *ret = value;
    return true;
}

static bool take(struct str *text, char c)
{
    bool there = text->len && text->ptr[0] == c;
    if (there)
        *text = str_slice(*text, 1, text->len);
    return there;
}

/* Identifiers with dots between them, as they stand behind '-' and '+'. Numbers have no zero in front if `strict`. */
static bool take_identifiers(struct str *text, bool strict, struct str *ret)
{
    struct str all = *text;
    for (;;) {
        size_t at = 0;
        bool digits = true;
        for (; at < text->len; at++) {
            char c = text->ptr[at];
            if (!is_digit(c) && !is_lower(c) && !is_upper(c) && c != '-')
                break;
            digits = digits && is_digit(c);
        }
        if (at == 0 || (strict && digits && at > 1 && text->ptr[0] == '0'))
            return false;
        *text = str_slice(*text, at, text->len);
        if (!take(text, '.'))
            break;
    }
    *ret = str_slice(all, 0, (size_t)(text->ptr - all.ptr));
    return true;
}

static bool take_suffixes(struct str *text, struct version *version)
{
    return (!take(text, '-') || take_identifiers(text, true, &version->before)) &&
           (!take(text, '+') || take_identifiers(text, false, &version->build));
}

bool words_version(struct str text, struct version *ret, struct err *err)
{
    struct version version = {0};
    if (take_number(&text, &version.major) && take(&text, '.') && take_number(&text, &version.minor) &&
        take(&text, '.') && take_number(&text, &version.patch) && take_suffixes(&text, &version) && text.len == 0) {
        *ret = version;
        return true;
    }
    return wrong(err, "not a version", "a version is MAJOR.MINOR.PATCH, as semver.org has it: 1.2.3, 0.4.0-rc.1");
}

bool version_compatible(const struct version *a, const struct version *b)
{
    if (a->before.len || b->before.len)
        return str_eq(a->before, b->before) && a->major == b->major && a->minor == b->minor && a->patch == b->patch;
    if (a->major || b->major)
        return a->major == b->major;
    if (a->minor || b->minor)
        return a->minor == b->minor;
    return a->patch == b->patch;
}

static void skip_spaces(struct str *text)
{
    while (take(text, ' ')) {
    }
}

static bool take_wildcard(struct str *text)
{
    return take(text, '*') || take(text, 'x') || take(text, 'X');
}

/* One condition of a requirement. */
enum relation { RELATION_CARET, RELATION_TILDE, RELATION_EXACT, RELATION_LESS, RELATION_GREATER };

struct condition {
    enum relation relation;
    bool explicit, or_equal, wild;
    unsigned parts; /* numbers that are given: 0 is any version */
    struct version version;
};

static void take_relation(struct str *text, struct condition *ret)
{
    if (take(text, '>'))
        ret->relation = RELATION_GREATER;
    else if (take(text, '<'))
        ret->relation = RELATION_LESS;
    else if (take(text, '='))
        ret->relation = RELATION_EXACT;
    else if (take(text, '~'))
        ret->relation = RELATION_TILDE;
    ret->explicit = ret->relation != RELATION_CARET || take(text, '^');
    if (ret->relation >= RELATION_LESS)
        ret->or_equal = take(text, '=');
    skip_spaces(text);
}

/* MAJOR[.MINOR[.PATCH[-...][+...]]], where the later ones may be wildcards, and all behind these. */
static bool take_partial(struct str *text, struct condition *ret)
{
    uint64_t *const numbers[] = {&ret->version.minor, &ret->version.patch};
    if (!take_number(text, &ret->version.major))
        return false;
    ret->parts = 1;
    for (int part = 0; part < 2; part++) {
        if (!take(text, '.'))
            return true;
        if (take_wildcard(text))
            ret->wild = true;
        else if (ret->wild || !take_number(text, numbers[part]))
            return false;
        ret->parts += !ret->wild;
    }
    if (ret->wild && !ret->explicit) /* 1.2.* is any 1.2 */
        ret->relation = RELATION_EXACT;
    return ret->wild || take_suffixes(text, &ret->version);
}

#define CONDITIONS_MAX 32u

/* False: it is no requirement. Of "*" there are none. */
static bool read_requirement(struct str text, struct condition ret[CONDITIONS_MAX], unsigned *ret_count)
{
    struct str whole = text;
    *ret_count = 0;
    skip_spaces(&text);
    if (take_wildcard(&text)) {
        skip_spaces(&text);
        return text.len == 0;
    }
    for (;;) {
        struct condition condition = {0};
        skip_spaces(&text);
        take_relation(&text, &condition);
        if (*ret_count == CONDITIONS_MAX || !take_partial(&text, &condition))
            return false;
        ret[(*ret_count)++] = condition;
        skip_spaces(&text);
        if (!take(&text, ','))
            return text.len == 0 && whole.len;
    }
}

bool words_requirement(struct str text, struct err *err)
{
    struct condition conditions[CONDITIONS_MAX];
    unsigned count;
    return read_requirement(text, conditions, &count) ||
           wrong(err, "not a requirement of a version", "write it as 1.2.3, ^1.2, ~1.2.3, =1.2.3, 1.*, or >=1.2, <2");
}

/* ---- what a requirement permits, as Cargo has it ---- */

static int compare_numbers(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static bool all_digits(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!is_digit(text.ptr[i]))
            return false;
    return true;
}

/* Identifiers: numbers by value and before others, which go by their bytes. */
static int compare_identifiers(struct str a, struct str b)
{
    bool digits_a = all_digits(a), digits_b = all_digits(b);
    size_t size = a.len < b.len ? a.len : b.len;
    if (digits_a != digits_b)
        return digits_a ? -1 : 1;
    if (digits_a && a.len != b.len) /* no zeros in front */
        return a.len < b.len ? -1 : 1;
    int order = memcmp(a.ptr, b.ptr, size);
    return order ? order : compare_numbers(a.len, b.len);
}

static int compare_before(struct str a, struct str b)
{
    if (!a.len || !b.len) /* a release comes behind its candidates */
        return compare_numbers(!a.len, !b.len);
    while (a.len && b.len) {
        size_t end_a = str_find(a, '.'), end_b = str_find(b, '.');
        int order = compare_identifiers(str_slice(a, 0, end_a), str_slice(b, 0, end_b));
        if (order)
            return order;
        a = str_slice(a, end_a + (end_a < a.len), a.len);
        b = str_slice(b, end_b + (end_b < b.len), b.len);
    }
    return compare_numbers(a.len, b.len);
}

int version_compare(const struct version *a, const struct version *b)
{
    int order = compare_numbers(a->major, b->major);
    order = order ? order : compare_numbers(a->minor, b->minor);
    order = order ? order : compare_numbers(a->patch, b->patch);
    return order ? order : compare_before(a->before, b->before);
}

/* The first so many numbers are the same. */
static bool same_parts(const struct version *a, const struct version *b, unsigned parts)
{
    return (parts < 1 || a->major == b->major) && (parts < 2 || a->minor == b->minor) &&
           (parts < 3 || a->patch == b->patch);
}

/* Of a caret: the numbers up to the first that is not 0 stay; of those that are given, at least. */
static unsigned fixed_parts(const struct condition *condition)
{
    const struct version *version = &condition->version;
    unsigned first = version->major ? 1 : version->minor ? 2 : 3;
    return first < condition->parts ? first : condition->parts;
}

static bool meets(const struct version *version, const struct condition *condition)
{
    const struct version *wanted = &condition->version;
    int order = version_compare(version, wanted);
    /* What is not given of "1.2" stands for any number: that is neither less than another 1.2 nor greater. */
    bool among = condition->parts < 3 && same_parts(version, wanted, condition->parts);
    switch (condition->relation) {
    case RELATION_EXACT: return among || order == 0;
    case RELATION_LESS: return order < 0 || (condition->or_equal && (among || order == 0));
    case RELATION_GREATER: return condition->or_equal ? order >= 0 : order > 0 && !among;
    case RELATION_TILDE: return order >= 0 && same_parts(version, wanted, condition->parts < 2 ? 1 : 2);
    default: return order >= 0 && same_parts(version, wanted, fixed_parts(condition));
    }
}

bool version_meets(const struct version *version, struct str requirement)
{
    struct condition conditions[CONDITIONS_MAX];
    unsigned count;
    if (!read_requirement(requirement, conditions, &count))
        return false;
    bool candidate = version->before.len == 0; /* else somebody must have asked for one of this release */
    for (unsigned i = 0; i < count; i++) {
        if (!meets(version, &conditions[i]))
            return false;
        candidate |= conditions[i].version.before.len && same_parts(version, &conditions[i].version, 3);
    }
    return candidate;
}

/* ---- others ---- */

bool words_digest(struct str text, struct err *err)
{
    struct str prefix = STR("sha256:");
    bool good = str_starts(text, prefix) && text.len == prefix.len + 64;
    for (size_t i = prefix.len; good && i < text.len; i++)
        good = is_digit(text.ptr[i]) || (text.ptr[i] >= 'a' && text.ptr[i] <= 'f');
    return good || wrong(err, "not a digest",
                         "a digest is sha256: and 64 hexadecimal digits in lower case, as sha256sum prints it");
}

bool words_package(struct str text, struct err *err)
{
    size_t colon = str_find(text, ':');
    if (colon < text.len && !wrong_words(str_slice(text, 0, colon), '-', false) &&
        !wrong_words(str_slice(text, colon + 1, text.len), '-', false))
        return true;
    return wrong(err, "not the name of a package",
                 "a package is namespace:name, each words with '-' between them: wasi:http");
}

bool words_registry(struct str text, struct err *err)
{
    size_t colon = str_find(text, ':');
    bool good = colon > 0 && colon + 1 != text.len;
    for (size_t i = 0; good && i < text.len; i++) {
        char c = text.ptr[i];
        good = is_digit(c) || c == ':' || (i < colon && (is_lower(c) || is_upper(c) || c == '-' || c == '.'));
        good = good && (c != ':' || i == colon);
    }
    return good || wrong(err, "not a registry", "a registry is a host, perhaps with a port: ghcr.io, localhost:5000");
}

bool words_url(struct str text, struct err *err)
{
    size_t at = str_starts(text, STR("https://")) ? 8 : str_starts(text, STR("http://")) ? 7 : text.len;
    bool good = at < text.len && text.ptr[at] != '/' && text.ptr[at] != '?' && text.ptr[at] != '#';
    for (size_t i = 0; good && i < text.len; i++)
        good = (unsigned char)text.ptr[i] > 0x20 && text.ptr[i] != 0x7f;
    return good || wrong(err, "not a URL", "write where it is: https://example.com/component.wasm");
}

/* A set [..] from behind its bracket to behind the closing one; a closing one right at the start is a member. */
static bool skip_set(struct str text, size_t *at)
{
    size_t i = *at + (*at < text.len && text.ptr[*at] == '!');
    for (i++; i < text.len; i++)
        if (text.ptr[i] == ']') {
            *at = i + 1;
            return true;
        }
    return false;
}

static bool stars_alone(struct str text, size_t from, size_t to)
{
    return (from == 0 || text.ptr[from - 1] == '/') && (to == text.len || text.ptr[to] == '/');
}

bool words_glob(struct str text, struct err *err)
{
    for (size_t i = 0; i < text.len;) {
        if (text.ptr[i] == '[') {
            i++;
            if (!skip_set(text, &i))
                return wrong(err, "a '[' without its ']'", "close the set: [a-z]; or write [[] for the character");
            continue;
        }
        size_t from = i;
        while (i < text.len && text.ptr[i] == '*')
            i++;
        if (i - from > 2)
            return wrong(err, "more than two '*' in a row", "write * for anything in a name, ** for folders");
        if (i - from == 2 && !stars_alone(text, from, i))
            return wrong(err, "'**' beside other characters", "'**' stands alone between slashes: assets/**/*.png");
        i += i == from;
    }
    return true;
}

/* ---- imports ---- */

bool words_import(struct str text, struct words_import *ret, struct err *err)
{
    struct words_import import = {0};
    if (str_find(text, ':') == text.len && str_find(text, '/') == text.len) {
        import.plain = text;
        if (!words_kebab(text, err))
            return false;
        *ret = import;
        return true;
    }
    size_t at = str_find(text, '@');
    struct str name = str_slice(text, 0, at);
    size_t slash = str_find(name, '/');
    import.versioned = at < text.len;
    import.package = str_slice(name, 0, slash);
    if (import.versioned && !words_version(str_slice(text, at + 1, text.len), &import.version, err))
        return false;
    if (!words_package(import.package, err))
        return false;
    if (slash < name.len) {
        import.interface = str_slice(name, slash + 1, name.len);
        if (!words_kebab(import.interface, err))
            return false;
    }
    *ret = import;
    return true;
}

bool words_imports_overlap(const struct words_import *a, const struct words_import *b)
{
    if (a->plain.len || b->plain.len || !str_eq(a->package, b->package))
        return false;
    if (a->versioned && b->versioned && !version_compatible(&a->version, &b->version))
        return false;
    return a->interface.len == 0 || b->interface.len == 0 || str_eq(a->interface, b->interface);
}
