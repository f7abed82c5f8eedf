//! Kubernetes quantities (`100m`, `1.5Gi`, `2e3`), parsed exactly.
//!
//! Grammar and rounding: <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Fractions are kept down to this many parts of one, the finest that Kubernetes knows (`n`).
const NANOS: i128 = 1_000_000_000;

/// Kubernetes caps what a quantity can say at 2^63-1; so do we, which keeps every later sum far away from overflow.
const MAX: i128 = i64::MAX as i128 * NANOS;

/// Longest text that is looked at. The longest sensible quantity (19 digits, a point, 9 digits, `e-10`) is half of it.
const MAX_LENGTH: usize = 64;

/// An amount of something: cores, bytes, or a count. Never negative where a pod asks for it, but the type allows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Amount {
    nanos: i128,
}

/// A text that is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a quantity: {problem}")]
pub struct QuantityError {
    text: String,
    problem: &'static str,
}

impl Amount {
    /// Nothing at all.
    pub const ZERO: Self = Self { nanos: 0 };

    /// A whole number of units (bytes, cores, pods).
    pub const fn whole(units: i64) -> Self {
        Self { nanos: units as i128 * NANOS }
    }

    /// Thousandths (milli-cores).
    pub const fn milli(thousandths: i64) -> Self {
        Self { nanos: thousandths as i128 * (NANOS / 1000) }
    }

    /// Reads a quantity; what is finer than a nano unit is rounded away from zero, what is too large is capped.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        let fail = |problem| QuantityError { text: text.chars().take(MAX_LENGTH).collect(), problem };
        if text.len() > MAX_LENGTH {
            return Err(fail("too long"));
        }
        let (negative, unsigned) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(end);
        let scale = Scale::parse(suffix).ok_or_else(|| fail("unknown unit"))?;
        let nanos = magnitude(number, scale).ok_or_else(|| fail("no number"))?;
        Ok(Self { nanos: if negative { -nanos } else { nanos } })
    }

    /// Units, rounded up (what `resourceFieldRef` and limits in bytes use).
    pub fn value(self) -> i64 {
        self.divided_by(Self::whole(1))
    }

    /// Thousandths, rounded up (milli-cores).
    pub fn milli_value(self) -> i64 {
        self.divided_by(Self::milli(1))
    }

    /// How often `divisor` fits, rounded up; a divisor of zero counts as one unit, as an unset divisor does.
    pub fn divided_by(self, divisor: Self) -> i64 {
        let divisor = if divisor == Self::ZERO { NANOS } else { divisor.nanos };
        let quotient = self.nanos / divisor;
        let exact = quotient * divisor == self.nanos;
        let rounded = if exact || (self.nanos < 0) != (divisor < 0) { quotient } else { quotient + 1 };
        rounded.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }

    /// The sum, capped at the largest amount.
    pub fn plus(self, other: Self) -> Self {
        Self { nanos: (self.nanos + other.nanos).clamp(-MAX, MAX) }
    }

    /// The difference, but never less than nothing.
    pub fn minus_at_most(self, other: Self) -> Self {
        Self { nanos: (self.nanos - other.nanos).max(0) }
    }

    /// More than nothing?
    pub fn is_positive(self) -> bool {
        self.nanos > 0
    }
}

impl TryFrom<&Quantity> for Amount {
    type Error = QuantityError;

    fn try_from(quantity: &Quantity) -> Result<Self, QuantityError> {
        Self::parse(&quantity.0)
    }
}

/// What one unit of the number stands for: `2^binary * 10^decimal` units.
#[derive(Clone, Copy)]
struct Scale {
    binary: u32,
    decimal: i32,
}

impl Scale {
    fn parse(suffix: &str) -> Option<Self> {
        let decimal = |decimal| Some(Self { binary: 0, decimal });
        let binary = |binary| Some(Self { binary, decimal: 0 });
        match suffix {
            "" => decimal(0),
            "n" => decimal(-9),
            "u" => decimal(-6),
            "m" => decimal(-3),
            "k" => decimal(3),
            "M" => decimal(6),
            "G" => decimal(9),
            "T" => decimal(12),
            "P" => decimal(15),
            "E" => decimal(18),
            "Ki" => binary(10),
            "Mi" => binary(20),
            "Gi" => binary(30),
            "Ti" => binary(40),
            "Pi" => binary(50),
            "Ei" => binary(60),
            exponent => {
                let digits = exponent.strip_prefix(['e', 'E'])?;
                let signed_digits = digits.strip_prefix(['+', '-']).unwrap_or(digits);
                if signed_digits.is_empty() || !signed_digits.bytes().all(|byte| byte.is_ascii_digit()) {
                    return None;
                }
                // An exponent that does not fit is as large as any that matters: the result is capped or rounded.
                decimal(digits.parse().unwrap_or(if digits.starts_with('-') {
                    i32::MIN / 2
                } else {
                    i32::MAX / 2
                }))
            }
        }
    }
}

/// `number * scale` in nano units, rounded up and capped; `None` when `number` is not `digits[.digits]`.
fn magnitude(number: &str, scale: Scale) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|byte| byte - b'0').collect();
    // value = digits * 10^exponent * 2^binary, in nano units
    let mut exponent = scale.decimal - fraction.len() as i32 + 9;
    let mut value: i128 = 0;
    let mut dropped = false;
    for digit in digits {
        // Past the cap (with room for the shift by 60 bits) more digits only move the exponent.
        if value > MAX {
            exponent += 1;
            dropped |= digit != 0;
        } else {
            value = value * 10 + i128::from(digit);
        }
    }
    if value == 0 {
        return Some(0);
    }
    // Room for the shift: gives up digits behind the twentieth significant one, nothing else.
    while exponent < 0 && value > i128::MAX >> scale.binary {
        dropped |= value % 10 != 0;
        value /= 10;
        exponent += 1;
    }
    value = value.checked_mul(1 << scale.binary).unwrap_or(i128::MAX);
    while exponent > 0 && value <= MAX {
        value = value.saturating_mul(10);
        exponent -= 1;
    }
    while exponent < 0 && value > 0 {
        dropped |= value % 10 != 0;
        value /= 10;
        exponent += 1;
    }
    Some(value.saturating_add(i128::from(dropped)).min(MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nanos(text: &str) -> i128 {
        Amount::parse(text).unwrap().nanos
    }

    #[test]
    fn units_scale_exactly() {
        assert_eq!(Amount::parse("1.5Gi").unwrap().value(), 1_610_612_736);
        assert_eq!(Amount::parse("100m").unwrap().milli_value(), 100);
        assert_eq!(Amount::parse("0.1").unwrap().milli_value(), 100);
        assert_eq!(Amount::parse("2e3").unwrap().value(), 2000);
        assert_eq!(Amount::parse("2E-3").unwrap(), Amount::milli(2));
        assert_eq!(Amount::parse("3E").unwrap().value(), 3_000_000_000_000_000_000);
        assert_eq!(Amount::parse("+.5").unwrap().milli_value(), 500);
        assert_eq!(Amount::parse("5.").unwrap().value(), 5);
        assert_eq!(Amount::parse("1.0000000000000000000000000000Ei").unwrap().value(), 1 << 60);
        assert_eq!(Amount::parse("-1").unwrap().value(), -1);
    }

    #[test]
    fn rounds_up_and_caps() {
        assert_eq!(Amount::parse("1n").unwrap().milli_value(), 1);
        assert_eq!(nanos("0.1n"), 1);
        assert_eq!(nanos("1e-2000000000"), 1);
        assert_eq!(Amount::parse("9999Ei").unwrap().value(), i64::MAX);
        assert_eq!(Amount::parse("1e99999999999").unwrap().value(), i64::MAX);
        assert_eq!(Amount::parse("0e99999999999").unwrap(), Amount::ZERO);
        assert_eq!(Amount::parse("99999999999999999999999999999999999999999").unwrap().value(), i64::MAX);
        // Past what i128 holds, and with digits that were dropped.
        assert_eq!(Amount::parse(&format!("{}Ti", "3".repeat(57))).unwrap().value(), i64::MAX);
    }

    #[test]
    fn refuses_what_is_no_quantity() {
        for text in
            ["", " ", "Gi", ".", "1.2.3", "1 Gi", "1gi", "0x10", "--1", "1e", "1e+", "NaN", "१", "1Kib"]
        {
            assert!(Amount::parse(text).is_err(), "{text:?} was accepted");
        }
        assert!(Amount::parse(&"1".repeat(MAX_LENGTH + 1)).is_err());
    }

    #[test]
    fn divides_rounding_up() {
        let memory = Amount::parse("100Mi").unwrap();
        assert_eq!(memory.divided_by(Amount::parse("1Mi").unwrap()), 100);
        assert_eq!(memory.divided_by(Amount::parse("3Mi").unwrap()), 34);
        assert_eq!(memory.divided_by(Amount::ZERO), 104_857_600);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn any_text_parses_or_fails_but_never_panics(text in ".{0,70}") {
            prop_assert!(Amount::parse(&text).is_err() || text.contains(|c: char| c.is_ascii_digit()));
        }

        #[test]
        fn numbers_with_units_never_panic(text in "[+-]?[0-9.]{0,60}(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][+-]?[0-9]{1,12})?") {
            if let Ok(amount) = Amount::parse(&text) {
                prop_assert_eq!(amount.value() > 0, amount.is_positive(), "rounded away from what it is");
            }
        }

        #[test]
        fn whole_numbers_survive(units in any::<i64>()) {
            prop_assume!(units != i64::MIN);
            prop_assert_eq!(Amount::parse(&units.to_string()).unwrap().value(), units);
        }

        #[test]
        fn milli_is_a_thousandth(thousandths in 0i64..1_000_000_000) {
            let amount = Amount::parse(&format!("{thousandths}m")).unwrap();
            prop_assert_eq!(amount, Amount::milli(thousandths));
            prop_assert_eq!(amount.value(), thousandths.div_euclid(1000) + i64::from(thousandths % 1000 != 0));
        }
    }
}
