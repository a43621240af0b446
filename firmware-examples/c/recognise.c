// Opens a model, learns a sound from three recordings, recognises it in another one and in a stream, and
// keeps what it was taught in flash. See README.md.
#include <stdio.h>
#include <string.h>

#include "mtslvr.h"
#include "mtslvr_model.h" // the model, and how much memory it needs: made by `cargo xtask c-packages`

// Memory that the library works in. Nothing is allocated.
static _Alignas(MTSLVR_ALIGNMENT) uint8_t memory[MTSLVR_MEMORY_SIZE];
static _Alignas(MTSLVR_ALIGNMENT) uint8_t clip_memory[MTSLVR_CLIP_SIZE];
static _Alignas(MTSLVR_ALIGNMENT) uint8_t listener_memory[MTSLVR_LISTENER_SIZE];
static _Alignas(MTSLVR_ALIGNMENT) uint8_t store_memory[MTSLVR_STORE_SIZE];

// Flash: RAM that can only be erased and cleared. On your board these are calls of its driver.
static uint8_t flash_bytes[MTSLVR_FLASH_SIZE];

static int flash_read(void *context, uint32_t offset, uint8_t *bytes, size_t len) {
    (void)context;
    memcpy(bytes, flash_bytes + offset, len);
    return 0;
}

static int flash_write(void *context, uint32_t offset, const uint8_t *bytes, size_t len) {
    (void)context;
    for (size_t i = 0; i < len; i++) {
        flash_bytes[offset + i] &= bytes[i];
    }
    return 0;
}

static int flash_erase(void *context, uint32_t offset, size_t len) {
    (void)context;
    memset(flash_bytes + offset, 0xff, len);
    return 0;
}

static const mtslvr_flash flash = {
    .read = flash_read, .write = flash_write, .erase = flash_erase, .size = MTSLVR_FLASH_SIZE};

// Returns the error, after a line about it.
static mtslvr_error said(const char *what, mtslvr_error error) {
    if (error) {
        printf("error: %s: %s\n", what, mtslvr_error_text(error));
    }
    return error;
}

#define TRY(call)                                                                                  \
    do {                                                                                           \
        mtslvr_error error = said(#call, (call));                                                  \
        if (error) {                                                                               \
            return error;                                                                          \
        }                                                                                          \
    } while (0)

// The microphone: a file of 16-bit samples, 16,000 a second. On your board it fills a buffer by DMA.
static size_t record(FILE *file, int16_t *samples, size_t count) {
    return file ? fread(samples, sizeof *samples, count, file) : 0;
}

// Pushes a recording into the clip, in pieces of any size.
static mtslvr_error push_clip(mtslvr *m, mtslvr_clip *clip, const char *name) {
    int16_t samples[256];
    size_t count;
    FILE *file = fopen(name, "rb");
    while ((count = record(file, samples, 256)) > 0) {
        TRY(mtslvr_clip_push(m, clip, samples, count));
    }
    if (file) {
        fclose(file);
    }
    return MTSLVR_ERROR_NONE;
}

// Writes bytes to a file on the host. On your board this is a serial port, or nothing.
static void put_file(const char *name, const void *bytes, size_t len) {
    FILE *file = fopen(name, "wb");
    if (!file || fwrite(bytes, 1, len, file) != len || fclose(file)) {
        printf("error: cannot write %s\n", name);
    }
}

// Learns `name` from three recordings and saves it.
static mtslvr_error teach(mtslvr *m, mtslvr_clip *clip, mtslvr_store *store, const char *name,
                          char **recordings) {
    for (int i = 0; i < 3; i++) {
        TRY(push_clip(m, clip, recordings[i]));
        TRY(mtslvr_clip_enrol(m, clip, name, NULL));
    }
    TRY(mtslvr_fit(m));
    TRY(mtslvr_save(m, store));
    return MTSLVR_ERROR_NONE;
}

// Says what a recording is recognised as. mtslvr_clip_classify does this in one call; here the embedding
// between is of interest, too.
static mtslvr_error recognise(mtslvr *m, mtslvr_clip *clip, const char *recording) {
    static float embedding[MTSLVR_EMBEDDING_LEN];
    mtslvr_decision decision;
    mtslvr_class class;
    TRY(push_clip(m, clip, recording));
    TRY(mtslvr_clip_embed(m, clip, embedding, MTSLVR_EMBEDDING_LEN));
    put_file("embedding.f32", embedding, sizeof embedding);
    TRY(mtslvr_classify(m, embedding, MTSLVR_EMBEDDING_LEN, &decision));
    TRY(mtslvr_class_get(m, decision.class_id, &class));
    printf("recognised %s similarity=%.6f threshold=%.6f\n",
           decision.recognised ? class.name : "nothing", decision.similarity, decision.threshold);
    return MTSLVR_ERROR_NONE;
}

// Writes the snapshot of what was taught, for backup, for another device, or for `mtslvr` on a computer.
static mtslvr_error export(mtslvr *m, const char *name) {
    static uint8_t snapshot[16 * 1024];
    size_t len;
    TRY(mtslvr_export(m, snapshot, sizeof snapshot, &len));
    put_file(name, snapshot, len);
    return MTSLVR_ERROR_NONE;
}

// Says what is heard in a stream.
static mtslvr_error listen(mtslvr *m, mtslvr_listener *listener, const char *stream) {
    int16_t samples[256];
    size_t count;
    FILE *file = fopen(stream, "rb");
    while ((count = record(file, samples, 256)) > 0) {
        for (size_t at = 0; at < count;) {
            mtslvr_report report;
            mtslvr_class class;
            TRY(mtslvr_listen(m, listener, samples + at, count - at, &report));
            at += report.used;
            if (report.recognised) {
                TRY(mtslvr_class_get(m, report.event.class_id, &class));
                printf("heard %s confidence=%.4f at=%lu\n", class.name, report.event.confidence,
                       (unsigned long)report.event.start);
            }
        }
    }
    if (file) {
        fclose(file);
    }
    return MTSLVR_ERROR_NONE;
}

// Arguments: a name, three recordings of that sound, another one, and a stream in which it is heard.
static mtslvr_error run(char **arguments) {
    mtslvr *m;
    mtslvr_clip *clip;
    mtslvr_listener *listener;
    mtslvr_store *store;
    bool found;

    TRY(mtslvr_open(mtslvr_model, MTSLVR_MODEL_SIZE, MTSLVR_CLASSES, MTSLVR_EXAMPLES, memory,
                    sizeof memory, &m));
    TRY(mtslvr_clip_open(m, clip_memory, sizeof clip_memory, &clip));
    TRY(mtslvr_store_open(m, &flash, store_memory, sizeof store_memory, &store));
    TRY(mtslvr_load(m, store, &found));
    printf("found %s\n", found ? "sounds" : "nothing");
    TRY(teach(m, clip, store, arguments[0], arguments + 1));
    TRY(recognise(m, clip, arguments[4]));

    // After a restart: everything begins anew, in memory that holds nothing.
    memset(memory, 0xa5, sizeof memory);
    memset(store_memory, 0xa5, sizeof store_memory);
    TRY(mtslvr_open(mtslvr_model, MTSLVR_MODEL_SIZE, MTSLVR_CLASSES, MTSLVR_EXAMPLES, memory,
                    sizeof memory, &m));
    TRY(mtslvr_store_open(m, &flash, store_memory, sizeof store_memory, &store));
    TRY(mtslvr_load(m, store, &found));
    printf("found %s\n", found ? "sounds" : "nothing");
    TRY(mtslvr_fit(m));
    TRY(export(m, "sounds.mtss"));
    TRY(mtslvr_listener_open(m, NULL, listener_memory, sizeof listener_memory, &listener));
    TRY(listen(m, listener, arguments[5]));
    return MTSLVR_ERROR_NONE;
}

int main(int argc, char **argv) {
    if (argc != 7) {
        printf("error: expected NAME CLIP CLIP CLIP QUERY STREAM\n");
        return 1;
    }
    memset(flash_bytes, 0xff, sizeof flash_bytes); // as new flash is
    return run(argv + 1) ? 1 : 0;
}
