/* See pack.h. */
#include "codegen/pack.h"

#include "base/alloc.h"
#include "base/map.h"

#include <stdlib.h>
#include <string.h>

#define PACK_MAGIC UINT64_C(0x316b636170666d) /* "mfpack1" */

struct pack_head {
    uint64_t magic;
    uint32_t count, zero;
    uint64_t size; /* of the whole pack */
};

struct pack_row {
    uint8_t key[SURVEY_KEY_BYTES];
    uint64_t offset, size; /* of the piece, from the start of the pack */
};

struct pack pack_open(const uint8_t *bytes, size_t size)
{
    const struct pack_head *head = (const struct pack_head *)bytes;
    if (size < sizeof *head || (uintptr_t)bytes % 8 || head->magic != PACK_MAGIC || head->size != size ||
        head->count > (size - sizeof *head) / sizeof(struct pack_row))
        return (struct pack){0};
    return (struct pack){bytes, size, (const struct pack_row *)(head + 1), head->count};
}

static int by_key(const void *a, const void *b)
{
    return memcmp(((const struct pack_row *)a)->key, ((const struct pack_row *)b)->key, SURVEY_KEY_BYTES);
}

static const struct pack_row *find(const struct pack *pack, const uint8_t *key)
{
    struct pack_row wanted;
    memcpy(wanted.key, key, SURVEY_KEY_BYTES);
    const struct pack_row *row = pack->count ? bsearch(&wanted, pack->rows, pack->count, sizeof wanted, by_key) : NULL;
    bool whole = row && row->offset % 8 == 0 && row->offset <= pack->size && row->size <= pack->size - row->offset;
    return whole ? row : NULL;
}

/* The symbols of a piece that was found in order, to be written. */
static struct piece_symbol *symbols_of(uint8_t *bytes, const struct piece *piece)
{
    return (struct piece_symbol *)(bytes + ((const uint8_t *)piece->symbols - (const uint8_t *)piece->head));
}

static bool name_symbols(uint8_t *bytes, const struct piece *piece, const struct survey_func *func)
{
    struct piece_symbol *symbols = symbols_of(bytes, piece);
    for (uint32_t i = 0; i < piece->head->symbol_count; i++) {
        if (symbols[i].kind == CODE_ROUTINE)
            continue;
        if (symbols[i].kind != PIECE_REFERENCE || symbols[i].func >= func->symbol_count)
            return false;
        symbols[i] = func->symbols[symbols[i].func];
    }
    return true;
}

bool pack_take(const struct pack *pack, const struct survey_func *func, struct buf *ret_piece)
{
    const struct pack_row *row = find(pack, func->key);
    struct piece piece;
    size_t start = ret_piece->size;
    if (!row || !piece_read(pack->bytes + row->offset, row->size, &piece, NULL))
        return false;
    if (buf_append(ret_piece, pack->bytes + row->offset, row->size) &&
        name_symbols(ret_piece->data + start, &piece, func))
        return true;
    ret_piece->size = start;
    return false;
}

/* Name the functions in the order of first mention. False: one is not mentioned, or no memory. */
static bool number_symbols(uint8_t *bytes, const struct piece *piece, const struct survey_func *func)
{
    struct piece_symbol *symbols = symbols_of(bytes, piece);
    struct map numbers = {0};
    bool done = true;
    for (uint32_t i = 0; done && i < func->symbol_count; i++)
        done = map_put(&numbers, (struct str){(const char *)&func->symbols[i], sizeof *func->symbols}, i);
    for (uint32_t i = 0; done && i < piece->head->symbol_count; i++) {
        uint32_t number = 0;
        if (symbols[i].kind == CODE_ROUTINE)
            continue;
        done = map_get(&numbers, (struct str){(const char *)&symbols[i], sizeof *symbols}, &number);
        symbols[i] = (struct piece_symbol){PIECE_REFERENCE, 0, number};
    }
    map_free(&numbers);
    return done;
}

struct writer {
    struct buf *out;
    size_t start;
    struct pack_row *rows;
    uint32_t count;
};

static bool add_piece(struct writer *writer, const struct survey_func *func, const struct buf *from)
{
    struct piece piece;
    size_t at = writer->out->size;
    if (!piece_read(from->data, from->size, &piece, NULL))
        return true;
    if (!buf_append(writer->out, from->data, from->size))
        return false;
    if (!number_symbols(writer->out->data + at, &piece, func)) {
        writer->out->size = at;
        return true;
    }
    struct pack_row *row = &writer->rows[writer->count++];
    memcpy(row->key, func->key, sizeof row->key);
    row->offset = at - writer->start;
    row->size = from->size;
    return true;
}

static bool write_pieces(struct writer *writer, const struct survey *survey, const struct buf *const *pieces)
{
    size_t table = sizeof(struct pack_head) + survey->func_count * sizeof *writer->rows;
    if (!buf_align(writer->out, 8))
        return false;
    writer->start = writer->out->size;
    if (!buf_extend(writer->out, table))
        return false;
    memset(writer->out->data + writer->start, 0, table);
    for (uint32_t i = 0; i < survey->func_count; i++)
        if (!add_piece(writer, &survey->funcs[i], pieces[i]))
            return false;
    return true;
}

bool pack_write(const struct survey *survey, const struct buf *const *pieces, struct buf *ret_pack, struct err *err)
{
    struct writer writer = {.out = ret_pack};
    writer.rows = mem_alloc((size_t)survey->func_count + 1, sizeof *writer.rows);
    bool done = writer.rows && write_pieces(&writer, survey, pieces);
    if (done) {
        qsort(writer.rows, writer.count, sizeof *writer.rows, by_key);
        const struct pack_head head = {PACK_MAGIC, writer.count, 0, ret_pack->size - writer.start};
        uint8_t *at = ret_pack->data + writer.start;
        memcpy(at, &head, sizeof head);
        if (writer.count)
            memcpy(at + sizeof head, writer.rows, writer.count * sizeof *writer.rows);
    }
    mem_free(writer.rows);
    return done || err_memory(err);
}
