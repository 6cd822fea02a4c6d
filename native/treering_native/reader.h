// A body that is being read, and the rows that were read of it.
#pragma once
#include "native.h"

#define MOST_COLUMNS 4096  // in a body
#define LONGEST_CELL 1000  // bytes

enum kind { TEXT, NUMBER, NOTHING };

typedef struct {
    const char *start;
    uint32_t length;
} text;

// Where the reading is, and what was made of it so far.
typedef struct {
    const model *model;
    const char *at, *end;
    int32_t *columns;    // the model's column of each column of the body, or -1
    text *cells;         // of a header
    uint32_t count;      // columns of the body
    uint32_t *seen;      // for each column of the model, the last row that had it
    double *numbers;     // of this row, NaN where missing
    float *rows;         // features of the rows that wait
    uint32_t waiting;
    uint32_t most_waiting;
    uint32_t row;        // from 1
    uint32_t found;      // needed columns that this row has
    double *predictions;
    size_t predicted, capacity;
} reader;

// All of these: false if what they met is not plain (see predict.c).
bool csv(reader *r, int header);
bool json(reader *r);
bool bind_names(reader *r);
bool take(reader *r, int32_t place, enum kind kind, text value);
bool end_row(reader *r);

void start_row(reader *r);
void predict_waiting(reader *r);
int32_t place_of(const reader *r, text name);
text stripped(const char *start, const char *end);

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}
