"""What is learned: ACS networks, the patch-trained teacher, the student, and what they share."""
