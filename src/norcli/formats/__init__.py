"""Every byte that comes in or goes out: records, compression, Parquet, WARC, shards, GGUF."""
