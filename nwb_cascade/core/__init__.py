"""The method on arrays: numpy and scipy only, no files, clocks, prints or globals."""
