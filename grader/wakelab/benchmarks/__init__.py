"""What `wakelab bench` measures, a module each; docs/contributors/measures.md says what and why."""
