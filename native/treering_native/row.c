// Values to a row's features.
#include "reader.h"

#include <math.h>
#include <string.h>

#define MOST_UNKNOWN 64  // columns of a body that the model does not know
#define MOST_DIGITS 15   // decimal digits that a double always holds
#define MOST_BEHIND 22   // the largest power of ten that is a double

text stripped(const char *start, const char *end)
{
    while (start < end && (*start == ' ' || *start == '\t'))
        start++;
    while (start < end && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return (text){start, (uint32_t)(end - start)};
}

// [+-] digits [. digits], of them at most 15 that count and 22 behind the point: both the digits and the power of ten are
// then exact in a double, and one division rounds as it should.
static bool decimal(text of, double *value)
{
    static const double powers[] = {1,    1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const char *at = of.start, *end = at + of.length;
    bool negative = at < end && *at == '-', any = false, point = false;
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    int64_t digits = 0;
    int count = 0, behind = 0;
    for (; at < end; at++) {
        if (*at == '.' && !point) {
            point = true;
            continue;
        }
        if (!is_digit(*at))
            return false;
        any = true;
        digits = digits * 10 + (*at - '0');
        count += digits > 0;
        behind += point;
        if (count > MOST_DIGITS || behind > MOST_BEHIND)
            return false;
    }
    double size = (double)digits / powers[behind];
    *value = negative ? -size : size;
    return any;
}

// The digits that a whole number is a category's level by.
static bool is_level(text of)
{
    const char *at = of.start, *end = at + of.length;
    if (of.length > MOST_DIGITS || (of.length > 1 && at[0] == '-' && at[1] == '0'))
        return false;
    for (at += at < end && *at == '-'; at < end; at++)
        if (!is_digit(*at))
            return false;
    return true;
}

// A value of the row. False: not plain.
bool take(reader *r, int32_t place, enum kind kind, text value)
{
    if (place < 0)
        return true;
    const column *to = &r->model->columns[place];
    if (to->number < 0 && to->category < 0)
        return true;
    if (r->seen[place] != r->row) {
        r->seen[place] = r->row;
        r->found++;
    }
    if (to->number >= 0) {
        double *number = &r->numbers[to->number];
        if (kind == NOTHING)
            *number = NAN;
        else if (!decimal(value, number)) {
            if (kind != TEXT || !table_find(&r->model->missing, 0, value.start, value.length))
                return false;
            *number = NAN;
        }
    }
    if (to->category >= 0) {
        float *code = &r->rows[(size_t)r->waiting * r->model->forest.features + to->category];
        if (kind == NOTHING) {
            *code = (float)to->missing;
        } else {
            if (kind == NUMBER && !is_level(value))
                return false;
            const entry *level = table_find(&r->model->levels, (uint32_t)place, value.start, value.length);
            *code = (float)(level ? level->value : to->unseen);
        }
    }
    return true;
}

void predict_waiting(reader *r)
{
    double *predictions = r->predictions + r->predicted;
    walk(&r->model->forest, r->rows, r->waiting, predictions, r->model->threads);
    if (r->model->log_scale)
        for (uint32_t row = 0; row < r->waiting; row++)
            predictions[row] = exp(predictions[row]);
    r->predicted += r->waiting;
    r->waiting = 0;
}

void start_row(reader *r)
{
    r->row++;
    r->found = 0;
}

// The features made of numbers, now that all are there. False: not plain.
bool end_row(reader *r)
{
    const model *m = r->model;
    if (r->found != m->needed || r->predicted + r->waiting == r->capacity)
        return false;
    float *row = r->rows + (size_t)r->waiting * m->forest.features;
    for (uint32_t i = 0; i < m->computed_count; i++) {
        const computed *of = &m->computed[i];
        const uint32_t *parts = m->parts + of->first;
        double value = of->is_sum ? 0 : r->numbers[parts[0]];
        if (of->is_sum) {
            for (uint32_t part = 0; part < of->count; part++)
                if (!isnan(r->numbers[parts[part]]))
                    value += r->numbers[parts[part]];
        } else if (isnan(value)) {
            value = of->fill;
        }
        row[of->feature] = (float)value;
    }
    if (++r->waiting == r->most_waiting)
        predict_waiting(r);
    return true;
}

int32_t place_of(const reader *r, text name)
{
    const entry *found = table_find(&r->model->names, 0, name.start, name.length);
    return found ? (int32_t)found->value : -1;
}

// The body's columns are those named in its cells. False: one stands twice, one is missing, or too many are unknown.
bool bind_names(reader *r)
{
    uint32_t unknown[MOST_UNKNOWN], unknown_count = 0;
    start_row(r);
    for (uint32_t i = 0; i < r->count; i++) {
        int32_t place = r->columns[i] = place_of(r, r->cells[i]);
        if (place >= 0) {
            if (r->seen[place] == r->row)
                return false;
            r->seen[place] = r->row;
            r->found += r->model->columns[place].number >= 0 || r->model->columns[place].category >= 0;
            continue;
        }
        for (uint32_t j = 0; j < unknown_count; j++) {
            text other = r->cells[unknown[j]];
            if (other.length == r->cells[i].length && !memcmp(other.start, r->cells[i].start, other.length))
                return false;
        }
        if (unknown_count == MOST_UNKNOWN)
            return false;
        unknown[unknown_count++] = i;
    }
    return r->found == r->model->needed;
}
