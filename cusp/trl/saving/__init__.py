"""When a watched training saves: more often under a suspicion, not at all where the disk has no room."""
