//! The two DER forms of a P-256 private key: SEC1 (RFC 5915) and PKCS#8 (RFC 5958) around it.

use x509_parser::der_parser::asn1_rs::{Any, Class, FromDer, Tag};
use zeroize::Zeroizing;

/// Length of a P-256 scalar in bytes.
const SCALAR_LEN: usize = 32;
/// Length of an uncompressed P-256 point in bytes.
const POINT_LEN: usize = 65;
/// `id-ecPublicKey` (1.2.840.10045.2.1), content octets.
const OID_EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// `prime256v1` (1.2.840.10045.3.1.7), content octets.
const OID_P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// SEC1 up to the scalar: SEQUENCE of 119 bytes, version 1, OCTET STRING of 32 bytes.
const SEC1_HEAD: &[u8] = &[0x30, 0x77, 0x02, 0x01, 0x01, 0x04, 0x20];
/// Between scalar and point: `[0]` with the curve (Go refuses SEC1 without it), `[1]` with a BIT STRING of 66 bytes.
const SEC1_MIDDLE: &[u8] =
    &[0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0xa1, 0x44, 0x03, 0x42, 0x00];

/// The two numbers that make a key, borrowed from the DER that they were read from.
pub(super) struct Parts<'a> {
    pub(super) scalar: &'a [u8],
    pub(super) point: &'a [u8],
}

/// Reads `ECPrivateKey`. The public point is required: ring cannot work it out from the scalar.
pub(super) fn parse_sec1(der: &[u8]) -> Option<Parts<'_>> {
    let mut fields = Fields::of_sequence(der)?;
    if fields.next(Tag::Integer)? != [1] {
        return None;
    }
    let scalar = fields.next(Tag::OctetString)?;
    let mut point = None;
    while let Some((number, content)) = fields.next_context()? {
        match number {
            0 if Fields(content).next(Tag::Oid)? == OID_P256 => {}
            1 => point = Fields(content).next(Tag::BitString)?.strip_prefix(&[0]),
            _ => return None,
        }
    }
    let point = point?;
    (scalar.len() == SCALAR_LEN && point.len() == POINT_LEN).then_some(Parts { scalar, point })
}

/// Reads `PrivateKeyInfo` / `OneAsymmetricKey` of algorithm `id-ecPublicKey` with curve P-256.
pub(super) fn parse_pkcs8(der: &[u8]) -> Option<Parts<'_>> {
    let mut fields = Fields::of_sequence(der)?;
    // Version 0 (PKCS#8) or 1 (RFC 5958).
    if !matches!(fields.next(Tag::Integer)?, [0 | 1]) {
        return None;
    }
    let mut algorithm = Fields(fields.next(Tag::Sequence)?);
    if algorithm.next(Tag::Oid)? != OID_EC_PUBLIC_KEY || algorithm.next(Tag::Oid)? != OID_P256 {
        return None;
    }
    parse_sec1(fields.next(Tag::OctetString)?)
}

/// Writes `ECPrivateKey` exactly as Go's `x509.MarshalECPrivateKey` does.
pub(super) fn write_sec1(parts: &Parts<'_>) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([SEC1_HEAD, parts.scalar, SEC1_MIDDLE, parts.point].concat())
}

/// What is left to read of a constructed value.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The fields of one SEQUENCE that fills `der` to its end.
    fn of_sequence(der: &'a [u8]) -> Option<Self> {
        let mut outer = Self(der);
        let content = outer.next(Tag::Sequence)?;
        outer.0.is_empty().then_some(Self(content))
    }

    /// Content of the next value, which must be universal and of this tag.
    fn next(&mut self, tag: Tag) -> Option<&'a [u8]> {
        let (rest, any) = Any::from_der(self.0).ok()?;
        self.0 = rest;
        (any.class() == Class::Universal && any.tag() == tag).then_some(any.data)
    }

    /// Number and content of the next context-specific value; `Some(None)` at the end.
    #[expect(clippy::option_option, reason = "outer: well formed or not; inner: one more or the end")]
    fn next_context(&mut self) -> Option<Option<(u32, &'a [u8])>> {
        if self.0.is_empty() {
            return Some(None);
        }
        let (rest, any) = Any::from_der(self.0).ok()?;
        self.0 = rest;
        (any.class() == Class::ContextSpecific).then_some(Some((any.tag().0, any.data)))
    }
}
