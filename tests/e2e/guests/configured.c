/* A function that answers with the variable of that name, or with what is said when there is none. It speaks the
 * canonical ABI itself, as storage.c does. */
#include <stddef.h>
#include <stdint.h>

__attribute__((import_module("fermyon:spin/variables@2.0.0"), import_name("get"))) void get(const char *name,
                                                                                            size_t size, void *ret);

static _Alignas(8) uint8_t ret[16], answer[12];
static uint8_t text[2][4096]; /* the name, and what is answered */
static int used;

__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size)
{
    return size <= sizeof text[0] && used < 2 ? text[used++] : NULL;
}

__attribute__((export_name("variable"))) void *variable(const char *name, size_t size)
{
    get(name, size, ret);
    answer[0] = ret[0];
    for (int i = 0; i < 8; i++) /* behind an error's case */
        answer[4 + i] = ret[(ret[0] ? 8 : 4) + i];
    return answer;
}
