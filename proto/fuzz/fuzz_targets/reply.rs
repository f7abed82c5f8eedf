//! Any answer: reading its outcome does not panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::codec::decode;
use proto::reply::{ObjectResp, QueryFailure};

fuzz_target!(|frame: &[u8]| {
    if let Ok(message) = decode(frame) {
        QueryFailure::from_answer(&message);
        if let Ok(answer) = message.content.decode::<ObjectResp<serde_json::Value>>() {
            answer.into_result().ok();
        }
    }
});
