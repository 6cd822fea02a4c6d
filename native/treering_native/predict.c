// Request bodies to predictions: plain CSV and plain JSON, which nearly all requests are. Whatever is not plain or may be
// wrong (quotes in a cell, escapes, letters beyond ASCII, exponents, numbers of 16 digits, a value that is none, a column
// that is not there) makes the whole body "not plain": the caller then reads it with all the rules, and finds the words
// for what is wrong. What is read here must be read just so by those rules too.
#include "reader.h"

#include <stdlib.h>
#include <string.h>

#define NOT_PLAIN (-1)
#define BLOCK 1024  // rows that a thread predicts at once

// Predictions for the rows of a body of `length` bytes: their number, at most `capacity`, or NOT_PLAIN.
// `format`: 0 to 2 for CSV (see csv_start), 3 for JSON.
EXPORT int64_t predict(const model *m, const char *body, size_t length, int format, double *predictions, size_t capacity)
{
    size_t block = (size_t)BLOCK * m->threads;
    uint32_t most_waiting = (uint32_t)(capacity < block ? capacity : block);
    size_t rows = (size_t)most_waiting * m->forest.features;
    size_t bytes = MOST_COLUMNS * (sizeof(text) + sizeof(int32_t)) + m->number_count * sizeof(double) +
                   m->column_count * sizeof(uint32_t) + rows * sizeof(float);
    char *memory = most_waiting ? malloc(bytes) : NULL;
    if (!memory)
        return NOT_PLAIN;
    reader r = {.model = m, .at = body, .end = body + length, .most_waiting = most_waiting};
    r.cells = (text *)memory;
    r.numbers = (double *)(r.cells + MOST_COLUMNS);
    r.columns = (int32_t *)(r.numbers + m->number_count);
    r.seen = (uint32_t *)(r.columns + MOST_COLUMNS);
    r.rows = (float *)(r.seen + m->column_count);
    r.predictions = predictions;
    r.capacity = capacity;
    memset(r.seen, 0, m->column_count * sizeof(uint32_t));
    bool plain = format == 3 ? json(&r) : csv(&r, format);
    if (plain)
        predict_waiting(&r);
    free(memory);
    return plain && r.predicted ? (int64_t)r.predicted : NOT_PLAIN;
}
