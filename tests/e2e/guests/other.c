/* A library whose function has another type; see other.wit. */
#include "plain.h"

EXPORT("test:words/count@1.3.0#count") uint32_t count(const char *text, size_t size)
{
    return size;
}
