"""Help for tests of software that reads or writes the types."""
