"""What readers and writers need of NWB files: find and judge series, read them, store runs beside them."""
