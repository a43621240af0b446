//! Places tensors in the arena by lifetime.

use core::ops::RangeInclusive;

/// Offsets in the arena are multiples of this, so that word loads are aligned.
const ALIGN: usize = 4;

/// Orders tried beyond the three sensible ones, if those leave gaps.
const MOVES: usize = 400;

/// Memory that is needed for some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Bytes.
    pub len: usize,
    /// First and last time at which it is needed.
    pub lifetime: RangeInclusive<usize>,
}

impl Request {
    fn meets(&self, other: &Self) -> bool {
        self.lifetime.start() <= other.lifetime.end()
            && other.lifetime.start() <= self.lifetime.end()
    }
}

/// Places of the requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Offset of each request.
    pub offsets: Vec<usize>,
    /// Bytes of the arena.
    pub arena_len: usize,
    /// Largest sum of requests that are needed at one time.
    pub lower_bound: usize,
}

/// Places `requests` so that none that meet in time overlap.
///
/// One after the other goes to the lowest gap that holds it: in the order given, the largest first,
/// and the longest needed first; then, until the lower bound is reached, in orders that differ from
/// the best so far by one move (with a fixed seed: the same requests give the same places).
pub fn place(requests: &[Request]) -> Placement {
    let lower_bound = lower_bound(requests);
    let span = |r: &Request| r.lifetime.end() - r.lifetime.start();
    let given: Vec<usize> = (0..requests.len()).collect();
    let mut largest = given.clone();
    largest.sort_by_key(|&i| core::cmp::Reverse((requests[i].len, span(&requests[i]))));
    let mut longest = given.clone();
    longest.sort_by_key(|&i| core::cmp::Reverse((span(&requests[i]), requests[i].len)));

    let mut best = first_fit(requests, &given);
    let mut best_order = given;
    for order in [largest, longest] {
        let candidate = first_fit(requests, &order);
        if candidate.1 < best.1 {
            (best, best_order) = (candidate, order);
        }
    }
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for _ in 0..MOVES {
        if best.1 <= lower_bound {
            break;
        }
        let mut order = best_order.clone();
        let moved = order.remove(random(order.len()));
        order.insert(random(order.len() + 1), moved);
        let candidate = first_fit(requests, &order);
        // Takes equal plans too, so that the search can cross plateaus.
        if candidate.1 <= best.1 {
            (best, best_order) = (candidate, order);
        }
    }
    let (offsets, arena_len) = best;
    Placement {
        offsets,
        arena_len,
        lower_bound,
    }
}

fn lower_bound(requests: &[Request]) -> usize {
    // The sum grows only where a request begins.
    let sums = requests.iter().map(|r| {
        let now = r.lifetime.start();
        let live = requests.iter().filter(|r| r.lifetime.contains(now));
        live.map(|r| r.len).sum()
    });
    sums.max().unwrap_or(0)
}

/// Places requests in `order`, each into the lowest gap; gives offsets and the arena's length.
fn first_fit(requests: &[Request], order: &[usize]) -> (Vec<usize>, usize) {
    let mut offsets = vec![0; requests.len()];
    let mut end = 0;
    for (placed, &index) in order.iter().enumerate() {
        let request = &requests[index];
        let mut taken: Vec<(usize, usize)> = order[..placed]
            .iter()
            .filter(|&&other| requests[other].meets(request))
            .map(|&other| (offsets[other], offsets[other] + requests[other].len))
            .collect();
        taken.sort_unstable();
        let mut offset = 0usize;
        for (start, end) in taken {
            if offset + request.len <= start {
                break;
            }
            offset = offset.max(end.next_multiple_of(ALIGN));
        }
        offsets[index] = offset;
        end = end.max(offset + request.len);
    }
    (offsets, end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn never_overlaps_what_meets_in_time(
            wanted in proptest::collection::vec((0usize..500, 0usize..12, 0usize..5), 0..30),
        ) {
            let requests: Vec<Request> = wanted
                .iter()
                .map(|&(len, start, span)| Request { len, lifetime: start..=start + span })
                .collect();
            let placement = place(&requests);
            prop_assert!(placement.arena_len >= placement.lower_bound);
            for (i, a) in requests.iter().enumerate() {
                prop_assert!(placement.offsets[i] + a.len <= placement.arena_len);
                for (j, b) in requests.iter().enumerate().skip(i + 1) {
                    let (x, y) = (placement.offsets[i], placement.offsets[j]);
                    let apart = x + a.len <= y || y + b.len <= x;
                    prop_assert!(!a.meets(b) || apart || a.len == 0 || b.len == 0);
                }
            }
        }
    }
}
