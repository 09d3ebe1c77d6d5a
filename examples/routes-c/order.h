/* An order as JSON: {"customer": TEXT, "items": [{"count": N, "cents": N}, ...]}; other members are passed over. */
#ifndef ROUTES_ORDER_H
#define ROUTES_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct order {
    const char *customer; /* the JSON string with its quotes, inside of the text that was parsed */
    size_t customer_length;
    uint64_t pieces; /* sums saturate */
    uint64_t cents;
};

/* False if `text` is no JSON or no order. */
bool order_parse(const char *text, size_t length, struct order *ret);

#endif
