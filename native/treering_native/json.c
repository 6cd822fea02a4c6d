// Plain JSON: one row, a list of rows, both as "instances", or "columns" and then "rows".
#include "reader.h"

#include <string.h>

static void json_space(reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r'))
        r->at++;
}

// The next sign but for space, if it is this one.
static bool json_is(reader *r, char c)
{
    json_space(r);
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static bool json_string(reader *r, text *value)
{
    if (!json_is(r, '"'))
        return false;
    const char *start = r->at;
    while (r->at < r->end && *r->at != '"') {
        if (*r->at < ' ' || *r->at > '~' || *r->at == '\\')
            return false;
        r->at++;
    }
    if (r->at == r->end || r->at - start > LONGEST_CELL)
        return false;
    *value = (text){start, (uint32_t)(r->at++ - start)};
    return true;
}

static bool json_digits(reader *r)
{
    const char *start = r->at;
    while (r->at < r->end && is_digit(*r->at))
        r->at++;
    return r->at > start;
}

// -? (0 | [1-9] digits) (. digits)?; exponents are not plain
static bool json_number(reader *r, text *value)
{
    const char *start = r->at;
    r->at += *r->at == '-';
    if (r->at < r->end && *r->at == '0')
        r->at++;
    else if (!json_digits(r))
        return false;
    if (r->at < r->end && *r->at == '.') {
        r->at++;
        if (!json_digits(r))
            return false;
    }
    if (r->at - start > LONGEST_CELL)
        return false;
    *value = (text){start, (uint32_t)(r->at - start)};
    return true;  // what must not follow, such as a digit or an exponent, is neither comma nor bracket
}

static bool json_value(reader *r, enum kind *kind, text *value)
{
    json_space(r);
    if (r->at == r->end)
        return false;
    if (*r->at == '"') {
        *kind = TEXT;
        if (!json_string(r, value))
            return false;
        *value = stripped(value->start, value->start + value->length);
        return true;
    }
    if (*r->at == '-' || is_digit(*r->at)) {
        *kind = NUMBER;
        return json_number(r, value);
    }
    *kind = NOTHING;
    *value = (text){r->at, 0};
    if (r->end - r->at < 4 || memcmp(r->at, "null", 4))
        return false;
    r->at += 4;
    return true;
}

static bool is(text given, const char *word)
{
    return given.length == strlen(word) && !memcmp(given.start, word, given.length);
}

// Rest of an object whose first name was read, as a row. `alone`: the object is all there is, so some names mean more.
static bool json_rest_of_row(reader *r, text name, bool alone)
{
    start_row(r);
    for (;;) {
        enum kind kind;
        text value;
        if (alone && (is(name, "instances") || is(name, "columns") || is(name, "rows")))
            return false;
        if (!json_is(r, ':') || !json_value(r, &kind, &value) || !take(r, place_of(r, name), kind, value))
            return false;
        if (!json_is(r, ','))
            return json_is(r, '}') && end_row(r);
        if (!json_string(r, &name))
            return false;
    }
}

static bool json_rows(reader *r)
{
    if (!json_is(r, '['))
        return false;
    do {
        text name;
        if (!json_is(r, '{') || !json_string(r, &name) || !json_rest_of_row(r, name, false))
            return false;
    } while (json_is(r, ','));
    return json_is(r, ']');
}

static bool json_names(reader *r)
{
    if (!json_is(r, '['))
        return false;
    do {
        if (r->count == MOST_COLUMNS || !json_string(r, &r->cells[r->count++]))
            return false;
    } while (json_is(r, ','));
    return json_is(r, ']') && bind_names(r);
}

// Behind "columns": the names, then the rows.
static bool json_table(reader *r)
{
    text name;
    if (!json_is(r, ':') || !json_names(r) || !json_is(r, ',') || !json_string(r, &name) || !is(name, "rows"))
        return false;
    if (!json_is(r, ':') || !json_is(r, '['))
        return false;
    do {
        uint32_t cell = 0;
        start_row(r);
        if (!json_is(r, '['))
            return false;
        do {
            enum kind kind;
            text value;
            if (cell == r->count || !json_value(r, &kind, &value) || !take(r, r->columns[cell++], kind, value))
                return false;
        } while (json_is(r, ','));
        if (!json_is(r, ']') || cell != r->count || !end_row(r))
            return false;
    } while (json_is(r, ','));
    return json_is(r, ']') && json_is(r, '}');
}

bool json(reader *r)
{
    text name;
    json_space(r);
    if (r->at < r->end && *r->at == '[') {
        if (!json_rows(r))
            return false;
    } else if (!json_is(r, '{') || !json_string(r, &name)) {
        return false;
    } else if (is(name, "instances")) {
        if (!json_is(r, ':') || !json_rows(r) || !json_is(r, '}'))
            return false;
    } else if (is(name, "columns")) {
        if (!json_table(r))
            return false;
    } else if (!json_rest_of_row(r, name, true)) {
        return false;
    }
    json_space(r);
    return r->at == r->end;
}
