use chassis::clock::Clock;
use chassis::module::Module as _;
use chassis::shutdown::Shutdown;
use chassis::task::{self, AbortOnDrop};
use tempfile::TempDir;

use super::*;
use crate::store::{Change, open};

const NO_LIMIT: UploadLimit = UploadLimit { bytes: u64::MAX >> 1, drops_oldest: true };

struct Rig {
    store: Store,
    dir: TempDir,
    _writer: AbortOnDrop<anyhow::Result<()>>,
}

impl Rig {
    fn open(dir: TempDir) -> Self {
        let (store, writer) = open(&dir.path().join("edgecore.db"), Clock::system()).unwrap();
        let (_trigger, shutdown) = Shutdown::new();
        let writer = task::spawn(tracing::Span::none(), writer.run(shutdown));
        Self { store, dir, _writer: writer }
    }

    async fn put(&self, uploads: &[Upload], limit: UploadLimit) -> Vec<Outcome> {
        let changes = uploads.iter().map(|upload| Change::PutUpload { upload: upload.clone(), limit });
        self.store.apply(changes.collect()).await.unwrap()
    }

    async fn payloads(&self) -> Vec<String> {
        let waiting = self.store.uploads(0, 1000, usize::MAX).await.unwrap();
        waiting.into_iter().map(|one| String::from_utf8(one.upload.payload).unwrap()).collect()
    }
}

fn upload(number: i64) -> Upload {
    Upload {
        id: format!("id-{number}"),
        topic: "a/user/b".to_owned(),
        payload: format!("{number:03}").into_bytes(),
        timestamp: 7,
        mark: number,
        is_repeated: false,
    }
}

#[tokio::test]
async fn messages_wait_in_order_until_they_have_arrived_also_over_a_restart() {
    let rig = Rig::open(TempDir::new().unwrap());
    rig.put(&[upload(1), upload(2), upload(3)], NO_LIMIT).await;
    let Rig { store, dir, _writer } = rig;
    drop((store, _writer));
    let rig = Rig::open(dir);
    assert_eq!(rig.payloads().await, ["001", "002", "003"]);
    let waiting = rig.store.uploads(0, 2, usize::MAX).await.unwrap();
    assert_eq!(waiting.len(), 2);
    assert_eq!(waiting[0].upload, Upload { mark: 0, ..upload(1) });
    assert_eq!(rig.store.uploads(waiting[1].row, 2, usize::MAX).await.unwrap().len(), 1);
    assert_eq!(rig.store.uploads(0, 9, 1).await.unwrap().len(), 1, "one is always given");
    rig.store.apply(vec![Change::DropUpload(waiting[0].row)]).await.unwrap();
    assert_eq!(rig.payloads().await, ["002", "003"]);
    let size = upload(1).size().cast_signed();
    let left = rig.store.uploads_waiting().await.unwrap();
    assert_eq!(left, UploadsWaiting { count: 2, bytes: 2 * size });
}

#[tokio::test]
async fn what_the_broker_sends_again_is_kept_once() {
    let rig = Rig::open(TempDir::new().unwrap());
    let again = |number| Upload { id: "other".to_owned(), is_repeated: true, ..upload(number) };
    assert_eq!(rig.put(&[upload(1)], NO_LIMIT).await, [Outcome::Changed]);
    assert_eq!(rig.put(&[again(1), again(2)], NO_LIMIT).await, [Outcome::Unchanged, Outcome::Changed]);
    // Also when it has arrived meanwhile.
    let first = rig.store.uploads(0, 1, 9).await.unwrap().remove(0);
    rig.store.apply(vec![Change::DropUpload(first.row)]).await.unwrap();
    assert_eq!(rig.put(&[again(1)], NO_LIMIT).await, [Outcome::Unchanged]);
    // The same number in a new session is another message; and so is one that is not marked as sent before.
    rig.store.apply(vec![Change::ForgetUploadMarks]).await.unwrap();
    assert_eq!(rig.put(&[again(1), upload(1)], NO_LIMIT).await, [Outcome::Changed, Outcome::Changed]);
    assert_eq!(rig.payloads().await, ["002", "001", "001"]);
}

#[tokio::test]
async fn marks_are_bounded() {
    let rig = Rig::open(TempDir::new().unwrap());
    let many: Vec<Upload> = (0..MARKS + 10).map(upload).collect();
    rig.put(&many, NO_LIMIT).await;
    let again = |number| Upload { is_repeated: true, ..upload(number) };
    let outcomes = rig.put(&[again(0), again(MARKS + 9)], NO_LIMIT).await;
    assert_eq!(outcomes, [Outcome::Changed, Outcome::Unchanged]);
}

#[tokio::test]
async fn of_too_many_the_oldest_or_the_newest_go() {
    let limit = |drops_oldest| UploadLimit { bytes: 2 * upload(1).size(), drops_oldest };
    let three = [upload(1), upload(2), upload(3)];
    let rig = Rig::open(TempDir::new().unwrap());
    let outcomes = rig.put(&three, limit(true)).await;
    assert_eq!(outcomes, [Outcome::Changed, Outcome::Changed, Outcome::Crowded(1)]);
    assert_eq!(rig.payloads().await, ["002", "003"]);
    let rig = Rig::open(TempDir::new().unwrap());
    let outcomes = rig.put(&three, limit(false)).await;
    assert_eq!(outcomes, [Outcome::Changed, Outcome::Changed, Outcome::Crowded(1)]);
    assert_eq!(rig.payloads().await, ["001", "002"]);
    // One that never fits pushes everything else out, and is dropped itself.
    let large = Upload { payload: vec![b'x'; 1000], ..upload(4) };
    assert_eq!(rig.put(&[large], limit(true)).await, [Outcome::Crowded(3)]);
    assert_eq!(rig.store.uploads_waiting().await.unwrap(), UploadsWaiting::default());
}
