/* A library that wants what nobody has; see stray.wit. */
#include "plain.h"

IMPORT("test:more/thing@1.0.0", "number") uint32_t number(void);

EXPORT("greet") void *greet(const char *name, size_t size)
{
    static uint32_t answer[2];
    say_number(number());
    say_text((struct text){name, size});
    answer[0] = (uint32_t)(size_t)report;
    answer[1] = reported;
    return answer;
}
