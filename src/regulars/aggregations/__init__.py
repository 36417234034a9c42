"""What is known of one member: the declared values, kept true with every fact."""
