//! Which served entity answers.

/// Index of an entity drawn by weight among those that are usable; `draw` is uniform over all `u64`.
///
/// Entities of weight 0 are never drawn (contract §4.3: they answer direct queries and fallbacks only). `None` when
/// nothing with a weight is usable.
pub fn weighted(entities: impl Iterator<Item = (u32, bool)> + Clone, draw: u64) -> Option<usize> {
    let usable = || entities.clone().enumerate().filter(|(_, (_, usable))| *usable);
    let total: u64 = usable().map(|(_, (weight, _))| u64::from(weight)).sum();
    let mut left = below(draw, total);
    for (index, (weight, _)) in usable() {
        let weight = u64::from(weight);
        if left < weight {
            return Some(index);
        }
        left -= weight;
    }
    None
}

/// `draw` scaled to `0..bound` by multiplication (Lemire 2019); the bias is under 2^-57 for percentages.
fn below(draw: u64, bound: u64) -> u64 {
    ((u128::from(draw) * u128::from(bound)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn draws_only_usable_entities(entities in prop::collection::vec((0u32..=100, any::<bool>()), 0..16), draw: u64) {
            match weighted(entities.iter().copied(), draw) {
                Some(index) => {
                    prop_assert!(entities[index].1 && entities[index].0 > 0);
                }
                None => prop_assert!(entities.iter().all(|(weight, usable)| !usable || *weight == 0)),
            }
        }
    }

    #[test]
    fn shares_follow_the_weights_exactly_over_the_whole_range() {
        // A grid over u64 meets each entity in proportion to its weight.
        let entities = [(75, true), (0, true), (25, true), (50, false)];
        let mut hits = [0u32; 4];
        for step in 0..10_000u64 {
            hits[weighted(entities.iter().copied(), step * (u64::MAX / 10_000)).unwrap()] += 1;
        }
        assert_eq!(hits[1] + hits[3], 0);
        assert!(hits[0].abs_diff(7_500) <= 1 && hits[2].abs_diff(2_500) <= 1, "{hits:?}");
    }
}
