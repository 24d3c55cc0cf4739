//! Identical customers as one weighted row, and what rows share computed once.
//!
//! A shop of a million customers has a few hundred thousand different purchase histories, a few
//! hundred different ages and a few dozen different counts. Rows are sorted, so that sums over them
//! do not depend on the order of the input.

use rayon::prelude::*;

use super::buyers::Buyers;

/// A value that many rows share, within the customers of equal covariates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Entry {
    pub(super) value: f64,
    pub(super) group: u32,
}

/// One purchase history: places in the lists of counts and of times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Row {
    pub(super) count: u32,
    pub(super) recency: u32,
    pub(super) age: u32,
    pub(super) weight: f64,
}

#[derive(Debug, Clone)]
pub(super) struct Patterns {
    pub(super) counts: Vec<Entry>,
    pub(super) times: Vec<Entry>,
    pub(super) rows: Vec<Row>,
    /// Covariates of each group, `width` numbers after one another.
    pub(super) covariates: Vec<f64>,
    pub(super) width: usize,
    /// Number of groups of customers with equal covariates.
    pub(super) groups: usize,
    /// The row of each customer; empty unless asked for.
    pub(super) places: Vec<u32>,
}

const CHUNK: usize = 1 << 16;

impl Patterns {
    /// Compresses rows; `columns` are the covariates in use, `places` asks for the row of each
    /// customer, which scoring needs and fitting does not.
    pub(super) fn new(buyers: &Buyers<'_>, columns: &[&[f64]], places: bool) -> Self {
        let (frequency, recency, age) = (buyers.frequency(), buyers.recency(), buyers.age());
        let count_values = distinct(&[frequency]);
        let time_values = distinct(&[recency, age]);
        let (codes, covariates) = groups(columns, buyers.len());
        let group_count = if columns.is_empty() {
            1
        } else {
            covariates.len() / columns.len()
        };
        let bits = |n: usize| usize::BITS - n.saturating_sub(1).leading_zeros();
        let (count_bits, time_bits) = (bits(count_values.len()), bits(time_values.len()));
        let group = |row: usize| codes.get(row).copied().unwrap_or(0);
        let parts = |row: usize| {
            (
                group(row),
                code(&count_values, frequency[row]),
                code(&time_values, recency[row]),
                code(&time_values, age[row]),
            )
        };
        let weights = buyers.weights();
        let sorted = if bits(group_count) + count_bits + 2 * time_bits <= 64 {
            let key = |row| {
                let (group, count, recency, age) = parts(row);
                let head = (u64::from(group) << count_bits) | u64::from(count);
                let head = (head.checked_shl(time_bits).unwrap_or(0)) | u64::from(recency);
                (head.checked_shl(time_bits).unwrap_or(0)) | u64::from(age)
            };
            sorted_runs(buyers.len(), key, weights, places)
        } else {
            let key = |row| {
                let (group, count, recency, age) = parts(row);
                let head = (u128::from(group) << 32) | u128::from(count);
                (((head << 32) | u128::from(recency)) << 32) | u128::from(age)
            };
            sorted_runs(buyers.len(), key, weights, places)
        };
        let mut patterns = Patterns {
            counts: Vec::new(),
            times: Vec::new(),
            rows: Vec::with_capacity(sorted.runs.len()),
            covariates,
            width: columns.len(),
            groups: group_count,
            places: Vec::new(),
        };
        let mut time_keys: Vec<u64> = Vec::new();
        if group_count == 1 {
            let entry = |value: &f64| Entry {
                value: *value,
                group: 0,
            };
            patterns.counts = count_values.iter().map(entry).collect();
            patterns.times = time_values.iter().map(entry).collect();
        } else {
            let of = |(row, _): &(u32, f64)| {
                let (group, _, recency, age) = parts(*row as usize);
                let key = |time: u32| (u64::from(group) << 32) | u64::from(time);
                [key(recency), key(age)]
            };
            time_keys = sorted.runs.par_iter().flat_map_iter(of).collect();
            time_keys.par_sort_unstable();
            time_keys.dedup();
            let entry = |key: &u64| Entry {
                value: time_values[(*key & 0xffff_ffff) as usize],
                group: (*key >> 32) as u32,
            };
            patterns.times = time_keys.iter().map(entry).collect();
        }
        let mut last = None;
        for (row, weight) in &sorted.runs {
            let (group, count, recency, age) = parts(*row as usize);
            let time = |time: u32| {
                if group_count == 1 {
                    return time;
                }
                let key = (u64::from(group) << 32) | u64::from(time);
                time_keys.partition_point(|known| *known < key) as u32
            };
            let (recency, age) = (time(recency), time(age));
            let count = if group_count == 1 {
                count
            } else {
                if last != Some((group, count)) {
                    last = Some((group, count));
                    patterns.counts.push(Entry {
                        value: count_values[count as usize],
                        group,
                    });
                }
                patterns.counts.len() as u32 - 1
            };
            patterns.rows.push(Row {
                count,
                recency,
                age,
                weight: *weight,
            });
        }
        patterns.places = sorted.places;
        patterns
    }

    /// At most `most` rows spread evenly over all, with weights that make up for the others.
    pub(super) fn sample(&self, most: usize) -> Option<Patterns> {
        let stride = self.rows.len().div_ceil(most);
        if stride <= 1 {
            return None;
        }
        let rows = self.rows.iter().skip(stride / 2).step_by(stride);
        Some(Patterns {
            rows: rows
                .map(|row| Row {
                    weight: row.weight * stride as f64,
                    ..*row
                })
                .collect(),
            places: Vec::new(),
            ..self.clone()
        })
    }

    /// Frequency, recency and age of a row.
    pub(super) fn history(&self, row: &Row) -> (f64, f64, f64) {
        (
            self.counts[row.count as usize].value,
            self.times[row.recency as usize].value,
            self.times[row.age as usize].value,
        )
    }

    /// The group of a row.
    pub(super) fn group(&self, row: &Row) -> usize {
        self.counts[row.count as usize].group as usize
    }

    /// Sum of the weights.
    pub(super) fn customers(&self) -> f64 {
        self.rows.iter().map(|row| row.weight).sum()
    }

    /// Mean age, total frequency and total age, weighted.
    pub(super) fn totals(&self) -> (f64, f64, f64) {
        let (mut customers, mut purchases, mut time) = (0.0, 0.0, 0.0);
        for row in &self.rows {
            let (x, _, age) = self.history(row);
            customers += row.weight;
            purchases += row.weight * x;
            time += row.weight * age;
        }
        (time / customers, purchases, time)
    }
}

/// The different values of some columns, ascending.
fn distinct(columns: &[&[f64]]) -> Vec<f64> {
    fn sorted(mut values: Vec<f64>) -> Vec<f64> {
        values.sort_unstable_by(f64::total_cmp);
        values.dedup();
        values
    }
    let parts: Vec<Vec<f64>> = columns
        .par_iter()
        .flat_map(|column| column.par_chunks(CHUNK))
        // Adding zero turns -0 into 0.
        .map(|chunk| sorted(chunk.iter().map(|x| x + 0.0).collect()))
        .collect();
    let mut all = parts.concat();
    all.par_sort_unstable_by(f64::total_cmp);
    all.dedup();
    all
}

fn code(values: &[f64], value: f64) -> u32 {
    values.partition_point(|known| *known < value) as u32
}

/// The group of each row and the covariates of each group, in ascending order.
fn groups(columns: &[&[f64]], n: usize) -> (Vec<u32>, Vec<f64>) {
    if columns.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let compare = |a: &u32, b: &u32| {
        let cells = columns
            .iter()
            .map(|c| (c[*a as usize] + 0.0).total_cmp(&(c[*b as usize] + 0.0)));
        cells.fold(std::cmp::Ordering::Equal, |so_far, next| so_far.then(next))
    };
    let mut order: Vec<u32> = (0..n as u32).collect();
    order.par_sort_unstable_by(compare);
    let (mut codes, mut covariates) = (vec![0; n], Vec::new());
    let mut last: Option<u32> = None;
    let mut group = 0;
    for row in order {
        if last.is_none_or(|last| compare(&last, &row).is_ne()) {
            group = (covariates.len() / columns.len()) as u32;
            covariates.extend(columns.iter().map(|c| c[row as usize] + 0.0));
            last = Some(row);
        }
        codes[row as usize] = group;
    }
    (codes, covariates)
}

struct Sorted {
    /// One member of each run of equal keys and the weight of the run.
    runs: Vec<(u32, f64)>,
    places: Vec<u32>,
}

fn sorted_runs<K: Ord + Copy + Send + Sync>(
    n: usize,
    key: impl Fn(usize) -> K + Sync,
    weights: Option<&[f64]>,
    wanted: bool,
) -> Sorted {
    let mut keys: Vec<(K, u32)> = (0..n as u32)
        .into_par_iter()
        .map(|row| (key(row as usize), row))
        .collect();
    match weights {
        None => keys.par_sort_unstable_by_key(|(key, _)| *key),
        // Weights are added in an order of their own, whatever the order of the rows.
        Some(weights) => keys.par_sort_unstable_by(|(a, i), (b, j)| {
            let (i, j) = (weights[*i as usize], weights[*j as usize]);
            a.cmp(b).then(i.total_cmp(&j))
        }),
    }
    let weight = |row: u32| weights.map_or(1.0, |weights| weights[row as usize]);
    let mut runs: Vec<(u32, f64)> = Vec::new();
    let mut places = vec![0; if wanted { n } else { 0 }];
    let mut last: Option<K> = None;
    for (key, row) in keys {
        if last != Some(key) {
            last = Some(key);
            runs.push((row, 0.0));
        }
        if let Some(run) = runs.last_mut() {
            run.1 += weight(row);
        }
        if wanted {
            places[row as usize] = runs.len() as u32 - 1;
        }
    }
    Sorted { runs, places }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_histories_share_a_row() {
        let buyers = Buyers::new(
            vec![1.0, 0.0, 1.0, 1.0, 0.0],
            vec![2.0, 0.0, 2.0, 2.0, -0.0],
            vec![9.0, 9.0, 9.0, 8.0, 9.0],
        )
        .unwrap();
        let patterns = Patterns::new(&buyers, &[], true);
        let rows: Vec<_> = patterns
            .rows
            .iter()
            .map(|row| (patterns.history(row), row.weight))
            .collect();
        assert_eq!(
            rows,
            [
                ((0.0, 0.0, 9.0), 2.0),
                ((1.0, 2.0, 8.0), 1.0),
                ((1.0, 2.0, 9.0), 2.0)
            ]
        );
        assert_eq!(patterns.places, [2, 0, 2, 1, 0]);
        assert_eq!(patterns.times.len(), 4);
        // With a covariate that tells the last two of the equal rows apart.
        let covariate = [0.5, 1.0, 0.5, 0.5, -1.0];
        let patterns = Patterns::new(&buyers, &[&covariate], true);
        assert_eq!((patterns.groups, patterns.rows.len()), (3, 4));
        for (row, place) in patterns.places.iter().enumerate() {
            let pattern = &patterns.rows[*place as usize];
            assert_eq!(
                patterns.history(pattern),
                (
                    buyers.frequency()[row],
                    buyers.recency()[row] + 0.0,
                    buyers.age()[row]
                )
            );
            assert_eq!(patterns.covariates[patterns.group(pattern)], covariate[row]);
        }
    }
}
