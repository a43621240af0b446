//! The library as a C program sees it: it is taught and recognises, and what is wrong with pointers,
//! lengths and names is an error.
#![allow(unsafe_code, reason = "calls functions of a C library")]

use mtslvr_c::Error;
use mtslvr_c::boundary::MTSLVR_NAME_SIZE;
use mtslvr_c::class::*;
use mtslvr_c::clip::*;
use mtslvr_c::flash::Flash;
use mtslvr_c::listener::*;
use mtslvr_c::recogniser::*;
use mtslvr_c::snapshot::*;
use mtslvr_c::store::*;
use mtslvr_runtime::model::AlignedBytes;
use std::ffi::{CStr, c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;

const CLASSES: usize = 4;
const EXAMPLES: usize = 8;
const FLASH: usize = 16 * 4096;

/// Calls a function of the library.
macro_rules! call {
    ($function:ident($($argument:expr),* $(,)?)) => {
        // SAFETY: what the test passes is null, misaligned, of another kind, or as the header asks for.
        unsafe { $function($($argument),*) }
    };
}

/// Calls a function that must succeed, and returns what it writes to its last argument.
macro_rules! get {
    ($function:ident($($argument:expr),* $(,)?)) => {{
        let mut out = MaybeUninit::uninit();
        assert_eq!(call!($function($($argument,)* out.as_mut_ptr())), Error::None);
        // SAFETY: the function succeeded, so it wrote its result.
        unsafe { out.assume_init() }
    }};
}

/// Memory to lend, for the rest of the test.
fn lent(len: usize) -> (*mut u8, usize) {
    let bytes = Box::leak(Box::new(AlignedBytes::new(&vec![0xa5; len])));
    (bytes.as_mut_ptr(), bytes.len())
}

fn model() -> &'static [u8] {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../models/edge-s/model.slvr"
    );
    AlignedBytes::new(&std::fs::read(path).expect("the shipped model")).leak()
}

fn open() -> *mut Mtslvr {
    let model = model();
    let size = get!(mtslvr_size(model.as_ptr(), model.len(), CLASSES, EXAMPLES));
    let (memory, len) = lent(size);
    get!(mtslvr_open(
        model.as_ptr(),
        model.len(),
        CLASSES,
        EXAMPLES,
        memory,
        len
    ))
}

fn open_clip(m: *mut Mtslvr) -> *mut MtslvrClip {
    let (memory, len) = lent(get!(mtslvr_clip_size(m)));
    get!(mtslvr_clip_open(m, memory, len))
}

fn open_listener(m: *mut Mtslvr) -> *mut MtslvrListener {
    let (memory, len) = lent(get!(mtslvr_listener_size(m)));
    get!(mtslvr_listener_open(m, ptr::null(), memory, len))
}

/// A second and a half of a tone.
fn tone(hz: f32) -> Vec<i16> {
    let step = hz * std::f32::consts::TAU / 16_000.0;
    let samples = (0..24_000).map(|i| (12_000.0 * (i as f32 * step).sin()) as i16);
    samples.collect()
}

fn push(m: *mut Mtslvr, clip: *mut MtslvrClip, samples: &[i16]) {
    for piece in samples.chunks(1000) {
        let pushed = call!(mtslvr_clip_push(m, clip, piece.as_ptr(), piece.len()));
        assert_eq!(pushed, Error::None);
    }
}

/// A recogniser that was taught a hum and a beep.
fn taught() -> (*mut Mtslvr, *mut MtslvrClip) {
    let m = open();
    let clip = open_clip(m);
    for (name, hz) in [(c"hum", 180.0), (c"beep", 2_300.0)] {
        push(m, clip, &tone(hz));
        get!(mtslvr_clip_enrol(m, clip, name.as_ptr()));
    }
    assert_eq!(call!(mtslvr_fit(m)), Error::None);
    (m, clip)
}

fn name_of(class: &Class) -> &CStr {
    // SAFETY: the library ends names with a zero.
    unsafe { CStr::from_ptr(class.name.as_ptr()) }
}

/// The name of what a tone is recognised as.
fn recognised(m: *mut Mtslvr, clip: *mut MtslvrClip, hz: f32) -> String {
    push(m, clip, &tone(hz));
    let decision = get!(mtslvr_clip_classify(m, clip));
    let class = get!(mtslvr_class_get(m, decision.class_id));
    name_of(&class).to_string_lossy().into_owned()
}

/// Flash in memory that can be told to call back.
struct Ram {
    bytes: Vec<u8>,
    calls_back: Option<*mut Mtslvr>,
    called_back: Option<Error>,
}

/// Reads for the library. SAFETY of the three: the context is the `Ram` of the test, and the library stays within its size.
unsafe extern "C" fn read(context: *mut c_void, offset: u32, bytes: *mut u8, len: usize) -> c_int {
    // SAFETY: see above.
    let (ram, to) = unsafe {
        (
            &mut *context.cast::<Ram>(),
            std::slice::from_raw_parts_mut(bytes, len),
        )
    };
    if let Some(m) = ram.calls_back {
        ram.called_back = Some(call!(mtslvr_fit(m)));
    }
    to.copy_from_slice(&ram.bytes[offset as usize..][..len]);
    0
}

/// See [`read`].
unsafe extern "C" fn write(
    context: *mut c_void,
    offset: u32,
    bytes: *const u8,
    len: usize,
) -> c_int {
    // SAFETY: see `read`.
    let (ram, from) = unsafe {
        (
            &mut *context.cast::<Ram>(),
            std::slice::from_raw_parts(bytes, len),
        )
    };
    for (to, from) in ram.bytes[offset as usize..].iter_mut().zip(from) {
        *to &= from;
    }
    0
}

/// See [`read`].
unsafe extern "C" fn erase(context: *mut c_void, offset: u32, len: usize) -> c_int {
    // SAFETY: see `read`.
    let ram = unsafe { &mut *context.cast::<Ram>() };
    ram.bytes[offset as usize..][..len].fill(0xff);
    0
}

unsafe extern "C" fn failing(_: *mut c_void, _: u32, _: usize) -> c_int {
    1
}

fn flash(ram: &mut Ram) -> Flash {
    Flash {
        context: ptr::from_mut(ram).cast(),
        read: Some(read),
        write: Some(write),
        erase: Some(erase),
        size: FLASH as u32,
    }
}

fn ram() -> Box<Ram> {
    Box::new(Ram {
        bytes: vec![0xff; FLASH],
        calls_back: None,
        called_back: None,
    })
}

fn open_store(m: *mut Mtslvr, flash: &Flash) -> *mut MtslvrStore {
    let (memory, len) = lent(get!(mtslvr_store_size(m)));
    get!(mtslvr_store_open(m, ptr::from_ref(flash), memory, len))
}

#[test]
fn clips_are_taught_and_recognised() {
    let (m, clip) = taught();
    assert_eq!(recognised(m, clip, 180.0), "hum");
    assert_eq!(recognised(m, clip, 2_300.0), "beep");
    let info = get!(mtslvr_get_info(m));
    assert_eq!(
        (info.classes, info.examples, info.sample_rate),
        (2, 2, 16_000)
    );
    assert_eq!(
        (info.class_capacity, info.example_capacity),
        (CLASSES, EXAMPLES)
    );
}

#[test]
fn classes_are_listed_renamed_and_removed() {
    let (m, _) = taught();
    let class = get!(mtslvr_class_at(m, 1));
    assert_eq!(
        (name_of(&class), class.examples, class.role),
        (c"beep", 1, Role::Sound as i32)
    );
    assert!(class.enabled && !class.threshold_is_set);
    assert_eq!(get!(mtslvr_class_find(m, c"beep".as_ptr())), class.id);

    assert_eq!(
        call!(mtslvr_class_set_threshold(m, class.id, 0.5)),
        Error::None
    );
    let set = get!(mtslvr_class_get(m, class.id));
    assert!(set.threshold_is_set && set.threshold == 0.5);
    assert_eq!(
        call!(mtslvr_class_reset_threshold(m, class.id)),
        Error::None
    );
    assert_eq!(get!(mtslvr_class_get(m, class.id)), class);
    assert_eq!(
        call!(mtslvr_class_set_threshold(m, class.id, f32::NAN)),
        Error::OutOfRange
    );

    assert_eq!(
        call!(mtslvr_class_rename(m, class.id, c"hum".as_ptr())),
        Error::NameTaken
    );
    assert_eq!(
        call!(mtslvr_class_rename(m, class.id, c"bell".as_ptr())),
        Error::None
    );
    assert_eq!(name_of(&get!(mtslvr_class_get(m, class.id))), c"bell");
    assert_eq!(call!(mtslvr_class_enable(m, class.id, false)), Error::None);
    assert_eq!(
        call!(mtslvr_class_remove_example(m, class.id, 1)),
        Error::NoSuchExample
    );
    assert_eq!(call!(mtslvr_class_remove(m, class.id)), Error::None);
    assert_eq!(call!(mtslvr_class_remove(m, class.id)), Error::NoSuchClass);
    assert_eq!(call!(mtslvr_clear(m)), Error::None);
    assert_eq!(get!(mtslvr_get_info(m)).classes, 0);
}

#[test]
fn a_stream_is_listened_to_one_event_at_a_time() {
    let (m, _) = taught();
    let listener = open_listener(m);
    let quiet: Vec<i16> = (0..48_000).map(|i| (i * 7919 % 13) as i16).collect();
    let stream = [
        quiet.clone(),
        tone(2_300.0),
        quiet.clone(),
        tone(180.0),
        quiet,
    ]
    .concat();
    let (mut left, mut heard) = (&stream[..], Vec::new());
    while !left.is_empty() {
        let report = get!(mtslvr_listen(m, listener, left.as_ptr(), left.len()));
        assert!(report.used > 0 && report.used <= left.len());
        left = &left[report.used..];
        if report.recognised {
            let class = get!(mtslvr_class_get(m, report.event.class_id));
            heard.push(name_of(&class).to_string_lossy().into_owned());
        }
    }
    assert_eq!(heard, ["beep", "hum"]);
    // The last sound is enrolled once.
    let len = get!(mtslvr_get_info(m)).embedding_len;
    let mut embedding = vec![0.0; len];
    assert_eq!(
        call!(mtslvr_heard(listener, embedding.as_mut_ptr(), len)),
        Error::None
    );
    let id = get!(mtslvr_heard_enrol(m, listener, c"hum".as_ptr()));
    assert_eq!(get!(mtslvr_class_get(m, id)).examples, 2);
    let again = call!(mtslvr_heard_enrol(
        m,
        listener,
        c"hum".as_ptr(),
        ptr::null_mut()
    ));
    assert_eq!(again, Error::NothingHeard);
    let mut report = Report::default();
    let listened = call!(mtslvr_listen_end(m, listener, &raw mut report));
    assert!(
        matches!(listened, Error::None | Error::NotFitted),
        "{listened:?}"
    );
}

#[test]
fn negatives_have_no_name() {
    let (m, clip) = taught();
    let len = get!(mtslvr_get_info(m)).embedding_len;
    let mut embedding = vec![0.0; len];
    push(m, clip, &tone(700.0));
    assert_eq!(
        call!(mtslvr_clip_embed(m, clip, embedding.as_mut_ptr(), len)),
        Error::None
    );
    let (role, values) = (Role::Negatives as i32, embedding.as_ptr());
    let id = get!(mtslvr_enrol_role(m, role, values, len));
    let class = get!(mtslvr_class_get(m, id));
    assert_eq!((class.role, name_of(&class)), (role, c""));
    let mut id = 0;
    for role in [Role::Sound as i32, 3, -1] {
        let enrolled = call!(mtslvr_enrol_role(m, role, values, len, &raw mut id));
        assert_eq!(enrolled, Error::OutOfRange);
    }
    assert_eq!(
        call!(mtslvr_class_rename(m, class.id, c"x".as_ptr())),
        Error::NameNotAllowed
    );
}

#[test]
fn what_was_taught_is_kept_in_flash_and_as_a_snapshot() {
    let (m, _) = taught();
    let mut ram = ram();
    let flash = flash(&mut ram);
    let store = open_store(m, &flash);
    assert_eq!(call!(mtslvr_save(m, store)), Error::None);
    assert!(get!(mtslvr_flash_size(m)) <= FLASH);

    let other = open();
    let other_clip = open_clip(other);
    let store = open_store(other, &flash);
    assert!(get!(mtslvr_load(other, store)));
    assert_eq!(call!(mtslvr_fit(other)), Error::None);
    assert_eq!(recognised(other, other_clip, 2_300.0), "beep");

    let mut bytes = vec![0; get!(mtslvr_snapshot_size(m))];
    let mut len = 0;
    let short = call!(mtslvr_export(
        m,
        bytes.as_mut_ptr(),
        bytes.len() - 1,
        &raw mut len
    ));
    assert_eq!(short, Error::SnapshotBufferTooShort);
    let len = get!(mtslvr_export(m, bytes.as_mut_ptr(), bytes.len()));
    assert_eq!(len, bytes.len());
    let third = open();
    assert_eq!(
        call!(mtslvr_import(third, bytes.as_ptr(), len)),
        Error::None
    );
    assert_eq!(get!(mtslvr_get_info(third)).classes, 2);
    bytes[len - 1] ^= 1;
    assert_eq!(
        call!(mtslvr_import(third, bytes.as_ptr(), len)),
        Error::SnapshotDamaged
    );
    assert_eq!(get!(mtslvr_get_info(third)).classes, 2);

    assert_eq!(call!(mtslvr_erase(store)), Error::None);
    assert!(!get!(mtslvr_load(other, store)));
}

#[test]
fn a_call_from_a_callback_finds_the_object_in_use() {
    let (m, _) = taught();
    let mut ram = ram();
    ram.calls_back = Some(m);
    let store = open_store(m, &flash(&mut ram));
    assert_eq!(call!(mtslvr_save(m, store)), Error::None);
    assert_eq!(ram.called_back, Some(Error::Busy));
    assert_eq!(call!(mtslvr_fit(m)), Error::None);
}

#[test]
fn flash_that_fails_or_does_not_fit_is_an_error() {
    let (m, _) = taught();
    let mut ram = ram();
    let (memory, len) = lent(get!(mtslvr_store_size(m)));
    let mut opened = ptr::null_mut();
    let mut open = |flash: Flash| {
        call!(mtslvr_store_open(
            m,
            ptr::from_ref(&flash),
            memory,
            len,
            &raw mut opened
        ))
    };
    let whole = flash(&mut ram);
    assert_eq!(
        open(Flash {
            read: None,
            ..whole
        }),
        Error::NullPointer
    );
    assert_eq!(
        open(Flash {
            size: 4096,
            ..whole
        }),
        Error::FlashSize
    );
    assert_eq!(
        open(Flash {
            size: 5000,
            ..whole
        }),
        Error::FlashSize
    );
    let bad = Flash {
        erase: Some(failing),
        ..whole
    };
    let store = open_store(m, &bad);
    assert_eq!(call!(mtslvr_erase(store)), Error::FlashFailed);
}

#[test]
fn null_misaligned_and_small_memory_are_errors() {
    let model = model();
    let (bytes, len) = (model.as_ptr(), model.len());
    let size = get!(mtslvr_size(bytes, len, CLASSES, EXAMPLES));
    let (memory, _) = lent(size + 16);
    let mut opened = ptr::null_mut();
    let mut open = |bytes: *const u8, len, memory, size| {
        call!(mtslvr_open(
            bytes,
            len,
            CLASSES,
            EXAMPLES,
            memory,
            size,
            &raw mut opened
        ))
    };
    assert_eq!(open(ptr::null(), len, memory, size), Error::NullPointer);
    assert_eq!(
        open(bytes.wrapping_add(1), len - 1, memory, size),
        Error::Misaligned
    );
    assert_eq!(open(bytes, len - 1, memory, size), Error::ModelLength);
    assert_eq!(open(bytes, 0, memory, size), Error::ModelLength);
    assert_eq!(open(bytes, usize::MAX, memory, size), Error::Length);
    assert_eq!(open(bytes, len, ptr::null_mut(), size), Error::NullPointer);
    assert_eq!(
        open(bytes, len, memory.wrapping_add(4), size),
        Error::Misaligned
    );
    assert_eq!(open(bytes, len, memory, size - 1), Error::MemoryTooSmall);
    assert_eq!(open(bytes, len, memory, size), Error::None);
    let null = call!(mtslvr_open(bytes, len, 1, 1, memory, size, ptr::null_mut()));
    assert_eq!(null, Error::NullPointer);
    let huge = call!(mtslvr_open(
        bytes,
        len,
        usize::MAX,
        9,
        memory,
        size,
        &raw mut opened
    ));
    assert_eq!(huge, Error::MemoryTooSmall);
}

#[test]
fn what_is_no_open_object_is_an_error() {
    let (m, clip) = taught();
    assert_eq!(call!(mtslvr_fit(ptr::null_mut())), Error::NullPointer);
    assert_eq!(call!(mtslvr_fit(m.wrapping_byte_add(1))), Error::Misaligned);
    let (memory, _) = lent(get!(mtslvr_clip_size(m)));
    assert_eq!(call!(mtslvr_clip_reset(memory.cast())), Error::NotOpen);
    assert_eq!(
        call!(mtslvr_clip_push(m, m.cast(), ptr::null(), 0)),
        Error::NotOpen
    );
    assert_eq!(call!(mtslvr_fit(clip.cast())), Error::NotOpen);
    let listener = open_listener(m);
    assert_eq!(call!(mtslvr_clip_reset(listener.cast())), Error::NotOpen);
}

#[test]
fn wrong_lengths_and_missing_results_are_errors() {
    let (m, clip) = taught();
    let len = get!(mtslvr_get_info(m)).embedding_len;
    let mut embedding = vec![0.5; len];
    let values = embedding.as_mut_ptr();
    let mut decision = MaybeUninit::uninit();
    let mut classify = |values, len| call!(mtslvr_classify(m, values, len, decision.as_mut_ptr()));
    assert_eq!(classify(values, len - 1), Error::Length);
    assert_eq!(classify(values, usize::MAX), Error::Length);
    assert_eq!(classify(ptr::null(), len), Error::NullPointer);
    assert_eq!(
        classify(values.wrapping_byte_add(1), len),
        Error::Misaligned
    );
    assert_eq!(
        call!(mtslvr_classify(m, values, len, ptr::null_mut())),
        Error::NullPointer
    );
    assert_eq!(
        call!(mtslvr_clip_embed(m, clip, values, len - 1)),
        Error::Length
    );
    assert_eq!(
        call!(mtslvr_clip_embed(m, clip, values, len)),
        Error::ClipEmpty
    );
    embedding[0] = f32::NAN;
    assert_eq!(
        call!(mtslvr_enrol(
            m,
            c"x".as_ptr(),
            embedding.as_ptr(),
            len,
            ptr::null_mut()
        )),
        Error::EmbeddingNotFinite
    );
}

#[test]
fn names_are_checked() {
    let (m, _) = taught();
    let len = get!(mtslvr_get_info(m)).embedding_len;
    let embedding: Vec<f32> = (0..len).map(|i| i as f32).collect();
    let longest = [b'n'; MTSLVR_NAME_SIZE];
    for (name, expected) in [
        (&b"\0"[..], Error::NameEmpty),
        (b"..\0", Error::NameEmpty),
        (b"a\x07\0", Error::NameCharacters),
        (b"\xff\0", Error::NameCharacters),
        // Without a zero: no more is read than a name may have.
        (&longest, Error::NameTooLong),
    ] {
        let (name, none) = (name.as_ptr().cast(), ptr::null_mut());
        assert_eq!(
            call!(mtslvr_enrol(m, name, embedding.as_ptr(), len, none)),
            expected
        );
    }
    let mut id = 0;
    assert_eq!(
        call!(mtslvr_class_find(m, ptr::null(), &raw mut id)),
        Error::NullPointer
    );
    assert_eq!(
        call!(mtslvr_class_find(m, c"nobody".as_ptr(), &raw mut id)),
        Error::NoSuchClass
    );
}

#[test]
fn poor_clips_and_changes_without_a_fit_are_refused() {
    let (m, clip) = taught();
    let enrol = || call!(mtslvr_clip_enrol(m, clip, c"hum".as_ptr(), ptr::null_mut()));
    push(m, clip, &[0; 16_000]);
    assert_eq!(enrol(), Error::ClipTooQuiet);
    push(m, clip, &tone(300.0)[..100]);
    assert_eq!(enrol(), Error::ClipTooShort);
    push(m, clip, &[i16::MAX; 16_000]);
    assert_eq!(call!(mtslvr_clip_check(m, clip)), Error::ClipOverloaded);
    assert_eq!(call!(mtslvr_clip_reset(clip)), Error::None);
    // The classes that were there can still be recognised: nothing was enrolled.
    assert_eq!(recognised(m, clip, 180.0), "hum");
    push(m, clip, &tone(2_300.0));
    get!(mtslvr_clip_enrol(m, clip, c"beep".as_ptr()));
    push(m, clip, &tone(2_300.0));
    let mut decision = MaybeUninit::uninit();
    let classified = call!(mtslvr_clip_classify(m, clip, decision.as_mut_ptr()));
    assert_eq!(classified, Error::NotFitted);
}

#[test]
fn settings_of_a_listener_are_checked() {
    let m = open();
    let (memory, len) = lent(get!(mtslvr_listener_size(m)));
    let mut settings = get!(mtslvr_listener_defaults());
    settings.agreeing = 0;
    let mut opened = ptr::null_mut();
    let settings = ptr::from_ref(&settings);
    let made = call!(mtslvr_listener_open(
        m,
        settings,
        memory,
        len,
        &raw mut opened
    ));
    assert_eq!(made, Error::OutOfRange);
}
