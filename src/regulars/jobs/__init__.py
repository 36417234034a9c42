"""What runs later: the sweep of due profiles, the folder, snapshots, retention."""
