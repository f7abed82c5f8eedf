//! Quantities: `100m`, `1.5Gi`, `2e3`.
//!
//! Source: the description of `Quantity` in the Kubernetes API reference.

use serde_json::Value;

/// An amount, exact to a billionth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Quantity {
    nano: i128,
}

const NANO: i128 = 1_000_000_000;

/// Digits that a quantity may have: more than this is larger than 2^63 or finer than a billionth, and is refused
/// before it is computed.
const MAX_DIGITS: usize = 40;

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self { nano: 0 };

    /// Parses a quantity; `None` if it is malformed or its amount does not fit.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = whole.len() + fraction.len();
        if digits == 0 || digits > MAX_DIGITS || fraction.contains('.') {
            return None;
        }
        let mantissa: i128 =
            if digits <= 38 { format!("{whole}{fraction}").parse().ok()? } else { return None };
        let (scale, power_of_ten) = scale_of(suffix)?;
        let power = power_of_ten - i32::try_from(fraction.len()).ok()? + 9;
        let scaled = mantissa.checked_mul(scale)?;
        let nano = if power >= 0 {
            scaled.checked_mul(10_i128.checked_pow(power.unsigned_abs())?)?
        } else {
            // Finer than a billionth is rounded up, as the real server does.
            let divisor = 10_i128.checked_pow(power.unsigned_abs())?;
            scaled.checked_add(divisor - 1)? / divisor
        };
        Some(Self { nano: if negative { -nano } else { nano } })
    }

    /// Parses a quantity as objects hold it: a string or a number.
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Self::parse(text),
            Value::Number(number) => Self::parse(&number.to_string()),
            _ => None,
        }
    }

    /// Whole units, rounded up: bytes of memory, pods.
    pub fn units(self) -> i128 {
        self.nano.div_euclid(NANO) + i128::from(self.nano.rem_euclid(NANO) != 0)
    }

    /// Thousandths, rounded up: millicores.
    pub fn millis(self) -> i128 {
        let milli = NANO / 1_000;
        self.nano.div_euclid(milli) + i128::from(self.nano.rem_euclid(milli) != 0)
    }

    /// True below zero.
    pub fn is_negative(self) -> bool {
        self.nano < 0
    }

    /// The sum, at most the largest amount there is.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { nano: self.nano.saturating_add(other.nano) }
    }
}

/// A suffix as a factor and a power of ten.
fn scale_of(suffix: &str) -> Option<(i128, i32)> {
    Some(match suffix {
        "" => (1, 0),
        "n" => (1, -9),
        "u" => (1, -6),
        "m" => (1, -3),
        "k" => (1, 3),
        "M" => (1, 6),
        "G" => (1, 9),
        "T" => (1, 12),
        "P" => (1, 15),
        "E" => (1, 18),
        "Ki" => (1 << 10, 0),
        "Mi" => (1 << 20, 0),
        "Gi" => (1 << 30, 0),
        "Ti" => (1 << 40, 0),
        "Pi" => (1 << 50, 0),
        "Ei" => (1 << 60, 0),
        exponent => {
            let digits = exponent.strip_prefix(['e', 'E'])?;
            (1, digits.parse().ok().filter(|power| (-18..=18).contains(power))?)
        }
    })
}
