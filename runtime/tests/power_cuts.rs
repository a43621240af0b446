//! The power is cut at every byte that a store writes or erases through a device's life: the state that
//! is loaded afterwards is the one before the interrupted step or the one after it. Blocking and
//! asynchronous stores go through the same.
//!
//! `cargo test --release -p mtslvr-runtime --features std,flash --test power_cuts -- --nocapture`
//! prints the counts. `POWER-CUTS.md` has those of a longer life: `MTSLVR_POWER_CUT_ROUNDS=40` compares
//! them, and writes them with `MTSLVR_WRITE_POWER_CUTS=1`.

use embedded_storage_async::nor_flash as asynchronous;
use mtslvr_runtime::fewshot::persist::{
    Blocking, BlockingFlashStore, FlashStore, Loaded, StoreError, export, flash_len, snapshot_len,
    store_scratch_len,
};
use mtslvr_runtime::fewshot::{ClassId, HeadKind, Learner, Reference, Role, StorageVec};
use mtslvr_runtime::frontend::{FrontendConfig, FrontendForm};
use mtslvr_runtime::space::{BackboneId, EmbeddingSpace, Part, Parts};
use mtslvr_simulated_flash::{FlashFault, SimulatedFlash};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

const CLASSES: usize = 4;
const EXAMPLES: usize = 12;
const DIM: usize = 32;
const BACKBONE: BackboneId = BackboneId::new([0x12; 32]);

fn space() -> EmbeddingSpace<'static> {
    let part = |name| Part {
        name,
        len: DIM / 2,
        share: 0.5,
    };
    let parts = Parts::new([part("invariant"), part("equivariant")]).unwrap();
    let frontend = FrontendConfig {
        sample_rate: 16_000,
        window: 512,
        hop: 256,
        mels: 40,
        frames: 61,
        f_min: 60.0,
        f_max: 7800.0,
        floor: 1e-6,
        mean: -6.5,
        scale: 0.25,
        form: FrontendForm::PLAIN,
    };
    let reference = Reference::assumed(0.5);
    EmbeddingSpace::new(BACKBONE, frontend, parts, &[0.0; DIM], reference).unwrap()
}

fn embedding(seed: u32) -> [f32; DIM] {
    std::array::from_fn(|i| ((i as f32 + 1.3) * (seed as f32 + 0.7)).sin())
}

/// Returns the content of a support set as bytes that can be compared.
fn state(learner: &Learner) -> Vec<u8> {
    let mut bytes = vec![0; snapshot_len(learner.support())];
    export(learner, &mut bytes).unwrap();
    bytes
}

type Step = (&'static str, fn(&mut Learner));

fn enrol(learner: &mut Learner, name: &str, seed: u32) {
    learner.enrol(name, &embedding(seed)).unwrap();
}

/// The class at a place.
fn class(learner: &Learner, place: usize) -> ClassId {
    learner.support().classes()[place].id()
}

fn remove_first(learner: &mut Learner) {
    let first = class(learner, 0);
    learner.support_mut().remove(first).unwrap();
}

/// A device's life. Each step is saved.
fn life(rounds: usize) -> Vec<Step> {
    let mut steps: Vec<Step> = vec![
        ("enrol", |l| enrol(l, "doorbell", 1)),
        ("add", |l| enrol(l, "doorbell", 2)),
        ("enrol", |l| enrol(l, "kettle", 3)),
        ("rename", |l| {
            let first = class(l, 0);
            l.support_mut().rename(first, "front door").unwrap();
        }),
        ("threshold", |l| {
            l.set_class_threshold(class(l, 1), Some(0.75)).unwrap();
        }),
        ("threshold", |l| {
            l.set_default_threshold(Some(0.25)).unwrap();
        }),
        ("negative", |l| {
            l.enrol_role(Role::Negatives, &embedding(4)).unwrap();
        }),
        ("background", |l| {
            l.enrol_role(Role::Background, &embedding(5)).unwrap();
        }),
        ("disable", |l| {
            let first = class(l, 0);
            l.support_mut().set_enabled(first, false).unwrap();
        }),
        ("add three", |l| {
            (6..9).for_each(|seed| enrol(l, "kettle", seed));
        }),
        ("delete", remove_first),
        ("enable", |l| {
            let first = class(l, 0);
            l.support_mut().set_enabled(first, true).unwrap();
        }),
        ("forget one", |l| {
            let first = class(l, 0);
            l.support_mut().remove_example(first, 1).unwrap();
        }),
        ("enrol", |l| enrol(l, "dog", 9)),
        ("replace all", |l| {
            l.support_mut().clear();
            (20..32).for_each(|seed| enrol(l, ["a", "b", "c"][seed as usize % 3], seed));
        }),
    ];
    // Every page is gathered and erased in the course of these.
    for _ in 0..rounds {
        steps.extend([
            ("delete", remove_first as fn(&mut Learner)),
            ("add", |l| enrol(l, "d", 40)),
            ("rename", |l| {
                let second = class(l, 1);
                l.support_mut().rename(second, "another name").unwrap();
            }),
            ("threshold", |l| {
                l.set_class_threshold(class(l, 0), None).unwrap();
            }),
            ("enrol", |l| {
                let seed = 50 + l.support().example_count() as u32;
                (0..3).for_each(|i| enrol(l, "d", seed + i));
            }),
            ("forget one", |l| {
                let first = class(l, 0);
                l.support_mut().remove_example(first, 0).unwrap();
            }),
            ("clear", |l| l.support_mut().clear()),
            ("enrol", |l| {
                (60..66).for_each(|seed| enrol(l, ["x", "y"][seed as usize % 2], seed));
            }),
        ]);
    }
    steps
}

fn storage() -> StorageVec {
    StorageVec::new(CLASSES, EXAMPLES, DIM)
}

fn learner(storage: &mut StorageVec) -> Learner<'_> {
    Learner::new(storage.lend(), HeadKind::default(), space()).unwrap()
}

/// A store of one kind in a simulated flash.
trait Driver<const PAGE: usize, const WORD: usize> {
    /// Saves, and gives the flash back.
    fn save(
        flash: SimulatedFlash<PAGE, WORD>,
        learner: &Learner,
        scratch: &mut [u8],
    ) -> (SimulatedFlash<PAGE, WORD>, Result<(), Fault>);

    /// Loads, and gives the flash back.
    fn load(
        flash: SimulatedFlash<PAGE, WORD>,
        learner: &mut Learner,
        scratch: &mut [u8],
    ) -> (SimulatedFlash<PAGE, WORD>, Result<Loaded, Fault>);
}

type Fault = StoreError<FlashFault>;

/// The store for drivers that block.
struct BlockingDriver;

impl<const PAGE: usize, const WORD: usize> Driver<PAGE, WORD> for BlockingDriver {
    fn save(
        flash: SimulatedFlash<PAGE, WORD>,
        learner: &Learner,
        scratch: &mut [u8],
    ) -> (SimulatedFlash<PAGE, WORD>, Result<(), Fault>) {
        let range = 0..flash.content().len() as u32;
        let mut store = BlockingFlashStore::new(flash, range).unwrap();
        let result = store.save(learner, scratch);
        (store.into_flash(), result)
    }

    fn load(
        flash: SimulatedFlash<PAGE, WORD>,
        learner: &mut Learner,
        scratch: &mut [u8],
    ) -> (SimulatedFlash<PAGE, WORD>, Result<Loaded, Fault>) {
        let range = 0..flash.content().len() as u32;
        let mut store = BlockingFlashStore::new(flash, range).unwrap();
        let result = store.load(learner, scratch);
        (store.into_flash(), result)
    }
}

/// The store for asynchronous drivers, with one that is never ready at once.
struct AsyncDriver;

impl<const PAGE: usize, const WORD: usize> Driver<PAGE, WORD> for AsyncDriver {
    fn save(
        flash: SimulatedFlash<PAGE, WORD>,
        learner: &Learner,
        scratch: &mut [u8],
    ) -> (SimulatedFlash<PAGE, WORD>, Result<(), Fault>) {
        let range = 0..flash.content().len() as u32;
        let mut store = FlashStore::new(Unready(Blocking(flash)), range).unwrap();
        let result = poll_to_the_end(store.save(learner, scratch));
        (store.into_flash().0.0, result)
    }

    fn load(
        flash: SimulatedFlash<PAGE, WORD>,
        learner: &mut Learner,
        scratch: &mut [u8],
    ) -> (SimulatedFlash<PAGE, WORD>, Result<Loaded, Fault>) {
        let range = 0..flash.content().len() as u32;
        let mut store = FlashStore::new(Unready(Blocking(flash)), range).unwrap();
        let result = poll_to_the_end(store.load(learner, scratch));
        (store.into_flash().0.0, result)
    }
}

/// A flash that makes its caller wait before every operation, as one on a bus does.
struct Unready<F>(F);

impl<F: asynchronous::ErrorType> asynchronous::ErrorType for Unready<F> {
    type Error = F::Error;
}

impl<F: asynchronous::NorFlash> asynchronous::ReadNorFlash for Unready<F> {
    const READ_SIZE: usize = F::READ_SIZE;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), F::Error> {
        wait_once().await;
        self.0.read(offset, bytes).await
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl<F: asynchronous::NorFlash> asynchronous::NorFlash for Unready<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), F::Error> {
        wait_once().await;
        self.0.erase(from, to).await
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), F::Error> {
        wait_once().await;
        self.0.write(offset, bytes).await
    }
}

/// Waits until it is polled for the second time.
async fn wait_once() {
    let mut asked = false;
    std::future::poll_fn(|_| match std::mem::replace(&mut asked, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

fn poll_to_the_end<T>(future: impl Future<Output = T>) -> T {
    let (mut future, mut polls) = (pin!(future), 0);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        polls += 1;
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            assert!(polls > 1, "the flash was not waited for");
            return output;
        }
    }
}

fn save<D: Driver<PAGE, WORD>, const PAGE: usize, const WORD: usize>(
    flash: SimulatedFlash<PAGE, WORD>,
    learner: &Learner,
) -> (SimulatedFlash<PAGE, WORD>, Result<(), Fault>) {
    let mut scratch = vec![0xa5; store_scratch_len(CLASSES, EXAMPLES, DIM)];
    D::save(flash, learner, &mut scratch)
}

/// The state that is loaded from `flash`.
fn load<D: Driver<PAGE, WORD>, const PAGE: usize, const WORD: usize>(
    flash: SimulatedFlash<PAGE, WORD>,
) -> (SimulatedFlash<PAGE, WORD>, Result<Vec<u8>, Fault>) {
    let mut scratch = vec![0x5a; store_scratch_len(CLASSES, EXAMPLES, DIM)];
    let mut room = storage();
    let mut learner = learner(&mut room);
    let (flash, result) = D::load(flash, &mut learner, &mut scratch);
    (flash, result.map(|_| state(&learner)))
}

#[derive(Default)]
struct Counts {
    cuts: u64,
    before: u64,
    after: u64,
    cuts_while_recovering: u64,
}

/// Saves the state of `learner` with the power cut after `cut` bytes; checks what is there then.
/// False if the step was over before.
fn cut_once<D: Driver<PAGE, WORD>, const PAGE: usize, const WORD: usize>(
    flash: &SimulatedFlash<PAGE, WORD>,
    before: &[u8],
    learner: &Learner,
    cut: u64,
    torn: u8,
    counts: &mut Counts,
) -> bool {
    let after = state(learner);
    let mut flash = flash.clone();
    flash.cut_after(cut, torn);
    let (mut flash, result) = save::<D, PAGE, WORD>(flash, learner);
    if flash.is_powered() {
        result.unwrap();
        return false;
    }
    assert_eq!(result, Err(StoreError::Flash(FlashFault::NoPower)));
    flash.restore_power();
    counts.cuts += 1;
    let cut_image = flash.clone();
    let (flash, found) = load::<D, PAGE, WORD>(flash);
    let found = found.unwrap_or_else(|error| panic!("cut at {cut}, torn {torn:02x}: {error}"));
    let is_after = found == after;
    assert!(
        is_after || found == before,
        "cut at {cut}, torn {torn:02x}: another state"
    );
    if is_after {
        counts.after += 1;
    } else {
        counts.before += 1;
    }
    // Loading changed nothing that counts.
    let (flash, again) = load::<D, PAGE, WORD>(flash);
    assert!(
        again.unwrap() == found,
        "cut at {cut}, torn {torn:02x}: another state later"
    );
    // The interrupted step can be done after all.
    let (flash, result) = save::<D, PAGE, WORD>(flash, learner);
    result.unwrap_or_else(|error| panic!("cut at {cut}, torn {torn:02x}: saving again: {error}"));
    assert!(load::<D, PAGE, WORD>(flash).1.unwrap() == after);
    // The power goes again while the first cut is being repaired.
    if cut % 499 == 250 {
        for second in 0.. {
            let mut flash = cut_image.clone();
            flash.cut_after(second, torn);
            let (flash, _) = load::<D, PAGE, WORD>(flash);
            let (mut flash, _) = if flash.is_powered() {
                save::<D, PAGE, WORD>(flash, learner)
            } else {
                (flash, Ok(()))
            };
            if flash.is_powered() {
                break;
            }
            flash.restore_power();
            counts.cuts_while_recovering += 1;
            let now = load::<D, PAGE, WORD>(flash).1.unwrap();
            assert!(now == after || now == before, "cuts at {cut} and {second}");
        }
    }
    true
}

/// Lives through `steps`, each with the power cut at every `stride`-th byte of it. Gives the flash
/// at the end.
fn live<D: Driver<PAGE, WORD>, const PAGE: usize, const WORD: usize>(
    steps: &[Step],
    stride: u64,
    total: &mut Counts,
) -> SimulatedFlash<PAGE, WORD> {
    let pages = flash_len(CLASSES, EXAMPLES, DIM, PAGE).unwrap() / PAGE;
    let mut flash = SimulatedFlash::new(pages);
    let mut room = storage();
    let mut learner = learner(&mut room);
    let mut before = state(&learner);
    for (name, step) in steps {
        step(&mut learner);
        for torn in [0x00, 0x5a] {
            let mut cut = 0;
            while cut_once::<D, PAGE, WORD>(&flash, &before, &learner, cut, torn, total) {
                cut += stride;
            }
        }
        let (saved, result) = save::<D, PAGE, WORD>(flash, &learner);
        result.unwrap_or_else(|error| panic!("{name}: {error}"));
        flash = saved;
        before = state(&learner);
    }
    flash
}

/// Rounds of the life whose counts `POWER-CUTS.md` has.
const ROUNDS_OF_DOCUMENT: usize = 40;

/// Writes the counts as rows of a table. Other outcomes would have failed the test.
fn table<const PAGE: usize, const WORD: usize>(
    steps: &[Step],
    flash: &SimulatedFlash<PAGE, WORD>,
    total: &Counts,
) -> String {
    let pages = flash.content().len() / PAGE;
    let rows = [
        ("steps, each saved", steps.len() as u64),
        ("bytes written or erased", flash.bytes_changed()),
        ("pages of the flash", pages as u64),
        ("pages erased", flash.pages_erased()),
        ("cuts", total.cuts),
        ("… that left the state before the step", total.before),
        ("… that left the state after it", total.after),
        ("… that left another state", 0),
        ("… after which loading or saving failed", 0),
        (
            "cuts while a cut was being repaired",
            total.cuts_while_recovering,
        ),
        (
            "… that left another state than before or after, or an error",
            0,
        ),
    ];
    let row = |(name, count): (&str, u64)| format!("| {name} | {count} |\n");
    format!("| | |\n|---|---|\n{}", rows.map(row).concat())
}

/// Checks that `POWER-CUTS.md` has `table`; `MTSLVR_WRITE_POWER_CUTS=1` writes it there instead.
fn compare_with_document(table: &str) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/POWER-CUTS.md");
    let document = std::fs::read_to_string(path).unwrap();
    let (before, rest) = document.split_once("<!-- table -->\n").unwrap();
    let (written, after) = rest.split_once("<!-- end -->\n").unwrap();
    if std::env::var_os("MTSLVR_WRITE_POWER_CUTS").is_some() {
        let text = format!("{before}<!-- table -->\n{table}<!-- end -->\n{after}");
        std::fs::write(path, text).unwrap();
    } else {
        assert_eq!(written, table, "POWER-CUTS.md differs");
    }
}

#[test]
fn at_every_byte_the_state_is_the_one_before_or_after() {
    let rounds = std::env::var("MTSLVR_POWER_CUT_ROUNDS").map_or(5, |n| n.parse().unwrap());
    let steps = life(rounds);
    let mut total = Counts::default();
    let flash = live::<BlockingDriver, 1024, 4>(&steps, 1, &mut total);
    let table = table(&steps, &flash, &total);
    println!("{table}");
    if rounds == ROUNDS_OF_DOCUMENT {
        compare_with_document(&table);
    }
    assert!(
        flash.pages_erased() > 5,
        "{} pages erased",
        flash.pages_erased()
    );
    assert!(total.before > 1000 && total.after > 100);
}

/// Serial flash, internal flash of other makers: the same promise.
#[test]
fn other_sizes_of_words_and_pages_do_as_well() {
    let mut total = Counts::default();
    let steps = life(4);
    live::<BlockingDriver, 4096, 1>(&steps, 97, &mut total);
    live::<BlockingDriver, 512, 8>(&steps, 97, &mut total);
    live::<BlockingDriver, 2048, 16>(&steps, 97, &mut total);
    assert!(total.before > 500 && total.after > 20);
}

/// An asynchronous driver, which waits in the middle of everything.
#[test]
fn an_asynchronous_flash_keeps_the_same_promise() {
    let mut total = Counts::default();
    let steps = life(4);
    let flash = live::<AsyncDriver, 1024, 4>(&steps, 31, &mut total);
    assert!(total.before > 500 && total.after > 20);
    // The bytes are those that a blocking driver leaves.
    let mut blocking = Counts::default();
    let same = live::<BlockingDriver, 1024, 4>(&steps, 1 << 20, &mut blocking);
    assert_eq!(flash.content(), same.content());
}

/// A task that is cancelled between two operations of the flash.
#[test]
fn a_future_that_is_dropped_is_as_a_power_cut() {
    let (mut room, mut scratch) = (
        storage(),
        vec![0; store_scratch_len(CLASSES, EXAMPLES, DIM)],
    );
    let mut learner = learner(&mut room);
    enrol(&mut learner, "doorbell", 1);
    let pages = flash_len(CLASSES, EXAMPLES, DIM, 1024).unwrap() / 1024;
    let (flash, saved) = save::<AsyncDriver, 1024, 4>(SimulatedFlash::new(pages), &learner);
    saved.unwrap();
    let before = state(&learner);
    enrol(&mut learner, "doorbell", 2);
    enrol(&mut learner, "kettle", 3);
    let after = state(&learner);
    let mut found = [0, 0];
    for polls in 0.. {
        let range = 0..flash.content().len() as u32;
        let mut store = FlashStore::new(Unready(Blocking(flash.clone())), range).unwrap();
        let mut context = Context::from_waker(Waker::noop());
        let done = {
            let mut future = pin!(store.save(&learner, &mut scratch));
            (0..polls).any(|_| future.as_mut().poll(&mut context).is_ready())
        };
        let now = load::<BlockingDriver, 1024, 4>(store.into_flash().0.0)
            .1
            .unwrap();
        assert!(now == before || now == after, "after {polls} polls");
        found[usize::from(now == after)] += 1;
        if done {
            break;
        }
    }
    assert!(found[0] > 5 && found[1] > 0, "{found:?}");
}
