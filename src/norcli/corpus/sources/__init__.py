"""Where documents come from: web pages in WARC and HTML files, records in JSONL, Parquet, text."""
