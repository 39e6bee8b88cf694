//! Sorting, compiled once: the standard library's sorts are built anew for every type and comparison, which costs the
//! page several kilobytes each. What is sorted here are lists of rows and options, never a grid.

use std::cmp::Ordering;

/// Sorts `items` by `compare`; what compares equal keeps its order.
pub(crate) fn sort_by<T>(items: &mut [T], compare: impl Fn(&T, &T) -> Ordering) {
    let sorted = {
        let items = &*items;
        positions(items.len(), &|a, b| compare(&items[a], &items[b]))
    };
    for (a, b) in swaps(sorted) {
        items.swap(a, b);
    }
}

/// The positions `0..len` in the order of what stands there: merges of runs of 1, 2, 4… positions.
fn positions(len: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut sorted: Vec<usize> = (0..len).collect();
    let mut run = 1;
    while run < len {
        let mut merged = Vec::with_capacity(len);
        for pair in sorted.chunks(2 * run) {
            let (mut left, mut right) = pair.split_at(run.min(pair.len()));
            while let ([a, behind_a @ ..], [b, behind_b @ ..]) = (left, right) {
                if compare(*a, *b).is_le() {
                    merged.push(*a);
                    left = behind_a;
                } else {
                    merged.push(*b);
                    right = behind_b;
                }
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        sorted = merged;
        run *= 2;
    }
    sorted
}

/// The swaps that, one after the other, bring `sorted[i]` to position `i`: along each cycle of the permutation.
fn swaps(mut sorted: Vec<usize>) -> Vec<(usize, usize)> {
    let mut out = Vec::new();
    for start in 0..sorted.len() {
        let mut at = start;
        loop {
            let from = std::mem::replace(&mut sorted[at], at);
            if from == start {
                break;
            }
            out.push((at, from));
            at = from;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::sort_by;

    proptest! {
        #[test]
        fn sorts_as_the_standard_library_does(keys in prop::collection::vec(0..20u8, 0..70)) {
            let mut ours: Vec<(u8, usize)> = keys.iter().copied().zip(0..).collect();
            let mut theirs = ours.clone();
            sort_by(&mut ours, |a, b| a.0.cmp(&b.0));
            theirs.sort_by_key(|item| item.0);
            prop_assert_eq!(ours, theirs);
        }
    }
}
