"""What is known of all members of a community: reports, each declared once."""
