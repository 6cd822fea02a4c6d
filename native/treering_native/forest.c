// Walks down the trees. The next node comes from arithmetic, not from a branch, which the processor could not foresee,
// and eight walks go on side by side, so that it need not wait for the memory of each.
#include "native.h"

#include <pthread.h>
#include <string.h>

#define ABREAST 8
#define BLOCK 1024  // rows that one tree sees before the next one comes: a tree is larger than a row
#define WORTH_A_THREAD 256  // rows: walking them takes some milliseconds
#define MOST_THREADS 64

static inline uint32_t next_node(const node *nodes, uint32_t at, const float *row)
{
    node now = nodes[at];
    uint32_t goes_right = !(row[now.where & 1023] <= now.limit);
    return at + 1 + ((0u - goes_right) & ((now.where >> 10) - 1));
}

static inline double prediction_of(const node *nodes, uint32_t leaf)
{
    double value;
    memcpy(&value, nodes + leaf + 1, sizeof value);
    return value;
}

static inline uint32_t leaf_of(const node *nodes, uint32_t at, const float *row)
{
    for (uint32_t next; (next = next_node(nodes, at, row)) != at;)
        at = next;
    return at;
}

static double walk_row(const forest *trees, const float *row)
{
    double sum = 0;
    uint32_t tree = 0;
    for (; tree + ABREAST <= trees->trees; tree += ABREAST) {
        uint32_t at[ABREAST], moved;
        for (int i = 0; i < ABREAST; i++)
            at[i] = trees->roots[tree + i];
        do {
            moved = 0;
            for (int i = 0; i < ABREAST; i++) {
                uint32_t next = next_node(trees->nodes, at[i], row);
                moved |= next ^ at[i];
                at[i] = next;
            }
        } while (moved);
        for (int i = 0; i < ABREAST; i++)
            sum += prediction_of(trees->nodes, at[i]);
    }
    for (; tree < trees->trees; tree++)
        sum += prediction_of(trees->nodes, leaf_of(trees->nodes, trees->roots[tree], row));
    return sum / trees->trees;
}

static void walk_tree(const forest *trees, uint32_t tree, const float *rows, size_t count, double *sums)
{
    const node *nodes = trees->nodes + trees->roots[tree];
    size_t features = trees->features, row = 0;
    for (; row + ABREAST <= count; row += ABREAST) {
        const float *first = rows + row * features;
        uint32_t at[ABREAST] = {0}, moved;
        do {
            moved = 0;
            for (int i = 0; i < ABREAST; i++) {
                uint32_t next = next_node(nodes, at[i], first + i * features);
                moved |= next ^ at[i];
                at[i] = next;
            }
        } while (moved);
        for (int i = 0; i < ABREAST; i++)
            sums[row + i] += prediction_of(nodes, at[i]);
    }
    for (; row < count; row++)
        sums[row] += prediction_of(nodes, leaf_of(nodes, 0, rows + row * features));
}

static void walk_rows(const forest *trees, const float *rows, size_t count, double *predictions)
{
    if (count < ABREAST) {
        for (size_t row = 0; row < count; row++)
            predictions[row] = walk_row(trees, rows + row * trees->features);
        return;
    }
    for (size_t start = 0; start < count; start += BLOCK) {
        size_t some = count - start < BLOCK ? count - start : BLOCK;
        double *sums = predictions + start;
        for (size_t row = 0; row < some; row++)
            sums[row] = 0;
        for (uint32_t tree = 0; tree < trees->trees; tree++)
            walk_tree(trees, tree, rows + start * trees->features, some, sums);
        for (size_t row = 0; row < some; row++)
            sums[row] /= trees->trees;
    }
}

typedef struct {
    const forest *trees;
    const float *rows;
    size_t count;
    double *predictions;
} share;

static void *walk_share(void *given)
{
    const share *of = given;
    walk_rows(of->trees, of->rows, of->count, of->predictions);
    return NULL;
}

// Mean of the trees' predictions for each row. The trees are added up in their order, whatever the number of rows and
// threads, so a row gets the same prediction, to the last bit, alone and among others. At most `threads` threads work.
EXPORT void walk(const forest *trees, const float *rows, size_t count, double *predictions, uint32_t threads)
{
    share shares[MOST_THREADS];
    pthread_t others[MOST_THREADS];
    bool started[MOST_THREADS] = {false};
    size_t most = count / WORTH_A_THREAD, parts = threads < most ? threads : most;
    if (parts > MOST_THREADS)
        parts = MOST_THREADS;
    if (parts < 2) {
        walk_rows(trees, rows, count, predictions);
        return;
    }
    for (size_t part = 0; part < parts; part++) {
        size_t start = count * part / parts, end = count * (part + 1) / parts;
        shares[part] = (share){trees, rows + start * trees->features, end - start, predictions + start};
        started[part] = part && !pthread_create(&others[part], NULL, walk_share, &shares[part]);
    }
    for (size_t part = 0; part < parts; part++)
        if (!started[part])
            walk_share(&shares[part]);
    for (size_t part = 0; part < parts; part++)
        if (started[part])
            pthread_join(others[part], NULL);
}
