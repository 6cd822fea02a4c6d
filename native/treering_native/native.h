// A forest and the preprocessing before it, as plain arrays that the caller owns and has checked.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))

// All trees lie one after the other, a node's left child right behind it. `where` holds the feature asked for (10 bits)
// and the distance to the right child (22 bits). A leaf has the distance 0 and no number (NaN) as its limit, so that going
// on from it leads to itself; behind it, in the place of a node, stands its prediction, a double.
typedef struct {
    float limit;
    uint32_t where;
} node;

typedef struct {
    const node *nodes;
    const uint32_t *roots;
    uint32_t trees;
    uint32_t features;  // in a row
} forest;

// Texts and the number of each, found by text and owner; open addressing.
typedef struct {
    const char *text;  // none: a free place
    uint32_t length;
    uint32_t owner;
    double value;
} entry;

typedef struct {
    entry *entries;
    uint32_t mask;  // places - 1; places are a power of two, and some are free
} table;

// What a raw column is needed for: a number (its place among the numbers), a category (its feature), or nothing (-1).
typedef struct {
    int32_t number;
    int32_t category;
    double unseen;   // code of a level that the table does not know
    double missing;  // code of a missing value
} column;

// A feature made of `count` numbers, whose places stand in `parts` from `first` on: one of them, with `fill` where it is
// missing, or their sum, a missing one counting as 0.
typedef struct {
    uint32_t feature;
    uint32_t first;
    uint32_t count;
    uint32_t is_sum;
    double fill;
} computed;

typedef struct {
    forest forest;
    table names;    // owner 0: raw columns by name; the value is the column's place
    table levels;   // owner: the category's column; the value is the code
    table missing;  // owner 0: texts that stand for a missing value
    const column *columns;
    const computed *computed;
    const uint32_t *parts;
    uint32_t column_count;
    uint32_t computed_count;
    uint32_t number_count;
    uint32_t needed;     // columns that every row must have
    uint32_t log_scale;  // the leaves are natural logarithms
    uint32_t threads;    // that may work on one body
} model;

void walk(const forest *trees, const float *rows, size_t count, double *predictions, uint32_t threads);
const entry *table_find(const table *in, uint32_t owner, const char *text, uint32_t length);
