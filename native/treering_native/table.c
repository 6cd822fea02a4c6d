// Texts to numbers. A table never fills up: the caller makes it at least twice as large as what it puts in.
#include "native.h"

#include <string.h>

static uint32_t place_of(const table *in, uint32_t owner, const char *text, uint32_t length)
{
    uint32_t hash = 2166136261u ^ owner * 0x9e3779b1u;  // FNV-1a
    for (uint32_t i = 0; i < length; i++)
        hash = (hash ^ (uint8_t)text[i]) * 16777619u;
    uint32_t place = (hash ^ hash >> 15) & in->mask;
    for (;; place = (place + 1) & in->mask) {
        const entry *found = &in->entries[place];
        if (!found->text)
            return place;
        if (found->owner == owner && found->length == length && !memcmp(found->text, text, length))
            return place;
    }
}

const entry *table_find(const table *in, uint32_t owner, const char *text, uint32_t length)
{
    const entry *found = &in->entries[place_of(in, owner, text, length)];
    return found->text ? found : NULL;
}

// Put a text in, which must stay where it is; the later of two equal ones counts.
EXPORT void table_put(const table *in, uint32_t owner, const char *text, uint32_t length, double value)
{
    in->entries[place_of(in, owner, text, length)] = (entry){text, length, owner, value};
}
