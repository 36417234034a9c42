"""What runs later: the sweep of due profiles, retention."""
