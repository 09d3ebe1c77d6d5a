/* See handles.h. */
#include "component/handles.h"

void handles_drain(struct handles *handles, void (*visit)(void *arg, const struct handle *handle), void *arg)
{
    for (uint32_t index = 1; index <= handles->high && handles->live > 0; index++) {
        struct handle handle = handles->entries[index];
        if (handle_kind(&handle) == HANDLE_FREE)
            continue;
        handle_remove(handles, index);
        visit(arg, &handle);
    }
}
