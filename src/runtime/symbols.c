/* See symbols.h. */
#include "runtime/symbols.h"

#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAP_BYTES_MAX ((size_t)1 << 30)

static char printable(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f ? '?' : c;
}

void symbols_name(const struct image *image, const struct image_func *func, char ret_name[SYMBOL_NAME_MAX])
{
    static const char *const kinds[] = {"function", "import", "routine", "initializer"};
    struct str name = image_str(image, func->name);
    size_t size = name.len < SYMBOL_NAME_MAX - 1 ? name.len : SYMBOL_NAME_MAX - 1;
    if (!size) {
        const char *kind = func->kind < sizeof kinds / sizeof *kinds ? kinds[func->kind] : "code";
        snprintf(ret_name, SYMBOL_NAME_MAX, "wasm%u.%s%u", func->unit, kind, func->func);
        return;
    }
    for (size_t i = 0; i < size; i++)
        ret_name[i] = printable(name.ptr[i]);
    ret_name[size] = '\0';
}

/* --- perf --- */

static bool move_text(const struct program *program, struct err *err)
{
    size_t size = program->text_high - program->text_low;
    void *text = (void *)program->text_low;
    if (!size)
        return true;
    void *copy = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (copy == MAP_FAILED)
        return err_errno(err, "cannot move the code for perf");
    memcpy(copy, text, size);
    /* In this order: the kernel tells perf of what becomes executable, and of where that is then. */
    if (mremap(copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, text) != MAP_FAILED)
        return mprotect(text, size, PROT_READ | PROT_EXEC) == 0 || err_errno(err, "cannot move the code for perf");
    err_errno(err, "cannot move the code for perf");
    munmap(copy, size);
    return false;
}

static bool list_functions(const struct program *program, struct buf *text)
{
    char name[SYMBOL_NAME_MAX];
    const struct image_func *funcs = image_funcs(&program->image);
    for (uint64_t i = 0; i < image_funcs_count(&program->image); i++) {
        symbols_name(&program->image, &funcs[i], name);
        buf_printf(text, "%llx %x %s\n", (unsigned long long)((uint64_t)program->image.base + funcs[i].code_off),
                   funcs[i].code_size, name);
    }
    return !text->failed;
}

/* The file of this process, made anew the first time: whatever has the name from an earlier process goes. */
static int open_map(struct err *err)
{
    static int fd = -1;
    char path[PATH_MAX];
    if (fd >= 0)
        return fd;
    snprintf(path, sizeof path, "/tmp/perf-%ld.map", (long)getpid());
    if (unlink(path) != 0 && errno != ENOENT)
        err_errno(err, "cannot replace %s", path);
    else if ((fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600)) < 0)
        err_errno(err, "cannot write %s", path);
    return fd;
}

bool symbols_prepare_perf(struct err *err)
{
    return open_map(err) >= 0;
}

bool symbols_for_perf(struct program *program, struct err *err)
{
    struct buf text;
    int fd = open_map(err);
    if (program->mapping->told) /* by another program, whose instances may be running in it */
        return true;
    if (fd < 0)
        return false;
    buf_init(&text, MAP_BYTES_MAX);
    bool done = list_functions(program, &text) || err_memory(err);
    if (done && write(fd, text.data, text.size) != (ssize_t)text.size)
        done = err_errno(err, "cannot write the map of functions for perf");
    buf_free(&text);
    program->mapping->told = done = done && move_text(program, err);
    return done;
}

/* --- gdb: names and shapes are those of its manual --- */

struct jit_code_entry {
    struct jit_code_entry *next, *prev;
    const char *symfile;
    uint64_t symfile_size;
};

struct jit_descriptor {
    uint32_t version, action;
    struct jit_code_entry *relevant, *first;
};

enum { JIT_NOTHING, JIT_REGISTER, JIT_UNREGISTER };

void __jit_debug_register_code(void);
extern struct jit_descriptor __jit_debug_descriptor;

struct jit_descriptor __jit_debug_descriptor = {.version = 1};

/* The debugger has a breakpoint here. */
__attribute__((noinline)) void __jit_debug_register_code(void)
{
    __asm__ volatile("" ::: "memory");
}

struct registered {
    struct jit_code_entry entry; /* the first member: gdb's list is ours */
    const struct program *program;
    struct buf elf;
};

static void notify(struct jit_code_entry *entry, uint32_t action)
{
    __jit_debug_descriptor.relevant = entry;
    __jit_debug_descriptor.action = action;
    __jit_debug_register_code();
    __jit_debug_descriptor.action = JIT_NOTHING;
}

bool symbols_for_gdb(const struct program *program, struct err *err)
{
    struct registered *made = mem_alloc(1, sizeof *made);
    if (!made || !symbols_elf(program, &made->elf)) {
        mem_free(made);
        return err_memory(err);
    }
    made->program = program;
    made->entry = (struct jit_code_entry){
        .next = __jit_debug_descriptor.first, .symfile = (const char *)made->elf.data, .symfile_size = made->elf.size};
    if (made->entry.next)
        made->entry.next->prev = &made->entry;
    __jit_debug_descriptor.first = &made->entry;
    notify(&made->entry, JIT_REGISTER);
    return true;
}

static void unregister(struct registered *made)
{
    struct jit_code_entry *entry = &made->entry;
    if (entry->prev)
        entry->prev->next = entry->next;
    else
        __jit_debug_descriptor.first = entry->next;
    if (entry->next)
        entry->next->prev = entry->prev;
    notify(entry, JIT_UNREGISTER);
    buf_free(&made->elf);
    mem_free(made);
}

void symbols_forget(const struct program *program)
{
    struct jit_code_entry *next;
    for (struct jit_code_entry *entry = __jit_debug_descriptor.first; entry; entry = next) {
        next = entry->next;
        if (((struct registered *)entry)->program == program)
            unregister((struct registered *)entry);
    }
}
