// The MT-SLVR runtime for C: runs a packed audio backbone, learns sounds from a few examples and
// recognises them. Nothing is allocated: every object lies in memory that you lend it.
//
// Rules of all calls:
// - Lent memory begins at a multiple of MTSLVR_ALIGNMENT, and so does the model. Both stay where they
//   are and are not changed by you for as long as an object in them is used. No object needs closing.
// - A pointer to an object is one that a function of this library gave you. A null pointer, memory that
//   is misaligned or too small, and an object that is not open are errors, not faults.
// - Buffers that you pass hold as many values as you say, and none of them overlaps lent memory.
// - An object is used by one task at a time. A call on an object that is in use, as from a flash
//   callback, is MTSLVR_ERROR_BUSY.
// - A function that fails changes nothing unless it says so, and writes no result.
//
// This file is made by cbindgen from runtime/c/src: do not edit it.

#ifndef MTSLVR_H
#define MTSLVR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Bytes that are erased at once, at least, and at multiples of which that begins. Flash with smaller
// pages erases several of them.
#define MTSLVR_FLASH_PAGE 4096

// Bytes that are read and written at multiples of themselves, many at a time: whole words of any flash
// with words of 32 bytes or fewer.
#define MTSLVR_FLASH_WORD 32

// Bytes of the longest name, with the zero at its end.
#define MTSLVR_NAME_SIZE 33

// Lent memory and models begin at multiples of this.
#define MTSLVR_ALIGNMENT 16

// Result of a call: zero, or why it failed. mtslvr_error_text gives a sentence about each.
enum mtslvr_error
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // The call did what it should.
  MTSLVR_ERROR_NONE = 0,
  // A pointer that must not be null is null.
  MTSLVR_ERROR_NULL_POINTER = 1,
  // A pointer is not aligned: lent memory and models begin at multiples of MTSLVR_ALIGNMENT, other
  // values where the compiler puts them.
  MTSLVR_ERROR_MISALIGNED = 2,
  // A length is not the one that is expected, or no object can be as long.
  MTSLVR_ERROR_LENGTH = 3,
  // The lent memory is too small: the size function of the object tells how much it needs.
  MTSLVR_ERROR_MEMORY_TOO_SMALL = 4,
  // The pointer leads to no open object of this kind.
  MTSLVR_ERROR_NOT_OPEN = 5,
  // The object is in use: by an interrupted call, or by the one that called back.
  MTSLVR_ERROR_BUSY = 6,
  // A setting or an argument is out of its range.
  MTSLVR_ERROR_OUT_OF_RANGE = 7,
  // The object was made for another model than this one.
  MTSLVR_ERROR_OTHER_MODEL = 8,
  // The bytes are no packed model.
  MTSLVR_ERROR_NOT_A_MODEL = 20,
  // The model is of a version of the format that this library does not know.
  MTSLVR_ERROR_MODEL_VERSION = 21,
  // There are more or fewer bytes than the model has.
  MTSLVR_ERROR_MODEL_LENGTH = 22,
  // The model's checksum does not match: it is damaged.
  MTSLVR_ERROR_MODEL_DAMAGED = 23,
  // The model contradicts itself, or needs what this library does not have.
  MTSLVR_ERROR_MODEL_INVALID = 24,
  // The name is empty, blank, "." or "..".
  MTSLVR_ERROR_NAME_EMPTY = 40,
  // The name does not fit into MTSLVR_NAME_SIZE bytes.
  MTSLVR_ERROR_NAME_TOO_LONG = 41,
  // The name is not UTF-8, or has a character that steers a terminal.
  MTSLVR_ERROR_NAME_CHARACTERS = 42,
  // Another class has the name.
  MTSLVR_ERROR_NAME_TAKEN = 43,
  // Negatives and background take no name.
  MTSLVR_ERROR_NAME_NOT_ALLOWED = 44,
  // No class has this id, or there is none at this place.
  MTSLVR_ERROR_NO_SUCH_CLASS = 45,
  // The class has no such example.
  MTSLVR_ERROR_NO_SUCH_EXAMPLE = 46,
  // All classes are taken.
  MTSLVR_ERROR_TOO_MANY_CLASSES = 47,
  // All examples are taken.
  MTSLVR_ERROR_TOO_MANY_EXAMPLES = 48,
  // Nothing is enrolled, or mtslvr_fit was not called since the last change.
  MTSLVR_ERROR_NOT_FITTED = 60,
  // There is no example to fit to.
  MTSLVR_ERROR_NO_EXAMPLES = 61,
  // The examples cannot be told apart by numbers of single precision.
  MTSLVR_ERROR_FIT_FAILED = 62,
  // The embedding holds a value that is not finite.
  MTSLVR_ERROR_EMBEDDING_NOT_FINITE = 63,
  // The embedding is that of no sound in particular: the clip may be silent.
  MTSLVR_ERROR_EMBEDDING_EMPTY = 64,
  // The clip has no samples.
  MTSLVR_ERROR_CLIP_EMPTY = 80,
  // The clip is silent or too quiet.
  MTSLVR_ERROR_CLIP_TOO_QUIET = 81,
  // The clip is overloaded.
  MTSLVR_ERROR_CLIP_OVERLOADED = 82,
  // The clip is too short.
  MTSLVR_ERROR_CLIP_TOO_SHORT = 83,
  // The clip is unlike the examples that its class has.
  MTSLVR_ERROR_CLIP_UNLIKE_ITS_CLASS = 84,
  // The clip is like another class.
  MTSLVR_ERROR_CLIP_LIKE_ANOTHER_CLASS = 85,
  // The listener has heard no sound since it was made, or since its last sound was enrolled.
  MTSLVR_ERROR_NOTHING_HEARD = 86,
  // A callback of the flash failed.
  MTSLVR_ERROR_FLASH_FAILED = 100,
  // The flash does not have whole pages, or too few.
  MTSLVR_ERROR_FLASH_SIZE = 101,
  // The flash has no room for more. What was saved before is still there.
  MTSLVR_ERROR_FLASH_FULL = 102,
  // The flash holds what this library never writes: erase the store.
  MTSLVR_ERROR_FLASH_DAMAGED = 103,
  // The flash's pages are too small for what is saved.
  MTSLVR_ERROR_FLASH_PAGE_TOO_SMALL = 104,
  // The bytes are no snapshot of taught sounds.
  MTSLVR_ERROR_NOT_A_SNAPSHOT = 120,
  // The snapshot is of a version that this library does not know.
  MTSLVR_ERROR_SNAPSHOT_VERSION = 121,
  // The saved sounds are damaged.
  MTSLVR_ERROR_SNAPSHOT_DAMAGED = 122,
  // The sounds were taught under another model: enrol them again.
  MTSLVR_ERROR_SNAPSHOT_OTHER_MODEL = 123,
  // The buffer is shorter than the snapshot.
  MTSLVR_ERROR_SNAPSHOT_BUFFER_TOO_SHORT = 124,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum mtslvr_error mtslvr_error;
#else
typedef int32_t mtslvr_error;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// Use of a class.
enum mtslvr_role
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // A sound to recognise.
  MTSLVR_ROLE_SOUND = 0,
  // Sounds that the user said were none of the classes; recognised as unknown.
  MTSLVR_ROLE_NEGATIVES = 1,
  // Sounds of the place when nothing happens; recognised as unknown.
  MTSLVR_ROLE_BACKGROUND = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum mtslvr_role mtslvr_role;
#else
typedef int32_t mtslvr_role;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// A model that runs, and the sounds that it was taught. Opened by mtslvr_open.
typedef struct mtslvr mtslvr;

// Takes the samples of one clip after another. Made by mtslvr_clip_open.
typedef struct mtslvr_clip mtslvr_clip;

// Listens to a stream and reports the sounds in it. Made by mtslvr_listener_open.
typedef struct mtslvr_listener mtslvr_listener;

// Keeps what was taught in flash, across power cuts. Made by mtslvr_store_open.
typedef struct mtslvr_store mtslvr_store;

// Facts about an open recogniser.
typedef struct {
  // Values of an embedding.
  size_t embedding_len;
  // Samples a second that the model takes.
  uint32_t sample_rate;
  // Most classes.
  size_t class_capacity;
  // Most examples of all classes together.
  size_t example_capacity;
  // Classes that are enrolled.
  size_t classes;
  // Examples that are enrolled.
  size_t examples;
} mtslvr_info;

// Class that a sound was recognised as, and how sure that is.
typedef struct {
  // True if the sound is of class `class_id`; false if it is unknown.
  bool recognised;
  // Id of the class that the sound is most like, recognised or not.
  uint16_t class_id;
  // Similarity to that class, -1 to 1.
  float similarity;
  // Smallest similarity at which the sound would be of that class.
  float threshold;
  // Probability, 0 to 1, that a sound of none of the classes is as like that one.
  float chance;
} mtslvr_decision;

// Settings of a listener. Times are in seconds. mtslvr_listener_defaults writes the ones to begin with.
typedef struct {
  // From one judged window to the next while a sound lasts.
  float hop;
  // Windows of one sound over which embeddings are averaged; 1 is no smoothing.
  uint16_t smoothing;
  // Judgements in a row that have to agree before an event begins; at least 1.
  uint16_t agreeing;
  // Similarity that an event needs above the threshold of its class to begin.
  float margin;
  // An event goes on until the similarity is below its beginning's threshold by more than this.
  float hysteresis;
  // After an event's last recognised window, time in which no other event of its class begins.
  float refractory;
  // Level above the background that a sound needs to be judged, dB.
  float gate;
  // Time for which a sound goes on after it last stood out.
  float hold;
} mtslvr_listener_settings;

// A sound was recognised. Samples are counted from the beginning of the stream.
typedef struct {
  // Sample at which the sound began.
  uint64_t start;
  // Sample at which it was recognised.
  uint64_t end;
  // Id of its class.
  uint16_t class_id;
  // Confidence, 0 to 1: the share of strange sounds that would be less like the class.
  float confidence;
} mtslvr_event;

// A recognised sound is over. Samples are counted from the beginning of the stream.
typedef struct {
  // Sample at which the sound began.
  uint64_t start;
  // Sample at which it ended.
  uint64_t end;
  // Id of its class.
  uint16_t class_id;
  // Largest similarity to the class.
  float similarity;
  // Confidence at that similarity, 0 to 1.
  float confidence;
} mtslvr_ended;

// Report on the samples of one call.
typedef struct {
  // Samples that were taken.
  size_t used;
  // True if a sound was judged, recognised or not: mtslvr_heard_enrol enrols it.
  bool heard;
  // True if a sound was recognised: `event` describes it.
  bool recognised;
  // True if a sound that was recognised is over: `ended` describes it.
  bool over;
  // Level of the loudest moment above the background, dB.
  float level;
  // The sound that was recognised.
  mtslvr_event event;
  // The sound that is over.
  mtslvr_ended ended;
} mtslvr_report;

// A class that was taught.
typedef struct {
  // Names the class for as long as it exists: through renaming, saving, and the removal of others.
  uint16_t id;
  // Examples of the class.
  uint16_t examples;
  // One of mtslvr_role.
  int32_t role;
  // False if the class takes no part.
  bool enabled;
  // True if the threshold was set, false if it follows from the examples.
  bool threshold_is_set;
  // Smallest similarity, -1 to 1, at which a sound is of this class.
  float threshold;
  // Name, with a zero at its end; empty for negatives and background.
  char name[MTSLVR_NAME_SIZE];
} mtslvr_class;

// Flash in which taught sounds are kept: your functions, and what they need to know. Offsets are
// counted from the beginning of what is lent. Each function returns zero if it succeeded.
//
// Erased bytes are 0xff. No byte that was written is written again before it is erased. A write that a
// power cut ended may leave any bytes where it wrote.
typedef struct {
  // Passed to each function.
  void *context;
  // Reads `len` bytes from `offset` on.
  int (*read)(void *context, uint32_t offset, uint8_t *bytes, size_t len);
  // Writes `len` bytes, a multiple of MTSLVR_FLASH_WORD, from `offset` on, which is one too.
  int (*write)(void *context, uint32_t offset, const uint8_t *bytes, size_t len);
  // Erases `len` bytes, a multiple of MTSLVR_FLASH_PAGE, from `offset` on, which is one too.
  int (*erase)(void *context, uint32_t offset, size_t len);
  // Bytes that are lent: whole pages of MTSLVR_FLASH_PAGE.
  uint32_t size;
} mtslvr_flash;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Returns a sentence about an error, for a log. It is never null and stays where it is.
const char *mtslvr_error_text(int32_t error);

// Tells how many bytes of memory mtslvr_open needs for this model, with room for up to `classes`
// classes and `examples` examples of all classes together. It checks the whole model.
mtslvr_error mtslvr_size(const uint8_t *model_bytes,
                         size_t model_len,
                         size_t classes,
                         size_t examples,
                         size_t *size);

// Opens a model, which is checked once and then used where it is, in flash for instance, and makes a
// recogniser in `memory` that knows no sounds yet. There is room for up to `classes` classes, at most
// 256, and `examples` examples of all classes together.
mtslvr_error mtslvr_open(const uint8_t *model_bytes,
                         size_t model_len,
                         size_t classes,
                         size_t examples,
                         uint8_t *memory,
                         size_t memory_len,
                         mtslvr **opened);

// Tells what the recogniser has room for and how much of that is in use.
mtslvr_error mtslvr_get_info(mtslvr *m, mtslvr_info *info);

// Adds an embedding, `len` values as mtslvr_clip_embed and mtslvr_heard give them, to the examples of the
// sound called `name`, which is made if it is new. Whether it is a good example is not checked.
// mtslvr_fit is due afterwards. The class's id is written to `class_id` unless that is null.
mtslvr_error mtslvr_enrol(mtslvr *m,
                          const char *name,
                          const float *embedding,
                          size_t len,
                          uint16_t *class_id);

// Adds an embedding to the class for `role`: MTSLVR_ROLE_NEGATIVES for a sound that was recognised by
// mistake, MTSLVR_ROLE_BACKGROUND for a sound of the place. mtslvr_fit is due afterwards. The class's id is
// written to `class_id` unless that is null.
mtslvr_error mtslvr_enrol_role(mtslvr *m,
                               int32_t role,
                               const float *embedding,
                               size_t len,
                               uint16_t *class_id);

// Learns from the examples that are enrolled. It is due after every change of them, and before anything
// is recognised. If it fails, nothing is recognised until the next fit.
mtslvr_error mtslvr_fit(mtslvr *m);

// Tells what an embedding of `len` values is recognised as.
mtslvr_error mtslvr_classify(mtslvr *m,
                             const float *embedding,
                             size_t len,
                             mtslvr_decision *decision);

// Tells how many bytes of memory mtslvr_clip_open needs.
mtslvr_error mtslvr_clip_size(mtslvr *m, size_t *size);

// Makes a clip in `memory`. It may be used for as many clips as you like, one after the other.
mtslvr_error mtslvr_clip_open(mtslvr *m, uint8_t *memory, size_t memory_len, mtslvr_clip **opened);

// Takes `count` samples of 16-bit PCM, one channel, at the model's rate: 16,000 a second unless
// mtslvr_info says otherwise. How a clip is cut into calls makes no difference.
mtslvr_error mtslvr_clip_push(mtslvr *m, mtslvr_clip *clip, const int16_t *samples, size_t count);

// Forgets the samples: the next clip begins.
mtslvr_error mtslvr_clip_reset(mtslvr_clip *clip);

// Checks that the clip so far is long, loud and clean enough to be learnt from.
mtslvr_error mtslvr_clip_check(mtslvr *m, mtslvr_clip *clip);

// Ends the clip and writes its embedding, `len` values as mtslvr_info says. The next clip may follow.
mtslvr_error mtslvr_clip_embed(mtslvr *m,
                               mtslvr_clip *clip,
                               float *embedding,
                               size_t len);

// Ends the clip and adds it to the examples of the sound called `name`, which is made if it is new. It is
// refused if it is too short, too quiet or overloaded, unlike the other examples, or like another sound.
// mtslvr_fit is due afterwards. The class's id is written to `class_id` unless that is null. The next clip
// may follow, also after a refusal.
mtslvr_error mtslvr_clip_enrol(mtslvr *m,
                               mtslvr_clip *clip,
                               const char *name,
                               uint16_t *class_id);

// Ends the clip and tells what it is recognised as. The next clip may follow.
mtslvr_error mtslvr_clip_classify(mtslvr *m, mtslvr_clip *clip, mtslvr_decision *decision);

// Tells how many bytes of memory mtslvr_listener_open needs.
mtslvr_error mtslvr_listener_size(mtslvr *m, size_t *size);

// Writes the settings to begin with.
mtslvr_error mtslvr_listener_defaults(mtslvr_listener_settings *settings);

// Makes a listener in `memory`. A null pointer to settings stands for the ones to begin with.
mtslvr_error mtslvr_listener_open(mtslvr *m,
                                  const mtslvr_listener_settings *settings,
                                  uint8_t *memory,
                                  size_t memory_len,
                                  mtslvr_listener **opened);

// Listens to `count` samples of 16-bit PCM, one channel, at the model's rate. It returns early when a
// sound is recognised or over: `used` in the report says how many samples were taken. Call it again
// with those that are left until none is:
//
//     while (count > 0) {
//         mtslvr_error error = mtslvr_listen(m, listener, samples, count, &report);
//         if (error) { ... }
//         if (report.recognised) { ... }
//         samples += report.used;
//         count -= report.used;
//     }
//
// Before anything is enrolled it reports sounds that could be. If something is enrolled and was not
// fitted, it is MTSLVR_ERROR_NOT_FITTED.
mtslvr_error mtslvr_listen(mtslvr *m,
                           mtslvr_listener *listener,
                           const int16_t *samples,
                           size_t count,
                           mtslvr_report *report);

// Ends the stream: a sound that is heard ends here. Another stream may begin.
mtslvr_error mtslvr_listen_end(mtslvr *m, mtslvr_listener *listener, mtslvr_report *report);

// Writes the embedding of the sound that was heard last, `len` values as mtslvr_info says.
mtslvr_error mtslvr_heard(mtslvr_listener *listener, float *embedding, size_t len);

// Adds the sound that was heard last to the examples of the sound called `name`, which is made if it is
// new: what a button does that says "that was it". It is refused if it is unlike the other examples, or
// like another sound. A sound is enrolled once. mtslvr_fit is due afterwards. The class's id is written to
// `class_id` unless that is null.
mtslvr_error mtslvr_heard_enrol(mtslvr *m,
                                mtslvr_listener *listener,
                                const char *name,
                                uint16_t *class_id);

// Describes the class at `place`, 0 to the number of classes in mtslvr_info. Places are in the order of the
// first examples and change when a class is removed; ids do not.
mtslvr_error mtslvr_class_at(mtslvr *m,
                             size_t place,
                             mtslvr_class *described);

// Describes the class with this id.
mtslvr_error mtslvr_class_get(mtslvr *m, uint16_t class_id, mtslvr_class *described);

// Finds the id of the sound called `name`.
mtslvr_error mtslvr_class_find(mtslvr *m, const char *name, uint16_t *class_id);

// Gives a sound another name. mtslvr_fit is due afterwards.
mtslvr_error mtslvr_class_rename(mtslvr *m, uint16_t class_id, const char *name);

// Removes a class with its examples. mtslvr_fit is due afterwards, and gives what it would give had the
// class never been there.
mtslvr_error mtslvr_class_remove(mtslvr *m,
                                 uint16_t class_id);

// Removes an example, counted from 0 within its class; with its last example goes the class. mtslvr_fit is
// due afterwards.
mtslvr_error mtslvr_class_remove_example(mtslvr *m,
                                         uint16_t class_id,
                                         size_t example);

// Lets a class take part, or not: while it does not, it is kept but counts for nothing. mtslvr_fit is due
// afterwards.
mtslvr_error mtslvr_class_enable(mtslvr *m,
                                 uint16_t class_id,
                                 bool enabled);

// Removes all classes.
mtslvr_error mtslvr_clear(mtslvr *m);

// Sets the smallest similarity, -1 to 1, at which a sound is of the class, instead of the one that
// follows from the examples. No new fit is due.
mtslvr_error mtslvr_class_set_threshold(mtslvr *m, uint16_t class_id, float threshold);

// Lets the threshold of the class follow from the examples again. No new fit is due.
mtslvr_error mtslvr_class_reset_threshold(mtslvr *m, uint16_t class_id);

// Tells how many bytes of memory mtslvr_store_open needs.
mtslvr_error mtslvr_store_size(mtslvr *m, size_t *size);

// Tells how many bytes of flash, in whole pages, always suffice for all that the recogniser has room for.
mtslvr_error mtslvr_flash_size(mtslvr *m,
                               size_t *size);

// Makes a store in `memory`, for what the recogniser is taught. The description of the flash is copied. Nothing
// is read or written yet; new flash must be erased.
mtslvr_error mtslvr_store_open(mtslvr *m,
                               const mtslvr_flash *flash,
                               uint8_t *memory,
                               size_t memory_len,
                               mtslvr_store **opened);

// Makes the recogniser know what was saved last, in place of what it knows. mtslvr_fit is due afterwards
// if something was. `found` is true if something had been saved, and may be null. If it fails, the recogniser
// knows nothing.
mtslvr_error mtslvr_load(mtslvr *m,
                         mtslvr_store *store,
                         bool *found);

// Saves what the recogniser was taught in place of what was saved before. If the power is cut meanwhile,
// one of the two is there afterwards, whole. Saving what is there already writes nothing.
mtslvr_error mtslvr_save(mtslvr *m,
                         mtslvr_store *store);

// Erases everything that was saved, also what is damaged.
mtslvr_error mtslvr_erase(mtslvr_store *store);

// Tells how many bytes the snapshot has that mtslvr_export would write now.
mtslvr_error mtslvr_snapshot_size(mtslvr *m, size_t *size);

// Writes a snapshot of what was taught, as `mtslvr` reads and writes it, and its length in bytes to
// `written`.
mtslvr_error mtslvr_export(mtslvr *m, uint8_t *bytes, size_t capacity, size_t *written);

// Makes the recogniser know what the snapshot of `len` bytes holds, in place of what it knows. mtslvr_fit
// is due afterwards.
mtslvr_error mtslvr_import(mtslvr *m,
                           const uint8_t *bytes,
                           size_t len);

// Returns the version of this library, such as "0.1.0".
const char *mtslvr_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* MTSLVR_H */
