//! Images: which are pulled when, and what is said when there is none.

use super::further_images::{ENTRY, LATEST};
use super::row::{Row, pages};

pub(crate) fn rows() -> Vec<Row> {
    let row = |name, page, image: &str, policy: &str| {
        Row::new(name, page).spec(&format!(
            "{{containers: [{{name: main, image: '{image}', imagePullPolicy: {policy}, args: [pause]}}]}}"
        ))
    };
    // No name server knows this domain (RFC 6761).
    let nowhere = "registry.invalid/app:1";
    vec![
        row("an image that is here is not pulled: IfNotPresent", pages::PULL_POLICY, ENTRY, "IfNotPresent")
            .shows("{phase: Running}")
            .event("Pulled", "already present on machine"),
        row("an image that is here is not pulled: Never", pages::PULL_POLICY, ENTRY, "Never")
            .shows("{phase: Running}")
            .event("Pulled", "already present on machine"),
        row("an image that is not here and must not be pulled", pages::PULL_POLICY, "skerry.local/none:1", "Never")
            .waits("ErrImageNeverPull", "is not present with pull policy of Never")
            .shows("{phase: Pending}")
            .event("ErrImageNeverPull", "skerry.local/none:1"),
        row("an image that cannot be pulled", pages::IMAGES, nowhere, "IfNotPresent")
            .showed("{containerStatuses: [{name: main, state: {waiting: {reason: ErrImagePull, message: ~registry.invalid}}}]}")
            .event("Pulling", "registry.invalid")
            .event("Failed", "registry.invalid"),
        row("the next pull is put off: ImagePullBackOff", pages::IMAGES, nowhere, "IfNotPresent")
            .waits("ImagePullBackOff", "Back-off pulling image")
            .event("BackOff", "Back-off pulling image"),
        row("Always asks the registry also for an image that is here", pages::PULL_POLICY, LATEST, "Always")
            .showed("{containerStatuses: [{name: main, state: {waiting: {reason: ErrImagePull}}}]}"),
        row("the tag latest is pulled each time unless the pod says otherwise", pages::PULL_POLICY, LATEST, "null")
            .is("{spec: {containers: [{name: main, imagePullPolicy: Always}]}}")
            .showed("{containerStatuses: [{name: main, state: {waiting: {reason: ErrImagePull}}}]}"),
        row("the tag latest need not be pulled", pages::PULL_POLICY, LATEST, "IfNotPresent").shows("{phase: Running}"),
        row("another tag is pulled when it is missing", pages::PULL_POLICY, ENTRY, "null")
            .is("{spec: {containers: [{name: main, imagePullPolicy: IfNotPresent}]}}")
            .shows("{phase: Running}"),
        row("a name that is none: InvalidImageName", pages::IMAGES, "Not/A_Name:::", "IfNotPresent")
            .waits("InvalidImageName", "Not/A_Name")
            .event("InspectFailed", "Not/A_Name"),
        row("a pull secret that is missing is told and the pull is tried", pages::IMAGES, nowhere, "IfNotPresent")
            .with("{imagePullSecrets: [{name: none}]}")
            .event("FailedToRetrieveImagePullSecret", "none")
            .showed("{containerStatuses: [{name: main, state: {waiting: {reason: ErrImagePull}}}]}"),
        Row::new("the status says which image it is", pages::IMAGES)
            .spec("{containers: [{name: main, args: [pause]}]}")
            .shows("{phase: Running, containerStatuses: [{name: main, imageID: '~sha256:'}]}"),
    ]
}
