/* Soft-WPMI in three passes over memory, the limit beside which the scorer is measured. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#define LANES 16 /* neurons whose top images are found together */
#define WIDTH 256 /* concepts whose evidence is summed together */
#define FACTORS 8 /* of one logarithm: each is at least 0.002, so their product is far above the least float */

typedef struct {
    float value;
    int64_t image;
} Entry;

/* The softmax of 10 × each row of the cosines. */
void softmax(const float *cosine, float *out, int64_t images, int64_t concepts, int threads)
{
#pragma omp parallel for num_threads(threads)
    for (int64_t image = 0; image < images; image++) {
        const float *row = cosine + image * concepts;
        float *into = out + image * concepts, most = row[0], sum = 0.0f;
        for (int64_t at = 1; at < concepts; at++)
            most = row[at] > most ? row[at] : most;
        for (int64_t at = 0; at < concepts; at++)
            sum += into[at] = expf(10.0f * (row[at] - most));
        for (int64_t at = 0; at < concepts; at++)
            into[at] /= sum;
    }
}

static void sift(Entry *heap, int64_t at, int64_t count)
{
    Entry moved = heap[at];
    for (int64_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && heap[child + 1].value < heap[child].value)
            child++;
        if (moved.value <= heap[child].value)
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

static int descending(const void *one, const void *other)
{
    float a = ((const Entry *)one)->value, b = ((const Entry *)other)->value;
    return (a < b) - (a > b);
}

/* The images that each neuron responds to most, the strongest first: (count, neurons). */
void strongest(const float *activations, int64_t *top, int64_t images, int64_t neurons, int64_t count, int threads)
{
#pragma omp parallel for num_threads(threads)
    for (int64_t first = 0; first < neurons; first += LANES) {
        int64_t lanes = neurons - first < LANES ? neurons - first : LANES;
        Entry *heaps = malloc(sizeof(Entry) * LANES * count);
        float least[LANES];
        for (int64_t lane = 0; lane < lanes; lane++) {
            Entry *heap = heaps + lane * count;
            for (int64_t image = 0; image < count; image++)
                heap[image] = (Entry){activations[image * neurons + first + lane], image};
            for (int64_t at = count / 2; at-- > 0;)
                sift(heap, at, count);
            least[lane] = heap[0].value;
        }
        for (int64_t image = count; image < images; image++) {
            const float *row = activations + image * neurons + first;
            int any = 0;
            for (int64_t lane = 0; lane < lanes; lane++)
                any |= row[lane] > least[lane];
            for (int64_t lane = 0; any && lane < lanes; lane++)
                if (row[lane] > least[lane]) {
                    Entry *heap = heaps + lane * count;
                    heap[0] = (Entry){row[lane], image};
                    sift(heap, 0, count);
                    least[lane] = heap[0].value;
                }
        }
        for (int64_t lane = 0; lane < lanes; lane++) {
            qsort(heaps + lane * count, count, sizeof(Entry), descending);
            for (int64_t rank = 0; rank < count; rank++)
                top[rank * neurons + first + lane] = heaps[lane * count + rank].image;
        }
        free(heaps);
    }
}

/* Of a neuron and a concept: the sum over its top images of log(1 + weight × (probability - 1) + 1e-7). */
void evidence(const float *probability, const int64_t *top, const float *weight, float *out, int64_t neurons,
              int64_t count, int64_t concepts, int threads)
{
#pragma omp parallel for num_threads(threads)
    for (int64_t neuron = 0; neuron < neurons; neuron++)
        for (int64_t at = 0; at < concepts; at += WIDTH) {
            int64_t width = concepts - at < WIDTH ? concepts - at : WIDTH;
            float total[WIDTH] = {0}, product[WIDTH];
            for (int64_t first = 0; first < count; first += FACTORS) {
                int64_t last = first + FACTORS < count ? first + FACTORS : count;
                for (int64_t one = 0; one < width; one++)
                    product[one] = 1.0f;
                for (int64_t rank = first; rank < last; rank++) {
                    const float *row = probability + top[rank * neurons + neuron] * concepts + at;
                    float share = weight[rank], rest = 1.0f - share + 1e-7f;
                    for (int64_t one = 0; one < width; one++)
                        product[one] *= rest + share * row[one];
                }
                for (int64_t one = 0; one < width; one++)
                    total[one] += logf(product[one]);
            }
            for (int64_t one = 0; one < width; one++)
                out[neuron * concepts + at + one] = total[one];
        }
}
