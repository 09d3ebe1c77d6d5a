/* See idna.h. */
#include "io/idna.h"

#include "base/library.h"
#include "base/log.h"

#include <idn2.h>

#define TEXT_MAX ((size_t)4 * IO_NAME_MAX)

static __typeof__(&idn2_to_ascii_8z) to_ascii;
static __typeof__(&idn2_free) release;

static bool load(void)
{
    static const struct library_symbol symbols[] = {{"idn2_to_ascii_8z", (void **)&to_ascii},
                                                    {"idn2_free", (void **)&release}};
    static const struct library library = {"libidn2.so.0", "names in Unicode cannot be looked up",
                                           "install libidn2 (Debian: libidn2-0)", symbols,
                                           sizeof symbols / sizeof *symbols};
    static bool tried, loaded;
    struct err err = {0};
    if (!tried && !(loaded = library_load(&library, &err)))
        log_line(LOG_ERROR, NULL, "%s; %s", err.message, library.remedy);
    tried = true;
    return loaded;
}

void io_idna_prepare(void)
{
    load();
}

static bool is_ascii(struct str name)
{
    for (size_t i = 0; i < name.len; i++)
        if ((uint8_t)name.ptr[i] >= 0x80)
            return false;
    return true;
}

static bool take(const char *text, size_t size, char ret_ascii[IO_NAME_MAX + 2])
{
    if (size > IO_NAME_MAX + 1 || (size && memchr(text, 0, size)))
        return false;
    memcpy(ret_ascii, text, size);
    ret_ascii[size] = '\0';
    return true;
}

enum io_idna io_idna(struct str name, char ret_ascii[IO_NAME_MAX + 2])
{
    char text[TEXT_MAX + 1], *ascii = NULL;
    if (is_ascii(name))
        return take(name.ptr, name.len, ret_ascii) ? IO_IDNA_DONE : IO_IDNA_NO_NAME;
    if (name.len > TEXT_MAX || memchr(name.ptr, 0, name.len))
        return IO_IDNA_NO_NAME;
    if (!load())
        return IO_IDNA_MISSING;
    memcpy(text, name.ptr, name.len);
    text[name.len] = '\0';
    if (to_ascii(text, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
        return IO_IDNA_NO_NAME;
    bool done = take(ascii, strlen(ascii), ret_ascii);
    release(ascii);
    return done ? IO_IDNA_DONE : IO_IDNA_NO_NAME;
}
