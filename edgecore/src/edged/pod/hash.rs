//! The fingerprint by which kubelet (1.31 and later) sees that a container has to be made anew.
//!
//! Ours is the same to the bit, so that containers that a stock EdgeCore made are adopted, and the other way round.

use k8s_openapi::api::core::v1::Container;

/// FNV-1a, 32 bits: <http://www.isthe.com/chongo/tech/comp/fnv/>.
const FNV_OFFSET: u32 = 0x811c_9dc5;
/// See [`FNV_OFFSET`].
const FNV_PRIME: u32 = 0x0100_0193;

/// Of name and image, the only fields of a container that need a new one when they change.
pub(in crate::edged::pod) fn container_hash(container: &Container) -> String {
    let image = container.image.as_deref().unwrap_or_default();
    let json = serde_json::json!({ "image": image, "name": container.name }).to_string();
    // kubelet hashes Go's printed form of the bytes: `([]uint8)[123 34 ...]`.
    let bytes: Vec<String> = json.bytes().map(|byte| byte.to_string()).collect();
    let printed = format!("([]uint8)[{}]", bytes.join(" "));
    let hash =
        printed.bytes().fold(FNV_OFFSET, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(FNV_PRIME));
    format!("{hash:x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_kubelet() {
        let container = Container {
            name: "test_container".to_owned(),
            image: Some("foo/image:v1".to_owned()),
            args: Some(vec!["/bin/sh".to_owned()]),
            ..Container::default()
        };
        assert_eq!(container_hash(&container), "8e45cbd0");
    }
}
