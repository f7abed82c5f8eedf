//! Where values are in a device: tables of single bits and of words of 16 bits, and spans of them.

use std::fmt;

/// One of the four tables of a Modbus device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Table {
    /// Bits that can be set.
    Coil,
    /// Bits that can be read.
    DiscreteInput,
    /// Words that can be set.
    Holding,
    /// Words that can be read.
    Input,
}

impl Table {
    /// Its name in manifests.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Coil => "CoilRegister",
            Self::DiscreteInput => "DiscreteInputRegister",
            Self::Holding => "HoldingRegister",
            Self::Input => "InputRegister",
        }
    }

    /// Whether it is of bits.
    pub(crate) fn is_bits(self) -> bool {
        matches!(self, Self::Coil | Self::DiscreteInput)
    }

    /// Whether it can be set.
    pub(crate) fn is_writable(self) -> bool {
        matches!(self, Self::Coil | Self::Holding)
    }

    /// How many can be read at once (Modbus Application Protocol 1.1b3, 6.1 to 6.4): what fits into a frame of 253 bytes.
    pub(crate) fn most_read(self) -> u16 {
        if self.is_bits() { 2000 } else { 125 }
    }

    /// How many can be written at once (6.11 and 6.12): the values share the frame with their addresses.
    pub(crate) fn most_written(self) -> u16 {
        if self.is_bits() { 1968 } else { 123 }
    }
}

/// Neighbouring bits or words of a table. It has one at least, and none past address 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Span {
    pub(crate) table: Table,
    pub(crate) start: u16,
    pub(crate) count: u16,
}

impl Span {
    /// `None` where it would be empty or leave the addresses.
    pub(crate) fn new(table: Table, start: u16, count: u16) -> Option<Self> {
        let fits = count > 0 && u32::from(start) + u32::from(count) <= 1 << 16;
        fits.then_some(Self { table, start, count })
    }

    /// The address after its last one.
    pub(crate) fn end(self) -> u32 {
        u32::from(self.start) + u32::from(self.count)
    }

    pub(crate) fn contains(self, other: Self) -> bool {
        self.table == other.table && self.start <= other.start && other.end() <= self.end()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.table.name(), self.start)?;
        if self.count > 1 {
            write!(f, "..{}", self.end() - 1)?;
        }
        Ok(())
    }
}

/// What was read from a span, or is to be written into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    Bits(Vec<bool>),
    Words(Vec<u16>),
}

impl Content {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Bits(bits) => bits.len(),
            Self::Words(words) => words.len(),
        }
    }

    /// What `inner` has of this content of `outer`; `None` where it is not all there.
    pub(crate) fn part(&self, outer: Span, inner: Span) -> Option<Self> {
        if !outer.contains(inner) {
            return None;
        }
        let from = usize::from(inner.start - outer.start);
        let range = from..from + usize::from(inner.count);
        Some(match self {
            Self::Bits(bits) => Self::Bits(bits.get(range)?.to_vec()),
            Self::Words(words) => Self::Words(words.get(range)?.to_vec()),
        })
    }

    /// As bytes on the wire: words big endian; eight bits to a byte, the first one lowest.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Words(words) => words.iter().flat_map(|word| word.to_be_bytes()).collect(),
            Self::Bits(bits) => {
                let byte = |bits: &[bool]| {
                    bits.iter().enumerate().fold(0, |byte, (at, bit)| byte | (u8::from(*bit) << at))
                };
                bits.chunks(8).map(byte).collect()
            }
        }
    }

    /// The content of `span` from bytes as on the wire; `None` where they are more or less than it has, or set bits past it.
    pub(crate) fn from_bytes(span: Span, bytes: &[u8]) -> Option<Self> {
        let count = usize::from(span.count);
        if !span.table.is_bits() {
            let words = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            return (bytes.len() == 2 * count).then(|| Self::Words(words.collect()));
        }
        let bits: Vec<bool> =
            bytes.iter().flat_map(|byte| (0..8).map(move |at| byte >> at & 1 == 1)).collect();
        let (own, past) = bits.split_at_checked(count)?;
        (bytes.len() == count.div_ceil(8) && !past.contains(&true)).then(|| Self::Bits(own.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_span_stays_among_the_addresses() {
        assert_eq!(Span::new(Table::Coil, 0, 0), None);
        assert_eq!(Span::new(Table::Coil, 65535, 2), None);
        let last = Span::new(Table::Holding, 65534, 2).unwrap();
        assert_eq!((last.end(), last.to_string().as_str()), (65536, "HoldingRegister 65534..65535"));
        assert_eq!(Span::new(Table::Input, 7, 1).unwrap().to_string(), "InputRegister 7");
    }

    #[test]
    fn the_first_bit_is_the_lowest() {
        let bits = Content::Bits(vec![true, false, true, true, false, false, false, false, true]);
        assert_eq!(bits.bytes(), [0b0000_1101, 1]);
        assert_eq!(Content::Words(vec![0xAABB, 0xCCDD]).bytes(), [0xAA, 0xBB, 0xCC, 0xDD]);
        let three = Span::new(Table::Coil, 0, 3).unwrap();
        assert_eq!(Content::from_bytes(three, &[0b111]), Some(Content::Bits(vec![true; 3])));
        assert_eq!(Content::from_bytes(three, &[0b1111]), None);
        assert_eq!(Content::from_bytes(three, &[1, 0]), None);
    }

    proptest! {
        #[test]
        fn content_survives_the_wire(bits in prop::collection::vec(any::<bool>(), 1..64), start in 0u16..1000) {
            let count = u16::try_from(bits.len()).unwrap();
            let span = Span::new(Table::Coil, start, count).unwrap();
            let content = Content::Bits(bits.clone());
            prop_assert_eq!(Content::from_bytes(span, &content.bytes()), Some(content.clone()));
            let words: Vec<u16> = bits.iter().map(|bit| if *bit { 0xBEEF } else { 1 }).collect();
            let span = Span { table: Table::Holding, ..span };
            let content = Content::Words(words);
            prop_assert_eq!(Content::from_bytes(span, &content.bytes()), Some(content));
        }

        #[test]
        fn a_part_is_what_stands_at_its_addresses(count in 1u16..100, from in 0u16..100, some in 1u16..100) {
            let outer = Span::new(Table::Input, 1000, count).unwrap();
            let content = Content::Words((1000..1000 + count).collect());
            let inner = Span::new(Table::Input, 1000 + from, some).unwrap();
            let expected = (from + some <= count).then(|| Content::Words((inner.start..inner.start + some).collect()));
            prop_assert_eq!(content.part(outer, inner), expected);
        }
    }
}
