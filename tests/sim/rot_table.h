/* rot_table.h - what can happen to files while the broker is down.  ROT(NAME, refused, help)
 *
 * `refused`: the broker must refuse to start and name the place; else it must start, and wrong bytes are never served.
 * No include guard: expanded many times. */
ROT(BLOCK, true, "a durable block behind the checkpoint has changed")
ROT(UNREADABLE, true, "a sector of a durable block behind the checkpoint cannot be read")
ROT(SEALED, false, "a block before the checkpoint, maybe with bodies, has changed")
ROT(KEEP_DIRECTORY, true, "a page of the directory of a keep segment has changed")
ROT(KEEP, false, "a body in a keep segment has changed")
ROT(MANIFEST, false, "one copy of the manifest has changed")
ROT(MANIFESTS, true, "both copies of the manifest have changed")
ROT(CHECKPOINT, true, "a chunk of the newest checkpoint has changed")
ROT(OLD_CHECKPOINT, false, "the other checkpoint area has changed")
ROT(LOST, true, "a segment is missing")
ROT(LOST_MANIFEST, true, "the manifest is missing")
ROT(EXTRA, true, "there is a segment more, a copy of another")
ROT(DOUBLE, true, "a segment was replaced by a copy of another")
ROT(FOREIGN, true, "a segment was replaced by that of another directory")
ROT(CUT, true, "a segment was cut")
