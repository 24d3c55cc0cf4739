//! Folds: which rows train and which test.
//!
//! By time where rows have one, so that the test looks like use; by customer where a customer has
//! several rows, so that none is on both sides; stratified where rows are independent, so that
//! every fold has its share of churners. Never rows at random.

use crate::error::{Error, Result};
use crate::math::random::Random;

/// One split of the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fold {
    /// Rows to fit on, ascending.
    pub train: Vec<usize>,
    /// Rows to judge on, ascending.
    pub test: Vec<usize>,
}

/// Folds with equal shares of each label: churners and those who stay are shuffled and dealt out
/// apart. Each row is in exactly one test.
///
/// # Errors
/// `InvalidParameter` for fewer than 2 folds; `InvalidValue` for a label other than 0 and 1;
/// `NotEnoughData` where a label has fewer rows than there are folds.
pub fn stratified_folds(target: &[f64], folds: usize, seed: u64) -> Result<Vec<Fold>> {
    let groups: Vec<u32> = (0..target.len() as u32).collect();
    grouped_folds(target, &groups, folds, seed)
}

/// Folds that keep the rows of a group (a customer) together: groups are dealt out shuffled, those
/// with a churn apart from those without, so that folds have about equal shares of churners.
///
/// # Errors
/// As [`stratified_folds`], of groups in place of rows; `LengthMismatch`.
pub fn grouped_folds(target: &[f64], groups: &[u32], folds: usize, seed: u64) -> Result<Vec<Fold>> {
    if !(2..=1_000).contains(&folds) {
        return Err(Error::invalid_parameter("folds", "2 to 1000 folds", folds));
    }
    if groups.len() != target.len() {
        return Err(Error::length_mismatch("groups", target.len(), groups.len()));
    }
    if let Some(row) = target.iter().position(|y| *y != 0.0 && *y != 1.0) {
        return Err(Error::invalid_value("target", row, "0 or 1", target[row]));
    }
    let mut members: Vec<(u32, usize)> = groups.iter().copied().zip(0..).collect();
    members.sort_unstable();
    let mut classes: [Vec<&[(u32, usize)]>; 2] = [Vec::new(), Vec::new()];
    for group in members.chunk_by(|a, b| a.0 == b.0) {
        let churned = group.iter().any(|(_, row)| target[*row] == 1.0);
        classes[usize::from(churned)].push(group);
    }
    let mut fold_of = vec![0; target.len()];
    for (label, class) in classes.iter_mut().enumerate() {
        if class.len() < folds {
            return Err(Error::not_enough_data(
                "target",
                format_args!("at least {folds} with label {label} for {folds} folds"),
                class.len(),
            ));
        }
        let mut random = Random::new(seed, label as u64);
        shuffle(class, &mut random);
        // Churners are dealt from the other end, so that fold sizes differ by one at most.
        for (place, group) in class.iter().enumerate() {
            let fold = if label == 0 {
                place % folds
            } else {
                folds - 1 - place % folds
            };
            for (_, row) in *group {
                fold_of[*row] = fold;
            }
        }
    }
    let fold = |k: usize| Fold {
        train: (0..target.len()).filter(|row| fold_of[*row] != k).collect(),
        test: (0..target.len()).filter(|row| fold_of[*row] == k).collect(),
    };
    Ok((0..folds).map(fold).collect())
}

/// Folds that go forward in time, oldest test first: at most `folds` of the latest periods are
/// tested, each on the periods that were over when it began.
///
/// `period` numbers each row's period; `starts` and `ends` say when a period is described and when
/// its labels are known.
///
/// # Errors
/// `LengthMismatch`; `InvalidParameter` for no fold or a period without a start; `NotEnoughData`
/// where no period was over before another one began.
pub fn time_folds(period: &[u32], starts: &[i64], ends: &[i64], folds: usize) -> Result<Vec<Fold>> {
    if folds == 0 {
        return Err(Error::invalid_parameter(
            "folds",
            "at least one fold",
            folds,
        ));
    }
    if ends.len() != starts.len() {
        return Err(Error::length_mismatch("ends", starts.len(), ends.len()));
    }
    if let Some(row) = period.iter().position(|p| *p as usize >= starts.len()) {
        let expected = format!("a period below {}", starts.len());
        return Err(Error::invalid_value("period", row, expected, period[row]));
    }
    let rows = |wanted: &dyn Fn(usize) -> bool| -> Vec<usize> {
        (0..period.len())
            .filter(|row| wanted(period[*row] as usize))
            .collect()
    };
    let mut order: Vec<usize> = (0..starts.len()).collect();
    order.sort_by_key(|k| std::cmp::Reverse(starts[*k]));
    let mut made: Vec<Fold> = order
        .into_iter()
        .map(|tested| Fold {
            train: rows(&|k| ends[k] <= starts[tested]),
            test: rows(&|k| k == tested),
        })
        .filter(|fold| !fold.train.is_empty() && !fold.test.is_empty())
        .take(folds)
        .collect();
    if made.is_empty() {
        return Err(Error::not_enough_data(
            "cut_offs",
            "a cut-off that lies behind another one by the horizon and the gap",
            "none",
        ));
    }
    made.reverse();
    Ok(made)
}

pub(crate) fn shuffle<T>(items: &mut [T], random: &mut Random) {
    for i in (1..items.len()).rev() {
        let j = (random.uniform() * (i + 1) as f64) as usize;
        items.swap(i, j);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn every_row_is_tested_once_and_labels_are_spread() {
        let target: Vec<f64> = (0..103).map(|i| f64::from(u8::from(i % 5 == 0))).collect();
        let folds = stratified_folds(&target, 4, 9).unwrap();
        let mut tested: Vec<usize> = folds.iter().flat_map(|f| f.test.clone()).collect();
        tested.sort_unstable();
        assert_eq!(tested, (0..103).collect::<Vec<_>>());
        for fold in &folds {
            let churned = fold.test.iter().filter(|row| target[**row] == 1.0).count();
            assert!((5..=6).contains(&churned), "{churned}");
            assert!((25..=26).contains(&fold.test.len()), "{}", fold.test.len());
            assert!(fold.train.iter().all(|row| !fold.test.contains(row)));
        }
        assert_ne!(folds, stratified_folds(&target, 4, 10).unwrap());
        let error = stratified_folds(&target, 30, 0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotEnoughData);
        assert!(stratified_folds(&[0.5, 1.0], 2, 0).is_err());
    }

    #[test]
    fn groups_stay_together() {
        let target: Vec<f64> = (0..120).map(|i| f64::from(u8::from(i % 7 == 0))).collect();
        let groups: Vec<u32> = (0..120).map(|i| i % 40).collect();
        let folds = grouped_folds(&target, &groups, 5, 1).unwrap();
        for fold in &folds {
            let side = |rows: &[usize]| rows.iter().map(|r| groups[*r]).collect::<Vec<u32>>();
            let (train, test) = (side(&fold.train), side(&fold.test));
            assert!(test.iter().all(|g| !train.contains(g)));
        }
    }

    #[test]
    fn time_folds_need_a_finished_period() {
        let period = [0, 0, 1, 1, 2, 2];
        let folds = time_folds(&period, &[0, 10, 20], &[15, 25, 35], 5).unwrap();
        assert_eq!(
            folds,
            [Fold {
                train: vec![0, 1],
                test: vec![4, 5]
            }]
        );
        assert!(time_folds(&period, &[0, 10, 20], &[25, 25, 35], 5).is_err());
        assert_eq!(time_folds(&[3], &[0], &[1], 5).unwrap_err().row(), Some(0));
    }
}
