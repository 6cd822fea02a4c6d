// Plain CSV.
#include "reader.h"

enum sign { ORDINARY, COMMA, LINE_FEED, CARRIAGE_RETURN, QUOTE, STRANGE };

static enum sign sign_of(char c)
{
    switch (c) {
    case ',':
        return COMMA;
    case '\n':
        return LINE_FEED;
    case '\r':
        return CARRIAGE_RETURN;
    case '"':
        return QUOTE;
    case '\t':
        return ORDINARY;
    default:
        return c >= ' ' && c <= '~' ? ORDINARY : STRANGE;
    }
}

// One cell, up to what ends it. False: not plain.
static bool csv_cell(reader *r, text *cell)
{
    const char *start = r->at;
    bool quoted = start < r->end && *start == '"';
    if (quoted)
        start = ++r->at;
    enum sign sign = LINE_FEED;
    while (r->at < r->end) {
        sign = sign_of(*r->at);
        if (sign != ORDINARY && !(quoted && sign == COMMA))
            break;
        r->at++;
    }
    if (r->at - start > LONGEST_CELL)
        return false;
    *cell = stripped(start, r->at);
    if (!quoted)
        return r->at == r->end || sign < QUOTE;
    if (r->at == r->end || sign != QUOTE)
        return false;
    r->at++;
    return r->at == r->end || *r->at == ',' || *r->at == '\n' || *r->at == '\r';
}

// What stands behind a cell: true if another one follows. Sets `plain` to false for a carriage return alone.
static bool csv_goes_on(reader *r, bool *plain)
{
    if (r->at == r->end)
        return false;
    char c = *r->at++;
    if (c == '\r') {
        *plain = r->at < r->end && *r->at == '\n';
        r->at += *plain;
        return false;
    }
    return c == ',';
}

static bool csv_skip_blank_lines(reader *r)
{
    while (r->at < r->end) {
        if (*r->at == '\r' && r->at + 1 < r->end && r->at[1] == '\n')
            r->at++;
        else if (*r->at != '\n')
            return true;
        r->at++;
    }
    return false;
}

// `header`: 0 if the body says by itself whether it has one, 1 if it has, 2 if it has not.
static bool csv_start(reader *r, int header)
{
    if (!csv_skip_blank_lines(r))
        return false;
    const char *start = r->at;
    bool plain = true, known = header == 1;
    do {
        if (r->count == MOST_COLUMNS || !csv_cell(r, &r->cells[r->count]))
            return false;
        known = known || (header == 0 && place_of(r, r->cells[r->count]) >= 0);
        r->count++;
    } while (csv_goes_on(r, &plain));
    if (known)
        return plain && bind_names(r);
    r->at = start;
    for (uint32_t i = 0; i < r->count && i < r->model->column_count; i++)
        r->columns[i] = (int32_t)i;
    return plain && r->count == r->model->column_count;
}

bool csv(reader *r, int header)
{
    if (!csv_start(r, header))
        return false;
    while (csv_skip_blank_lines(r)) {
        uint32_t cell = 0;
        bool plain = true, more;
        start_row(r);
        do {
            text value;
            if (cell == r->count || !csv_cell(r, &value) || !take(r, r->columns[cell++], TEXT, value))
                return false;
            more = csv_goes_on(r, &plain);
        } while (more);
        if (!plain || cell != r->count || !end_row(r))
            return false;
    }
    return true;
}
