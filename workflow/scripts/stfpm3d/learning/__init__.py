"""What is learned: ACS networks, the patch-trained teacher, the student, and the anomaly map."""
