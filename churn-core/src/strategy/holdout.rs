//! The hold-out: customers who are never contacted, so that the rest can be compared with them.
//!
//! Who belongs is decided by [`lot`], a salted hash of the id that any language can reproduce.
//!
//! Plans for profit and journeys share this one definition: whoever a plan leaves alone by it
//! ([`Constraints::hold_out_by`](super::Constraints::hold_out_by)) is the one whom journeys hold out.
//!
//! A larger share keeps everyone who was held out before. A new salt draws anew; do so now and then
//! (a quarter, half a year), because people never contacted drift away from the others.

use serde::{Deserialize, Serialize};

use crate::customers::{CustomerId, Customers};
use crate::error::{Error, Result};
use crate::segments::Segments;

/// Who is never contacted.
///
/// # Example
/// ```
/// use churn_core::Customers;
/// use churn_core::journey::Holdout;
/// let holdout = Holdout { salt: "2026".to_owned(), share: 0.1 };
/// let customers = Customers::from_ints(0..10_000);
/// let held = holdout.assign(&customers)?;
/// let count = held.iter().filter(|held| **held).count();
/// assert!((900..1100).contains(&count));
/// # Ok::<(), churn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holdout {
    /// Draws the lots; another salt is another draw.
    pub salt: String,
    /// Share of customers held out, above 0 and below 1; 0.01 to 0.1 is usual.
    pub share: f64,
}

impl Holdout {
    pub(crate) fn check(&self, place: &str) -> Result<()> {
        if !(self.share > 0.0 && self.share < 1.0) {
            return Err(Error::invalid_parameter(
                format!("{place}.share"),
                "a share above 0 and below 1",
                self.share,
            ));
        }
        Ok(())
    }

    /// Whether one customer is held out.
    pub fn contains<'a>(&self, id: impl Into<CustomerId<'a>>) -> bool {
        lot(&self.salt, id) < self.share
    }

    /// Whether each of these customers is held out: everyone judged alone.
    ///
    /// # Errors
    /// `InvalidParameter` for a share outside its domain.
    pub fn assign(&self, customers: &Customers) -> Result<Vec<bool>> {
        self.check("holdout")?;
        Ok(customers.iter().map(|id| self.contains(id)).collect())
    }

    /// The same with the share met in each segment: of the n customers of a segment those
    /// ⌊n · share + ½⌋ with the smallest lots (of equal lots the smaller id).
    ///
    /// Unlike [`assign`](Self::assign) the answer depends on who else is there, so assign once and
    /// give it to [`State::hold_out`](crate::journey::State::hold_out), which keeps it.
    ///
    /// # Errors
    /// `InvalidParameter` for a share outside its domain.
    pub fn assign_stratified(&self, segments: &Segments) -> Result<Vec<bool>> {
        self.check("holdout")?;
        let customers = segments.customers();
        let lots: Vec<f64> = customers.iter().map(|id| lot(&self.salt, id)).collect();
        let mut strata = vec![Vec::new(); segments.labels().len()];
        for (row, code) in segments.codes().iter().enumerate() {
            strata[*code as usize].push(row);
        }
        let mut held = vec![false; customers.len()];
        for stratum in &mut strata {
            // Rows ascend by id, and the sort is stable.
            stratum.sort_by(|a, b| lots[*a].total_cmp(&lots[*b]));
            let count = (stratum.len() as f64 * self.share + 0.5).floor() as usize;
            for row in &stratum[..count.min(stratum.len())] {
                held[*row] = true;
            }
        }
        Ok(held)
    }
}

/// The lot of a customer under a salt, uniform in \[0, 1).
///
/// Every program and language that follows these lines finds the same lots, today and next year:
///
/// 1. `bytes` = the salt in UTF-8, one byte 0, the id in UTF-8 (an integer id in decimal digits).
/// 2. FNV-1a over 64 bits: `h = 0xcbf29ce484222325`; for each byte `h = (h xor byte) ·
///    0x100000001b3` modulo 2⁶⁴.
/// 3. The finaliser of MurmurHash3: `h ^= h >> 33; h ·= 0xff51afd7ed558ccd; h ^= h >> 33;
///    h ·= 0xc4ceb9fe1a85ec53; h ^= h >> 33`, products modulo 2⁶⁴. FNV alone hardly mixes the last
///    bytes of an id into the high bits.
/// 4. `lot = (h >> 11) / 2⁵³`, exact in double precision.
///
/// A customer is held out if `lot < share`. Sources: Fowler, Noll & Vo (FNV-1a, RFC 9923);
/// Appleby, MurmurHash3 (public domain).
///
/// # Example
/// ```
/// use churn_core::journey::lot;
/// assert_eq!(lot("2026", "ann"), lot("2026", "ann"));
/// assert_eq!(lot("2026", 7_i64), lot("2026", "7"));
/// assert_ne!(lot("2026", "ann"), lot("2027", "ann"));
/// ```
pub fn lot<'a>(salt: &str, id: impl Into<CustomerId<'a>>) -> f64 {
    unit(hash(salt, id.into()))
}

/// The 64 bits behind a lot.
pub(crate) fn hash(salt: &str, id: CustomerId<'_>) -> u64 {
    let start = fnv(fnv(0xcbf2_9ce4_8422_2325, salt.as_bytes()), &[0]);
    let mut digits = itoa();
    let hashed = match id {
        CustomerId::Text(text) => fnv(start, text.as_bytes()),
        CustomerId::Int(id) => {
            let sign = if id < 0 { fnv(start, b"-") } else { start };
            fnv(sign, decimal(id.unsigned_abs(), &mut digits))
        }
        CustomerId::Uint(id) => fnv(start, decimal(id, &mut digits)),
    };
    mix(hashed)
}

/// A number in [0, 1) of the upper 53 bits.
pub(crate) fn unit(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

pub(crate) fn mix(mut h: u64) -> u64 {
    h ^= h >> 33;
    h = h.wrapping_mul(0xff51_afd7_ed55_8ccd);
    h ^= h >> 33;
    h = h.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    h ^ (h >> 33)
}

fn fnv(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |h, byte| {
        (h ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Room for the digits of any `u64`.
fn itoa() -> [u8; 20] {
    [0; 20]
}

fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[at..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::AsOf;

    /// Test vectors of FNV-1a from the authors' collection, before the finaliser.
    #[test]
    fn fnv_gives_its_published_numbers() {
        let start = 0xcbf2_9ce4_8422_2325;
        assert_eq!(fnv(start, b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv(start, b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv(start, b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn ids_count_as_their_digits() {
        for id in [0, -1, 42, i64::MIN, i64::MAX] {
            assert_eq!(lot("s", id), lot("s", id.to_string().as_str()));
        }
        assert_eq!(lot("s", u64::MAX), lot("s", u64::MAX.to_string().as_str()));
    }

    #[test]
    fn lots_are_uniform_even_for_running_numbers() {
        let mut tenths = [0_u32; 10];
        for id in 0..100_000_i64 {
            tenths[(lot("2026", id) * 10.0) as usize] += 1;
        }
        // Chi-squared with 9 degrees of freedom: 27.9 is the 0.1 % point.
        let chi: f64 = tenths
            .iter()
            .map(|n| (f64::from(*n) - 10_000.0).powi(2) / 10_000.0)
            .sum();
        assert!(chi < 27.9, "{tenths:?}");
    }

    #[test]
    fn a_larger_share_keeps_everyone() {
        let customers = Customers::from_ints(0..5_000);
        let held = |share| {
            let salt = "x".to_owned();
            Holdout { salt, share }.assign(&customers).unwrap()
        };
        let (small, large) = (held(0.05), held(0.1));
        assert!(small.iter().zip(&large).all(|(s, l)| !s || *l));
        for share in [0.0, 1.0, -0.1, f64::NAN] {
            let salt = String::new();
            assert!(Holdout { salt, share }.assign(&customers).is_err());
        }
    }

    #[test]
    fn strata_meet_the_share_exactly() {
        let customers = Customers::from_ints(0..1_000);
        let codes: Vec<u32> = (0..1_000).map(|i| u32::from(i % 10 == 0)).collect();
        let segments = Segments::new(
            "tier",
            customers,
            AsOf::parse("2020-01-01").unwrap(),
            vec!["many".to_owned(), "few".to_owned()],
            codes.clone(),
        )
        .unwrap();
        let salt = "x".to_owned();
        let held = Holdout { salt, share: 0.05 }
            .assign_stratified(&segments)
            .unwrap();
        let count = |code| {
            let rows = held.iter().zip(&codes);
            rows.filter(|(held, c)| **held && **c == code).count()
        };
        assert_eq!((count(0), count(1)), (45, 5));
    }
}
