"""What people write, and how names become components: study files, settings, vocabularies."""
