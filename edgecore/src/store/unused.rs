//! Which objects nobody names any more.

use rusqlite::{Connection, params};

/// Whether the text of a pod contains the name as a string, or it is the name of a claim that belongs to a volume of a pod. It may stand there for
/// something else; then an object is kept that is not used, until the cloud says so.
pub(super) fn is_named(connection: &Connection, pods: &str, name: &str) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT 1 FROM objects AS pod WHERE pod.kind = 'pod' AND substr(pod.key, 1, length(?1)) = ?1
             AND (instr(CAST(pod.value AS TEXT), ?2) > 0 OR EXISTS (
               SELECT 1 FROM json_each(iif(json_valid(CAST(pod.value AS TEXT)), CAST(pod.value AS TEXT), '{}'),
                                       '$.spec.volumes') AS volume
               WHERE volume.value -> '$.ephemeral' IS NOT NULL
               AND substr(pod.key, length(?1) + 1) || '-' || (volume.value ->> '$.name') = ?3))",
        )?
        .exists(params![pods, format!("\"{name}\""), name])
}

/// Deletes the objects of a namespace that no pod names, what is known of the services of one that has no pod, and the volumes that
/// no claim names.
pub(super) fn drop_unused(
    connection: &Connection,
    namespace: &str,
    kinds: &[&str],
) -> rusqlite::Result<usize> {
    let pods = format!("{namespace}/pod/");
    let mut dropped = 0;
    for kind in kinds {
        let folder = format!("{namespace}/{kind}/");
        let held: Vec<String> = connection
            .prepare_cached("SELECT key FROM objects WHERE kind = ?1 AND substr(key, 1, length(?2)) = ?2")?
            .query_map(params![kind, folder], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for key in held {
            if !is_named(connection, &pods, key.strip_prefix(&folder).unwrap_or_default())? {
                dropped += connection.prepare_cached("DELETE FROM objects WHERE key = ?1")?.execute([key])?;
            }
        }
    }
    let services = connection
        .prepare_cached(
            "DELETE FROM objects WHERE kind = 'service' AND key = ?1 || '/service'
             AND NOT EXISTS (SELECT 1 FROM objects WHERE kind = 'pod' AND substr(key, 1, length(?2)) = ?2)",
        )?
        .execute(params![namespace, pods])?;
    let volumes = connection
        .prepare_cached(
            "DELETE FROM objects AS volume WHERE kind = 'persistentvolume' AND NOT EXISTS (
               SELECT 1 FROM objects WHERE kind = 'persistentvolumeclaim'
               AND CAST(value AS TEXT) ->> '$.spec.volumeName' = replace(volume.key, ?1, ''))",
        )?
        .execute(["null/persistentvolume/"])?;
    Ok(dropped + services + volumes + drop_of_volumes(connection)?)
}

/// Attachments and secrets of volumes that are not here any more.
fn drop_of_volumes(connection: &Connection) -> rusqlite::Result<usize> {
    let attachments = connection
        .prepare_cached(
            "DELETE FROM objects AS attachment WHERE kind = 'volumeattachment' AND NOT EXISTS (
               SELECT 1 FROM objects WHERE kind = 'persistentvolume' AND key = 'null/persistentvolume/' ||
               (CAST(attachment.value AS TEXT) ->> '$.spec.source.persistentVolumeName'))",
        )?
        .execute([])?;
    let secrets = connection
        .prepare_cached(
            "DELETE FROM objects AS secret WHERE kind = 'volumesecret' AND NOT EXISTS (
               SELECT 1 FROM (SELECT CAST(value AS TEXT) ->> '$.spec.csi.nodeStageSecretRef' AS stage,
                                     CAST(value AS TEXT) ->> '$.spec.csi.nodePublishSecretRef' AS publish
                              FROM objects WHERE kind = 'persistentvolume')
               WHERE secret.key IN ((stage ->> 'namespace') || '/volumesecret/' || (stage ->> 'name'),
                                    (publish ->> 'namespace') || '/volumesecret/' || (publish ->> 'name')))",
        )?
        .execute([])?;
    Ok(attachments + secrets)
}
