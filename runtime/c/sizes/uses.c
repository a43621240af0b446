// Calls the library and nothing else: `cargo xtask c-sizes` links it and measures what it needs. CLIPS,
// LISTENING and ALL say how much is used.
#include "mtslvr.h"

extern uint8_t lent[];
uint8_t lent[16];

// The linker may not know what comes in.
static void *volatile anything = lent;
static volatile size_t any_number;

#ifdef ALL
static int flash_read(void *context, uint32_t offset, uint8_t *bytes, size_t len) {
    return context == bytes && offset == len;
}

static int flash_write(void *context, uint32_t offset, const uint8_t *bytes, size_t len) {
    return context == bytes && offset == len;
}

static int flash_erase(void *context, uint32_t offset, size_t len) {
    return context && offset == len;
}

static mtslvr_error keep(mtslvr *m) {
    mtslvr_flash flash = {anything, flash_read, flash_write, flash_erase, (uint32_t)any_number};
    mtslvr_store *store;
    mtslvr_class class;
    size_t len;
    return mtslvr_store_open(m, &flash, anything, any_number, &store) ||
           mtslvr_load(m, store, anything) || mtslvr_save(m, store) || mtslvr_erase(store) ||
           mtslvr_export(m, anything, any_number, &len) || mtslvr_import(m, anything, len) ||
           mtslvr_class_at(m, any_number, &class) || mtslvr_class_rename(m, class.id, anything) ||
           mtslvr_class_remove(m, class.id) || mtslvr_class_set_threshold(m, class.id, 0.5f) ||
           *mtslvr_error_text((int32_t)any_number);
}
#endif

#if defined(ALL) || defined(LISTENING)
static mtslvr_error listen(mtslvr *m) {
    mtslvr_listener *listener;
    mtslvr_report report;
    return mtslvr_listener_open(m, anything, anything, any_number, &listener) ||
           mtslvr_listen(m, listener, anything, any_number, &report) ||
           mtslvr_heard_enrol(m, listener, anything, anything);
}
#endif

mtslvr_error uses(void);

mtslvr_error uses(void) {
    mtslvr *m;
    mtslvr_clip *clip;
    mtslvr_decision decision;
    mtslvr_error error = mtslvr_open(anything, any_number, any_number, any_number, anything,
                                     any_number, &m) ||
                         mtslvr_clip_open(m, anything, any_number, &clip) ||
                         mtslvr_clip_push(m, clip, anything, any_number) ||
                         mtslvr_clip_enrol(m, clip, anything, anything) || mtslvr_fit(m) ||
                         mtslvr_clip_classify(m, clip, &decision);
#if defined(ALL) || defined(LISTENING)
    error = error || listen(m);
#endif
#ifdef ALL
    error = error || keep(m);
#endif
    return error;
}
